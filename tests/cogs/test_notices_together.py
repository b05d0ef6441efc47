"""What one person is to be told of several channels goes as one message."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from bot.cogs.notices import texts as notice_texts
from bot.discord_api.client import SpeckleBot
from bot.model import PauseReason, SubscriptionState
from bot.notifiers.pause_notifier import NotifierTimings, PauseNotifier
from bot.services.pause_notices import PauseNoticeService
from bot.storage import Storage
from sandbox.discord import SandboxChannel, SandboxMessage
from sandbox.discord.component_rules import walk
from tests.cogs.conftest import RunClient, Studio, text_of
from tests.cogs.test_notices_over_sockets import private
from tests.services.conftest import TOWER, Clock

Tell = Callable[[SpeckleBot], Awaitable[None]]


@pytest.fixture
def tell(storage: Storage, clock: Clock) -> Tell:
    return lambda bot: PauseNotifier(
        bot, PauseNoticeService(storage, clock), lambda: 0.0
    ).notify_due()


async def follow_in(studio: Studio, count: int) -> list[SandboxChannel]:
    channels = [studio.guild.add_channel(f"level-{number}") for number in range(count)]
    for channel in channels:
        await studio.type("subscribe", stream_id=TOWER, where=channel)
    return channels


def buttons_of(message: SandboxMessage) -> list[str]:
    return [part["label"] for part in walk(message.components) if "label" in part]


def words(message: SandboxMessage) -> str:
    return str([message.content, *message.embeds])


async def state_of(storage: Storage, channel: SandboxChannel) -> SubscriptionState:
    (subscription,) = await storage.read(lambda tx: tx.subscriptions.of_channel(channel.id))
    return subscription.state


@pytest.mark.parametrize("notice_channel", [False, True])
async def test_several_channels_are_told_in_one_message(
    run_client: RunClient, studio: Studio, storage: Storage, tell: Tell, notice_channel: bool
) -> None:
    ops = studio.guild.add_channel("bim-ops")
    async with run_client() as bot:
        if notice_channel:
            await studio.report_in(ops)
        channels = await follow_in(studio, 3)
        channels[2].deny(studio.guild.bot, "embed_links")
        reasons = [PauseReason.CHANNEL_GONE, PauseReason.THREAD_CLOSED, PauseReason.NO_PERMISSION]
        for channel, reason in zip(channels, reasons, strict=True):
            await storage.write(
                lambda tx: tx.outbox.pause_channel(channel.id, reason, "Discord answered")
            )
        await tell(bot)
        await tell(bot)
    (message,) = studio.sandbox.messages(ops) if notice_channel else private(studio)
    assert "paused in 3 channels of **Studio Kestrel**" in message.content
    assert (f"<@{studio.maren.id}>" in message.content) is notice_channel
    titles = [embed["title"] for embed in message.embeds]
    assert titles == ["Paused: #level-0", "Paused: #level-1", "Paused: #level-2"]
    for remedy in ("in another channel", "unlock it", "Allow it what is listed below"):
        assert message.content.count(remedy) == 1
    assert "- Embed Links" in message.embeds[2]["description"]
    assert buttons_of(message) == ["Resume #level-0", "Resume #level-1", "Resume #level-2"]


async def test_a_button_of_one_channel_leaves_the_others_as_they_are(
    run_client: RunClient, studio: Studio, storage: Storage, tell: Tell
) -> None:
    async with run_client() as bot:
        channels = await follow_in(studio, 3)
        for channel in channels:
            await storage.write(
                lambda tx: tx.outbox.pause_channel(channel.id, PauseReason.THREAD_CLOSED, "locked")
            )
        await tell(bot)
    (message,) = private(studio)
    async with run_client():  # after a restart
        await studio.press(message, "Resume #level-1", studio.maren)
        assert [await state_of(storage, channel) for channel in channels] == [
            SubscriptionState.PAUSED,
            SubscriptionState.ACTIVE,
            SubscriptionState.PAUSED,
        ]
        assert [embed["title"] for embed in message.embeds] == [
            "Paused: #level-0",
            "Resumed",
            "Paused: #level-2",
        ]
        assert buttons_of(message) == ["Resume #level-0", "Resume #level-2"]
        await studio.press(message, "Resume #level-2", studio.maren)
        await studio.press(message, "Resume #level-0", studio.maren)
    assert [embed["title"] for embed in message.embeds] == ["Resumed"] * 3
    assert buttons_of(message) == []
    assert message.content == ""


async def test_each_person_has_a_message_of_their_own(
    run_client: RunClient, studio: Studio, storage: Storage, tell: Tell
) -> None:
    studio.tobias.set_permissions("manage_webhooks")
    his = studio.guild.add_channel("his")
    async with run_client() as bot:
        channels = await follow_in(studio, 2)
        await studio.type("subscribe", stream_id=TOWER, where=his, who=studio.tobias)
        for channel in (*channels, his):
            await storage.write(
                lambda tx: tx.outbox.pause_channel(channel.id, PauseReason.THREAD_CLOSED, "locked")
            )
        await tell(bot)
    (hers,) = private(studio)
    (one,) = private(studio, studio.tobias)
    assert "2 channels" in hers.content
    assert "#his" not in words(hers)
    assert one.embeds[0]["title"] == "Paused: #his"


async def test_more_channels_than_a_message_holds_go_in_several(
    run_client: RunClient, studio: Studio, storage: Storage, tell: Tell
) -> None:
    async with run_client() as bot:
        channels = await follow_in(studio, 12)
        for channel in channels:
            channel.deny(studio.guild.bot, "embed_links attach_files send_messages")
            await storage.write(
                lambda tx: tx.outbox.pause_channel(
                    channel.id, PauseReason.NO_PERMISSION, "x" * 2000
                )
            )
        await tell(bot)
    assert [len(message.embeds) for message in private(studio)] == [10, 2]


async def test_a_lost_answer_shows_the_message_once(
    run_client: RunClient, studio: Studio, storage: Storage, tell: Tell, clock: Clock
) -> None:
    dm = studio.sandbox.world.private_channel(studio.maren.id)
    async with run_client() as bot:
        for channel in await follow_in(studio, 2):
            await storage.write(
                lambda tx: tx.outbox.pause_channel(channel.id, PauseReason.THREAD_CLOSED, "locked")
            )
        studio.sandbox.faults.reset_after(f"POST /channels/{dm.id}/messages")
        await tell(bot)
        clock.forward(minutes=1)
        await tell(bot)
        assert await storage.read(lambda tx: tx.pause_notices.due(10)) == []
    assert len(private(studio)) == 1


async def test_a_message_that_discord_refuses_is_told_channel_by_channel(
    run_client: RunClient, studio: Studio, storage: Storage, tell: Tell
) -> None:
    dm = studio.sandbox.world.private_channel(studio.maren.id)
    async with run_client() as bot:
        for channel in await follow_in(studio, 3):
            await storage.write(
                lambda tx: tx.outbox.pause_channel(channel.id, PauseReason.THREAD_CLOSED, "locked")
            )
        studio.sandbox.faults.fail(f"POST /channels/{dm.id}/messages", 400, code=50035)
        await tell(bot)
        assert await storage.read(lambda tx: tx.pause_notices.due(10)) == []
        studio.sandbox.requests.clear()
    assert [len(message.embeds) for message in private(studio)] == [1, 1, 1]


async def test_a_fault_of_ours_in_a_notice_is_logged_as_ours_and_tried_again(
    run_client: RunClient, studio: Studio, storage: Storage, clock: Clock, tell: Tell
) -> None:
    async with run_client() as bot:
        (channel,) = await follow_in(studio, 1)
        await storage.write(
            lambda tx: tx.outbox.pause_channel(channel.id, PauseReason.THREAD_CLOSED, "locked")
        )
        with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
            patch.setattr(notice_texts, "notice_lead", None)  # calling it is a TypeError
            await tell(bot)
        assert [line["event"] for line in logs if "notice_ids" in line] == ["pause_notifier.failed"]
        clock.forward(hours=1)
        await tell(bot)
        assert await storage.read(lambda tx: tx.pause_notices.due(10)) == []
    assert len(private(studio)) == 1


async def test_who_lets_no_messages_in_costs_one_try_and_the_panel_tells(
    run_client: RunClient, studio: Studio, storage: Storage, tell: Tell
) -> None:
    studio.maren.user.takes_messages = False
    async with run_client() as bot:
        for channel in await follow_in(studio, 3):
            await storage.write(
                lambda tx: tx.outbox.pause_channel(channel.id, PauseReason.THREAD_CLOSED, "locked")
            )
        await tell(bot)
        refused = [request for request in studio.sandbox.requests if request.status == 403]
        assert len(refused) == 1
        assert await storage.read(lambda tx: tx.pause_notices.due(10)) == []
        assert text_of(await studio.type("subscriptions")).count("paused") == 3


async def test_channels_that_close_one_after_the_other_are_gathered(
    run_client: RunClient, studio: Studio, storage: Storage, clock: Clock
) -> None:
    async with run_client() as bot:
        channels = await follow_in(studio, 4)
        bot.logged_in.set()
        timings = NotifierTimings(poll_s=0.5, gather_s=1.0)
        teller = PauseNotifier(bot, PauseNoticeService(storage, clock), lambda: 0.0, timings)
        loop = asyncio.create_task(teller.run())
        for channel in channels:
            await storage.write(
                lambda tx: tx.outbox.pause_channel(channel.id, PauseReason.THREAD_CLOSED, "locked")
            )
            await asyncio.sleep(timings.gather_s / 4)
        dm = studio.sandbox.world.private_channel(studio.maren.id)
        (message,) = await studio.sandbox.wait_for_messages(dm, 1, 15)
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
    assert len(message.embeds) == 4
