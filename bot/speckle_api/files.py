"""Files that a server keeps: what people attach to comments and issues, and pictures of issues."""

from typing import Final
from urllib.parse import quote

from bot.errors import SpeckleNotFound, SpeckleUnavailable
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.types import Login

MAX_FILE_BYTES: Final = 25 * 1024 * 1024


class ServerFiles:
    """Fetches them, as a login may."""

    def __init__(self, http: SpeckleHttp) -> None:
        self._http = http

    async def blob(self, login: Login, project_id: str, blob_id: str, *, within_s: float) -> bytes:
        """The bytes of an attached file, whatever they are.

        Errors: SpeckleError of each kind.
        """
        project, blob = quote(project_id, safe=""), quote(blob_id, safe="")
        return await self.at(login, f"/api/stream/{project}/blob/{blob}", within_s=within_s)

    async def at(self, login: Login, path: str, *, within_s: float) -> bytes:
        """The bytes at a path of the login's server, whatever they are.

        Errors: SpeckleError of each kind.
        """
        answer = await self._http.get(login, path, max_bytes=MAX_FILE_BYTES, within_s=within_s)
        if answer.status == 200:
            return answer.body
        if answer.status == 404:
            raise SpeckleNotFound(login.server_url, "it has no such file")
        if 300 <= answer.status < 400:
            raise SpeckleUnavailable(login.server_url, "the file lies elsewhere")
        raise answer.error(login)
