"""Versions as people look them up: the newest one, a model's list, one with all that is known."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from bot.amounts import duration_text
from bot.cards.applications import application_name
from bot.cards.card import Picture
from bot.cards.text import one_line, shorten_plain
from bot.errors import SpeckleError, SpeckleNotFound
from bot.services.comparing import Comparing
from bot.services.completion import MAX_CHOICE_LENGTH, MAX_CHOICES, Choice
from bot.services.project_reading import MeantProject, ProjectReader, ProjectReading
from bot.services.refusals import CommandRefused, NoSuchModel, NoSuchVersion, NoVersions
from bot.services.subscribe_results import CommandCaller
from bot.services.token_lending import SpeckleCall
from bot.single_flight import SingleFlightCache
from bot.speckle.comparison import Comparison, WhyNotCompared
from bot.speckle.events import ModelRef
from bot.speckle.facts import VersionFacts
from bot.speckle.links import ID, looks_like_address, server_key
from bot.speckle.listed import ListedVersion
from bot.speckle.seen_text import as_seen
from bot.speckle.wire import id_of
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.object_counts import ObjectCounts
from bot.speckle_api.types import Login, ModelChoice
from bot.speckle_api.version_lists import VersionList
from bot.speckle_api.version_pictures import VersionPictures

PAGE: Final = 10
MOST_LISTED: Final = 100  # two questions; further ones are in Speckle
NEWEST: Final = 50  # one question
WITHIN_S: Final = 10.0  # somebody waits for the answer
TYPING_S: Final = 2.0  # of the 3 s that Discord waits for what is offered
PART_S: Final = 4.0  # for each thing that an answer can do without
FRESH_S: Final = 10.0  # Discord asks at each key
MOST_KEPT: Final = 32
MAX_NEAR: Final = 3
NEWEST_WORDS: Final = frozenset({"latest", "newest", "last"})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NumberedVersion:
    """A version, and which one of its model's it is, counted from the oldest that is there."""

    version: ListedVersion
    number: int | None = None


@dataclass(frozen=True, slots=True)
class VersionPage:
    """A page of a model's versions, the newest first; `pages` as many as are listed here.

    `total` is how many there are, `unlisted` whether the oldest are on no page.
    """

    project: MeantProject
    model: ModelRef
    versions: Sequence[NumberedVersion]
    page: int
    pages: int
    total: int | None
    unlisted: bool = False


@dataclass(frozen=True, slots=True)
class WholeVersion:
    """A version with all that is known; None is what was not said in time.

    `changes` is what differs from the one before, or why that is not known; None while it is still
    being found out.
    """

    project: MeantProject
    found: NumberedVersion
    before: NumberedVersion | None = None
    objects: int | None = None
    open_issues: int | None = None
    open_threads: int | None = None
    picture: Picture | None = None
    changes: Comparison | WhyNotCompared | None = None


