"""Samples that /test made: events that never happened, each for one subscription."""

from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import select

from bot.db.event_pairs import follower
from bot.db.inbox import insert_events, lock_texts
from bot.db.session import Session
from bot.db.tables import inbox, outbox, subscriptions
from bot.model import Hook, HookKind, InboxSource, Subscription, sample_ordering_key
from bot.trace import TraceLine
from bot.work import InboxState, SampleProgress

APART = timedelta(minutes=1)  # in one channel


class Samples:
    """Puts them into the inbox, past all quotas, and says what became of them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._now = session.now

    def add(self, hook: Hook, subscription: Subscription, bodies: Sequence[bytes]) -> list[int]:
        """Put these into the inbox, in their order; their ids.

        None if the channel got some within the last minute, or follows the project no more.
        """
        now = self._now()
        if not self._session.is_sqlite:
            lock_texts(self._session, [f"test:{subscription.channel_id}"])
        there = self._session.execute(follower(hook.id, subscription.id)).one_or_none()
        if there is None or self._is_too_soon(subscription.channel_id):
            return []
        rows: list[dict[str, Any]] = [
            {
                "hook_id": hook.id if hook.kind is HookKind.OWN else None,
                "lane": sample_ordering_key(subscription.id),
                "project_id": hook.project_id,
                "server_url": hook.server_url,
                "digest": sha256(body).hexdigest(),
                "body": body,
                "received_at": now,
                "state": InboxState.NEW,
                "trace": [],
                "source": InboxSource.TEST,
                "subscription_id": subscription.id,
            }
            for body in bodies
        ]
        return insert_events(self._session, rows)

    def _is_too_soon(self, channel_id: int) -> bool:
        now = self._now()
        of_channel = select(subscriptions.c.id).where(subscriptions.c.channel_id == channel_id)
        recent = select(inbox.c.id).where(
            inbox.c.received_at.between(now - APART, now),
            inbox.c.source == InboxSource.TEST,
            inbox.c.subscription_id.in_(of_channel),
        )
        return self._session.scalar(recent.limit(1)) is not None

    def progress(self, ids: Sequence[int]) -> list[SampleProgress]:
        """How far each of these has come, in their order."""
        statement = (
            select(inbox.c.id, inbox.c.state, inbox.c.trace, outbox.c.state, outbox.c.last_error)
            .join(outbox, outbox.c.inbox_id == inbox.c.id, isouter=True)
            .where(inbox.c.id.in_(ids))
            .order_by(inbox.c.id)
        )
        return [
            SampleProgress(row_id, state, tuple(map(TraceLine.from_json, trace)), card, error)
            for row_id, state, trace, card, error in self._session.execute(statement)
        ]
