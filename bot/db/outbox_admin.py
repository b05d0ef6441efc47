"""Cards for the operator: the state of each, send it again, or delete it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, func, select, update

from bot.audit import AuditAction
from bot.db.audit_log import record
from bot.db.channel_queues import make_due
from bot.db.rows import value_of
from bot.db.session import Session
from bot.db.tables import (
    IS_OPEN,
    batches,
    channel_queues,
    discord_names,
    guilds,
    hooks,
    outbox,
    subscriptions,
)
from bot.lookups import (
    CardFilter,
    CardStatus,
    OutboxActionResult,
)
from bot.model import PauseReason
from bot.problems import SendReason
from bot.work import FallbackLevel, OutboxState

CARDS_A_TRANSACTION = 200
GUILD_NAMES = discord_names.alias("guild_names")
CHANNEL_NAMES = discord_names.alias("channel_names")


class OutboxAdmin:
    """Reads the state of cards and changes it, while a bot is at work."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._now = session.now

    def newest(self, wanted: CardFilter, limit: int) -> Sequence[CardStatus]:
        """The newest of these cards."""
        return self._read(and_(*_conditions(wanted)), limit)

    def count(self, wanted: CardFilter) -> int:
        """How many such cards there are."""
        statement = select(func.count()).select_from(outbox).where(*_conditions(wanted))
        return self._session.scalar(statement) or 0

    def failing(self, since: datetime) -> tuple[Sequence[SendReason], int]:
        """Why channels have got nothing since then or longer; and how many have something due."""
        due = channel_queues.c.due_at.is_not(None)
        failed = select(channel_queues.c.last_error).where(
            due, channel_queues.c.first_failed_at <= since, channel_queues.c.last_error.is_not(None)
        )
        count = select(func.count()).select_from(channel_queues).where(due)
        reasons = [SendReason.from_stored(error) for error in self._session.scalars(failed)]
        return reasons, self._session.scalar(count) or 0

    def ids(self, wanted: CardFilter) -> Sequence[int]:
        """The ids of all these cards, the oldest first."""
        statement = select(outbox.c.id).where(*_conditions(wanted)).order_by(outbox.c.id)
        return [*self._session.scalars(statement)]

    def get(self, ids: Sequence[int]) -> Sequence[CardStatus]:
        """Those of these cards that are there, the newest first."""
        read = [self._read(outbox.c.id.in_(some)) for some in lots(ids)]
        return sorted((card for lot in read for card in lot), key=lambda card: -card.id)

    def retry(self, ids: Sequence[int]) -> Mapping[int, OutboxActionResult]:
        """Let undeliverable cards wait again, whole, in their old place; try waiting ones now.

        A waiting card that is held stays as it is, and so does the batch that it may be in.
        """
        cards = _held(self._session, ids)
        given_up = [card for card in cards if card.state is OutboxState.UNDELIVERABLE]
        waiting = [card for card in cards if card.state is OutboxState.WAITING]
        self._session.execute(
            update(outbox)
            .where(outbox.c.id.in_([card.id for card in given_up]))
            .values(
                state=OutboxState.WAITING,
                form=FallbackLevel.FULL,
                batch_id=None,
                gave_up_at=None,
                last_error=None,
            )
        )
        _audit(self._session, AuditAction.CARDS_RETRIED, [*given_up, *waiting])
        _forget_suspects(self._session, given_up)
        guild_of = {c.channel_id: c.guild_id for c in (*given_up, *waiting) if not c.held}
        make_due(self._session, guild_of, self._now(), at_once=True)
        return _absent(ids) | {card.id: _retried(card) for card in cards}

    def drop(self, ids: Sequence[int]) -> Mapping[int, OutboxActionResult]:
        """Delete cards that are not sent, and whose message is not on its way either."""
        return _drop(self._session, ids)

    def _read(self, condition: ColumnElement[bool], limit: int | None = None) -> list[CardStatus]:
        return statuses(self._session, condition, limit)


def _conditions(wanted: CardFilter) -> Iterator[ColumnElement[bool]]:
    yield outbox.c.state.in_(wanted.states)
    if wanted.guild_id is not None:
        yield outbox.c.guild_id == wanted.guild_id
    if wanted.channel_id is not None:
        yield outbox.c.channel_id == wanted.channel_id
    if wanted.since is not None:
        since = func.coalesce(outbox.c.sent_at, outbox.c.gave_up_at, outbox.c.created_at)
        yield since >= wanted.since


def _retried(card: CardStatus) -> OutboxActionResult:
    match card.state:
        case OutboxState.UNDELIVERABLE:
            return OutboxActionResult.REQUEUED
        case OutboxState.WAITING:
            return OutboxActionResult.HELD if card.held else OutboxActionResult.HASTENED
        case OutboxState.SENT:
            return OutboxActionResult.SENT


