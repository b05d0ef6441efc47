"""From a signed delivery to a card in the channel, through every part of the bot."""

import asyncio
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from bot.app import App
from bot.cards.card_context import CardContext
from bot.cards.emoji import CardEmoji
from bot.cards.render import render
from bot.discord_api.card_messages import to_embed
from bot.model import Hook, HookState
from bot.pipeline.event_context import thread_id_of
from bot.speckle.events import KnownThread, ProjectNames
from bot.speckle.payloads import parse_delivery, read_envelope
from sandbox.discord import SandboxChannel, SandboxMessage
from tests.pipeline.conftest import SHOW, Recorded, StartBot, Studio, post, recorded
from tests.pipeline.deliveries import subscribe as type_subscribe
from tests.stored import stored_card
from tests.waiting import until

SERVER = "http://127.0.0.1:3000"


async def subscribe(
    app: App, studio: Studio, project_id: str, channel: SandboxChannel, **options: Any
) -> Hook:
    await type_subscribe(studio, channel, project_id, **options)
    hooks = await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
    return next(hook for hook in hooks if hook.project_id == project_id)


def cards_in(studio: Studio, channel: SandboxChannel) -> list[SandboxMessage]:
    return [m for m in studio.sandbox.messages(channel.id) if m.embeds]


async def wait_for_cards(
    studio: Studio, channel: SandboxChannel, count: int
) -> list[SandboxMessage]:
    """The messages with cards, as soon as there are `count`."""
    async with asyncio.timeout(15):
        while True:
            if len(cards := cards_in(studio, channel)) >= count:
                return cards
            await asyncio.sleep(0.02)


async def wait_for_embeds(
    studio: Studio, channel: SandboxChannel, count: int, timeout_s: float = 20.0
) -> list[dict[str, Any]]:
    """All cards in a channel, in order, as soon as there are `count`, in however many messages."""
    async with asyncio.timeout(timeout_s):
        while True:
            embeds = [embed for m in studio.sandbox.messages(channel.id) for embed in m.embeds]
            if len(embeds) >= count:
                return embeds
            await asyncio.sleep(0.02)


def changed(delivery: Recorded, **payload: Any) -> Recorded:
    """The same delivery with other values in its payload, in today's form."""
    body = json.dumps({"payload": delivery.payload | payload}).encode()
    return replace(delivery, body=body)


