"""Webhooks that must still be removed at Speckle: their hooks are gone, their accounts are not."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, insert, select, update

from bot.audit import AuditAction
from bot.db.audit_log import record_hooks
from bot.db.session import Session
from bot.db.tables import hooks, webhook_removals
from bot.model import HookKind, WebhookRemoval


class WebhookRemovals:
    """Gives out what is to be removed until that is done or given up."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._now = session.now

    def get(self, removal_id: int) -> WebhookRemoval | None:
        """The removal with this id."""
        return next(iter(self._where(webhook_removals.c.id == removal_id)), None)

    def due(self) -> list[WebhookRemoval]:
        """What is to be tried now, the longest due first."""
        return self._where(webhook_removals.c.next_try_at <= self._now())

    def of_account(self, account_id: int) -> list[WebhookRemoval]:
        """What is left for an account to remove, due or not."""
        return self._where(webhook_removals.c.account_id == account_id)

    def done(self, removal_id: int) -> None:
        """It is removed, or nobody can remove it: forget it."""
        self._session.execute(delete(webhook_removals).where(webhook_removals.c.id == removal_id))

    def postpone(self, removal_id: int, until: datetime) -> None:
        """A try failed; it is due again at `until`."""
        values = {"attempts": webhook_removals.c.attempts + 1, "next_try_at": until}
        self._session.execute(
            update(webhook_removals).where(webhook_removals.c.id == removal_id).values(values)
        )

    def _where(self, condition: ColumnElement[bool]) -> list[WebhookRemoval]:
        statement = select(webhook_removals).where(condition)
        statement = statement.order_by(webhook_removals.c.next_try_at, webhook_removals.c.id)
        rows = self._session.execute(statement).mappings().all()
        return [WebhookRemoval(**row) for row in rows]


def write_removals(session: Session, condition: ColumnElement[bool], now: datetime) -> list[int]:
    """Note, before these hooks are erased, which of their webhooks the bot made; gives the ids."""
    made = select(hooks.c.account_id, hooks.c.server_url, hooks.c.project_id, hooks.c.key).where(
        condition, hooks.c.webhook_sealed.is_not(None), hooks.c.account_id.is_not(None)
    )
    ids: list[int] = []
    for row in session.execute(made).mappings().all():
        values: dict[str, Any] = {**row, "attempts": 0, "next_try_at": now}
        added = session.execute(
            insert(webhook_removals).values(values).returning(webhook_removals.c.id)
        )
        ids.append(added.scalar_one())
    return ids


def audit_removal(session: Session, condition: ColumnElement[bool]) -> None:
    """Note in the audit log, before these hooks are erased, that their webhooks go."""
    heard = and_(hooks.c.listens, hooks.c.webhook_sealed.is_(None))  # there is no webhook
    own = select(hooks).where(condition, hooks.c.kind == HookKind.OWN, ~heard)
    for row in session.execute(own).mappings().all():
        by_hand = row["webhook_sealed"] is None
        record_hooks(session, AuditAction.WEBHOOK_REMOVED, [row], by_hand=by_hand)
