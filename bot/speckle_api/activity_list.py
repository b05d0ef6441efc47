"""A project's activity list, which servers up to 2.31 have, read in pages."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from bot.speckle.activity import Activity
from bot.speckle.wire import id_of, text_of
from bot.speckle_api.answers import MILLISECOND, child, iso, items, moment
from bot.speckle_api.asker import Asker
from bot.speckle_api.graphql import AnswerTooLarge
from bot.speckle_api.optional_questions import OptionalQuestion
from bot.speckle_api.types import Login

PAGE: Final = 100
NEAR: Final = timedelta(minutes=10)  # how far the two clocks, and a slow delivery, may be off
LINES_NEAR: Final = 100

ACTIVITY: Final = OptionalQuestion(
    "Stream.activity",
    """
query Activity(
  $project: String!, $limit: Int!, $info: Boolean!,
  $after: DateTime, $before: DateTime, $cursor: DateTime
) {
  stream(id: $project) {
    activity(limit: $limit, after: $after, before: $before, cursor: $cursor) {
      items { id actionType resourceId userId time message info @include(if: $info) }
    }
  }
}
""",
)


class ActivityList:
    """Reads it. It needs an account, on public projects as well."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    async def since(
        self,
        login: Login,
        project_id: str,
        *,
        after: datetime | None,
        limit: int,
        within_s: float | None = None,
    ) -> list[Activity] | None:
        """The lines, oldest first, from `after` on, that moment included.

        Of more than `limit` lines the newest ones. Without `info`, which may hold pictures. None
        from a server without such lists.
        """
        until = self._asker.until(within_s)
        wanted: dict[str, Any] = {
            "project": project_id,
            "info": False,
            "after": None if after is None else iso(after),
            "limit": min(limit, PAGE),
        }
        lines: dict[str, Activity] = {}
        while len(lines) < limit:
            data = await self._asker.read(login, ACTIVITY, wanted, until)
            if data is None:
                return None
            page = read_activity(data)
            known = len(lines)
            lines.update((line.id, line) for line in page)
            if len(page) < wanted["limit"] or len(lines) == known:
                break
            # The next page begins before the cursor; lines of one millisecond must not be lost.
            wanted["cursor"] = iso(page[-1].at + MILLISECOND)
        newest = sorted(lines.values(), key=lambda line: line.at, reverse=True)[:limit]
        return newest[::-1]

    async def with_info(
        self,
        login: Login,
        project_id: str,
        lines: Sequence[Activity],
        *,
        within_s: float | None = None,
    ) -> list[Activity]:
        """The first of these lines, oldest first as they are given, with their `info`.

        As many as one answer can hold, and one at least, which is `cut` if it alone is too large.
        """
        until = self._asker.until(within_s)
        count = min(len(lines), PAGE // 2)
        wanted: dict[str, Any] = {"project": project_id, "info": True, "limit": PAGE}
        while count:
            # Cut to milliseconds, as the server reads them: others of the same one come too.
            wanted["after"] = iso(lines[0].at)
            wanted["before"] = iso(lines[count - 1].at + MILLISECOND)
            try:
                data = await self._asker.read(login, ACTIVITY, wanted, until)
            except AnswerTooLarge:
                if count == 1:
                    return [replace(lines[0], cut=True)]
                count = (count + 1) // 2
            else:
                infos = {line.id: line.info for line in read_activity(data)}
                return [replace(line, info=infos.get(line.id)) for line in lines[:count]]
        return []

    async def near(
        self, login: Login, project_id: str, at: datetime, until: float
    ) -> list[Activity]:
        """The lines of about that time, without `info`; none from a server without such lists."""
        wanted: dict[str, Any] = {
            "project": project_id,
            "info": False,
            "after": iso(at - NEAR),
            "before": iso(at + NEAR),
            "limit": LINES_NEAR,
        }
        return read_activity(await self._asker.read(login, ACTIVITY, wanted, until))


def read_activity(data: Any) -> list[Activity]:
    """Lines of the activity list, newest first as they come."""
    return [
        Activity(
            id=line_id,
            action=action,
            resource_id=id_of(item.get("resourceId")),
            user_id=id_of(item.get("userId")),
            at=at,
            message=text_of(item.get("message")) or "",
            info=item.get("info"),
        )
        for item in items(child(data, "stream", "activity", "items"))
        if (line_id := id_of(item.get("id")))
        and (action := text_of(item.get("actionType"), 64))
        and (at := moment(item.get("time")))
    ]
