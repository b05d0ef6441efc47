"""What of a project's activity list is new to one subscription, and what a webhook has told it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from bot.db.rows import HookState, Subscription
from bot.db.session import Session
from bot.db.tables import HAS_KEY, hooks, inbox, subscriptions
from bot.db.twins import AT_ONCE, WITHIN, by_webhook, take_partner

AT_THE_TIME = timedelta(minutes=2)  # that a webhook takes, and two clocks may be apart


@dataclass(frozen=True, slots=True)
class Fetched:
    """An event of a project's activity list, its body in the wire's form."""

    at: datetime
    event_name: str
    event_key: str
    body: bytes = field(repr=False)


def kinds_had(session: Session, lane: str, names: Collection[str]) -> set[str]:
    """Those of these kinds that the lane has had an event of; their keys begin with the name."""

    def had(name: str) -> bool:
        begins = (inbox.c.event_key >= f"{name}:", inbox.c.event_key < f"{name};")
        statement = select(inbox.c.id).where(HAS_KEY, inbox.c.lane == lane, *begins).limit(1)
        return session.scalar(statement) is not None

    return {name for name in names if had(name)}


def follower(hook_id: int, subscription_id: int) -> Any:
    """The subscription, as long as it follows that hook, kept from being removed until the commit.

    Nothing comes in for it once the hook is closed.
    """
    return (
        select(subscriptions.c.id)
        .join(hooks, hooks.c.id == subscriptions.c.hook_id)
        .where(
            subscriptions.c.id == subscription_id,
            hooks.c.id == hook_id,
            hooks.c.state != HookState.CLOSED,
        )
        .with_for_update(key_share=True)
    )


def listed_before(
    session: Session, lane: str, subscription_id: int, keys: Sequence[str]
) -> set[tuple[str, datetime]]:
    """Which entries with these keys the list told the subscription before: of one time each."""
    found: set[tuple[str, datetime]] = set()
    for start in range(0, len(keys), AT_ONCE):
        statement = select(inbox.c.event_key, inbox.c.happened_at).where(
            HAS_KEY,
            inbox.c.lane == lane,
            inbox.c.event_key.in_(keys[start : start + AT_ONCE]),
            inbox.c.subscription_id == subscription_id,
        )
        found |= {(key, at) for key, at in session.execute(statement)}
    return found


def partners_of(
    session: Session, subscription: Subscription, lane: str, new: Sequence[Fetched]
) -> dict[Fetched, int]:
    """The entries that a webhook has told of, with its rows; what is close in time goes first."""
    if not new:
        return {}
    since = max(subscription.shows_since, min(one.at for one in new) - WITHIN)
    keys = {one.event_key for one in new}
    told = by_webhook(session, lane, keys, subscription.id, since)
    found: dict[Fetched, int] = {}
    for within in (AT_THE_TIME, WITHIN):
        for one in new:
            if one not in found and one.event_key in told:
                partner = take_partner(told[one.event_key], one.at, within)
                if partner is not None:
                    found[one] = partner
    return found
