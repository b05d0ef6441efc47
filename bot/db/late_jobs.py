"""New jobs that ask a Speckle server again for what cards lack."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import select

from bot.db.session import Insert, NewInsert, Session
from bot.db.tables import SHOWS_VERSION, late_enrichment_jobs, outbox
from bot.work import LateAddition


def put_jobs(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write jobs; one that is there already is due when its row says."""
    if rows:
        session.execute(_put_jobs(session.insert), rows)


@cache
def _put_jobs(insert: NewInsert) -> Insert:
    new = insert(late_enrichment_jobs)
    return new.on_conflict_do_update(
        index_elements=[
            late_enrichment_jobs.c.inbox_id,
            late_enrichment_jobs.c.subscription_id,
            late_enrichment_jobs.c.kind,
        ],
        set_={"next_try_at": new.excluded.next_try_at},
    )


def jobs_for_versions(
    session: Session, events: Sequence[tuple[int, int, Collection[str]]], now: datetime
) -> list[dict[str, Any]]:
    """The jobs that have cards of versions name what is on those, an event and a subscription each.

    There are none where no card shows such a version.
    """
    wanted = {version_id for _, _, versions in events for version_id in versions}
    if not wanted:
        return []
    statement = select(outbox.c.subscription_id, outbox.c.version_id).where(
        SHOWS_VERSION,
        outbox.c.version_id.in_(wanted),
        outbox.c.subscription_id.in_({subscription_id for _, subscription_id, _ in events}),
    )
    there = {tuple(row) for row in session.execute(statement)}
    return [
        {
            "inbox_id": inbox_id,
            "subscription_id": subscription_id,
            "kind": LateAddition.OPENED,
            "created_at": now,
            "next_try_at": now,
        }
        for inbox_id, subscription_id, versions in events
        if any((subscription_id, version_id) in there for version_id in versions)
    ]
