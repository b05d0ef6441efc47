"""An event that the bot took in, and its card: for tests of what people read of them."""

from datetime import UTC, datetime, timedelta

from bot.lookups import CardStatus, LoggedEvent
from bot.model import InboxSource
from bot.work import (
    FallbackLevel,
    InboxState,
    OutboxState,
)

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
GUILD, CHANNEL = 71, 73

CARD = CardStatus(
    id=3,
    inbox_id=1,
    subscription_id=9,
    state=OutboxState.SENT,
    level=FallbackLevel.FULL,
    guild_id=GUILD,
    channel_id=CHANNEL,
    project_id="a1b2c3d4e5",
    project_name="Tower",
    title="New version of **structure/level 1**",
    created_at=AT,
    sent_at=AT + timedelta(seconds=2),
    gave_up_at=None,
    message_id=77,
    error=None,
    in_flight=False,
    bot_left=False,
    pause=None,
    due_at=None,
    attempts=0,
    channel_error=None,
)
EVENT = LoggedEvent(
    id=1,
    hook_id=5,
    ordering_key="hook:5",
    project_id="a1b2c3d4e5",
    server_url="https://app.speckle.systems",
    received_at=AT,
    happened_at=None,
    finished_at=AT,
    state=InboxState.DONE,
    event_name="commit_create",
    source=InboxSource.WEBHOOK,
    subject=None,
    subscription_id=None,
    same_as=None,
    trace=(),
)
