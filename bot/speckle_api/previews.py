"""Pictures of versions, as a Speckle server renders them; what it sends instead looks the same.

Source: answers recorded from a Speckle Server 2.31. It answers HTTP 200 and a PNG nearly always.
"""

import hashlib
from dataclasses import dataclass, field
from enum import Enum, auto
from urllib.parse import quote

from bot.cards.pictures import media_type_of
from bot.errors import SpeckleUnavailable
from bot.speckle_api.http import HttpAnswer, SpeckleHttp
from bot.speckle_api.types import Login

MAX_PICTURE_BYTES = 8 * 1024 * 1024
# The drawn "401", 12,062 bytes; apart from it only "no such version" has these headers.
NO_ACCESS_SHA256 = "19e5f136"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A real picture, a PNG."""

    content: bytes = field(repr=False)


class NoPicture(Enum):
    """Why there is none."""

    NOT_YET = auto()  # being rendered, or rendering failed: nobody can tell the two apart
    MISSING = auto()  # no such version
    NO_ACCESS = auto()
    BLANK = auto()  # it shows nothing: every pixel is transparent


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
        answer = await self._http.get(
            login,
            _path(project_id, version_id),
            max_bytes=MAX_PICTURE_BYTES,
            within_s=within_s,
        )
        if answer.status != 200:
            raise answer.error(login)
        if media_type_of(answer.body) != "image/png":
            raise SpeckleUnavailable(login.server_url, "what it sent is no picture")
        return _picture_of(answer)


def preview_url(server_url: str, project_id: str, version_id: str) -> str:
    """Where anybody can see the picture of a public project's version."""
    return server_url + _path(project_id, version_id)


def _path(project_id: str, version_id: str) -> str:
    return f"/preview/{quote(project_id, safe='')}/commits/{quote(version_id, safe='')}"


def _picture_of(answer: HttpAnswer) -> Rendered | NoPicture:
    """What the headers say; all pictures are of the same kind."""
    if "X-Preview-Error" in answer.headers:
        code = answer.headers.get("X-Preview-Error-Code", "")
        return NoPicture.MISSING if code.endswith("_NOT_FOUND") else NoPicture.NOT_YET
    caching = {part.strip() for part in answer.headers.get("Cache-Control", "").lower().split(",")}
    if "no-store" in caching:
        return NoPicture.NOT_YET
    if "private" in caching:
        return Rendered(answer.body)
    if hashlib.sha256(answer.body).hexdigest().startswith(NO_ACCESS_SHA256):
        return NoPicture.NO_ACCESS
    return NoPicture.MISSING
