"""Finds out whether a PostgreSQL address leads to a pooler that shares sessions between clients.

In PgBouncer's transaction mode each transaction may get another session, so that locks and settings
of a session are not ours: two processes would send at once, or none.
"""

import asyncio
from contextlib import ExitStack

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, text

from bot.db.connections import POSTGRESQL_CONNECT_ARGS, autocommitting
from bot.db.failures import answered_within, driver_errors_translated
from bot.errors import ConfigError, Problem, StorageUnavailable

WITHIN_S = 10.0
OTHERS = 4  # transactions held open, so that a pooler has to choose sessions for them
NO_TRANSACTIONS = "statement pooling mode"  # PgBouncer's words in its strictest mode
MY_SESSION = text("SELECT pg_backend_pid()")
SHARED = Problem(
    "DATABASE_URL",
    "It leads to a pooler in transaction mode, such as PgBouncer with pool_mode = transaction, "
    "which gives each transaction another session. The bot needs one that stays: a lock in it says "
    "which process sends.",
    "Name the database server's own port, or a pool with pool_mode = session.",
)


async def refuse_shared_sessions(url: URL) -> None:
    """Pass if a connection of ours keeps its session.

    Errors: ConfigError if it does not; StorageUnavailable.
    """
    arguments = dict(POSTGRESQL_CONNECT_ARGS)
    engine = create_engine(url, connect_args=arguments, poolclass=NullPool, hide_parameters=True)
    try:
        with driver_errors_translated():
            async with answered_within(WITHIN_S):
                shared = await asyncio.to_thread(_are_shared, engine)
    except StorageUnavailable as error:
        if NO_TRANSACTIONS not in str(error.__cause__):
            raise
        shared = True
    finally:
        engine.dispose()
    if shared:
        raise ConfigError(SHARED)


def _are_shared(engine: Engine) -> bool:
    with ExitStack() as stack:
        mine = stack.enter_context(autocommitting(engine).connect())
        session = mine.scalar(MY_SESSION)
        if session == _announced_session(mine):
            return False  # the server itself said so when the connection was made
        for _ in range(OTHERS):
            other = stack.enter_context(engine.connect())
            if other.scalar(MY_SESSION) == session:
                return True
        return bool(mine.scalar(MY_SESSION) != session)


def _announced_session(connection: Connection) -> int:
    """Which session the other end named when the connection was made; a pooler makes that up."""
    driver = connection.connection.driver_connection
    assert driver is not None, "it is open"  # noqa: S101
    session: int = driver.info.backend_pid
    return session
