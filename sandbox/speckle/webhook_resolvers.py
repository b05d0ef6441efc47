"""Webhooks and their histories, with the server's bugs."""

from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo

from sandbox.speckle import graphql_errors
from sandbox.speckle.entities import HistoryEntry, ServerProject, Webhook
from sandbox.speckle.request_context import Asking

Info = GraphQLResolveInfo[Any]
STATUS_INFO = {
    0: "Pending",
    1: "Pending",
    2: "Webhook called",
    3: "WebhookError: Calling webhook was unsuccessful.",
}
NEGATIVE_LIMIT = (
    'select * from "webhooks_events" where "webhookId" = $1 order by "lastUpdate" desc limit $2'
    " - LIMIT must not be negative"
)


def webhooks(project: ServerProject, info: Info, id: str | None = None) -> dict[str, Any]:
    asking: Asking = info.context
    asking.need_user()
    asking.need_scope("streams:write")
    asking.need_owner(project)
    found = [hook for hook in project.webhooks if id is None or hook.id == id]
    found.sort(key=lambda hook: hook.updated_at, reverse=True)
    return {"totalCount": len(found), "items": found}


def history(hook: Webhook, info: Info, limit: int) -> dict[str, Any]:
    if limit < 0:
        raise GraphQLError(NEGATIVE_LIMIT)
    newest = sorted(hook.history, key=lambda entry: entry.last_update, reverse=True)
    return {"totalCount": len(newest), "items": newest[: limit or 100]}


def status_info(entry: HistoryEntry, info: Info) -> str:
    return STATUS_INFO[entry.status]


def create(_: None, info: Info, webhook: dict[str, Any]) -> str:
    asking: Asking = info.context
    project = asking.owned(webhook["streamId"])
    if len(webhook.get("secret") or "") > 255:
        raise GraphQLError("value too long for type character varying(255)")
    hook = asking.world.add_webhook(
        project,
        webhook["url"],
        webhook["triggers"],
        secret=webhook.get("secret") or None,
        description=webhook.get("description"),
        enabled=webhook.get("enabled") is not False,
    )
    return hook.id


def update(_: None, info: Info, webhook: dict[str, Any]) -> str:
    hook = _own_webhook(info, webhook)
    if webhook.get("url") is not None:
        hook.url = webhook["url"]
    if webhook.get("description") is not None:
        hook.description = webhook["description"]
    if webhook.get("triggers") is not None:
        hook.triggers = list(webhook["triggers"])
    if webhook.get("secret") is not None:
        hook.secret = webhook["secret"] or None
    hook.enabled = webhook.get("enabled") is not False
    hook.updated_at = info.context.world.now()
    return hook.id


def delete(_: None, info: Info, webhook: dict[str, Any]) -> str:
    hook = _own_webhook(info, webhook)
    hook.project.webhooks.remove(hook)
    return hook.id


def _own_webhook(info: Info, webhook: dict[str, Any]) -> Webhook:
    asking: Asking = info.context
    project = asking.owned(webhook["streamId"])
    for hook in project.webhooks:
        if hook.id == webhook["id"]:
            return hook
    raise graphql_errors.forbidden(graphql_errors.WRONG_WEBHOOK)


WEBHOOKS: dict[str, Any] = {
    "Project.webhooks": webhooks,
    "Webhook.projectId": lambda hook, info: hook.project.id,
    # Kept as the keys of a jsonb object: each once, the short ones first.
    "Webhook.triggers": lambda hook, info: sorted(set(hook.triggers), key=lambda t: (len(t), t)),
    "Webhook.hasSecret": lambda hook, info: bool(hook.secret),
    "Webhook.history": history,
    "WebhookEvent.statusInfo": status_info,
    "WebhookEvent.retryCount": lambda entry, info: None,  # asking for it spoils the list
    "Mutation.webhookCreate": create,
    "Mutation.webhookUpdate": update,
    "Mutation.webhookDelete": delete,
}
