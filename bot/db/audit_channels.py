"""Where guilds have their changes posted, and which of them are: each once, in their order."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, update

from bot.audit import AuditAction, AuditBatch, AuditChannel, AuditEntry
from bot.db.audit_log import entry_of, record
from bot.db.guilds import add_guild
from bot.db.rows import value_of
from bot.db.session import Session
from bot.db.tables import LEAVES_A_CHANNEL, NOT_POSTED, audit_channels, audit_log, guilds
from bot.work import new_nonce

ENTRIES_A_MESSAGE = 12  # they share an embed's 4,096 characters
# On PostgreSQL a transaction that ends late has rows with lower ids than those that are posted: so
# many are looked through again each time, and not a year's.
LATE_ROWS = 1_000


class AuditChannels:
    """Reads and writes audit channels.

    The rows of a message and its nonce are written before it is sent, so that after a kill the same
    rows go out again in the same message, which Discord shows once.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._now = session.now

    def get(self, guild_id: int) -> AuditChannel | None:
        """The audit channel of a guild."""
        return next(iter(self._where(audit_channels.c.guild_id == guild_id)), None)

    def choose(self, guild_id: int, channel_id: int | None, by: int) -> None:
        """Post a guild's changes there, from this one on; None for nowhere.

        Chosen again after a pause, it continues where it stopped, and so does another channel. The
        one before is told.
        """
        add_guild(self._session, guild_id, self._now())
        there = self.get(guild_id)
        before = None if there is None else there.channel_id
        if channel_id is None:
            this = audit_channels.c.guild_id == guild_id
            self._session.execute(delete(audit_channels).where(this))
        elif before == channel_id:
            self._set(guild_id, set_by=by, paused_at=None, notified_at=None)
            return
        elif there is not None:
            self._release(there.nonce)
            values = {"nonce": None, "nonce_at": None, "paused_at": None, "notified_at": None}
            self._set(guild_id, channel_id=channel_id, set_by=by, **values)
        else:
            self._begin(guild_id, channel_id, by)
        if before != channel_id:
            self._tell_no_more(guild_id, channel_id)
            record(
                self._session,
                AuditAction.AUDIT_CHANNEL_CHANGED,
                guild_id,
                channel_id=channel_id,
                left_channel_id=before,
            )

    def left(self) -> Sequence[AuditEntry]:
        """What ended posting in a channel that does not know it yet."""
        here = guilds.c.left_at.is_(None)
        of_guild = guilds.c.guild_id == audit_log.c.guild_id
        rows = select(audit_log).join(guilds, of_guild).where(LEAVES_A_CHANNEL, here)
        found = self._session.execute(rows.order_by(audit_log.c.id)).mappings()
        return [entry_of(row) for row in found]

    def mark_told(self, entry: AuditEntry) -> None:
        """The channel that was left knows, or Discord will never take it there."""
        this = update(audit_log).where(audit_log.c.id == entry.id)
        self._session.execute(this.values(left_channel_id=None))

    def _tell_no_more(self, guild_id: int, channel_id: int | None) -> None:
        """Nothing ended in a channel that is chosen again."""
        these = (audit_log.c.guild_id == guild_id, audit_log.c.left_channel_id == channel_id)
        self._session.execute(update(audit_log).where(*these).values(left_channel_id=None))

    def _release(self, nonce: str | None) -> None:
        """Let the rows of a message that did not go out wait again."""
        if nonce is not None:
            these = update(audit_log).where(audit_log.c.nonce == nonce)
            self._session.execute(these.values(nonce=None, number=None))

    def _begin(self, guild_id: int, channel_id: int, by: int) -> None:
        of_guild = audit_log.c.guild_id == guild_id
        last = self._session.scalar(select(func.max(audit_log.c.id)).where(of_guild)) or 0
        values = {"channel_id": channel_id, "set_by": by, "after_id": last, "nonce": None}
        values |= {"nonce_at": None, "paused_at": None, "notified_at": None}
        new = self._session.insert(audit_channels).values(guild_id=guild_id, **values)
        key = [audit_channels.c.guild_id]
        self._session.execute(new.on_conflict_do_update(index_elements=key, set_=values))

    def due(self) -> Sequence[int]:
        """The guilds that have something to be posted now."""
        more = exists().where(
            audit_log.c.guild_id == audit_channels.c.guild_id,
            audit_log.c.id > audit_channels.c.after_id,
            NOT_POSTED,
        )
        statement = (
            select(audit_channels.c.guild_id)
            .join(guilds, guilds.c.guild_id == audit_channels.c.guild_id)
            .where(
                guilds.c.left_at.is_(None),
                audit_channels.c.paused_at.is_(None),
                or_(audit_channels.c.nonce.is_not(None), more),
            )
            .order_by(audit_channels.c.guild_id)
        )
        return list(self._session.scalars(statement))

    def open_batch(self, guild_id: int) -> AuditBatch | None:
        """The rows of the next message: those of one that may be out already, else the oldest."""
        channel = self.get(guild_id)
        if channel is None or channel.paused_at is not None:
            return None
        if channel.nonce is None:
            channel = self._take(channel)
        if channel is None:
            return None
        rows = select(audit_log).where(audit_log.c.guild_id == guild_id)
        taken = rows.where(audit_log.c.nonce == channel.nonce, audit_log.c.id > channel.after_id)
        found = self._session.execute(taken.order_by(audit_log.c.id)).mappings()
        entries = tuple(entry_of(row) for row in found)
        if not entries:  # erased since
            self._set(guild_id, nonce=None, nonce_at=None)
            return None
        return AuditBatch(channel, entries)

    def _take(self, channel: AuditChannel) -> AuditChannel | None:
        """Take the oldest rows for a message; None if there are none."""
        oldest = (
            select(audit_log.c.id)
            .where(
                audit_log.c.guild_id == channel.guild_id,
                audit_log.c.id > channel.after_id,
                NOT_POSTED,
            )
            .order_by(audit_log.c.id)
            .limit(ENTRIES_A_MESSAGE)
        )
        ids = list(self._session.scalars(oldest))
        if not ids:
            return None
        nonce = new_nonce()
        first = self._last_number(channel.guild_id) + 1
        for number, id_ in enumerate(ids, first):
            this = update(audit_log).where(audit_log.c.id == id_)
            self._session.execute(this.values(nonce=nonce, number=number))
        self._set(channel.guild_id, nonce=nonce, nonce_at=self._now())
        return self.get(channel.guild_id)

    def _last_number(self, guild_id: int) -> int:
        """The highest number that a change of the guild has."""
        newest = (
            select(audit_log.c.number)
            .where(audit_log.c.guild_id == guild_id)
            .order_by(audit_log.c.id.desc())
            .limit(LATE_ROWS)
            .subquery()
        )
        return self._session.scalar(select(func.max(newest.c.number))) or 0

    def posted(self, batch: AuditBatch) -> None:
        """The message is out, or Discord will never take it."""
        this = self._this(batch)
        after_id = max(batch.channel.after_id, batch.entries[0].id - LATE_ROWS)
        values = {"nonce": None, "nonce_at": None, "after_id": after_id}
        self._session.execute(update(audit_channels).where(*this).values(values))

    def pause(self, batch: AuditBatch) -> None:
        """Discord does not take it in this channel: its rows wait until somebody chooses again."""
        changed = self._session.execute(
            update(audit_channels)
            .where(*self._this(batch))
            .values(nonce=None, nonce_at=None, paused_at=self._now(), notified_at=None)
        )
        if not changed.rowcount:  # another channel was chosen meanwhile
            return
        self._release(batch.channel.nonce)
        channel = batch.channel
        record(
            self._session,
            AuditAction.AUDIT_CHANNEL_PAUSED,
            channel.guild_id,
            channel_id=channel.channel_id,
        )

    def to_notify(self) -> Sequence[AuditChannel]:
        """Those that are paused, and nobody knows."""
        return self._where(
            audit_channels.c.paused_at.is_not(None), audit_channels.c.notified_at.is_(None)
        )

    def mark_notified(self, guild_id: int) -> None:
        """Somebody knows that it is paused, or nobody can be notified."""
        self._set(guild_id, notified_at=self._now())

    def _this(self, batch: AuditBatch) -> tuple[ColumnElement[bool], ...]:
        channel = batch.channel
        return (
            audit_channels.c.guild_id == channel.guild_id,
            audit_channels.c.nonce == channel.nonce,
        )

    def _set(self, guild_id: int, **values: object) -> None:
        this = audit_channels.c.guild_id == guild_id
        self._session.execute(update(audit_channels).where(this).values(values))

    def _where(self, *conditions: ColumnElement[bool]) -> Sequence[AuditChannel]:
        statement = select(audit_channels).where(*conditions).order_by(audit_channels.c.guild_id)
        return [value_of(AuditChannel, row) for row in self._session.execute(statement).mappings()]
