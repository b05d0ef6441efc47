"""What a channel wants of a project: read from what was typed, compared, kept, said in words.

A new option is a field of SubscriptionOptions and its row in OPTIONS; whatever it changes reads the
field.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import islice
from typing import Any, Final, Self, TypeAlias

from bot.errors import BotError, NotASpeckleLink
from bot.speckle.event_names import (
    FORMER_NAMES,
    USUAL_KINDS,
    kinds_named,
    nearest_event,
    read_event_names,
    without_events,
)
from bot.speckle.event_table import OWN_KINDS
from bot.speckle.events import EventGroup, EventKind
from bot.speckle.globs import EVERYTHING, all_fit, fits, fits_everything, is_glob
from bot.speckle.links import ID, looks_like_address, parse_link, profile_id
from bot.speckle.seen_text import as_seen
from bot.speckle.typed_lists import (
    ALL_WORDS,
    EXCLUDE,
    NONE_WORDS,
    TypedEntry,
    alternatives,
    split_typed,
    typed_list,
)

MAX_TYPED = 1000  # characters of one option; far more than a channel needs, far less than hurts
MAX_ENTRIES = 25  # of one option: more do not fit into a message that shows them
MAX_ENTRY_LENGTH = 100  # characters

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
    NOTHING_WANTED = auto()  # a word such as `none`, where something has to be shown
    NOTHING_LEFT = auto()  # what is left out leaves nothing
    CONTRADICTION = auto()  # an entry without effect beside `near`
    REGULAR_EXPRESSION = auto()
    LINK_WITHOUT_MODEL = auto()
    LINK_ELSEWHERE = auto()  # into another project
    DISCORD_MENTION = auto()
    E_MAIL = auto()
    NOT_A_PERSON = auto()  # an address that is nobody's, or a name with `!`


@dataclass(frozen=True, slots=True)
class OptionProblem:
    """Why an option cannot be used: how many entries it has, or how many characters one has.

    `entry` is the one that is wrong, `near` what was probably meant, or what it contradicts.
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

    def changed_by(self, typed: TypedOptions, project_id: str | None = None) -> Self:
        """These with what was typed; what was left out stays, `all` brings the default back.

        Links in it have to lead into the project, where it is given.
        Errors: OptionError for what cannot be used, or can have no effect.
        """
        read = {
            one.name: one.read(typed[one.name], project_id) for one in OPTIONS if one.name in typed
        }
        return replace(self, **read)

    def typed(self) -> TypedOptions:
        """These as they would be typed; reading that gives the same again."""
        return {option.name: typed_list(option.of(self)) for option in OPTIONS}

    def widens(self, agreed: "SubscriptionOptions") -> bool:
        """Whether these may let through what the others did not; in doubt, they may."""
        return any(option.widens(option.of(self), option.of(agreed)) for option in OPTIONS)

    def describe(self) -> str:
        """These in plain words, for example "versions, issues · only models `a/**`".

        Typed texts are in code quotes; a sentence's full stop is left to the caller.
        """
        parts = (option.describe(option.of(self)) for option in OPTIONS)
        return " · ".join(part for part in parts if part)

    def named(self, names: Mapping[str, str]) -> Self:
        """These with the names of models in place of their ids, to be shown to people."""
        return replace(self, models=tuple(names.get(one, one) for one in self.models))

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
    field in the form, which says as typed what is set. `parse` takes what was typed and the id of
    the project, `widens` new and agreed entries, and `describe` gives "" where there is nothing to
    say. `restore` takes what the database keeps, in whatever release it was written.
    """

    name: str
    description: str
    label: str
    hint: str
    placeholder: str
    parse: Callable[[str, str | None], Iterable[str]]
    widens: Callable[[Entries, Entries], bool]
    describe: Callable[[Entries], str]
    restore: Callable[[Iterable[str]], Entries] = tuple

    def of(self, options: SubscriptionOptions) -> Entries:
        """What is set."""
        entries: Entries = getattr(options, self.name)
        return entries

    def read(self, text: str, project_id: str | None = None) -> Entries:
        """What was typed, each entry once. Errors: OptionError."""
        entries: dict[str, str] = {}
        for entry in self._checked(text, project_id):
            entries.setdefault(_compared(entry), entry)
        return tuple(entries.values())

    def _checked(self, text: str, project_id: str | None) -> Iterator[str]:
        entries = tuple(self.parse(text, project_id))
        for entry in entries:
            if len(entry) > MAX_ENTRY_LENGTH:
                fault = OptionFault.ENTRY_TOO_LONG
                raise OptionError(OptionProblem(self.name, fault, len(entry), entry))
            yield entry
        if len(entries) > MAX_ENTRIES:
            fault = OptionFault.TOO_MANY_ENTRIES
            raise OptionError(OptionProblem(self.name, fault, len(entries)))


def _compared(entry: str) -> str:
    """An entry as it is compared with others: as people see it, but ids to the letter.

    So is what only looks like an id: it means a name, and no model or person by their id.
    """
    seen = as_seen(entry)
    may_be_id = any(ID.fullmatch(one.removeprefix(EXCLUDE)) for one in (entry, seen))
    return entry if may_be_id else seen


def _refused(
    option: str, fault: OptionFault, entry: str = "", near: str | None = None
) -> OptionError:
    return OptionError(OptionProblem(option, fault, entry=entry[:MAX_ENTRY_LENGTH], near=near))


# ── Events ────────────────────────────────────────────────────────────────────────────────────


def wanted_kinds(options: SubscriptionOptions) -> frozenset[EventKind]:
    """The events that these let through."""
    return _kinds(options.events)


def _kinds(entries: Entries) -> frozenset[EventKind]:
    return kinds_named(entries) if entries else USUAL_KINDS


def _events(text: str, _project_id: str | None) -> Entries:
    read = read_event_names(text)
    if read.unknown:
        name = read.unknown[0]
        raise _refused("events", OptionFault.NO_SUCH_EVENT, name, nearest_event(name))
    if read.nothing:
        raise _refused("events", OptionFault.NOTHING_WANTED, text.strip())
    included = tuple(dict.fromkeys(read.included))
    if read.everything:  # and what does not belong to it
        own = tuple(name for name in included if name in OWN_KINDS)
        included = (*EventGroup, *own) if own else ()
    if not read.excluded:
        names = included
    elif not (names := without_events(included, read.excluded)):
        raise _refused("events", OptionFault.NOTHING_LEFT, text.strip())
    if _kinds(names) == {EventKind.UNKNOWN}:
        raise _refused("events", OptionFault.NEVER_SENT, names[0])
    return names


def _restored_events(entries: Iterable[str]) -> Entries:
    return tuple(dict.fromkeys(FORMER_NAMES.get(entry, entry) for entry in entries))


def _events_widen(entries: Entries, agreed: Entries) -> bool:
    return not _kinds(entries) <= _kinds(agreed)


def _describe_events(entries: Entries) -> str:
    return ", ".join(name.replace("_", " ") for name in entries) or "all events"


# ── Models ────────────────────────────────────────────────────────────────────────────────────


def _models(text: str, project_id: str | None) -> Entries:
    typed = [
        _Pattern(e.excluded, name) for e in split_typed(text) for name in _named(e, project_id)
    ]
    including = [one.name for one in typed if not one.excluded]
    excluding = [one.name for one in typed if one.excluded]
    if any(map(fits_everything, including)):
        typed = [one for one in typed if one.excluded]
        including = []
    _check_effect(including, excluding)
    return tuple(f"{EXCLUDE}{one.name}" if one.excluded else one.name for one in typed)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A model pattern without its `!`."""

    excluded: bool
    name: str


