"""A project's lists of versions, models, issues and people: questions and answers. No I/O."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from bot.speckle.events import ProjectNames
from bot.speckle.listed import (
    ListedChanges,
    ListedIssue,
    ListedModel,
    ListedReply,
    ListedUpdate,
    ListedVersion,
)
from bot.speckle.remembered import KnownModel, KnownVersion, ProjectState
from bot.speckle.wire import id_of, name_of, text_of
from bot.speckle_api.answers import (
    MILLISECOND,
    child,
    count,
    iso,
    items,
    model_ref,
    moment,
    participant,
    person,
)
from bot.speckle_api.optional_questions import OptionalQuestion

OWNER: Final = "stream:owner"
FUTURE: Final = datetime.max.replace(tzinfo=UTC)  # a list that says nothing tells of nothing

# `moved` is the time that the list is sorted by, newest first; `texts` may be large.
VERSIONS_PART: Final = """
    listed: versions(limit: $limit, cursor: $cursor) {
      totalCount cursor
      items {
        id moved: createdAt message @include(if: $texts) sourceApplication referencedObject
        authorUser { id name }
        model { id name }
      }
    }
"""
MODELS_PART: Final = """
    listed: models(limit: $limit, cursor: $cursor) {
      totalCount cursor
      items {
        id name description @include(if: $texts) createdAt moved: updatedAt
        author { id name }
      }
    }
"""
ISSUES_PART: Final = """
    listed: issues(
      input: {
        updatedAt: {after: $after}, sortBy: updatedAt, sortDirection: desc
        limit: $limit, cursor: $cursor
      }
    ) {
      cursor
      items {
        id createdAt moved: updatedAt
        author { id user { id name } }
        activities(input: {limit: 20, sortDirection: desc}) {
          items { eventType createdAt actor { id user { id name } } }
        }
        replies(input: {limit: 20, sortBy: createdAt, sortDirection: desc}) {
          items { id createdAt author { id user { id name } } }
        }
      }
    }
"""
ISSUES_THERE_PART: Final = """
    listed: issues(input: {sortBy: updatedAt, sortDirection: desc, limit: $limit}) {
      totalCount cursor
      items { id moved: updatedAt }
    }
"""
VERSIONS: Final = f"""
query Versions($project: String!, $limit: Int!, $cursor: String, $texts: Boolean!) {{
  project(id: $project) {{{VERSIONS_PART}  }}
}}
"""
MODELS: Final = f"""
query ModelsMade($project: String!, $limit: Int!, $cursor: String, $texts: Boolean!) {{
  project(id: $project) {{{MODELS_PART}  }}
}}
"""
ISSUES: Final = OptionalQuestion(
    "Project.issues",
    f"""
query IssuesMoved($project: String!, $after: DateTime, $limit: Int!, $cursor: String) {{
  project(id: $project) {{{ISSUES_PART}  }}
}}
""",
)
ISSUES_THERE: Final = OptionalQuestion(
    "Project.issues",
    f"""
query IssuesThere($project: String!, $limit: Int!) {{
  project(id: $project) {{{ISSUES_THERE_PART}  }}
}}
""",
)
FIRST_PAGES: Final = OptionalQuestion(
    "Project.issues",
    f"""
query FirstPages(
  $project: String!, $after: DateTime, $limit: Int!, $cursor: String, $texts: Boolean!
) {{
  versions: project(id: $project) {{{VERSIONS_PART}  }}
  models: project(id: $project) {{{MODELS_PART}  }}
  issues: project(id: $project) {{{ISSUES_PART}  }}
  there: project(id: $project) {{{ISSUES_THERE_PART}  }}
}}
""",
)
"""The beginnings of the four lists above in one request."""
MODEL_VERSIONS: Final = f"""
query ModelVersions(
  $project: String!, $model: String!, $limit: Int!, $cursor: String, $texts: Boolean!
) {{
  project(id: $project) {{ model(id: $model) {{{VERSIONS_PART}  }} }}
}}
"""
ALL_MODEL_NAMES: Final = """
query AllModelNames($project: String!, $limit: Int!, $cursor: String) {
  project(id: $project) {
    listed: models(limit: $limit, cursor: $cursor) { totalCount cursor items { id name } }
  }
}
"""
# With the right to read a project alone, where `team` needs the right to read people's profiles.
COLLABORATORS: Final = OptionalQuestion(
    "Stream.collaborators",
    """
