"""Subscriptions: which channel follows which hook, and what it wants to see."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import and_, case, delete, exists, or_, select, update

from bot.audit import AuditAction, filter_facts
from bot.db.audit_log import record_subscriptions
from bot.db.channel_queues import HELD_BY_CHANNEL, make_due
from bot.db.held_events import make_held_due, move_events
from bot.db.rows import value_of
from bot.db.session import Session
from bot.db.tables import hooks, subscriptions
from bot.db.webhook_removals import audit_removal, write_removals
from bot.errors import StorageError
from bot.model import (
    SENDING_PAUSES,
    Consent,
    Deleted,
    PauseReason,
    Subscription,
    SubscriptionState,
)
from bot.speckle.subscription_options import SubscriptionOptions
from bot.speckle.visibility import PUBLIC


class Subscriptions:
    """Reads and writes subscriptions; `forget_hooks` is called when a hook went with its last."""

    def __init__(self, session: Session, forget_hooks: Callable[[], None]) -> None:
        self._session = session
        self._now = session.now
        self._forget_hooks = forget_hooks

    def get(self, subscription_id: int) -> Subscription | None:
        """The subscription with this id."""
        return next(iter(self._where(subscriptions.c.id == subscription_id)), None)

    def of_hook(self, hook_id: int) -> list[Subscription]:
        """All subscriptions of a hook, oldest first."""
        return self._where(subscriptions.c.hook_id == hook_id)

    def of_guild(self, guild_id: int) -> list[Subscription]:
        """All subscriptions of a guild, oldest first."""
        return self._where(subscriptions.c.guild_id == guild_id)

    def of_channel(self, channel_id: int) -> list[Subscription]:
        """All subscriptions of a channel, oldest first."""
        return self._where(subscriptions.c.channel_id == channel_id)

    def upsert(
        self,
        hook_id: int,
        channel_id: int,
        options: SubscriptionOptions,
        by: int,
        account_id: int | None = None,
        consent: Consent | None = None,
    ) -> tuple[Subscription | None, Subscription]:
        """Subscribe a channel, or change the options of its subscription: (before, after).

        `account_id`: the account of `by`, which has just been seen to have access. `consent`: what
        `by` has just answered; one that was given before stays without it.
        Errors: StorageError if the hook has been removed meanwhile.
        """
        now = self._now()
        wanted: dict[str, Any] = {
            "options": options,
            "updated_at": now,
        }
        if account_id is not None:
            wanted |= {"account_id": account_id, "access_ok_at": now}
        if consent is not None:
            wanted["consent"] = consent
        guild_id = _lock_hook(self._session, hook_id)
        if guild_id is None:
            raise StorageError("the hook has been removed")
        there = (
            subscriptions.c.hook_id == hook_id,
            subscriptions.c.channel_id == channel_id,
        )
        before = _first(self._session, select(subscriptions).where(*there))
        if before is not None:
            change = update(subscriptions).where(*there).values(wanted)
            after = _one(self._session, change.returning(subscriptions))
            self._audit_change(before, after)
            return before, after
        new = subscriptions.insert().values(
            hook_id=hook_id,
            guild_id=guild_id,
            channel_id=channel_id,
            state=SubscriptionState.ACTIVE,
            created_by=by,
            created_at=now,
            **wanted,
        )
        made = _one(self._session, new.returning(subscriptions))
        self._audit(AuditAction.SUBSCRIBED, made.id, filters=filter_facts(options))
        self._audit_consent(None, made)
        return None, made

    def _audit_change(self, before: Subscription, after: Subscription) -> None:
        """Note what somebody changed of what a channel shows, and what they agreed to."""
        if before.options != after.options:
            filters = filter_facts(after.options, before.options)
            self._audit(AuditAction.FILTERS_CHANGED, after.id, filters=filters)
        self._audit_consent(before.consent, after)

    def _audit_consent(self, before: Consent | None, after: Subscription) -> None:
        consent = after.consent
        if consent is None or consent == before or consent.visibility in PUBLIC:
            return
        facts = {"audience": _audience_facts(consent), "visibility": consent.visibility}
        self._audit(AuditAction.CONSENTED, after.id, **facts)

    def _audit(self, action: AuditAction, *subscription_ids: int, **facts: Any) -> None:
        record_subscriptions(self._session, action, subscription_ids, **facts)

    def set_state(
        self,
        subscription_id: int,
        state: SubscriptionState,
        reason: PauseReason | None = None,
        detail: str | None = None,
    ) -> Subscription | None:
        """Pause or resume; None if there is no such subscription.

        A resumed one continues where it stopped: what waits for its channel is due at once. One
        that was paused because of its channel brings along the others that were.
        """
        values = {"pause_reason": reason, "pause_detail": detail, "updated_at": self._now()}
        this = subscriptions.c.id == subscription_id
        before = _first(self._session, select(subscriptions).where(this).with_for_update())
        if before is None:
            return None
        changing = this
        if state is SubscriptionState.ACTIVE and before.pause_reason in SENDING_PAUSES:
            others = and_(subscriptions.c.channel_id == before.channel_id, HELD_BY_CHANNEL)
            changing = or_(this, others)
        self._audit_state(changing, state, reason)
        change = update(subscriptions).where(changing).values(state=state, **values)
        self._session.execute(change)
        if state is SubscriptionState.ACTIVE:
            make_held_due(self._session, changing, self._now())
            guild_of = {before.channel_id: before.guild_id}
            make_due(self._session, guild_of, self._now(), at_once=True)
        return _first(self._session, select(subscriptions).where(this))

    def _audit_state(
        self, changing: Any, state: SubscriptionState, reason: PauseReason | None
    ) -> None:
        others = select(subscriptions.c.id).where(changing, subscriptions.c.state != state)
        ids = list(self._session.scalars(others))
        if state is SubscriptionState.ACTIVE:
            self._audit(AuditAction.RESUMED, *ids)
        else:
            self._audit(AuditAction.PAUSED, *ids, reason=reason)

    def answered(
        self,
        subscription_id: int,
        consent: Consent,
        *,
        account_id: int | None = None,
        hook_id: int | None = None,
    ) -> None:
        """Keep an answer with a subscription, in place of an earlier one.

        With `account_id`, the account of who answered, which has just been seen to have access,
        reads for the subscription from now on; else the one that did continues. With `hook_id` the
        subscription follows the project through that hook of its guild from now on, and is shown
        nothing that the hook's webhook had to tell before.
        """
        now = self._now()
        values: dict[str, Any] = {"consent": consent, "updated_at": now}
        if account_id is not None:
            values |= {"account_id": account_id, "access_ok_at": now}
        if hook_id is not None:
            values["hook_id"] = hook_id
            moves = subscriptions.c.hook_id != hook_id
            values["moved_at"] = case((moves, now), else_=subscriptions.c.moved_at)
            # What was read for it through one hook is not known of through another.
            values["listened_until"] = case((moves, None), else_=subscriptions.c.listened_until)
        this = subscriptions.c.id == subscription_id
        before = _first(self._session, select(subscriptions).where(this))
        if before is None:
            return
        self._session.execute(update(subscriptions).where(this).values(values))
        self._audit_consent(before.consent, replace(before, consent=consent))
        if hook_id is not None:
            move_events(self._session, subscription_id, hook_id)

    def record_access(self, subscription_ids: Collection[int]) -> None:
        """Note that the accounts of these subscriptions have just been seen to have access."""
        these = subscriptions.c.id.in_(subscription_ids)
        self._session.execute(update(subscriptions).where(these).values(access_ok_at=self._now()))

    def delete(self, subscription_id: int) -> Deleted | None:
        """Remove a subscription with its cards, and its hook with the last one.

        A webhook that the bot made for that hook is noted for removal at Speckle.
        None if it was gone already.
        """
        wanted = subscriptions.c.id == subscription_id
        found = _first(self._session, select(subscriptions).where(wanted))
        if found is None:
            return None
        _lock_hook(self._session, found.hook_id)
        self._audit(AuditAction.UNSUBSCRIBED, found.id)
        removed = self._session.execute(delete(subscriptions).where(wanted))
        if not removed.rowcount:
            return None
        used = exists().where(subscriptions.c.hook_id == found.hook_id)
        unused = and_(hooks.c.id == found.hook_id, ~used)
        webhooks = write_removals(self._session, unused, self._now())
        audit_removal(self._session, unused)
        removed = self._session.execute(delete(hooks).where(unused))
        self._session.at_end(self._forget_hooks)
        return Deleted(found, removed.rowcount == 1, next(iter(webhooks), None))

    def _where(self, condition: Any) -> list[Subscription]:
        statement = select(subscriptions).where(condition).order_by(subscriptions.c.id)
        rows = self._session.execute(statement).mappings().all()
        return [value_of(Subscription, row) for row in rows]


def _audience_facts(consent: Consent) -> Mapping[str, Any] | None:
    """To how many somebody agreed; None where the bot could not look."""
    seen = consent.audience
    if seen is None:
        return None
    people = seen.people if seen.everyone else None
    counts = {"roles": len(seen.roles), "members": len(seen.members)}
    in_thread = {"in_thread": True} if seen.in_thread else {}
    return {"everyone": seen.everyone, "people": people, **counts, **in_thread}


def _lock_hook(session: Session, hook_id: int) -> int | None:
    """Keep others from removing the hook or its subscriptions; gives its guild."""
    statement = select(hooks.c.guild_id).where(hooks.c.id == hook_id).with_for_update()
    guild_id: int | None = session.scalar(statement)
    return guild_id


def _first(session: Session, statement: Any) -> Subscription | None:
    row = session.execute(statement).mappings().one_or_none()
    return None if row is None else value_of(Subscription, row)


def _one(session: Session, statement: Any) -> Subscription:
    return value_of(Subscription, session.execute(statement).mappings().one())