def _named(entry: TypedEntry, project_id: str | None) -> Iterable[str]:
    """The patterns that an entry stands for."""
    if entry.quoted:
        return (_pattern(entry),)
    word = entry.text.casefold()
    if word in ALL_WORDS:
        return (EVERYTHING,)
    if word in NONE_WORDS:
        raise _refused("models", OptionFault.NOTHING_WANTED, entry.text)
    if looks_like_address(entry.text):
        return _linked(entry.text, project_id)
    if (form := _glob_for(entry.text)) is not None:
        raise _refused("models", OptionFault.REGULAR_EXPRESSION, entry.text, form)
    texts = islice(alternatives(entry.text), MAX_ENTRIES + 1)
    return [_pattern(replace(entry, text=text)) for text in texts]


def _linked(address: str, project_id: str | None) -> Iterable[str]:
    """The models that a link in place of a name leads to."""
    try:
        link = parse_link(address)
    except NotASpeckleLink as error:
        raise _refused("models", OptionFault.LINK_WITHOUT_MODEL, address) from error
    if project_id is not None and link.project_id != project_id:
        raise _refused("models", OptionFault.LINK_ELSEWHERE, address)
    if not link.models:
        raise _refused("models", OptionFault.LINK_WITHOUT_MODEL, address)
    return link.models


def _pattern(entry: TypedEntry) -> str:
    """One pattern as it is kept: `folder/` as `folder/**`, `MODEL@VERSION` as the model's id."""
    text = re.sub(r"\s*/+\s*/+\s*", "/", entry.text)
    name = text.strip("/ ")
    if not name:
        mark = EXCLUDE if entry.excluded else ""
        raise _refused("models", OptionFault.EMPTY_PATTERN, f"{mark}{entry.text}")
    if entry.quoted:
        return name
    model, at, version = name.partition("@")
    if at and ID.fullmatch(model) and ID.fullmatch(version):
        return model
    is_folder = text.endswith("/") or name.startswith("$")
    return f"{name.removeprefix('$')}/{EVERYTHING}" if is_folder else name


