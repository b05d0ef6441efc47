"""What to offer while a person types: events, projects, and what a project has."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.cards.text import one_line, shorten_plain, units
from bot.speckle.event_names import CALLED, FORMER_NAMES, described_group, read_event_names
from bot.speckle.events import EventGroup, EventKind
from bot.speckle.links import Links
from bot.speckle.seen_text import as_seen
from bot.speckle.typed_lists import EXCLUDE, SEPARATORS, split_last, split_typed, typed_entry
from bot.speckle_api.types import ProjectChoice

MAX_CHOICES = 25  # Discord's limit for autocomplete
MAX_CHOICE_LENGTH = 100  # of a choice's name and of its value
ALL = "all"
NEVER_SENT = frozenset({EventGroup.OTHER, EventKind.UNKNOWN})  # by themselves


@dataclass(frozen=True, slots=True)
class Choice:
    """One line of an autocomplete: what is shown, and what is then typed."""

    name: str
    value: str


def complete_events(typed: str, all_label: str) -> list[Choice]:
    """Complete the last part of a list of events and groups.

    `all_label` is shown for all of them.
    """
    done, mark, part = _last_part(typed)
    names = [name for name in (ALL, *EventGroup, *EventKind) if name not in done]
    if done or mark:
        names.remove(ALL)
    if set(done) <= NEVER_SENT and EventGroup.OTHER in names and not mark:
        names.remove(EventGroup.OTHER)
    ranked = ((rank, name) for name in names if (rank := _rank(name, part)) is not None)
    hits = [name for _, name in sorted(ranked, key=lambda hit: hit[0])]
    texts = [(name, ", ".join([*done, mark + name])) for name in hits if name != EventKind.UNKNOWN]
    return [
        Choice(shorten_plain(_event_label(name, text, all_label), MAX_CHOICE_LENGTH), text)
        for name, text in texts
        if len(text) <= MAX_CHOICE_LENGTH
    ][:MAX_CHOICES]


def _rank(name: str, part: str) -> int | None:
    """How well a part fits an event: our name and a former one first, then Speckle's; None: not."""
    ours = [name, *(old for old, new in FORMER_NAMES.items() if new == name)]
    theirs = (other for other, names in CALLED.items() if name in names)
    fits = (
        any(one.startswith(part) for one in ours),
        any(part in one for one in ours),
        any(one.startswith(part) for one in theirs),
    )
    return fits.index(True) if any(fits) else None


def _last_part(typed: str) -> tuple[list[str], str, str]:
    """The names that are typed, the `!` of the last part, and that part."""
    before, last = _LAST_PART.fullmatch(typed).groups()  # type: ignore[union-attr]  # always fits
    read = read_event_names(before or "")
    done = [*read.included, *(f"{EXCLUDE}{name}" for name in read.excluded)]
    mark = EXCLUDE if last.startswith(EXCLUDE) else ""
    part = re.sub(r"[\s.:-]+", "_", as_seen(last.lstrip(f"{EXCLUDE} ")))
    return list(dict.fromkeys(done)), mark, part


_LAST_PART = re.compile(r"(?s)(.*[,;|/+&\n\uff0c\uff1b\u3001])?\s*(.*?)")


def _event_label(name: str, text: str, all_label: str) -> str:
    if name == ALL:
        return all_label
    if name not in set(EventGroup):
        return text
    return f"{text}: {described_group(EventGroup(name))}"


def complete_projects(named: Mapping[tuple[str, str], str], typed: str) -> list[Choice]:
    """Offer the projects whose name or id holds what was typed, by name.

    `named`: (server, id) → what the project is called. A choice's value leads back to it.
    """
    wanted = as_seen(typed)
    hits = [
        (name, server_url, project_id)
        for (server_url, project_id), name in named.items()
        if wanted in as_seen(f"{name} {project_id}")
    ]
    hits.sort(key=lambda hit: hit[0].casefold())
    return [
        Choice(shorten_plain(name, MAX_CHOICE_LENGTH), _address(server_url, project_id))
        for name, server_url, project_id in hits[:MAX_CHOICES]
    ]


def _address(server_url: str, project_id: str) -> str:
    url = Links(server_url).project(project_id)
    return url if len(url) <= MAX_CHOICE_LENGTH else project_id


def offer_projects(server_url: str, projects: Iterable[ProjectChoice]) -> list[Choice]:
    """Offer a person's own projects of one server, in the server's order."""
    return [
        Choice(
            shorten_plain(one_line(project.name, otherwise=project.id), MAX_CHOICE_LENGTH),
            _address(server_url, project.id),
        )
        for project in projects
    ]


def merged(*lists: Iterable[Choice]) -> list[Choice]:
    """One list out of several, each choice once, as many as Discord takes."""
    by_value = {choice.value: choice for choices in reversed(lists) for choice in choices}
    ordered = dict.fromkeys(choice.value for choices in lists for choice in choices)
    return [by_value[value] for value in ordered][:MAX_CHOICES]


def last_typed(typed: str) -> str:
    """What is to be looked for: the last part of the list, without the ! that leaves out."""
    return split_last(typed)[1].text.strip("*/")


def with_folders(names: Sequence[str], part: str) -> list[str]:
    """Models, and before them each folder that fits and has several of them, as its pattern."""
    levels = (name.split("/")[:-1] for name in names)
    folders = Counter("/".join(one[:depth]) for one in levels for depth in range(1, len(one) + 1))
    wanted = as_seen(part)
    found = [name for name, count in folders.items() if count > 1 and wanted in as_seen(name)]
    return [*(f"{folder}/**" for folder in sorted(found)), *names]


def offer_names(typed: str, names: Iterable[str], *, excluding: bool = True) -> list[Choice]:
    """Complete the last part of a list with these names; those with a comma in quotes.

    `excluding`: a `!` before the part stays.
    """
    before, last = split_last(typed)
    kept = before.strip(f"{SEPARATORS} ")
    mark = EXCLUDE if last.excluded and excluding else ""
    there = {as_seen(f"{EXCLUDE if one.excluded else ''}{one.text}") for one in split_typed(kept)}
    entries = [f"{mark}{one_line(name)}" for name in names]
    new = (typed_entry(entry) for entry in entries if as_seen(entry) not in there)
    texts = dict.fromkeys(", ".join(filter(None, (kept, entry))) for entry in new)
    return [Choice(text, text) for text in texts if units(text) <= MAX_CHOICE_LENGTH][:MAX_CHOICES]
