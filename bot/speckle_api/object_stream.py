"""Objects of a project, many in one request.

Source: a 2.31 server's object-stream (since 2.26.2). Its answer has a line for each object: its id,
a tab, its JSON. Ids that there are none of are left out without a word.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.types import Login

MOST_IDS: Final = 5_000  # in one request; the server takes no more
# What an object's JSON may have: "[]," takes 3 bytes in it, and 64 in memory.
MOST_PARTS: Final = 200_000  # lists and objects
MOST_VALUES: Final = 1_000_000

TakeObject = Callable[[str, bytes], None]
"""Gets an object's id and its JSON as it came."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """Which of an object's attributes are asked for: these, or all but these."""

    names: Collection[str]
    left_out: bool = False

    @property
    def mask(self) -> dict[str, list[str]]:
        """As the server takes it."""
        return {"exclude" if self.left_out else "include": list(self.names)}


@dataclass(slots=True)
class ObjectStream:
    """Asks for objects; `requests` counts what it asked."""

    http: SpeckleHttp
    requests: int = field(default=0, init=False)

    async def read(
        self,
        login: Login,
        project_id: str,
        ids: Sequence[str],
        attributes: Attributes,
        take: TakeObject,
        *,
        max_bytes: int,
        within_s: float,
    ) -> bool:
        """Have at most MOST_IDS objects taken, as they come; False if the server has no such way.

        What was not asked for is not taken.
        Errors: SpeckleError of each kind; HttpAnswerTooLarge where fewer at once may be answered.
        """
        wanted = frozenset(ids)

        def take_line(line: bytes) -> None:
            name, tab, text = line.partition(b"\t")
            object_id = name.decode("ascii", "replace") if tab else ""
            if object_id in wanted:
                take(object_id, text)

        self.requests += 1
        answer = await self.http.post_for_lines(
            login,
            f"/api/v2/projects/{quote(project_id, safe='')}/object-stream",
            {"objectIds": list(ids), "attributeMask": attributes.mask},
            take_line,
            max_bytes=max_bytes,
            within_s=within_s,
        )
        if answer.status in (404, 405):
            return False
        if answer.status != 200:
            raise answer.error(login)
        return True


def as_object(text: bytes) -> dict[str, Any] | None:
    """An object's JSON; None for what is none, and for what has too many parts to be kept."""
    if text.count(b"{") + text.count(b"[") > MOST_PARTS or text.count(b",") > MOST_VALUES:
        return None
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None
