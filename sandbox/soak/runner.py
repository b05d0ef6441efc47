"""A soak from its seed to its report.

Discord's own pace counts only at times: with it a channel takes some ten cards a second, and what
comes in at several hundred a second would take hours to go out. At the end it is off, so that the
last cards do not take longer than the run. For the same reason the senders hold back while very
many cards are owed, and then come at full rate again.
"""

import asyncio
import shlex
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from cryptography.fernet import Fernet

from bot.lookups import CardFilter
from bot.storage import Storage
from bot.vault import Vault
from bot.work import OutboxState
from sandbox.bot_process import HOST, BotProcess, Broken, bot_environment, free_port
from sandbox.discord import Sandbox
from sandbox.soak.chaos import Chaos
from sandbox.soak.oracle import MODELS, DeliveryFate, Ledger, complaints, expected
from sandbox.soak.senders import ProjectSender, VersionPublisher, WebhookSender, new_session
from sandbox.soak.world import SoakWebhook, SoakWorld
from sandbox.speckle import SpeckleServer

# Most projects are invented: nobody could be asked about them. A few hundred kills are more events
# than a guild may send in a day.
CONFIG: Final = """\
[speckle]
enrich_deadline_s = 0.0
[quotas]
events_a_day = 1000000000
gigabytes_a_day = 1000000
[live]
who = "readers"
every_s = 1.0
sockets_from = 0
"""
PUBLIC_SERVER: Final = "https://app.speckle.systems"  # what the deliveries say that they are from
LIVE_A_SECOND: Final = 2.0  # in a project that accounts listen to
CHANGES_AFTER: Final = 0.5  # of the kills, a live project gets a webhook
SUBSCRIBED_WITHIN_S: Final = 180.0
MOST_OWED: Final = 600  # cards; then the senders hold back until half of them are shown
HOLD_BACK_S: Final = 8.0  # but no longer: some channels may wait for their next try for minutes
NOTHING_NEW_S: Final = 780.0  # the bot itself waits up to 720 s after a row of refusals
LOOK_S: Final = 0.2
RESUME_AGAIN_S: Final = 5.0
TELL_EACH: Final = 20  # kills
NAMED_AT_MOST: Final = 10
WAITING: Final = CardFilter(states=(OutboxState.WAITING,))

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """What to do; without a folder nothing is kept, without a URL it is over an SQLite file."""

    kills: int
    seed: int
    rate: float  # deliveries a second, of all projects together
    database_url: str | None = None
    folder: Path | None = None
    lives_s: tuple[float, float] = (0.3, 3.0)  # at least and at most, from start to kill

    def command(self) -> str:
        """What to type to do it again."""
        words = ["python3", "run.py", "soak", "--kills", str(self.kills), "--seed", str(self.seed)]
        words += ["--rate", f"{self.rate:g}"]
        if self.database_url is not None:
            words += ["--database-url", "..."]  # it may hold a password
        return shlex.join(words)


@dataclass(slots=True)
class Report:
    """What happened; `broken` are the promises that did not hold, a sentence each."""

    plan: SoakPlan
    kills: int = 0
    fates: dict[DeliveryFate, int] = field(default_factory=dict)
    owed: int = 0
    shown: int = 0
    messages: int = 0
    faults: int = 0
    live: int = 0  # of what was sent, heard through accounts
    speckle_faults: int = 0
    vanishings: int = 0
    sending_s: float = 0.0
    duration_s: float = 0.0
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        sent = sum(self.fates.values())
        fates = ", ".join(f"{self.fates.get(fate, 0)} {fate}" for fate in DeliveryFate)
        happened = (
            f"{self.kills} kills, {self.faults} faults of Discord's, {self.speckle_faults} of "
            f"Speckle's, {self.vanishings} vanished channels"
        )
        lines = [
            f"seed {self.plan.seed}: {happened} in {self.duration_s:.0f} s",
            f"deliveries: {sent} sent ({sent / max(self.sending_s, 1):.0f} a second), {fates}",
            f"of them {self.live} in projects that are followed through accounts",
            f"cards: {self.owed} owed, {self.shown} shown, in {self.messages} messages",
        ]
        if not self.broken:
            return "\n".join([*lines, "Each acknowledged event appears once and in order."])
        return "\n".join([*lines, *self.broken, f"Do it again: {self.plan.command()}"])


