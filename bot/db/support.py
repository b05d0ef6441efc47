"""What a report of a bug may hold of a database: counts and words of this program, nothing else.

Nothing that came from outside is passed on: a text is given only if it is one of our own words.
"""

import hmac
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Column, Connection, cast, func, select
from sqlalchemy.types import Text

from bot.database_content import SMALLEST_ID, SupportReport
from bot.db.column_types import EnumText
from bot.db.schema import WANTED
from bot.db.tables import inbox, metadata, outbox
from bot.problems import SendProblem, SendReason
from bot.trace import TraceLine, TraceStep
from bot.work import FallbackLevel, InboxState, OutboxState

FAILURES: Final = 50
EVENTS: Final = 100
OTHER: Final = "other"

Hashed = Callable[[object], str]


def hashing(salt: bytes) -> Hashed:
    """Gives ids other names: the same for the same one, and nobody without the salt knows whose."""
    return lambda id_: hmac.new(salt, str(id_).encode(), "sha256").hexdigest()[:8]


def support_report(connection: Connection, salt: bytes) -> SupportReport:
    """All of it; `salt` is of this report alone."""
    hashed = hashing(salt)
    return SupportReport(
        {
            "version": WANTED,
            "kind": connection.dialect.name,
            "rows": _rows(connection),
            "states": _states(connection),
        },
        _failures(connection, hashed),
        _events(connection, hashed),
    )


def _rows(connection: Connection) -> Mapping[str, int]:
    """How many rows each table has."""
    return {
        table.name: connection.scalar(select(func.count()).select_from(table)) or 0
        for table in metadata.sorted_tables
    }


def _states(connection: Connection) -> Mapping[str, Mapping[str, int]]:
    """How many rows have each word, of all columns that hold words of this program."""
    return {
        f"{column.table.name}.{column.name}": dict(_counted(connection, column))
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, EnumText)
    }


def _counted(connection: Connection, column: Column[Any]) -> Counter[str]:
    assert isinstance(column.type, EnumText)  # noqa: S101
    plain = cast(column, Text)
    counts: Counter[str] = Counter()
    for text, count in connection.execute(select(plain, func.count()).group_by(plain)):
        counts[_word(column.type.kind, text) if text is not None else "none"] += count
    return counts


def _failures(connection: Connection, hashed: Hashed) -> Sequence[Mapping[str, Any]]:
    """The last cards that Discord did not take, or not at once: why."""
    wanted = (
        outbox.c.guild_id,
        outbox.c.channel_id,
        cast(outbox.c.state, Text),
        cast(outbox.c.form, Text),
        outbox.c.created_at,
        outbox.c.last_error,
    )
    failed = select(*wanted).where(outbox.c.last_error.is_not(None))
    rows = connection.execute(failed.order_by(outbox.c.id.desc()).limit(FAILURES))
    return [
        {
            "server": hashed(guild_id),
            "channel": hashed(channel_id),
            "state": _word(OutboxState, state),
            "form": _word(FallbackLevel, form),
            "at": _minute(at),
            **_reason(error),
        }
        for guild_id, channel_id, state, form, at, error in rows
    ]


def _events(connection: Connection, hashed: Hashed) -> Sequence[Mapping[str, Any]]:
    """The last events: the steps of their ways, as words."""
    wanted = (inbox.c.hook_id, cast(inbox.c.state, Text), inbox.c.received_at, inbox.c.trace)
    rows = connection.execute(select(*wanted).order_by(inbox.c.id.desc()).limit(EVENTS))
    return [
        {
            "webhook": hashed(hook_id),
            "state": _word(InboxState, state),
            "at": _minute(at),
            "steps": list(_steps(trace)),
        }
        for hook_id, state, at, trace in rows
    ]


def _reason(stored: str) -> Mapping[str, Any]:
    reason = SendReason.from_stored(stored)
    facts = {} if reason.problem is SendProblem.AS_WRITTEN else _numbers(reason.facts)
    return {"why": reason.problem.value, **facts}


def _steps(trace: Any) -> Iterator[Mapping[str, Any]]:
    for data in trace if isinstance(trace, list) else ():
        try:
            line = TraceLine.from_json(data)
        except (ValueError, TypeError):
            continue
        facts = line.facts if isinstance(line.facts, dict) else {}
        yield {"step": _word(TraceStep, line.step), **_numbers(facts)}


def _numbers(facts: Mapping[str, Any]) -> Mapping[str, int | float]:
    """What is a number, and too small for an id of Discord."""
    return {
        name: value
        for name, value in facts.items()
        if isinstance(value, int | float) and -1 <= value < SMALLEST_ID and name in FACTS
    }


# Names of facts that hold a status, a time or a size.
FACTS: Final = frozenset({"status", "code", "within_s", "tries", "count", "bytes"})


def _word(kind: type[StrEnum], text: Any) -> str:
    return text if text in kind._value2member_map_ else OTHER


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
