"""Filters that can have no effect on a project as it is now, with the nearest that would."""

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise
from typing import Final, TypeAlias

from bot.speckle.event_names import kinds_named
from bot.speckle.event_table import OWN_KINDS
from bot.speckle.events import EventGroup, EventKind, ModelRef, ProjectNames
from bot.speckle.filters import fits_model, is_author, lets_in
from bot.speckle.globs import all_fit, fits, is_glob
from bot.speckle.links import ID
from bot.speckle.seen_text import as_seen
from bot.speckle.subscription_options import SubscriptionOptions, TypedOptions, wanted_kinds
from bot.speckle.typed_lists import EXCLUDE, split_entries, typed_entry

# Comparing more takes longer than a person should wait.
MAX_COMPARED: Final = 2_000  # names
MAX_TEXT: Final = 100_000  # characters of all of them
MAX_FOLDERS: Final = 10  # of one name, the topmost
MAX_NEAR: Final = 3  # entries for which something near is looked for
ABOUT_MODELS: Final = OWN_KINDS | kinds_named(
    (EventGroup.VERSIONS, EventGroup.MODELS, EventGroup.ISSUES)
)


Nearest: TypeAlias = Callable[[str, Sequence[str]], str | None]
"""(entry, the names that there are) → what is near it, as it would be typed."""


class NoEffect(Enum):
    """Why a filter has no effect now."""

    NO_MODEL_FITS = auto()
    NOBODY_FITS = auto()
    NO_MODEL_LEFT = auto()  # all patterns together leave none
    NOT_ABOUT_MODELS = auto()  # the wanted events touch no model
    NOT_SENT = auto()  # the server has no issues, or no comments
    COVERED = auto()  # `near` does the same already
    LEAVES_NOTHING_OUT = auto()  # what it fits is not let in anyway
    LINK_UNUSED = auto()  # a link leads to models, and others were typed


@dataclass(frozen=True, slots=True)
class FilterHint:
    """An entry of an option without effect; `near` is what would have one, as it would be typed."""

    option: str
    why: NoEffect
    entry: str = ""
    near: str | None = None

    def is_about(self, typed: Collection[str]) -> bool:
        """Whether it is about one of the options that were typed."""
        by_events = self.why is NoEffect.NOT_ABOUT_MODELS and "events" in typed
        return self.option in typed or by_events


def hints_for(options: SubscriptionOptions, names: ProjectNames) -> tuple[FilterHint, ...]:
    """What of these has no effect, by what somebody may know of the project.

    Where not all of its models are known, nothing is said of those.
    """
    found = [*_models_unneeded(options), *_covered(options.models)]
    models = tuple(ModelRef(id_, name) for id_, name in names.models.items())
    if names.complete and models and _are_few(names.models):
        found += _model_hints(options.models, models)
    if names.people and _are_few(names.people):
        found += _people_hints(options.ignore_authors, names.people)
    return tuple(found)


def _are_few(names: Mapping[str, str]) -> bool:
    """Whether there are so few names that they can be compared."""
    return len(names) <= MAX_COMPARED and sum(map(len, names.values())) <= MAX_TEXT


def _models_unneeded(options: SubscriptionOptions) -> Iterator[FilterHint]:
    if options.models and not wanted_kinds(options) & ABOUT_MODELS:
        yield FilterHint("models", NoEffect.NOT_ABOUT_MODELS)


COUNTERPARTS: Final[Mapping[EventKind, EventKind | None]] = {
    EventKind.ISSUE_CREATED: EventKind.COMMENT_CREATED,
    EventKind.ISSUE_UPDATED: EventKind.COMMENT_RESOLVED,
    EventKind.ISSUE_REPLIED: EventKind.COMMENT_REPLIED,
    EventKind.ISSUE_DELETED: None,
    EventKind.COMMENT_CREATED: EventKind.ISSUE_CREATED,
    EventKind.COMMENT_REPLIED: EventKind.ISSUE_REPLIED,
    EventKind.COMMENT_RESOLVED: EventKind.ISSUE_UPDATED,
    EventKind.COMMENT_REOPENED: EventKind.ISSUE_UPDATED,
    EventKind.COMMENT_MENTIONED: None,
}
"""Events of servers with issues, and of those with comments, that come nearest to each other."""