async def soak(plan: SoakPlan, say: Say = lambda _: None) -> Report:
    """Do what is planned; `say` gets the progress."""
    report = Report(plan)
    started = time.monotonic()
    say(f"seed {plan.seed}")
    with tempfile.TemporaryDirectory(prefix="speckle-soak-") as temporary:
        folder = plan.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        async with Sandbox.start(pace=False) as sandbox, SpeckleServer.start() as server:
            run = _Run(plan, report, SoakWorld.build(sandbox, server), folder, say)
            try:
                await run.through()
            except Broken as problem:
                report.broken.append(str(problem))
            run.count()
    report.duration_s = time.monotonic() - started
    return report


class _Run:
    """One run's parts and its course."""

    def __init__(
        self, plan: SoakPlan, report: Report, stage: SoakWorld, folder: Path, say: Say
    ) -> None:
        self._plan = plan
        self._report = report
        self._stage = stage
        self._say = say
        self._url = plan.database_url or f"sqlite:///{folder / 'bot.db'}"
        self._key = Fernet.generate_key().decode()
        self._ledger = Ledger(stage.follows)
        self._chaos = Chaos(stage, plan.seed)
        self._senders: dict[str, ProjectSender] = {}
        self._half_done = asyncio.Event()
        self._held_since: float | None = None
        self._most_owed = MOST_OWED
        self._bot = self._new_bot(folder)

    def _new_bot(self, folder: Path) -> BotProcess:
        config = folder / "config.toml"
        config.write_text(CONFIG)
        port = free_port()
        url = f"http://{HOST}:{port}"
        settings = {
            "DISCORD_TOKEN": self._stage.sandbox.token,
            "DISCORD_API_URL": self._stage.sandbox.api_url,
            "ENCRYPTION_KEYS": self._key,
            "DATABASE_URL": self._url,
            "PUBLIC_URL": url,
            "SPECKLE_SERVERS": f"{PUBLIC_SERVER},{self._stage.server.url}",
            "WEBHOOK_HOST": HOST,
            "WEBHOOK_PORT": str(port),
            "LOG_LEVEL": "info",
        }
        return BotProcess(bot_environment(settings), config, folder / "bot.log", url)

    async def through(self) -> None:
        """Subscribe, send and kill, heal, wait for what is owed, stop, and look at all of it."""
        try:
            await self._bot.start()
            hooks = await self._subscribed()
            async with new_session() as http:
                for hook in hooks:
                    self._senders[hook.project] = WebhookSender(
                        http, hook, self._ledger, self._brake
                    )
                self._senders |= self._publishers()
                started = time.monotonic()
                async with self._under_way():
                    await self._kill_often()
                self._report.sending_s = time.monotonic() - started
                self._chaos.heal()
                await self._until_changed()
                await self._bot.kill()  # a start looks for what webhooks could not deliver
                await self._bot.start()
                await self._send_last_ones()
            await self._until_nothing_is_owed()
            await self._bot.stop()
        finally:
            await self._bot.kill()
        await self._look_into_the_database()

    def _publishers(self) -> Mapping[str, ProjectSender]:
        return {
            letter: VersionPublisher(
                self._stage.server,
                project,
                letter,
                self._ledger,
                self._brake,
                Random(f"{self._plan.seed} {letter}"),  # noqa: S311  # to repeat a run, no secret
            )
            for letter, project in self._stage.live.items()
        }

    async def _subscribed(self) -> Sequence[SoakWebhook]:
        try:
            async with asyncio.timeout(SUBSCRIBED_WITHIN_S):
                return await self._stage.subscribe()
        except TimeoutError:
            raise Broken(f"The bot did not answer /subscribe.\n{self._bot.last_lines()}") from None

    @asynccontextmanager
    async def _under_way(self) -> AsyncIterator[None]:
        """Senders and faults at work for as long as the block runs."""
        works = {
            "faults": self._chaos.fail_often(),
            "faults of Speckle": self._chaos.fail_speckle_often(),
            "pace": self._chaos.pace_at_times(),
            "change": self._change_in_the_middle(),
            "vanishing": self._chaos.vanish_often(),
        }
        rate = self._plan.rate / (len(self._senders) - len(self._stage.live))
        works |= {
            f"sender {k}": one.send_often(LIVE_A_SECOND if k in self._stage.live else rate)
            for k, one in self._senders.items()
        }
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work, name=name) for name, work in works.items()]
                try:
                    yield
                finally:
                    for task in tasks:
                        task.cancel()
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    def _brake(self) -> bool:
        self._stage.tell_new(self._ledger)
        owed, now = len(self._ledger.owed), time.monotonic()
        if self._held_since is None and owed > self._most_owed:
            self._held_since = now
        elif self._held_since is not None and owed <= MOST_OWED / 2:
            self._held_since, self._most_owed = None, MOST_OWED
        elif self._held_since is not None and now - self._held_since > HOLD_BACK_S:
            self._held_since, self._most_owed = None, owed + MOST_OWED // 2
        return self._held_since is not None

    async def _kill_often(self) -> None:
        random = Random(f"{self._plan.seed} kills")  # noqa: S311  # to repeat a run, no secret
        for number in range(1, self._plan.kills + 1):
            await self._bot.live(random.uniform(*self._plan.lives_s))
            await self._bot.kill()
            await self._bot.start()
            self._report.kills = number
            if number >= CHANGES_AFTER * self._plan.kills:
                self._half_done.set()
            if number % TELL_EACH == 0:
                self._say(f"{number} kills, {len(self._ledger.owed)} cards on their way")
        await self._bot.live(random.uniform(*self._plan.lives_s))

    async def _change_in_the_middle(self) -> None:
        await self._half_done.wait()
        await self._stage.change_to_webhook()

    async def _until_changed(self) -> None:
        try:
            async with asyncio.timeout(SUBSCRIBED_WITHIN_S):
                await self._stage.change_to_webhook()
        except TimeoutError:
            raise Broken("The bot made no webhook for the owner of a project.") from None

    async def _send_last_ones(self) -> None:
        """Send one more of each kind, so that in each channel the last card is one that is owed.

        Then nothing that was lost on the way can wait behind what is waited for.
        """
        for _ in MODELS:
            sent = await asyncio.gather(*(sender.send() for sender in self._senders.values()))
            if set(sent) != {DeliveryFate.ACKNOWLEDGED}:
                raise Broken("The bot did not take a delivery when all was well again.")

    async def _until_nothing_is_owed(self) -> None:
        """Wait as long as something new comes; channels that were gone are resumed once more."""
        owed = len(self._ledger.owed)
        self._say(f"all is well again, {owed} cards on their way")
        new_at = resumed_at = time.monotonic()
        while self._ledger.owed:
            await self._bot.live(LOOK_S)
            self._stage.tell_new(self._ledger)
            now = time.monotonic()
            if len(self._ledger.owed) < owed:
                owed, new_at = len(self._ledger.owed), now
            if now - new_at > NOTHING_NEW_S:
                raise Broken(f"For {NOTHING_NEW_S:g} s nothing new came. {self._owed_text()}")
            if now - resumed_at > RESUME_AGAIN_S:
                await self._resume_all()
                resumed_at = time.monotonic()

    async def _resume_all(self) -> None:
        """A try that was under way when a channel came back may have paused it after its manager
        had resumed it.
        """
        owed = {channel for channel, _ in self._ledger.owed}
        for channel in sorted(owed & self._chaos.touched):
            await self._stage.resume(channel)

    def _owed_text(self) -> str:
        owed = sorted(self._ledger.owed)
        first = ", ".join(f"{mark} in #{channel}" for channel, mark in owed[:NAMED_AT_MOST])
        return f"{len(owed)} cards are owed: {first}"

    async def _look_into_the_database(self) -> None:
        async with Storage.open(self._url, Vault([self._key])) as storage:
            waiting = await storage.read(lambda tx: tx.outbox_admin.count(WAITING))
            new = await storage.read(lambda tx: tx.inbox.due_keys())
        if waiting:
            self._report.broken.append(f"{waiting} cards still wait in the outbox.")
        if new:
            self._report.broken.append(f"Events of {len(new)} webhooks still wait in the inbox.")

    def count(self) -> None:
        """Write down what was sent and shown, and what is wrong with it."""
        fates = {project: sender.fates for project, sender in self._senders.items()}
        shown = self._stage.shown()
        report = self._report
        report.fates = {f: sum(one.count(f) for one in fates.values()) for f in DeliveryFate}
        report.faults, report.vanishings = self._chaos.faults, self._chaos.vanishings
        report.speckle_faults = self._chaos.speckle_faults
        report.live = sum(len(fates.get(letter, ())) for letter in self._stage.live)
        report.messages = self._stage.message_count()
        report.shown = sum(len(marks) for marks in shown.values())
        if fates:
            follows = self._stage.follows
            report.owed = sum(sum(1 for _ in expected(fates[f.project], f)) for f in follows)
            report.broken += [str(one) for one in complaints(fates, follows, shown)]
