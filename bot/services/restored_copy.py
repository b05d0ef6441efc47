"""What is done about a database that was restored from a copy."""

import structlog

from bot.storage import Storage
from bot.timing import periodic

log = structlog.get_logger()

EVERY_S = 60.0


class RestoredCopyCheck:
    """Has people confirm their accounts, which they may have unlinked since the copy was made."""

    def __init__(self, storage: Storage, every_s: float = EVERY_S) -> None:
        self._storage = storage
        self._every_s = every_s

    async def check_at_start(self) -> None:
        """Look before anything is read with an account, and take the database for ours from now.

        A kill in between has the next start find it again. Errors: StorageUnavailable.
        """
        await self._distrust_a_copy()
        await self._storage.restored_copy.accept()

    async def _distrust_a_copy(self) -> None:
        if not await self._storage.restored_copy.is_restored():
            return
        waiting = await self._storage.write(lambda tx: tx.accounts.unconfirm_all())
        await self._storage.restored_copy.accept()
        log.critical(
            "storage.restored",
            accounts=waiting,
            hint="The database is a restored or older copy: what people withdrew since it was "
            "made, such as an account that they unlinked, is there again. So no linked account is "
            "used until its person confirms it with /account or /link.",
        )

    async def run(self) -> None:
        """Look again and again: PostgreSQL takes a dump while the bot runs. It never ends."""
        await periodic("restored_copy", self._distrust_a_copy, every_s=self._every_s)
