"""Events → cards."""

from collections.abc import Sequence
from dataclasses import replace

from bot.cards.card import Card, OpenedTopic, Picture, fit
from bot.cards.card_context import CardContext, CardParts
from bot.cards.compare_button import comparing
from bot.cards.event_table import CARDS
from bot.cards.notes import CardNote
from bot.cards.opened import opened_text, with_topic
from bot.cards.pictures import MAX_AVATAR_BYTES, is_public_url, picture_of
from bot.cards.text import one_line, shorten
from bot.speckle.events import SpeckleUser

MAX_NOTE = 300  # UTF-16 units
ADDITIONS = ("changes", "checks")  # the paragraphs that come later, in this order


def render(context: CardContext) -> Card | None:
    """The event's card, within Discord's limits; None where nothing changed, so post nothing."""
    event = context.delivery.event
    row = CARDS[event.kind]
    parts = row.render(context, event)
    if parts is None:
        return None
    icon, avatar = _avatar(context.actor)
    pictures = [picture for picture in (avatar, parts.image) if picture is not None]
    notes = _notes(context.notes)
    return fit(
        Card(
            kind=event.kind,
            title=f"{parts.title}: {parts.about}" if parts.about else parts.title,
            url=parts.url,
            description=_paragraphs(_event(parts), notes),
            colour=row.colour if parts.colour is None else parts.colour,
            author_name=_author_name(context),
            author_icon=icon,
            author_url=_author_url(context),
            fields=parts.fields,
            footer=context.footer,
            timestamp=context.received_at,
            image=None if parts.image is None else parts.image.url,
            buttons=parts.buttons,
            pictures=tuple({picture.name: picture for picture in pictures}.values()),
            about=parts.about,
            notes=notes,
        )
    )


def fill_in(card: Card, context: CardContext) -> Card:
    """The card that was sent, with what the context's facts add to it.

    Title and time stay, because a message is recognised by them in its channel. So do its pictures
    and its notes.
    """
    actor = context.delivery.actor and replace(context.delivery.actor, avatar=None)
    context = replace(context, delivery=replace(context.delivery, actor=actor), notes=())
    after = render(context)
    if after is None:
        return card
    event = "\n".join(part for part in (new_title(card, after), after.description) if part)
    return fit(
        replace(
            card,
            url=after.url,
            description=_paragraphs(event, *_came_later(card), card.notes),
            author_name=after.author_name or card.author_name,
            author_url=after.author_url or card.author_url,
            fields=after.fields,
            buttons=after.buttons,
            about=after.about,
        )
    )


def with_addition(card: Card, name: str, text: str, compare_by: str | None = None) -> Card:
    """The card that was sent, with a paragraph that came later, in place of an earlier one.

    `compare_by` is the custom id of a button that compares from now on, where that is another one.
    """
    there = {**dict(card.additions), name: text}
    additions = tuple((one, there[one]) for one in ADDITIONS if one in there)
    buttons = card.buttons if compare_by is None else comparing(card.buttons, compare_by)
    return _with_later(card, replace(card, additions=additions, buttons=buttons))


def with_opened(card: Card, topic: OpenedTopic, *, is_open: bool) -> Card:
    """The card of a version that was sent, with what was opened on it, or without it again."""
    return _with_later(card, replace(card, opened=with_topic(card.opened, topic, is_open=is_open)))


def new_title(card: Card, after: Card) -> str:
    """What the title would say by now, if it says more."""
    if after.title == card.title or (after.about and after.about in card.title):
        return ""
    return f"**{after.title.removeprefix(f'{card.title}: ')}**"


def _event(parts: CardParts) -> str:
    quote = "\n".join(f"> {line}" for line in parts.quote.split("\n")) if parts.quote else ""
    small = f"-# {parts.small}" if parts.small else ""
    return "\n".join(part for part in (parts.sentence, quote, small) if part)


def _notes(notes: Sequence[CardNote]) -> str:
    return "\n".join(shorten(note.text, MAX_NOTE) for note in notes)


def _with_later(card: Card, new: Card) -> Card:
    """A card with the description that follows from what came later by now."""
    below = _paragraphs("", *_came_later(card), card.notes)
    event = card.description.removesuffix(below).rstrip("\n") if below else card.description
    return fit(replace(new, description=_paragraphs(event, *_came_later(new), new.notes)))


def _came_later(card: Card) -> Sequence[str]:
    """Its paragraphs that came later, in their order."""
    return [*(text for _, text in card.additions), opened_text(card.opened)]


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def _author_name(context: CardContext) -> str | None:
    actor = context.actor
    return None if actor is None else one_line(context.name_of(actor), f"Speckle user {actor.id}")


def _author_url(context: CardContext) -> str | None:
    """Only old servers have a public page for a person."""
    if context.actor_id is None or not context.links.legacy:
        return None
    return f"{context.server_url}/profile/{context.actor_id}"


def _avatar(actor: SpeckleUser | None) -> tuple[str | None, Picture | None]:
    """The address of the author's picture, and the picture if it has to be attached."""
    if actor is None or actor.avatar is None:
        return None, None
    if is_public_url(actor.avatar):
        return actor.avatar, None
    picture = picture_of(actor.avatar, "avatar", MAX_AVATAR_BYTES)
    return (None, None) if picture is None else (picture.url, picture)
