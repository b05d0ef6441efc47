"""Which events a channel wants: read from what was typed, applied, and told in plain words."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from bot.errors import BotError
from bot.speckle.event_table import EVENTS
from bot.speckle.events import Delivery, EventGroup, EventKind, ModelRef

MAX_ENTRIES = 25  # of one filter: more do not fit into a message that shows them
MAX_ENTRY_LENGTH = 100  # characters
SEPARATOR = re.compile(r"[,\n]+")


@dataclass(frozen=True, slots=True)
class Filters:
    """What a channel wants; an empty part lets everything through.

    `events` holds names of groups and of kinds; `models` globs over model names, or ids, those
    with `!` in front exclude; `ignore_authors` names or Speckle ids.
    """

    events: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    ignore_authors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an event goes to a channel, and a sentence for who asks why."""

    passes: bool
    why: str


class FilterError(BotError):
    """A filter as typed cannot be used; `what` is wrong and `mend` says what to type instead."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(f"{what} {mend}")
        self.what = what
        self.mend = mend


# ── As typed ──────────────────────────────────────────────────────────────────────────────────


def parse_filters(
    events: str | None = None, models: str | None = None, ignore_authors: str | None = None
) -> Filters:
    """Read filters as typed into Discord, entries separated by commas.

    Errors: FilterError for an event that does not exist, too many entries or too long ones.
    """
    return Filters(
        events=_events(_entries(events, "events")),
        models=_models(_entries(models, "models")),
        ignore_authors=_entries(ignore_authors, "ignore_authors"),
    )


def _entries(text: str | None, option: str) -> tuple[str, ...]:
    stripped = (" ".join(piece.split()) for piece in SEPARATOR.split(text or ""))
    entries = tuple(dict.fromkeys(entry for entry in stripped if entry))
    if len(entries) > MAX_ENTRIES:
        raise FilterError(
            f"`{option}` has {len(entries)} entries; there is room for {MAX_ENTRIES}.",
            "Use fewer, or patterns that cover several, such as `structure/**`.",
        )
    for entry in entries:
        if len(entry) > MAX_ENTRY_LENGTH:
            raise FilterError(
                f"An entry of `{option}` has {len(entry)} characters; "
                f"there is room for {MAX_ENTRY_LENGTH}.",
                "Separate entries with commas, or shorten it.",
            )
    return entries


def _events(entries: Iterable[str]) -> tuple[str, ...]:
    names = (entry.lower().replace(" ", "_").replace("-", "_") for entry in entries)
    return tuple(dict.fromkeys(_event(name) for name in names))


def _event(name: str) -> str:
    known = [*EventGroup, *EventKind]
    if name in known:
        return name
    shown = name.replace("`", "'")[:MAX_ENTRY_LENGTH]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    groups = ", ".join(f"`{group}`" for group in EventGroup)
    mend = f"Did you mean `{near[0]}`?" if near else f"The groups are {groups}."
    raise FilterError(f"There is no event `{shown}`.", mend)


def _models(entries: Iterable[str]) -> tuple[str, ...]:
    patterns = []
    for entry in entries:
        excluding, name = entry.startswith("!"), entry.lstrip("! ").strip("/")
        if not name:
            raise FilterError(
                "A model pattern is empty.", "Write a model's name, `structure/**` or `!**/draft*`."
            )
        patterns.append(f"!{name}" if excluding else name)
    return tuple(dict.fromkeys(patterns))


# ── Applied ───────────────────────────────────────────────────────────────────────────────────


def wanted_kinds(filters: Filters) -> frozenset[EventKind]:
    """The events that the filter lets through."""
    if not filters.events:
        return frozenset(EventKind)
    return frozenset(
        row.kind for row in EVENTS if row.kind in filters.events or row.group in filters.events
    )


def matches(
    filters: Filters,
    delivery: Delivery,
    known_models: Mapping[str, str] = MappingProxyType({}),
    touched: Sequence[ModelRef] = (),
) -> Verdict:
    """Say whether the channel wants this event.

    `known_models` gives names for model ids, because comments and moved versions come without;
    `touched` are the models of an event that names none itself.
    """
    return (
        _event_verdict(filters, delivery)
        or _author_verdict(filters, delivery)
        or _model_verdict(filters, delivery.models or touched, known_models)
        or Verdict(
            True, "it passes the filters." if filters != Filters() else "there is no filter."
        )
    )


def _event_verdict(filters: Filters, delivery: Delivery) -> Verdict | None:
    """None where the event is wanted."""
    if delivery.event.kind in wanted_kinds(filters):
        return None
    wanted = ", ".join(filters.events)
    return Verdict(False, f"the channel follows {wanted}, and this is {delivery.event.kind.value}.")


def _author_verdict(filters: Filters, delivery: Delivery) -> Verdict | None:
    """None where nobody who is ignored did it."""
    actor = delivery.actor
    if actor is None:
        return None
    name = " ".join((actor.name or "").split()).casefold()
    for ignored in filters.ignore_authors:
        if ignored == actor.id or ignored.casefold() == name:
            return Verdict(False, f"the channel ignores what {ignored} does.")
    return None


def _model_verdict(
    filters: Filters, models: Sequence[ModelRef], known_models: Mapping[str, str]
) -> Verdict | None:
    """None where the model filter has nothing to say.

    An event that touches several models passes if one of them does.
    """
    if not filters.models or not models:
        return None
    nameless = 0
    refused = ""
    for model in models:
        name = model.name or known_models.get(model.id or "")
        if name is None and model.id not in filters.models:
            nameless += 1
            continue
        pattern = _deciding_pattern(filters.models, name or "", model.id)
        shown = name or model.id
        if pattern is None:
            refused = f"no model pattern of the channel fits {shown}."
        elif pattern.startswith("!"):
            refused = f"the pattern {pattern} excludes {shown}."
        else:
            return Verdict(True, f"{shown} fits the pattern {pattern}.")
    if nameless:
        return Verdict(True, "the event names its models by id alone, which no pattern can judge.")
    return Verdict(False, refused)


def _deciding_pattern(patterns: Iterable[str], name: str, model_id: str | None) -> str | None:
    """The pattern that lets a model in or keeps it out; None where none lets it in."""
    including = [pattern for pattern in patterns if not pattern.startswith("!")]
    for pattern in patterns:
        if pattern.startswith("!") and _fits(pattern[1:], name, model_id):
            return pattern
    if not including:
        return "**"
    return next((pattern for pattern in including if _fits(pattern, name, model_id)), None)


def _fits(pattern: str, name: str, model_id: str | None) -> bool:
    return pattern == model_id or fits(pattern, name)


def fits(pattern: str, name: str) -> bool:
    """Match a glob: `*` and `?` stay within a level, `**` crosses levels, case is ignored.

    `structure/**` is everything below `structure` and the model `structure` itself; `**/draft*`
    fits at the top level too. It follows all possible positions at once instead of compiling to a
    regular expression, which a pattern such as `*a*a*a*a*b` would keep busy for hours.
    """
    name = name.casefold()
    positions = {0}
    for piece in _pieces(pattern.casefold()):
        step = _STEPS.get(piece)
        if step is None:
            positions = {p + len(piece) for p in positions if name.startswith(piece, p)}
        else:
            positions = step(name, positions)
        if not positions:
            return False
    return len(name) in positions


@lru_cache(maxsize=1024)
def _pieces(pattern: str) -> tuple[str, ...]:
    pattern = re.sub(r"\*{2,}(?:/\*{2,})*", "**", pattern)
    pieces = re.split(r"(/\*\*\Z|\A\*\*/|/\*\*/|\*\*|\*|\?)", pattern)
    return tuple(piece for piece in pieces if piece)


def _star(name: str, positions: set[int]) -> set[int]:
    reached: set[int] = set()
    for start in sorted(positions):
        if start not in reached:
            slash = name.find("/", start)
            reached.update(range(start, (len(name) if slash < 0 else slash) + 1))
    return reached


def _two_stars(name: str, positions: set[int]) -> set[int]:
    return set(range(min(positions), len(name) + 1))


def _question_mark(name: str, positions: set[int]) -> set[int]:
    return {p + 1 for p in positions if p < len(name) and name[p] != "/"}


def _after_slash(name: str, positions: set[int]) -> set[int]:
    return {p + 1 for p in positions if name.startswith("/", p)}


def _levels(name: str, positions: set[int]) -> set[int]:
    """Any number of whole levels, none included."""
    first = min(positions, default=len(name))
    return positions | {p for p in range(first + 1, len(name) + 1) if name[p - 1] == "/"}


def _rest(name: str, positions: set[int]) -> set[int]:
    """Nothing, or a slash and whatever follows."""
    below = _after_slash(name, positions)
    return positions | (_two_stars(name, below) if below else set())


_STEPS: Mapping[str, Callable[[str, set[int]], set[int]]] = {
    "*": _star,
    "**": _two_stars,
    "?": _question_mark,
    "**/": _levels,
    "/**/": lambda name, positions: _levels(name, _after_slash(name, positions)),
    "/**": _rest,
}


def is_wider(filters: Filters, agreed: Filters) -> bool:
    """Whether these may let through what the others did not; in doubt, they may.

    Model patterns are compared as texts: of two globs nobody can say in general which is wider.
    """
    return (
        not wanted_kinds(filters) <= wanted_kinds(agreed)
        or _models_wider(filters.models, agreed.models)
        or not set(agreed.ignore_authors) <= set(filters.ignore_authors)
    )


def _models_wider(patterns: tuple[str, ...], agreed: tuple[str, ...]) -> bool:
    included, excluded = _split(patterns)
    agreed_to, kept_out = _split(agreed)
    if not kept_out <= excluded:
        return True
    return bool(agreed_to) and (not included or not included <= agreed_to)


def _split(patterns: Iterable[str]) -> tuple[set[str], set[str]]:
    """The patterns that let models in, and those that keep them out."""
    excluded = {pattern for pattern in patterns if pattern.startswith("!")}
    return {pattern for pattern in patterns if pattern not in excluded}, excluded


# ── Told ──────────────────────────────────────────────────────────────────────────────────────


def describe(filters: Filters) -> str:
    """The filters in plain words, for example "versions, comments · only models `a/**`".

    Typed texts stand in code quotes; a sentence's full stop is left to the caller.
    """
    parts = [
        ", ".join(name.replace("_", " ") for name in filters.events) or "all events",
        *_describe_models(filters.models),
    ]
    if filters.ignore_authors:
        parts.append(f"not by {_listed(filters.ignore_authors)}")
    return " · ".join(parts)


def _describe_models(patterns: Iterable[str]) -> Iterable[str]:
    including = [pattern for pattern in patterns if not pattern.startswith("!")]
    excluding = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    if including:
        yield f"only models {_listed(including)}"
    if excluding:
        yield f"without models {_listed(excluding)}"


def _listed(texts: Iterable[str]) -> str:
    return ", ".join("`" + text.replace("`", "ˋ") + "`" for text in texts)
