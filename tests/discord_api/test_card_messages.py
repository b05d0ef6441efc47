"""Cards as messages: buttons that say whose they are, words for pictures, emoji, a fingerprint."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import discord
import pytest

from bot.cards.card import (
    MAX_BUTTON_LABEL,
    ActionButton,
    Card,
    CardButton,
    Field,
    LinkButton,
    Picture,
)
from bot.cards.emoji import OF_KIND, CardEmoji, drawn
from bot.cards.pictures import look_at
from bot.discord_api.application_emoji import ApplicationEmoji
from bot.discord_api.card_messages import TitleEmoji, fingerprint, message_arguments
from bot.discord_api.client import use_api
from bot.discord_api.outcomes import Sent
from bot.discord_api.send import NONCE_KNOWN, edit, find_sent, send
from bot.speckle.events import EventKind
from bot.timing import Backoff
from bot.work import (
    Batch,
    BatchState,
    FallbackLevel,
)
from sandbox.discord import Sandbox
from tests.waiting import until

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
PAGE = "https://speckle.example/projects/p/models/m@v"
OPEN = LinkButton("Open in Speckle", PAGE)
COMPARE = ActionButton("Compare", "compare:with:0123abcd:a1b2c3d4e5:0000000001")
PICTURE = Picture("preview-0123456789ab.png", "image/png", b"png")
EMOJI: TitleEmoji = {kind: f"<:{name}:1>" for kind, name in OF_KIND.items()}


def compare(number: int) -> ActionButton:
    """The button of another version."""
    return ActionButton("Compare", f"compare:with:0123abcd:a1b2c3d4e5:{number:010}")


def card(about: str, *buttons: CardButton, **parts: Any) -> Card:
    made = Card(
        EventKind.VERSION_CREATED,
        f"New version: {about}",
        PAGE,
        "",
        0,
        None,
        None,
        None,
        (),
        "",
        NOW,
    )
    return replace(made, about=about, buttons=buttons, **parts)


def rows(cards: Sequence[Card], level: FallbackLevel = FallbackLevel.FULL) -> list[list[str]]:
    """The labels of a message's buttons, row by row, as they are sent."""
    view = message_arguments(cards, level, "")["view"]
    return [[one["label"] for one in row["components"]] for row in view.to_components()]


async def test_a_card_alone_has_its_buttons_at_each_level_that_has_an_embed() -> None:
    alone = [card("facade", OPEN, COMPARE)]
    assert rows(alone) == [["Open in Speckle", "Compare"]]
    assert rows(alone, FallbackLevel.NO_MEDIA) == rows(alone)
    text = message_arguments(alone, FallbackLevel.TEXT, "")
    assert "view" not in text
    assert PAGE not in text["content"]


async def test_buttons_in_company_say_whose_they_are_and_those_of_a_card_stay_together() -> None:
    cards = [
        card(r"structure/level\_1", OPEN, COMPARE),
        card("facade", OPEN),
        card("roof", OPEN, compare(2)),
    ]
    assert rows(cards) == [
        [
            "Open: structure/level_1",
            "Compare: structure/level_1",
            "Open: facade",
            "Open: roof",
            "Compare: roof",
        ]
    ]
    same = [card("facade", OPEN, COMPARE), card("roof"), card("facade", OPEN, compare(2))]
    assert list(chain(*rows(same))) == [
        "Open: facade (1 of 2)",
        "Compare: facade (1 of 2)",
        "Open: facade (2 of 2)",
        "Compare: facade (2 of 2)",
    ]


async def test_ten_cards_have_room_for_all_their_buttons() -> None:
    labels = rows([card("storey/" * 30, OPEN, compare(number)) for number in range(10)])
    assert [len(row) for row in labels] == [4] * 5
    assert labels[-1][-1].endswith("… (10 of 10)")
    assert all(len(label) <= MAX_BUTTON_LABEL for row in labels for label in row)


