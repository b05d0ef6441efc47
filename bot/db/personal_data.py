"""Where a person is named outside their accounts: counted and erased, in kept texts too."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    String,
    cast,
    delete,
    func,
    select,
    type_coerce,
    union,
    update,
)

from bot.audit import ActorKind, AuditAction, AuditActor
from bot.db.audit_log import record
from bot.db.column_types import JsonValue
from bot.db.engine import Database
from bot.db.session import Session
from bot.db.tables import (
    audit_channels,
    audit_log,
    channel_queues,
    hooks,
    inbox,
    link_requests,
    notices,
    outbox,
    pending_commands,
    subscriptions,
)
from bot.model import NOBODY, PauseReason

PORTION_ROWS = 5_000  # read at once, while others write
STEP_ROWS = 100  # changed in one transaction


@dataclass(frozen=True, slots=True)
class PersonalColumn:
    """One column of texts, or of JSON, that may name people."""

    key: Column[Any]
    text: Column[Any]


PERSONAL_COLUMNS = (
    PersonalColumn(inbox.c.id, inbox.c.trace),
    PersonalColumn(outbox.c.id, outbox.c.card),
    PersonalColumn(outbox.c.id, outbox.c.last_error),
    PersonalColumn(channel_queues.c.channel_id, channel_queues.c.last_error),
    # Who gave an answer, and who was let into the channel by name: that one no longer covers them.
    PersonalColumn(subscriptions.c.id, subscriptions.c.consent),
)


class PersonalTraces:
    """Where a person is named, other than accounts; `forget_hooks` is called when hooks changed."""

    def __init__(self, session: Session, forget_hooks: Callable[[], None]) -> None:
        self._session = session
        self._forget_hooks = forget_hooks

    def erase(self, discord_user_id: int) -> None:
        """Erase where else a person is named: what they have begun, notices to them, who made what.

        Their subscriptions and hooks stay, and so do answers that they gave; nobody in particular
        made and gave them then.
        """
        self._audit(discord_user_id)
        theirs = subscriptions.c.pause_detail == str(discord_user_id)
        mention = f"<@{discord_user_id}>"
        for table, column in (
            (link_requests, link_requests.c.discord_user_id),
            (pending_commands, pending_commands.c.discord_user_id),
            (notices, notices.c.user_id),
        ):
            self._session.execute(delete(table).where(column == discord_user_id))
        for made in (hooks, subscriptions):
            change = update(made).where(made.c.created_by == discord_user_id)
            self._session.execute(change.values(created_by=NOBODY))
        self._session.execute(
            update(subscriptions)
            .where(subscriptions.c.pause_reason == PauseReason.MEMBER, theirs)
            .values(pause_detail=None)
        )
        for detail in (subscriptions.c.pause_detail, notices.c.detail):
            named = update(detail.table).where(detail.contains(mention, autoescape=True))
            without = func.replace(detail, mention, "somebody")
            self._session.execute(named.values({detail: without}))
        self._session.at_end(self._forget_hooks)

    def _audit(self, discord_user_id: int) -> None:
        """Note the erasure where something of theirs stays, and who it was nowhere."""
        self._session.by = AuditActor(ActorKind.PERSON)
        made = (hooks, subscriptions)
        in_guilds = union(
            *(select(one.c.guild_id).where(one.c.created_by == discord_user_id) for one in made)
        )
        for guild_id in sorted(self._session.scalars(in_guilds)):
            record(self._session, AuditAction.ERASED, guild_id)
        theirs = update(audit_log).where(audit_log.c.actor_id == discord_user_id)
        self._session.execute(theirs.values(actor_id=None))
        chose = update(audit_channels).where(audit_channels.c.set_by == discord_user_id)
        self._session.execute(chose.values(set_by=NOBODY))

    def count(self, discord_user_id: int) -> Mapping[str, int]:
        """How many rows name a person, by table; of subscriptions also what else names them."""
        counted = {"answers": self._answers(discord_user_id)}
        for column in (
            link_requests.c.discord_user_id,
            pending_commands.c.discord_user_id,
            notices.c.user_id,
            hooks.c.created_by,
            subscriptions.c.created_by,
            audit_log.c.actor_id,
            audit_channels.c.set_by,
        ):
            table = column.table
            rows = select(func.count()).select_from(table).where(column == discord_user_id)
            counted[table.name] = self._session.scalar(rows) or 0
        paused = subscriptions.c.pause_detail == str(discord_user_id)
        by_them = (subscriptions.c.pause_reason == PauseReason.MEMBER, paused)
        rows = select(func.count()).select_from(subscriptions).where(*by_them)
        return counted | {"paused": self._session.scalar(rows) or 0}

    def _answers(self, discord_user_id: int) -> int:
        """Answers to who sees a project: those that they gave, or that cover them by name."""
        text = cast(subscriptions.c.consent, String)
        naming = select(subscriptions.c.consent).where(text.contains(str(discord_user_id)))
        found = (one for one in self._session.scalars(naming) if one is not None)
        return sum(
            one.by == discord_user_id
            or (one.audience is not None and discord_user_id in one.audience.members)
            for one in found
        )


async def erase_from_texts(
    database: Database, discord_user_id: int, portion_rows: int = PORTION_ROWS
) -> None:
    """Let nothing that is kept name this person, in small steps; again after a kill does no harm.

    Errors: StorageUnavailable.
    """
    for place in PERSONAL_COLUMNS:
        low: Any = None
        while True:
            low, rows = await database.read(
                partial(
                    _naming,
                    place=place,
                    name=str(discord_user_id),
                    after=low,
                    portion_rows=portion_rows,
                )
            )
            if low is None:
                break
            for start in range(0, len(rows), STEP_ROWS):
                some = rows[start : start + STEP_ROWS]
                await database.write(
                    partial(_change, place=place, rows=some, discord_user_id=discord_user_id)
                )


def _naming(
    session: Session, place: PersonalColumn, name: str, after: Any, portion_rows: int
) -> tuple[Any, Sequence[tuple[Any, str]]]:
    """The last key of the next portion of all rows, and the rows in it that hold the name.

    The key is None where there are no more.
    """
    text = cast(place.text, String)
    next_ones = select(place.key.label("key")).order_by(place.key).limit(portion_rows)
    portion = (next_ones if after is None else next_ones.where(place.key > after)).subquery()
    ends = select(func.min(portion.c.key), func.max(portion.c.key))
    first, last = session.execute(ends).one()
    if last is None:
        return None, ()
    named = select(place.key, text).where(place.key.between(first, last), text.contains(name))
    return last, [(row[0], row[1]) for row in session.execute(named)]


def _change(
    session: Session, place: PersonalColumn, rows: Sequence[tuple[Any, str]], discord_user_id: int
) -> None:
    is_json = isinstance(place.text.type, JSON | JsonValue)
    for key, text in rows:
        without = unnamed(text, discord_user_id)
        value = type_coerce(json.loads(without), JSON()) if is_json else without
        # Unless it was changed meanwhile: what is written now no longer names the person.
        same = (place.key == key, cast(place.text, String) == text)
        session.execute(update(place.text.table).where(*same).values({place.text: value}))


def unnamed(text: str, discord_user_id: int) -> str:
    """The text without this person: mentions become "somebody", the bare id that of nobody."""
    text = re.sub(rf"<@!?{discord_user_id}>", "somebody", text)
    return re.sub(rf"(?<!\d){discord_user_id}(?!\d)", str(NOBODY), text)
