"""How many events a second go through the bot.

The bot runs as a process of its own over an SQLite file, against the sandbox Discord in this one,
without its pace. Recorded versions of eight projects are posted for eight channels: once all the
way into the channels, and once with Discord asking for patience, so that they only get into the
outbox. Then the bot is started again over an inbox that is full, to see what ingest does alone.
Each round does all three.
"""

import asyncio
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from cryptography.fernet import Fernet

from bench.project import Project, follow
from bench.results import Options, Row, figure, say
from bench.start import free_port, until_ready
from sandbox.discord import Sandbox

HERE = Path(__file__).resolve().parent.parent
PROJECT_IDS = [f"{number:010x}" for number in range(1, 9)]
EVENTS = 800
SENDERS = 8  # a Speckle server sends one after the other for each of its processes
PATIENCE_S = 600.0
FULL = 4_000  # events in the full inbox
FROM, TO = 0.1, 0.9  # of these are timed, so that the start does not count
LOOK_S = 0.02


@dataclass
class Found:
    """Events a second, round by round."""

    into_channels: list[float] = field(default_factory=list)
    into_outbox: list[float] = field(default_factory=list)
    ingest_alone: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Bot:
    """A bot of a checkout, with its database and its keys in a folder."""

    checkout: Path
    sandbox: Sandbox
    folder: Path
    key: str = field(default_factory=lambda: Fernet.generate_key().decode())

    @property
    def database(self) -> Path:
        """Its database file."""
        return self.folder / "bot.db"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The bot at work, as a process of its own."""
        port = free_port()
        config = self.folder / "config.toml"
        config.write_text("[speckle]\nenrich_deadline_s = 0.0\n")
        environment = os.environ | {
            "DISCORD_TOKEN": self.sandbox.token,
            "DISCORD_API_URL": self.sandbox.api_url,
            "ENCRYPTION_KEYS": self.key,
            "DATABASE_URL": f"sqlite+aiosqlite:///{self.database}",  # both checkouts know this
            "WEBHOOK_PORT": str(port),
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "LOG_LEVEL": "error",
        }
        files = ("--config", str(config), "--env-file", os.devnull)
        bot = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", *files, "run", env=environment, cwd=self.checkout
        )
        try:
            await until_ready(port)
            yield
        finally:
            bot.terminate()
            await bot.wait()


async def follow_all(sandbox: Sandbox) -> list[Project]:
    """A channel of its own for each project."""
    guild = sandbox.add_guild("Studio Kestrel")
    member = guild.add_member("Maren Oduya", permissions="manage_webhooks")
    return [
        await follow(sandbox, guild, guild.add_channel(f"p{project_id}"), member, project_id)
        for project_id in PROJECT_IDS
    ]


async def post_all(projects: Sequence[Project], numbers: range) -> None:
    """Post the events of all projects, each project's in order."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=SENDERS)) as http:
        await asyncio.gather(*(project.post(http, numbers) for project in projects))


def shown(sandbox: Sandbox, projects: Sequence[Project]) -> int:
    """How many cards the channels show."""
    return sum(
        len(message.embeds)
        for project in projects
        for message in sandbox.messages(project.channel.id)
    )


async def until(found: Callable[[], Awaitable[bool]]) -> None:
    """Look until it is so."""
    while not await found():  # noqa: ASYNC110  # another process changes it, and sets no event
        await asyncio.sleep(LOOK_S)


async def into_channels(sandbox: Sandbox, projects: Sequence[Project], each: int) -> float:
    """Events a second from the first delivery to the last card."""
    before = shown(sandbox, projects)
    started = time.perf_counter()
    sending = asyncio.create_task(post_all(projects, range(each)))

    async def all_shown() -> bool:
        return shown(sandbox, projects) - before >= each * len(projects)

    await until(all_shown)
    took_s = time.perf_counter() - started
    await sending
    return each * len(projects) / took_s


async def into_outbox(bot: Bot, projects: Sequence[Project], each: int) -> float:
    """The same to the last card that waits, while no message is sent."""
    for project in projects:
        route = f"POST /channels/{project.channel.id}/messages"
        bot.sandbox.faults.rate_limit(route, retry_after=PATIENCE_S, times=None)
    started = time.perf_counter()
    sending = asyncio.create_task(post_all(projects, range(each, 2 * each)))
    await until_waiting(bot, each * len(projects))
    took_s = time.perf_counter() - started
    await sending
    return each * len(projects) / took_s


async def until_waiting(bot: Bot, cards: int) -> None:
    """Look until so many cards wait in the outbox."""
    with closing(sqlite3.connect(bot.database)) as database:

        async def enough() -> bool:
            waiting = "SELECT count(*) FROM outbox WHERE state = 'waiting'"
            return bool(database.execute(waiting).fetchone()[0] >= cards)

        await until(enough)


def fill_inbox(bot: Bot) -> None:
    """Mark what the bot has processed as new again, until as much is new as is wanted."""
    with closing(sqlite3.connect(bot.database)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        columns = [row[1] for row in database.execute("PRAGMA table_info(inbox)") if row[1] != "id"]
        names = ", ".join(columns)
        database.execute("DELETE FROM outbox")
        database.execute("UPDATE channel_queues SET due_at = NULL")
        (ids,) = database.execute("SELECT group_concat(id) FROM inbox").fetchone()
        originals = [int(one) for one in ids.split(",")]
        for number in range(FULL - len(originals)):
            original = originals[number % len(originals)]
            # The names are those of the table's own columns.
            copied = database.execute(
                f"INSERT INTO inbox ({names}) SELECT {names} FROM inbox WHERE id = ?",  # noqa: S608
                (original,),
            )
            if "bodies" in tables:
                database.execute(
                    "INSERT INTO bodies SELECT ?, body FROM bodies WHERE inbox_id = ?",
                    (copied.lastrowid, original),
                )
        database.execute(
            "UPDATE inbox SET state = 'new', finished_at = NULL, trace = '[]', event_key = NULL"
        )
        database.commit()


async def ingest_alone(bot: Bot) -> float:
    """Events a second from the full inbox to cards that wait."""
    fill_inbox(bot)
    async with bot.running():
        await until_waiting(bot, round(FROM * FULL))
        started = time.perf_counter()
        await until_waiting(bot, round(TO * FULL))
        return (TO - FROM) * FULL / (time.perf_counter() - started)


async def measure(checkout: Path, each: int, found: Found) -> None:
    async with Sandbox.start(pace=False) as sandbox:
        with tempfile.TemporaryDirectory() as name:
            bot = Bot(checkout, sandbox, Path(name))
            async with bot.running():
                projects = await follow_all(sandbox)
                found.into_channels.append(await into_channels(sandbox, projects, each))
                found.into_outbox.append(await into_outbox(bot, projects, each))
            found.ingest_alone.append(await ingest_alone(bot))


async def _measured(rounds: int) -> Found:
    found = Found()
    for number in range(rounds):
        await measure(HERE, EVENTS // len(PROJECT_IDS), found)
        say(f"round {number + 1} done")
    return found


def rows(options: Options) -> Sequence[Row]:
    """The three, one after the other in each round."""
    found = asyncio.run(_measured(options.rounds))
    return [
        Row("into the channels", figure(found.into_channels, "events/s")),
        Row("into the outbox, while no message is sent", figure(found.into_outbox, "events/s")),
        Row("a full inbox at the start, ingest alone", figure(found.ingest_alone, "events/s")),
    ]
