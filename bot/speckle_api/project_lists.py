"""A project's lists of versions, models and issues, read page by page from a moment on. No I/O.

They stand in for the activity list where a server has none.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from bot.speckle.events import SpeckleUser
from bot.speckle.listed import ListedIssue, ListedModel, ListedReply, ListedUpdate, ListedVersion
from bot.speckle.wire import id_of, name_of, text_of
from bot.speckle_api import optional_questions, questions
from bot.speckle_api.graphql import AnswerTooLarge
from bot.speckle_api.optional_questions import OptionalQuestion
from bot.speckle_api.questions import child, items, moment, read_model, read_person

PAGE: Final = 50
MILLISECOND: Final = timedelta(milliseconds=1)

T = TypeVar("T")
Ask = Callable[[Mapping[str, Any]], Awaitable[Any]]
"""Asks for a page with these variables; None from a server that has no such list."""


@dataclass(frozen=True, slots=True)
class ProjectList(Generic[T]):
    """One of a project's lists, the newest first by `time`; an entry without id or time is none."""

    question: str | OptionalQuestion
    name: str
    time: str
    read: Callable[[str, datetime, Mapping[str, Any]], T]


@dataclass(frozen=True, slots=True)
class ListPart(Generic[T]):
    """What was read of a list; `whole_since` is where it was cut, if it was."""

    entries: tuple[T, ...] = ()
    whole_since: datetime | None = None


async def read_list(listed: ProjectList[T], ask: Ask, after: datetime, limit: int) -> ListPart[T]:
    """The entries from a moment on, or the newest `limit` of them.

    What is too large to be read is asked for in smaller pages, and alone without its texts. Errors:
    those of `ask`; AnswerTooLarge for an entry without texts.
    """
    found: dict[str, tuple[datetime, T]] = {}
    wanted: dict[str, Any] = {"limit": PAGE, "cursor": None, "texts": True}
    while len(found) < limit:
        try:
            answer = await ask(wanted | {"cursor": _from(wanted["cursor"], wanted["limit"])})
        except AnswerTooLarge:
            if not wanted["texts"]:
                raise
            alone = wanted["limit"] == 1
            wanted |= {"limit": (wanted["limit"] + 1) // 2, "texts": not alone}
            continue
        page = child(answer, "project", listed.name)
        known = len(found)
        times = _add_entries(listed, page, after, found)
        cursor = text_of(child(page, "cursor"))
        if len(found) == known or cursor is None or min(times) < after:
            return ListPart(tuple(entry for _, entry in found.values()))
        wanted |= {"limit": min(PAGE, 2 * wanted["limit"]), "cursor": cursor, "texts": True}
    newest = sorted(found.values(), key=lambda one: one[0], reverse=True)[:limit]
    return ListPart(tuple(entry for _, entry in newest), newest[-1][0])


def _add_entries(
    listed: ProjectList[T], page: Any, after: datetime, found: dict[str, tuple[datetime, T]]
) -> list[datetime]:
    """Add what a page has from a moment on; the times of all that it has."""
    times = []
    for item in items(child(page, "items")):
        entry_id, made_at = id_of(item.get("id")), moment(item.get("createdAt"))
        at = moment(item.get(listed.time))
        if entry_id is None or made_at is None or at is None:
            continue
        times.append(at)
        if at >= after:
            found[entry_id] = at, listed.read(entry_id, made_at, item)
    return times


def _from(cursor: str | None, limit: int) -> str | None:
    """Where a page begins; cut to milliseconds, a time would leave out others of its own."""
    at = moment(cursor)
    return cursor if at is None or limit == 1 else questions.iso(at + MILLISECOND)


def _version(version_id: str, at: datetime, item: Mapping[str, Any]) -> ListedVersion:
    return ListedVersion(
        version_id,
        at,
        read_model(item.get("model")),
        read_person(item.get("authorUser")),
        text_of(item.get("message")),
        name_of(item.get("sourceApplication")),
        name_of(item.get("referencedObject")),
    )


def _model(model_id: str, at: datetime, item: Mapping[str, Any]) -> ListedModel:
    author, name = read_person(item.get("author")), name_of(item.get("name"))
    return ListedModel(model_id, at, author, name, text_of(item.get("description")))


def _issue(issue_id: str, at: datetime, item: Mapping[str, Any]) -> ListedIssue:
    updates = (
        ListedUpdate(changed_at, _participant(one.get("actor")))
        for one in items(child(item, "activities", "items"))
        if one.get("eventType") == "updated" and (changed_at := moment(one.get("createdAt")))
    )
    replies = (
        ListedReply(reply_id, replied_at, _participant(one.get("author")))
        for one in items(child(item, "replies", "items"))
        if (reply_id := id_of(one.get("id"))) and (replied_at := moment(one.get("createdAt")))
    )
    return ListedIssue(
        issue_id, at, _participant(item.get("author")), tuple(updates), tuple(replies)
    )


def _participant(value: Any) -> SpeckleUser | None:
    return read_person(child(value, "user"))


VERSIONS: Final = ProjectList(questions.LISTED_VERSIONS, "versions", "createdAt", _version)
MODELS: Final = ProjectList(questions.LISTED_MODELS, "models", "updatedAt", _model)
ISSUES: Final = ProjectList(optional_questions.LISTED_ISSUES, "issues", "updatedAt", _issue)