query Collaborators($project: String!) { stream(id: $project) { collaborators { id name role } } }
""",
)
TEAM: Final = """
query Team($project: String!) { project(id: $project) { team { role user { id name } } } }
"""


@dataclass(frozen=True, slots=True)
class Listing:
    """Items of a list, newest first; `cursor` leads to those after them, if there are any.

    `total` is how many the server says that it has. `torn`: some of it cannot be read. `top`, of
    several pages: the first of them, which is of one moment: what moves meanwhile may be on none of
    several.
    """

    items: tuple[dict[str, Any], ...] = ()
    cursor: str | None = None
    total: int | None = None
    top: "Listing | None" = None
    torn: bool = False

    def before(self, size: int) -> str | None:
        """Where its next page of this size begins.

        Times are cut to milliseconds, so that others of the last one's would be left out.
        """
        at = moment(self.cursor)
        return self.cursor if at is None or size == 1 else iso(at + MILLISECOND)

    def goes_on(self, since: datetime | None) -> bool:
        """Whether the next page may have something from that time on; anything, for None."""
        if self.cursor is None or not self.items:
            return False
        return since is None or any(at >= since for at in self.moved)

    @property
    def moved(self) -> list[datetime]:
        """The times that the list is sorted by."""
        return [at for item in self.items if (at := moment(item.get("moved"))) is not None]

    def first(self, limit: int) -> "Listing":
        """Its first items; it goes on behind them if there are more."""
        cut = len(self.items) > limit
        return replace(self, items=self.items[:limit], cursor=self.cursor or "") if cut else self

    def then(self, page: "Listing") -> "Listing":
        """This one with what is new in its next page; with no cursor where nothing is."""
        known = {item.get("id") for item in self.items}
        new = tuple(item for item in page.items if item.get("id") not in known)
        cursor = page.cursor if new else None
        return Listing((*self.items, *new), cursor, page.total, self.top or page)

    @property
    def listed_from(self) -> datetime | None:
        """From when on all that moved is in it; None if it has all there is.

        Not by its cursor: a server gives one behind its last page too.
        """
        if self.torn or len(self.moved) < len(self.items):
            return FUTURE
        if self.total is not None and len(self.items) >= self.total:
            return None
        return min(self.moved, default=None) or FUTURE


def read_page(data: Any) -> Listing:
    """A page of a list, of what has an id; an empty one for None."""
    project = child(data, "project")
    listed = child(project, "listed") or child(project, "model", "listed")
    entries = child(listed, "items")
    found = tuple(item for item in items(entries) if id_of(item.get("id")))
    return Listing(
        found,
        text_of(child(listed, "cursor")),
        count(child(listed, "totalCount")),
        torn=not isinstance(entries, list) or len(found) < len(entries),
    )


def read_changes(
    versions: Listing, models: Listing, issues: Listing, after: datetime
) -> ListedChanges:
    """What the three lists have from a moment on; what has another shape is left out."""
    cut_at = [
        min(listing.moved) for listing in (versions, models, issues) if listing.goes_on(after)
    ]
    return ListedChanges(
        versions=tuple(one for one in map(read_version, versions.items) if one and one.at >= after),
        models=tuple(one for one in map(_model, models.items) if one and one.at >= after),
        issues=tuple(filter(None, map(_issue, issues.items))),
        whole_since=max((at for at in cut_at if at > after), default=None),
    )


def read_versions(listing: Listing) -> tuple[ListedVersion, ...]:
    """What a list of versions has, each once; what has another shape is left out."""
    return tuple({one.id: one for one in map(read_version, listing.items) if one}.values())


def read_state(versions: Listing, models: Listing, issues: Listing | None) -> ProjectState:
    """What the first pages have, to be compared with what they have at another time."""
    versions, models = versions.top or versions, models.top or models
    known_issues = None
    if issues is not None:
        moved = ((item["id"], moment(item.get("moved"))) for item in issues.items)
        known_issues = {issue_id: at for issue_id, at in moved if at is not None}
    return ProjectState(
        {
            one.id: _known_version(one, item)
            for item in versions.items
            if (one := read_version(item))
        },
        {
            item["id"]: KnownModel(at, name_of(item.get("name")))
            for item in models.items
            if (at := moment(item.get("moved"))) is not None
        },
        known_issues,
        versions.listed_from,
        models.listed_from,
        None if issues is None else issues.listed_from,
    )


def _known_version(version: ListedVersion, item: dict[str, Any]) -> KnownVersion:
    """With its message, unless that was too large to be asked for."""
    if "message" not in item:
        return KnownVersion(version.at, version.model.id)
    return KnownVersion.of(version.at, version.model.id, version.message)


def read_version(item: dict[str, Any]) -> ListedVersion | None:
    """A version as a list has it; None where the answer does not say which one, and when."""
    version_id, at = id_of(item.get("id")), moment(item.get("moved"))
    if version_id is None or at is None:
        return None
    return ListedVersion(
        version_id,
        at,
        model_ref(item.get("model")),
        person(item.get("authorUser")),
        text_of(item.get("message")),
        name_of(item.get("sourceApplication")),
        name_of(item.get("referencedObject")),
    )


def _model(item: dict[str, Any]) -> ListedModel | None:
    model_id, at = id_of(item.get("id")), moment(item.get("createdAt"))
    if model_id is None or at is None:
        return None
    return ListedModel(
        model_id,
        at,
        person(item.get("author")),
        name_of(item.get("name")),
        text_of(item.get("description")),
    )


def _issue(item: dict[str, Any]) -> ListedIssue | None:
    issue_id, at = id_of(item.get("id")), moment(item.get("createdAt"))
    if issue_id is None or at is None:
        return None
    author = participant(item.get("author"))
    return ListedIssue(issue_id, at, author, tuple(_updates(item)), tuple(_replies(item)))


def _updates(item: dict[str, Any]) -> Iterator[ListedUpdate]:
    for one in items(child(item, "activities", "items")):
        at = moment(one.get("createdAt"))
        if one.get("eventType") == "updated" and at is not None:
            yield ListedUpdate(at, participant(one.get("actor")))


def _replies(item: dict[str, Any]) -> Iterator[ListedReply]:
    for one in items(child(item, "replies", "items")):
        reply_id, at = id_of(one.get("id")), moment(one.get("createdAt"))
        if reply_id is not None and at is not None:
            yield ListedReply(reply_id, at, participant(one.get("author")))


def read_names(models: Listing, people: Sequence[tuple[str, str, str | None]]) -> ProjectNames:
    """Names by id; complete only if the server says that it has no more models.

    Models of one millisecond are lost where a page of the list ends between them.
    """
    names = {
        model_id: name
        for item in models.items
        if (model_id := id_of(item.get("id"))) and (name := name_of(item.get("name")))
    }
    complete = models.total is not None and len(names) >= models.total
    return ProjectNames(names, {user_id: name for user_id, name, _ in people}, complete)


# ── people ───────────────────────────────────────────────────────────────────────────────────


def read_people(data: Any) -> list[tuple[str, str, str | None]]:
    """Id, name and role of each of a project's people, from either question about them."""
    listed = child(data, "stream", "collaborators") or child(data, "project", "team")
    return [
        (found.id, found.name, name_of(member.get("role")))
        for member in items(listed)
        if (found := person(member.get("user", member))) and found.name is not None
    ]
