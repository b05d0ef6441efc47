"""Issues: the questions about them, and which of the answers an event is about. No I/O.

An event says little of its issue (see bot.speckle.issue_hints), so the server's own record of what
was done to it, and when, decides. Servers up to 2.31 have no issues.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import timedelta
from functools import reduce
from itertools import dropwhile, takewhile
from typing import Any, Final, TypeVar

from bot.speckle.events import Change, EventKind, SpeckleUser
from bot.speckle.facts import Issue, IssueChange, IssueFacts, IssueLabel, IssueReply
from bot.speckle.issue_hints import IssueHint
from bot.speckle.resources import read_resources
from bot.speckle.rich_text import RichText, read_rich_text
from bot.speckle.wire import MAX_TEXT, id_of, name_of, text_of, url_of
from bot.speckle_api.answers import child, items, moment, participant, read_files
from bot.speckle_api.optional_questions import OptionalQuestion

TOGETHER: Final = timedelta(minutes=2)
ABOUT_THEN: Final = timedelta(minutes=10)  # clocks differ, and deliveries are slow
MAX_LABELS: Final = 20
MAX_URL: Final = 2_000
WHEN: Final = ("Before", "After")
Answer = TypeVar("Answer")

# What every release with issues can be expected to have; the rest may change sooner.
_CORE: Final = """
fragment IssueParts on Issue {
  id identifier title status priority resourceIdString createdAt updatedAt
}
"""
_WHOLE: Final = """
fragment IssueParts on Issue {
  id identifier title status priority dueDate resourceIdString previewUrl createdAt updatedAt
  description { doc attachments { id fileName fileSize } }
  labels { id name hexColor }
  assignee { id user { id name } }
  author { id user { id name } }
  activities(input: {limit: 20, sortDirection: desc}) {
    items {
      eventType createdAt
      actor { id user { id name } }
      payload {
        ... on IssueUpdatedActivityPayload {
          titleBefore titleAfter statusBefore statusAfter priorityBefore priorityAfter
          dueDateBefore dueDateAfter labelsAdded labelsRemoved is3DDataReferenceChanged
          assigneeBefore { id user { id name } } assigneeAfter { id user { id name } }
          descriptionBefore { doc } descriptionAfter { doc }
        }
      }
    }
  }
  replies(input: {limit: 10, sortBy: createdAt, sortDirection: desc}) {
    items {
      id createdAt
      author { id user { id name } }
      description { doc attachments { id fileName fileSize } }
    }
  }
}
"""
_BY_ID: Final = """
query Issue($project: String!, $issue: ID!) {
  project(id: $project) { issue(id: $issue) { ...IssueParts } }
}
"""
_BY_TIME: Final = """
query IssuesChanged($project: String!, $after: DateTime, $limit: Int!) {
  project(id: $project) {
    issues(
      input: {updatedAt: {after: $after}, sortBy: updatedAt, sortDirection: desc, limit: $limit}
    ) { items { ...IssueParts } }
  }
}
"""
# Each is tried before the next one, until the server understands it.
ONE: Final = (
    OptionalQuestion("Project.issue", _BY_ID + _WHOLE),
    OptionalQuestion("Project.issue", _BY_ID + _CORE),
)
CHANGED: Final = (
    OptionalQuestion("Project.issues", _BY_TIME + _WHOLE),
    OptionalQuestion("Project.issues", _BY_TIME + _CORE),
)
OPEN_ISSUES: Final = OptionalQuestion(
    "Project.issues",
    """
query OpenIssues($project: String!, $on: String!) {
  project(id: $project) {
    issues(input: {resourceIdString: $on, statuses: [open, readyForReview], limit: 1}) {
      totalCount
    }
  }
}
""",
)


def read_issue(data: Any, hint: IssueHint) -> IssueFacts | None:
    """What happened to the issue with the id that was asked for; None if that is not recorded."""
    return _facts(child(data, "project", "issue"), hint)


def read_changed(data: Any, hint: IssueHint) -> IssueFacts | None:
    """Of the issues that changed lately, the one that this happened to at the event's time."""
    found = [
        facts
        for item in items(child(data, "project", "issues", "items"))
        if (facts := _facts(item, hint)) is not None and _is_about(facts, hint)
    ]
    return min(found, key=lambda facts: abs(facts.changed_at - hint.at), default=None)


