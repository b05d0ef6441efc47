"""From a refusal to a notice, and from its button to the cards: through every part of the bot."""

from dataclasses import replace

import pytest

from bot.app import Timings
from bot.notifiers.pause_notifier import NotifierTimings
from sandbox.discord import SandboxMessage
from tests.pipeline.conftest import QUICK_NOTICES, TIMINGS, StartBot, Studio
from tests.pipeline.deliveries import follow, send_numbers, wait_for_numbers
from tests.stored import waiting_count
from tests.waiting import until


@pytest.fixture
def timings() -> Timings:
    return replace(TIMINGS, notifier=QUICK_NOTICES)


def text_of(message: SandboxMessage) -> str:
    return str([message.content, *message.embeds])


async def said(studio: Studio, count: int = 1) -> SandboxMessage:
    """The latest of Maren's direct messages, as soon as there are so many."""
    channel = studio.sandbox.world.private_channel(studio.maren.id)
    return (await studio.sandbox.wait_for_messages(channel, count, 15))[-1]


async def test_a_permission_that_went_and_came_back_costs_no_card(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        hook = await follow(app, studio, studio.structure)
        await send_numbers(app, hook, range(2))
        await wait_for_numbers(studio, studio.structure, range(2))
        studio.structure.deny(studio.guild.bot, "embed_links")
        await send_numbers(app, hook, range(2, 5))
        notice = await said(studio)
        assert "- Embed Links" in text_of(notice)
        assert "- Send Messages" not in text_of(notice)
        still = await studio.sandbox.press(notice, "Resume", studio.maren)
        assert "- Embed Links" in still.content
        studio.structure.clear_overwrites()

        async def all_kept() -> bool:
            return await app.storage.read(waiting_count) == 3

        await until(all_kept)
        await studio.sandbox.press(notice, "Resume", studio.maren)
        await wait_for_numbers(studio, studio.structure, range(5))
        assert "3 cards were kept" in text_of(notice)


async def test_a_notice_that_was_written_before_a_stop_is_told_after_the_start(
    studio: Studio, start_bot: StartBot, timings: Timings
) -> None:
    patient = replace(timings, notifier=NotifierTimings(poll_s=60.0))
    async with start_bot(timings=patient) as app:
        hook = await follow(app, studio, studio.structure)
        studio.guild.remove_channel(studio.structure)
        await send_numbers(app, hook, range(1))
        (waiting,) = await until(lambda: app.storage.read(lambda tx: tx.pause_notices.due(10)))
        assert waiting.user_id == studio.maren.id
    async with start_bot():
        notice = await said(studio)
    assert "no longer exists" in text_of(notice)
