"""Guilds: where the bot is, where it was, and the erasure of what those left behind."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import case, delete, select, update

from bot.audit import AuditAction, filter_facts
from bot.db.audit_log import record
from bot.db.session import Session
from bot.db.tables import IS_OPEN, batches, channel_queues, guilds, hooks, subscriptions
from bot.db.webhook_removals import write_removals
from bot.model import Guild, HookState
from bot.speckle.subscription_options import SubscriptionOptions


class Guilds:
    """Reads and writes guilds; `forget_hooks` is called when hooks changed with them."""

    def __init__(self, session: Session, forget_hooks: Callable[[], None]) -> None:
        self._session = session
        self._now = session.now
        self._forget_hooks = forget_hooks

    def join(self, guild_id: int) -> None:
        """Note that the bot is in a guild; hooks that were closed when it left open again."""
        reopened = case((hooks.c.live_at.is_not(None), HookState.LIVE), else_=HookState.WAITING)
        closed = (hooks.c.guild_id == guild_id, hooks.c.state == HookState.CLOSED)
        known = self.get(guild_id)
        add_guild(self._session, guild_id, self._now())
        if known is None or known.left_at is not None:
            record(self._session, AuditAction.GUILD_JOINED, guild_id)
        self._session.execute(
            update(guilds).where(guilds.c.guild_id == guild_id).values(left_at=None)
        )
        # Catch-up goes back a day from here: nobody asked for the weeks that the bot was away.
        again = {"state": reopened, "caught_up_at": self._now()}
        reopening = select(hooks.c.id).where(*closed)
        followers = update(subscriptions).where(subscriptions.c.hook_id.in_(reopening))
        self._session.execute(followers.values(caught_up_at=self._now()))
        self._session.execute(update(hooks).where(*closed).values(again))
        self._session.at_end(self._forget_hooks)

    def leave(self, guild_id: int) -> None:
        """Note that the bot is no longer in a guild, and close its hooks."""
        left = (guilds.c.guild_id == guild_id, guilds.c.left_at.is_(None))
        gone = self._session.execute(update(guilds).where(*left).values(left_at=self._now()))
        if gone.rowcount:
            record(self._session, AuditAction.GUILD_LEFT, guild_id)
        self._session.execute(
            update(hooks).where(hooks.c.guild_id == guild_id).values(state=HookState.CLOSED)
        )
        self._session.at_end(self._forget_hooks)

    def get(self, guild_id: int) -> Guild | None:
        """The guild with this id."""
        rows = self._session.execute(select(guilds).where(guilds.c.guild_id == guild_id))
        return next((Guild(*row) for row in rows), None)

    def set_notice_channel(self, guild_id: int, channel_id: int | None) -> None:
        """Choose where a guild's members read what the bot paused; None for direct messages."""
        known = self.get(guild_id)
        if (None if known is None else known.notice_channel_id) == channel_id:
            return
        self._set(guild_id, notice_channel_id=channel_id)
        record(self._session, AuditAction.NOTICE_CHANNEL_CHANGED, guild_id, channel_id=channel_id)

    def set_default_options(self, guild_id: int, options: SubscriptionOptions | None) -> None:
        """Choose what a new subscription of a guild starts with; None for the bot's defaults."""
        known = self.get(guild_id)
        before = None if known is None else known.default_options
        self._set(guild_id, default_options=options)
        filters = filter_facts(options or SubscriptionOptions(), before)
        if filters:
            record(self._session, AuditAction.DEFAULTS_CHANGED, guild_id, filters=filters)

    def _set(self, guild_id: int, **values: object) -> None:
        add_guild(self._session, guild_id, self._now())
        this = guilds.c.guild_id == guild_id
        self._session.execute(update(guilds).where(this).values(values))

    def all(self) -> list[Guild]:
        """Every guild that the bot is in or was in, by id."""
        rows = self._session.execute(select(guilds).order_by(guilds.c.guild_id))
        return [Guild(*row) for row in rows]

    def erase_left_before(self, moment: datetime) -> int:
        """Erase all that is kept of guilds which the bot left before `moment`; how many they were.

        What only their cards used, such as pictures, goes in retention's next steps.
        """
        left = self._session.scalars(select(guilds.c.guild_id).where(guilds.c.left_at < moment))
        gone = list(left)
        if gone:
            write_removals(self._session, hooks.c.guild_id.in_(gone), self._now())
            self._session.execute(delete(guilds).where(guilds.c.guild_id.in_(gone)))
            theirs = channel_queues.c.guild_id.in_(gone)
            channels = select(channel_queues.c.channel_id).where(theirs)
            self._session.execute(
                delete(batches).where(batches.c.channel_id.in_(channels), IS_OPEN)
            )
            self._session.execute(delete(channel_queues).where(theirs))
        self._session.at_end(self._forget_hooks)
        return len(gone)


def add_guild(session: Session, guild_id: int, now: datetime) -> None:
    """Add a guild's row if there is none."""
    statement = session.insert(guilds).values(guild_id=guild_id, joined_at=now, left_at=None)
    session.execute(statement.on_conflict_do_nothing(index_elements=[guilds.c.guild_id]))
