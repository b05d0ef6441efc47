"""`python -m bot outbox`: what a host reads at the terminal, and what it changes."""

import asyncio
import json
import os
import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import TypeVar

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from bot.__main__ import cli
from bot.cli.outbox_texts import PAUSES, table
from bot.errors import ConfigError
from bot.model import HookKind, PauseReason, Subscription
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from bot.timing import utc_now
from bot.trace import TraceLine
from bot.vault import Vault
from bot.work import (
    EventResult,
    HookResult,
    NewCard,
    NewInboxEvent,
    OutboxState,
    SubscriptionResult,
)
from tests.stored import new_database, stored_card

GUILD, CHANNEL, MAREN = 71, 73, 72
SERVER = "https://speckle.kestrel.example"
SECRET = "hush-hush-hush"
T = TypeVar("T")


class Bot:
    """A host's folder with a database, and the command line over it."""

    def __init__(self, folder: Path) -> None:
        self.url = new_database(folder / "bot.db")
        self._empty = os.devnull
        self._numbers = count(1)

    def __call__(self, *arguments: str, typed: str = "", group: str = "outbox") -> Result:
        files = ["--config", self._empty, "--env-file", self._empty, group]
        env = {"DATABASE_URL": self.url, "SPECKLE_WEBHOOK_SECRET": SECRET}
        return CliRunner(env=env).invoke(cli, [*files, *arguments], input=typed)

    def stored(self, work: Callable[[Storage], Awaitable[T]]) -> T:
        """Do something with the storage, as another process would."""

        async def opened() -> T:
            vault = Vault([Fernet.generate_key().decode()])
            async with Storage.open(self.url, vault) as storage:
                return await work(storage)

        return asyncio.run(opened())

    def card(self, title: str = "Version of *level 1*") -> int:
        """A card in the channel, with the way of its event."""
        return self.stored(lambda storage: self._card(storage, title))

    async def _card(self, storage: Storage, title: str) -> int:
        follows = await subscription(storage)
        body = b"event %d" % next(self._numbers)
        digest = sha256(body).hexdigest()
        event = NewInboxEvent(None, "lane", "a1b2c3d4e5", SERVER, digest, body, utc_now())
        receipt = await storage.intake.accept(event)
        shown = TraceLine(utc_now(), "route", "Shown: it passes.", {"channel_id": CHANNEL})
        card = NewCard(follows.id, GUILD, CHANNEL, {"title": title})
        one = HookResult(
            follows.hook_id,
            utc_now(),
            by_webhook=True,
            project_name="Harbour\x1b[31m Tower",
            results=[SubscriptionResult(follows.id, card)],
        )
        [card_id] = await storage.write(
            lambda tx: tx.inbox.finish(
                [EventResult(receipt.id, [shown], "commit_create", of_hooks=[one])]
            )
        )
        return card_id

    def refuse(self, reason: str = "50035: Invalid Form Body") -> None:
        """Discord does not take what is next in the channel."""

        async def settle(storage: Storage) -> None:
            opened = await storage.write(lambda tx: tx.outbox.open_batch(CHANNEL, 1))
            assert opened is not None
            await storage.write(lambda tx: tx.outbox.mark_undeliverable(opened[0], reason))

        self.stored(settle)

    def state(self, card_id: int) -> OutboxState | None:
        card = self.stored(lambda storage: storage.read(lambda tx: stored_card(tx, card_id)))
        return None if card is None else card.state


async def subscription(storage: Storage) -> Subscription:
    found = await storage.read(lambda tx: tx.subscriptions.of_channel(CHANNEL))
    if found:
        return found[0]
    hook = await storage.write(
        lambda tx: tx.hooks.create(GUILD, SERVER, "a1b2c3d4e5", HookKind.OWN, MAREN, CHANNEL)
    )
    _, new = await storage.write(
        lambda tx: tx.subscriptions.upsert(hook.id, CHANNEL, SubscriptionOptions(), MAREN)
    )
    return new


@pytest.fixture
def bot(tmp_path: Path) -> Bot:
    return Bot(tmp_path)


