"""What channels were shown of issues: their events only hint at it, and may hint at it twice."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain

from sqlalchemy import ColumnElement, func, or_, select, true, update

from bot.db.session import Session
from bot.db.tables import HAS_SUBJECT, inbox, outbox
from bot.speckle.event_subjects import PLAIN
from bot.trace import TraceLine, TraceStep
from bot.work import (
    DUPLICATE_WITHIN,
    EventResult,
    HookResult,
    SubscriptionResult,
)

Shown = dict[tuple[int, str], int | None]  # rows of the inbox by subscription and subject


def newest_subjects(
    session: Session,
    ordering_key: str,
    beginnings: Sequence[str],
    before_id: int,
    below: str | None = None,
) -> list[str]:
    """How the last subjects of earlier events go on that begin in these ways."""
    found = []
    for one in beginnings:
        rest = func.substr(inbox.c.subject, len(one) + 1)
        statement = select(func.max(rest)).where(
            HAS_SUBJECT,
            inbox.c.lane == ordering_key,
            func.substr(inbox.c.subject, 1, len(one)) == one,
            inbox.c.id < before_id,
            rest < below if below is not None else true(),
        )
        found.append(session.scalar(statement))
    return [rest for rest in found if rest is not None]


def without_repeats(
    session: Session, results: Sequence[EventResult], now: datetime
) -> Sequence[EventResult]:
    """The results, in their order, without cards of what their channels were shown already."""
    with_subject = [
        one
        for result in results
        for of_hook in result.of_hooks
        for one in of_hook.results
        if one.card is not None and one.subject is not None
    ]
    if not with_subject:
        return results
    shown = _shown(session, with_subject, now)
    return [_without_repeats(result, shown, now) for result in results]


def is_shown(
    session: Session, subscription_id: int, subject: str, besides: int | None, now: datetime
) -> bool:
    """Whether a subscription was shown a subject, by another event than this one."""
    statement = select(outbox.c.id).where(
        outbox.c.subscription_id == subscription_id,
        outbox.c.subject == subject,
        outbox.c.inbox_id.is_distinct_from(besides),
        _counts(now),
    )
    return session.scalar(statement.limit(1)) is not None


def note_subject(session: Session, inbox_id: int, subject: str) -> None:
    """Keep what an event turned out to be about."""
    if PLAIN in subject:
        return
    this = (inbox.c.id == inbox_id, inbox.c.subject.is_(None))
    session.execute(update(inbox).where(*this).values(subject=subject))


def _counts(now: datetime) -> ColumnElement[bool]:
    """Equal events of which nothing more is known are the same only within a minute."""
    return or_(~outbox.c.subject.contains(PLAIN), outbox.c.created_at > now - DUPLICATE_WITHIN)


def _shown(session: Session, results: Sequence[SubscriptionResult], now: datetime) -> Shown:
    statement = select(outbox.c.subscription_id, outbox.c.subject, outbox.c.inbox_id).where(
        outbox.c.subscription_id.in_({one.subscription_id for one in results}),
        outbox.c.subject.in_({one.subject for one in results}),
        _counts(now),
    )
    return {(row[0], row[1]): row[2] for row in session.execute(statement)}


def _without_repeats(result: EventResult, shown: Shown, now: datetime) -> EventResult:
    of_hooks: list[HookResult] = []
    lines: list[TraceLine] = []
    for of_hook in result.of_hooks:
        kept = []
        for one in of_hook.results:
            repeat = _repeats(one, result.inbox_id, shown)
            if repeat:
                facts = {"subscription_id": one.subscription_id}
                lines.append(TraceLine(now, "route", TraceStep.SHOWN_BEFORE, facts))
            kept.append(replace(one, card=None, late={}) if repeat else one)
        of_hooks.append(replace(of_hook, results=kept))
    return replace(result, of_hooks=of_hooks, trace=tuple(chain(result.trace, lines)))


def _repeats(one: SubscriptionResult, inbox_id: int, shown: Shown) -> bool:
    if one.card is None or one.subject is None:
        return False
    key = (one.subscription_id, one.subject)
    return shown.setdefault(key, inbox_id) != inbox_id
