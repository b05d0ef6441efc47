"""A project's activity list, which servers up to 2.31 have, read in pages."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from bot.errors import SpeckleError, SpeckleFault, SpeckleNotFound, SpeckleRejected
from bot.speckle.activity import Activity
from bot.speckle.wire import id_of, text_of
from bot.speckle_api.answers import MILLISECOND, child, iso, items, moment, needed
from bot.speckle_api.asker import Asker
from bot.speckle_api.error_answers import from_errors
from bot.speckle_api.graphql import AnswerTooLarge
from bot.speckle_api.optional_questions import OptionalQuestion
from bot.speckle_api.types import Login

PAGE: Final = 100
NEAR: Final = timedelta(minutes=10)  # how far the two clocks, and a slow delivery, may be off
LINES_NEAR: Final = 100
PROJECTS_A_QUESTION: Final = 50  # 280 ms, 160 ms of a server's time
NEWEST: Final = 50

ACTIVITY: Final = OptionalQuestion(
    "Stream.activity",
    """
query Activity(
  $project: String!, $limit: Int!, $info: Boolean!,
  $after: DateTime, $before: DateTime, $cursor: DateTime
) {
  stream(id: $project) {
    activity(limit: $limit, after: $after, before: $before, cursor: $cursor) {
      items { id streamId actionType resourceId userId time message info @include(if: $info) }
    }
  }
}
""",
)


@dataclass(frozen=True, slots=True)
class _Page:
    """Lines of a page, newest first; `size` counts those too that are of no use."""

    lines: Sequence[Activity]
    size: int


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
            page = _page(login.server_url, data, project_id)
            known = len(lines)
            lines.update((line.id, line) for line in page.lines)
            if page.size < wanted["limit"]:
                break
            if len(lines) == known:  # one millisecond has more than a page holds
                wanted["limit"] *= 2
            # The next page begins before the cursor; lines of one millisecond must not be lost.
            if page.lines:
                wanted["cursor"] = iso(page.lines[-1].at + MILLISECOND)
        newest = sorted(lines.values(), key=lambda line: line.at, reverse=True)[:limit]
        return newest[::-1]

    async def of_many(
        self,
        login: Login,
        after: Mapping[str, datetime | None],
        *,
        within_s: float | None = None,
    ) -> Mapping[str, Sequence[Activity] | SpeckleError] | None:
        """The newest lines of many projects, newest first and without `info`, by project.

        `after` says from when on, that moment included. At most NEWEST of each; why, where one is
        not readable. None from a server without such lists.
        """
        until = self._asker.until(within_s)
        found: dict[str, Sequence[Activity] | SpeckleError] = {}
        for some in _some(after.items()):
            answer = await self._of_some(login, dict(some), until)
            if answer is None:
                return None
            found |= answer
        return found

    async def _of_some(
        self, login: Login, after: Mapping[str, datetime | None], until: float
    ) -> Mapping[str, Sequence[Activity] | SpeckleError] | None:
        wanted: dict[str, Any] = {"limit": NEWEST}
        for number, (project_id, at) in enumerate(after.items()):
            wanted |= {f"p{number}": project_id, f"a{number}": None if at is None else iso(at)}
        try:
            answer = await self._asker.read_parts(
                login, ACTIVITY, _question_of(len(after)), wanted, until
            )
        except AnswerTooLarge as too_large:
            if len(after) == 1:
                return dict.fromkeys(after, too_large)
            half = len(after) // 2
            first = await self._of_some(login, dict([*after.items()][:half]), until)
            rest = await self._of_some(login, dict([*after.items()][half:]), until)
            return None if first is None or rest is None else {**first, **rest}
        if answer is None:
            return None
        why = {_alias(error): error for error in answer.errors}
        found: dict[str, Sequence[Activity] | SpeckleError] = {}
        for number, project_id in enumerate(after):
            stream, error = child(answer.data, f"p{number}"), why.get(f"p{number}")
            if error is not None:
                found[project_id] = from_errors(login.server_url, [error], answer.retry_in_s)
            elif stream is None:
                found[project_id] = SpeckleNotFound(login.server_url, "the project is not there")
            else:
                try:
                    page = _page(login.server_url, {"stream": stream}, project_id)
                    found[project_id] = page.lines
                except SpeckleRejected as unreadable:
                    found[project_id] = unreadable
        return found

    async def with_info(
        self,
        login: Login,
        project_id: str,
        lines: Sequence[Activity],
        *,
        within_s: float | None = None,
    ) -> list[Activity]:
        """The first of these lines, oldest first as they are given, with their `info`.

        As many as one answer can hold, and one at least, which is `cut` if it alone is too large,
        or the server fails at it.
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
            except (AnswerTooLarge, SpeckleFault) as error:
                if count == 1:
                    return [replace(lines[0], cut=True)]
                # A fault takes its time, as it is tried again.
                count = 1 if isinstance(error, SpeckleFault) else (count + 1) // 2
            else:
                page = _page(login.server_url, data, project_id)
                infos = {line.id: line.info for line in page.lines}
                if lines[0].id not in infos and page.size >= wanted["limit"]:
                    wanted["limit"] *= 2  # the oldest are left out
                    continue
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
        return read_activity(await self._asker.read(login, ACTIVITY, wanted, until), project_id)


def _some(
    all_of_them: Collection[tuple[str, datetime | None]],
) -> Iterator[Sequence[tuple[str, datetime | None]]]:
    wanted = list(all_of_them)
    for start in range(0, len(wanted), PROJECTS_A_QUESTION):
        yield wanted[start : start + PROJECTS_A_QUESTION]


@cache
def _question_of(count: int) -> str:
    """The question for so many projects: their ids and times are variables, nothing is pasted."""
    numbers = range(count)
    variables = "".join(f", $p{number}: String!, $a{number}: DateTime" for number in numbers)
    parts = "".join(
        f"\n  p{number}: stream(id: $p{number}) {{ activity(limit: $limit, after: $a{number}) "
        "{ items { id streamId actionType resourceId userId time message } } }"
        for number in numbers
    )
    return f"query ActivityOfMany($limit: Int!{variables}) {{{parts}\n}}"


def _alias(error: Mapping[str, Any]) -> str:
    """Which part of a question an error is about."""
    path = error.get("path")
    return str(path[0]) if isinstance(path, Sequence) and path else ""


def _page(server_url: str, data: Any, project_id: str) -> _Page:
    """A page of the list. Errors: SpeckleRejected where there is none in the answer."""
    listed = child(data, "stream", "activity", "items")
    found = needed(server_url, listed if isinstance(listed, list) else None)
    return _Page(read_activity(data, project_id), len(found))


def read_activity(data: Any, project_id: str) -> list[Activity]:
    """Lines of a project's activity list, newest first as they come; none of another project."""
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
        if item.get("streamId") in (None, project_id)
        and (line_id := id_of(item.get("id")))
        and (action := text_of(item.get("actionType"), 64))
        and (at := moment(item.get("time")))
    ]
