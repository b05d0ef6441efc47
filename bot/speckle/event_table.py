"""One row an event: its value, and all that reads, groups and checks it.

Its card is its row in bot/cards/event_table.py; the tables of docs/events.md are written from both.
Source for triggers: a Speckle Server 2.31 and the list `WebhookTriggers` of its web application.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bot.speckle import event_parsers as parse
from bot.speckle.confirmation import (
    ARCHIVED,
    MENTION,
    NEW_THREAD,
    NEW_VERSION,
    RECEIVED,
    REPLY,
    ServerCheck,
)
from bot.speckle.events import (
    AccessDeclined,
    AccessRequested,
    CommentCreated,
    CommentMentioned,
    CommentReopened,
    CommentReplied,
    CommentResolved,
    Event,
    EventKind,
    InvitationAccepted,
    InvitationDeclined,
    InvitationSent,
    ModelCreated,
    ModelDeleted,
    ModelUpdated,
    PermissionGranted,
    PermissionRevoked,
    ProjectDeleted,
    ProjectUpdated,
    UnknownEvent,
    VersionCreated,
    VersionDeleted,
    VersionMoved,
    VersionReceived,
    VersionUpdated,
)
from bot.speckle.events import EventGroup as Group
from bot.speckle.wire import JsonObject

Parser = Callable[[JsonObject, str], Event]
"""(event.data, activityMessage) → event."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event, and how it comes: `triggers` are Speckle's names for it.

    `listed` is whether Speckle's webhook page offers them; the others need its API. `check` is what
    the server is asked about it, if anything.
    """

    value: type[Event]
    group: Group
    triggers: tuple[str, ...]
    listed: bool
    parse: Parser
    check: ServerCheck | None = None

    @property
    def kind(self) -> EventKind:
        """Our name for the event."""
        return self.value.kind


ON_PAGE = True
API_ONLY = False
# Newer public servers document these; their data is not known, so they are unknown events.
ISSUES = ("issue_created", "issue_updated", "issue_reply_created", "issue_deleted")

EVENTS = (
    EventRow(
        VersionCreated,
        Group.VERSIONS,
        ("commit_create",),
        ON_PAGE,
        parse.version_created,
        NEW_VERSION,
    ),
    EventRow(VersionUpdated, Group.VERSIONS, ("commit_update",), ON_PAGE, parse.version_updated),
    EventRow(
        VersionReceived,
        Group.VERSIONS,
        ("commit_receive",),
        ON_PAGE,
        parse.version_received,
        RECEIVED,
    ),
    EventRow(VersionDeleted, Group.VERSIONS, ("commit_delete",), ON_PAGE, parse.version_deleted),
    EventRow(VersionMoved, Group.VERSIONS, ("commit_move",), API_ONLY, parse.version_moved),
    EventRow(ModelCreated, Group.MODELS, ("branch_create",), ON_PAGE, parse.model_created),
    EventRow(ModelUpdated, Group.MODELS, ("branch_update",), ON_PAGE, parse.model_updated),
    EventRow(ModelDeleted, Group.MODELS, ("branch_delete",), ON_PAGE, parse.model_deleted),
    EventRow(
        CommentCreated,
        Group.COMMENTS,
        ("comment_created",),
        ON_PAGE,
        parse.comment_created,
        NEW_THREAD,
    ),
    EventRow(
        CommentReplied, Group.COMMENTS, ("comment_replied",), ON_PAGE, parse.comment_replied, REPLY
    ),
    EventRow(
        CommentResolved,
        Group.COMMENTS,
        ("comment_archived",),
        ON_PAGE,
        parse.comment_archived,
        ARCHIVED,
    ),
    EventRow(
        CommentReopened,
        Group.COMMENTS,
        ("comment_archived",),
        ON_PAGE,
        parse.comment_archived,
        ARCHIVED,
    ),
    EventRow(
        CommentMentioned,
        Group.COMMENTS,
        ("comment_mention",),
        API_ONLY,
        parse.comment_mentioned,
        MENTION,
    ),
    EventRow(ProjectUpdated, Group.PROJECT, ("stream_update",), ON_PAGE, parse.project_updated),
    EventRow(ProjectDeleted, Group.PROJECT, ("stream_delete",), ON_PAGE, parse.project_deleted),
    EventRow(
        PermissionGranted,
        Group.PEOPLE,
        ("stream_permissions_add",),
        ON_PAGE,
        parse.permission_granted,
    ),
    EventRow(
        PermissionRevoked,
        Group.PEOPLE,
        ("stream_permissions_remove",),
        ON_PAGE,
        parse.permission_revoked,
    ),
    EventRow(
        InvitationSent, Group.PEOPLE, ("stream_invite_sent",), API_ONLY, parse.invitation_sent
    ),
    EventRow(
        InvitationAccepted,
        Group.PEOPLE,
        ("stream_permissions_invite_accepted",),
        API_ONLY,
        parse.invitation_accepted,
    ),
    EventRow(
        InvitationDeclined,
        Group.PEOPLE,
        ("stream_invite_declined",),
        API_ONLY,
        parse.invitation_declined,
    ),
    EventRow(
        AccessRequested,
        Group.PEOPLE,
        ("stream_access_request_sent",),
        API_ONLY,
        parse.access_requested,
    ),
    EventRow(
        AccessDeclined,
        Group.PEOPLE,
        ("stream_access_request_declined",),
        API_ONLY,
        parse.access_declined,
    ),
    EventRow(UnknownEvent, Group.OTHER, ISSUES, API_ONLY, parse.unknown_event),
)
"""In the order in which people see them."""

BY_KIND: Mapping[EventKind, EventRow] = {row.kind: row for row in EVENTS}
PARSERS: Mapping[str, Parser] = {name: row.parse for row in EVENTS for name in row.triggers}
"""By trigger; two events that share one share its parser."""


def kinds_of(group: Group) -> tuple[EventKind, ...]:
    """The events of a group."""
    return tuple(row.kind for row in EVENTS if row.group is group)