def names_issues(options: SubscriptionOptions) -> bool:
    """Whether single events are wanted that not every server has."""
    return any(kind.value in options.events for kind in COUNTERPARTS)


def server_hints(
    options: SubscriptionOptions, *, issues: bool, comments: bool
) -> Iterator[FilterHint]:
    """Single events that a server never sends, as it has no issues or no comments."""
    for kind, other in COUNTERPARTS.items():
        has = issues if kind.value.startswith("issue_") else comments
        if kind.value in options.events and not has:
            yield FilterHint("events", NoEffect.NOT_SENT, kind.value, other and other.value)


def corrected(options: SubscriptionOptions, hints: Sequence[FilterHint]) -> TypedOptions:
    """The options that the hints are about, with what is near in place of what has no effect."""
    near = [hint for hint in hints if hint.near and hint.why is not NoEffect.COVERED]
    typed = options.typed()
    return {
        name: ", ".join(
            _with(split_entries(typed[name]), [hint for hint in near if hint.option == name])
        )
        for name in dict.fromkeys(hint.option for hint in near)
    }


def _with(entries: Sequence[str], hints: Sequence[FilterHint]) -> Iterator[str]:
    meant = {part: hint.near for hint in hints for part in (hint.entry, *hint.entry.split(", "))}
    yield from dict.fromkeys(meant.get(entry) or typed_entry(entry) for entry in entries)


def _covered(patterns: Sequence[str]) -> Iterator[FilterHint]:
    """Patterns that do nothing which another one does not do, of those that let in or leave out."""
    left = [one for one in patterns if not ID.fullmatch(one.removeprefix(EXCLUDE))]
    for pattern in tuple(left):
        mark = EXCLUDE if pattern.startswith(EXCLUDE) else ""
        others = (one for one in left if one != pattern and one.startswith(EXCLUDE) is bool(mark))
        name = pattern.removeprefix(EXCLUDE)
        by = next((one for one in others if all_fit(name, [one.removeprefix(EXCLUDE)])), None)
        if by is not None:
            left.remove(pattern)
            yield FilterHint("models", NoEffect.COVERED, pattern, by)


# ── models ────────────────────────────────────────────────────────────────────────────────────


def _model_hints(patterns: Sequence[str], models: Sequence[ModelRef]) -> list[FilterHint]:
    dead = [one for one in patterns if not _fits_any(one.removeprefix(EXCLUDE), models)]
    if not dead:
        left = any(lets_in(patterns, model) for model in models)
        idle = [
            FilterHint("models", NoEffect.LEAVES_NOTHING_OUT, o) for o in _idle(patterns, models)
        ]
        return idle if left else [FilterHint("models", NoEffect.NO_MODEL_LEFT)]
    names = [model.name for model in models if model.name]
    return [
        FilterHint("models", NoEffect.NO_MODEL_FITS, entry, near)
        for entry, near in _with_near(dead, names, _nearest_pattern)
    ]


def _idle(patterns: Sequence[str], models: Sequence[ModelRef]) -> Iterator[str]:
    """Patterns that leave out only models that none of the others lets in."""
    including = [one for one in patterns if not one.startswith(EXCLUDE)]
    let_in = [model for model in models if lets_in(including, model)]
    for pattern in patterns:
        if pattern.startswith(EXCLUDE) and not _fits_any(pattern.removeprefix(EXCLUDE), let_in):
            yield pattern


def _fits_any(pattern: str, models: Iterable[ModelRef]) -> bool:
    return any(fits_model(pattern, model.name or "", model.id) for model in models)