async def test_what_two_cards_offer_alike_is_there_once() -> None:
    """Discord refuses a message with two buttons of one custom id."""
    twice = [card("facade", OPEN, COMPARE), card("facade", OPEN, COMPARE)]
    assert list(chain(*rows(twice))) == [
        "Open: facade (1 of 2)",
        "Compare: facade (1 of 2)",
        "Open: facade (2 of 2)",
    ]
    kept = [Card.from_json(one.to_json(), ()) for one in twice]
    assert kept == twice


async def test_the_buttons_of_an_older_versions_cards_are_called_by_their_titles() -> None:
    data = card("", LinkButton("Open thread", PAGE)).to_json() | {"title": "New comment on roof"}
    del data["about"], data["notes"]
    old = Card.from_json(data, ())
    assert rows([old, card("facade")]) == [["Open thread: New comment on roof"]]


async def test_pictures_have_words() -> None:
    shown = card(
        r"level\_1",
        image=PICTURE.url,
        author_name="Maren Oduya",
        author_icon="attachment://avatar-1.png",
        pictures=(PICTURE, Picture("avatar-1.png", "image/png", b"png")),
    )
    message = message_arguments([shown], FallbackLevel.FULL, "")
    words = "3D view of the model in this version: level_1"
    assert [file.description for file in message["files"]] == [words, "Maren Oduya"]
    assert message["embeds"][0].to_dict()["image"]["description"] == words
    by_address = replace(shown, image="https://speckle.example/preview/p/commits/v", pictures=())
    (embed,) = message_arguments([by_address], FallbackLevel.FULL, "")["embeds"]
    assert embed.to_dict()["image"]["description"] == words
    issue = replace(shown, image="attachment://issue-1.png", about="KT-12 Beam")
    (embed,) = message_arguments([issue], FallbackLevel.FULL, "")["embeds"]
    assert embed.to_dict()["image"]["description"] == "Picture of the issue: KT-12 Beam"
    comment = replace(shown, image="attachment://screenshot-1.png", about="")
    (embed,) = message_arguments([comment], FallbackLevel.FULL, "")["embeds"]
    assert embed.to_dict()["image"]["description"] == "Screenshot that came with the comment"


def titles(cards: Sequence[Card], level: FallbackLevel = FallbackLevel.FULL) -> list[str]:
    return [embed.title for embed in message_arguments(cards, level, "", EMOJI)["embeds"]]


async def test_an_emoji_is_before_a_title_where_there_is_room_for_it() -> None:
    facade = card("facade")
    assert titles([facade]) == ["<:speckle_version:1> New version: facade"]
    assert titles([facade], FallbackLevel.NO_MEDIA) == ["New version: facade"]
    full = [card("facade", fields=(Field("Text", "x" * 990),) * 3) for _ in range(2)]
    assert sum(one.length for one in full) > 5_900
    long = replace(facade, title="t" * 250)
    assert titles([long]) == ["t" * 250]
    unknown = replace(facade, kind=EventKind.UNKNOWN)
    assert titles([unknown]) == ["New version: facade"]
    assert titles([*full, card("x" * 40)]) == [one.title for one in [*full, card("x" * 40)]]


@pytest.mark.parametrize("level", FallbackLevel)
async def test_a_message_is_known_again_with_emoji_and_without(level: FallbackLevel) -> None:
    cards = [card(r"facade \<x> https\://a", OPEN, COMPARE)]
    with_emoji, without = (message_arguments(cards, level, "n", one) for one in (EMOJI, {}))
    assert fingerprint(with_emoji) == fingerprint(without)


@pytest.mark.parametrize("emoji", CardEmoji)
def test_each_emoji_is_drawn_as_discord_takes_it(emoji: CardEmoji) -> None:
    picture = drawn(emoji)
    assert look_at(picture) == ("image/png", (128, 128))
    assert len(picture) < 256 * 1024
    assert drawn(emoji) == picture


