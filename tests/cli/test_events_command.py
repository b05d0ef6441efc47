"""`python -m bot events`, and what is the same for all lists: names beside ids, and `--since`."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from sqlalchemy import update

from bot.cli.parameters import Since
from bot.db.tables import outbox
from bot.lookups import DiscordName
from bot.speckle.filters import FilterWhy
from bot.storage import Storage
from bot.timing import utc_now
from bot.trace import TraceLine, TraceStep
from bot.work import (
    EventResult,
    HookResult,
    NewInboxEvent,
    OutboxState,
)
from tests.cli.test_outbox_command import CHANNEL, GUILD, SERVER, Bot, bot, subscription

__all__ = ["bot"]


def name(bot: Bot) -> None:
    """The bot sees what the places are called."""
    names = [DiscordName(GUILD, GUILD, "Kestrel\x1b[31m"), DiscordName(CHANNEL, GUILD, "structure")]
    bot.stored(lambda storage: storage.write(lambda tx: tx.discord_names.put(names)))


def filtered(bot: Bot) -> int:
    """An event that a filter left out of the channel."""

    async def add(storage: Storage) -> int:
        follows = await subscription(storage)
        body = b"filtered"
        lane = f"hook:{follows.hook_id}"
        digest = sha256(body).hexdigest()
        receipt = await storage.intake.accept(
            NewInboxEvent(follows.hook_id, lane, "a1b2c3d4e5", SERVER, digest, body, utc_now())
        )
        trace = [
            TraceLine(utc_now(), "parse", TraceStep.READ, {"kind": "version_created"}),
            TraceLine(
                utc_now(),
                "route",
                TraceStep.FILTERED,
                {
                    "subscription_id": follows.id,
                    "channel_id": CHANNEL,
                    "filter": FilterWhy.NO_PATTERN_FITS,
                    "model": "the mail of a@b.example",
                },
            ),
        ]
        of_hook = HookResult(follows.hook_id, utc_now(), by_webhook=True, project_name="Tower")
        result = EventResult(receipt.id, trace, "commit_create", of_hooks=[of_hook])
        await storage.write(lambda tx: tx.inbox.finish([result]))
        return receipt.id

    return bot.stored(add)


def test_each_event_is_listed_with_what_became_of_it_in_each_channel_by_name(bot: Bot) -> None:
    bot.card()
    event = filtered(bot)
    name(bot)
    done = bot("list", group="events")
    assert done.exit_code == 0
    heads, first, second, empty, hint = done.stdout.splitlines()
    assert heads.split()[:4] == ["id", "age", "source", "project"]
    assert first.split()[0] == str(event)
    assert "webhook  Tower    version_created  73 #structure: filtered (no model pattern" in first
    assert "the mail of (e-mail address)" in first
    assert "73 #structure: waiting (due now)" in second
    assert hint.startswith("2 events, the newest first. Details:"), "there are no more of them"
    assert empty == ""
    assert "\x1b" not in done.stdout
    for narrowed in (["--channel", "73"], ["--guild", "71"], ["--project", "a1b2c3d4e5"]):
        assert len(bot("list", *narrowed, group="events").stdout.splitlines()) == 5
    for nothing in (["--channel", "74"], ["--guild", "72"], ["--project", "0000000000"]):
        done = bot("list", *nothing, group="events")
        assert (done.exit_code, "No event is kept that fits" in done.stdout) == (1, True)
    limited = bot("list", "--limit", "1", group="events").stdout
    assert "1 event, the newest first; --limit shows more." in limited
    assert "--project is no project" in bot("list", "--project", "x y", group="events").stderr


def test_one_event_is_shown_with_its_whole_way_and_programs_get_json(bot: Bot) -> None:
    event = filtered(bot)
    name(bot)
    shown = bot("show", str(event), group="events").stdout
    assert f"Event {event}: version_created" in shown
    assert "channel  73 #structure in guild 71 Kestrel[31m" in shown
    assert "filtered: no model pattern of the channel matches the mail of" in shown
    assert "Read as version_created." in shown
    [listed] = json.loads(bot("list", "--json", group="events").stdout)
    assert listed == json.loads(bot("show", str(event), "--json", group="events").stdout)
    assert listed["channels"] == [
        {
            "guild_id": "71",
            "guild_name": "Kestrel[31m",
            "channel_id": "73",
            "channel_name": "structure",
            "outcome": "filtered",
            "why": "no model pattern of the channel matches the mail of (e-mail address)",
            "card": None,
        }
    ]
    missing = bot("show", "99", group="events")
    assert missing.exit_code == 1
    assert "There is no event 99" in missing.stdout
    assert bot("show", "99", "--json", group="events").stdout == "null\n"


def test_cards_have_the_names_of_their_places_and_can_be_those_since_a_time(bot: Bot) -> None:
    card = bot.card()
    bot.refuse()
    name(bot)
    assert " 73 #structure  71 Kestrel[31m  " in bot("list").stdout
    assert "channel  73 #structure in guild 71 Kestrel[31m" in bot("show", str(card)).stdout
    [listed] = json.loads(bot("list", "--json", "--since", "1h").stdout)
    assert (listed["guild_name"], listed["channel_name"]) == ("Kestrel[31m", "structure")
    long_ago = utc_now() - timedelta(hours=3)

    async def gave_up_long_ago(storage: Storage) -> None:
        with storage._database.writing() as connection:
            connection.execute(update(outbox).values(gave_up_at=long_ago))

    bot.stored(gave_up_long_ago)
    assert bot("list", "--since", "2 h").exit_code == 1
    nothing = bot("retry", "--since", "2h")
    assert nothing.exit_code == 1
    assert "No card is undeliverable since" in nothing.stdout
    assert bot.state(card) is OutboxState.UNDELIVERABLE
    assert bot("retry", "--since", "4h", "--channel", "73").exit_code == 0
    assert bot.state(card) is OutboxState.WAITING
    assert bot("retry", "--since", "4h", "7").exit_code == 2


@pytest.mark.parametrize(
    ("typed", "at"),
    [
        ("2026-11-25", datetime(2026, 11, 25, tzinfo=UTC)),
        ("2026-11-25T10:30", datetime(2026, 11, 25, 10, 30, tzinfo=UTC)),
        ("2026-11-25 10:30+01:00", datetime(2026, 11, 25, 9, 30, tzinfo=UTC)),
    ],
)
def test_a_time_to_begin_with_is_in_utc_unless_it_names_a_zone(typed: str, at: datetime) -> None:
    assert Since().convert(typed, None, None) == at


def test_a_time_to_begin_with_can_be_how_long_ago_and_nonsense_is_refused(bot: Bot) -> None:
    bot.stored(lambda storage: storage.ping_write())
    since = Since().convert("90 min", None, None)
    assert timedelta(0) <= utc_now() - since - timedelta(minutes=90) < timedelta(seconds=5)
    for typed in ("soon", "2 years", "2026-13-01", "0001-01-01T00:00+14:00"):
        done = bot("list", "--since", typed)
        assert done.exit_code == 2
        assert "is no time. Write one as 30m, 2h, 3d" in done.stderr
