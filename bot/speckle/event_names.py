"""Events as people name them: by our names, by Speckle's own, old and new, and by what is near."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bot.speckle.event_table import EVENTS, OWN_KINDS, kinds_of
from bot.speckle.events import EventGroup, EventKind
from bot.speckle.seen_text import as_seen
from bot.speckle.typed_lists import ALL_WORDS, NONE_WORDS

FORMER_NAMES: Final[Mapping[str, str]] = {"comments": EventGroup.ISSUES}
"""What groups of events were called before: people type it, and what is stored holds it."""

NOUNS: Final[Mapping[EventGroup, str]] = {
    EventGroup.VERSIONS: "version commit commits",
    EventGroup.MODELS: "model branch branches",
    EventGroup.ISSUES: "issue comment thread threads discussion discussions",
    EventGroup.PROJECT: "projects stream streams",
    EventGroup.PEOPLE: "person members member users user collaborators team permissions",
}
"""What else groups are called, today's and Speckle's former words."""

USUAL_KINDS: Final = frozenset(EventKind) - OWN_KINDS
"""What a channel gets that names no events."""

_SEPARATED: Final = re.compile(r"[,;\n\r\uff0c\uff1b\u3001\u060c\u061b|/+&\u2022\u00b7]+")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NEGATION: Final = re.compile(r"!\s*|(?<![^\s])-(?=\w)")
_NOT: Final = frozenset({"!", "not", "no"})  # what follows, up to the next separator
_EXCEPT: Final = frozenset({"except", "without", "but", "excluding"})  # all that follows
_MARKS: Final = re.compile(r"[()\[\]{}<>\"'`*#]+")
_FILLING: Final = frozenset({"and", "or", "events", "event", "only", "of", "for"})
_LONGEST: Final = 5  # words of one name


@dataclass(slots=True)
class ReadNames:
    """What was named; `unknown` are words that name nothing."""

    included: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    everything: bool = False
    nothing: bool = False
    excepting: bool = False  # what comes now is left out


def read_event_names(text: str) -> ReadNames:
    """The groups and events that a text names, in its order."""
    read = ReadNames(nothing=text.strip() in NONE_WORDS)
    for piece in _SEPARATED.split(_CAMEL.sub("_", text)):
        _read_piece(read, _words(piece))
    return read


def _words(piece: str) -> list[str]:
    """The words of a piece; "!" comes before what is left out."""
    marked = _NEGATION.sub(" ! ", _MARKS.sub(" ", piece).strip().removeprefix("- "))
    return re.sub(r"[-.:]+", "_", as_seen(marked)).split()


def _read_piece(read: ReadNames, words: Sequence[str]) -> None:
    excluding, position, unknown = read.excepting, 0, list[str]()
    while position < len(words):
        word = words[position]
        found, used = _longest_name(words[position:])
        if found:
            (read.excluded if excluding else read.included).extend(found)
        elif word in _NOT or word in _EXCEPT:
            excluding, read.excepting = True, read.excepting or word in _EXCEPT
        elif word in ALL_WORDS or word in NONE_WORDS:
            read.everything |= (word in ALL_WORDS) and not excluding
            read.nothing |= (word in NONE_WORDS) or excluding
        elif word.strip("_") and word not in _FILLING:
            unknown.append(word.strip("_"))
        position += used
    if unknown:
        read.unknown.append(" ".join(unknown))


def _longest_name(words: Sequence[str]) -> tuple[Sequence[str], int]:
    """What the first words name together, and how many they are; () where they name nothing."""
    for count in range(min(len(words), _LONGEST), 0, -1):
        names = CALLED.get(re.sub(r"_+", "_", "_".join(words[:count])).strip("_"))
        if names:
            return names, count
    return (), 1


def _called() -> Iterator[tuple[str, tuple[str, ...]]]:
    for group, nouns in NOUNS.items():
        yield from ((noun, (group.value,)) for noun in nouns.split())
    for row in EVENTS:
        own = row.own_name is not None
        for name in (*row.wire_names, *(() if own else row.page_names)):
            sharing = (one.kind.value for one in EVENTS if name in one.wire_names)
            yield name, tuple(sharing) or (row.kind.value,)
        noun, _, verb = row.kind.partition("_")
        other_ways = (f"{verb}_{noun}", f"{verb}_{noun}s", f"{noun}s_{verb}", f"{noun}_{verb}s")
        yield from ((name, (row.kind.value,)) for name in other_ways)
        if verb == "created":
            yield from ((f"new_{one}", (row.kind.value,)) for one in (noun, f"{noun}s"))
    yield from ((old, (new,)) for old, new in FORMER_NAMES.items())
    yield from ((name.value, (name.value,)) for name in (*EventGroup, *EventKind))


CALLED: Final[Mapping[str, tuple[str, ...]]] = dict(_called())
"""Groups and events, by each name that is understood."""


def nearest_event(name: str) -> str | None:
    """Our name for what was probably meant; None where nothing is near."""
    words = name.replace(" ", "_")
    stem = words.removesuffix("s")
    same_word = [one for one in EventKind if any(part.startswith(stem) for part in one.split("_"))]
    if len(stem) > len("user") and len(same_word) == 1:  # "mentions"
        return same_word[0].value
    near = next(iter(difflib.get_close_matches(words, CALLED, n=1, cutoff=0.6)), None)
    return None if near is None else CALLED[near][0]


def without_events(included: Iterable[str], excluded: Iterable[str]) -> tuple[str, ...]:
    """The groups and events that are left; all of them where none was included."""
    kinds = kinds_named(included) or USUAL_KINDS
    left = kinds - kinds_named(excluded)
    names: list[str] = []
    for group in EventGroup:
        usual = USUAL_KINDS.intersection(kinds_of(group))
        here = [kind for kind in kinds_of(group) if kind in left]
        if usual and usual <= left:
            names += [group.value, *(kind.value for kind in here if kind not in usual)]
        else:
            names += [kind.value for kind in here]
    return tuple(names)


def kinds_named(names: Iterable[str]) -> frozenset[EventKind]:
    """The events that groups and events stand for; in a group are none of OWN_KINDS."""
    wanted = frozenset(names)
    return frozenset(
        row.kind
        for row in EVENTS
        if row.kind in wanted or (row.group in wanted and row.kind in USUAL_KINDS)
    )


def described_group(group: EventGroup) -> str:
    """What a group holds, in a few words."""
    if group is EventGroup.OTHER:
        return "events that this bot does not know yet"
    here = (row for row in EVENTS if row.group is group and row.kind in USUAL_KINDS)
    words = (row.said or row.kind.split("_", 1)[-1] for row in here)
    former = "".join(f"{one} too: " for one, today in FORMER_NAMES.items() if today == group)
    return former + ", ".join(dict.fromkeys(words))
