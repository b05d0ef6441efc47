"""Files that people attach to comments and issues."""

from typing import Final
from urllib.parse import quote

from bot.errors import SpeckleNotFound, SpeckleUnavailable
from bot.speckle_api.error_answers import from_status
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.types import Login

MAX_BLOB_BYTES: Final = 25 * 1024 * 1024


class Blobs:
    """Fetches the pictures among them."""

    def __init__(self, http: SpeckleHttp) -> None:
        self._http = http

    async def content(
        self, login: Login, project_id: str, blob_id: str, *, within_s: float
    ) -> bytes:
        """The bytes of a file, whatever they are.

        Errors: SpeckleError of each kind.
        """
        project, blob = quote(project_id, safe=""), quote(blob_id, safe="")
        answer = await self._http.get(
            login,
            f"/api/stream/{project}/blob/{blob}",
            max_bytes=MAX_BLOB_BYTES,
            within_s=within_s,
        )
        if answer.status == 200:
            return answer.body
        if answer.status == 404:
            raise SpeckleNotFound(login.server_url, "there is no such file in this project")
        if 300 <= answer.status < 400:
            raise SpeckleUnavailable(login.server_url, "the file lies elsewhere")
        raise from_status(
            login.server_url,
            answer.status,
            answer.json,
            answer.headers.get("Retry-After"),
            with_token=login.token is not None,
        )
