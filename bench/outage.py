"""What the durable listener takes while Discord is down and 100,000 cards wait, beside itself idle.

The whole bot runs as a process of its own, in turn with an empty outbox and with a full one whose
every message the sandbox Discord answers with 503. 64 senders post for a project that no channel
shows, so that both times the bot has the same to do with what arrives.
"""

import asyncio
import os
import shutil
import sqlite3
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
from cryptography.fernet import Fernet

from bench.listener import PROJECT_ID, SECONDS, Served, many_senders
from bench.project import follow
from bench.results import Options, Row, figure, folder_on_disk, say
from bench.start import free_port, until_ready
from bot.model import HookKind
from bot.storage import Storage
from bot.vault import Vault
from sandbox.discord import Sandbox, SandboxGuild

WAITING: Final = 100_000
LEAST_RATIO: Final = 0.9
CONFIG: Final = """\
[speckle]
enrich_deadline_s = 0.0
[quotas]
events_a_day = 10_000_000
gigabytes_a_day = 10_000.0
"""
SHOWN_WITHIN_S: Final = 30.0
SETTLE_S: Final = 3.0  # after the start, which has its own work


@dataclass(frozen=True, slots=True)
class Bench:
    """A guild's bot, whose database is copied into two folders."""

    sandbox: Sandbox
    guild: SandboxGuild
    folder: Path
    port: int = field(default_factory=free_port)
    key: str = field(default_factory=lambda: Fernet.generate_key().decode())

    @asynccontextmanager
    async def running(self, name: str) -> AsyncIterator[int]:
        """The bot over one of the databases; gives its process id."""
        config = self.folder / "config.toml"
        config.write_text(CONFIG)
        environment = os.environ | {
            "DISCORD_TOKEN": self.sandbox.token,
            "DISCORD_API_URL": self.sandbox.api_url,
            "ENCRYPTION_KEYS": self.key,
            "DATABASE_URL": self.url(name),
            "WEBHOOK_PORT": str(self.port),
            "PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "LOG_LEVEL": "error",
        }
        files = ("--config", str(config), "--env-file", os.devnull)
        bot = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", *files, "run", env=environment
        )
        try:
            await until_ready(self.port)
            yield bot.pid
        finally:
            bot.terminate()
            await bot.wait()

    def url(self, name: str) -> str:
        """The address of one of the databases."""
        return f"sqlite:///{self.folder / name}.db"

    async def prepare(self) -> Served:
        """A database with a card that was sent, copied as it is and with many that wait."""
        channel = self.guild.add_channel("structure")
        member = self.guild.add_member("Maren Oduya", permissions="manage_webhooks")
        async with self.running("idle"):
            project = await follow(self.sandbox, self.guild, channel, member, "5f0c9a41b8")
            async with aiohttp.ClientSession() as http, asyncio.timeout(SHOWN_WITHIN_S):
                await project.post(http, range(1))
                # Another process sends it, and sets no event.
                while not any(one.embeds for one in self.sandbox.messages(channel.id)):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        async with Storage.open(self.url("idle"), Vault([self.key])) as storage:
            quiet = await storage.write(
                lambda tx: tx.hooks.create(
                    self.guild.id,
                    "https://app.speckle.systems",
                    PROJECT_ID,
                    HookKind.OWN,
                    member.id,
                    channel.id,
                )
            )
        shutil.copy(self.folder / "idle.db", self.folder / "down.db")
        fill_outbox(self.folder / "down.db", WAITING)
        return Served(0, self.port, f"/webhooks/{quiet.key}", quiet.secrets[0])

    async def rate(self, name: str, served: Served) -> float:
        """Requests a second that the bot takes over one of the databases."""
        async with self.running(name) as pid:
            await asyncio.sleep(SETTLE_S)
            served = Served(pid, served.port, served.path, served.secret)
            rate, _ = await asyncio.to_thread(many_senders, served, SECONDS)
            return rate


def fill_outbox(database: Path, cards: int) -> None:
    """Have so many cards wait, as copies of the one that is there."""
    with closing(sqlite3.connect(database)) as connection:
        table = connection.execute("PRAGMA table_info(outbox)")
        names = ", ".join(row[1] for row in table if row[1] not in ("id", "inbox_id"))
        # The names are those of the table's own columns.
        connection.execute(
            f"INSERT INTO outbox ({names}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"  # noqa: S608
            f" SELECT i + 1 FROM n WHERE i < ?) SELECT {names} FROM n, outbox"
            " WHERE outbox.id = (SELECT min(id) FROM outbox)",
            (cards,),
        )
        connection.execute(
            "UPDATE outbox"
            " SET state = 'waiting', sent_at = NULL, message_id = NULL, batch_id = NULL"
        )
        connection.execute("UPDATE channel_queues SET due_at = '2026-01-01 00:00:00'")
        connection.commit()


def waiting_in(database: Path) -> int:
    """How many cards wait."""
    with closing(sqlite3.connect(database)) as connection:
        waiting = "SELECT count(*) FROM outbox WHERE state = 'waiting'"
        return int(connection.execute(waiting).fetchone()[0])


async def _measure(rounds: int) -> tuple[list[float], list[float]]:
    idle: list[float] = []
    down: list[float] = []
    async with Sandbox.start(pace=False) as sandbox:
        with folder_on_disk() as folder:
            bench = Bench(sandbox, sandbox.add_guild("Studio Kestrel"), Path(folder))
            served = await bench.prepare()
            for number in range(rounds):
                idle.append(await bench.rate("idle", served))
                sandbox.faults.fail("POST /channels/", 503, times=None)
                down.append(await bench.rate("down", served))
                sandbox.faults.heal()
                say(f"round {number + 1}: idle {idle[-1]:.0f}/s, down {down[-1]:.0f}/s")
            if waiting_in(bench.folder / "down.db") < WAITING:
                raise SystemExit("cards went out while Discord was down")
    return idle, down


def rows(options: Options) -> Sequence[Row]:
    """Both in turn, round by round."""
    idle, down = asyncio.run(_measure(options.rounds))
    ratio = [a / b for a, b in zip(down, idle, strict=True)]
    return [
        Row(
            f"64 senders while Discord is down and {WAITING:,} cards wait: requests a second",
            figure(down, "/s"),
            f"itself, idle: {figure(idle, '/s')}",
            figure(ratio, "", 2),
            f"≥ {LEAST_RATIO}",
            statistics.median(ratio) >= LEAST_RATIO,
        )
    ]