_EXPRESSION: Final = re.compile(r"\.[*+](?!\w)|\\[dwsb](?![a-z])|^\^|\$$|\([^()]*\|[^()]*\)")


def _glob_for(text: str) -> str | None:
    """A regular expression as the pattern that comes nearest; None for what is none."""
    if not _EXPRESSION.search(text):
        return None
    form = re.sub(r"^\^|\$$", "", text)
    form = re.sub(r"\(([^()|]*(?:\|[^()|]*)+)\)", lambda m: f"{{{m[1].replace('|', ',')}}}", form)
    form = re.sub(r"\\d[+*]?", "[0-9]", re.sub(r"\.[*+]", "**", form))
    return re.sub(r"\\[wsb][+*]?", "*", form).strip("/") or EVERYTHING


def _check_effect(including: list[str], excluding: list[str]) -> None:
    """Refuse patterns that can show no model because of those that leave models out."""
    dead = [name for name in including or [EVERYTHING] if all_fit(name, excluding)]
    if not dead:
        return
    near = next((one for one in excluding if all_fit(dead[0], [one])), excluding[0])
    if len(dead) == len(including or [EVERYTHING]):
        raise _refused("models", OptionFault.NOTHING_LEFT, f"{EXCLUDE}{near}")
    raise _refused("models", OptionFault.CONTRADICTION, dead[0], f"{EXCLUDE}{near}")


def _models_widen(patterns: Entries, agreed: Entries) -> bool:
    """Compares patterns as texts: of two globs nobody can say in general which is wider."""
    included, excluded = _split(patterns)
    agreed_to, kept_out = _split(agreed)
    as_texts = included <= agreed_to if agreed_to and included else not agreed_to
    if kept_out <= excluded and as_texts:
        return False
    return not included or not all(_is_one_of(one, agreed_to, kept_out) for one in included)


def _is_one_of(pattern: str, agreed_to: Iterable[str], kept_out: Iterable[str]) -> bool:
    """Whether a pattern is one name that these let in, so that it lets in nothing more.

    What may be an id is none: it would let in the model with that id, whatever it is called.
    """
    without = [one.removeprefix(EXCLUDE) for one in kept_out]
    if is_glob(pattern) or any(map(_MAY_BE_ID.fullmatch, (pattern, *without))):
        return False
    wanted = [*agreed_to] or [EVERYTHING]
    left_out = any(fits(one, pattern) for one in without)
    return not left_out and any(fits(one, pattern) for one in wanted)


_MAY_BE_ID: Final = re.compile(r"[0-9A-Za-z_-]{10}")


def _split(patterns: Entries) -> tuple[set[str], set[str]]:
    """The patterns that let models in, and those that keep them out."""
    texts = _comparable(patterns)
    excluded = {pattern for pattern in texts if pattern.startswith(EXCLUDE)}
    return texts - excluded, excluded


def _comparable(entries: Entries) -> set[str]:
    return {_compared(entry) for entry in entries}


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

_EVERYBODY: Final = frozenset({"everyone", "everybody", "anyone", "anybody"})
_MENTION: Final = re.compile(r"<(@[!&]?|#)\d+>|\d{17,20}|@(everyone|here)")
_E_MAIL: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@.]+")


def _authors(text: str, _project_id: str | None) -> Entries:
    typed = split_typed(text)
    words = [one.text for one in typed if not one.quoted and _is_word(one.text)]
    if words and len(words) < len(typed):
        other = next(one.text for one in typed if one.text not in words)
        raise _refused("ignore_authors", OptionFault.CONTRADICTION, words[0], other)
    return () if words else tuple(_author(entry) for entry in typed)


def _is_word(text: str) -> bool:
    return text.casefold() in ALL_WORDS | NONE_WORDS


def _author(entry: TypedEntry) -> str:
    """One author as kept. Errors: OptionError for who can be the author of no event."""
    text = entry.text
    if _MENTION.fullmatch(text):
        raise _refused("ignore_authors", OptionFault.DISCORD_MENTION, text)
    if _E_MAIL.fullmatch(text):
        raise _refused("ignore_authors", OptionFault.E_MAIL, text)
    if looks_like_address(text):
        if (user_id := profile_id(text)) is None:
            raise _refused("ignore_authors", OptionFault.NOT_A_PERSON, text)
        return user_id
    name = text if entry.quoted else text.removeprefix("@").strip()
    if entry.excluded or not name:
        raise _refused("ignore_authors", OptionFault.NOT_A_PERSON, f"{EXCLUDE}{text}")
    if fits_everything(name.replace("*", "**")) or as_seen(name) in _EVERYBODY:
        raise _refused("ignore_authors", OptionFault.NOTHING_LEFT, text)
    return name


def _authors_widen(entries: Entries, agreed: Entries) -> bool:
    return not _comparable(agreed) <= _comparable(entries)


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
LABELS: Final[Mapping[str, str]] = {option.name: option.label for option in OPTIONS}
"""What the fields of the form are called, by the option's name."""
