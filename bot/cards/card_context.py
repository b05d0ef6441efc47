"""What each renderer works with: the event in its context, and the parts that cards share."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from urllib.parse import urlsplit

from bot.cards.applications import application_name
from bot.cards.card import CardButton, Field, Picture
from bot.cards.notes import CardNote
from bot.cards.text import (
    escape_markdown,
    escape_name,
    link,
    one_line,
    paragraphs,
    shorten,
    shorten_plain,
    units,
)
from bot.speckle.events import Delivery, KnownThread, ModelRef, SpeckleUser, TextChange
from bot.speckle.facts import CommentFacts, Facts, IssueFacts, ReceivedFacts, VersionFacts
from bot.speckle.links import Links

# How much of a text a card shows, in UTF-16 units: enough to know what it is about.
MAX_NAME = 100
MAX_MESSAGE = 1_000
MAX_COMMENT = 2_000
MAX_BEFORE_AFTER = 400
MAX_LINES = 30  # a text of only line breaks would fill the channel

NOTHING = "*(empty)*"


@dataclass(frozen=True, slots=True)
class CardParts:
    """What a renderer adds to a card; texts are Discord markdown, escaped.

    `about` is what the title names behind its words. Who did it is above the title, so nothing
    else says it. `quote` is what a person wrote, shown as a quotation below the sentence; `small`
    is a line in small print below that.
    """

    title: str
    url: str | None
    about: str = ""
    sentence: str = ""
    quote: str = ""
    small: str = ""
    fields: tuple[Field, ...] = ()
    colour: int | None = None
    image: Picture | None = None
    buttons: tuple[CardButton, ...] = ()


@dataclass(frozen=True, slots=True)
class CardContext:
    """An event and what its card shows in addition, with the words and links that renderers need.

    `server_url` is the hook's pinned server, the root of every link. `notes` are said
    below the event. `model_names` and `person_names` are those that the caller knows by id: the
    wire often has ids only. `thread` is what was heard of the event's thread before.
    """

    delivery: Delivery
    server_url: str
    received_at: datetime
    facts: Facts | None = None
    notes: tuple[CardNote, ...] = ()
    project_name: str | None = None
    model_names: Mapping[str, str] = field(default_factory=dict)
    person_names: Mapping[str, str] = field(default_factory=dict)
    thread: KnownThread | None = None

    @property
    def links(self) -> Links:
        """Addresses on the pinned server, in the form that it understands."""
        return Links(self.server_url, self.delivery.legacy)

    @property
    def project_id(self) -> str:
        """The project's id."""
        return self.delivery.project.id

    @property
    def project_url(self) -> str:
        """The project's page."""
        return self.links.project(self.project_id)

    @property
    def version_facts(self) -> VersionFacts:
        """What the server adds to a new version."""
        return self.facts if isinstance(self.facts, VersionFacts) else VersionFacts()

    @property
    def comment_facts(self) -> CommentFacts | None:
        """What the server adds to a comment: its thread."""
        return self.facts if isinstance(self.facts, CommentFacts) else None

    @property
    def issue_facts(self) -> IssueFacts | None:
        """What the server adds to an issue's event: the issue itself."""
        return self.facts if isinstance(self.facts, IssueFacts) else None

    @property
    def received_facts(self) -> ReceivedFacts | None:
        """What the server adds to a received version: which one."""
        return self.facts if isinstance(self.facts, ReceivedFacts) else None

    @property
    def actor(self) -> SpeckleUser | None:
        """Who did it; a new version's author where the event does not say."""
        return self.delivery.actor or self.version_facts.author

    @property
    def actor_id(self) -> str | None:
        """The Speckle id of who did it."""
        return None if self.actor is None else self.actor.id

    def name_of(self, person: SpeckleUser | None) -> str | None:
        """A person's name, as it came or as it is known; not escaped."""
        return None if person is None else person.name or self.person_names.get(person.id)

    @property
    def footer(self) -> str:
        """Project and server, as plain text."""
        project = self.delivery.project
        name = project.name or self.project_name
        shown = shorten_plain(one_line(name, f"Project {project.id}"), MAX_NAME)
        return f"{shown} · {urlsplit(self.server_url).netloc}"

    def person_fields(self, name: str, person_id: str | None) -> tuple[Field, ...]:
        """Somebody that an event names only by id: by name, or by the id to look them up."""
        if person_id is None:
            return ()
        known = self._known_name(person_id)
        return (Field(name, f"`{person_id}`" if known is None else name_text(known)),)

    def _known_name(self, person_id: str | None) -> str | None:
        actor = self.actor
        if actor is not None and actor.name is not None and person_id == actor.id:
            return actor.name
        return self.person_names.get(person_id or "")

    def model_name(self, model: ModelRef) -> str | None:
        """The model's name in markdown, None where nobody knows it."""
        name = model.name or self.model_names.get(model.id or "")
        return None if name is None else name_text(name)

    def model_link(self, model: ModelRef, version_id: str | None = None) -> str:
        """A link to the model, or to a version of it, by its name or else by its id."""
        label = self.model_name(model)
        if label is None:
            label = f"model {model.id}" if model.id else f"version {version_id}"
        if version_id is not None:
            return link(label, self.links.version(self.project_id, model.id, version_id))
        name = model.name or self.model_names.get(model.id or "")
        return link(label, self.links.model(self.project_id, model.id, name))

    def version_url(self, model: ModelRef, version_id: str) -> str:
        """The version's page."""
        return self.links.version(self.project_id, model.id, version_id)

    def model_url(self, model: ModelRef) -> str:
        """The model's page."""
        return self.links.model(self.project_id, model.id, model.name)


