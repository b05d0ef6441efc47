"""The files of a version that is a bundle: a list at the server, the files in a store elsewhere."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final
from urllib.parse import quote

from bot.errors import SpeckleUnavailable
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.types import Login

# Such as VERSION.eav.objects.parquet; geometry is never needed.
TABLE: Final = re.compile(
    r"(?:.*[./])?(eav\.(?:objects|paths|eav|object_type|type_eav)|envelope\.(?:nodes|relations))"
    r"(?:\.parquet)?"
)
MAX_LIST_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class BundleFiles:
    """Lists and gets files until a moment of `monotonic()`. Nothing of the bot's goes to a store.

    Errors: SpeckleError of each kind; HttpAnswerTooLarge.
    """

    http: SpeckleHttp
    login: Login
    until: float

    async def tables(
        self, project_id: str, model_id: str, version_id: str
    ) -> Mapping[str, str | None] | None:
        """The signed addresses of a version's tables by names such as `eav.objects`.

        None for a table of which there are several; None for all where there is no list.
        """
        project, model, version = (
            quote(one, safe="") for one in (project_id, model_id, version_id)
        )
        listed = await self.http.get(
            self.login,
            f"/api/v2/projects/{project}/models/{model}/versions/{version}/artifacts",
            max_bytes=MAX_LIST_BYTES,
            within_s=self.left_s,
        )
        if listed.status == 404:
            return None
        if listed.status != 200:
            raise listed.error(self.login)
        return _tables(listed.json)

    async def content(self, url: str, *, max_bytes: int) -> bytes | None:
        """What is behind a signed address; None where there is nothing."""
        server_url = self.login.server_url
        answer = await self.http.get_signed(
            url, near=server_url, max_bytes=max_bytes, within_s=self.left_s
        )
        if answer.status == 429 or answer.status >= 500:
            raise SpeckleUnavailable(server_url, "its store is out of order")
        return answer.body if answer.status == 200 else None

    @property
    def left_s(self) -> float:
        """The time that is left."""
        return max(0.0, self.until - monotonic())


def _tables(listed: Any) -> Mapping[str, str | None] | None:
    files = listed.get("files") if isinstance(listed, dict) else None
    if not isinstance(files, list):
        return None
    found: dict[str, str | None] = {}
    for one in files:
        name, url = (one.get("name"), one.get("url")) if isinstance(one, dict) else (None, None)
        table = TABLE.fullmatch(name) if isinstance(name, str) else None
        if table is not None and isinstance(url, str):
            found[table[1]] = None if table[1] in found else url
    return found
