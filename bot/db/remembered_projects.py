"""What was last seen of projects whose server has no activity list, for who listens to them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, select

from bot.db.session import Session
from bot.db.tables import remembered_projects, subscriptions

SEEN_AGAIN: Final = timedelta(hours=1)  # until the same is written down once more, with its time


class RememberedProjects:
    """Reads and writes it, as JSON."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def of(self, subscription_id: int) -> tuple[Mapping[str, Any], datetime] | None:
        """What was seen last for a subscription, and when; None for nothing."""
        table = remembered_projects.c
        statement = select(table.state, table.seen_at).where(
            table.subscription_id == subscription_id
        )
        row = self._session.execute(statement).one_or_none()
        return None if row is None else (row[0], row[1])

    def keep(self, subscription_id: int, state: Mapping[str, Any], at: datetime) -> None:
        """Remember this from now on."""
        known = self.of(subscription_id)
        if known is not None and known[0] == state and at < known[1] + SEEN_AGAIN:
            return
        values = {"state": state, "seen_at": at}
        statement = self._session.insert(remembered_projects)
        self._session.execute(
            statement.on_conflict_do_update(index_elements=["subscription_id"], set_=values),
            [{"subscription_id": subscription_id, **values}],
        )

    def forget(self, subscription_id: int) -> None:
        """Begin with what is there at the next look."""
        mine = remembered_projects.c.subscription_id == subscription_id
        self._session.execute(delete(remembered_projects).where(mine))

    def forget_hook(self, hook_id: int) -> None:
        """The same for all that follow a hook."""
        followers = select(subscriptions.c.id).where(subscriptions.c.hook_id == hook_id)
        these = remembered_projects.c.subscription_id.in_(followers)
        self._session.execute(delete(remembered_projects).where(these))
