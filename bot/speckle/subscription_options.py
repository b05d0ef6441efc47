"""What a channel wants of a project: read from what was typed, compared, kept, said in words.

A new option is a field of SubscriptionOptions and its row in OPTIONS; whatever it changes reads the
field.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, Final, Self, TypeAlias

from bot.errors import BotError
from bot.speckle.event_table import EVENTS
from bot.speckle.events import EventGroup, EventKind

MAX_TYPED = 1000  # characters of one option; far more than a channel needs, far less than hurts
MAX_ENTRIES = 25  # of one option: more do not fit into a message that shows them
MAX_ENTRY_LENGTH = 100  # characters
SEPARATOR = re.compile(r"[,\n]+")
DEFAULT_WORDS = frozenset({"", "all", "none", "nobody"})

FORMER_NAMES: Final[Mapping[str, str]] = {"comments": EventGroup.ISSUES}
"""What groups of events were called before: people type it, and what is stored holds it."""

Entries: TypeAlias = tuple[str, ...]
"""An option's value; none of them is the default."""
TypedOptions: TypeAlias = Mapping[str, str]
"""What was typed, by the option's name; an option that was left out is not in it."""


class OptionFault(Enum):
    """What is wrong with an option as typed."""

    TOO_MANY_ENTRIES = auto()
    ENTRY_TOO_LONG = auto()
    NO_SUCH_EVENT = auto()
    NEVER_SENT = auto()  # only events that no webhook can be set to send
    EMPTY_PATTERN = auto()


@dataclass(frozen=True, slots=True)
class OptionProblem:
    """Why an option cannot be used: how many entries it has, or how many characters one has.

    `entry` is the one that is wrong, `near` an event of nearly that name.
    """

    option: str
    fault: OptionFault
    size: int = 0
    entry: str = ""
    near: str | None = None


