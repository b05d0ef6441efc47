"""Which event that came one way is the same as one that came another way, by subscription."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, exists, func, select, update

from bot.db.session import Session
from bot.db.tables import HAS_KEY, hooks, inbox, subscriptions
from bot.model import HookState, InboxSource, Subscription
from bot.work import FetchedEvent, InboxEvent, InboxState

AT_THE_TIME = timedelta(minutes=2)  # that a webhook takes, and two clocks may be apart


def kinds_had(session: Session, ordering_key: str, names: Collection[str]) -> set[str]:
    """Those of these kinds that the ordering key has had an event of; their keys begin with the
    name.
    """

    def had(name: str) -> bool:
        begins = (inbox.c.event_key >= f"{name}:", inbox.c.event_key < f"{name};")
        statement = (
            select(inbox.c.id).where(HAS_KEY, inbox.c.lane == ordering_key, *begins).limit(1)
        )
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
    session: Session, ordering_key: str, subscription_id: int, keys: Sequence[str]
) -> set[tuple[str, datetime]]:
    """Which entries with these keys the list told the subscription before: of one time each."""
    found: set[tuple[str, datetime]] = set()
    for start in range(0, len(keys), AT_ONCE):
        statement = select(inbox.c.event_key, inbox.c.happened_at).where(
            HAS_KEY,
            inbox.c.lane == ordering_key,
            inbox.c.event_key.in_(keys[start : start + AT_ONCE]),
            inbox.c.subscription_id == subscription_id,
        )
        found |= {(key, at) for key, at in session.execute(statement)}
    return found


def partners_of(
    session: Session, subscription: Subscription, ordering_key: str, new: Sequence[FetchedEvent]
) -> dict[FetchedEvent, int]:
    """The entries that a webhook has told of, with its rows; what is close in time goes first."""
    if not new:
        return {}
    since = max(subscription.shows_since, min(one.at for one in new) - WITHIN)
    keys = {one.event_key for one in new}
    known = by_webhook(session, ordering_key, keys, subscription.id, since)
    found: dict[FetchedEvent, int] = {}
    for within in (AT_THE_TIME, WITHIN):
        for one in new:
            if one not in found and one.event_key in known:
                partner = take_partner(known[one.event_key], one.at, within)
                if partner is not None:
                    found[one] = partner
    return found


# A webhook is called once, within seconds; one that Speckle could only send later than that is
# taken for an event of its own. The list is asked for hours or days that nobody listened.
WITHIN = timedelta(days=1)
AT_ONCE = 200  # keys in one statement

EVENT_AT = func.coalesce(inbox.c.happened_at, inbox.c.received_at)
IS_DONE = inbox.c.state == InboxState.DONE
BY_LIST = inbox.c.source == InboxSource.ACTIVITY

LISTED = (
    select(inbox.c.event_key, inbox.c.subscription_id, inbox.c.id, EVENT_AT)
    .where(
        HAS_KEY,
        inbox.c.lane == bindparam("lane"),
        inbox.c.event_key.in_(bindparam("keys", expanding=True)),
        IS_DONE,
        BY_LIST,
        inbox.c.subscription_id.in_(bindparam("subscription_ids", expanding=True)),
        inbox.c.same_as.is_(None),
        EVENT_AT.between(bindparam("since"), bindparam("until")),
    )
    .order_by(inbox.c.id)
)

KnownEvents = list[tuple[int, datetime]]


class EventPartners:
    """The rows by which subscriptions were shown the same events another way.

    Each row is given out once: equal events are shown as often as they happened.
    """

    def __init__(self, known: Mapping[tuple[str, int], KnownEvents]) -> None:
        self._known = known  # by event key and subscription

    @classmethod
    def of(
        cls,
        session: Session,
        events: Sequence[tuple[InboxEvent, str]],
        subscriptions: Sequence[Subscription],
    ) -> "EventPartners":
        """Those of some rows of one ordering key and one source, each with its event's key."""
        rows = [row for row, _ in events]
        keys = {key for _, key in events}
        if not rows:
            return cls({})
        if rows[0].source is not InboxSource.ACTIVITY:
            listed = [one.id for one in subscriptions if one.caught_up_at is not None]
            return cls(_by_list(session, rows, keys, listed) if listed else {})
        known: dict[tuple[str, int], KnownEvents] = {}
        first_at = min(row.event_at for row in rows)
        for one in subscriptions:
            since = max(one.shows_since, first_at - WITHIN)
            for key, found in by_webhook(
                session, rows[0].ordering_key, keys, one.id, since
            ).items():
                known[key, one.id] = found
        return cls(known)

    def take(
        self, row: InboxEvent, event_key: str, subscriptions: Sequence[Subscription]
    ) -> dict[int, int]:
        """The rows that showed an event to these subscriptions, by the subscriptions' ids."""
        choose = take_partner if row.source is InboxSource.ACTIVITY else _take_first
        found: dict[int, int] = {}
        for one in subscriptions:
            known = self._known.get((event_key, one.id), [])
            partner = choose(known, row.event_at, WITHIN)
            if partner is not None:
                found[one.id] = partner
        return found


