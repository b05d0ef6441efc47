"""Two versions that somebody wants compared: which ones, what differs, how they look."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bot.cards.card import Picture
from bot.errors import SpeckleError
from bot.services.comparing import Comparing, Outcome
from bot.services.project_reading import MeantProject, ProjectReader, ProjectReading
from bot.services.refusals import CommandRefused, NoSuchVersion, NoVersions
from bot.services.subscribe_results import CommandCaller
from bot.services.token_lending import SpeckleCall
from bot.services.version_lookup import NEWEST_WORDS, NumberedVersion, VersionLookup, numbered
from bot.speckle.comparison import WhyNotCompared
from bot.speckle.links import ID, looks_like_address
from bot.speckle.listed import ListedVersion
from bot.speckle.seen_text import as_seen
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.types import Login
from bot.speckle_api.version_pictures import VersionPictures

WAIT_S: Final = 45.0  # for its turn, and then COMPARED_IN_S
PICTURES_S: Final = 6.0
WITHIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class ComparedVersions:
    """Two versions, and what differs from `before` to `after`, or why nobody can say.

    `before` is None for a model's first version. `pictures` are of both, where both are real.
    """

    project: MeantProject
    before: ListedVersion | None
    after: ListedVersion
    outcome: Outcome
    pictures: tuple[Picture, Picture] | None = None


Pair = tuple[ListedVersion | None, ListedVersion]


class VersionComparison:
    """Compares for one person. Errors: CommandRefused; SpeckleError."""

    def __init__(
        self,
        reading: ProjectReading,
        lookup: VersionLookup,
        client: SpeckleClient,
        pictures: VersionPictures,
        comparing: Comparing,
    ) -> None:
        self._reading = reading
        self._lookup = lookup
        self._client = client
        self._pictures = pictures
        self._comparing = comparing

    async def typed(
        self,
        caller: CommandCaller,
        project: str | None,
        model: str | None,
        a: str | None,
        b: str | None,
    ) -> ComparedVersions:
        """The versions that were typed.

        Without `b` the newest, without `a` the one before, each of the other's model.
        """
        model, a, b = ((one and one.strip()) or None for one in (model, a, b))
        meant = await self._reading.project(caller, project, model, a, b)
        if b is None and meant.link is not None and meant.link.version_id is not None:
            b = b if a is not None and looks_like_address(a) else meant.link.version_id

        def ask(reader: ProjectReader) -> SpeckleCall[Pair]:
            return lambda login: self._pair(reader, login, model, a, b)

        reader, (before, after) = await self._reading.first(caller, meant, ask)
        return await self._compared(caller, reader, before, after, with_pictures=True)

    async def pair(
        self,
        caller: CommandCaller,
        project: MeantProject,
        before_id: str,
        after_id: str,
        *,
        with_pictures: bool,
    ) -> ComparedVersions:
        """The versions with these ids."""

        def ask(reader: ProjectReader) -> SpeckleCall[Pair]:
            async def both(login: Login) -> Pair:
                before, after = await asyncio.gather(
                    self._lookup.by_id(reader, login, before_id, named=False),
                    self._lookup.by_id(reader, login, after_id),
                )
                return before, after

            return both

        reader, (before, after) = await self._reading.first(caller, project, ask)
        return await self._compared(caller, reader, before, after, with_pictures=with_pictures)

    async def with_the_one_before(
        self, caller: CommandCaller, project: MeantProject, after_id: str
    ) -> ComparedVersions:
        """The version with this id, and the one before it in its model."""

        def ask(reader: ProjectReader) -> SpeckleCall[Pair]:
            return lambda login: self._pair(reader, login, None, None, after_id)

        reader, (before, after) = await self._reading.first(caller, project, ask)
        return await self._compared(caller, reader, before, after, with_pictures=True)

    # ── which versions ────────────────────────────────────────────────────────────────────────

    async def _pair(
        self, reader: ProjectReader, login: Login, model: str | None, a: str | None, b: str | None
    ) -> Pair:
        before = None if a is None else await self._meant(reader, login, model, a)
        if b is not None:
            after = await self._meant(reader, login, model or _model(before), b)
        else:
            after = await self._newest(reader, login, model or _model(before))
        if before is None:
            before = await self._client.versions.before(
                login, reader.project.project_id, after, within_s=WITHIN_S
            )
        return before, after

    async def _newest(
        self, reader: ProjectReader, login: Login, model: str | None
    ) -> ListedVersion:
        listed = await self._lookup.newest(reader, login, model)
        found = next((one for one in listed.versions if reader.shows(one)), None)
        if found is None:
            raise CommandRefused(NoVersions())
        return found

    async def _meant(
        self, reader: ProjectReader, login: Login, model: str | None, typed: str
    ) -> ListedVersion:
        """The version that was typed: its id, a link, "#12", or what its line holds."""
        text = typed.strip()
        link = self._reading.link_in(reader.project, text)
        if link is not None and link.version_id is not None:
            return await self._lookup.by_id(reader, login, link.version_id)
        if link is not None and len(link.models) == 1:
            return await self._newest(reader, login, text)
        if looks_like_address(text):
            raise CommandRefused(NoSuchVersion(text))
        if as_seen(text) in NEWEST_WORDS:
            return await self._newest(reader, login, model)
        if ID.fullmatch(text):
            try:
                return await self._lookup.by_id(reader, login, text)
            except CommandRefused:
                pass  # words of ten letters may be a message
        listed = await self._lookup.newest(reader, login, model)
        each = numbered(listed) if model else [NumberedVersion(one) for one in listed.versions]
        return self._called(text, [one for one in each if reader.shows(one.version)], model)

    def _called(
        self, text: str, shown: Sequence[NumberedVersion], model: str | None
    ) -> ListedVersion:
        """The version with this number, else the only one whose line holds the text."""
        number = text.removeprefix("#")
        if number.isdecimal():
            found = [one for one in shown if str(one.number) == number]
            if found:
                return found[0].version
        wanted = as_seen(text)
        found = [one for one in shown if wanted in as_seen(self._lookup.line(one, model is None))]
        exact = [one for one in found if as_seen(one.version.message or "") == wanted]
        if len(exact or found) != 1:
            raise CommandRefused(NoSuchVersion(text, several=len(found) > 1))
        return (exact or found)[0].version

    # ── what differs ──────────────────────────────────────────────────────────────────────────

    async def _compared(
        self,
        caller: CommandCaller,
        reader: ProjectReader,
        before: ListedVersion | None,
        after: ListedVersion,
        *,
        with_pictures: bool,
    ) -> ComparedVersions:
        if before is None:
            return ComparedVersions(reader.project, None, after, WhyNotCompared.FIRST)
        outcome, pictures = await asyncio.gather(
            self._comparing.of(WAIT_S, caller.guild_id, reader, before, after),
            self._both(reader, before, after, with_pictures=with_pictures),
        )
        return ComparedVersions(reader.project, before, after, outcome, pictures)

    async def _both(
        self,
        reader: ProjectReader,
        before: ListedVersion,
        after: ListedVersion,
        *,
        with_pictures: bool,
    ) -> tuple[Picture, Picture] | None:
        """Both pictures, where both are real ones and come in time."""
        if not with_pictures:
            return None
        project_id = reader.project.project_id

        async def ask(login: Login) -> Sequence[object]:
            asked = (
                self._pictures.of(login, project_id, one.id, PICTURES_S) for one in (before, after)
            )
            return await asyncio.gather(*asked)

        try:
            async with asyncio.timeout(2 * PICTURES_S):
                first, second = await self._reading.ask(reader, ask)
        except (SpeckleError, TimeoutError):
            return None
        if isinstance(first, Picture) and isinstance(second, Picture):
            return first, second
        return None


def _model(version: ListedVersion | None) -> str | None:
    return None if version is None else version.model.id
