"""Which event that came one way is the same as one that came another way, by subscription."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, or_, select, update

from bot.db.session import Session
from bot.db.tables import HAS_KEY, HAS_SUBJECT, hooks, inbox, subscriptions
from bot.model import LISTED_SOURCES, HookState, Subscription
from bot.speckle.event_subjects import (
    SAID_LENGTH,
    can_be_repeated,
    is_of_issue,
    thing_of,
)
from bot.work import (
    FetchedEvent,
    InboxEvent,
    InboxState,
    ToPair,
)

AT_THE_TIME = timedelta(minutes=2)  # that a webhook takes, and two clocks may be apart
# A webhook is called once, within seconds; one that Speckle could only send later than that is
# taken for an event of its own. The list is asked for hours or days that nobody listened.
WITHIN = timedelta(days=1)
TEXTS_A_STATEMENT = 200

EVENT_AT = func.coalesce(inbox.c.happened_at, inbox.c.received_at)
IS_DONE = inbox.c.state == InboxState.DONE
BY_LIST = inbox.c.source.in_(sorted(LISTED_SOURCES))

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
AboutThing = tuple[str, int | None, int, datetime]  # subject, subscription, row, time


def kinds_had(session: Session, ordering_key: str, names: Collection[str]) -> set[str]:
    """Those of these kinds that the ordering key has had an event of; their keys begin with the
    name.
    """

    def had(name: str) -> bool:
        # Not a range of keys: where ":" is sorted depends on the database's language.
        begins = func.substr(inbox.c.event_key, 1, len(name) + 1) == f"{name}:"
        statement = select(inbox.c.id).where(HAS_KEY, inbox.c.lane == ordering_key, begins).limit(1)
        return session.scalar(statement) is not None

    return {name for name in names if had(name)}


def follower(hook_id: int, subscription_id: int) -> Any:
    """The subscription, as long as it follows that hook, kept from being removed until the commit.

    Nothing comes in for it once the hook is closed.
    """
    return (
        select(
            subscriptions.c.id,
            subscriptions.c.state,
            subscriptions.c.pause_reason,
            subscriptions.c.listened_until,
        )
        .join(hooks, hooks.c.id == subscriptions.c.hook_id)
        .where(
            subscriptions.c.id == subscription_id,
            hooks.c.id == hook_id,
            hooks.c.state != HookState.CLOSED,
        )
        .with_for_update(key_share=True)
    )


def listed_before(
    session: Session, ordering_key: str, subscription_id: int, events: Sequence[FetchedEvent]
) -> set[FetchedEvent]:
    """Which of these the subscription got from a list before: what they say at that time, or what
    they are about.
    """
    mine = inbox.c.subscription_id == subscription_id
    keys = {one.event_key for one in events}
    said: set[tuple[str, datetime]] = set()
    for some in portions(keys):
        statement = select(inbox.c.event_key, inbox.c.happened_at).where(
            HAS_KEY, inbox.c.lane == ordering_key, inbox.c.event_key.in_(some), mine
        )
        said |= {(key, at) for key, at in session.execute(statement)}
    subjects = {one.subject for one in events if one.subject is not None}
    about = rows_about(session, ordering_key, subjects, mine)
    return {
        one
        for one in events
        if (one.event_key, one.at) in said
        or (one.subject is not None and thing_of(one.subject) in about)
    }


def partners_of(
    session: Session, subscription: Subscription, ordering_key: str, new: Sequence[FetchedEvent]
) -> dict[FetchedEvent, int]:
    """The entries that a webhook has sent too, with its rows; what is close in time goes first."""
    if not new:
        return {}
    since = max(subscription.shows_since, min(one.at for one in new) - WITHIN)
    found = _same_thing(session, ordering_key, since, new)
    left = [one for one in new if one not in found and is_of_issue(one.event_name)]
    found |= _unknown_issues(session, subscription, ordering_key, left)
    keys = {one.event_key for one in new}
    known = by_webhook(session, ordering_key, keys, subscription.id, since)
    for within in (AT_THE_TIME, WITHIN):
        for one in new:
            if one not in found and one.event_key in known:
                partner = take_partner(known[one.event_key], one.at, within)
                if partner is not None:
                    found[one] = partner
    return found


def _same_thing(
    session: Session, ordering_key: str, since: datetime, new: Sequence[FetchedEvent]
) -> dict[FetchedEvent, int]:
    """The entries about something that a webhook sent events of, with its rows."""
    subjects = {one.subject for one in new if one.subject is not None}
    about = rows_about(session, ordering_key, subjects, ~BY_LIST, IS_DONE, since <= EVENT_AT)
    found = {}
    for one in new:
        if one.subject is not None:
            partner = told_by_webhook(about, one.subject, one.at)
            if partner is not None:
                found[one] = partner
    return found


def _unknown_issues(
    session: Session, subscription: Subscription, ordering_key: str, left: Sequence[FetchedEvent]
) -> dict[FetchedEvent, int]:
    """The entries of the same time and kind as an event that did not say which issue it was about.

    If nobody could say it then, it was shown as one of whatever issue.
    """
    if not left:
        return {}
    listed = inbox.alias()
    has_partner = exists().where(
        listed.c.lane == inbox.c.lane,
        listed.c.subscription_id == subscription.id,
        listed.c.same_as == inbox.c.id,
    )
    times = [one.at for one in left]
    since = max(subscription.shows_since, min(times) - AT_THE_TIME)
    statement = select(inbox.c.event_name, inbox.c.id, EVENT_AT).where(
        HAS_KEY,
        inbox.c.lane == ordering_key,
        inbox.c.event_name.in_({one.event_name for one in left}),
        inbox.c.subject.is_(None),
        IS_DONE,
        ~BY_LIST,
        EVENT_AT.between(since, max(times) + AT_THE_TIME),
        ~has_partner,
    )
    known: defaultdict[str, KnownEvents] = defaultdict(list)
    for event_name, row_id, at in session.execute(statement.order_by(inbox.c.id)):
        known[event_name].append((row_id, at))
    partners = ((one, take_partner(known[one.event_name], one.at, AT_THE_TIME)) for one in left)
    return {one: row_id for one, row_id in partners if row_id is not None}


def rows_about(
    session: Session, ordering_key: str, subjects: Collection[str], *which: ColumnElement[bool]
) -> Mapping[str, Sequence[AboutThing]]:
    """The rows about the same things as these subjects, whatever they say of them, by thing."""
    found: defaultdict[str, list[AboutThing]] = defaultdict(list)
    # abs: shorter ones have no such end, and no database takes a length below 0.
    without_end = func.abs(func.length(inbox.c.subject) - SAID_LENGTH)
    thing = func.substr(inbox.c.subject, 1, without_end)
    for some in portions({thing_of(one) for one in subjects}):
        statement = (
            select(inbox.c.subject, inbox.c.subscription_id, inbox.c.id, EVENT_AT)
            .where(
                HAS_SUBJECT,
                inbox.c.lane == ordering_key,
                or_(thing.in_(some), inbox.c.subject.in_(some)),
                *which,
            )
            .order_by(inbox.c.id)
        )
        for subject, subscription_id, row_id, at in session.execute(statement):
            found[thing_of(subject)].append((subject, subscription_id, row_id, at))
    return found


def told_by_webhook(
    about: Mapping[str, Sequence[AboutThing]], subject: str, at: datetime
) -> int | None:
    """The row by which a webhook sent what a list has: at that time, or in the same words.

    A message can be edited before the list is read. But anybody who knows the secret can name any
    version of the past, and say anything of it: that does not count as what happened.
    """
    for theirs, _, row_id, when in about.get(thing_of(subject), ()):
        apart = abs(when - at)
        if apart <= AT_THE_TIME or (theirs == subject and apart <= WITHIN):
            return row_id
    return None


def portions(texts: Collection[str]) -> Iterator[Sequence[str]]:
    """As many at a time as one statement takes."""
    wanted = sorted(texts)
    for start in range(0, len(wanted), TEXTS_A_STATEMENT):
        yield wanted[start : start + TEXTS_A_STATEMENT]


class EventPartners:
    """The rows by which subscriptions were shown the same events another way.

    Each row is given out once for those that say the same: equal events are shown as often as they
    happened. What a list says of one thing happened once.
    """

    def __init__(
        self,
        known: Mapping[tuple[str, int], KnownEvents],
        about: Mapping[str, Sequence[AboutThing]],
    ) -> None:
        self._known = known  # by event key and subscription
        self._about = about

    @classmethod
    def of(
        cls, session: Session, events: Sequence[ToPair], subscriptions: Sequence[Subscription]
    ) -> "EventPartners":
        """Those of some rows of one ordering key and one source."""
        if not events:
            return cls({}, {})
        if events[0].row.source.is_listed:
            return cls._of_listed(session, events, subscriptions)
        listed = [one.id for one in subscriptions if one.caught_up_at is not None]
        if not listed:
            return cls({}, {})
        rows = [one.row for one in events]
        theirs = (BY_LIST, IS_DONE, inbox.c.subscription_id.in_(listed))
        return cls(
            _by_list(session, rows, {one.event_key for one in events}, listed),
            rows_about(session, rows[0].ordering_key, _subjects(events), *theirs),
        )

    @classmethod
    def _of_listed(
        cls, session: Session, events: Sequence[ToPair], subscriptions: Sequence[Subscription]
    ) -> "EventPartners":
        known: dict[tuple[str, int], KnownEvents] = {}
        ordering_key = events[0].row.ordering_key
        since = min(one.row.event_at for one in events) - WITHIN
        keys = {one.event_key for one in events}
        for one in subscriptions:
            shown_since = max(one.shows_since, since)
            for key, found in by_webhook(session, ordering_key, keys, one.id, shown_since).items():
                known[key, one.id] = found
        theirs = (~BY_LIST, IS_DONE, since <= EVENT_AT)
        return cls(known, rows_about(session, ordering_key, _subjects(events), *theirs))

    def take(self, event: ToPair, subscriptions: Sequence[Subscription]) -> dict[int, int]:
        """The rows that showed an event to these subscriptions, by the subscriptions' ids."""
        by_list = event.row.source.is_listed
        choose = take_partner if by_list else _take_first
        found: dict[int, int] = {}
        for one in subscriptions:
            known = self._known.get((event.event_key, one.id), [])
            partner = choose(known, event.row.event_at, WITHIN)
            if partner is None and event.subject is not None:
                partner = self._same_thing(event.row, event.subject, one)
            if partner is not None:
                found[one.id] = partner
        return found

    def _same_thing(self, row: InboxEvent, subject: str, subscription: Subscription) -> int | None:
        rows = self._about.get(thing_of(subject), ())
        if row.source.is_listed:
            shown = [one for one in rows if one[-1] >= subscription.shows_since]
            return told_by_webhook({thing_of(subject): shown}, subject, row.event_at)
        within = AT_THE_TIME if can_be_repeated(subject) else WITHIN
        near = (
            row_id
            for _, subscription_id, row_id, at in rows
            if subscription_id == subscription.id and abs(row.event_at - at) <= within
        )
        return next(near, None)


def _subjects(events: Sequence[ToPair]) -> set[str]:
    return {one.subject for one in events if one.subject is not None}


def by_webhook(
    session: Session,
    ordering_key: str,
    keys: Collection[str],
    subscription_id: int,
    since: datetime,
) -> Mapping[str, KnownEvents]:
    """What came by a webhook, or its history, since then and by no activity list, by key."""
    listed = inbox.alias()
    has_partner = exists().where(
        listed.c.event_key.is_not(None),
        listed.c.lane == inbox.c.lane,
        listed.c.event_key == inbox.c.event_key,
        listed.c.subscription_id == subscription_id,
        listed.c.same_as == inbox.c.id,
    )
    found: defaultdict[str, KnownEvents] = defaultdict(list)
    for some in portions(keys):
        statement = (
            select(inbox.c.event_key, inbox.c.id, EVENT_AT)
            .where(
                HAS_KEY,
                inbox.c.lane == ordering_key,
                inbox.c.event_key.in_(some),
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
