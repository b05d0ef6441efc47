"""People, projects and webhooks: the questions about them, and their answers as values. No I/O.

No answer is trusted: what has another shape than expected is nothing, or SpeckleRejected where
nothing makes no sense. Nothing here asks for avatars, which come inline with up to 400 kB each
(avatars.py), or for `retryCount`, for which the whole history comes back null. Source: a recorded
Speckle Server 2.31.
"""

from typing import Any, Final

from bot.speckle.wire import MAX_TEXT, SURROGATE, id_of, name_of, text_of
from bot.speckle_api.answers import child, count, items, moment
from bot.speckle_api.types import (
    CallStatus,
    Me,
    ModelChoice,
    ProjectChoice,
    ProjectRights,
    RecordedCall,
    SpeckleWebhook,
    WebhookHistory,
)

ME: Final = "query Me { activeUser { id name } }"

# Each is refused where the scope is missing, and touches nothing. A project of one's own is the
# surest to ask for; who has none, or may not list them, is asked for the list of all.
PROFILE_SCOPE: Final = "query ProfileScope { activeUser { projects(limit: 1) { items { id } } } }"
READ_SCOPE: Final = "query ReadScope($project: String!) { project(id: $project) { id } }"
READ_SCOPE_ANYWHERE: Final = "query ReadScopeAnywhere { streams(limit: 1) { totalCount } }"
WRITE_SCOPE: Final = "mutation WriteScope { versionMutations { __typename } }"

PROJECTS: Final = """
query Projects($search: String, $limit: Int!) {
  activeUser { projects(limit: $limit, filter: {search: $search}) { items { id name } } }
}
"""
MODELS: Final = """
query Models($project: String!, $search: String, $limit: Int!) {
  project(id: $project) {
    models(limit: $limit, filter: {search: $search}) { items { id name } }
  }
}
"""
PROJECT: Final = """
query Project($project: String!) {
  project(id: $project) {
    id name visibility
    permissions { canReadWebhooks { authorized code } }
  }
}
"""
WEBHOOKS: Final = """
query Webhooks($project: String!) {
  project(id: $project) {
    webhooks { items { id url description triggers enabled hasSecret } }
  }
}
"""
CREATE_WEBHOOK: Final = """
mutation CreateWebhook($webhook: WebhookCreateInput!) { webhookCreate(webhook: $webhook) }
"""
UPDATE_WEBHOOK: Final = """
mutation UpdateWebhook($webhook: WebhookUpdateInput!) { webhookUpdate(webhook: $webhook) }
"""
DELETE_WEBHOOK: Final = """
mutation DeleteWebhook($webhook: WebhookDeleteInput!) { webhookDelete(webhook: $webhook) }
"""
HISTORY: Final = """
query History($project: String!, $webhook: String!, $limit: Int!, $bodies: Boolean!) {
  project(id: $project) {
    webhooks(id: $webhook) {
      items {
        history(limit: $limit) {
          totalCount
          items { id status lastUpdate payload @include(if: $bodies) }
        }
      }
    }
  }
}
"""
MODEL_NAMES: Final = """
query ModelNames($project: String!, $ids: [String!]!, $limit: Int!) {
  project(id: $project) { models(limit: $limit, filter: {ids: $ids}) { items { id name } } }
}
"""


# ── a person and their projects ──────────────────────────────────────────────────────────────


def read_me(data: Any) -> Me | None:
    """Whose token it is; None for nobody."""
    user = child(data, "activeUser")
    user_id = id_of(child(user, "id"))
    return None if user_id is None else Me(user_id, name_of(child(user, "name")))


def read_projects(data: Any, search: str) -> list[ProjectChoice]:
    """The projects that hold the search text; the server takes `%` and `_` for wildcards."""
    return [
        ProjectChoice(project_id, name_of(item.get("name")) or project_id)
        for item in items(child(data, "activeUser", "projects", "items"))
        if (project_id := id_of(item.get("id"))) and _holds(search, item.get("name"), project_id)
    ]


def read_models(data: Any, search: str) -> list[ModelChoice]:
    """The models that hold the search text."""
    return [
        ModelChoice(model_id, model_name)
        for item in items(child(data, "project", "models", "items"))
        if (model_id := id_of(item.get("id")))
        and (model_name := name_of(item.get("name")))
        and _holds(search, model_name)
    ]


def _holds(search: str, *texts: Any) -> bool:
    wanted = search.casefold()
    return any(wanted in found.casefold() for found in texts if isinstance(found, str))


def read_project(data: Any) -> ProjectRights | None:
    """The project, and what the person may do in it."""
    project = child(data, "project")
    project_id, visibility = id_of(child(project, "id")), text_of(child(project, "visibility"), 32)
    if project_id is None or visibility is None:
        return None
    may = child(project, "permissions", "canReadWebhooks")
    authorized = child(may, "authorized") is True
    return ProjectRights(
        id=project_id,
        name=name_of(child(project, "name")) or project_id,
        visibility=visibility.lower(),
        may_webhooks=authorized,
        why_not=None if authorized else text_of(child(may, "code"), 64),
    )


# ── webhooks ─────────────────────────────────────────────────────────────────────────────────


def read_webhooks(data: Any) -> list[SpeckleWebhook]:
    """A project's webhooks."""
    return [
        SpeckleWebhook(
            id=webhook_id,
            url=text_of(item.get("url"), MAX_TEXT) or "",
            triggers=_texts(item.get("triggers")),
            enabled=item.get("enabled") is True,
            has_secret=item.get("hasSecret") is True,
            description=text_of(item.get("description")),
        )
        for item in items(child(data, "project", "webhooks", "items"))
        if (webhook_id := id_of(item.get("id")))
    ]


def _texts(value: Any) -> tuple[str, ...]:
    found = map(name_of, value if isinstance(value, list) else ())
    return tuple(item for item in found if item is not None)


STATUS = dict(enumerate(CallStatus))  # 0 queued, 1 being called, 2 delivered, 3 failed


def read_history(data: Any) -> WebhookHistory | None:
    """The webhook's history; None where there is no such webhook."""
    webhook = next(items(child(data, "project", "webhooks", "items")), None)
    if webhook is None:
        return None
    found = webhook.get("history")
    calls = [call for item in items(child(found, "items")) if (call := _call(item))]
    return WebhookHistory(count(child(found, "totalCount")) or len(calls), tuple(calls))


def _call(item: dict[str, Any]) -> RecordedCall | None:
    call_id, at, status = id_of(item.get("id")), moment(item.get("lastUpdate")), item.get("status")
    if call_id is None or at is None or type(status) is not int or status not in STATUS:
        return None
    payload = item.get("payload")
    body = None
    if isinstance(payload, str):
        # Byte for byte what was sent: the server sends the text that it keeps.
        body = b'{"payload":' + SURROGATE.sub("\N{REPLACEMENT CHARACTER}", payload).encode() + b"}"
    return RecordedCall(call_id, STATUS[status], at, body)


# ── what a webhook leaves out ────────────────────────────────────────────────────────────────