class VersionLookup:
    """Looks versions up, for one person. Errors: CommandRefused; SpeckleError."""

    def __init__(
        self,
        reading: ProjectReading,
        client: SpeckleClient,
        counts: ObjectCounts,
        pictures: VersionPictures,
        comparing: Comparing,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._reading = reading
        self._client = client
        self._counts = counts
        self._pictures = pictures
        self._comparing = comparing
        self._now = now
        self._offered = SingleFlightCache[tuple[ProjectReader, VersionList]](
            max_values=MOST_KEPT, ttl_s=FRESH_S
        )

    # ── one ───────────────────────────────────────────────────────────────────────────────────

    async def latest(
        self, caller: CommandCaller, project: str | None, model: str | None
    ) -> WholeVersion:
        """The newest version of a model, or of all."""
        model = model and model.strip()
        meant = await self._reading.project(caller, project, model)

        def ask(reader: ProjectReader) -> SpeckleCall[ListedVersion]:
            async def newest(login: Login) -> ListedVersion:
                listed = await self.newest(reader, login, model or None)
                shown = (one for one in listed.versions if reader.shows(one))
                found = next(shown, None)
                if found is None:
                    raise CommandRefused(NoVersions())
                return found

            return newest

        reader, version = await self._reading.first(caller, meant, ask)
        return await self._whole(caller, reader, version)

    async def one(
        self, caller: CommandCaller, project: MeantProject, version_id: str
    ) -> WholeVersion:
        """The version with this id."""

        def ask(reader: ProjectReader) -> SpeckleCall[ListedVersion]:
            return lambda login: self.by_id(reader, login, version_id)

        reader, version = await self._reading.first(caller, project, ask)
        return await self._whole(caller, reader, version)

    async def by_id(
        self, reader: ProjectReader, login: Login, version_id: str, *, named: bool = True
    ) -> ListedVersion:
        """A version that this reader may tell of; one that nobody `named` is there as the version
        before another, even if its author is ignored in the channel.
        """
        try:
            found = await self._client.versions.one(
                login, reader.project.project_id, version_id, within_s=WITHIN_S
            )
        except SpeckleNotFound as error:
            raise CommandRefused(NoSuchVersion(version_id)) from error
        if not (reader.shows(found) if named else reader.shows_model(found.model)):
            raise CommandRefused(NoSuchVersion(version_id))
        return found

    async def _whole(
        self, caller: CommandCaller, reader: ProjectReader, version: ListedVersion
    ) -> WholeVersion:
        """The version with all that can be had in a moment, side by side."""
        project_id, model = reader.project.project_id, version.model
        facts = VersionFacts(
            model=model, object_id=id_of(version.object_id), bundle=version.is_bundle
        )

        async def counted(login: Login) -> int | None:
            try:
                return await self._counts.of_version(
                    login, project_id, version.id, facts, within_s=PART_S
                )
            except TimeoutError:
                return None

        async def open_on(login: Login) -> tuple[int | None, int | None]:
            return await self._client.facts.open_on(login, project_id, model.id, within_s=PART_S)

        async def picture(login: Login) -> Picture | None:
            found = await self._pictures.of(login, project_id, version.id, PART_S)
            return found if isinstance(found, Picture) else None

        async def compared() -> tuple[NumberedVersion, NumberedVersion | None, object]:
            found, before = await self._placed(reader, version)
            if before is None:
                return found, None, WhyNotCompared.FIRST
            changes = await self._comparing.within(
                PART_S, caller.guild_id, reader, before.version, version
            )
            return found, before, changes

        placed, objects, threads_issues, shown = await asyncio.gather(
            compared(),
            self._part(reader, counted),
            self._part(reader, open_on),
            self._part(reader, picture),
        )
        found, before, changes = placed
        threads, issues = threads_issues or (None, None)
        return WholeVersion(
            reader.project,
            found,
            before,
            objects,
            issues,
            threads,
            shown,
            changes if isinstance(changes, Comparison | WhyNotCompared) else None,
        )

    async def _part(self, reader: ProjectReader, question: SpeckleCall[T]) -> T | None:
        """What an answer can do without."""
        try:
            async with asyncio.timeout(2 * PART_S):
                return await self._reading.ask(reader, question)
        except (SpeckleError, TimeoutError):
            return None

    async def _placed(
        self, reader: ProjectReader, version: ListedVersion
    ) -> tuple[NumberedVersion, NumberedVersion | None]:
        """Which of its model's it is, and the one before it."""
        model_id = version.model.id
        if model_id is None:
            return NumberedVersion(version), None
        project_id = reader.project.project_id
        listed = await self._reading.ask(
            reader,
            lambda login: self._client.versions.of_model(
                login, project_id, model_id, NEWEST, within_s=WITHIN_S
            ),
        )
        all_of_it = numbered(listed)
        for this, before in zip(all_of_it, [*all_of_it[1:], None], strict=True):
            if this.version.id == version.id and (before or this.number == 1):
                return this, before
        earlier = await self._reading.ask(
            reader,
            lambda login: self._client.versions.before(
                login, project_id, version, within_s=WITHIN_S
            ),
        )
        return NumberedVersion(version), None if earlier is None else NumberedVersion(earlier)

    # ── lists ─────────────────────────────────────────────────────────────────────────────────

    async def listed(self, caller: CommandCaller, project: str | None, model: str) -> VersionPage:
        """The first page of a model's versions, by what was typed."""
        meant = await self._reading.project(caller, project, model)
        return await self.page(caller, meant, model, 0)

    async def page(
        self, caller: CommandCaller, project: MeantProject, model: str, page: int
    ) -> VersionPage:
        """A page of a model's versions; the last one where there are not so many."""
        limit = NEWEST if (page + 1) * PAGE <= NEWEST else MOST_LISTED

        def ask(reader: ProjectReader) -> SpeckleCall[tuple[ModelRef, VersionList]]:
            async def listed(login: Login) -> tuple[ModelRef, VersionList]:
                found = await self.model(reader, login, model)
                versions = await self._of_model(reader, login, found, limit)
                named = next((one.model for one in versions.versions), found)
                if not reader.shows_model(named):
                    raise CommandRefused(NoSuchModel(model))
                return named, versions

            return listed

        reader, (found, listed) = await self._reading.first(caller, project, ask)
        shown = [one for one in numbered(listed) if reader.shows(one.version)]
        if not shown:
            raise CommandRefused(NoVersions())
        total = len(listed.versions) if listed.total is None else listed.total
        has_all = total <= len(listed.versions)
        pages = -(-(len(shown) if has_all else min(total, MOST_LISTED)) // PAGE)
        page = min(page, (len(shown) - 1) // PAGE)
        return VersionPage(
            reader.project,
            found,
            shown[page * PAGE : (page + 1) * PAGE],
            page,
            max(pages, page + 1),
            listed.total,
            total > MOST_LISTED,
        )

    async def newest(
        self, reader: ProjectReader, login: Login, model: str | None, limit: int = NEWEST
    ) -> VersionList:
        """The newest versions of a model, or of all."""
        if model is None:
            return await self._client.versions.of_project(
                login, reader.project.project_id, limit, within_s=WITHIN_S
            )
        found = await self.model(reader, login, model)
        return await self._of_model(reader, login, found, limit)

    async def _of_model(
        self, reader: ProjectReader, login: Login, model: ModelRef, limit: int
    ) -> VersionList:
        try:
            return await self._client.versions.of_model(
                login, reader.project.project_id, model.id or "", limit, within_s=WITHIN_S
            )
        except SpeckleNotFound as error:
            raise CommandRefused(NoSuchModel(model.name or model.id or "")) from error

    async def model(self, reader: ProjectReader, login: Login, typed: str) -> ModelRef:
        """The model that was typed: by its name, its id, or a link."""
        name = typed.strip()
        link = self._reading.link_in(reader.project, typed)
        if link is not None and link.version_id is not None and not link.models:
            return (await self.by_id(reader, login, link.version_id)).model
        if link is not None and link.models:
            name = link.models[0]
        elif looks_like_address(typed):
            raise CommandRefused(NoSuchModel(typed))
        known = await self._models(reader, login, name, WITHIN_S)
        same = [one for one in known if as_seen(one.name) == as_seen(name)]
        if same:
            return ModelRef(same[0].id, same[0].name)
        if ID.fullmatch(name):
            return ModelRef(name)
        raise CommandRefused(NoSuchModel(name, tuple(one.name for one in known[:MAX_NEAR])))

    async def _models(
        self, reader: ProjectReader, login: Login, search: str, within_s: float
    ) -> list[ModelChoice]:
        """The models whose name holds the text, of those that this reader may tell of."""
        found = await self._client.find_models(
            login, reader.project.project_id, search, MOST_LISTED, within_s=within_s
        )
        return [one for one in found if reader.shows_model(ModelRef(one.id, one.name))]

    # ── while somebody types ──────────────────────────────────────────────────────────────────

    async def complete_projects(self, caller: CommandCaller, typed: str) -> list[Choice]:
        """The channel's projects, and the caller's own."""
        return await self._reading.complete(caller, typed)

    async def complete_models(
        self, caller: CommandCaller, project: str | None, typed: str
    ) -> list[Choice]:
        """The project's models whose name holds the text."""
        meant = await self._reading.while_typing(caller, project)
        if meant is None:
            return []

        def ask(reader: ProjectReader) -> SpeckleCall[list[ModelChoice]]:
            return lambda login: self._models(reader, login, typed.strip(), TYPING_S)

        found = await _in_time(self._reading.first(caller, meant, ask))
        names = [] if found is None else [one_line(model.name) for model in found[1]]
        return [Choice(one, one) for one in names if len(one) <= MAX_CHOICE_LENGTH][:MAX_CHOICES]

    async def complete_versions(
        self, caller: CommandCaller, project: str | None, model: str | None, typed: str
    ) -> list[Choice]:
        """The newest versions of the model, or of all, whose line holds the text."""
        meant = await self._reading.while_typing(caller, project)
        if meant is None:
            return []
        key = (caller.guild_id, caller.channel_id, caller.actor.id, meant, model)

        def ask(reader: ProjectReader) -> SpeckleCall[VersionList]:
            return lambda login: self.newest(reader, login, model or None)

        found = await _in_time(
            self._offered.get(key, lambda: self._reading.first(caller, meant, ask))
        )
        if found is None:
            return []
        reader, listed = found
        each = numbered(listed) if model else [NumberedVersion(one) for one in listed.versions]
        lines = [(self.line(one, model is None), one.version) for one in each]
        wanted = as_seen(typed)
        return [
            Choice(line, version.id)
            for line, version in lines
            if reader.shows(version) and wanted in as_seen(f"{line} {version.id}")
        ][:MAX_CHOICES]

    def line(self, found: NumberedVersion, with_model: bool) -> str:
        """A version in one line of plain text, as it is offered."""
        version = found.version
        ago = duration_text((self._now() - version.at).total_seconds())
        by = version.author and version.author.name
        parts = (
            None if found.number is None else f"#{found.number}",
            one_line(version.model.name) if with_model and version.model.name else None,
            f"{ago} ago",
            one_line(by) if by else None,
            one_line(version.message, otherwise="") if version.message else None,
            application_name(version.application) if not version.message else None,
        )
        return shorten_plain(" · ".join(one for one in parts if one), MAX_CHOICE_LENGTH)

    # ── what buttons carry ────────────────────────────────────────────────────────────────────

    def meant(self, server: str, project_id: str) -> MeantProject | None:
        """The project behind a button; None where its server is none of the bot's any more."""
        urls = (url for url in self._reading.servers if server_key(url) == server)
        url = next(urls, None)
        return None if url is None else MeantProject(url, project_id)


def numbered(listed: VersionList) -> list[NumberedVersion]:
    """A model's newest versions with their numbers, where the server says how many there are."""
    total = listed.total
    return [
        NumberedVersion(one, None if total is None else total - index)
        for index, one in enumerate(listed.versions)
    ]


async def _in_time(asked: Awaitable[T]) -> T | None:
    """What is offered while somebody types: nothing where it does not come in time."""
    try:
        async with asyncio.timeout(TYPING_S):
            return await asked
    except (CommandRefused, SpeckleError, TimeoutError):
        return None
