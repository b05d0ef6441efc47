"""Guilds: where the bot is, where it was, and the erasure of what those left behind."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import case, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import Database
from bot.db.removals import write_removals
from bot.db.rows import Guild, HookState
from bot.db.tables import (
    IS_OPEN,
    batches,
    channel_queues,
    guilds,
    hooks,
    subscriptions,
)


class Guilds:
    """Reads and writes guilds; `forget_hooks` is called when hooks changed with them."""

    def __init__(
        self,
        database: Database,
        now: Callable[[], datetime],
        forget_hooks: Callable[[], None],
    ) -> None:
        self._database = database
        self._now = now
        self._forget_hooks = forget_hooks

    async def join(self, guild_id: int) -> None:
        """Note that the bot is in a guild; hooks that were closed when it left open again."""
        reopened = case((hooks.c.live_at.is_not(None), HookState.LIVE), else_=HookState.WAITING)
        closed = (hooks.c.guild_id == guild_id, hooks.c.state == HookState.CLOSED)
        async with self._database.writing() as connection:
            await add_guild(self._database, connection, guild_id, self._now())
            await connection.execute(
                update(guilds).where(guilds.c.guild_id == guild_id).values(left_at=None)
            )
            # Catch-up goes back a day from here: nobody asked for the weeks that the bot was away.
            again = {"state": reopened, "caught_up_at": self._now()}
            reopening = select(hooks.c.id).where(*closed)
            followers = update(subscriptions).where(subscriptions.c.hook_id.in_(reopening))
            await connection.execute(followers.values(caught_up_at=self._now()))
            await connection.execute(update(hooks).where(*closed).values(again))
        self._forget_hooks()

    async def leave(self, guild_id: int) -> None:
        """Note that the bot is no longer in a guild, and close its hooks."""
        left = (guilds.c.guild_id == guild_id, guilds.c.left_at.is_(None))
        async with self._database.writing() as connection:
            await connection.execute(update(guilds).where(*left).values(left_at=self._now()))
            await connection.execute(
                update(hooks).where(hooks.c.guild_id == guild_id).values(state=HookState.CLOSED)
            )
        self._forget_hooks()

    async def get(self, guild_id: int) -> Guild | None:
        """The guild with this id."""
        async with self._database.reading() as connection:
            rows = await connection.execute(select(guilds).where(guilds.c.guild_id == guild_id))
        return next((Guild(*row) for row in rows), None)

    async def set_notice_channel(self, guild_id: int, channel_id: int | None) -> None:
        """Choose where the bot tells a guild's members what it paused; None for direct messages."""
        async with self._database.writing() as connection:
            await add_guild(self._database, connection, guild_id, self._now())
            await connection.execute(
                update(guilds)
                .where(guilds.c.guild_id == guild_id)
                .values(notice_channel_id=channel_id)
            )

    async def all(self) -> list[Guild]:
        """Every guild that the bot is in or was in, by id."""
        async with self._database.reading() as connection:
            rows = await connection.execute(select(guilds).order_by(guilds.c.guild_id))
        return [Guild(*row) for row in rows]

    async def erase_left_before(self, moment: datetime) -> int:
        """Erase all that is kept of guilds which the bot left before `moment`; how many they were.

        What only their cards used, such as pictures, goes in retention's next steps.
        """
        async with self._database.writing() as connection:
            left = await connection.scalars(
                select(guilds.c.guild_id).where(guilds.c.left_at < moment)
            )
            gone = list(left)
            if gone:
                await write_removals(connection, hooks.c.guild_id.in_(gone), self._now())
                await connection.execute(delete(guilds).where(guilds.c.guild_id.in_(gone)))
                theirs = channel_queues.c.guild_id.in_(gone)
                channels = select(channel_queues.c.channel_id).where(theirs)
                await connection.execute(
                    delete(batches).where(batches.c.channel_id.in_(channels), IS_OPEN)
                )
                await connection.execute(delete(channel_queues).where(theirs))
        self._forget_hooks()
        return len(gone)


async def add_guild(
    database: Database, connection: AsyncConnection, guild_id: int, now: datetime
) -> None:
    """Add a guild's row if there is none."""
    statement = database.insert(guilds).values(guild_id=guild_id, joined_at=now, left_at=None)
    await connection.execute(statement.on_conflict_do_nothing(index_elements=[guilds.c.guild_id]))
