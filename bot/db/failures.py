"""What the database drivers raise, as `StorageUnavailable` where trying again may help."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy import exc

from bot.errors import StorageUnavailable

UNREACHABLE = "the database cannot be reached"
TOO_LONG = "the database took too long"

# Primary result codes, https://www.sqlite.org/rescode.html
SQLITE_REASONS: Mapping[int, str] = {
    3: "the database file must not be used by this user",
    5: "the database is locked by another program",
    6: "the database is locked",
    7: "there is not enough memory",
    8: "the database is read-only",
    10: "the disk failed to read or write the database file",
    11: "the database file is damaged",
    13: "the disk is full",
    14: "the database file cannot be opened",
    15: "the database is locked by another program",
    26: "the database file is damaged or is no SQLite database",
}

# https://www.postgresql.org/docs/current/errcodes-appendix.html; the longest prefix wins.
SQLSTATE_REASONS: Mapping[str, str] = {
    "08": UNREACHABLE,
    "25006": "the database is read-only",
    "28": "the database refused the user or the password",
    "3D000": "the database does not exist",
    "40": "two writes were in each other's way",
    "42501": "the database user has no right to do this",
    "53": "the database server has too little memory or too few connections",
    "53100": "the disk of the database server is full",
    "55P03": "the database is locked by another program",
    "57": "the database server stopped the work",
    "57014": "the database took too long",
    "58": "the database server failed to read or write its files",
    "XX": "the database is damaged",
}

# psycopg gives no SQLSTATE for a connection that was never made, only the server's words.
CONNECT_REASONS: Mapping[str, str] = {
    "authentication failed": SQLSTATE_REASONS["28"],
    "role ": SQLSTATE_REASONS["28"],
    "does not exist": SQLSTATE_REASONS["3D000"],
    "too many": SQLSTATE_REASONS["53"],
}


LASTING_REASONS = frozenset(
    {
        *(SQLITE_REASONS[code] for code in (3, 11, 26)),
        *(SQLSTATE_REASONS[state] for state in ("28", "3D000", "42501")),
    }
)
"""Those that stay until somebody changes something."""


@contextmanager
def driver_errors_translated() -> Iterator[None]:
    """Raise StorageUnavailable for each driver error that says "not now"; let the others be."""
    try:
        yield
    except exc.DBAPIError as error:
        reason = reason_of(error)
        if reason is None:
            raise
        raise StorageUnavailable(reason, lasting=reason in LASTING_REASONS) from error
    except exc.TimeoutError as error:
        raise StorageUnavailable("all connections to the database are busy") from error


@asynccontextmanager
async def answered_within(seconds: float) -> AsyncIterator[None]:
    """Raise StorageUnavailable if the block takes longer, such as behind another one's lock."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise StorageUnavailable(TOO_LONG) from None


def reason_of(error: exc.DBAPIError) -> str | None:
    """Why the database does not work now; None if the statement itself is at fault."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return SQLITE_REASONS.get(code & 0xFF)  # the rest of the code is detail
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate is not None:
        prefixes = (sqlstate[:length] for length in (5, 2))
        return next((SQLSTATE_REASONS[p] for p in prefixes if p in SQLSTATE_REASONS), None)
    if not isinstance(error, exc.OperationalError | exc.InterfaceError):
        return None
    said = str(error.orig)
    return next((reason for words, reason in CONNECT_REASONS.items() if words in said), UNREACHABLE)
