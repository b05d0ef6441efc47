"""Which hook an address leads to: each delivery asks, so the answer is kept for a moment."""

import time
from collections.abc import Callable, Sequence

from cachetools import TTLCache

from bot.db.engine import Database
from bot.db.group_commit import GroupCommit
from bot.db.hooks import Hooks
from bot.db.session import Session
from bot.model import Hook
from bot.vault import Vault

LONGEST_KEY = 64  # our keys have 43 characters; longer ones need no look-up
# A look-up costs more than all else that a delivery needs. So a hook that was found is taken as
# found for this long: what another process changes shows so much later, what this one does at once.
KNOWN_S = 1.0
MOST_KNOWN = 10_000
LOOK_UP_WITHIN_S = 3.0  # with the write after it, less than the 10 s that Speckle waits


class HookLookup:
    """Finds hooks by their keys; those who ask at the same time share a query."""

    def __init__(
        self, database: Database, vault: Vault, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._known = self._nothing_known()
        self._asked = GroupCommit[str, Hook | None](
            "hook look-ups", self._look_up, within_s=LOOK_UP_WITHIN_S
        )

    async def by_key(self, key: str) -> Hook | None:
        """The hook whose address ends in `key`.

        Errors: StorageUnavailable, within LOOK_UP_WITHIN_S.
        """
        hook = self._known.get(key)
        if hook is not None:
            return hook
        if len(key) > LONGEST_KEY:
            return None
        known = self._known
        hook = await self._asked.submit(key)
        if hook is not None:
            known[key] = hook
        return hook

    def forget(self) -> None:
        """Look every hook up again: something about hooks was changed.

        A new cache, as look-ups under way, which may have read the old state, end in theirs.
        """
        self._known = self._nothing_known()

    def _nothing_known(self) -> TTLCache[str, Hook]:
        return TTLCache(MOST_KNOWN, KNOWN_S, self._clock)

    async def close(self) -> None:
        """Wait for the look-ups under way."""
        await self._asked.close()

    async def _look_up(self, keys: Sequence[str]) -> Sequence[Hook | None]:
        def read(session: Session) -> Sequence[Hook | None]:
            found = Hooks(session, self._vault, self.forget).by_keys(set(keys))
            return [found.get(key) for key in keys]

        return await self._database.read(read, urgent=True)
