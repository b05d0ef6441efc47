"""A steady load does not make the database larger for ever, and no table is forgotten."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

from bench.database_size import MOST_GROWTH, sizes
from bot.database_content import RetentionPolicy
from bot.db.retention import rules
from bot.db.tables import metadata
from bot.timing import utc_now

DELIVERED_DAYS: Final = 4
QUICK: Final = RetentionPolicy(
    timedelta(days=2), timedelta(days=DELIVERED_DAYS), timedelta(days=DELIVERED_DAYS)
)
DAYS: Final = 14
EVENTS_A_DAY: Final = 40


async def test_under_a_steady_load_the_file_stays_as_large_as_it_is(tmp_path: Path) -> None:
    found = await sizes(tmp_path, QUICK, DAYS, EVENTS_A_DAY)
    full = DELIVERED_DAYS + 1
    assert found[0] < found[full] / 2, "something is kept"
    assert max(found[full:]) <= MOST_GROWTH * found[full], found


# What no rule of bot/db/retention.py erases, and why it does not grow by itself.
NO_RULE: Final[Mapping[str, str]] = {
    "accounts": "one a person and server; erased with /unlink",
    "audit_channels": "one a guild",
    "channel_queues": "one a channel that had cards",
    "facts": "keys that the code names",
    "guilds": "erased `left_guild_days` after the bot was removed",
    "hooks": "erased with their guild; quotas limit them",
    "link_requests": "erased every hour, once they ran out",
    "models": "one a model of a project that is followed, erased with its webhook",
    "pending_commands": "erased every hour, once they ran out",
    "people": "one a person in a project that is followed, erased with its webhook",
    "subscriptions": "erased with /unsubscribe or their guild; quotas limit them",
    "webhook_removals": "erased once the webhook is removed, or with the account",
}


def test_each_table_has_a_way_to_shrink() -> None:
    """A new table needs a rule of retention, or a reason here why it needs none."""
    applied = rules(QUICK, utc_now())
    with_rule = {str(one.key.table) for one in applied}
    with_rule |= {str(one.of_each.table) for one in applied if one.of_each is not None}
    assert {*metadata.tables} - with_rule == set(NO_RULE)
