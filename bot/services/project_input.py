"""The project that somebody means: by a link, an id, or a name that one project alone has."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from bot.errors import NotASpeckleLink
from bot.services.command_input import parse_project
from bot.services.former_addresses import FormerAddresses
from bot.services.refusals import CommandRefused, NoProjectCalled, NotAProject, ServerNotAllowed
from bot.services.search import Search
from bot.services.subscribe_results import CommandCaller, Followed
from bot.speckle.links import SpeckleLink, looks_like_address, parse_link
from bot.speckle.seen_text import as_seen

TODAYS_ID: Final = re.compile(r"[0-9a-f]{10}")
AROUND: Final = " \t\r\n\"'`“”„«»<>*"
MAX_NEAR: Final = 3

Project = tuple[str, str]  # server, id


class ProjectInput:
    """Reads what is typed as a project, by what the caller may see: `followed` and their own.

    The first of the servers is the default. Errors: CommandRefused.
    """

    def __init__(
        self, search: Search, former_addresses: FormerAddresses, servers: Sequence[str]
    ) -> None:
        self._search = search
        self._former_addresses = former_addresses
        self._servers = tuple(servers)

    async def link_of(
        self, typed: str, user_id: int, followed: Sequence[Followed]
    ) -> tuple[str, SpeckleLink]:
        """The server, and what it is in there, that was typed."""
        link = None
        if may_be_name(typed):
            link = await self._named(typed, user_id, followed)
        link = link or await self._linked(typed)
        return link.server_url or self._server_of(link.project_id, followed), link

    def offline(self, typed: str, followed: Sequence[Followed]) -> list[Project]:
        """The same among what is followed, and without asking any server; several for one name."""
        named = projects_called(typed, followed)
        if named:
            return named
        try:
            link = parse_link(typed, self._servers)
        except NotASpeckleLink:
            return []
        server_url = link.server_url or self._server_of(link.project_id, followed)
        return [(server_url, link.project_id)]

    async def with_its_model(
        self, caller: CommandCaller, server_url: str, link: SpeckleLink
    ) -> SpeckleLink:
        """A link to a version with the version's model, if the caller may know it."""
        if link.models or link.version_id is None:
            return link
        model_id = await self._search.model_of_version(
            caller, server_url, link.project_id, link.version_id
        )
        return link if model_id is None else replace(link, models=(model_id,))

    async def _named(
        self, typed: str, user_id: int, followed: Sequence[Followed]
    ) -> SpeckleLink | None:
        """The project of that name; None where it may be an id."""
        name = typed.strip(AROUND)
        found = set(projects_called(name, followed))
        own = await self._own_projects(user_id, name)
        found |= {project for project, called in own if as_seen(called) == as_seen(name)}
        if len(found) == 1:
            server_url, project_id = found.pop()
            return SpeckleLink(server_url, project_id)
        if not found and self.offline(typed, ()):
            return None
        if not found and not name:
            raise CommandRefused(NotAProject("it is empty."))
        near = () if found else _near(name, [*_labels(followed), *(called for _, called in own)])
        raise CommandRefused(NoProjectCalled(name, bool(found), near))

    async def _own_projects(self, user_id: int, name: str) -> list[tuple[Project, str]]:
        """The caller's own projects whose names hold the text, and the newest ones."""
        listed = await self._search.own_projects(user_id, name)
        if not any(projects for _, projects in listed):
            listed = await self._search.own_projects(user_id, "")
        return [
            ((server_url, project.id), project.name)
            for server_url, projects in listed
            for project in projects
        ]

    async def _linked(self, typed: str) -> SpeckleLink:
        """The project that a link means, also one to a server's former address."""
        try:
            return parse_project(typed, self._servers)
        except CommandRefused as refused:
            if not isinstance(refused.refusal, ServerNotAllowed):
                raise
            server_url = await self._former_addresses.server_now_of(refused.refusal.server_url)
            if server_url is None:
                raise
        return replace(parse_link(typed), server_url=server_url)

    def _server_of(self, project_id: str, followed: Iterable[Followed]) -> str:
        """The server that a bare id means: where the caller's channels follow it, or the first."""
        there = {one.hook.server_url for one in followed if one.hook.project_id == project_id}
        return there.pop() if len(there) == 1 else self._servers[0]


def may_be_name(typed: str) -> bool:
    """Whether a text is neither an address nor an id as Speckle makes them today."""
    return not looks_like_address(typed) and not TODAYS_ID.fullmatch(typed.strip(AROUND))


def projects_called(typed: str, followed: Iterable[Followed]) -> list[Project]:
    """The followed projects of that name."""
    name = as_seen(typed.strip(AROUND))
    named = (entry for entry in followed if as_seen(entry.label) == name)
    return list(dict.fromkeys((one.hook.server_url, one.hook.project_id) for one in named))


def _labels(followed: Iterable[Followed]) -> list[str]:
    return [entry.label for entry in followed if entry.label != entry.hook.project_id]


def _near(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Names that hold this one, or nearly are it."""
    wanted, seen = as_seen(name), {as_seen(one): one for one in known}
    held = [one for text, one in seen.items() if wanted in text]
    close = difflib.get_close_matches(wanted, seen, n=MAX_NEAR, cutoff=0.6)
    return tuple(dict.fromkeys([*held, *(seen[one] for one in close)]))[:MAX_NEAR]