def _is_about(facts: IssueFacts, hint: IssueHint) -> bool:
    """Whether this was done at the event's time, and by the person it names."""
    if hint.kind is EventKind.ISSUE_UPDATED and facts.change is None:
        return False
    by = facts.issue.author
    if facts.change is not None:
        by = facts.change.actor
    elif facts.reply is not None:
        by = facts.reply.author
    same = by is None or hint.actor_id in (None, by.id)
    return same and abs(facts.changed_at - hint.at) <= ABOUT_THEN


def _facts(value: Any, hint: IssueHint) -> IssueFacts | None:
    issue_id, made_at = id_of(child(value, "id")), moment(child(value, "createdAt"))
    if issue_id is None or made_at is None:
        return None
    issue = _issue(value, issue_id)
    match hint.kind:
        case EventKind.ISSUE_CREATED:
            return IssueFacts(issue, made_at)
        case EventKind.ISSUE_REPLIED:
            reply = _reply(value, hint)
            return None if reply is None else IssueFacts(issue, reply.at, reply=reply)
        case EventKind.ISSUE_UPDATED:
            return _changed(value, issue, hint)
        case _:
            return None


def _issue(value: Any, issue_id: str) -> Issue:
    return Issue(
        id=issue_id,
        identifier=name_of(child(value, "identifier")),
        title=text_of(child(value, "title")),
        text=_text(child(value, "description")),
        status=text_of(child(value, "status"), 64),
        priority=text_of(child(value, "priority"), 64),
        assignee=participant(child(value, "assignee")),
        author=participant(child(value, "author")),
        labels=tuple(_labels(child(value, "labels"))),
        due=moment(child(value, "dueDate")),
        resources=read_resources(text_of(child(value, "resourceIdString"), MAX_TEXT)),
        picture_url=url_of(child(value, "previewUrl"), MAX_URL),
        files=read_files(child(value, "description", "attachments")),
    )


def _text(value: Any) -> RichText:
    return read_rich_text(child(value, "doc"), text_of)


def _labels(value: Any) -> Iterator[IssueLabel]:
    for item, _ in zip(items(value), range(MAX_LABELS), strict=False):
        if (name := name_of(item.get("name"))) is not None:
            yield IssueLabel(name, _colour(item.get("hexColor")), id_of(item.get("id")))


def _colour(value: Any) -> int | None:
    """A colour written "#rrggbb" or "rrggbb"."""
    digits = value.removeprefix("#") if isinstance(value, str) else ""
    try:
        return int(digits, 16) if len(digits) == 6 and digits.isalnum() else None
    except ValueError:
        return None


# ── replies ──────────────────────────────────────────────────────────────────────────────────


def _reply(value: Any, hint: IssueHint) -> IssueReply | None:
    """The reply that the hint names, else that person's nearest to the event's time."""
    replies = list(_replies(value))
    named = [reply for reply in replies if reply.id in hint.ids]
    theirs = [one for one in replies if hint.actor_id is None or _is(one.author, hint.actor_id)]
    return min(named or theirs, key=lambda reply: abs(reply.at - hint.at), default=None)


def _replies(value: Any) -> Iterator[IssueReply]:
    for item in items(child(value, "replies", "items")):
        reply_id, at = id_of(item.get("id")), moment(item.get("createdAt"))
        if reply_id is not None and at is not None:
            said = item.get("description")
            files = read_files(child(said, "attachments"))
            yield IssueReply(reply_id, at, participant(item.get("author")), _text(said), files)


def _is(user: SpeckleUser | None, user_id: str) -> bool:
    return user is not None and user.id == user_id


# ── changes ──────────────────────────────────────────────────────────────────────────────────


