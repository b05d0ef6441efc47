"""One row an event: its value, and all that reads, groups and checks it.

Its card is its row in bot/cards/event_table.py; the tables of docs/events.md are written from both.
Sources: for triggers, a Speckle Server 2.31 and the list `WebhookTriggers` of its web application;
for issues, Speckle's documentation. The page calls events by the names here since 2.23.9, and by
their triggers before that.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bot.speckle import event_parsers as parse
from bot.speckle.confirmation import (
    ARCHIVED,
    ISSUE,
    MENTION,
    NEW_THREAD,
    NEW_VERSION,
    RECEIVED,
    REPLY,
    ServerCheck,
)
from bot.speckle.event_subjects import AUTOMATION_FAILED
from bot.speckle.events import (
    AccessDeclined,
    AccessRequested,
    AutomationFailed,
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
    IssueCreated,
    IssueDeleted,
    IssueReplied,
    IssueUpdated,
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

    `page_names` are what Speckle's webhook page calls them; events without one need its API.
    `check` is what the server is asked about it, if anything. After an event that `ends`, what it
    is about is gone. `said` is what happened to a person, in the words of its card. `own_name` is
    the bot's name for what it finds out itself once a trigger has come; only channels that name
    such an event are shown it.
    """

    value: type[Event]
    group: Group
    triggers: tuple[str, ...]
    page_names: tuple[str, ...]
    parse: Parser
    check: ServerCheck | None = None
    ends: bool = False
    said: str = ""
    own_name: str | None = None

    @property
    def wire_names(self) -> tuple[str, ...]:
        """What its deliveries are called."""
        return self.triggers if self.own_name is None else (self.own_name,)

    @property
    def kind(self) -> EventKind:
        """Our name for the event."""
        return self.value.kind


API_ONLY: tuple[str, ...] = ()

EVENTS = (
    EventRow(
        VersionCreated,
        Group.VERSIONS,
        ("commit_create",),
        ("version_create",),
        parse.version_created,
        NEW_VERSION,
    ),
    EventRow(
        VersionUpdated,
        Group.VERSIONS,
        ("commit_update",),
        ("version_update",),
        parse.version_updated,
    ),
    EventRow(
        VersionReceived,
        Group.VERSIONS,
        ("commit_receive",),
        ("version_receive",),
        parse.version_received,
        RECEIVED,
    ),
    EventRow(
        VersionDeleted,
        Group.VERSIONS,
        ("commit_delete",),
        ("version_delete",),
        parse.version_deleted,
        ends=True,
    ),
    EventRow(VersionMoved, Group.VERSIONS, ("commit_move",), API_ONLY, parse.version_moved),
    EventRow(
        AutomationFailed,
        Group.VERSIONS,
        ("commit_create",),
        ("version_create",),
        parse.automation_failed,
        own_name=AUTOMATION_FAILED,
    ),
    EventRow(
        ModelCreated, Group.MODELS, ("branch_create",), ("model_create",), parse.model_created
    ),
    EventRow(
        ModelUpdated, Group.MODELS, ("branch_update",), ("model_update",), parse.model_updated
    ),
    EventRow(
        ModelDeleted,
        Group.MODELS,
        ("branch_delete",),
        ("model_delete",),
        parse.model_deleted,
        ends=True,
    ),
    EventRow(
        IssueCreated,
        Group.ISSUES,
        ("issue_created",),
        ("issue_created",),
        parse.issue_created,
        ISSUE,
    ),
    EventRow(
        IssueUpdated,
        Group.ISSUES,
        ("issue_updated",),
        ("issue_updated",),
        parse.issue_updated,
        ISSUE,
    ),
    EventRow(
        IssueReplied,
        Group.ISSUES,
        ("issue_reply_created",),
        ("issue_reply_created",),
        parse.issue_replied,
        ISSUE,
    ),
    EventRow(
        IssueDeleted,
        Group.ISSUES,
        ("issue_deleted",),
        ("issue_deleted",),
        parse.issue_deleted,
        ends=True,
    ),
    EventRow(
        CommentCreated,
        Group.ISSUES,
        ("comment_created",),
        ("comment_created",),
        parse.comment_created,
        NEW_THREAD,
    ),
    EventRow(
        CommentReplied,
        Group.ISSUES,
        ("comment_replied",),
        ("comment_replied",),
        parse.comment_replied,
        REPLY,
    ),
    EventRow(
        CommentResolved,
        Group.ISSUES,
        ("comment_archived",),
        ("comment_archived",),
        parse.comment_archived,
        ARCHIVED,
    ),
    EventRow(
        CommentReopened,
        Group.ISSUES,
        ("comment_archived",),
        ("comment_archived",),
        parse.comment_archived,
        ARCHIVED,
    ),
    EventRow(
        CommentMentioned,
        Group.ISSUES,
        ("comment_mention",),
        API_ONLY,
        parse.comment_mentioned,
        MENTION,
    ),
    EventRow(
        ProjectUpdated,
        Group.PROJECT,
        ("stream_update",),
        ("project_update",),
        parse.project_updated,
    ),
    EventRow(
        ProjectDeleted,
        Group.PROJECT,
        ("stream_delete",),
        ("project_delete",),
        parse.project_deleted,
        ends=True,
    ),
    EventRow(
        PermissionGranted,
        Group.PEOPLE,
        ("stream_permissions_add",),
        ("project_permissions_add",),
        parse.permission_granted,
        said="joined",
    ),
    EventRow(
        PermissionRevoked,
        Group.PEOPLE,
        ("stream_permissions_remove",),
        ("project_permissions_remove",),
        parse.permission_revoked,
        said="left",
    ),
    EventRow(
        InvitationSent,
        Group.PEOPLE,
        ("stream_invite_sent",),
        API_ONLY,
        parse.invitation_sent,
        said="invited",
    ),
    EventRow(
        InvitationAccepted,
        Group.PEOPLE,
        ("stream_permissions_invite_accepted",),
        API_ONLY,
        parse.invitation_accepted,
        said="accepted",
    ),
    EventRow(
        InvitationDeclined,
        Group.PEOPLE,
        ("stream_invite_declined",),
        API_ONLY,
        parse.invitation_declined,
        said="declined",
    ),
    EventRow(
        AccessRequested,
        Group.PEOPLE,
        ("stream_access_request_sent",),
        API_ONLY,
        parse.access_requested,
        said="asked for access",
    ),
    EventRow(
        AccessDeclined,
        Group.PEOPLE,
        ("stream_access_request_declined",),
        API_ONLY,
        parse.access_declined,
        said="refused access",
    ),
    EventRow(UnknownEvent, Group.OTHER, (), API_ONLY, parse.unknown_event),
)
"""In the order in which people see them."""

BY_KIND: Mapping[EventKind, EventRow] = {row.kind: row for row in EVENTS}
PARSERS: Mapping[str, Parser] = {name: row.parse for row in EVENTS for name in row.wire_names}
"""By what deliveries are called; two events that share a name share its parser."""
OWN_KINDS: frozenset[EventKind] = frozenset(row.kind for row in EVENTS if row.own_name is not None)
"""What the bot finds out itself, for channels that name it."""


def kinds_of(group: Group) -> tuple[EventKind, ...]:
    """The events of a group."""
    return tuple(row.kind for row in EVENTS if row.group is group)
