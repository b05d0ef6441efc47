"""Which version of the tables a database has, and how it gets today's."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine.interfaces import DBAPIConnection

from bot.db.connections import (
    POSTGRESQL_CONNECT_ARGS,
    SQLITE,
    StorageTimings,
    begin_immediate,
    parse_url,
    set_up_sqlite,
    use_wal,
)
from bot.db.engine import Database
from bot.db.failures import driver_errors_translated
from bot.db.file_copies import keep_before_upgrade
from bot.db.sqlite_file import make_place, sqlite_path
from bot.errors import SchemaTooNew, SchemaTooOld, StorageUnavailable
from bot.timing import utc_now

# Every revision in migrations/versions, oldest first. Listed here so that a start with today's
# tables need not load Alembic; a test compares.
REVISIONS = ("1000", "1001", "1002", "1003", "1004", "1005", "1006", "1007")
WANTED = REVISIONS[-1]
# From before the first release: migrations/from_before.py brings these to the baseline.
BEFORE = ("0006", "0007", "0008", "0009")
# These have to become one of BEFORE first, which the bot of this commit does.
TOO_OLD = ("0001", "0002", "0003", "0004", "0005")
LAST_FOR_TOO_OLD = "3c24090"
MIGRATIONS = Path(__file__).with_name("migrations")
MIGRATION_LOCK = 0x53504B4D  # "SPKM", see leader.py


async def found_version(database: Database) -> str | None:
    """The version of the tables that are there; None for an empty database."""
    return await database.read(lambda session: version_of(session.connection))


def version_of(connection: Connection) -> str | None:
    """The version of the tables; None where there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def needs_migration(found: str | None) -> bool:
    """Whether the tables are older than this release wants.

    Errors: SchemaTooNew if no release up to this one made them, SchemaTooOld if they are from
    before the first and too old to upgrade.
    """
    if found in TOO_OLD:
        raise SchemaTooOld(found, LAST_FOR_TOO_OLD)
    if found is not None and found not in (*BEFORE, *REVISIONS):
        raise SchemaTooNew(found)
    return found != WANTED


async def migrate(database_url: str) -> None:
    """Bring a database's tables up to date, in one transaction; made if there are none.

    Errors: StorageUnavailable, SchemaTooNew, SchemaTooOld, ConfigError for an address of no known
    kind.
    """
    await asyncio.to_thread(migrate_now, parse_url(database_url))


def migrate_now(url: URL, *, keep_copy: bool = True) -> None:
    """The same, in this thread; `keep_copy`: an SQLite file that is upgraded is copied first.

    Errors: as `migrate`, but for ConfigError.
    """
    if url.drivername == SQLITE:
        make_place(url)
    with _one_migrator(url) as connection:
        found = version_of(connection)
        if needs_migration(found):
            if found is not None and keep_copy and url.drivername == SQLITE:
                keep_before_upgrade(sqlite_path(url), found, utc_now())
            _upgrade(connection, found)


def _upgrade(connection: Connection, found: str | None) -> None:
    from alembic import command
    from alembic.config import Config

    if found in BEFORE:
        from bot.db.migrations.from_before import upgrade

        upgrade(connection, found)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:
            raise StorageUnavailable(
                f"{len(broken)} of its rows refer to rows that are not there", lasting=True
            )


@contextmanager
def _one_migrator(url: URL) -> Iterator[Connection]:
    """A transaction during which no second process migrates."""
    engine = _sqlite_engine(url) if url.drivername == SQLITE else _postgresql_engine(url)
    try:
        with driver_errors_translated(), engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK}
                )
            yield connection
    finally:
        engine.dispose()


def _postgresql_engine(url: URL) -> Engine:
    return create_engine(url, connect_args=dict(POSTGRESQL_CONNECT_ARGS))


def _sqlite_engine(url: URL) -> Engine:
    timings = StorageTimings()
    engine = create_engine(url, connect_args={"isolation_level": None}, hide_parameters=True)
    event.listen(engine, "connect", _lay_out)
    event.listen(engine, "connect", lambda one, _record: set_up_sqlite(one, timings))
    event.listen(engine, "connect", _without_foreign_keys)
    event.listen(engine, "connect", lambda one, _record: use_wal(one, timings))
    event.listen(engine, "begin", begin_immediate)
    return engine


def _without_foreign_keys(connection: DBAPIConnection, _record: object) -> None:
    """Let a migration copy a table: otherwise dropping the old one deletes what refers to it.

    SQLite takes this only outside a transaction. `_upgrade` looks at all of them at its end.
    """
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=OFF")
    cursor.close()


def _lay_out(connection: DBAPIConnection, _record: object) -> None:
    """Choose how a new file is laid out; SQLite takes this only before the first table."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA page_size=8192")  # a delivery has 6 kB: it fits into one page
    cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")  # so that the file can shrink again
    cursor.close()
