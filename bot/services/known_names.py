"""What models and people are called, as those who may read a project know it."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from cachetools import TTLCache

from bot.errors import SpeckleError
from bot.services.access_rules import ReadPermit
from bot.services.token_lending import TokenLender
from bot.single_flight import SingleFlightCache
from bot.speckle.events import ProjectNames
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.types import Login
from bot.storage import Storage

Reader = tuple[int | None, bool, str, str]  # account, as operator, server, project
NamesRead = tuple[ProjectNames, datetime]  # and when they were asked for


@dataclass(frozen=True, slots=True)
class NameLimits:
    """How often names are asked for, for each reader and project, and how long they last."""

    ask_again_s: float = 60.0  # where an id is unknown: made-up ids cost no more
    public_known_s: float = 3_600.0
    stale_after: timedelta = timedelta(days=1)
    refresh_s: float = 3.0  # somebody waits for the answer to /subscribe
    question_s: float = 10.0  # an answer that nobody waits for any more is kept for the next event
    most: int = 500


class KnownNames:
    """Names by id for one reader at a time: an account's are given only where it may be read with.

    What an account read is kept in the database, with it and never beside what events said;
    what is read without an account, in memory.
    """

    def __init__(
        self,
        storage: Storage,
        client: SpeckleClient,
        lender: TokenLender,
        *,
        now: Callable[[], datetime],
        limits: NameLimits = NameLimits(),
    ) -> None:
        self._storage = storage
        self._client = client
        self._lender = lender
        self._now = now
        self._limits = limits
        self._flights = SingleFlightCache[NamesRead](
            max_values=limits.most, ttl_s=limits.ask_again_s
        )
        self._unanswered = TTLCache[Reader, bool](limits.most, limits.ask_again_s)
        self._public = TTLCache[Reader, NamesRead](limits.most, limits.public_known_s)

    def close(self) -> None:
        """Drop what is still being asked."""
        self._flights.close()

    async def of(
        self,
        permit: ReadPermit,
        *,
        models: Collection[str],
        people: Collection[str],
        said: ProjectNames,
        within_s: float,
    ) -> ProjectNames:
        """The names that the permit's reader knows.

        They are asked for where one of these ids is unknown, or an event said another name,
        and once a day. The rest stays as it was where there is no answer in time.
        """
        reader = (*permit.reader, permit.server_url, permit.project_id)
        names, read_at = await self._kept(permit, reader)
        if self._serves(names, read_at, models, people, said):
            return names
        now = self._now()
        if reader not in self._unanswered:
            try:
                async with asyncio.timeout(within_s):
                    ask = partial(self._asked, permit, reader)
                    names, read_at = await self._lender.with_permit(permit, ask)
            except (SpeckleError, TimeoutError):
                self._unanswered[reader] = True
        # An unknown model may have been made since they were read.
        return names if read_at is not None and read_at >= now else replace(names, complete=False)

    async def refresh(self, account_id: int, server_url: str, project_id: str) -> None:
        """Read a project's names with an account that has begun to follow it."""
        reader = (account_id, False, server_url, project_id)
        try:
            async with asyncio.timeout(self._limits.refresh_s):
                await self._lender.as_account(
                    account_id, lambda login: self._flight(login, account_id, reader)
                )
        except (SpeckleError, TimeoutError):
            return  # they are asked for again when an event needs them

    async def _kept(
        self, permit: ReadPermit, reader: Reader
    ) -> tuple[ProjectNames, datetime | None]:
        account_id = permit.account_id
        if account_id is None:
            return self._public.get(reader) or (ProjectNames(), None)
        kept = await self._storage.read(
            lambda tx: tx.project_names.get(account_id, permit.project_id)
        )
        return kept or (ProjectNames(), None)

    def _serves(
        self,
        names: ProjectNames,
        read_at: datetime | None,
        models: Collection[str],
        people: Collection[str],
        said: ProjectNames,
    ) -> bool:
        if read_at is None or self._now() - read_at > self._limits.stale_after:
            return False
        of_models = (said.models.get(one, names.models.get(one)) for one in models)
        known = all(
            name is not None and name == names.models.get(one)
            for one, name in zip(models, of_models, strict=True)
        )
        return known and all(one in names.people for one in people)

    async def _asked(self, permit: ReadPermit, reader: Reader, login: Login) -> NamesRead:
        return await self._flight(login, permit.account_id, reader)

    async def _flight(self, login: Login, account_id: int | None, reader: Reader) -> NamesRead:
        """What the server says to this login, or said within the last minute."""
        return await self._flights.get(
            (login, reader), lambda: self._read(login, account_id, reader)
        )

    async def _read(self, login: Login, account_id: int | None, reader: Reader) -> NamesRead:
        asked_at, project_id = self._now(), reader[-1]
        names = await self._client.project_names(
            login, project_id, within_s=self._limits.question_s
        )
        if account_id is None:
            self._public[reader] = names, asked_at
        else:
            await self._storage.write(
                lambda tx: tx.project_names.put(account_id, project_id, names, asked_at)
            )
        return names, asked_at
