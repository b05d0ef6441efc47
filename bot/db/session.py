"""One transaction: its connection, and what is written the same way whichever database it is."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import (
    Connection,
    CursorResult,
    Dialect,
    Executable,
    ScalarResult,
    Table,
    insert,
)
from sqlalchemy.dialects import sqlite

from bot.audit import BY_BOT
from bot.db.rows import Row

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

    Insert: TypeAlias = sqlite.Insert | postgresql.Insert
else:
    Insert = sqlite.Insert  # PostgreSQL's has the same methods, and is slow to load

SQLITE_ROWS_A_STATEMENT = 1_000  # SQLite takes 32,766 values in one

NewInsert = Callable[[Table], Insert]


class Session:
    """Runs statements in one transaction, in the thread that it belongs to.

    `by` is who changes something in it, for the audit log.
    """

    def __init__(self, connection: Connection, now: Callable[[], datetime]) -> None:
        self.connection = connection
        self.by = BY_BOT
        self.now = now
        self.is_sqlite = connection.dialect.name == "sqlite"
        # An INSERT that knows ON CONFLICT, which SQLite and PostgreSQL agree on.
        self.insert: NewInsert = sqlite.insert if self.is_sqlite else _postgresql_insert
        self._at_end: list[Callable[[], None]] = []

    def execute(self, statement: Executable, rows: Any = None) -> CursorResult[*tuple[Any, ...]]:
        """Run a statement, once or for each of some rows."""
        return self.connection.execute(statement, rows)

    def scalar(self, statement: Executable, values: Any = None) -> Any:
        """The first column of the first row; None if there is no row."""
        return self.connection.scalar(statement, values)

    def scalars(self, statement: Executable, values: Any = None) -> ScalarResult[Any]:
        """The first column of each row."""
        return self.connection.scalars(statement, values)

    def insert_in_order(self, table: Table, rows: Sequence[Row]) -> list[int]:
        """Insert rows at once; their ids, ascending in their order.

        On SQLite all rows go in one statement: each gives Python's lock away several times, and a
        busy event loop does not soon give it back.
        """
        if not rows:
            return []
        if not self.is_sqlite:
            statement = insert(table).returning(table.c.id, sort_by_parameter_order=True)
            return list(self.connection.scalars(statement, rows))
        ids: list[int] = []
        for some, result in self._sqlite_inserts(table, rows):
            # AUTOINCREMENT counts up by one, as nobody else writes while the transaction lasts.
            ids += range(result.lastrowid - len(some) + 1, result.lastrowid + 1)
        return ids

    def insert_all(self, table: Table, rows: Sequence[Row]) -> None:
        """Insert rows that bring their keys along, the same way."""
        if not self.is_sqlite:
            if rows:
                self.connection.execute(insert(table), rows)
            return
        for _ in self._sqlite_inserts(table, rows):
            pass

    def seconds_until(self, at: datetime | None) -> float | None:
        """Seconds until then, 0 if that is over; None if there is no such time."""
        return None if at is None else max(0.0, (at - self.now()).total_seconds())

    def at_end(self, do: Callable[[], None]) -> None:
        """Have this done once the transaction is over, committed or not."""
        self._at_end.append(do)

    def ended(self) -> None:
        """The transaction is over."""
        for do in self._at_end:
            do()

    def _sqlite_inserts(
        self, table: Table, rows: Sequence[Row]
    ) -> Iterator[tuple[Sequence[Row], CursorResult[*tuple[Any, ...]]]]:
        """Insert rows, as many a statement as SQLite takes; those and what came of them."""
        for start in range(0, len(rows), SQLITE_ROWS_A_STATEMENT):
            some = rows[start : start + SQLITE_ROWS_A_STATEMENT]
            statement = _sqlite_insert(self.connection.dialect, table, some)
            yield some, self.connection.exec_driver_sql(*statement)


def _postgresql_insert(table: Table) -> "postgresql.Insert":
    from sqlalchemy.dialects import postgresql  # slow to load, and not needed over SQLite

    return postgresql.insert(table)


def _sqlite_insert(
    dialect: Dialect, table: Table, rows: Sequence[Row]
) -> tuple[str, tuple[Any, ...]]:
    """One INSERT of many rows, all with the same columns, and its parameters.

    SQLAlchemy's own takes longer to write down than SQLite to carry out.
    """
    beginning, places, processors = _sqlite_columns(dialect, table, tuple(rows[0]))
    values = [
        value if process is None else process(value)
        for row in rows
        for process, value in zip(processors, row.values(), strict=True)
    ]
    return beginning + ", ".join([places] * len(rows)), tuple(values)


@lru_cache(maxsize=64)
def _sqlite_columns(
    dialect: Dialect, table: Table, names: tuple[str, ...]
) -> tuple[str, str, tuple[Callable[[Any], Any] | None, ...]]:
    """How an INSERT of these columns begins, its places for one row, and what prepares a value."""
    # The names are those of our own tables and columns; what comes from outside is a parameter.
    beginning = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES "  # noqa: S608
    types = [table.c[name].type.dialect_impl(dialect) for name in names]
    processors = tuple(one.bind_processor(dialect) for one in types)
    return beginning, f"({', '.join('?' * len(names))})", processors
