"""Questions about issues."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from graphql import GraphQLResolveInfo

from sandbox.speckle import graphql_errors
from sandbox.speckle.entities import ServerProject
from sandbox.speckle.event_data import iso
from sandbox.speckle.issues import (
    IssueActivity,
    IssueWorld,
    ServerIssue,
    ServerIssueReply,
    participant,
)

Info = GraphQLResolveInfo[Any]
DEFAULT_LIMIT = 25


def issues_of(project: ServerProject, info: Info) -> list[ServerIssue]:
    world = info.context.world
    assert isinstance(world, IssueWorld)
    return world.issues.get(project.id, [])


def issue(project: ServerProject, info: Info, id: str) -> ServerIssue:
    for found in issues_of(project, info):
        if found.id == id:
            return found
    raise graphql_errors.refused("Issue not found", "ISSUE_NOT_FOUND", 404)


def issues(project: ServerProject, info: Info, input: Any = None) -> dict[str, Any]:
    wanted = input or {}
    found = [one for one in issues_of(project, info) if _is_wanted(one, wanted)]
    by_change = wanted.get("sortBy") == "updatedAt"
    found.sort(
        key=lambda one: one.updated_at if by_change else one.created_at,
        reverse=wanted.get("sortDirection") != "asc",
    )
    return _page(found, wanted)


def _is_wanted(one: ServerIssue, wanted: dict[str, Any]) -> bool:
    on = wanted.get("resourceIdString")
    changed = wanted.get("updatedAt") or {}
    return (
        (not wanted.get("statuses") or one.status in wanted["statuses"])
        and (on is None or bool(set(on.split(",")) & _resources(one)))
        and (not changed.get("after") or iso(one.updated_at) > _moment(changed["after"]))
        and (not changed.get("before") or iso(one.updated_at) < _moment(changed["before"]))
    )


def _resources(one: ServerIssue) -> set[str]:
    """What it is on, with and without the version."""
    named = set(one.resources.split(","))
    return named | {name.partition("@")[0] for name in named}


def _moment(text: str) -> str:
    return iso(datetime.fromisoformat(text.replace("Z", "+00:00")))


def _page(found: Sequence[Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """A page of a list; the cursor is the number of the next one."""
    first = int(wanted.get("cursor") or 0)
    limit = DEFAULT_LIMIT if wanted.get("limit") is None else wanted["limit"]
    after = first + limit
    cursor = str(after) if after < len(found) else None
    return {"totalCount": len(found), "cursor": cursor, "items": found[first:after]}


def activities(found: ServerIssue, info: Info, input: Any = None) -> dict[str, Any]:
    return _page(_in_order(found.activities, input or {}), input or {})


def replies(found: ServerIssue, info: Info, input: Any = None) -> dict[str, Any]:
    return _page(_in_order(found.replies, input or {}), input or {})


def _in_order(found: Sequence[Any], wanted: dict[str, Any]) -> Sequence[Any]:
    return found[::-1] if wanted.get("sortDirection") == "desc" else found


def description(found: ServerIssue | ServerIssueReply, info: Info) -> dict[str, Any]:
    return {
        "type": "issue",
        "version": "1.0.0",
        "doc": found.doc,
        "attachments": list(found.attachments),
    }


def picture(found: ServerIssue, info: Info) -> str:
    return f"{info.context.url}/api/projects/{found.project.id}/issues/{found.id}/preview"


def author(found: ServerIssue | ServerIssueReply, info: Info) -> dict[str, Any] | None:
    return participant(found.author)


def actor(found: IssueActivity, info: Info) -> dict[str, Any] | None:
    return participant(found.actor)


ISSUES: dict[str, Any] = {
    "Project.issue": issue,
    "Project.issues": issues,
    "Issue.activities": activities,
    "Issue.replies": replies,
    "Issue.description": description,
    "Issue.previewUrl": picture,
    "Issue.thumbnailUrl": picture,
    "Issue.author": author,
    "Issue.assignee": lambda found, info: participant(found.assignee),
    "Issue.resourceIdString": lambda found, info: found.resources,
    "Issue.projectId": lambda found, info: found.project.id,
    "IssueActivity.actor": actor,
    "IssueReply.author": author,
    "IssueReply.description": description,
    "IssueReply.issueId": lambda found, info: found.issue.id,
}