@lru_cache(1_000)  # a comparison says the same names on each of its pages
def name_text(name: str | None, otherwise: str | None = None) -> str:
    """A name for use inside a sentence or a title: one line, not too long, escaped."""
    line = one_line(name) if otherwise is None else one_line(name, otherwise)
    return escape_name(shorten_plain(line, MAX_NAME))


def further_words(said: str | None, event_name: str) -> str:
    """What Speckle says about an event; empty where that only repeats the event's name."""
    words, name = (
        re.findall(r"\w+", text.lower().replace("_", " ")) for text in (said or "", event_name)
    )
    return "" if words == name else said or ""


def long_text(text: str | None, limit: int) -> str:
    """A longer text that somebody typed, escaped and shortened; "" where there is nothing."""
    return shown_part(escape_markdown(paragraphs(text)), limit)


def shown_part(markdown: str, limit: int) -> str:
    """The beginning of a text, in length and in lines."""
    lines = markdown.split("\n")
    if len(lines) > MAX_LINES:
        limit = min(limit, units("\n".join(lines[:MAX_LINES])) + 1)
    return shorten(markdown, limit)


def application_text(raw: str | None) -> str | None:
    """An application's name in markdown."""
    name = application_name(raw)
    return None if name is None else escape_name(name)


def text_field(name: str, text: str | None) -> tuple[Field, ...]:
    """A field of its own line, or none for an empty text."""
    value = long_text(text, MAX_MESSAGE)
    return (Field(name, value, inline=False),) if value else ()


def before_after(name: str, change: TextChange | None) -> tuple[Field, ...]:
    """Two fields with the text before and after; none where nothing changed."""
    if change is None:
        return ()
    before, after = _apart(*(paragraphs(text) for text in (change.old, change.new)))
    return (
        Field(f"{name} before", _shown(before), inline=False),
        Field(f"{name} after", _shown(after), inline=False),
    )


def _shown(text: str) -> str:
    return shown_part(escape_markdown(text), MAX_BEFORE_AFTER) or NOTHING


def _apart(before: str, after: str) -> tuple[str, str]:
    """Leave out a long common beginning, or two long texts would be cut to the same words."""
    if max(len(before), len(after)) <= MAX_BEFORE_AFTER:
        return before, after
    common = 0
    while common < min(len(before), len(after)) and before[common] == after[common]:
        common += 1
    # Back to the beginning of a line or a word, with a few words to know the place by.
    start = max(before.rfind(" ", 0, max(0, common - 40)), before.rfind("\n", 0, common))
    if start <= MAX_BEFORE_AFTER // 2:
        return before, after
    return f"…{before[start:]}", f"…{after[start:]}"
