"""Whether everybody may read a project: a question to its server without a token."""

from dataclasses import dataclass

from bot.errors import SpeckleError, SpeckleRejected, SpeckleUnavailable
from bot.services.access_rules import AccessAnswer
from bot.speckle.visibility import NOT_PUBLIC
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.types import Login

READ_WITHIN_S = 3.0  # somebody waits for the answer; no answer counts as private


@dataclass(frozen=True, slots=True)
class PublicAnswer:
    """What a server says of a project without a token.

    `visibility` is None where it did not answer; NOT_PUBLIC also means a project that is not
    there, as the answer is the same. `name` is what a public project is called.
    """

    answer: AccessAnswer
    visibility: str | None = None
    name: str | None = None

    @property
    def is_public(self) -> bool:
        """Whether anybody with the link may read it; what is not known counts as private."""
        return self.answer is AccessAnswer.YES


UNKNOWN = PublicAnswer(AccessAnswer.NO_ANSWER)
PRIVATE = PublicAnswer(AccessAnswer.NO, NOT_PUBLIC)


class PublicAccess:
    """Asks Speckle servers as a stranger; not at all where the operator wants nobody asked."""

    def __init__(self, client: SpeckleClient, *, asks: bool = True) -> None:
        self._client = client
        self._asks = asks

    async def of(self, server_url: str, project_id: str) -> PublicAnswer:
        """What everybody may see of a project, asked now."""
        if not self._asks:
            return UNKNOWN
        try:
            found = await self._client.project(
                Login(server_url), project_id, within_s=READ_WITHIN_S
            )
        except (SpeckleUnavailable, SpeckleRejected):
            return UNKNOWN
        except SpeckleError:
            return PRIVATE
        if not found.is_public:
            return PRIVATE
        return PublicAnswer(AccessAnswer.YES, found.visibility, found.name)
