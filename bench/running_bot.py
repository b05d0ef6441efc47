"""The bot as a process of its own, over a database in a folder, against a sandbox Discord."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet

from bench.results import ROOT, cpu_s
from bench.start import free_port, until_ready
from sandbox.discord import Sandbox

NO_ENRICHMENT = "[speckle]\nenrich_deadline_s = 0.0\n"


@dataclass(frozen=True, slots=True)
class RunningBot:
    """A bot at work."""

    pid: int

    @property
    def cpu_s(self) -> float:
        """Seconds of processor time that all its threads have used."""
        return cpu_s(self.pid)


@dataclass(frozen=True)
class BenchBot:
    """A bot with its database and its keys in a folder; `config` is its config.toml."""

    sandbox: Sandbox
    folder: Path
    config: str = NO_ENRICHMENT
    key: str = field(default_factory=lambda: Fernet.generate_key().decode())

    @property
    def database(self) -> Path:
        """Its database file."""
        return self.folder / "bot.db"

    @property
    def database_url(self) -> str:
        """Where that is, for the bot."""
        return f"sqlite:///{self.database}"

    @asynccontextmanager
    async def running(self, cores: Collection[int] | None = None) -> AsyncIterator[RunningBot]:
        """The bot at work, on these cores alone if any are given."""
        port = free_port()
        config = self.folder / "config.toml"
        config.write_text(self.config)
        environment = os.environ | {
            "DISCORD_TOKEN": self.sandbox.token,
            "DISCORD_API_URL": self.sandbox.api_url,
            "ENCRYPTION_KEYS": self.key,
            "DATABASE_URL": self.database_url,
            "WEBHOOK_PORT": str(port),
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "LOG_LEVEL": "error",
        }
        files = ("--config", str(config), "--env-file", os.devnull)
        bot = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", *files, "run", env=environment, cwd=ROOT
        )
        try:
            if cores is not None:
                os.sched_setaffinity(bot.pid, cores)
            await until_ready(port)
            yield RunningBot(bot.pid)
        finally:
            bot.terminate()
            await bot.wait()
