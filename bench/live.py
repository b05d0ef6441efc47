"""Projects that are followed through accounts: 2,000 of them, over 200 accounts of one server.

The bot runs as a process of its own over an SQLite file, between the sandbox Discord and Speckle in
this one. Members link their accounts and subscribe one project each, as they type it; the others
are written beside those. *Idle* is the same bot over the same database, while nothing is listened
to. Questions are those for activity lists, counted at the server; planned is what
bot/pipeline/listening/pace.py says for so many projects. End to end is from a version's publication
until Discord has its card. Without sockets a few accounts are listened to, so that the timer is
short; events come at any time within it. Memory and processor time are read from /proc (Linux).
"""

import asyncio
import random
import sqlite3
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet

from bench.results import Options, Row, figure, folder_on_disk, say
from bench.running_bot import BenchBot, RunningBot
from bot.model import HookKind, Subscription
from bot.pipeline.listening.pace import ListeningPace
from bot.storage import Storage, Transaction
from bot.vault import Vault
from bot.work import LISTENED_AGAIN
from sandbox.discord import Sandbox, SandboxChannel, SandboxGuild, SandboxMember
from sandbox.speckle import ServerProject, SpeckleServer, User

GUILDS: Final = 10
ACCOUNTS: Final = 200
PROJECTS_OF_ONE: Final = 10
FEW: Final = 5  # accounts, without sockets
SETTLE_S: Final = 40.0  # sockets are opened over 20 s
QUIET_S: Final = 90.0
EVENTS: Final = 60
EVENTS_BY_TIMER: Final = 12
GIVE_UP_S: Final = 60.0
POLL_S: Final = 0.005
MORE_MB: Final = 30.0
CORE: Final = 0.01
SOCKET_S: Final = 1.0
STOPS_S: Final = 1.0  # more than the idle bot
WITHOUT_SOCKETS: Final = "[live]\nsockets_from = 1_000_000\n"


@dataclass(frozen=True, slots=True)
class Listened:
    """A project, who publishes in it, and the channel that shows it."""

    project: ServerProject
    owner: User
    channel: SandboxChannel


@dataclass(frozen=True)
class Stage:
    """Both servers, a folder with the bot's database, and what is followed."""

    sandbox: Sandbox
    server: SpeckleServer
    folder: Path
    key: str = field(default_factory=lambda: Fernet.generate_key().decode())
    listened: list[Listened] = field(default_factory=list)

    def bot(self, config: str = "") -> BenchBot:
        """The bot between the two."""
        servers = {"SPECKLE_SERVERS": self.server.url}
        return BenchBot(self.sandbox, self.folder, config, servers, self.key)

    async def prepare(self, accounts: int) -> None:
        """Have members link and subscribe, and write the other projects beside those."""
        guilds = [self.sandbox.add_guild(f"Studio {number}") for number in range(GUILDS)]
        bot = self.bot()
        async with bot.running():
            for number in range(accounts):
                await self._follow(guilds[number % GUILDS], number)
        async with Storage.open(bot.database_url, Vault([self.key])) as storage:
            firsts = {
                one.channel_id: one
                for guild in guilds
                for one in await storage.read(lambda tx: tx.subscriptions.of_guild(guild.id))
            }
            for first in list(self.listened):
                others = [
                    self.server.add_project(f"Tower {n}", owner=first.owner, visibility="PUBLIC")
                    for n in range(PROJECTS_OF_ONE - 1)
                ]
                for project in others:
                    self.server.add_model(project, "site")
                there = firsts[first.channel.id]
                ids = [one.id for one in others]
                until = self.server.now() + LISTENED_AGAIN
                await storage.write(lambda tx: _add(tx, there, ids, until))
                self.listened.extend(replace(first, project=one) for one in others)

    async def _follow(self, guild: SandboxGuild, number: int) -> None:
        channel = guild.add_channel(f"structure-{number}")
        member = guild.add_member(f"Maren {number}", permissions="manage_webhooks")
        user = self.server.add_user(f"Ilse {number}")
        owner = self.server.add_user(f"Anselm {number}")
        project = self.server.add_project("Kestrel Tower", owner=owner, visibility="PUBLIC")
        self.server.add_model(project, "site")
        await self._link(guild, channel, member, user)
        link = f"{self.server.url}/projects/{project.id}"
        answer = await self.sandbox.command(guild, channel, member, "subscribe", stream_id=link)
        await answer.settled()
        self.listened.append(Listened(project, owner, channel))

    async def _link(
        self, guild: SandboxGuild, channel: SandboxChannel, member: SandboxMember, user: User
    ) -> None:
        offer = await self.sandbox.command(guild, channel, member, "link")
        form = await self.sandbox.press(await offer.settled(), "Paste it", member)
        token = {"Token": self.server.token(user)}
        await (await self.sandbox.submit_modal(form, token, member)).settled()

    async def publish(self) -> float:
        """Publish a version somewhere; the seconds until Discord has its card."""
        one = random.choice(self.listened)  # noqa: S311
        there = len(self.sandbox.messages(one.channel.id))
        started = time.perf_counter()
        self.server.add_version(one.project, one.project.models[0], author=one.owner, message="x")
        async with asyncio.timeout(GIVE_UP_S):
            while len(self.sandbox.messages(one.channel.id)) == there:  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
        return time.perf_counter() - started


@dataclass
class Found:
    """What the rounds gave."""

    more_mb: list[float] = field(default_factory=list)
    idle_share: list[float] = field(default_factory=list)
    share: list[float] = field(default_factory=list)
    questions: list[float] = field(default_factory=list)  # a minute
    by_socket_s: list[float] = field(default_factory=list)
    by_timer_s: list[float] = field(default_factory=list)
    idle_stop_s: list[float] = field(default_factory=list)
    stop_s: list[float] = field(default_factory=list)