def test_nothing_there_is_said_and_ends_with_1(bot: Bot) -> None:
    bot.stored(lambda storage: storage.ping_write())
    done = bot("list", "--channel", "73")
    assert done.exit_code == 1
    assert done.stdout.startswith("No card is waiting or undeliverable in channel 73. Events that")
    for command in (["show", "9"], ["retry", "9"], ["drop", "9", "--yes"], ["drop", "9"]):
        done = bot(*command)
        assert done.exit_code == 1
        assert done.stdout.startswith("✘ There is no card 9: ")
        assert "outbox list" in done.stdout
    assert bot("list", "--json").stdout == "[]\n"
    assert bot("show", "9", "--json").stdout == "null\n"
    done = bot("retry", "--all-undeliverable")
    assert (done.exit_code, done.stdout.count("\n")) == (1, 1)


def test_a_list_has_state_age_and_reason_and_no_markdown_or_control_character(bot: Bot) -> None:
    refused = bot.card("*level\\_1*\x1b]0;evil\x07 by a@b.example")
    bot.refuse(f"50035: Invalid\nForm Body {SECRET}")
    waiting = bot.card()
    done = bot("list")
    assert done.exit_code == 0
    heads, first, second, empty, hint = done.stdout.splitlines()
    assert heads.split() == ["id", "state", "age", "channel", "guild", "project", "title", "reason"]
    assert re.match(rf"{waiting} +waiting +\d+ s +73 ", first)
    assert first.endswith(" due now")
    assert " Version of level 1 " in first
    assert second.split()[:2] == [str(refused), "undeliverable"]
    assert " level_1]0;evil by " in second
    assert "(e-mail address)" in second
    assert second.endswith("50035: Invalid Form Body [hidden]")
    assert (empty, hint) == ("", "Details: `python3 run.py outbox show ID`")
    assert "\x1b" not in done.stdout
    assert "a@b.example" not in done.stdout
    assert SECRET not in done.stdout


def test_a_list_can_be_shorter_and_says_so(bot: Bot) -> None:
    for _ in range(3):
        bot.card()
    done = bot("list", "--limit", "2", "--state", "waiting", "--guild", "71")
    assert "2 of 3 cards, the newest first; --limit shows more." in done.stdout
    assert bot("list", "--state", "sent").exit_code == 1


def test_programs_get_json(bot: Bot) -> None:
    card_id = bot.card()
    bot.refuse()
    [card] = json.loads(bot("list", "--json").stdout)
    assert card["age_s"] >= 0
    assert datetime.fromisoformat(card["gave_up_at"]).tzinfo is not None
    del card["age_s"], card["created_at"], card["gave_up_at"]
    assert card == {
        "id": card_id,
        "state": "undeliverable",
        "guild_id": "71",
        "guild_name": None,
        "channel_id": "73",
        "channel_name": None,
        "project_id": "a1b2c3d4e5",
        "project_name": "Harbour[31m Tower",
        "title": "Version of level 1",
        "reason": "50035: Invalid Form Body",
        "form": "full",
        "in_flight": False,
        "pause": None,
        "attempts": 0,
        "sent_at": None,
        "next_try_at": None,
        "message_id": None,
    }
    shown = json.loads(bot("show", str(card_id), "--json").stdout)
    assert [line["text"] for line in shown["event"]["trace"]] == ["Shown: it passes."]


def test_one_card_is_shown_with_the_way_of_its_event_and_what_to_do(bot: Bot) -> None:
    card_id = bot.card()
    until = utc_now() + timedelta(minutes=5, seconds=30)
    bot.stored(
        lambda storage: storage.write(
            lambda tx: tx.outbox.postpone(CHANNEL, until, "Discord has trouble")
        )
    )
    done = bot("show", str(card_id))
    assert done.exit_code == 0
    assert f"Card {card_id}: Version of level 1\n" in done.stdout
    assert "  project  Harbour[31m Tower, a1b2c3d4e5\n" in done.stdout
    assert "  channel  73 in guild 71\n" in done.stdout
    assert "  reason   Discord has trouble; next try in 5 min\n" in done.stdout
    assert "  next     next try in 5 min; failed tries so far: 1\n" in done.stdout
    assert "route    Shown: it passes. (channel 73)\n" in done.stdout
    assert f"outbox retry {card_id}; or delete it: " in done.stdout


def test_a_paused_card_says_why_and_how_to_resume(bot: Bot) -> None:
    card_id = bot.card()
    bot.stored(
        lambda storage: storage.write(
            lambda tx: tx.outbox.pause_channel(CHANNEL, PauseReason.NO_PERMISSION, "Embed Links")
        )
    )
    assert "paused, because the bot is not allowed to post in the channel" in bot("list").stdout
    assert "`/subscriptions` in that Discord server" in bot("show", str(card_id)).stdout
    done = bot("retry", str(card_id))
    assert done.exit_code == 0
    assert (
        "– Kept for now (paused, because the bot is not allowed to post in the channel)"
        in done.stdout
    )
    assert "Waiting" not in done.stdout
    assert "within seconds" not in done.stdout
    bot.stored(lambda storage: storage.write(lambda tx: tx.guilds.leave(GUILD)))
    assert "What waits is sent once the bot is invited" in bot("retry", str(card_id)).stdout


