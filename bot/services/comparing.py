"""What differs between two versions, for somebody who waits for it."""

import asyncio
from collections import defaultdict
from functools import partial
from typing import Final

from bot.errors import SpeckleError
from bot.fairness import current_tenant
from bot.services.project_reading import ProjectReader, ProjectReading
from bot.services.refusals import CommandRefused, RefusalReason
from bot.speckle.comparison import COMPARED_IN_S, Comparison, NotCompared, WhyNotCompared
from bot.speckle.listed import ListedVersion
from bot.speckle.wire import id_of
from bot.speckle_api.comparisons import Comparisons, VersionContent

MOST_AT_ONCE: Final = 2  # of a guild: cards, and other guilds, wait for their turn behind them

Outcome = Comparison | WhyNotCompared


class Comparing:
    """Compares as those may read who ask.

    What is under way goes on if nobody waits any longer, and ends where the comparisons are closed.
    """

    def __init__(self, reading: ProjectReading, comparisons: Comparisons) -> None:
        self._reading = reading
        self._comparisons = comparisons
        self._under_way = defaultdict[int, set[asyncio.Task[Outcome]]](set)

    async def of(
        self,
        wait_s: float,
        guild_id: int,
        reader: ProjectReader,
        before: ListedVersion,
        after: ListedVersion,
    ) -> Outcome:
        """What differs, or why nobody can say.

        Errors: CommandRefused where the guild has as many under way as it may, or it is not known
        in time; SpeckleError.
        """
        if (before.id, before.model) == (after.id, after.model):
            raise CommandRefused(RefusalReason.SAME_VERSION)
        return await self._of(wait_s, guild_id, reader, before, after)

    async def within(
        self,
        wait_s: float,
        guild_id: int,
        reader: ProjectReader,
        before: ListedVersion,
        after: ListedVersion,
    ) -> Outcome | None:
        """What differs, or why nobody can say; None while it is not known.

        That is also where the guild has as many under way as it may, or the server did not answer.
        """
        try:
            return await self._of(wait_s, guild_id, reader, before, after)
        except (CommandRefused, SpeckleError):
            return None

    async def _of(
        self,
        wait_s: float,
        guild_id: int,
        reader: ProjectReader,
        before: ListedVersion,
        after: ListedVersion,
    ) -> Outcome:
        first, second = _content(before), _content(after)
        if first is None or second is None:
            return WhyNotCompared.UNREADABLE
        project, tasks = reader.project, self._under_way[guild_id]
        is_kept = self._comparisons.is_kept(project.server_url, project.project_id, first, second)
        if len(tasks) >= MOST_AT_ONCE and not is_kept:
            raise CommandRefused(RefusalReason.COMPARING_ALREADY)
        compared = self._compared(guild_id, reader, first, second)
        task = asyncio.create_task(compared, name="comparing")
        tasks.add(task)
        task.add_done_callback(partial(_ended, tasks))
        done, _ = await asyncio.wait({task}, timeout=wait_s)
        if not done:
            raise CommandRefused(RefusalReason.COMPARED_LATER)
        return task.result()

    async def _compared(
        self, guild_id: int, reader: ProjectReader, before: VersionContent, after: VersionContent
    ) -> Outcome:
        current_tenant.set(guild_id)  # among those who compare at the same server
        project_id = reader.project.project_id
        try:
            return await self._reading.ask(
                reader,
                lambda login: self._comparisons.of(
                    login, project_id, before, after, within_s=COMPARED_IN_S
                ),
            )
        except NotCompared as error:
            return error.why


def _ended(tasks: set[asyncio.Task[Outcome]], task: asyncio.Task[Outcome]) -> None:
    """It is under way no more; its error is nobody's if nobody waited for it."""
    tasks.discard(task)
    if not task.cancelled():
        task.exception()


def _content(version: ListedVersion) -> VersionContent | None:
    """What a version consists of; None where its model is not known."""
    if version.model.id is None:
        return None
    object_id = id_of(version.object_id)
    return VersionContent(version.id, version.model.id, object_id, version.is_bundle)