def _drop(session: Session, ids: Sequence[int]) -> dict[int, OutboxActionResult]:
    done = _absent(ids)
    droppable = []
    for card in _held(session, ids):
        if card.state is OutboxState.SENT:
            done[card.id] = OutboxActionResult.SENT
        elif card.in_flight:
            done[card.id] = OutboxActionResult.IN_FLIGHT
        else:
            done[card.id] = OutboxActionResult.DROPPED
            droppable.append(card)
    _audit(session, AuditAction.CARDS_DROPPED, droppable)
    session.execute(delete(outbox).where(outbox.c.id.in_([c.id for c in droppable])))
    _forget_suspects(session, droppable)
    return done


def _audit(session: Session, action: AuditAction, cards: Sequence[CardStatus]) -> None:
    """Note for each channel how many of its cards this was done to."""
    for (guild_id, channel_id), count in Counter(
        (card.guild_id, card.channel_id) for card in cards
    ).items():
        record(session, action, guild_id, channel_id=channel_id, cards=count)


def _held(session: Session, ids: Sequence[int]) -> list[CardStatus]:
    """The cards as they are once nobody else may change their queues any more."""
    channels = select(outbox.c.channel_id).where(outbox.c.id.in_(ids))
    session.execute(
        select(channel_queues.c.channel_id)
        .where(channel_queues.c.channel_id.in_(channels))
        .order_by(channel_queues.c.channel_id)  # so that two transactions never wait for each other
        .with_for_update()
    )
    return statuses(session, outbox.c.id.in_(ids))


def _forget_suspects(session: Session, cards: Sequence[CardStatus]) -> None:
    """Another card is the head of these queues now, so the one at fault is to be found again."""
    changed = channel_queues.c.channel_id.in_({card.channel_id for card in cards})
    session.execute(update(channel_queues).where(changed).values(suspects=0))


def statuses(
    session: Session, condition: ColumnElement[bool], limit: int | None = None
) -> list[CardStatus]:
    """The state of the cards that meet a condition, the newest first."""
    statement = _status().where(condition).order_by(outbox.c.id.desc()).limit(limit)
    return [_card_status(row) for row in session.execute(statement).mappings()]


def _status() -> Select[Any]:
    open_batch = and_(batches.c.id == outbox.c.batch_id, IS_OPEN)
    queue = channel_queues.c.channel_id == outbox.c.channel_id
    return (
        select(
            outbox,
            hooks.c.project_id,
            hooks.c.project_name,
            batches.c.id.is_not(None).label("in_flight"),
            guilds.c.left_at.is_not(None).label("bot_left"),
            subscriptions.c.pause_reason,
            channel_queues.c.due_at,
            channel_queues.c.attempts,
            channel_queues.c.last_error.label("channel_error"),
            GUILD_NAMES.c.name.label("guild_name"),
            CHANNEL_NAMES.c.name.label("channel_name"),
        )
        .join(subscriptions, subscriptions.c.id == outbox.c.subscription_id)
        .join(hooks, hooks.c.id == subscriptions.c.hook_id)
        .join(guilds, guilds.c.guild_id == hooks.c.guild_id)
        .outerjoin(batches, open_batch)
        .outerjoin(channel_queues, queue)
        .outerjoin(GUILD_NAMES, GUILD_NAMES.c.id == outbox.c.guild_id)
        .outerjoin(CHANNEL_NAMES, CHANNEL_NAMES.c.id == outbox.c.channel_id)
    )


def _card_status(row: Mapping[Any, Any]) -> CardStatus:
    return value_of(
        CardStatus,
        row,
        level=row["form"],
        title=str(row["card"].get("title") or ""),
        first_line=_first_line(row["card"]),
        error=row["last_error"],
        pause=_holding(row["pause_reason"]),
        attempts=row["attempts"] or 0,
    )


def _first_line(card: Mapping[str, Any]) -> str:
    """The first line of what people wrote, which stands in a quote; notes of the bot do not."""
    first = str(card.get("description") or "").partition("\n")[0]
    return first.removeprefix("> ") if first.startswith("> ") else ""


def _holding(reason: PauseReason | None) -> PauseReason | None:
    """The pause, unless cards go out in spite of it: the last one says that the project is gone."""
    return None if reason is PauseReason.PROJECT_DELETED else reason


def _absent(ids: Sequence[int]) -> dict[int, OutboxActionResult]:
    return dict.fromkeys(ids, OutboxActionResult.ABSENT)


def lots(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """The cards in lots of one transaction each."""
    for start in range(0, len(ids), CARDS_A_TRANSACTION):
        yield ids[start : start + CARDS_A_TRANSACTION]
