"""The form of *Edit*: what it shows of a channel's options, and what changes once it is sent off.

A form that is sent off as it was opened changes nothing, whatever a select could not show.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from bot.cards.text import one_line, shorten_plain, units
from bot.speckle.event_names import USUAL_KINDS, kinds_named, read_event_names
from bot.speckle.events import EventGroup, EventKind, ProjectNames
from bot.speckle.globs import is_glob
from bot.speckle.seen_text import as_seen
from bot.speckle.subscription_options import (
    MAX_ENTRIES,
    Entries,
    SubscriptionOptions,
    TypedOptions,
    wanted_kinds,
)
from bot.speckle.typed_lists import ALL_WORDS, EXCLUDE, split_entries, typed_list

MAX_OPTIONS: Final = 25  # of one select: Discord's limit
MAX_OPTION: Final = 100  # characters of an option's label and of its value: the same
MAX_TEXT: Final = 4_000  # characters of a text field: the same
ALL, NOTHING = "all", "none"

FormFields: TypeAlias = Mapping[str, str | Sequence[str]]
"""What was sent off, by the field's custom id: a text, or the values that were chosen."""


@dataclass(frozen=True, slots=True)
class FormOption:
    """One line of a select, or one checkbox."""

    label: str
    value: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class OptionsForm:
    """What the form shows.

    `picked` are models by their names, none where they are not known; of `total`, where there are
    more than a select can show. `models` are the names and patterns that are not among them, as
    typed. `people` take the place of the text `ignore_authors` where all of them can be shown.
    """

    groups: tuple[FormOption, ...]
    kinds: tuple[FormOption, ...]
    picked: tuple[FormOption, ...]
    total: int
    models: str
    people: tuple[FormOption, ...]
    ignore_authors: str


def options_form(
    options: SubscriptionOptions, names: ProjectNames, typed: TypedOptions | None = None
) -> OptionsForm:
    """The form for these options, or for what was `typed` into it and refused."""
    filled = _as_typed(options, names) if typed is None else typed
    events = read_event_names(filled["events"])
    everything = events.everything or (typed is None and not options.events)
    return OptionsForm(
        groups=tuple(
            FormOption(group.value, group.value, everything or _wants(events.included, group))
            for group in EventGroup
        ),
        kinds=tuple(
            FormOption(kind.words, kind.value, kind.value in events.included)
            for kind in _shown_kinds(events.included)
        ),
        picked=_model_options(split_entries(filled["picked"]), names),
        total=len(names.models),
        models=filled["models"],
        people=_people_options(split_entries(filled["ignore_authors"]), names),
        ignore_authors=filled["ignore_authors"],
    )


def _as_typed(options: SubscriptionOptions, names: ProjectNames) -> TypedOptions:
    """The options as a form would be filled in: known models are picked, all else is typed."""
    known = {as_seen(name) for name in names.models.values()} | set(names.models)
    can = [one for one in options.models if _can_be_picked(one) and _known(one, known)]
    picked = can[:MAX_OPTIONS]
    return {
        "events": ", ".join(options.events) or ALL,
        "picked": typed_list(picked),
        "models": typed_list(one for one in options.models if one not in picked),
        "ignore_authors": typed_list(options.ignore_authors),
    }


def _known(entry: str, known: Iterable[str]) -> bool:
    return entry in known or as_seen(entry) in known


def _can_be_picked(entry: str) -> bool:
    plain = not entry.startswith(EXCLUDE) and not is_glob(entry) and "/**" not in entry
    return plain and 0 < units(entry) <= MAX_OPTION


def _wants(included: Sequence[str], group: EventGroup) -> bool:
    alone = group is EventGroup.OTHER and EventKind.UNKNOWN.value in included
    return alone or group.value in included


def _shown_kinds(included: Sequence[str]) -> list[EventKind]:
    """As many single events as a select can show: the last ones that are not chosen give way."""
    kinds = [kind for kind in EventKind if kind is not EventKind.UNKNOWN]
    spare = [kind for kind in kinds if kind.value not in included] or kinds
    hidden = spare[len(spare) - max(0, len(kinds) - MAX_OPTIONS) :]
    return [kind for kind in kinds if kind not in hidden]


