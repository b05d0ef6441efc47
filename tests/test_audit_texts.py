"""Each change has a sentence, which says no more than its reader may know."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.audit import BY_BOT, BY_HOST, ActorKind, AuditAction, AuditActor, AuditEntry, by_person
from bot.audit_texts import ERASED_PERSON, AuditNames, entry_text

MAREN = by_person(72)
NAMES = AuditNames(
    person=lambda user_id: f"person {user_id}",
    channel=lambda channel_id: f"channel {channel_id}",
    hidden="some channel",
    project=lambda server, project: f"{server}/{project}",
    typed=lambda text: f"<{text}>",
)
FACTS: Mapping[str, Any] = {
    "server": "https://speckle.example",
    "project": "a1b2c3d4e5",
    "filters": {
        "events": [[], ["versions", "comment_created"]],
        "models": [["secret"], [f"level {n}" for n in range(9)]],
        "ignore_authors": [0, 2],
    },
    "reason": "access_lost",
    "why": "unlinked",
    "audience": {"everyone": True, "people": 120, "roles": 0, "members": 0},
    "what": ["address", "events"],
    "to": "own",
    "channels": 1,
    "cards": 2,
}


def entry(
    action: AuditAction,
    facts: Mapping[str, Any],
    actor: AuditActor = MAREN,
    channel_id: int | None = 73,
) -> AuditEntry:
    at = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    return AuditEntry(1, at, 71, channel_id, actor, action, facts)


@pytest.mark.parametrize("action", AuditAction)
def test_each_change_has_a_sentence(action: AuditAction) -> None:
    shown = entry_text(entry(action, FACTS), NAMES, shown=True)
    hidden = entry_text(entry(action, FACTS), NAMES, shown=False)
    for text in (shown, hidden):
        assert text.endswith(".")
        assert "{" not in text
        assert "None" not in text
    for secret in ("channel 73", "speckle.example", "<secret>", "level", "120"):
        assert secret not in hidden


FILTERS = (
    "person 72 changed the filters of channel 73: events all → versions, comment created; "
    "models <secret> → <level 0>, <level 1>, <level 2>, <level 3>, <level 4>, 4 more; "
    "ignored authors nobody → 2."
)
IN_THREAD = {"everyone": False, "people": None, "roles": 0, "members": 0, "in_thread": True}
AGREED = (
    "person 72 agreed to show a private project in channel 73 to everyone in the server, "
    "120 members."
)


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (
            entry(AuditAction.FILTERS_CHANGED, {"filters": FACTS["filters"]}),
            FILTERS,
        ),
        (
            entry(AuditAction.CONSENTED, {"audience": FACTS["audience"]}),
            AGREED,
        ),
        (
            entry(AuditAction.SUBSCRIBED, {"filters": {"events": [[], ["versions"]]}}),
            "person 72 subscribed channel 73: events versions.",
        ),
        (
            entry(AuditAction.CONSENTED, {"audience": IN_THREAD, "visibility": None}),
            (
                "person 72 agreed to show a project that may be private in channel 73 to the "
                "people in a private thread."
            ),
        ),
        (
            entry(AuditAction.UNLINKED, {"channels": 1}, channel_id=None),
            (
                "person 72 unlinked a Speckle account that served 1 channel here: what depended on "
                "it is paused."
            ),
        ),
        (
            entry(AuditAction.WEBHOOK_REMOVED, {"by_hand": True}),
            (
                "person 72 ended the webhook of channel 73: nothing used it any more. In Speckle, "
                "the person who made it by hand can delete it."
            ),
        ),
        (
            entry(AuditAction.PAUSED, {"reason": "access_lost", "why": "unlinked"}, BY_BOT),
            "The bot paused channel 73: the account that it depended on was unlinked.",
        ),
        (
            entry(AuditAction.PAUSED, {"reason": "member"}, AuditActor(ActorKind.PERSON)),
            f"{ERASED_PERSON} paused channel 73.",
        ),
        (
            entry(AuditAction.NOTICE_CHANNEL_CHANGED, {}, channel_id=None),
            "person 72 set notices back to direct messages.",
        ),
        (
            entry(AuditAction.CARDS_DROPPED, {"cards": 1}, BY_HOST),
            "The person who runs the bot deleted 1 card for channel 73 that had not been sent.",
        ),
    ],
)
def test_a_change_reads_like_this(told: AuditEntry, text: str) -> None:
    assert entry_text(told, NAMES, shown=True) == text