def _nearest_pattern(pattern: str, names: Sequence[str]) -> str | None:
    """The pattern nearest to this one that fits a model."""
    mark = EXCLUDE if pattern.startswith(EXCLUDE) else ""
    pattern = pattern.removeprefix(EXCLUDE)
    pattern = pattern.replace("\\", "/")  # as in the paths of some computers
    as_it_is = pattern if any(fits(pattern, name) for name in names) else None
    near = as_it_is or _widened(pattern, names) or _corrected(pattern, names)
    return None if near is None else typed_entry(f"{mark}{near}")


def _widened(pattern: str, names: Sequence[str]) -> str | None:
    """The same at another place: in a folder, as a folder, as the beginning or part of a name."""
    deeper = (f"**/{pattern}",)
    if not is_glob(pattern):
        below = [name for name in names if fits(deeper[0], name)]
        if len(below) == 1:
            return below[0]
    folder, part = pattern.removesuffix("/**").rstrip("*/"), pattern.strip("*/")
    wider = (
        f"{folder}/**",
        *deeper,
        f"**/{folder}/**",
        f"{folder}*",
        f"**/{folder}*",
        f"**{part}**",
    )
    usable = (one for one in wider if part and any(fits(one, name) for name in names))
    return next(usable, None)


def _corrected(pattern: str, names: Sequence[str]) -> str | None:
    """The same with the word that was probably meant."""
    word = as_seen(pattern.strip("*/?"))
    words = {as_seen(name): name for name in (*_last_parts(names), *_folders(names), *names)}
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if not close:
        return None
    meant = words[close[0]]
    if meant in names and not is_glob(pattern):
        return meant
    corrected = pattern.replace(pattern.strip("*/?"), meant)
    return corrected if any(fits(corrected, one) for one in names) else _widened(corrected, names)


def _last_parts(names: Iterable[str]) -> Iterator[str]:
    return (name.rpartition("/")[2] for name in names)


def _folders(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        levels = name.split("/", MAX_FOLDERS)
        yield from ("/".join(levels[:count]) for count in range(1, len(levels)))
        yield from levels[:-1]


# ── people ────────────────────────────────────────────────────────────────────────────────────


def _people_hints(authors: Sequence[str], people: Mapping[str, str]) -> list[FilterHint]:
    unknown = [
        entry
        for entry in authors
        if not any(is_author(entry, user_id, name) for user_id, name in people.items())
    ]
    return [
        FilterHint("ignore_authors", NoEffect.NOBODY_FITS, entry, near)
        for entry, near in _with_near(unknown, list(people.values()), _nearest_person)
    ]


def _nearest_person(entry: str, people: Sequence[str]) -> str | None:
    named = {as_seen(name): name for name in people}
    wanted = as_seen(entry)
    parts = [name for seen, name in named.items() if wanted in seen]
    if len(parts) == 1:
        return typed_entry(parts[0])
    close = difflib.get_close_matches(wanted, named, n=1, cutoff=0.6)
    return typed_entry(named[close[0]]) if close else None


# ── both ──────────────────────────────────────────────────────────────────────────────────────


def _with_near(
    entries: Sequence[str], names: Sequence[str], nearest: Nearest
) -> Iterator[tuple[str, str | None]]:
    """Each entry with what is near it; two that are one name with a comma come as that name."""
    known = {as_seen(name): name for name in names}
    rest = list(entries)
    for first, second in pairwise(entries):
        whole = known.get(as_seen(f"{first}, {second}")) or known.get(as_seen(f"{first},{second}"))
        if whole is not None and first in rest and second in rest:
            rest = [entry for entry in rest if entry not in (first, second)]
            yield f"{first}, {second}", typed_entry(whole)
    for count, entry in enumerate(rest):
        yield entry, nearest(entry, names) if count < MAX_NEAR else None
