"""One card: everything that a Discord embed shows, final, within Discord's limits.

Limits: https://discord.com/developers/docs/resources/message#embed-object-embed-limits
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from bot.cards.text import is_blank, seen, shorten, shorten_plain, units
from bot.speckle.events import EventKind

MAX_TITLE = 256
MAX_DESCRIPTION = 4_096
MAX_FIELDS = 25
MAX_FIELD_NAME = 256
MAX_FIELD_VALUE = 1_024
MAX_FOOTER = 2_048
MAX_AUTHOR = 256
MAX_TOTAL = 6_000
MAX_URL = 2_048
MAX_BUTTONS = 25
MAX_BUTTON_LABEL = 80
MAX_BUTTON_URL = 512
MAX_CUSTOM_ID = 100

# How short the texts of an overlong card may become before fields are dropped.
LEAST_FIELD_VALUE = 100
LEAST_DESCRIPTION = 500
ATTACHMENT = "attachment://"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that travels with the card, as "attachment://<name>"."""

    name: str
    media_type: str
    content: bytes

    @property
    def url(self) -> str:
        """How a card's embed names it."""
        return f"{ATTACHMENT}{self.name}"


@dataclass(frozen=True, slots=True)
class Field:
    """A name and a value, both Discord markdown."""

    name: str
    value: str
    inline: bool = True


@dataclass(frozen=True, slots=True)
class LinkButton:
    """A button that opens a page."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class OpenedTopic:
    """An issue or a thread, by its id; `noun` is which of them, `text` its linked title."""

    id: str
    noun: str
    text: str


@dataclass(frozen=True, slots=True)
class ActionButton:
    """A button that the bot itself answers, each person alone; `custom_id` says what it is for."""

    label: str
    custom_id: str


CardButton: TypeAlias = LinkButton | ActionButton


@dataclass(frozen=True, slots=True)
class Card:
    """An event as a channel sees it.

    Title, description and fields are Discord markdown with user text escaped; author and footer
    are plain, because Discord shows them as they are. `author_icon`, `image` and `thumbnail` are
    http(s) URLs or "attachment://<picture name>". `colour` is 0xRRGGBB. `about` is what the title
    names, such as a model; `notes` is the part of the description below the event. `additions` are
    paragraphs between the two, by what they say, that came later, and so are `opened`: what was
    opened on the version that the card shows.
    """

    kind: EventKind
    title: str
    url: str | None
    description: str
    colour: int
    author_name: str | None
    author_icon: str | None
    author_url: str | None
    fields: tuple[Field, ...]
    footer: str
    timestamp: datetime
    image: str | None = None
    thumbnail: str | None = None
    buttons: tuple[CardButton, ...] = ()
    pictures: tuple[Picture, ...] = ()
    about: str = ""
    notes: str = ""
    additions: tuple[tuple[str, str], ...] = ()
    opened: tuple[OpenedTopic, ...] = ()

    @property
    def length(self) -> int:
        """What Discord counts towards the 6,000 of a message, in UTF-16 units."""
        texts = [self.title, self.description, self.author_name or "", self.footer]
        texts += [text for field in self.fields for text in (field.name, field.value)]
        return sum(units(text) for text in texts)

    def to_json(self) -> dict[str, Any]:
        """The card as JSON, without the pictures' contents: `from_json` gets those separately."""
        return {
            "kind": self.kind.value,
            "title": self.title,
            "url": self.url,
            "description": self.description,
            "colour": self.colour,
            "author_name": self.author_name,
            "author_icon": self.author_icon,
            "author_url": self.author_url,
            "fields": [[field.name, field.value, field.inline] for field in self.fields],
            "footer": self.footer,
            "timestamp": self.timestamp.isoformat(),
            "image": self.image,
            "thumbnail": self.thumbnail,
            "buttons": [_button_to_json(button) for button in self.buttons],
            "pictures": [[picture.name, picture.media_type] for picture in self.pictures],
            "about": self.about,
            "notes": self.notes,
            "additions": [list(one) for one in self.additions],
            "opened": [[one.id, one.noun, one.text] for one in self.opened],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any], pictures: Sequence[Picture]) -> "Card":
        """The card that `to_json` was given; a picture that is no longer there is left out.

        Cards of older versions do not say what their notes are: those follow an empty line.
        """
        names = [name for name, _media_type in data["pictures"]]
        kept = tuple(picture for picture in pictures if picture.name in names)
        card = cls(
            **{
                **data,
                "kind": EventKind(data["kind"]),
                "fields": tuple(Field(*field) for field in data["fields"]),
                "timestamp": datetime.fromisoformat(data["timestamp"]),
                "buttons": tuple(map(_button_from_json, data["buttons"])),
                "pictures": kept,
                "notes": data.get("notes", data["description"].partition("\n\n")[2]),
                "additions": tuple((name, text) for name, text in data.get("additions", ())),
                "opened": tuple(OpenedTopic(*one) for one in data.get("opened", ())),
            }
        )
        return _without_missing_pictures(card)

    def plain_text(self) -> str:
        """What a member of the channel reads, as lines of text."""
        title = seen(self.title)
        lines = [
            self.author_name,
            f"{title} <{self.url}>" if self.url else title,
            seen(self.description),
            *(f"{seen(field.name)}: {seen(field.value)}" for field in self.fields),
            f"[picture {self.image}]" if self.image else None,
            " ".join(map(_button_text, self.buttons)),
            f"{self.footer} · {self.timestamp:%Y-%m-%d %H:%M}",
        ]
        return "\n".join(line for line in lines if line)


