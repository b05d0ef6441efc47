"""What is sealed in the database: whether a key opens it, and sealing it under the first one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from functools import partial
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, select, update

from bot.database_content import RotationReport
from bot.db.engine import Database
from bot.db.key_values import KeyValues
from bot.db.session import Session
from bot.db.tables import accounts, hooks, link_requests, pending_commands
from bot.errors import SealError
from bot.vault import Vault

STEP_ROWS = 100  # sealed again in one transaction: some milliseconds, which no webhook notices
FIRST_KEY = "keys.first"  # of the bot that was started last
PASSES = 3  # over what a running bot sealed meanwhile


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """One column of sealed values, and what people call them."""

    name: str
    key: Column[Any]
    sealed: Column[Any]
    until: Column[Any] | None = None  # from then on it is never opened again

    def wanted(self, now: datetime) -> ColumnElement[bool]:
        """The rows that hold one that is still of use."""
        condition = self.sealed.is_not(None)
        return condition if self.until is None else condition & (self.until > now)


SHORT_LIVED = (
    SealedColumn("request to link", link_requests.c.nonce_digest, link_requests.c.sealed),
    SealedColumn("pending command", pending_commands.c.token_digest, pending_commands.c.sealed),
)
SEALED_COLUMNS = (
    SealedColumn("webhook secret", hooks.c.id, hooks.c.secret_sealed),
    SealedColumn(
        "former webhook secret",
        hooks.c.id,
        hooks.c.previous_secret_sealed,
        hooks.c.previous_secret_until,
    ),
    SealedColumn("webhook id", hooks.c.id, hooks.c.webhook_sealed),
    SealedColumn("linked account", accounts.c.id, accounts.c.tokens_sealed),
    *SHORT_LIVED,
)


class _Reseal(Enum):
    ALREADY = auto()
    SHUT = auto()


class SealedValues:
    """Looks after all that is sealed; contexts stay as they are."""

    def __init__(self, database: Database, vault: Vault, now: Callable[[], datetime]) -> None:
        self._database = database
        self._vault = vault
        self._now = now

    async def record_first_key(self) -> None:
        """Note which key a bot that starts now seals with."""
        key_id = self._vault.first_key_id
        await self._database.write(lambda session: KeyValues(session).set(FIRST_KEY, key_id))

    async def is_first_key(self) -> bool:
        """Whether the bot that was started last seals with the same key."""
        found = await self._database.read(lambda session: KeyValues(session).get(FIRST_KEY))
        return found == self._vault.first_key_id

    async def unopenable(self) -> Mapping[str, int]:
        """How many values no key opens, by kind; kinds without any are left out.

        Those that run out within minutes do not count: nothing depends on them.
        """
        shut: dict[str, int] = {}
        for kind in SEALED_COLUMNS:
            if kind in SHORT_LIVED:
                continue
            async for rows in self._steps(kind):
                tries = await asyncio.to_thread(self._resealed, rows)
                count = sum(new is _Reseal.SHUT for new in tries)
                if count:
                    shut[kind.name] = shut.get(kind.name, 0) + count
        return shut

    async def rotate(self) -> Sequence[RotationReport]:
        """Seal everything under the first key, in small steps, while bots run.

        A value that was changed meanwhile is left as it is now, and looked at again.
        """
        return [await self._rotate(kind) for kind in SEALED_COLUMNS]

    async def _rotate(self, kind: SealedColumn) -> RotationReport:
        resealed = 0
        for _ in range(PASSES):
            seen = await self._pass(kind)
            resealed += seen.resealed
            if not seen.resealed and not seen.left:
                break
        return RotationReport(kind.name, resealed, seen.already, seen.unopenable, seen.left)

    async def _pass(self, kind: SealedColumn) -> RotationReport:
        resealed = already = shut = left = 0
        async for rows in self._steps(kind):
            tries = await asyncio.to_thread(self._resealed, rows)
            already += sum(new is _Reseal.ALREADY for new in tries)
            shut += sum(new is _Reseal.SHUT for new in tries)
            pairs = zip(rows, tries, strict=True)
            changes = [(*row, new) for row, new in pairs if isinstance(new, str)]
            done = await self._write(kind, changes)
            resealed += done
            left += len(changes) - done
        return RotationReport(kind.name, resealed, already, shut, left)

    def _resealed(self, rows: Sequence[tuple[Any, str]]) -> list[str | _Reseal]:
        return [self._one(sealed) for _, sealed in rows]

    def _one(self, sealed: str) -> str | _Reseal:
        try:
            return self._vault.reseal(sealed) or _Reseal.ALREADY
        except SealError:
            return _Reseal.SHUT

    async def _write(self, kind: SealedColumn, changes: Sequence[tuple[Any, str, str]]) -> int:
        """Replace the old values with the new ones; how many were still there."""
        if not changes:
            return 0

        def write(session: Session) -> int:
            done = 0
            for key, old, new in changes:
                there = (kind.key == key, kind.sealed == old)
                change = update(kind.sealed.table).where(*there).values({kind.sealed: new})
                done += session.execute(change).rowcount
            return done

        return await self._database.write(write)

    async def _steps(self, kind: SealedColumn) -> AsyncIterator[list[tuple[Any, str]]]:
        """All rows with a value of this kind, some at a time: (key, sealed)."""
        statement = (
            select(kind.key, kind.sealed)
            .where(kind.wanted(self._now()))
            .order_by(kind.key)
            .limit(STEP_ROWS)
        )
        page = statement
        while True:
            rows = await self._database.read(partial(_rows, page=page))
            if not rows:
                return
            yield rows
            page = statement.where(kind.key > rows[-1][0])


def _rows(session: Session, page: Select[Any]) -> list[tuple[Any, str]]:
    return [(row[0], row[1]) for row in session.execute(page)]