async def test_each_recorded_delivery_arrives_as_its_card(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        arrived = 0
        hooks: dict[str, Hook] = {}
        for delivery in recorded():
            project_id = delivery.payload["streamId"]
            if project_id not in hooks:
                hooks[project_id] = await subscribe(app, studio, project_id, studio.structure)
            assert await post(app, hooks[project_id], delivery) == 202, delivery.name
            if delivery.payload["event"]["event_name"] == "comment_mention":
                continue  # the comment's own card says who is mentioned
            arrived += 1
            card = (await wait_for_cards(studio, studio.structure, arrived))[-1]
            names = await app.storage.read(lambda tx: tx.hooks.names(hooks[project_id].id))
            thread = await kept_thread(app, hooks[project_id], delivery)
            assert_shows(card, delivery, names, thread)
            if "delete" in delivery.payload["event"]["event_name"]:
                assert "set-up works" not in str(card.embeds), "nothing begins with what ends"
        assert arrived == 33


async def kept_thread(app: App, hook: Hook, delivery: Recorded) -> KnownThread | None:
    thread_id = thread_id_of(parse_delivery(read_envelope(delivery.body)))
    ids = [] if thread_id is None else [thread_id]
    kept = await app.storage.read(lambda tx: tx.hooks.threads_of([hook.id], ids))
    return next(iter(kept[hook.id].values()), None)


def assert_shows(
    message: SandboxMessage, delivery: Recorded, names: ProjectNames, thread: KnownThread | None
) -> None:
    event = parse_delivery(read_envelope(delivery.body))
    context = CardContext(
        event,
        SERVER,
        datetime.now(UTC),
        model_names=names.models,
        person_names=names.people,
        thread=thread,
    )
    expected = render(context)
    assert expected is not None
    wanted, (shown,) = to_embed(expected).to_dict(), message.embeds
    for part in ("title", "url", "author", "fields", "color"):
        assert shown.get(part) == wanted.get(part), delivery.name
    assert shown.get("description", "").startswith(wanted.get("description", "")), delivery.name
    shown_files = {attachment.name for attachment in message.files}
    assert shown_files == {picture.name for picture in expected.pictures}


def named(name: str) -> Recorded:
    return next(delivery for delivery in recorded() if delivery.name == name)


async def test_the_first_signed_event_turns_the_subscription_live_and_says_so(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot(delivery={"emoji": True}) as app:
        delivery = named("commit_create")
        hook = await subscribe(app, studio, delivery.payload["streamId"], studio.structure)
        assert hook.state is HookState.WAITING

        async def emoji_there() -> bool:
            return len(studio.sandbox.world.emojis) == len(CardEmoji)

        await until(emoji_there)
        await post(app, hook, delivery)
        (first,) = await wait_for_cards(studio, studio.structure, 1)
        assert "first event" in str(first.embeds)
        assert re.match(r"<:speckle_version:\d+> New version: ", first.embeds[0]["title"])
        found = await app.storage.read(lambda tx: tx.hooks.get(hook.id))
        assert found is not None
        assert found.state is HookState.LIVE


async def test_filters_decide_which_channel_hears_what(studio: Studio, start_bot: StartBot) -> None:
    async with start_bot() as app:
        project_id = named("commit_create").payload["streamId"]
        await subscribe(app, studio, project_id, studio.structure, events="versions")
        hook = await subscribe(app, studio, project_id, studio.facade, models="facade/**")
        for name in ("branch_create", "commit_create", "stream_permissions_add"):
            assert await post(app, hook, named(name)) == 202
        structure = await wait_for_cards(studio, studio.structure, 1)
        facade = await wait_for_cards(studio, studio.facade, 1)
        assert len(structure) == 1
        assert "New version" in structure[0].embeds[0]["title"]
        assert len(facade) == 1  # an event of people touches no model


async def test_order_holds_and_nothing_is_lost_over_a_restart(
    studio: Studio, start_bot: StartBot
) -> None:
    delivery = named("commit_create")
    async with start_bot() as app:
        hook = await subscribe(app, studio, delivery.payload["streamId"], studio.structure)
        route = f"POST /channels/{studio.structure.id}/messages"
        studio.sandbox.faults.fail(route, 503, times=1)
        for number in range(3):
            assert await post(app, hook, changed(delivery, number=number)) == 202
    async with start_bot() as app:
        for number in range(3, 6):
            assert await post(app, hook, changed(delivery, number=number)) == 202
        await wait_for_embeds(studio, studio.structure, 6)
    async with start_bot() as app:  # it was stopped with all in hand settled
        rows = [
            await app.storage.read(lambda tx: stored_card(tx, number)) for number in range(1, 7)
        ]
    sent = [row.message_id for row in rows if row is not None]
    assert sent == [m.id for m in cards_in(studio, studio.structure) for _ in m.embeds]


async def test_a_deleted_project_is_said_and_pauses_nothing_while_nobody_confirms_it(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        delivery = named("stream_delete")
        hook = await subscribe(app, studio, delivery.payload["streamId"], studio.structure)
        await post(app, hook, delivery)
        (card,) = await wait_for_cards(studio, studio.structure, 1)
        assert "deleted" in card.embeds[0]["title"].lower()
        (subscription,) = await app.storage.read(lambda tx: tx.subscriptions.of_hook(hook.id))
        assert subscription.pause_reason is None


async def test_an_event_that_names_another_server_changes_no_link_and_is_only_said(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        delivery = named("commit_create")
        hook = await subscribe(app, studio, delivery.payload["streamId"], studio.structure)
        await post(
            app, hook, changed(delivery, server={"canonicalUrl": "https://app.speckle.systems/"})
        )
        (card,) = await wait_for_cards(studio, studio.structure, 1)
        assert card.embeds[0]["url"].startswith(f"{SERVER}/")
        assert "app.speckle.systems" in card.embeds[0]["description"]
        await post(app, hook, changed(delivery, server={"canonicalUrl": "https://evil.example"}))
        cards = await wait_for_cards(studio, studio.structure, 2)
        assert "evil.example" not in str(cards[1].embeds)


async def test_a_channel_that_is_gone_pauses_its_subscription_and_holds_up_no_other(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        delivery = named("commit_create")
        project_id = delivery.payload["streamId"]
        await subscribe(app, studio, project_id, studio.structure)
        hook = await subscribe(app, studio, project_id, studio.facade)
        studio.structure.delete()
        await post(app, hook, delivery)
        await wait_for_cards(studio, studio.facade, 1)
        await post(app, hook, changed(delivery, number=2))
        await wait_for_cards(studio, studio.facade, 2)
        states = {
            s.channel_id: s.pause_reason
            for s in await app.storage.read(lambda tx: tx.subscriptions.of_hook(hook.id))
        }
        assert states == {studio.structure.id: "channel_gone", studio.facade.id: None}


async def test_the_shared_hook_reaches_only_the_guilds_that_it_serves(
    studio: Studio, start_bot: StartBot
) -> None:
    secret = "organisation-secret"
    stranger = studio.sandbox.add_guild("Elsewhere")
    lobby = stranger.add_channel("lobby")
    nosy = stranger.add_member("Nadia Voss", permissions="manage_webhooks")
    delivery = named("commit_create")
    link = f"{SERVER}/projects/{delivery.payload['streamId']}"
    async with start_bot(
        speckle_webhook_secret=secret, organisation={"guilds": [studio.guild.id]}
    ) as app:
        await studio.sandbox.command(stranger, lobby, nosy, "subscribe", stream_id=link)
        answer = await studio.sandbox.command(
            studio.guild, studio.structure, studio.maren, "subscribe", stream_id=link
        )
        assert secret not in str(answer)
        await studio.sandbox.press(answer, SHOW)
        assert await _post_shared(app, delivery, secret) == 202
        await wait_for_cards(studio, studio.structure, 1)
        assert cards_in(studio, lobby) == []


async def _post_shared(app: App, delivery: Recorded, secret: str) -> int:
    headers = {
        "Content-Type": "application/json",
        "X-WEBHOOK-SIGNATURE": delivery.signature(secret),
    }
    url = f"http://127.0.0.1:{app.port}/webhook"
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=io.BytesIO(delivery.body), headers=headers) as answer,
    ):
        return answer.status


@pytest.mark.parametrize("fault", ["before", "after"])
async def test_a_lost_answer_is_sent_again_and_shown_once(
    studio: Studio, start_bot: StartBot, fault: str
) -> None:
    async with start_bot() as app:
        delivery = named("commit_create")
        hook = await subscribe(app, studio, delivery.payload["streamId"], studio.structure)
        route = f"POST /channels/{studio.structure.id}/messages"
        if fault == "before":
            studio.sandbox.faults.reset_before(route, times=1)
        else:
            studio.sandbox.faults.reset_after(route, times=1)
        await post(app, hook, delivery)
        await wait_for_cards(studio, studio.structure, 1)
        await post(app, hook, changed(delivery, number=2))
        assert len(await wait_for_cards(studio, studio.structure, 2)) == 2