def _add(tx: Transaction, there: Subscription, project_ids: Sequence[str], until: datetime) -> None:
    """Have the channel of a subscription follow these too, through the same account."""
    hook = tx.hooks.get(there.hook_id)
    if hook is None or hook.guild_id is None or not hook.listens:
        raise SystemExit("A subscription that was typed listens to nothing.")
    for project_id in project_ids:
        other = tx.hooks.create(
            hook.guild_id,
            hook.server_url,
            project_id,
            HookKind.OWN,
            there.created_by,
            there.channel_id,
            listens=True,
        )
        _, made = tx.subscriptions.upsert(
            other.id,
            there.channel_id,
            there.options,
            there.created_by,
            there.account_id,
            there.consent,
        )
        tx.listening.read_until([made.id], until)


async def _share(bot: RunningBot, seconds: float) -> float:
    used_s = bot.cpu_s
    await asyncio.sleep(seconds)
    return (bot.cpu_s - used_s) / seconds


async def _many(found: Found) -> None:
    async with Sandbox.start(pace=False) as sandbox, SpeckleServer.start() as server:
        with folder_on_disk() as name:
            stage = Stage(sandbox, server, Path(name))
            await stage.prepare(ACCOUNTS)
            listening = server.live.opened
            away = _not_listened_to(stage)
            async with away, stage.bot().running() as bot:
                await asyncio.sleep(SETTLE_S)
                found.idle_share.append(await _share(bot, QUIET_S))
                idle_mb = bot.resident_mb
                stopping = time.perf_counter()
            found.idle_stop_s.append(time.perf_counter() - stopping)
            async with stage.bot().running() as bot:
                await asyncio.sleep(SETTLE_S)
                say(f"{len(server.live.sockets)} sockets ({server.live.opened - listening} opened)")
                asked = len(server.asked_lists())
                found.share.append(await _share(bot, QUIET_S))
                found.questions.append((len(server.asked_lists()) - asked) * 60 / QUIET_S)
                found.more_mb.append(bot.resident_mb - idle_mb)
                for _ in range(EVENTS):
                    found.by_socket_s.append(await stage.publish())
                say(f"{bot.resident_mb - idle_mb:.1f} MB more after {EVENTS} events")
                stopping = time.perf_counter()
            found.stop_s.append(time.perf_counter() - stopping)


@asynccontextmanager
async def _not_listened_to(stage: Stage) -> AsyncIterator[None]:
    """While the block runs, nothing is listened to."""

    def turn(sql: str) -> None:
        with closing(sqlite3.connect(stage.folder / "bot.db")) as database, database:
            database.execute(sql)

    turn("UPDATE hooks SET listens = 0")
    yield
    turn("UPDATE hooks SET listens = 1")


async def _few(found: Found) -> None:
    async with Sandbox.start(pace=False) as sandbox, SpeckleServer.start() as server:
        with folder_on_disk() as name:
            stage = Stage(sandbox, server, Path(name))
            await stage.prepare(FEW)
            async with stage.bot(WITHOUT_SOCKETS).running():
                await asyncio.sleep(1.0)
                found.by_timer_s += await asyncio.gather(
                    *(_later(stage, n) for n in range(EVENTS_BY_TIMER))
                )


async def _later(stage: Stage, number: int) -> float:
    await asyncio.sleep(number * 2.3)
    return await stage.publish()


def rows(options: Options) -> Sequence[Row]:
    """One round with many accounts, and one with few; more do not change what they show."""
    found = Found()
    asyncio.run(_few(found))
    say(f"by the timer: {sorted(found.by_timer_s)}")
    asyncio.run(_many(found))
    pace, projects = ListeningPace(), ACCOUNTS * PROJECTS_OF_ONE
    planned = ACCOUNTS * 60 / pace.every_s(projects)
    timer_s = pace.every_s(FEW * PROJECTS_OF_ONE)
    by_socket, most = statistics.median(found.by_socket_s), max(found.by_timer_s)
    return [
        Row(
            f"memory with {projects:,} projects listened to, beyond idle",
            figure(found.more_mb, "MB"),
            to_reach=f"≤ {MORE_MB:.0f} MB",
            reached=max(found.more_mb) <= MORE_MB,
        ),
        Row(
            "processor time while nothing happens",
            f"{found.share[0]:.2%} of a core",
            f"idle: {found.idle_share[0]:.2%}",
            to_reach=f"≤ {CORE:.0%}",
            reached=found.share[0] <= CORE,
        ),
        Row(
            "questions a minute",
            figure(found.questions, "", 1),
            f"planned: {planned:.1f}",
            f"{found.questions[0] / planned:.2f}",
            "0.75 to 1.25",
            0.75 <= found.questions[0] / planned <= 1.25,
        ),
        Row(
            "change to Discord, by socket, median",
            figure([1_000 * one for one in found.by_socket_s], "ms"),
            to_reach=f"≤ {SOCKET_S:g} s",
            reached=by_socket <= SOCKET_S,
        ),
        Row(
            f"change to Discord, {FEW * PROJECTS_OF_ONE} projects without sockets, the longest",
            f"{most:.1f} s",
            f"timer: {timer_s:g} s",
            to_reach=f"≤ {timer_s + SOCKET_S:g} s",
            reached=most <= timer_s + SOCKET_S,
        ),
        Row(
            f"stopping with {ACCOUNTS} sockets",
            figure(found.stop_s, "s", 2),
            f"idle: {figure(found.idle_stop_s, 's', 2)}",
            to_reach=f"≤ {STOPS_S:g} s more",
            reached=found.stop_s[0] <= found.idle_stop_s[0] + STOPS_S,
        ),
    ]
