"""What the durable listener takes while Discord is down and 100,000 cards wait, beside itself idle.

The whole bot runs as a process of its own, in turn with an empty outbox and with a full one whose
every message the sandbox Discord answers with 503. 64 senders post for a project that no channel
shows, so that both times the bot has the same to do with what arrives.
"""

import asyncio
import shutil
import sqlite3
import statistics
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import aiohttp

from bench.listener import PROJECT_ID, SECONDS, Served, many_senders
from bench.memory import fill_outbox
from bench.project import follow, until_shown
from bench.results import Options, Row, figure, folder_on_disk, say
from bench.running_bot import NO_DAILY_LIMIT, NO_ENRICHMENT, BenchBot, RunningBot
from bot.model import HookKind
from bot.storage import Storage
from bot.vault import Vault
from sandbox.discord import Sandbox, SandboxGuild

WAITING: Final = 100_000
LEAST_RATIO: Final = 0.9
SHOWN_WITHIN_S: Final = 30.0
SETTLE_S: Final = 3.0  # after the start, which has its own work


@dataclass(frozen=True, slots=True)
class Bench:
    """A guild's bot, whose database is copied into two folders."""

    sandbox: Sandbox
    guild: SandboxGuild
    folder: Path
    bot: BenchBot

    def running(self, name: str) -> AbstractAsyncContextManager[RunningBot]:
        """The bot over one of the databases."""
        database = {"DATABASE_URL": self.url(name)}
        return replace(self.bot, settings=database).running()

    def url(self, name: str) -> str:
        """The address of one of the databases."""
        return f"sqlite:///{self.folder / name}.db"

    async def prepare(self) -> Served:
        """A database with a card that was sent, copied as it is and with many that wait."""
        channel = self.guild.add_channel("structure")
        member = self.guild.add_member("Maren Oduya", permissions="manage_webhooks")
        async with self.running("idle"):
            project = await follow(self.sandbox, self.guild, channel, member, "5f0c9a41b8")
            async with aiohttp.ClientSession() as http:
                await project.post(http, range(1))
            await until_shown(self.sandbox, [channel], 1, SHOWN_WITHIN_S)
        async with Storage.open(self.url("idle"), Vault([self.bot.key])) as storage:
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
        return Served(0, self.bot.port, f"/webhooks/{quiet.key}", quiet.secrets[0])

    async def rate(self, name: str, served: Served) -> tuple[float, float]:
        """Requests a second that the bot takes over a copy of a database, and seconds for each."""
        for old in self.folder.glob("copy.db*"):
            old.unlink()
        shutil.copy(self.folder / f"{name}.db", self.folder / "copy.db")
        async with self.running("copy") as bot:
            await asyncio.sleep(SETTLE_S)
            served = Served(bot.pid, served.port, served.path, served.secret)
            found = await asyncio.to_thread(many_senders, served, SECONDS)
        if name == "down" and waiting_in(self.folder / "copy.db") < WAITING:
            raise SystemExit("cards went out while Discord was down")
        return found


def waiting_in(database: Path) -> int:
    """How many cards wait."""
    with closing(sqlite3.connect(database)) as connection:
        waiting = "SELECT count(*) FROM outbox WHERE state = 'waiting'"
        return int(connection.execute(waiting).fetchone()[0])


Found = list[tuple[float, float]]


async def _measure(rounds: int) -> tuple[Found, Found]:
    idle: Found = []
    down: Found = []
    async with Sandbox.start(pace=False) as sandbox:
        with folder_on_disk() as folder:
            bot = BenchBot(sandbox, Path(folder), NO_ENRICHMENT + NO_DAILY_LIMIT)
            bench = Bench(sandbox, sandbox.add_guild("Studio Kestrel"), Path(folder), bot)
            served = await bench.prepare()
            for number in range(rounds):
                idle.append(await bench.rate("idle", served))
                sandbox.faults.fail("POST /channels/", 503, times=None)
                down.append(await bench.rate("down", served))
                sandbox.faults.heal()
                say(f"round {number + 1}: idle {idle[-1][0]:.0f}/s, down {down[-1][0]:.0f}/s")
    return idle, down


def rows(options: Options) -> Sequence[Row]:
    """Both in turn, round by round."""
    idle, down = asyncio.run(_measure(options.rounds))
    ratio = [a / b for (a, _), (b, _) in zip(down, idle, strict=True)]
    cpu_ratio = [b / a for (_, a), (_, b) in zip(down, idle, strict=True)]
    return [
        Row(
            f"64 senders while Discord is down and {WAITING:,} cards wait: requests a second",
            figure([rate for rate, _ in down], "/s"),
            f"itself, idle: {figure([rate for rate, _ in idle], '/s')}",
            figure(ratio, "", 2),
            f"≥ {LEAST_RATIO}",
            statistics.median(ratio) >= LEAST_RATIO,
        ),
        Row(
            "the same: processor time of the whole bot for each request",
            figure([used_s * 1e6 for _, used_s in down], "µs"),
            f"itself, idle: {figure([used_s * 1e6 for _, used_s in idle], 'µs')}",
            figure(cpu_ratio, "", 2),
        ),
    ]