def by_webhook(
    session: Session,
    ordering_key: str,
    keys: Collection[str],
    subscription_id: int,
    since: datetime,
) -> Mapping[str, KnownEvents]:
    """What a webhook, or its history, told since then and the activity list did not, by key."""
    listed = inbox.alias()
    has_partner = exists().where(
        listed.c.event_key.is_not(None),
        listed.c.lane == inbox.c.lane,
        listed.c.event_key == inbox.c.event_key,
        listed.c.subscription_id == subscription_id,
        listed.c.same_as == inbox.c.id,
    )
    found: defaultdict[str, KnownEvents] = defaultdict(list)
    wanted = sorted(keys)
    for start in range(0, len(wanted), AT_ONCE):
        statement = (
            select(inbox.c.event_key, inbox.c.id, EVENT_AT)
            .where(
                HAS_KEY,
                inbox.c.lane == ordering_key,
                inbox.c.event_key.in_(wanted[start : start + AT_ONCE]),
                IS_DONE,
                ~BY_LIST,
                since <= EVENT_AT,
                ~has_partner,
            )
            .order_by(inbox.c.id)
        )
        for key, row_id, at in session.execute(statement):
            found[key].append((row_id, at))
    return found


def take_partner(known: KnownEvents, at: datetime, within: timedelta) -> int | None:
    """Take the row that is nearest in time, and near enough, out of these."""
    nearest = min(known, key=lambda one: abs(one[1] - at), default=None)
    if nearest is None or abs(nearest[1] - at) > within:
        return None
    known.remove(nearest)
    return nearest[0]


def _take_first(known: KnownEvents, at: datetime, within: timedelta) -> int | None:
    """Take the oldest row that is near enough in time out of these."""
    first = next((one for one in known if abs(one[1] - at) <= within), None)
    if first is None:
        return None
    known.remove(first)
    return first[0]


def _by_list(
    session: Session,
    rows: Sequence[InboxEvent],
    keys: Collection[str],
    subscription_ids: Collection[int],
) -> Mapping[tuple[str, int], KnownEvents]:
    times = [row.event_at for row in rows]
    values = {
        "lane": rows[0].ordering_key,
        "keys": list(keys),
        "subscription_ids": list(subscription_ids),
        "since": min(times) - WITHIN,
        "until": max(times) + WITHIN,
    }
    found: defaultdict[tuple[str, int], KnownEvents] = defaultdict(list)
    for key, subscription_id, row_id, at in session.execute(LISTED, values):
        found[key, subscription_id].append((row_id, at))
    return found


def link_pair(session: Session, row_id: int, partners: Collection[int]) -> None:
    """Keep that a row and these tell the same event; one of the two sides is the list's."""
    for partner in partners:
        this = and_(BY_LIST, inbox.c.id == row_id)
        other = and_(BY_LIST, inbox.c.id == partner)
        session.execute(update(inbox).where(this).values(same_as=partner))
        session.execute(update(inbox).where(other).values(same_as=row_id))