def test_refused_cards_wait_again_one_by_one_or_all_at_once(bot: Bot) -> None:
    ids = [bot.card() for _ in range(3)]
    for _ in ids:
        bot.refuse()
    done = bot("retry", str(ids[0]))
    assert done.exit_code == 0
    said, hint = done.stdout.splitlines()
    assert said == f"✔ Waiting again, in their old place: {ids[0]}."
    assert hint.startswith("A running bot sends them within seconds; ")
    assert bot("retry", "--all-undeliverable", "--channel", "74").exit_code == 1
    done = bot("retry", "--all-undeliverable", "--channel", "73")
    assert f"✔ Waiting again, in their old place: {ids[1]}, {ids[2]}." in done.stdout
    assert {bot.state(card_id) for card_id in ids} == {OutboxState.WAITING}


def test_cards_are_dropped_only_after_a_yes(bot: Bot) -> None:
    card_id = bot.card()
    bot.refuse()
    done = bot("drop", str(card_id), typed="n\n")
    assert done.exit_code == 1
    assert "Version of level 1" in done.stdout
    assert "Drop these cards permanently? [y/N]: n" in done.stdout
    assert bot.state(card_id) is OutboxState.UNDELIVERABLE
    done = bot("drop", str(card_id), typed="y\n")
    assert done.exit_code == 0
    assert f"✔ Dropped permanently: {card_id}." in done.stdout
    assert bot.state(card_id) is None


def test_a_card_whose_message_may_be_at_discord_is_left_alone_and_that_is_said(bot: Bot) -> None:
    flying, waiting = bot.card(), bot.card()
    bot.stored(lambda storage: storage.write(lambda tx: tx.outbox.open_batch(CHANNEL, 1)))
    assert "its message is on its way" in bot("list").stdout
    done = bot("drop", str(flying), str(waiting), "--yes")
    assert done.exit_code == 0
    assert f"✔ Dropped permanently: {waiting}." in done.stdout
    assert f"✘ Left alone, as Discord may have the message already: {flying}." in done.stdout
    assert bot.state(flying) is OutboxState.WAITING


def test_a_sent_card_is_not_dropped(bot: Bot) -> None:
    card_id = bot.card()

    async def send(storage: Storage) -> None:
        opened = await storage.write(lambda tx: tx.outbox.open_batch(CHANNEL, 1))
        assert opened is not None
        await storage.write(lambda tx: tx.outbox.mark_sent(opened[0], 4242, utc_now()))

    bot.stored(send)
    assert "  message  4242\n" in bot("show", str(card_id)).stdout
    done = bot("drop", str(card_id))
    assert done.exit_code == 1
    assert f"✘ Left alone, as it was sent: {card_id}. Delete it in Discord." in done.stdout


def test_it_works_beside_a_bot_that_has_the_database_open(bot: Bot) -> None:
    async def beside(storage: Storage) -> None:
        assert await storage.lead()
        done = await asyncio.to_thread(bot, "retry", str(card_id))
        assert done.exit_code == 0
        [due] = await storage.read(lambda tx: tx.outbox.due_channels(1))
        assert due.channel_id == CHANNEL

    card_id = bot.card()
    bot.refuse()
    bot.stored(beside)


def test_a_database_that_is_not_there_is_not_made(bot: Bot, tmp_path: Path) -> None:
    (tmp_path / "bot.db").unlink()
    done = bot("list")
    assert isinstance(done.exception, ConfigError)
    assert "There is no database yet." in str(done.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [["retry"], ["retry", "1", "--all-undeliverable"], ["retry", "1", "--channel=7"]]
)
def test_which_cards_to_retry_has_to_be_said_in_one_way(bot: Bot, arguments: list[str]) -> None:
    assert bot(*arguments).exit_code == 2


def test_every_pause_is_told_in_words() -> None:
    assert set(PAUSES) == set(PauseReason)


def test_a_table_has_straight_columns() -> None:
    lines = table(["a", "bc"], [["wide", "x"], ["y", "and long"]])
    assert list(lines) == ["a     bc", "wide  x", "y     and long"]
