"""Which event that came one way is the same as one that came the other way, by subscription.

A webhook and the activity list both tell of an event, and equal events occur: a thread is resolved,
opened and resolved again. So they are paired, one to one: a row of either way that finds one of the
other way without a partner becomes its partner, and is not shown. What is left without a partner
was shown. So of equal events as many are shown as the larger of the two numbers, in whatever order
they come. The partner of a row of the activity list is kept with that row, in `same_as`.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import and_, exists, func, select, update

from bot.db.rows import InboxRow, InboxSource, InboxState, Subscription
from bot.db.session import Session
from bot.db.tables import HAS_KEY, inbox

# A webhook is called once, within seconds; one that Speckle could only send later than that is
# taken for an event of its own. The list is asked for hours or days that nobody listened.
WITHIN = timedelta(days=1)
AT_ONCE = 200  # keys in one statement

TOLD_AT = func.coalesce(inbox.c.happened_at, inbox.c.received_at)
IS_DONE = inbox.c.state == InboxState.DONE
BY_LIST = inbox.c.source == InboxSource.ACTIVITY

Told = list[tuple[int, datetime]]


def twins(
    session: Session, row: InboxRow, event_key: str, subscriptions: Sequence[Subscription]
) -> dict[int, int]:
    """The rows by which these subscriptions were shown the same event another way, by their ids."""
    at = row.event_at
    if row.source is not InboxSource.ACTIVITY:
        return _by_list(session, row, event_key, [one.id for one in subscriptions])
    found: dict[int, int] = {}
    for one in subscriptions:
        since = max(one.shows_since, at - WITHIN)
        told = by_webhook(session, row.lane, [event_key], one.id, since)[event_key]
        partner = take_partner(told, at, WITHIN)
        if partner is not None:
            found[one.id] = partner
    return found


def by_webhook(
    session: Session,
    lane: str,
    keys: Collection[str],
    subscription_id: int,
    since: datetime,
) -> Mapping[str, Told]:
    """What a webhook, or its history, told since then and the activity list did not, by key."""
    listed = inbox.alias()
    has_partner = exists().where(
        listed.c.event_key.is_not(None),
        listed.c.lane == inbox.c.lane,
        listed.c.event_key == inbox.c.event_key,
        listed.c.subscription_id == subscription_id,
        listed.c.same_as == inbox.c.id,
    )
    found: defaultdict[str, Told] = defaultdict(list)
    wanted = sorted(keys)
    for start in range(0, len(wanted), AT_ONCE):
        statement = (
            select(inbox.c.event_key, inbox.c.id, TOLD_AT)
            .where(
                HAS_KEY,
                inbox.c.lane == lane,
                inbox.c.event_key.in_(wanted[start : start + AT_ONCE]),
                IS_DONE,
                ~BY_LIST,
                since <= TOLD_AT,
                ~has_partner,
            )
            .order_by(inbox.c.id)
        )
        for key, row_id, at in session.execute(statement):
            found[key].append((row_id, at))
    return found


def take_partner(told: Told, at: datetime, within: timedelta) -> int | None:
    """Take the row that is nearest in time, and near enough, out of these."""
    nearest = min(told, key=lambda one: abs(one[1] - at), default=None)
    if nearest is None or abs(nearest[1] - at) > within:
        return None
    told.remove(nearest)
    return nearest[0]


def _by_list(
    session: Session, row: InboxRow, event_key: str, subscription_ids: Collection[int]
) -> dict[int, int]:
    statement = (
        select(inbox.c.subscription_id, func.min(inbox.c.id).label("row_id"))
        .where(
            HAS_KEY,
            inbox.c.lane == row.lane,
            inbox.c.event_key == event_key,
            IS_DONE,
            BY_LIST,
            inbox.c.subscription_id.in_(subscription_ids),
            inbox.c.same_as.is_(None),
            TOLD_AT.between(row.event_at - WITHIN, row.event_at + WITHIN),
        )
        .group_by(inbox.c.subscription_id)
    )
    return {one.subscription_id: one.row_id for one in session.execute(statement)}


def pair(session: Session, row_id: int, partners: Collection[int]) -> None:
    """Keep that a row and these tell the same event; one of the two sides is the list's."""
    for partner in partners:
        this = and_(BY_LIST, inbox.c.id == row_id)
        other = and_(BY_LIST, inbox.c.id == partner)
        session.execute(update(inbox).where(this).values(same_as=partner))
        session.execute(update(inbox).where(other).values(same_as=row_id))
