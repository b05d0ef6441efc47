"""What models and people are called, as those who may read a project know it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from bot.services.access_rules import ReadPermit
from bot.services.token_lending import TokenLender
from bot.speckle.events import ProjectNames
from bot.speckle_api.client import SpeckleClient
from bot.storage import Storage


@dataclass(frozen=True, slots=True)
class NameLimits:
    """How often names are asked for, and how long those last that everybody may read."""

    ask_again_s: float = 60.0  # where an id is unknown, for each reader and project
    public_known_s: float = 86_400.0


class KnownNames:
    """Names by id for one reader at a time: an account's are given only where it may be read with.

    What an account read is kept in the database; what everybody may read, in memory.
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

    async def of(
        self,
        permit: ReadPermit,
        *,
        models: Collection[str],
        people: Collection[str],
        within_s: float,
    ) -> ProjectNames:
        """The names that the permit's reader knows, asked for where one of these ids is unknown."""
        return ProjectNames()

    async def refresh(
        self, account_id: int, server_url: str, project_id: str, *, within_s: float = 3.0
    ) -> None:
        """Read a project's names with an account that has begun to follow it."""
