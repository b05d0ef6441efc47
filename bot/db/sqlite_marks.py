"""A mark in an SQLite database that only goes up, so that an older copy is known from a newer one.

It is raised each time that the whole log is copied into the file.
"""

import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import select

from bot.db.session import Session
from bot.db.tables import key_values

MARK_KEY = "storage.mark"


@dataclass(frozen=True, slots=True)
class CopyMark:
    """How far a database has come; `line` is the same for all copies of one database."""

    line: str
    number: int

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """What `str` gave; None for anything else."""
        line, colon, number = (text or "").strip().partition(":")
        return cls(line, int(number)) if colon and number.isascii() and number.isdigit() else None

    def __str__(self) -> str:
        return f"{self.line}:{self.number}"

    def next(self) -> Self:
        """The one after it."""
        return type(self)(self.line, self.number + 1)

    def is_in(self, other: Self | None) -> bool:
        """Whether a database with the other mark is this one, at the same state or a later one."""
        return other is not None and other.line == self.line and other.number >= self.number


def raise_mark(session: Session) -> CopyMark:
    """Write the next mark, within a transaction that holds the write lock."""
    found = session.scalar(select(key_values.c.value).where(key_values.c.name == MARK_KEY))
    before = CopyMark.parse(found) or CopyMark(secrets.token_hex(8), 0)
    mark = before.next()
    values = {"name": MARK_KEY, "value": str(mark)}
    change = session.insert(key_values).values(values)
    session.execute(
        change.on_conflict_do_update(
            index_elements=[key_values.c.name], set_={"value": change.excluded.value}
        )
    )
    return mark


def mark_in_file(path: Path) -> CopyMark | None:
    """The mark in the file itself, without its log; None where there is none to be read.

    Opened by SQLite: to close a file that SQLite has open would take its locks off it.
    """
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        connection = sqlite3.connect(uri, uri=True)
    except sqlite3.Error:
        return None
    try:
        found = connection.execute("SELECT value FROM facts WHERE name = ?", (MARK_KEY,))
        row = found.fetchone()
    except sqlite3.Error:
        return None
    finally:
        connection.close()
    return CopyMark.parse(row[0]) if row else None
