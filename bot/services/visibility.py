"""Whether everybody may read a project: a question to its server without a token."""

from dataclasses import dataclass

from bot.errors import SpeckleError, SpeckleRejected, SpeckleUnavailable
from bot.rights.decide import Sight
from bot.speckle.answers import Login
from bot.speckle.gateway import SpeckleGateway

READ_WITHIN_S = 3.0  # somebody waits for the answer; no answer counts as private
NOT_PUBLIC = "private"


@dataclass(frozen=True, slots=True)
class ToEverybody:
    """What a server tells of a project without a token.

    `visibility` is None where it did not answer; NOT_PUBLIC also stands for a project that is not
    there, as the answer is the same.
    """

    sight: Sight
    visibility: str | None = None

    @property
    def is_public(self) -> bool:
        """Whether anybody with the link may read it; what is not known counts as private."""
        return self.sight is Sight.YES


UNKNOWN = ToEverybody(Sight.SILENT)
PRIVATE = ToEverybody(Sight.NO, NOT_PUBLIC)


class Visibility:
    """Asks Speckle servers as a stranger; not at all where the operator wants nobody asked."""

    def __init__(self, gateway: SpeckleGateway, *, asks: bool = True) -> None:
        self._gateway = gateway
        self._asks = asks

    async def of(self, server_url: str, project_id: str) -> ToEverybody:
        """What everybody may see of a project, asked now."""
        if not self._asks:
            return UNKNOWN
        try:
            found = await self._gateway.project(
                Login(server_url), project_id, within_s=READ_WITHIN_S
            )
        except (SpeckleUnavailable, SpeckleRejected):
            return UNKNOWN
        except SpeckleError:
            return PRIVATE
        return ToEverybody(Sight.YES, found.visibility) if found.is_public else PRIVATE
