"""One row an event: its card, and what docs/events.md says of it.

Everything else about the event is its row in bot/speckle/event_table.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.cards import render_comments as comments
from bot.cards import render_issues as issues
from bot.cards import render_people as people
from bot.cards import render_project as project
from bot.cards import render_versions as versions
from bot.cards.card_context import CardContext, CardParts
from bot.cards.colours import DANGER, INFO, PRIMARY, SUCCESS, VIOLET, WARNING
from bot.speckle.events import EventKind

# Any is the event that the table's key names.
Renderer = Callable[[CardContext, Any], CardParts | None]


@dataclass(frozen=True, slots=True)
class CardRow:
    """How an event looks: its renderer, its colour, and a sentence for the docs on what it shows.

    In that sentence, *Added:* begins what only the Speckle server can say.
    """

    render: Renderer
    colour: int
    shows: str


CARDS: Mapping[EventKind, CardRow] = {
    EventKind.VERSION_CREATED: CardRow(
        versions.version_created,
        PRIMARY,
        'A new version: model, message, application ("Revit 2025"). *Added:* its number of '
        "objects, the version before and how long ago that was, open issues or threads on the "
        "model, its picture. Buttons: *Open in Speckle*, *Compare*",
    ),
    EventKind.VERSION_UPDATED: CardRow(
        versions.version_updated,
        INFO,
        "A version's message, before and after. Nothing if the message stayed the same",
    ),
    EventKind.VERSION_RECEIVED: CardRow(
        versions.version_received,
        INFO,
        "Who loaded a version, into which application. *Added:* which version",
    ),
    EventKind.VERSION_DELETED: CardRow(
        versions.version_deleted,
        DANGER,
        "A version that is gone: model, message, application",
    ),
    EventKind.VERSION_MOVED: CardRow(
        versions.version_moved,
        INFO,
        "A version that went to another model: from, to",
    ),
    EventKind.AUTOMATION_FAILED: CardRow(
        versions.automation_failed,
        DANGER,
        "Checks of a version that found errors or could not run, once all have ended; the bot asks "
        "the server for them. Only where a channel's `events` name it",
    ),
    EventKind.MODEL_CREATED: CardRow(
        versions.model_created,
        PRIMARY,
        "A new model and its description",
    ),
    EventKind.MODEL_UPDATED: CardRow(
        versions.model_updated,
        INFO,
        "A model's name and description, before and after. Nothing if both stayed the same",
    ),
    EventKind.MODEL_DELETED: CardRow(
        versions.model_deleted,
        DANGER,
        "A model that is gone. Its versions are gone with it; Speckle sends nothing for "
        "each of them",
    ),
    EventKind.ISSUE_CREATED: CardRow(
        issues.issue_created,
        VIOLET,
        "An issue that was opened. *Added:* its number and title, text, status, priority, "
        "assignee, labels, due date, the models that it is on, its picture",
    ),
    EventKind.ISSUE_UPDATED: CardRow(
        issues.issue_updated,
        INFO,
        "That an issue was changed. *Added:* which one, and what was changed, before and after",
    ),
    EventKind.ISSUE_REPLIED: CardRow(
        issues.issue_replied,
        VIOLET,
        "A reply to an issue. *Added:* its text, and which issue it is",
    ),
    EventKind.ISSUE_DELETED: CardRow(
        issues.issue_deleted,
        DANGER,
        "An issue that is gone, and what Speckle says about it",
    ),
    EventKind.COMMENT_CREATED: CardRow(
        comments.comment_created,
        VIOLET,
        "A new thread: its text, what it is on (models, versions, a folder, the whole project), "
        "its screenshot. *Added:* the names of the models, of its files and their sizes",
    ),
    EventKind.COMMENT_REPLIED: CardRow(
        comments.comment_replied,
        VIOLET,
        "A reply's text, and a button that opens the thread. *Added:* the thread's first line, "
        "what it is on, the names of the reply's files",
    ),
    EventKind.COMMENT_RESOLVED: CardRow(
        comments.comment_resolved,
        SUCCESS,
        "A thread that was resolved. *Added:* its first line and what it is on",
    ),
    EventKind.COMMENT_REOPENED: CardRow(
        comments.comment_reopened,
        VIOLET,
        "A resolved thread that was opened again. Speckle sends it under the same trigger. "
        "*Added:* the same",
    ),
    EventKind.COMMENT_MENTIONED: CardRow(
        comments.comment_mentioned,
        VIOLET,
        "Someone was mentioned. Only where the channel does not get the comment itself, whose "
        "text says who is mentioned. *Added:* the same",
    ),
    EventKind.PROJECT_UPDATED: CardRow(
        project.project_updated,
        INFO,
        "What changed of name, description, visibility and who may comment, before and "
        "after. With a warning if the project became public. Nothing if nothing changed",
    ),
    EventKind.PROJECT_DELETED: CardRow(
        project.project_deleted,
        DANGER,
        "The project is gone. The channel's subscription is paused, as nothing more can come",
    ),
    EventKind.PERMISSION_GRANTED: CardRow(
        people.permission_granted,
        SUCCESS,
        "Who got which role. **Servers since July 2025 (2.25.8) no longer send it**: use "
        "`invitation_accepted`",
    ),
    EventKind.PERMISSION_REVOKED: CardRow(
        people.permission_revoked,
        DANGER,
        "Who was removed, or left. **Servers since July 2025 (2.25.8) no longer send it**",
    ),
    EventKind.INVITATION_SENT: CardRow(
        people.invitation_sent,
        INFO,
        "Who invited someone",
    ),
    EventKind.INVITATION_ACCEPTED: CardRow(
        people.invitation_accepted,
        SUCCESS,
        "Who joined the project, as what",
    ),
    EventKind.INVITATION_DECLINED: CardRow(
        people.invitation_declined,
        DANGER,
        "Who will not join",
    ),
    EventKind.ACCESS_REQUESTED: CardRow(
        people.access_requested,
        WARNING,
        "Who asks for access",
    ),
    EventKind.ACCESS_DECLINED: CardRow(
        people.access_declined,
        DANGER,
        "Whose request was declined, and by whom",
    ),
    EventKind.UNKNOWN: CardRow(
        project.unknown_event,
        INFO,
        "Anything that newer servers send and this bot does not know: its name and what "
        "Speckle says about it. Nothing is dropped",
    ),
}
