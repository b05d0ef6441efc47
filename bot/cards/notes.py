"""What a card says below its event: that it comes late, what is missing, that it is the first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from bot.cards.text import escape_markdown, moment_text, paragraphs


class NoteKind(StrEnum):
    """What is to be known of a card; the word is kept with an event that waits."""

    FIRST_EVENT = "first_event"
    SERVER_MOVED = "server_moved"
    NOT_DELIVERED = "not_delivered"
    NO_WEBHOOK = "no_webhook"
    HISTORY_TOO_SHORT = "history_too_short"
    HISTORY_TOO_LARGE = "history_too_large"
    ACTIVITY_TOO_LONG = "activity_too_long"
    CONTENT_TOO_LARGE = "content_too_large"
    COMPARED = "compared"
    TEST = "test"
    SENTENCE = "sentence"  # of an event that an older release kept


SENTENCES: Mapping[NoteKind, str] = {
    NoteKind.FIRST_EVENT: "This is the first event of the project here: the set-up works.",
    # Only said: somebody who knows the secret may have made it up.
    NoteKind.SERVER_MOVED: "The event says that the project's server is now {}.",
    NoteKind.NOT_DELIVERED: "Delayed: this happened {}, and Speckle could not deliver it then.",
    NoteKind.NO_WEBHOOK: "Delayed: this happened {}, and no webhook reported it then.",
    NoteKind.HISTORY_TOO_SHORT: (
        "The webhook's history at Speckle begins only on {}. What happened before that, while "
        "the bot was not running, is not shown."
    ),
    NoteKind.HISTORY_TOO_LARGE: (
        "{} of the older entries in the webhook's history could not be fetched because of their "
        "size. What was missed of them is not shown here."
    ),
    NoteKind.ACTIVITY_TOO_LONG: (
        "More was missed than can be fetched at once. What happened before this is not shown here; "
        "the project's page in Speckle has it."
    ),
    NoteKind.CONTENT_TOO_LARGE: (
        "What it holds was too large to read, as pictures can be. Open it in Speckle to see it."
    ),
    NoteKind.COMPARED: (
        "The time is when the bot noticed it: this Speckle server says neither when it happened "
        "nor who did it."
    ),
    NoteKind.TEST: "This is a test, asked for with /test: it did not happen in the project.",
    NoteKind.SENTENCE: "{}",
}
# How a moment is shown; the exact one of an event is at the card's foot.
MOMENT_STYLES: Mapping[NoteKind, str] = {
    NoteKind.NOT_DELIVERED: "R",
    NoteKind.NO_WEBHOOK: "R",
    NoteKind.HISTORY_TOO_SHORT: "f",
}


@dataclass(frozen=True, slots=True)
class CardNote:
    """One of them; `detail` is the address, number or ISO 8601 time in its sentence."""

    kind: NoteKind
    detail: str = ""

    @classmethod
    def at(cls, kind: NoteKind, moment: datetime) -> Self:
        """A note that speaks of a moment."""
        return cls(kind, moment.isoformat())

    @property
    def text(self) -> str:
        """The sentence, as Discord markdown."""
        style = MOMENT_STYLES.get(self.kind)
        if style is not None:
            return SENTENCES[self.kind].format(_moment(self.detail, style))
        return SENTENCES[self.kind].format(escape_markdown(paragraphs(self.detail)))

    def to_stored(self) -> str:
        """As it is kept with an event that waits."""
        return f"{self.kind}:{self.detail}"

    @classmethod
    def from_stored(cls, stored: str) -> Self:
        """Back from there."""
        kind, _, detail = stored.partition(":")
        if kind not in set(NoteKind):
            return cls(NoteKind.SENTENCE, stored)
        return cls(NoteKind(kind), detail)


def _moment(detail: str, style: str) -> str:
    """A time that each reader sees as their own; older versions kept words of UTC."""
    try:
        at = datetime.fromisoformat(detail.replace(" at ", " "))
    except ValueError:
        return escape_markdown(paragraphs(detail))
    return moment_text(at if at.tzinfo is not None else at.replace(tzinfo=UTC), style)
