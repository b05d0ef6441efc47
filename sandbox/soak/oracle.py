"""What was sent, what came of it, and what the channels show: the judge of a soak.

It knows nothing of the bot: which numbers a channel has to show follows from the fates of the
deliveries and from what each filter lets through, and that is written down here by hand.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from sandbox.discord import SandboxMessage

MODELS: Final = ("structure/level 1", "facade/panels", "structure/level 2", "site")
NAMED_AT_MOST: Final = 5  # numbers in a complaint; the first are the ones to look for in the log
MARK: Final = re.compile(r"\b([A-Z])(\d{6})\b")


class DeliveryFate(StrEnum):
    """What the sender learnt of a delivery; lost: the line broke before there was an answer."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    LOST = "lost"


class DeliveryTag(NamedTuple):
    """What identifies a delivery, wherever it is shown: its project's letter and its number."""

    project: str
    number: int

    def __str__(self) -> str:
        return f"{self.project}{self.number:06d}"


@dataclass(frozen=True, slots=True)
class Follow:
    """A channel follows a project; its filter, as typed, lets these models through.

    `ordered`: what a webhook of the bot's making could not deliver comes late, out of order.
    """

    channel: str
    project: str
    models: str | None
    shows: Collection[str] = MODELS
    ordered: bool = True

    def wants(self, number: int) -> bool:
        """Whether the channel shows the project's delivery with this number."""
        return model_of(number) in self.shows


@dataclass(frozen=True, slots=True)
class Complaint:
    """A promise that a channel shows to be broken, and the numbers that show it."""

    channel: str
    project: str
    what: str
    numbers: Sequence[int]

    def __str__(self) -> str:
        first = ", ".join(str(DeliveryTag(self.project, n)) for n in self.numbers[:NAMED_AT_MOST])
        return (
            f"#{self.channel}, {len(self.numbers)} of project {self.project} {self.what}: {first}"
        )


Fates = Mapping[
    str, Sequence[DeliveryFate]
]  # a project's letter → what came of its deliveries, in order
Shown = Mapping[
    str, Sequence[DeliveryTag]
]  # a channel's name → the marks that it shows, top to bottom


class Ledger:
    """What is still owed to which channel while deliveries come in and cards go out.

    A card may be shown before its delivery's sender has read the 202.
    """

    def __init__(self, follows: Sequence[Follow]) -> None:
        self._follows = follows
        self._shown: set[tuple[str, DeliveryTag]] = set()
        self.owed: set[tuple[str, DeliveryTag]] = set()

    def acknowledge(self, mark: DeliveryTag) -> None:
        """A delivery got its 202."""
        for follow in self._follows:
            card = (follow.channel, mark)
            if follow.project == mark.project and follow.wants(mark.number):
                self.owed.update({card} - self._shown)

    def show(self, channel: str, mark: DeliveryTag) -> None:
        """A channel shows it."""
        self._shown.add((channel, mark))
        self.owed.discard((channel, mark))


def model_of(number: int) -> str:
    """The model that a delivery is about."""
    return MODELS[number % len(MODELS)]


def marks_of(message: SandboxMessage) -> list[DeliveryTag]:
    """The deliveries that a message shows, top to bottom: in its text, then embed by embed."""
    texts = [message.content]
    for embed in message.embeds:
        texts += [embed.get("title", ""), embed.get("description", "")]
        texts += [field["value"] for field in embed.get("fields", ())]
    return [
        DeliveryTag(letter, int(digits)) for text in texts for letter, digits in MARK.findall(text)
    ]


def expected(fates: Sequence[DeliveryFate], follow: Follow) -> Iterator[int]:
    """The numbers that the channel owes: acknowledged, and let through by its filter."""
    for number, fate in enumerate(fates):
        if fate is DeliveryFate.ACKNOWLEDGED and follow.wants(number):
            yield number


def missing(fates: Fates, follow: Follow, shown: Sequence[DeliveryTag]) -> list[int]:
    """The numbers that the channel still owes."""
    there = {mark.number for mark in shown if mark.project == follow.project}
    return [n for n in expected(fates[follow.project], follow) if n not in there]


def complaints(fates: Fates, follows: Sequence[Follow], shown: Shown) -> list[Complaint]:
    """Everything that is wrong at the end; nothing if all promises held."""
    found = [one for follow in follows for one in _complaints(fates, follow, shown)]
    for channel, marks in shown.items():
        followed = {follow.project for follow in follows if follow.channel == channel}
        for project in sorted({mark.project for mark in marks} - followed):
            strays = [mark.number for mark in marks if mark.project == project]
            found.append(Complaint(channel, project, "though it follows no such project", strays))
    return found


def _complaints(fates: Fates, follow: Follow, shown: Shown) -> Iterator[Complaint]:
    marks = shown[follow.channel]
    numbers = [mark.number for mark in marks if mark.project == follow.project]
    kinds = {
        "acknowledged but not shown": missing(fates, follow, marks),
        "shown more than once": [n for n, times in Counter(numbers).items() if times > 1],
        "shown after a later one": _late(numbers) if follow.ordered else [],
        "shown though nobody has to see it": _strays(fates[follow.project], follow, numbers),
    }
    for what, which in kinds.items():
        if which:
            yield Complaint(follow.channel, follow.project, what, which)


def _late(numbers: Sequence[int]) -> list[int]:
    """Those that appear for the first time below a higher one."""
    highest, late = -1, []
    for number in dict.fromkeys(numbers):
        if number < highest:
            late.append(number)
        highest = max(highest, number)
    return late


def _strays(fates: Sequence[DeliveryFate], follow: Follow, numbers: Sequence[int]) -> list[int]:
    """Those that were refused, that the filter keeps back, or that were never sent."""
    return [
        n
        for n in dict.fromkeys(numbers)
        if n >= len(fates) or fates[n] is DeliveryFate.REFUSED or not follow.wants(n)
    ]
