"""The bot as a process of its own, over a database in a folder, against a sandbox Discord."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import aiohttp
from cryptography.fernet import Fernet

from bench.results import ROOT, cpu_s
from sandbox.bot_process import HOST, Broken, bot_environment, free_port
from sandbox.discord import Sandbox

NO_ENRICHMENT: Final = "[speckle]\nenrich_deadline_s = 0.0\n"
NO_DAILY_LIMIT: Final = """\
[quotas]
events_a_day = 10_000_000
gigabytes_a_day = 10_000.0
"""
READY_WITHIN_S: Final = 30.0
LOOK_S: Final = 0.02
# As for a host, whatever is set here: code that was compiled once is not compiled again.
COMPILED: Final = {"PYTHONDONTWRITEBYTECODE": ""}


@dataclass(frozen=True, slots=True)
class RunningBot:
    """A bot at work, and the seconds from its start to ready."""

    pid: int
    port: int
    ready_s: float

    @property
    def cpu_s(self) -> float:
        """Seconds of processor time that all its threads have used."""
        return cpu_s(self.pid)

    @property
    def resident_mb(self) -> float:
        """What it holds in memory (Linux)."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(frozen=True)
class BenchBot:
    """A bot with its database and its keys in a folder.

    `config` is its config.toml, `settings` are further ones from the environment. It comes back to
    the same port, where its webhooks go.
    """

    sandbox: Sandbox
    folder: Path
    config: str = NO_ENRICHMENT
    settings: Mapping[str, str] = field(default_factory=dict)
    key: str = field(default_factory=lambda: Fernet.generate_key().decode())
    port: int = field(default_factory=free_port)

    @property
    def database(self) -> Path:
        """Its database file."""
        return self.folder / "bot.db"

    @property
    def database_url(self) -> str:
        """Where that is, for the bot."""
        return f"sqlite:///{self.database}"

    @asynccontextmanager
    async def running(
        self,
        *,
        cores: Collection[int] | None = None,
        most_files: int | None = None,
        stderr: IO[bytes] | None = None,
        page: str = "readyz",
    ) -> AsyncIterator[RunningBot]:
        """The bot of this checkout at work, once the page is answered with 200.

        On these cores alone, and with so many open files, where that is given. Raises Broken if it
        does not end well when it is asked to.
        """
        config = self.folder / f"{self.port}.toml"
        config.write_text(self.config, "utf-8")
        files = ("--config", str(config), "--env-file", os.devnull)
        started = time.perf_counter()
        bot = await asyncio.create_subprocess_exec(
            *(*_limited(most_files), sys.executable, "-m", "bot", *files, "run"),
            env=bot_environment(self._environment()),
            cwd=ROOT,
            stderr=stderr,
        )
        try:
            if cores is not None:
                os.sched_setaffinity(bot.pid, cores)
            await self._until_answered(page)
            yield RunningBot(bot.pid, self.port, time.perf_counter() - started)
        finally:
            if bot.returncode is None:
                bot.terminate()
            code = await bot.wait()
        if code:
            raise Broken(f"The bot ended with exit code {code}.")

    def _environment(self) -> Mapping[str, str]:
        own = {
            "DISCORD_TOKEN": self.sandbox.token,
            "DISCORD_API_URL": self.sandbox.api_url,
            "ENCRYPTION_KEYS": self.key,
            "DATABASE_URL": self.database_url,
            "WEBHOOK_PORT": str(self.port),
            "PUBLIC_URL": f"http://{HOST}:{self.port}",
            "LOG_LEVEL": "error",
        }
        return {**COMPILED, **own, **self.settings}

    async def _until_answered(self, page: str) -> None:
        async with aiohttp.ClientSession() as http, asyncio.timeout(READY_WITHIN_S):
            while True:
                try:
                    async with http.get(f"http://{HOST}:{self.port}/{page}") as answer:
                        if answer.ok:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(LOOK_S)


def _limited(most_files: int | None) -> Sequence[str]:
    """What is before a command that may open so many files."""
    return () if most_files is None else ("sh", "-c", f'ulimit -n {most_files}; exec "$@"', "sh")