def _model_options(chosen: Sequence[str], names: ProjectNames) -> tuple[FormOption, ...]:
    if not names.models:
        return ()
    there = {as_seen(names.models.get(one, one)) for one in chosen}
    others = sorted(
        (as_seen(name), id_) for id_, name in names.models.items() if as_seen(name) not in there
    )
    values = [*chosen, *(_value_of(id_, names.models[id_]) for _, id_ in others)]
    shown = dict.fromkeys(value for value in values if _can_be_picked(value))
    return tuple(
        FormOption(_label(names.models.get(value, value)), value, value in chosen)
        for value in [*shown][:MAX_OPTIONS]
    )


def _value_of(model_id: str, name: str) -> str:
    """A model's name where that means this model alone, else its id."""
    plain = one_line(name)
    return plain if _can_be_picked(plain) and as_seen(plain) not in ALL_WORDS else model_id


def _label(name: str) -> str:
    return shorten_plain(one_line(name), MAX_OPTION)


def _people_options(chosen: Sequence[str], names: ProjectNames) -> tuple[FormOption, ...]:
    """All people, if they are known and few enough to be chosen from."""
    there = {as_seen(names.people.get(one, one)) for one in chosen}
    others = sorted(one_line(name) for name in names.people.values() if as_seen(name) not in there)
    values = [*dict.fromkeys([*chosen, *others])]
    fits = all(0 < units(value) <= MAX_OPTION for value in values)
    if not names.people or not fits or len(values) > min(MAX_OPTIONS, MAX_ENTRIES):
        return ()
    return tuple(
        FormOption(_label(names.people.get(value, value)), value, value in chosen)
        for value in values
    )


# ── what was sent off ─────────────────────────────────────────────────────────────────────────


def typed_into(fields: FormFields) -> TypedOptions:
    """What was chosen and typed, as texts; also of a form that an earlier release opened."""
    texts = {name: value for name, value in fields.items() if isinstance(value, str)}
    lists = {name: list(value) for name, value in fields.items() if not isinstance(value, str)}
    people = lists.get("people")
    return {
        "events": _typed_events(lists) if "groups" in lists else texts.get("events", ""),
        "picked": typed_list(lists.get("picked", ())),
        "models": texts.get("models", ""),
        "ignore_authors": texts.get("ignore_authors", "") if people is None else typed_list(people),
    }


def _typed_events(lists: Mapping[str, Sequence[str]]) -> str:
    chosen = [*lists["groups"], *lists.get("kinds", ())]
    if kinds_named(chosen) == USUAL_KINDS:
        return ALL
    return ", ".join(chosen) or NOTHING


def changed_options(typed: TypedOptions, current: SubscriptionOptions) -> TypedOptions:
    """What a form changes, as it would be typed into /subscribe; nothing of what it left alone."""
    changed = {}
    events = read_event_names(typed["events"])
    hidden = _hidden_kinds(current.events)
    wanted = kinds_named([*events.included, *hidden])
    unread = events.unknown or events.excluded or events.nothing
    if typed["events"] == ALL:
        wanted = USUAL_KINDS
    if unread or wanted != wanted_kinds(current):
        changed["events"] = ", ".join(filter(None, (typed["events"], *hidden)))
    models = ", ".join(filter(None, (typed["picked"], typed["models"].strip())))
    if set(split_entries(models)) != set(current.models):
        changed["models"] = models
    if set(split_entries(typed["ignore_authors"])) != set(current.ignore_authors):
        changed["ignore_authors"] = typed["ignore_authors"]
    return changed


def _hidden_kinds(entries: Entries) -> list[str]:
    """Single events that are chosen and that the form could not show."""
    shown = {kind.value for kind in _shown_kinds(entries)} | {EventKind.UNKNOWN.value}
    return [one for one in entries if one in set(EventKind) and one not in shown]
