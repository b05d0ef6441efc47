"""Cards as messages: their embeds, files and buttons, and what a message is known again by."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias, assert_never

import discord

from bot.cards.alt_texts import alt_text
from bot.cards.buttons import button_rows
from bot.cards.card import MAX_TITLE, MAX_TOTAL, Card, CardButton, LinkButton
from bot.cards.fallback import as_text, without_media
from bot.cards.text import units
from bot.speckle.events import EventKind
from bot.work import FallbackLevel

TitleEmoji: TypeAlias = Mapping[EventKind, str]
"""What is shown before a card's title, by the kind of its event, as Discord writes emoji."""
NO_EMOJI: Final[TitleEmoji] = {}
EMOJI: Final = re.compile(r"\A<a?:\w+:\d+> ")
MARKS: Final = re.compile(r"[\\<>]")  # how a text is escaped, which may differ between versions


def to_embed(card: Card) -> discord.Embed:
    """Build the embed of a card; the card is within Discord's limits already."""
    embed = discord.Embed(
        title=card.title,
        url=card.url,
        description=card.description or None,
        colour=card.colour,
        timestamp=card.timestamp,
    )
    if card.author_name:
        embed.set_author(name=card.author_name, url=card.author_url, icon_url=card.author_icon)
    for field in card.fields:
        embed.add_field(name=field.name, value=field.value, inline=field.inline)
    if card.footer:
        embed.set_footer(text=card.footer)
    embed.set_thumbnail(url=card.thumbnail)
    return embed if card.image is None else _with_image(embed, card, card.image)


def _with_image(embed: discord.Embed, card: Card, url: str) -> discord.Embed:
    """The embed with a picture and its words, for which discord.py has no argument.

    Source: RichEmbedImage in https://github.com/discord/discord-api-spec
    """
    image = {"url": url, "description": alt_text(card, url)}
    return discord.Embed.from_dict({**embed.to_dict(), "image": image})


def _files(cards: Sequence[Card]) -> list[discord.File]:
    pictures = {picture.name: (picture, card) for card in cards for picture in card.pictures}
    return [
        discord.File(
            io.BytesIO(picture.content),
            filename=picture.name,
            description=alt_text(card, picture.url),
        )
        for picture, card in pictures.values()
    ]


def _view(cards: Sequence[Card]) -> dict[str, discord.ui.View]:
    """The buttons of all cards, as the argument of `channel.send`."""
    rows = button_rows(cards)
    if not rows:
        return {}
    view = discord.ui.View(timeout=None)
    for number, row in enumerate(rows):
        for button in row:
            view.add_item(_button(button, number))
    return {"view": view}


class _AnsweredButton(discord.ui.Button[discord.ui.View]):
    """A button that is found by its custom_id alone, also after a restart."""

    def is_dispatchable(self) -> bool:
        """False, so that discord.py keeps nothing of it in memory."""
        return False


def _button(button: CardButton, row: int) -> "discord.ui.Button[discord.ui.View]":
    if isinstance(button, LinkButton):
        return discord.ui.Button(label=button.label, url=button.url, row=row)
    return _AnsweredButton(label=button.label, custom_id=button.custom_id, row=row)


def _with_emoji(cards: Sequence[Card], emoji: TitleEmoji) -> Sequence[Card]:
    """The cards with an emoji before each title; as they are where there is no room for that."""
    titles = [
        f"{emoji[card.kind]} {card.title}" if card.kind in emoji else card.title for card in cards
    ]
    longer = sum(
        units(title) - units(card.title) for title, card in zip(titles, cards, strict=True)
    )
    if sum(card.length for card in cards) + longer > MAX_TOTAL:
        return cards
    return [
        replace(card, title=title) if units(title) <= MAX_TITLE else card
        for card, title in zip(cards, titles, strict=True)
    ]


def fingerprint(message: Mapping[str, Any]) -> object:
    """What distinguishes one message from another: titles and times of its cards, or its text."""
    if embeds := message.get("embeds"):
        return [
            (
                EMOJI.sub("", embed.title or "").strip(),
                embed.timestamp and int(embed.timestamp.timestamp() * 1e3),
            )
            for embed in embeds
        ]
    return MARKS.sub("", str(message["content"])).strip()


def message_arguments(
    cards: Sequence[Card], level: FallbackLevel, nonce: str, emoji: TitleEmoji = NO_EMOJI
) -> dict[str, Any]:
    """The keyword arguments of `channel.send`; a level below FULL is for one card alone."""
    always = {"nonce": nonce, "allowed_mentions": discord.AllowedMentions.none()}
    match level:
        case FallbackLevel.TEXT:
            return {"content": "\n".join(as_text(card) for card in cards), **always}
        case FallbackLevel.NO_MEDIA:
            embeds = [to_embed(without_media(card)) for card in cards]
            return {"embeds": embeds, **_view(cards), **always}
        case FallbackLevel.FULL:
            embeds = [to_embed(card) for card in _with_emoji(cards, emoji)]
            return {"embeds": embeds, "files": _files(cards), **_view(cards), **always}
        case _:
            assert_never(level)
