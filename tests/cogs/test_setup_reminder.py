"""Reminding of a webhook by hand that has sent nothing for a day, in the sandbox Discord."""

import pytest

from bot.discord_api.client import SpeckleBot
from bot.notifiers.setup_reminder import SetupReminder
from bot.services.waiting_setups import WaitingSetups
from bot.storage import Storage
from sandbox.discord import SandboxMessage
from tests.cogs.conftest import RunClient, Studio, text_of
from tests.services.conftest import PAVILION, TOWER, Clock
from tests.stored import note_event


def reminder(bot: SpeckleBot, storage: Storage, clock: Clock) -> SetupReminder:
    return SetupReminder(bot, WaitingSetups(storage, clock), lambda: 0.0)


def private(studio: Studio) -> list[SandboxMessage]:
    """What stands in Maren's direct messages."""
    return studio.sandbox.messages(studio.sandbox.world.private_channel(studio.maren.id))


def reminders(studio: Studio) -> list[SandboxMessage]:
    """Those that stand in #structure."""
    return [m for m in studio.sandbox.messages(studio.structure.id) if "has arrived" in m.content]


async def test_who_set_it_up_is_reminded_after_a_day_and_once(
    run_client: RunClient, studio: Studio, storage: Storage, clock: Clock
) -> None:
    async with run_client() as bot:
        await studio.type("subscribe", stream_id=TOWER)
        clock.forward(hours=23)
        await reminder(bot, storage, clock).remind()
        assert private(studio) == []
        clock.forward(hours=2)
        await reminder(bot, storage, clock).remind()
    async with run_client() as bot:
        clock.forward(hours=2)
        await reminder(bot, storage, clock).remind()
    (message,) = private(studio)
    assert f"<#{studio.structure.id}>" in message.content
    said = str(message.embeds)
    assert "Show set-up" in said
    assert TOWER not in said
    assert reminders(studio) == []


async def test_the_button_shows_the_set_up_to_that_person_in_the_direct_message(
    run_client: RunClient, studio: Studio, storage: Storage, clock: Clock
) -> None:
    async with run_client() as bot:
        await studio.type("subscribe", stream_id=TOWER)
        clock.forward(hours=25)
        await reminder(bot, storage, clock).remind()
        (message,) = private(studio)
        (hook,) = await storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
        shown = await studio.press(message, "Show set-up", studio.maren)
        assert hook.secrets[0] in text_of(await shown.settled())


async def test_who_takes_no_direct_messages_is_reminded_in_the_channel_where_no_secret_is_shown(
    run_client: RunClient, studio: Studio, storage: Storage, clock: Clock
) -> None:
    async with run_client() as bot:
        await studio.type("subscribe", stream_id=TOWER)
        clock.forward(hours=25)
        private_channel = studio.sandbox.world.private_channel(studio.maren.id)
        route = f"POST /channels/{private_channel.id}/messages"
        studio.sandbox.faults.fail(route, status=403, code=50007)
        await reminder(bot, storage, clock).remind()
        (message,) = reminders(studio)
        assert message.content.startswith(f"<@{studio.maren.id}> ")
        (hook,) = await storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
        refused = await studio.press(message, "Show set-up", studio.tobias)
        assert hook.secrets[0] not in text_of(await refused.settled())
        assert refused.ephemeral


@pytest.mark.parametrize("what", ["an event came", "paused", "long ago"])
async def test_nobody_is_reminded_of_what_works_is_paused_or_was_forgotten_long_ago(
    run_client: RunClient, studio: Studio, storage: Storage, clock: Clock, what: str
) -> None:
    async with run_client() as bot:
        await studio.type("subscribe", stream_id=PAVILION)
        (hook,) = await storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
        match what:
            case "an event came":
                await storage.write(lambda tx: note_event(tx, hook.id, "Pavilion"))
            case "paused":
                await studio.press(await studio.open_entry(PAVILION), "Pause")
            case "long ago":
                clock.forward(days=20)
        clock.forward(hours=25)
        await reminder(bot, storage, clock).remind()
    assert (private(studio), reminders(studio)) == ([], [])
