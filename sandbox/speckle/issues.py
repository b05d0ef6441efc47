"""The issues of a server's projects, which newer releases have in place of comments."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from sandbox.speckle.documents import paragraph
from sandbox.speckle.entities import ServerProject, User, Version
from sandbox.speckle.published_changes import ISSUES, Publication
from sandbox.speckle.speckle_world import SpeckleWorld


class IssueDataShape(Enum):
    """What an issue's event carries: nobody could say, so each has to do."""

    NOTHING = "nothing"
    ISSUE_ID = "issueId"
    ID = "id"
    INPUT = "input"


@dataclass(frozen=True)
class Label:
    """A label; `hex_color` as somebody typed it."""

    name: str
    hex_color: str = "#1f6feb"
    id: str = field(default_factory=lambda: secrets.token_hex(5))


@dataclass(eq=False)
class ServerIssueReply:
    """An answer to an issue."""

    id: str
    issue: "ServerIssue" = field(repr=False)
    author: User
    doc: dict[str, Any]
    created_at: datetime
    attachments: tuple[Mapping[str, Any], ...] = ()


@dataclass(eq=False)
class IssueActivity:
    """One line of an issue's history; `payload` has the fields of IssueUpdatedActivityPayload."""

    id: str
    event_type: str
    actor: User
    created_at: datetime
    payload: dict[str, Any]


@dataclass(eq=False)
class ServerIssue:
    """An issue; `resources` as the viewer's address has them."""

    id: str
    project: ServerProject = field(repr=False)
    number: int
    title: str
    doc: dict[str, Any]
    author: User
    created_at: datetime
    updated_at: datetime
    resources: str
    status: str = "open"
    priority: str = "none"
    assignee: User | None = None
    labels: tuple[Label, ...] = ()
    due_date: datetime | None = None
    attachments: tuple[Mapping[str, Any], ...] = ()
    replies: list[ServerIssueReply] = field(default_factory=list)
    activities: list[IssueActivity] = field(default_factory=list)

    @property
    def identifier(self) -> str:
        """Its name on the page: the project's prefix and a number."""
        prefix = "".join(word[0] for word in self.project.name.split()).upper()
        return f"{prefix}-{self.number}"


class IssueWorld(SpeckleWorld):
    """A world with issues. What changes one gives the data of its event."""

    def __init__(self) -> None:
        super().__init__()
        self.issues: dict[str, list[ServerIssue]] = {}  # by project id
        self.issue_data = IssueDataShape.ISSUE_ID

    def add_issue(
        self,
        project: ServerProject,
        title: str,
        *,
        author: User,
        text: str = "",
        versions: Sequence[Version] = (),
        resources: str | None = None,
        at: datetime | None = None,
        id: str | None = None,
        **more: Any,
    ) -> tuple[ServerIssue, dict[str, Any]]:
        """An issue on versions; `more` are status, priority, assignee, labels, due_date."""
        now = at or self.now()
        there = self.issues.setdefault(project.id, [])
        on = ",".join(f"{version.model.id}@{version.id}" for version in versions)
        issue = ServerIssue(
            id=id or secrets.token_hex(5),
            project=project,
            number=len(there) + 1,
            title=title,
            doc=paragraph(text),
            author=author,
            created_at=now,
            updated_at=now,
            resources=on if resources is None else resources,
            **more,
        )
        there.append(issue)
        self._note_activity(issue, "created", author, now)
        self.publish(issue_changed("created", issue))
        return issue, self._data(issue, issue.id)

    def update_issue(
        self, issue: ServerIssue, *, by: User, at: datetime | None = None, **changes: Any
    ) -> dict[str, Any]:
        """Change title, text, status, priority, assignee, labels, due_date or resources."""
        payload: dict[str, Any] = {"__typename": "IssueUpdatedActivityPayload"}
        for name, value in changes.items():
            payload |= _before_and_after(issue, name, value)
            if name == "text":
                issue.doc = paragraph(value)
            else:
                setattr(issue, name, value)
        self._note_activity(issue, "updated", by, at or self.now(), payload)
        self.publish(issue_changed("updated", issue))
        return self._data(issue, issue.id)

    def reply_to_issue(
        self,
        issue: ServerIssue,
        *,
        author: User,
        text: str,
        at: datetime | None = None,
        attachments: Sequence[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        """Somebody answers."""
        now = at or self.now()
        reply = ServerIssueReply(
            secrets.token_hex(5), issue, author, paragraph(text), now, tuple(attachments)
        )
        issue.replies.append(reply)
        self._note_activity(issue, "replyCreated", author, now)
        self.publish(issue_changed("replyCreated", issue, reply))
        return self._data(issue, reply.id)

    def delete_issue(self, issue: ServerIssue) -> dict[str, Any]:
        """The issue is gone."""
        self.issues[issue.project.id].remove(issue)
        self.publish(issue_changed("deleted", issue))
        return self._data(issue, issue.id)

    def _note_activity(
        self,
        issue: ServerIssue,
        event_type: str,
        actor: User,
        at: datetime,
        payload: dict[str, Any] | None = None,
    ) -> None:
        issue.updated_at = at
        other = {"__typename": "IssueOtherActivityPayload"}
        issue.activities.append(
            IssueActivity(secrets.token_hex(10), event_type, actor, at, payload or other)
        )

    def _data(self, issue: ServerIssue, subject_id: str) -> dict[str, Any]:
        match self.issue_data:
            case IssueDataShape.NOTHING:
                return {}
            case IssueDataShape.ISSUE_ID:
                return {"issueId": issue.id}
            case IssueDataShape.ID:
                return {"id": subject_id}
            case IssueDataShape.INPUT:
                return {"input": {"issueId": issue.id, "projectId": issue.project.id}}


def _before_and_after(issue: ServerIssue, name: str, value: Any) -> dict[str, Any]:
    """What the history says of one change."""
    match name:
        case "resources":
            return {"is3DDataReferenceChanged": True}
        case "text":
            return {
                "descriptionBefore": {"doc": issue.doc},
                "descriptionAfter": {"doc": paragraph(value)},
            }
        case "labels":
            return {
                "labelsAdded": [one.name for one in value if one not in issue.labels],
                "labelsRemoved": [one.name for one in issue.labels if one not in value],
            }
        case "assignee":
            return {
                "assigneeBefore": participant(issue.assignee),
                "assigneeAfter": participant(value),
            }
        case "due_date":
            return {"dueDateBefore": issue.due_date, "dueDateAfter": value}
        case _:
            return {f"{name}Before": getattr(issue, name), f"{name}After": value}


def issue_changed(
    kind: str, issue: ServerIssue, reply: ServerIssueReply | None = None
) -> Publication:
    """An issue was opened, changed, answered or deleted. None of it was recorded: the frame has
    what the schema has, and of a deleted issue its id alone, as with all else that is deleted.
    """
    message = {
        "type": kind,
        "id": issue.id,
        "project": issue.project,
        "issue": None if kind == "deleted" else issue,
        "reply": reply,
    }
    named = {name for name in issue.resources.split(",") if name}
    on = frozenset(named | {name.partition("@")[0] for name in named})
    return Publication(ISSUES, issue.project, message, on)


def participant(user: User | None) -> dict[str, Any] | None:
    """A person as issues have them."""
    return None if user is None else {"id": user.id, "user": user}