def _changed(value: Any, issue: Issue, hint: IssueHint) -> IssueFacts | None:
    """What that person changed since what was shown last, or else the change nearest in time.

    Without a change where all that they changed was shown; None where they are not known to have
    changed anything.
    """
    done = sorted(_changes(value, issue), key=lambda change: change.at)
    theirs = [one for one in done if hint.actor_id is None or _is(one.actor, hint.actor_id)]
    nearest = min(theirs, key=lambda change: abs(change.at - hint.at), default=None)
    if nearest is None:
        return None
    if hint.shown_until is None:
        # An event that is exactly of its time, or names no issue, is of one change alone.
        alone = not hint.ids or nearest.at == hint.at
        change = nearest if alone else reduce(_joined, _around(nearest, done))
        return IssueFacts(issue, change.at, change=change)
    new = [one for one in done if hint.shown_until < one.at <= hint.at + ABOUT_THEN]
    # Up to somebody else's change, which would count as shown with a later one.
    before = dropwhile(lambda one: one.actor != nearest.actor, new)
    run = [*takewhile(lambda one: one.actor == nearest.actor, before)]
    new_change = reduce(_joined, run) if run else None
    return IssueFacts(issue, (new_change or nearest).at, change=new_change)


def _around(nearest: IssueChange, done: Sequence[IssueChange]) -> Sequence[IssueChange]:
    """What the same person changed with it: events that were held up come together."""

    def with_it(one: IssueChange) -> bool:
        return one.actor == nearest.actor and abs(one.at - nearest.at) <= TOGETHER

    at = done.index(nearest)
    before = [*takewhile(with_it, reversed(done[:at]))]
    return [*reversed(before), nearest, *takewhile(with_it, done[at + 1 :])]


def _changes(value: Any, issue: Issue) -> Iterator[IssueChange]:
    names = {label.id: label.name for label in issue.labels}
    for item in items(child(value, "activities", "items")):
        at, said = moment(item.get("createdAt")), item.get("payload")
        if item.get("eventType") != "updated" or at is None or not isinstance(said, dict):
            continue
        yield IssueChange(
            at=at,
            actor=participant(item.get("actor")),
            title=_between(*(text_of(said.get(f"title{when}")) for when in WHEN)),
            text=_between(
                _text(said.get("descriptionBefore")), _text(said.get("descriptionAfter"))
            ),
            status=_between(*(text_of(said.get(f"status{when}"), 64) for when in WHEN)),
            priority=_between(*(text_of(said.get(f"priority{when}"), 64) for when in WHEN)),
            assignee=_between(*(participant(said.get(f"assignee{when}")) for when in WHEN)),
            due=_between(*(moment(said.get(f"dueDate{when}")) for when in WHEN)),
            labels_added=_label_names(said.get("labelsAdded"), names),
            labels_removed=_label_names(said.get("labelsRemoved"), names),
            place_changed=said.get("is3DDataReferenceChanged") is True,
        )


def _between(old: Answer, new: Answer) -> Change[Answer] | None:
    return None if old == new else Change(old, new)


def _label_names(value: Any, names: dict[str | None, str]) -> tuple[str, ...]:
    """Labels by name; the server may say their names or their ids."""
    said = map(name_of, value[:MAX_LABELS] if isinstance(value, list) else ())
    return tuple(names.get(one, one) for one in said if one is not None)


def _joined(first: IssueChange, then: IssueChange) -> IssueChange:
    """Two changes as one; what was changed and changed back is no change."""
    added = dict.fromkeys((*first.labels_added, *then.labels_added))
    removed = dict.fromkeys((*first.labels_removed, *then.labels_removed))
    both: dict[str, Any] = {
        "at": then.at,
        "actor": then.actor,
        "labels_added": tuple(one for one in added if one not in removed),
        "labels_removed": tuple(one for one in removed if one not in added),
        "place_changed": first.place_changed or then.place_changed,
    }
    for name in (field.name for field in fields(IssueChange) if field.name not in both):
        old, new = getattr(first, name), getattr(then, name)
        both[name] = _between(old.old, new.new) if old and new else old or new
    return IssueChange(**both)
