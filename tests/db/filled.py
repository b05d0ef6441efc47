"""A database with rows in every table, of the worst values that strangers can bring in."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, Date, Integer, LargeBinary, Table, select

from bot.db.column_types import EnumText, JsonValue, UtcDateTime
from bot.db.connections import parse_url
from bot.db.engine import Database
from bot.db.tables import key_values, metadata
from bot.model import Consent, Entitlement
from bot.speckle.subscription_options import SubscriptionOptions
from bot.work import BatchState

ROWS = 3
LARGEST = 2**63 - 1
AT = datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)
UNIQUE_WITH = {
    "accounts": ["discord_user_id"],
    "subscriptions": ["channel_id"],
    "fill_ins": ["subscription_id"],
    "outbox": ["subscription_id"],
}
TEXTS = (
    "nul \0 in the middle",
    "half a pair \ud83d and the other \ude00",
    "🏗️ 𝔘𝔫𝔦 \u202e ' \" \\ %s ${x} \n\t\r\x7f",
)
BLOBS = (b"", bytes(range(256)) * 4, b"\0" * 300_000)
JSONS = (
    {"title": TEXTS[0], "n": [1, -0.5, 10**20, None, True], "": {}},
    [TEXTS[1], 0, "0"],
    {TEXTS[2]: TEXTS[2]},
)


async def fill(url: str, name: str = "") -> None:
    """Fill every table; the last ids of each are given to rows that are gone.

    `name` is in every text, every JSON and every blob.
    """
    async with Database.open(parse_url(url)) as database:
        with database.writing() as session:
            for table in metadata.sorted_tables:
                counts = table.autoincrement_column is not None
                names = [one for one in table.columns if not counts or one.name != "id"]
                rows = [
                    {one.name: _value(one, number, name) for one in names} for number in range(ROWS)
                ]
                if not counts:
                    session.insert_all(table, rows)
                    continue
                session.insert_in_order(table, rows)
                session.insert_in_order(table, [_one_more(table)])
                session.execute(table.delete().where(table.c.id > ROWS))


async def rows_of(url: str) -> dict[str, list[Any]]:
    """All rows of all tables, but for the small values of a bot's process."""
    async with Database.open(parse_url(url)) as database:
        with database.reading() as session:
            return {
                table.name: [
                    tuple(row)
                    for row in session.execute(select(table).order_by(*table.primary_key.columns))
                ]
                for table in metadata.sorted_tables
                if table is not key_values
            }


async def next_ids(url: str) -> dict[str, int]:
    """Which id each table would give next."""
    async with Database.open(parse_url(url)) as database:
        with database.writing() as session:
            return {
                table.name: session.insert_in_order(table, [_one_more(table)])[0]
                for table in metadata.sorted_tables
                if table.autoincrement_column is not None
            }


def _one_more(table: Table) -> dict[str, Any]:
    row = {column.name: _value(column, 0) for column in table.columns if column.name != "id"}
    row |= {column.name: _value(column, 7) for column in table.columns if column.unique}
    return row | dict.fromkeys(UNIQUE_WITH.get(table.name, ()), 2)


def _value(column: Column[Any], number: int, name: str = "") -> Any:
    kind = column.type
    if column.nullable and number == 2:
        return None
    if column.foreign_keys:
        (reference,) = column.foreign_keys
        return _value(reference.column, number, name)
    if isinstance(kind, EnumText):
        members = tuple(kind.kind.__members__.values())
        return (
            BatchState.CLOSED if members[0] is BatchState.OPEN else members[number % len(members)]
        )
    if isinstance(kind, Boolean):
        return number % 2 == 0
    if isinstance(kind, UtcDateTime):
        return AT + timedelta(days=number)
    if isinstance(kind, Date):
        return date(2026, 2, 27) + timedelta(days=number)
    if isinstance(kind, JsonValue):
        return _json_value(kind.kind)
    if isinstance(kind, JSON):
        return {name: [name, JSONS[number % 3]]} if name else JSONS[number % 3]
    if isinstance(kind, LargeBinary):
        return name.encode() + BLOBS[number % 3]
    if isinstance(kind, BigInteger) and column.name != "id":
        return LARGEST - number
    if isinstance(kind, Integer):
        return number + 1
    return f"{number} {name} {TEXTS[number % 3]}"


def _json_value(kind: type[Any]) -> Any:
    options = SubscriptionOptions()
    return options if kind is SubscriptionOptions else Consent(1, AT, Entitlement.READER, options)
