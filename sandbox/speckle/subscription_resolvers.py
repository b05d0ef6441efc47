"""The fields of subscriptions: what is checked with each frame, once its reader may read."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from graphql import GraphQLResolveInfo

from sandbox.speckle.published_changes import (
    AUTOMATIONS,
    COMMENTS,
    ISSUES,
    MODELS,
    OWN_PROJECTS,
    PREVIEWS,
    PROJECT,
    VERSIONS,
)

Info = GraphQLResolveInfo[Any]


def _message(scope: str | None) -> Callable[..., Any]:
    """A field's message; a refusal for strangers and for tokens without the scope."""

    def resolve(event: Mapping[str, Any], info: Info, **arguments: Any) -> Any:
        if scope is not None:
            info.context.need_user()
            info.context.need_scope(scope)
        return event[info.field_name]

    return resolve


READ: Final = _message("streams:read")
SUBSCRIPTIONS: dict[str, Any] = {
    f"Subscription.{VERSIONS}": READ,
    f"Subscription.{MODELS}": READ,
    f"Subscription.{PROJECT}": READ,
    f"Subscription.{PREVIEWS}": READ,
    f"Subscription.{AUTOMATIONS}": READ,
    f"Subscription.{ISSUES}": READ,
    f"Subscription.{OWN_PROJECTS}": _message("profile:read"),
    f"Subscription.{COMMENTS}": _message(None),  # recorded: strangers hear of public projects' too
}