class OptionError(BotError):
    """An option as typed cannot be used."""

    def __init__(self, problem: OptionProblem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class SubscriptionOptions:
    """What a channel wants; an option without entries lets everything through.

    `events` holds names of groups and of kinds; `models` globs over model names, or ids, those
    with `!` in front exclude; `ignore_authors` names or Speckle ids.
    """

    events: Entries = ()
    models: Entries = ()
    ignore_authors: Entries = ()

    def changed_by(self, typed: TypedOptions) -> Self:
        """These with what was typed; what was left out stays, `all` brings the default back.

        Errors: OptionError for an event that does not exist, too many entries or too long ones.
        """
        read = {one.name: one.read(typed[one.name]) for one in OPTIONS if one.name in typed}
        return replace(self, **read)

    def widens(self, agreed: "SubscriptionOptions") -> bool:
        """Whether these may let through what the others did not; in doubt, they may."""
        return any(option.widens(option.of(self), option.of(agreed)) for option in OPTIONS)

    def describe(self) -> str:
        """These in plain words, for example "versions, issues · only models `a/**`".

        Typed texts are in code quotes; a sentence's full stop is left to the caller.
        """
        parts = (option.describe(option.of(self)) for option in OPTIONS)
        return " · ".join(part for part in parts if part)

    def to_json(self) -> dict[str, Any]:
        """As the database keeps them."""
        return {option.name: list(option.of(self)) for option in OPTIONS}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Back from the database; what was kept before there was an option has its default."""
        return cls(**{one.name: one.restore(data[one.name]) for one in OPTIONS if one.name in data})


@dataclass(frozen=True, slots=True)
class Option:
    """One option, by its name in the command, in the form and in the database.

    `description` is shown next to it in the command; `label`, `hint` and `placeholder` are of its
    field in the form, which says as typed what is set. `parse` takes the entries that were typed,
    `widens` new and agreed ones, and `describe` gives "" where there is nothing to say. `restore`
    takes what the database keeps, in whatever release it was written.
    """

    name: str
    description: str
    label: str
    hint: str
    placeholder: str
    parse: Callable[[Entries], Entries]
    widens: Callable[[Entries, Entries], bool]
    describe: Callable[[Entries], str]
    restore: Callable[[Iterable[str]], Entries] = tuple

    def of(self, options: SubscriptionOptions) -> Entries:
        """What is set."""
        entries: Entries = getattr(options, self.name)
        return entries

    def typed(self, entries: Entries) -> str:
        """These entries as they would be typed."""
        return ", ".join(entries)

    def read(self, text: str) -> Entries:
        """What was typed, its entries separated by commas. Errors: OptionError."""
        if text.strip().lower() in DEFAULT_WORDS:
            return ()
        return self.parse(self._entries(text))

    def _entries(self, text: str) -> Entries:
        stripped = (" ".join(piece.split()) for piece in SEPARATOR.split(text))
        entries = tuple(dict.fromkeys(entry for entry in stripped if entry))
        if len(entries) > MAX_ENTRIES:
            fault = OptionFault.TOO_MANY_ENTRIES
            raise OptionError(OptionProblem(self.name, fault, len(entries)))
        for entry in entries:
            if len(entry) > MAX_ENTRY_LENGTH:
                fault = OptionFault.ENTRY_TOO_LONG
                raise OptionError(OptionProblem(self.name, fault, len(entry), entry))
        return entries


# ── Events ────────────────────────────────────────────────────────────────────────────────────


def wanted_kinds(options: SubscriptionOptions) -> frozenset[EventKind]:
    """The events that these let through."""
    return _kinds(options.events)


def _kinds(entries: Entries) -> frozenset[EventKind]:
    if not entries:
        return frozenset(EventKind)
    return frozenset(row.kind for row in EVENTS if row.kind in entries or row.group in entries)


def _events(entries: Entries) -> Entries:
    typed = (entry.lower().replace(" ", "_").replace("-", "_") for entry in entries)
    names = tuple(dict.fromkeys(_event(name) for name in typed))
    if _kinds(names) == {EventKind.UNKNOWN}:
        raise OptionError(OptionProblem("events", OptionFault.NEVER_SENT, entry=names[0]))
    return names


def _event(name: str) -> str:
    known = [*EventGroup, *EventKind, *FORMER_NAMES]
    if name in known:
        return FORMER_NAMES.get(name, name)
    near = next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.6)), "")
    near = FORMER_NAMES.get(near, near) or None
    raise OptionError(OptionProblem("events", OptionFault.NO_SUCH_EVENT, entry=name, near=near))


def _restored_events(entries: Iterable[str]) -> Entries:
    return tuple(dict.fromkeys(FORMER_NAMES.get(entry, entry) for entry in entries))


def _events_widen(entries: Entries, agreed: Entries) -> bool:
    return not _kinds(entries) <= _kinds(agreed)


def _describe_events(entries: Entries) -> str:
    words = {name: f"{name} and {former}" for former, name in FORMER_NAMES.items()}
    return ", ".join(words.get(name) or name.replace("_", " ") for name in entries) or "all events"


# ── Models ────────────────────────────────────────────────────────────────────────────────────


def _models(entries: Entries) -> Entries:
    patterns = []
    for entry in entries:
        excluding, name = entry.startswith("!"), entry.lstrip("! ").strip("/")
        if not name:
            raise OptionError(OptionProblem("models", OptionFault.EMPTY_PATTERN, entry=entry))
        patterns.append(f"!{name}" if excluding else name)
    return tuple(dict.fromkeys(patterns))


def _models_widen(patterns: Entries, agreed: Entries) -> bool:
    """Compares patterns as texts: of two globs nobody can say in general which is wider."""
    included, excluded = _split(patterns)
    agreed_to, kept_out = _split(agreed)
    if not kept_out <= excluded:
        return True
    return bool(agreed_to) and (not included or not included <= agreed_to)


def _split(patterns: Entries) -> tuple[set[str], set[str]]:
    """The patterns that let models in, and those that keep them out."""
    excluded = {pattern for pattern in patterns if pattern.startswith("!")}
    return {pattern for pattern in patterns if pattern not in excluded}, excluded


def _describe_models(patterns: Entries) -> str:
    including = [pattern for pattern in patterns if not pattern.startswith("!")]
    excluding = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    parts = []
    if including:
        parts.append(f"only models {_listed(including)}")
    if excluding:
        parts.append(f"without models {_listed(excluding)}")
    return " · ".join(parts)


# ── Authors ───────────────────────────────────────────────────────────────────────────────────


def _authors(entries: Entries) -> Entries:
    return entries


def _authors_widen(entries: Entries, agreed: Entries) -> bool:
    return not set(agreed) <= set(entries)


def _describe_authors(entries: Entries) -> str:
    return f"not by {_listed(entries)}" if entries else ""


def _listed(texts: Iterable[str]) -> str:
    return ", ".join("`" + text.replace("`", "ˋ") + "`" for text in texts)


# ── All of them ───────────────────────────────────────────────────────────────────────────────

OPTIONS = (
    Option(
        name="events",
        description="Which events, for example: versions, comment_created. Default: all",
        label="Events",
        hint="Groups or single events, separated by commas. Empty: all",
        placeholder="versions, comment_created",
        parse=_events,
        widens=_events_widen,
        describe=_describe_events,
        restore=_restored_events,
    ),
    Option(
        name="models",
        description="Which models, for example: struct/**, !**/draft*. Default: all",
        label="Models",
        hint="Names with * and **, ! leaves out. Empty: all",
        placeholder="struct/**, !**/draft*",
        parse=_models,
        widens=_models_widen,
        describe=_describe_models,
    ),
    Option(
        name="ignore_authors",
        description="People whose events are not shown, separated by commas. Default: nobody",
        label="Ignored authors",
        hint="People whose events are not shown. Empty: nobody",
        placeholder="Names or Speckle user ids",
        parse=_authors,
        widens=_authors_widen,
        describe=_describe_authors,
    ),
)
