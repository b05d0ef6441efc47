"""All tables of one database into another, of whichever kind, with the rows counted.

Values stay what they are: sealed ones sealed, JSON the same text, ids and their counters the same.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
    text,
)
from sqlalchemy.types import TypeEngine, UserDefinedType

from bot.database_content import TableRows
from bot.db.column_types import CleanText, EnumText, JsonValue
from bot.db.tables import key_values, metadata
from bot.errors import CopyProblem, DatabaseCopyError

ROWS_AT_ONCE: Final = 500
COUNTERS: Final = Table("sqlite_sequence", MetaData(), Column("name", Text))  # SQLite's own
SMALL_BYTES: Final = 128 * 1024
SMALL_BLOBS_AT_ONCE: Final = 100


class JsonText(UserDefinedType[str]):
    """JSON as the text that is stored, which nothing here reads."""

    cache_ok = True

    def get_col_spec(self, **_kw: Any) -> str:
        """The kind of the column."""
        return "JSON"

    def column_expression(self, colexpr: Any) -> Any:
        """Read it as text from PostgreSQL too."""
        return cast(colexpr, Text)


def copy_tables(source: Connection, target: Connection) -> Sequence[TableRows]:
    """Copy all rows into tables that hold none, each table's rows counted on both sides.

    Each side is in a transaction, and sees one moment. Errors: DatabaseCopyError where they differ.
    """
    return [_copy(source, target, one) for one in metadata.sorted_tables]


def holds_rows(connection: Connection) -> bool:
    """Whether there is anything in it that a bot would miss."""
    tables = [one for one in metadata.sorted_tables if one is not key_values]
    return bool(connection.scalar(select(or_(*(select(each).exists() for each in tables)))))


def empty_tables(connection: Connection) -> None:
    """Delete all rows."""
    for one in reversed(metadata.sorted_tables):
        connection.execute(delete(one))


def lock_tables(connection: Connection, mode: str) -> None:
    """Have other transactions of a PostgreSQL wait for this one before they use the tables so."""
    names = ", ".join(one.name for one in metadata.sorted_tables)
    connection.execute(text(f"LOCK {names} IN {mode} MODE"))


def _copy(source: Connection, target: Connection, table: Table) -> TableRows:
    plain = Table(table.name, MetaData(), *(_plain(column) for column in table.columns))
    for rows, at_once in _parts(plain):
        options = {"stream_results": True, "yield_per": at_once}
        with source.execute(rows, execution_options=options) as found:
            for some in found.mappings().partitions():
                target.execute(insert(plain), [dict(row) for row in some])
    count = select(func.count()).select_from(plain)
    there, here = source.scalar(count), target.scalar(count)
    if there != here:
        raise DatabaseCopyError(CopyProblem.COUNTS_DIFFER, f"{table.name}: {there}, {here}")
    if table.autoincrement_column is not None:
        _count_on(target, table.name, _counted_to(source, table.name))
    return TableRows(table.name, here or 0)


def _parts(plain: Table) -> Iterator[tuple[Select[Any], int]]:
    """What is read of a table, and how many rows of it are in memory together.

    What is large is read on its own, one by one: a body may have 25 MiB.
    """
    blob = next((one for one in plain.columns if isinstance(one.type, LargeBinary)), None)
    if blob is None:
        yield select(plain), ROWS_AT_ONCE
        return
    yield select(plain).where(func.length(blob) <= SMALL_BYTES), SMALL_BLOBS_AT_ONCE
    yield select(plain).where(func.length(blob) > SMALL_BYTES), 1


def _plain(column: Column[Any]) -> Column[Any]:
    """The same column, without what the bot makes of its values."""
    kind: TypeEngine[Any] = column.type
    if isinstance(kind, JsonValue | JSON):
        kind = JsonText()
    elif isinstance(kind, EnumText):
        kind = CleanText()
    return Column(column.name, kind)


def _counted_to(connection: Connection, table: str) -> int:
    """The last id that was given in a table, also if its row is gone; 0 if there was none."""
    if connection.dialect.name == "sqlite":
        found = connection.scalar(
            text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table}
        )
        return found or 0
    named = {"name": table}
    sequence = connection.scalar(text("SELECT pg_get_serial_sequence(:name, 'id')"), named)
    # A part of the statement, as a parameter cannot name a sequence; the server said its name.
    row = connection.exec_driver_sql(f"SELECT last_value, is_called FROM {sequence}").one()  # noqa: S608
    return int(row.last_value) if row.is_called else 0


def _count_on(connection: Connection, name: str, last: int) -> None:
    """Have ids go on behind the last one."""
    values = {"name": name, "last": last}
    if connection.dialect.name == "sqlite":
        connection.execute(delete(COUNTERS).where(COUNTERS.c.name == name))
        connection.execute(text("INSERT INTO sqlite_sequence VALUES (:name, :last)"), values)
        return
    connection.execute(
        text("SELECT setval(pg_get_serial_sequence(:name, 'id'), greatest(:last, 1), :last > 0)"),
        values,
    )
