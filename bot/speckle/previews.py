"""Pictures of versions, as a Speckle server renders them; what it sends instead looks the same."""

from dataclasses import dataclass, field
from enum import Enum, auto

from bot.speckle.answers import Login
from bot.speckle.http import SpeckleHttp


@dataclass(frozen=True, slots=True)
class Rendered:
    """A real picture, a PNG."""

    content: bytes = field(repr=False)


class NoPicture(Enum):
    """Why there is none."""

    NOT_YET = auto()  # being rendered, or rendering failed: nobody can tell the two apart
    MISSING = auto()  # no such version
    NO_ACCESS = auto()


class Previews:
    """Asks for pictures; the first question for a version has it rendered."""

    def __init__(self, http: SpeckleHttp) -> None:
        self._http = http

    async def of_version(
        self, login: Login, project_id: str, version_id: str, *, within_s: float
    ) -> Rendered | NoPicture:
        """The picture of a version.

        Errors: SpeckleUnavailable, SpeckleTokenRefused.
        """
        raise NotImplementedError


def preview_url(server_url: str, project_id: str, version_id: str) -> str:
    """Where anybody can see the picture of a public project's version."""
    raise NotImplementedError