# ── over real sockets ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def sandbox(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    monkeypatch.setattr(discord.http.Route, "BASE", discord.http.Route.BASE)
    async with Sandbox.start(pace=False) as running:
        use_api(running.api_url)
        yield running


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[discord.Client]:
    async with discord.Client(intents=discord.Intents.none()) as logged_in:
        await logged_in.login(sandbox.token)
        yield logged_in


async def there(emoji: ApplicationEmoji, client: discord.Client) -> TitleEmoji:
    """The emoji once they are there."""
    ready = asyncio.Event()
    ready.set()
    running = asyncio.create_task(emoji.run(client, ready))

    async def found() -> bool:
        return bool(emoji)

    await until(found)
    running.cancel()
    return dict(emoji)


async def none_taken(_channel_id: int, _message_ids: Collection[int]) -> Collection[int]:
    return ()


async def test_a_message_of_another_batch_is_not_taken_for_ones_own(
    sandbox: Sandbox, client: discord.Client
) -> None:
    channel = sandbox.add_guild("Studio Kestrel").add_channel("structure")
    # Read together: of one time, and of one title each.
    first, second = (
        [card("facade", OPEN), card("facade", LinkButton("Open in Speckle", f"{PAGE}{number}"))]
        for number in range(2)
    )
    batch = Batch(1, channel.id, "nonce", datetime.now(UTC), BatchState.OPEN)
    sent = await send(client, batch, first, FallbackLevel.FULL, taken=none_taken)
    assert isinstance(sent, Sent)

    async def taken(_: int, message_ids: Collection[int]) -> Collection[int]:
        return {sent.message_id}.intersection(message_ids)

    other = replace(batch, id=2, nonce="another", created_at=batch.created_at - NONCE_KNOWN)
    alike = await find_sent(client, other, second, FallbackLevel.FULL, taken=none_taken)
    assert alike == sent
    assert await find_sent(client, other, second, FallbackLevel.FULL, taken=taken) is None
    own = await send(client, other, second, FallbackLevel.FULL, taken=taken)
    assert isinstance(own, Sent)
    assert own != sent
    assert await find_sent(client, other, second, FallbackLevel.FULL, taken=taken) == own


async def test_emoji_are_created_once_and_found_again(
    sandbox: Sandbox, client: discord.Client
) -> None:
    route = "POST /applications/{application_id}/emojis"
    sandbox.faults.fail(route, 400, code=30008, times=1)
    emoji = ApplicationEmoji(Backoff((0.05,)))
    assert len(emoji) == 0, "and cards come without"
    first = await there(emoji, client)
    assert first.keys() == OF_KIND.keys()
    assert {one.name for one in sandbox.world.emojis.values()} == {*CardEmoji}
    again = await there(ApplicationEmoji(), client)
    assert (again, len(sandbox.world.emojis)) == (first, len(CardEmoji))


async def test_a_message_with_emoji_and_buttons_is_sent_found_again_and_edited(
    sandbox: Sandbox, client: discord.Client
) -> None:
    channel = sandbox.add_guild("Studio Kestrel").add_channel("structure")
    cards = [card("facade", OPEN, COMPARE), card("roof", OPEN)]
    batch = Batch(1, channel.id, "nonce", datetime.now(UTC), BatchState.OPEN)
    sent = await send(client, batch, cards, FallbackLevel.FULL, emoji=EMOJI, taken=none_taken)
    assert isinstance(sent, Sent)
    found = await find_sent(client, batch, cards, FallbackLevel.FULL, taken=none_taken)
    assert found == sent
    later = [replace(cards[0], buttons=(OPEN,)), cards[1]]
    assert await edit(client, channel.id, sent.message_id, later, FallbackLevel.FULL) == sent
    (message,) = sandbox.messages(channel.id)
    labels = [one["label"] for row in message.components for one in row["components"]]
    assert labels == ["Open: facade", "Open: roof"]