def _button_to_json(button: CardButton) -> list[str | None]:
    if isinstance(button, LinkButton):
        return [button.label, button.url]
    return [button.label, None, button.custom_id]


def _button_from_json(row: Sequence[str]) -> CardButton:
    return ActionButton(row[0], row[2]) if len(row) > 2 else LinkButton(*row)


def _button_text(button: CardButton) -> str:
    where = f" <{button.url}>" if isinstance(button, LinkButton) else ""
    return f"[{button.label}{where}]"


def _without_missing_pictures(card: Card) -> Card:
    there = {picture.url for picture in card.pictures}

    def kept(url: str | None) -> str | None:
        return None if url and url.startswith(ATTACHMENT) and url not in there else url

    return replace(
        card,
        author_icon=kept(card.author_icon),
        image=kept(card.image),
        thumbnail=kept(card.thumbnail),
    )


def fit(card: Card) -> Card:
    """Bring any card within each of Discord's limits, losing as little as possible."""
    card = replace(
        card,
        title=shorten(card.title, MAX_TITLE),
        url=_url(card.url),
        description=shorten(card.description, MAX_DESCRIPTION),
        author_name=_author(card.author_name),
        author_icon=_url(card.author_icon),
        author_url=_url(card.author_url),
        fields=tuple(_fields(card.fields))[:MAX_FIELDS],
        footer=shorten_plain(card.footer, MAX_FOOTER),
        image=_url(card.image),
        thumbnail=_url(card.thumbnail),
        buttons=tuple(_buttons(card.buttons))[:MAX_BUTTONS],
    )
    if card.length <= MAX_TOTAL:
        return card
    return _fit_total(card)


def _url(url: str | None) -> str | None:
    """The address unless Discord would refuse the message for it.

    It wants a host with a dot: a server known as http://speckle or http://localhost has no
    linked title, but its cards arrive.
    """
    if not url or len(url) > MAX_URL:
        return None
    if url.startswith(ATTACHMENT):
        return url
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and "." in (parts.hostname or "")
    except ValueError:
        return None
    return url if usable else None


def _author(name: str | None) -> str | None:
    return None if name is None or is_blank(name) else shorten_plain(name, MAX_AUTHOR)


def _fields(fields: Sequence[Field]) -> Sequence[Field]:
    """Discord refuses a whole message for one field without a name or a value."""
    return [
        Field(
            shorten(field.name, MAX_FIELD_NAME), shorten(field.value, MAX_FIELD_VALUE), field.inline
        )
        for field in fields
        if not is_blank(field.name) and not is_blank(field.value)
    ]


def _buttons(buttons: Sequence[CardButton]) -> Sequence[CardButton]:
    return [
        replace(button, label=shorten_plain(button.label, MAX_BUTTON_LABEL))
        for button in buttons
        if _is_usable(button) and not is_blank(button.label)
    ]


def _is_usable(button: CardButton) -> bool:
    if isinstance(button, ActionButton):
        return 0 < len(button.custom_id) <= MAX_CUSTOM_ID
    return _url(button.url) is not None and len(button.url) <= MAX_BUTTON_URL


def _fit_total(card: Card) -> Card:
    """Shorten field values from the last to the first, then the description, then drop fields."""
    fields = list(card.fields)
    for index in reversed(range(len(fields))):
        value = fields[index].value
        excess = replace(card, fields=tuple(fields)).length - MAX_TOTAL
        if excess > 0:
            shorter = shorten(value, max(LEAST_FIELD_VALUE, units(value) - excess))
            fields[index] = replace(fields[index], value=shorter)
    card = replace(card, fields=tuple(fields))
    excess = card.length - MAX_TOTAL
    if excess > 0:
        room = max(LEAST_DESCRIPTION, units(card.description) - excess)
        card = replace(card, description=shorten(card.description, room))
    while card.length > MAX_TOTAL:
        card = replace(card, fields=card.fields[:-1])
    return card
