"""Everything that waits for a time to come, in one place: for when this machine's clock is set."""

from datetime import timedelta

from sqlalchemy import update

from bot.db.session import Session
from bot.db.tables import channel_queues, edits, late_enrichment_jobs, notices, webhook_removals

DUE_TIMES = (
    channel_queues.c.due_at,
    edits.c.next_try_at,
    late_enrichment_jobs.c.next_try_at,
    notices.c.next_try_at,
    webhook_removals.c.next_try_at,
)


class DueTimes:
    """Changes when things are due."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._now = session.now

    def shorten(self, longest: timedelta) -> int:
        """What is to wait longer than that is due now; how many they were."""
        now = self._now()
        changed = 0
        for due_at in DUE_TIMES:
            late = update(due_at.table).where(due_at > now + longest)
            changed += self._session.execute(late.values({due_at.name: now})).rowcount
        return changed
