"""Webhooks that are yet to be removed at Speckle: their hooks are gone, their accounts are not."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import Database
from bot.db.rows import Removal
from bot.db.tables import hooks, removals


class Removals:
    """Gives out what is to be removed until that is done or given up."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def get(self, removal_id: int) -> Removal | None:
        """The removal with this id."""
        return next(iter(await self._where(removals.c.id == removal_id)), None)

    async def due(self) -> list[Removal]:
        """What is to be tried now, the longest due first."""
        return await self._where(removals.c.next_try_at <= self._now())

    async def of_account(self, account_id: int) -> list[Removal]:
        """What is left for an account to remove, due or not."""
        return await self._where(removals.c.account_id == account_id)

    async def done(self, removal_id: int) -> None:
        """It is removed, or nobody can remove it: forget it."""
        async with self._database.writing() as connection:
            await connection.execute(delete(removals).where(removals.c.id == removal_id))

    async def postpone(self, removal_id: int, until: datetime) -> None:
        """A try failed; it is due again at `until`."""
        values = {"attempts": removals.c.attempts + 1, "next_try_at": until}
        async with self._database.writing() as connection:
            await connection.execute(
                update(removals).where(removals.c.id == removal_id).values(values)
            )

    async def _where(self, condition: ColumnElement[bool]) -> list[Removal]:
        statement = select(removals).where(condition)
        statement = statement.order_by(removals.c.next_try_at, removals.c.id)
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return [Removal(**row) for row in rows]


async def write_removals(
    connection: AsyncConnection, condition: ColumnElement[bool], now: datetime
) -> list[int]:
    """Note, before these hooks are erased, which of their webhooks the bot made; gives the ids."""
    made = select(hooks.c.account_id, hooks.c.server_url, hooks.c.project_id, hooks.c.key).where(
        condition, hooks.c.webhook_sealed.is_not(None), hooks.c.account_id.is_not(None)
    )
    ids: list[int] = []
    for row in (await connection.execute(made)).mappings().all():
        values: dict[str, Any] = {**row, "attempts": 0, "next_try_at": now}
        added = await connection.execute(insert(removals).values(values).returning(removals.c.id))
        ids.append(added.scalar_one())
    return ids
