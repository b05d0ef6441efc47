"""What is listened to: which projects, through whose accounts, and until when they were read."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select, update

from bot.db.remembered_projects import RememberedProjects
from bot.db.rows import value_of
from bot.db.session import Session
from bot.db.tables import hooks, inbox, subscriptions
from bot.model import HookState, HookTrouble, SubscriptionState, own_ordering_key
from bot.work import Listened, ToldEntry

IS_LISTENED_TO = and_(
    hooks.c.listens,
    hooks.c.state != HookState.CLOSED,
    hooks.c.trouble.is_distinct_from(HookTrouble.PROJECT_GONE),
    subscriptions.c.account_id.is_not(None),
    subscriptions.c.state == SubscriptionState.ACTIVE,
)
LISTENED = (
    select(
        subscriptions.c.id.label("subscription_id"),
        subscriptions.c.account_id,
        subscriptions.c.hook_id,
        hooks.c.server_url,
        hooks.c.project_id,
        subscriptions.c.listened_until,
        hooks.c.webhook_sealed.is_not(None).label("made"),
    )
    .join(hooks, hooks.c.id == subscriptions.c.hook_id)
    .where(IS_LISTENED_TO)
    .order_by(subscriptions.c.id)
)


class Listening:
    """Reads and writes it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> list[Listened]:
        """All that is listened to, oldest subscription first; not while it is paused."""
        rows = self._session.execute(LISTENED).mappings().all()
        return [value_of(Listened, row) for row in rows]

    def told(self, hook_ids: Collection[int], most: int) -> Counter[ToldEntry]:
        """What was last taken in from lists through these hooks, at most so much of each."""
        found: Counter[ToldEntry] = Counter()
        for hook_id in sorted(hook_ids):
            rows = (
                select(inbox.c.subscription_id, inbox.c.event_name, inbox.c.happened_at)
                .where(inbox.c.lane == own_ordering_key(hook_id))
                .order_by(inbox.c.id.desc())
                .limit(most)
            )
            found.update(tuple(row) for row in self._session.execute(rows))
        return found

    def read_until(self, subscription_ids: Collection[int], until: datetime) -> None:
        """Note until when, by the server's clock, a project's lists were read for these."""
        move_on(self._session, subscriptions.c.id.in_(subscription_ids), until)

    def begin(self, subscription_id: int, at: datetime) -> None:
        """Listen from that time on, by the server's clock, or later; what was before is passed."""
        self.read_until([subscription_id], at)
        RememberedProjects(self._session).forget(subscription_id)

    def end(self, hook_id: int) -> None:
        """A webhook brings its events from now on."""
        self._session.execute(update(hooks).where(hooks.c.id == hook_id).values(listens=False))
        mine = subscriptions.c.hook_id == hook_id
        self._session.execute(update(subscriptions).where(mine).values(listened_until=None))
        RememberedProjects(self._session).forget_hook(hook_id)


def move_on(session: Session, which: ColumnElement[bool], until: datetime) -> None:
    """Note until when the lists were read; never an earlier time than before."""
    earlier = or_(subscriptions.c.listened_until.is_(None), subscriptions.c.listened_until < until)
    session.execute(update(subscriptions).where(which, earlier).values(listened_until=until))
