"""The audit log: each change that concerns people is written in the transaction that makes it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, insert, select

from bot.audit import AuditAction, AuditActor, AuditEntry, AuditFilter
from bot.db.rows import Row, value_of
from bot.db.session import Session
from bot.db.tables import audit_log, hooks, subscriptions
from bot.model import Subscription


class AuditLog:
    """Reads the audit log, and notes what has no repository of its own."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def newest(self, wanted: AuditFilter, limit: int) -> Sequence[AuditEntry]:
        """The newest of these changes, the newest first."""
        newest_first = audit_log.c.id.desc()
        statement = select(audit_log).where(*_conditions(wanted)).order_by(newest_first)
        return [entry_of(row) for row in self._session.execute(statement.limit(limit)).mappings()]

    def filters_changed(
        self, subscription: Subscription, project_id: str, since: datetime
    ) -> Mapping[str, datetime]:
        """Which options of a subscription were changed since then, and when that was last."""
        statement = select(audit_log.c.at, audit_log.c.facts).where(
            audit_log.c.guild_id == subscription.guild_id,
            audit_log.c.channel_id == subscription.channel_id,
            audit_log.c.action == AuditAction.FILTERS_CHANGED,
            audit_log.c.at > since,
        )
        changed: dict[str, datetime] = {}
        for at, facts in self._session.execute(statement.order_by(audit_log.c.id)):
            if facts.get("project") == project_id:
                changed |= dict.fromkeys(facts["filters"], at)
        return changed

    def note(self, action: AuditAction, **facts: Any) -> None:
        """Note something that concerns the whole bot."""
        record(self._session, action, None, **facts)


def _conditions(wanted: AuditFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.guild_id is not None:
        yield audit_log.c.guild_id == wanted.guild_id
    if wanted.user_id is not None:
        yield audit_log.c.actor_id == wanted.user_id
    if wanted.channel_id is not None:
        yield audit_log.c.channel_id == wanted.channel_id
    if wanted.since is not None:
        yield audit_log.c.at >= wanted.since
    if wanted.before_id is not None:
        yield audit_log.c.id < wanted.before_id


def entry_of(row: Row) -> AuditEntry:
    """One change."""
    return value_of(AuditEntry, row, actor=AuditActor(row["actor"], row["actor_id"]))


# ── writing ───────────────────────────────────────────────────────────────────────────────────


def record(
    session: Session,
    action: AuditAction,
    guild_id: int | None,
    *,
    channel_id: int | None = None,
    **facts: Any,
) -> None:
    """Note a change of a guild, or of one of its channels."""
    _write(session, [_row(session, action, guild_id, channel_id, facts)])


def record_hooks(session: Session, action: AuditAction, rows: Iterable[Row], **facts: Any) -> None:
    """Note a change of the webhooks of these rows of `hooks`."""
    _write(
        session,
        [
            _row(session, action, row["guild_id"], row["setup_channel_id"], _project(row) | facts)
            for row in rows
        ],
    )


def record_subscriptions(
    session: Session, action: AuditAction, subscription_ids: Iterable[int], **facts: Any
) -> None:
    """Note a change of these subscriptions, which are there still, or have just been read."""
    ids = sorted(subscription_ids)
    if not ids:
        return
    columns = (subscriptions.c.id, subscriptions.c.guild_id, subscriptions.c.channel_id)
    found = (
        select(*columns, hooks.c.server_url, hooks.c.project_id)
        .join(hooks, hooks.c.id == subscriptions.c.hook_id)
        .where(subscriptions.c.id.in_(ids))
        .order_by(subscriptions.c.id)
    )
    _write(
        session,
        [
            _row(session, action, row["guild_id"], row["channel_id"], _project(row) | facts)
            for row in session.execute(found).mappings().all()
        ],
    )


def _project(row: Row) -> dict[str, Any]:
    """Which project it is: its id, as who reads the row may not be one who may know its name."""
    return {"server": row["server_url"], "project": row["project_id"]}


def _row(
    session: Session,
    action: AuditAction,
    guild_id: int | None,
    channel_id: int | None,
    facts: Mapping[str, Any],
) -> Mapping[str, Any]:
    return {
        "at": session.now(),
        "guild_id": guild_id,
        "channel_id": channel_id,
        "actor": session.by.kind,
        "actor_id": session.by.user_id,
        "action": action,
        "facts": dict(facts),
    }


def _write(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        session.execute(insert(audit_log), rows)
