"""Webhooks by hand that send nothing of what their projects' lists have: deleted, or switched off.

Nobody may look at such a webhook in Speckle, so it is known by what it leaves out alone.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update

from bot.db.session import Session
from bot.db.tables import hooks, inbox
from bot.model import HookKind, HookState, HookTrouble, InboxSource

LOOK_BACK = timedelta(days=1)
# The lists are read hourly: what is found later than that was missed while the bot was down.
IN_TIME = timedelta(minutes=70)
# So that two looks in a row, an hour apart, found something.
APART = timedelta(minutes=50)


class SilentWebhooks:
    """Finds them in the inbox."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def note(self) -> list[int]:
        """Note the trouble of those that are silent; gives the ids of their hooks."""
        found = [hook_id for hook_id, times in self._read_from_lists() if _is_silent(times)]
        now = self._session.now()
        values = {"trouble": HookTrouble.NOT_ARRIVING, "trouble_since": now}
        values["trouble_told_at"] = None
        self._session.execute(update(hooks).where(hooks.c.id.in_(found)).values(values))
        return found

    def _read_from_lists(self) -> Sequence[tuple[int, Sequence[datetime]]]:
        """When events since a webhook's last one were found in lists, in time, by hook."""
        statement = (
            select(inbox.c.hook_id, inbox.c.received_at, inbox.c.happened_at)
            .join(hooks, hooks.c.id == inbox.c.hook_id)
            .where(
                hooks.c.kind == HookKind.OWN,
                hooks.c.webhook_sealed.is_(None),
                hooks.c.state == HookState.LIVE,
                hooks.c.trouble.is_(None),
                inbox.c.source == InboxSource.ACTIVITY,
                inbox.c.same_as.is_(None),
                inbox.c.received_at >= self._session.now() - LOOK_BACK,
                inbox.c.happened_at > hooks.c.last_event_at,
            )
        )
        times: defaultdict[int, list[datetime]] = defaultdict(list)
        for hook_id, received_at, happened_at in self._session.execute(statement):
            if received_at - happened_at <= IN_TIME:
                times[hook_id].append(received_at)
        return list(times.items())


def _is_silent(times: Sequence[datetime]) -> bool:
    return max(times) - min(times) >= APART
