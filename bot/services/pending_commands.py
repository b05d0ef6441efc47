"""Commands that wait until their caller has decided something, or has linked an account."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from bot.pending import LINK_VALID, NOTIFY_WITHIN, PendingSubscribe
from bot.services.refusals import CommandRefused, RefusalReason
from bot.storage import Storage

TOKEN_BYTES = 16
VALID_FOR = timedelta(minutes=15)


class PendingCommandService:
    """Keeps commands, and hands each to one at a time.

    One process answers Discord, so it is in memory that a command is being done; that it is done
    is in the database. Errors: CommandRefused.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._claimed: set[str] = set()  # tokens

    async def add(self, command: PendingSubscribe) -> str:
        """Keep a command for 15 minutes; gives its token."""
        return await self._add(command, VALID_FOR)

    async def add_until_linked(self, command: PendingSubscribe) -> str:
        """Keep a command as long as a request to link an account can be finished."""
        return await self._add(command, LINK_VALID + NOTIFY_WITHIN)

    async def _add(self, command: PendingSubscribe, valid_for: timedelta) -> str:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        await self._storage.write(lambda tx: tx.pending_commands.add(token, command, valid_for))
        return token

    @asynccontextmanager
    async def claim(self, user_id: int, token: str) -> AsyncIterator[PendingSubscribe]:
        """The command that this person left; while the block runs, nobody else gets it.

        It is done once the block has ended well: what fails can be tried again.
        Errors: CommandRefused for one that is over, in progress already, or another person's.
        """
        if token in self._claimed:
            raise CommandRefused(RefusalReason.COMMAND_CLAIMED)
        self._claimed.add(token)
        try:
            yield await self._get(user_id, token)
            await self._storage.write(lambda tx: tx.pending_commands.mark_used(token))
        finally:
            self._claimed.discard(token)

    async def release(self, token: str) -> None:
        """Let a command be claimed once more: its caller was not shown what came of it."""
        await self._storage.write(lambda tx: tx.pending_commands.mark_unused(token))

    async def look(self, user_id: int, token: str) -> PendingSubscribe:
        """The same without claiming it: it can be looked at again."""
        return await self._get(user_id, token)

    async def _get(self, user_id: int, token: str) -> PendingSubscribe:
        command = await self._storage.read(lambda tx: tx.pending_commands.get(token))
        if command is None:
            raise CommandRefused(RefusalReason.COMMAND_OVER)
        if command.user_id != user_id:
            raise CommandRefused(RefusalReason.COMMAND_OF_ANOTHER)
        return command
