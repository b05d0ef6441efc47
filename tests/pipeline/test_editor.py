"""Messages that are brought up to date after they were sent, through real sockets."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import insert, select
from yarl import URL

from bot.app import App
from bot.cards.card import Card, Field, Picture
from bot.cards.pictures import with_image
from bot.db.tables import edits, late_enrichment_jobs, outbox
from bot.discord_api.rate_limits import RateLimiter, current_request, low_priority
from bot.model import Hook, HookKind
from bot.pipeline.batching import card_of
from bot.speckle.subscription_options import SubscriptionOptions
from bot.timing import Backoff, utc_now
from bot.trace import TraceLine
from bot.work import (
    FallbackLevel,
    LateAddition,
    LateEnrichmentJob,
    OutboxCard,
)
from sandbox.discord import SandboxChannel, SandboxMessage
from tests.cards.test_avatars import data_url, photograph
from tests.pipeline.conftest import TIMINGS, StartBot, Studio, post
from tests.pipeline.deliveries import (
    PROJECT_ID,
    SERVER,
    numbered,
    route_to,
    send_numbers,
    wait_for_numbers,
)
from tests.stored import stored_card
from tests.waiting import until

PICTURE = Picture("preview-0123456789ab.png", "image/png", photograph(20))


async def follow(app: App, studio: Studio, channel: SandboxChannel) -> Hook:
    hook = await app.storage.write(
        lambda tx: tx.hooks.create(
            studio.guild.id, SERVER, PROJECT_ID, HookKind.OWN, studio.maren.id, channel.id
        )
    )
    await app.storage.write(
        lambda tx: tx.subscriptions.upsert(
            hook.id, channel.id, SubscriptionOptions(), studio.maren.id
        )
    )
    return hook


async def change(app: App, number: int, how: Callable[[Card], Card]) -> None:
    """Change the card of this number as a fill-in does."""
    with app.storage._database.writing() as connection:
        rows = connection.execute(select(outbox)).all()
        row = next(row for row in rows if f"version no {number}" in str(row.card))
        job = {
            "inbox_id": row.inbox_id,
            "subscription_id": 1,
            "kind": LateAddition.PICTURE,
            "created_at": utc_now(),
            "next_try_at": utc_now(),
        }
        made = insert(late_enrichment_jobs).values(job).returning(late_enrichment_jobs.c.id)
        job_id = connection.scalar(made)
        assert job_id is not None
    changed = await app.storage.write(
        lambda tx: tx.late_enrichment.fill(
            LateEnrichmentJob(id=job_id, attempts=0, **job),
            lambda row, _company: how(card_of(row)),
            TraceLine(utc_now(), "fill in", "It came late."),
        )
    )
    assert len(changed) == 1


def with_picture(card: Card) -> Card:
    return with_image(card, PICTURE)


def edits_in(studio: Studio, channel: SandboxChannel) -> list[Any]:
    path = f"/channels/{channel.id}/messages/"
    return [
        request
        for request in studio.sandbox.requests
        if request.method == "PATCH" and request.path.startswith(path)
    ]


async def wait_for_edits(studio: Studio, channel: SandboxChannel, count: int) -> list[Any]:
    async def there() -> list[Any] | None:
        found = edits_in(studio, channel)
        return found if len(found) >= count else None

    return await until(there)


async def wait_until_nothing_is_to_be_edited(app: App) -> None:
    async def none() -> bool:
        with app.storage._database.reading() as connection:
            return (connection.scalar(select(edits.c.outbox_id).limit(1))) is None

    await until(none)


def message_in(studio: Studio, channel: SandboxChannel) -> SandboxMessage:
    (message,) = [m for m in studio.sandbox.messages(channel.id) if m.embeds or m.content]
    return message


async def one_message_of(app: App, studio: Studio, count: int) -> Hook:
    """So many cards in one message."""
    hook = await follow(app, studio, studio.structure)
    app.bot._rate_limiter.block_for(1.0, "a test wants all in one message")
    await send_numbers(app, hook, range(count))
    await wait_for_numbers(studio, studio.structure, range(count))
    return hook


async def test_a_picture_that_comes_later_is_put_into_the_message(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        hook = await follow(app, studio, studio.structure)
        await send_numbers(app, hook, range(1))
        await wait_for_numbers(studio, studio.structure, range(1))
        before = message_in(studio, studio.structure)
        title, buttons = before.embeds[0]["title"], before.components
        await change(app, 0, with_picture)
        await wait_for_edits(studio, studio.structure, 1)
        message = message_in(studio, studio.structure)
        assert [file.content for file in message.files] == [PICTURE.content]
        assert message.embeds[0]["image"]["url"] == message.files[0].url
        assert (message.embeds[0]["title"], message.components) == (title, buttons)
        await wait_until_nothing_is_to_be_edited(app)


async def test_a_shared_message_keeps_all_its_cards_and_is_edited_once_for_several(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        await one_message_of(app, studio, 4)
        assert len(message_in(studio, studio.structure).embeds) == 4
        studio.sandbox.faults.rate_limit("PATCH /channels/*", retry_after=0.5)
        await change(app, 1, with_picture)
        await change(app, 2, lambda card: replace(card, fields=(Field("Objects", "214"),)))
        await wait_until_nothing_is_to_be_edited(app)
        message = message_in(studio, studio.structure)
        shown = [("image" in embed, embed.get("fields", [])) for embed in message.embeds]
        assert [image for image, _ in shown] == [False, True, False, False]
        assert shown[2][1][0]["value"] == "214"
        assert [file.content for file in message.files] == [PICTURE.content]
        answered = [r for r in edits_in(studio, studio.structure) if r.status == 200]
        assert len(answered) <= 2


async def test_cards_of_one_author_share_one_small_file(
    studio: Studio, start_bot: StartBot
) -> None:
    avatar = data_url(photograph(300))
    async with start_bot() as app:
        hook = await follow(app, studio, studio.structure)
        app.bot._rate_limiter.block_for(1.0, "a test wants all in one message")
        for number in range(3):
            delivery = numbered(number)
            payload = delivery.payload
            user = payload["user"] | {"avatar": avatar}
            body = json.dumps({"payload": payload | {"user": user}}).encode()
            assert await post(app, hook, replace(delivery, body=body)) == 202
        await wait_for_numbers(studio, studio.structure, range(3))
        message = message_in(studio, studio.structure)
        assert len(message.embeds) == 3
        (file,) = message.files
        assert len(file.content) < 64 * 1024
        assert {embed["author"]["icon_url"] for embed in message.embeds} == {file.url}


async def test_an_edit_is_tried_again_until_discord_takes_it(
    studio: Studio, start_bot: StartBot
) -> None:
    soon = replace(TIMINGS, editor_retry=Backoff((0.05,) * 6))
    async with start_bot(timings=soon) as app:
        hook = await follow(app, studio, studio.structure)
        await send_numbers(app, hook, range(1))
        await wait_for_numbers(studio, studio.structure, range(1))
        route = f"PATCH /channels/{studio.structure.id}/messages/*"
        studio.sandbox.faults.fail(route, 503, times=2)
        studio.sandbox.faults.reset_after(route)
        await change(app, 0, with_picture)
        await wait_until_nothing_is_to_be_edited(app)
        message = message_in(studio, studio.structure)
        assert "image" in message.embeds[0]
        assert len(message.files) == 1


@pytest.mark.parametrize(
    ("status", "code"), [(404, 10008), (404, 10003), (403, 50013), (400, 30046), (400, 50035)]
)
async def test_an_edit_that_cannot_be_is_given_up_quietly(
    studio: Studio, start_bot: StartBot, status: int, code: int
) -> None:
    async with start_bot() as app:
        hook = await follow(app, studio, studio.structure)
        await send_numbers(app, hook, range(1))
        await wait_for_numbers(studio, studio.structure, range(1))
        studio.sandbox.faults.fail("PATCH /channels/*", status, code=code)
        await change(app, 0, with_picture)
        await wait_until_nothing_is_to_be_edited(app)
        (subscription,) = await app.storage.read(lambda tx: tx.subscriptions.of_hook(hook.id))
        assert subscription.pause_reason is None
        await send_numbers(app, hook, range(1, 2))
        await wait_for_numbers(studio, studio.structure, range(2))
        assert len(edits_in(studio, studio.structure)) == 1


@pytest.mark.parametrize("how", ["a void token", "a slower pace"])
async def test_an_edit_is_not_given_up_for_what_is_no_fault_of_it(
    studio: Studio, start_bot: StartBot, how: str
) -> None:
    once = replace(TIMINGS, editor_retry=Backoff((0.05,)))
    async with start_bot(timings=once) as app:
        hook = await follow(app, studio, studio.structure)
        await send_numbers(app, hook, range(1))
        await wait_for_numbers(studio, studio.structure, range(1))
        if how == "a void token":
            studio.sandbox.faults.fail("PATCH /channels/*", 401, times=9)
        else:
            # More than the five tries of discord.py, so that the bot itself hears of it.
            studio.sandbox.faults.rate_limit("PATCH /channels/*", retry_after=0.05, times=6)
        await change(app, 0, with_picture)
        await wait_until_nothing_is_to_be_edited(app)
        assert "image" in message_in(studio, studio.structure).embeds[0]
        studio.sandbox.requests.clear()


async def test_an_edit_waits_over_a_restart(studio: Studio, start_bot: StartBot) -> None:
    async with start_bot() as app:
        hook = await follow(app, studio, studio.structure)
        await send_numbers(app, hook, range(1))
        await wait_for_numbers(studio, studio.structure, range(1))
        studio.sandbox.faults.rate_limit("PATCH /channels/*", retry_after=1.0)
        await change(app, 0, with_picture)
        await wait_for_edits(studio, studio.structure, 1)
    async with start_bot() as app:
        await wait_until_nothing_is_to_be_edited(app)
        assert "image" in message_in(studio, studio.structure).embeds[0]


async def test_a_message_is_edited_with_a_pause_over_a_restart_too(
    studio: Studio, start_bot: StartBot
) -> None:
    apart = replace(TIMINGS, edits_apart_s=3.0)
    async with start_bot(timings=apart) as app:
        await one_message_of(app, studio, 2)
        await change(app, 0, with_picture)
        await wait_for_edits(studio, studio.structure, 1)
        first = monotonic()
        await wait_until_nothing_is_to_be_edited(app)
        await change(app, 0, lambda card: replace(card, fields=(Field("Objects", "214"),)))
        await change(app, 1, lambda card: replace(card, fields=(Field("Objects", "215"),)))
    async with start_bot(timings=apart) as app:
        await wait_until_nothing_is_to_be_edited(app)
        assert monotonic() - first > 2.5
        assert len(edits_in(studio, studio.structure)) == 2
        embeds = message_in(studio, studio.structure).embeds
        assert [embed["fields"][0]["value"] for embed in embeds] == ["214", "215"]


async def test_a_card_that_changes_before_it_is_sent_is_sent_changed(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        hook = await follow(app, studio, studio.structure)
        app.bot._rate_limiter.block_for(1.0, "a test changes it meanwhile")
        await send_numbers(app, hook, range(1))

        async def written() -> OutboxCard | None:
            return await app.storage.read(lambda tx: stored_card(tx, 1))

        await until(written)
        await change(app, 0, with_picture)
        await wait_for_numbers(studio, studio.structure, range(1))
        assert "image" in message_in(studio, studio.structure).embeds[0]
        assert edits_in(studio, studio.structure) == []


async def test_new_cards_go_before_edits(studio: Studio, start_bot: StartBot) -> None:
    async with start_bot() as app:
        hook = await follow(app, studio, studio.structure)
        await send_numbers(app, hook, range(1))
        await wait_for_numbers(studio, studio.structure, range(1))
        studio.sandbox.faults.slow("PATCH /channels/*", 2.0, times=1)
        await change(app, 0, with_picture)
        await wait_for_edits(studio, studio.structure, 1)
        await send_numbers(app, hook, range(1, 4))
        await wait_for_numbers(studio, studio.structure, range(4))
        posted = [r for r in studio.sandbox.requests if r.method == "POST"]
        assert len(posted) >= 2
        messages = studio.sandbox.messages(studio.structure.id)
        assert "image" not in [part for m in messages for embed in m.embeds for part in embed]
        await wait_until_nothing_is_to_be_edited(app)


async def test_a_message_of_lesser_form_keeps_it(studio: Studio, start_bot: StartBot) -> None:
    async with start_bot() as app:
        hook = await follow(app, studio, studio.structure)
        studio.sandbox.faults.fail(route_to(studio.structure), 400, code=50035, times=1)
        await send_numbers(app, hook, range(1))
        await wait_for_numbers(studio, studio.structure, range(1))
        row = await app.storage.read(lambda tx: stored_card(tx, 1))
        assert row is not None
        assert row.level is FallbackLevel.NO_MEDIA
        await change(
            app,
            0,
            lambda card: with_picture(
                replace(card, fields=(Field("Objects", "[214](https://a.b)"),))
            ),
        )
        await wait_until_nothing_is_to_be_edited(app)
        message = message_in(studio, studio.structure)
        assert message.files == []
        assert message.embeds[0]["fields"][0]["value"] == "214"
        assert message.components[0]["components"][0]["label"] == "Open in Speckle"


async def test_edits_leave_the_way_to_new_cards_at_the_pace() -> None:
    pace = RateLimiter(20)
    order: list[str] = []

    async def ask(name: str, *, edit: bool) -> None:
        current_request.set(asyncio.get_running_loop().create_future())
        low_priority.set(edit)
        params: Any = SimpleNamespace(url=URL("https://discord.example/api/channels/1"))
        await pace._starting(None, SimpleNamespace(), params)  # type: ignore[arg-type]
        order.append(name)

    async with asyncio.TaskGroup() as tasks:
        for number in range(8):
            tasks.create_task(ask(f"edit {number}", edit=True))
        await asyncio.sleep(0)
        for number in range(3):
            tasks.create_task(ask(f"card {number}", edit=False))
    assert order.index("card 2") <= 5  # behind the two that may go at once, and one edit
