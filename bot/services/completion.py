"""What to offer while a person types: events and groups, the projects that are followed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bot.cards.text import one_line, shorten_plain, units
from bot.speckle.event_names import FORMER_NAMES
from bot.speckle.event_table import kinds_of
from bot.speckle.events import EventGroup, EventKind
from bot.speckle.links import Links
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
    """Complete the last part of a comma-separated list of events and groups.

    `all_label` is shown for all of them.
    """
    done, part = _last_part(typed)
    names = [name for name in (ALL, *EventGroup, *EventKind) if name not in done]
    if done:
        names.remove(ALL)
    if set(done) <= NEVER_SENT and EventGroup.OTHER in names:
        names.remove(EventGroup.OTHER)
    fitting = (name for name in names if any(part in one for one in _called(name)))
    hits = sorted(fitting, key=lambda name: not any(n.startswith(part) for n in _called(name)))
    texts = [(name, ", ".join([*done, name])) for name in hits if name != EventKind.UNKNOWN]
    return [
        Choice(shorten_plain(_event_label(name, text, all_label), MAX_CHOICE_LENGTH), text)
        for name, text in texts
        if len(text) <= MAX_CHOICE_LENGTH
    ][:MAX_CHOICES]


def _called(name: str) -> list[str]:
    """What people may call it: by its name, or by a former one."""
    return [name, *(old for old, new in FORMER_NAMES.items() if new == name)]


def _last_part(typed: str) -> tuple[list[str], str]:
    *done, part = (piece.strip().lower() for piece in typed.split(","))
    names = (FORMER_NAMES.get(piece, piece) for piece in done if piece)
    return list(dict.fromkeys(names)), part


def _event_label(name: str, text: str, all_label: str) -> str:
    if name == ALL:
        return all_label
    if name not in set(EventGroup):
        return text
    kinds = kinds_of(EventGroup(name))
    hint = ", ".join(dict.fromkeys(kind.split("_", 1)[-1].replace("_", " ") for kind in kinds))
    former = "".join(f"{one} too: " for one in _called(name)[1:])
    return f"{text} ({former}{hint})"


def complete_projects(named: Mapping[tuple[str, str], str], typed: str) -> list[Choice]:
    """Offer the projects whose name or id holds what was typed, by name.

    `named`: (server, id) → what the project is called. A choice's value leads back to it.
    """
    wanted = typed.strip().casefold()
    hits = [
        (name, server_url, project_id)
        for (server_url, project_id), name in named.items()
        if wanted in f"{name} {project_id}".casefold()
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


def model_part(typed: str) -> str:
    """What is to be looked for: the last part of the list, without the ! that leaves out."""
    return typed.rpartition(",")[2].strip().removeprefix("!").strip()


def offer_models(typed: str, names: Iterable[str]) -> list[Choice]:
    """Complete the last part of a comma-separated list of model patterns with these names."""
    done, _, part = typed.rpartition(",")
    kept = [piece.strip() for piece in done.split(",") if piece.strip()]
    mark = "!" if part.strip().startswith("!") else ""
    names = [one_line(name) for name in names if "," not in name]
    texts = [", ".join([*kept, f"{mark}{name}"]) for name in names if f"{mark}{name}" not in kept]
    fitting = dict.fromkeys(text for text in texts if units(text) <= MAX_CHOICE_LENGTH)
    return [Choice(text, text) for text in fitting][:MAX_CHOICES]
