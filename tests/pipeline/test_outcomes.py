"""What the bot does about each of Discord's answers, through real sockets."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from bot.app import App
from bot.db.tables import batches, outbox
from bot.model import PauseReason
from bot.pipeline.global_hold import HoldSteps
from bot.pipeline.sender import SenderTimings
from bot.storage import Storage
from bot.timing import Backoff, utc_now
from bot.vault import Vault
from bot.work import OutboxCard, OutboxState
from sandbox.discord import SandboxChannel
from tests.pipeline.conftest import TIMINGS, StartBot, Studio
from tests.pipeline.deliveries import (
    follow,
    numbers_in,
    route_to,
    send_numbers,
    tries_in,
    wait_for_numbers,
    wait_until_paused,
)
from tests.stored import stored_card, waiting_count
from tests.waiting import until


async def pile_up(app: App, studio: Studio, channel: SandboxChannel, count: int) -> None:
    """Have cards wait for a channel that Discord has asked to slow down in."""
    hook = await follow(app, studio, channel)
    studio.sandbox.faults.rate_limit(route_to(channel), retry_after=2.0)
    await send_numbers(app, hook, range(count))

    async def all_wait() -> bool:
        return await app.storage.read(waiting_count) >= count

    await until(all_wait)


async def spoil(app: App, number: int, **parts: Any) -> None:
    """Put something into the card of this number that Discord refuses."""
    with app.storage._database.writing() as connection:
        rows = connection.execute(select(outbox.c.id, outbox.c.card)).all()
        row_id, card = next(row for row in rows if f"version no {number}" in str(row.card))
        change = update(outbox).where(outbox.c.id == row_id).values(card=card | parts)
        connection.execute(change)


async def test_what_waits_goes_together_in_order_in_as_few_messages_as_can_be(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        await pile_up(app, studio, studio.structure, 35)
        await wait_for_numbers(studio, studio.structure, range(35))
        messages = [m for m in studio.sandbox.messages(studio.structure.id) if m.embeds]
        assert len(messages) <= 5  # the first alone, as it was on its way already
        assert max(len(message.embeds) for message in messages) == 10
        full = next(message for message in messages if len(message.embeds) == 10)
        labels = [button["label"] for row in full.components for button in row["components"]]
        model = "structure/level 01/steel frame"
        assert labels == [f"Open: {model} ({number} of 10)" for number in range(1, 11)]


async def test_texts_too_long_for_one_message_go_in_several(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        await pile_up(app, studio, studio.structure, 6)
        for number in range(1, 6):
            await spoil(app, number, footer="f" * 1900)
        await wait_for_numbers(studio, studio.structure, range(6))
        sizes = [len(m.embeds) for m in studio.sandbox.messages(studio.structure.id) if m.embeds]
        # Two long ones fit into a message, and the short one beside them if it is not sent alone.
        assert sum(sizes) == 6
        assert max(sizes) in (2, 3)


async def test_a_channel_that_is_to_slow_down_holds_up_no_other_even_with_one_worker(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot(delivery={"concurrency": 1}) as app:
        await follow(app, studio, studio.structure)
        hook = await follow(app, studio, studio.facade)
        studio.sandbox.faults.rate_limit(route_to(studio.structure), retry_after=4.0)
        await send_numbers(app, hook, range(3))
        await wait_for_numbers(studio, studio.facade, range(3))
        assert numbers_in(studio, studio.structure) == []
        await wait_for_numbers(studio, studio.structure, range(3))
        assert len(tries_in(studio, studio.structure)) <= 4  # two of them the public line and 429


async def test_a_limit_for_the_whole_bot_pauses_all_channels(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        await follow(app, studio, studio.structure)
        hook = await follow(app, studio, studio.facade)
        studio.sandbox.faults.rate_limit(route_to(studio.facade), retry_after=2.0, global_=True)
        await send_numbers(app, hook, range(4))
        await wait_for_numbers(studio, studio.facade, range(4))
        await wait_for_numbers(studio, studio.structure, range(4))
        refused = [r for r in studio.sandbox.requests if r.status == 429]
        assert len(refused) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_an_error_of_discords_is_tried_again(
    studio: Studio, start_bot: StartBot, status: int
) -> None:
    async with start_bot() as app:
        hook = await follow(app, studio, studio.structure)
        studio.sandbox.faults.fail(route_to(studio.structure), status, times=1)
        await send_numbers(app, hook, range(2))
        await wait_for_numbers(studio, studio.structure, range(2))


async def test_a_refused_batch_is_halved_and_its_culprit_goes_without_links_in_its_place(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        await pile_up(app, studio, studio.structure, 14)
        await spoil(app, 6, image="https://nowhere")
        await wait_for_numbers(studio, studio.structure, range(14))
        embeds = [e for m in studio.sandbox.messages(studio.structure.id) for e in m.embeds]
        assert [number for number, embed in enumerate(embeds) if not embed.get("url")] == [6]
        assert len(tries_in(studio, studio.structure)) <= 14
        studio.sandbox.requests.clear()  # some were to be refused


async def test_what_is_refused_without_links_too_goes_as_plain_text(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        await pile_up(app, studio, studio.structure, 5)
        await spoil(app, 3, title="@everyone **" + "t" * 300)
        await wait_for_numbers(studio, studio.structure, range(5))
        (plain,) = [m for m in studio.sandbox.messages(studio.structure.id) if "no 3" in m.content]
        assert plain.embeds == []
        assert r"\@everyone" in plain.content
        assert plain.allowed_mentions == {"parse": []}
        studio.sandbox.requests.clear()  # some were to be refused


async def test_what_discord_takes_in_no_form_is_kept_with_its_reason_and_the_rest_goes_out(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        hook = await follow(app, studio, studio.structure)
        route = route_to(studio.structure)
        studio.sandbox.faults.fail(route, 400, times=3, code=200000, message="Blocked by AutoMod")
        await send_numbers(app, hook, range(1))

        async def given_up() -> OutboxCard | None:
            row = await app.storage.read(lambda tx: stored_card(tx, 1))
            return row if row is not None and row.gave_up_at is not None else None

        row = await until(given_up)
        assert row.state is OutboxState.UNDELIVERABLE
        assert "AutoMod" in (row.last_error or "")
        await send_numbers(app, hook, range(1, 3))
        await wait_for_numbers(studio, studio.structure, range(1, 3))


async def test_a_missing_permission_pauses_and_is_named_and_resuming_goes_on(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        hook = await follow(app, studio, studio.structure)
        studio.guild.set_bot_permissions("view_channel send_messages", everyone="view_channel")
        await send_numbers(app, hook, range(3))
        paused = await wait_until_paused(app, studio.structure, PauseReason.NO_PERMISSION)
        assert "Embed Links" in (paused.pause_detail or "")
        assert "Send Messages" not in (paused.pause_detail or "")


async def test_an_archived_thread_is_opened_again(studio: Studio, start_bot: StartBot) -> None:
    thread = studio.structure.add_thread("level 1")
    async with start_bot() as app:
        hook = await follow(app, studio, thread)
        thread.archive()
        studio.sandbox.faults.fail(route_to(thread), 400, times=1, code=50083, message="Archived")
        await send_numbers(app, hook, range(2))
        await wait_for_numbers(studio, thread, range(2))
        assert not thread.archived


async def test_a_locked_thread_pauses(studio: Studio, start_bot: StartBot) -> None:
    thread = studio.structure.add_thread("level 1")
    async with start_bot() as app:
        hook = await follow(app, studio, thread)
        thread.archive(locked=True)
        studio.guild.set_bot_permissions("send_messages_in_threads embed_links attach_files")
        await send_numbers(app, hook, range(2))
        await wait_until_paused(app, thread, PauseReason.THREAD_CLOSED)


async def test_a_refused_token_stops_all_keeps_all_and_is_tried_again(
    studio: Studio, start_bot: StartBot
) -> None:
    soon = SenderTimings(hold_steps=HoldSteps(token=Backoff((0.5,))))
    async with start_bot(timings=replace(TIMINGS, sender=soon)) as app:
        await follow(app, studio, studio.structure)
        hook = await follow(app, studio, studio.facade)
        studio.sandbox.faults.fail("POST /channels/{channel_id}/messages", 401, times=2)
        await send_numbers(app, hook, range(3))
        await wait_for_numbers(studio, studio.facade, range(3))
        await wait_for_numbers(studio, studio.structure, range(3))
        refused = [r for r in studio.sandbox.requests if r.status == 401]
        assert len(refused) == 2


async def test_a_channel_without_an_answer_holds_up_no_other(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        await follow(app, studio, studio.structure)
        hook = await follow(app, studio, studio.facade)
        studio.sandbox.faults.slow(route_to(studio.structure), 3.0, times=1)
        await send_numbers(app, hook, range(12))
        await wait_for_numbers(studio, studio.facade, range(12))
        assert numbers_in(studio, studio.structure) == []
        await wait_for_numbers(studio, studio.structure, range(12))


async def test_no_request_is_too_fast_for_discords_limits_of_a_channel_and_of_the_bot(
    studio: Studio, start_bot: StartBot
) -> None:
    studio.sandbox.pace.enabled = True
    async with start_bot() as app:
        hook = await follow(app, studio, studio.structure)
        for number in range(7):  # one message each, and five may go in five seconds
            await send_numbers(app, hook, range(number, number + 1))
            await wait_for_numbers(studio, studio.structure, range(number + 1))
        channels = [studio.guild.add_channel(f"level {number}") for number in range(60)]
        for channel in channels:
            await follow(app, studio, channel)
        await send_numbers(app, hook, range(7, 9))
        for channel in channels:
            await wait_for_numbers(studio, channel, range(7, 9))
        assert [r.path for r in studio.sandbox.requests if r.status == 429] == []


@pytest.mark.parametrize("form", ["full", "bare", "plain"])
async def test_a_message_whose_nonce_discord_has_forgotten_is_found_and_not_sent_again(
    studio: Studio, start_bot: StartBot, database_url: str, key: str, form: str
) -> None:
    async with start_bot() as app:
        hook = await follow(app, studio, studio.structure)
        studio.sandbox.faults.reset_after(route_to(studio.structure), times=1)
        await send_numbers(app, hook, range(1))
        await wait_for_numbers(studio, studio.structure, range(1))
    long_ago, channel_id = utc_now() - timedelta(minutes=20), studio.structure.id
    # While no bot is at work: its next try may come at any time.
    async with Storage.open(database_url, Vault((key,))) as storage:
        with storage._database.writing() as connection:
            connection.execute(update(outbox).values(form=form, state="waiting"))
            connection.execute(update(batches).values(state="open", created_at=long_ago))
        await storage.write(lambda tx: tx.outbox.postpone(channel_id, utc_now(), None))
    studio.structure.messages.popitem()
    studio.sandbox.faults.reset_after(route_to(studio.structure), times=1)
    studio.sandbox.world._nonces.clear()
    async with start_bot() as app:

        async def settled() -> bool:
            studio.sandbox.world._nonces.clear()
            return await app.storage.read(waiting_count) == 0

        await until(settled)
        assert numbers_in(studio, studio.structure) == [0]
