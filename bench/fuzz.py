"""Sends the bot requests that are wrong in every way, and looks at what it makes of them.

The bot runs as a process of its own against the sandbox Discord, over an SQLite database, with all
its parts at work. Requests are recorded deliveries that were changed (`fuzz_requests`), signed and
unsigned, over bare sockets. It must answer none with 5xx, leave none of those it took in the inbox,
log no exception and nothing worse than a warning, and be ready afterwards. The seed is printed; the
same seed makes the same requests.

    python -m bench.fuzz [--requests 200000] [--seed 7] [--senders 64] [--only 1234]
"""

import argparse
import asyncio
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom

import aiohttp
from cryptography.fernet import Fernet
from sqlalchemy import func, select

from bench.fuzz_requests import Maker, Request, Target
from bench.running_bot import NO_ENRICHMENT, BenchBot
from bot.db.tables import IS_NEW, inbox
from bot.model import HookKind
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage, Transaction
from bot.timing import utc_now
from bot.vault import Vault
from sandbox.discord import Sandbox

SERVER = "http://127.0.0.1:3000"  # of the recordings
PROJECTS = ("7e14d973e6", "23da278a28", "d3c5eba51b")
SHARED_SECRET = "the operator's"  # noqa: S105  # of a sandbox
ANSWER_WITHIN_S = 1.0  # everything is answered within this time, except half a request
REFUSED_WITHIN_S = 4.0  # who guesses is answered late
STUCK_AFTER_S = 60.0  # with the same rows at the heads of all queues
STATUS = re.compile(rb"HTTP/\d\.\d (\d{3}) ")


@dataclass
class Findings:
    """What came of it: how many answers of which status, and what must not be."""

    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Stage:
    """The running bot, its database and its log."""

    port: int
    storage: Storage
    log: Path
    targets: dict[str, Target]


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    """The bot at work in a guild that follows the recorded projects, and with a shared hook."""
    key, url = Fernet.generate_key().decode(), f"sqlite:///{folder / 'bot.db'}"
    log = folder / "bot.log"
    async with (
        Sandbox.start(pace=False) as sandbox,
        Storage.open(url, Vault([key]), utc_now) as storage,
    ):
        guild = sandbox.add_guild("Studio Kestrel")
        channel = guild.add_channel("structure")
        await storage.write(lambda tx: tx.guilds.join(guild.id))
        targets = {}
        for project in PROJECTS:
            hook = await storage.write(
                lambda tx: tx.hooks.create(guild.id, SERVER, project, HookKind.OWN, 2, channel.id)
            )
            await storage.write(
                lambda tx: tx.subscriptions.upsert(hook.id, channel.id, SubscriptionOptions(), 2)
            )
            targets[project] = Target(f"/webhooks/{hook.key}", hook.secrets[0])
        settings = {
            "SPECKLE_SERVERS": SERVER,
            "SPECKLE_WEBHOOK_SECRET": SHARED_SECRET,
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "warning",
        }
        config = f"[organisation]\nguilds = [{guild.id}]\n{NO_ENRICHMENT}"
        bot = BenchBot(sandbox, folder, config, settings, key)
        with log.open("wb") as output:
            async with bot.running(stderr=output) as running:
                yield Stage(running.port, storage, log, targets)


# ── sending ───────────────────────────────────────────────────────────────────────────────────


async def answers(port: int, request: Request) -> list[str]:
    """Send one request; the statuses of what is answered."""
    came = b""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        return [type(error).__name__]
    try:
        with suppress(ConnectionError):
            for piece in request.pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
        if not request.breaks_off:
            came = await _all_that_comes(reader)
    finally:
        writer.transport.abort()
    return [status.decode() for status in STATUS.findall(came)]


async def _all_that_comes(reader: asyncio.StreamReader) -> bytes:
    came = bytearray()
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(REFUSED_WITHIN_S) as patience:
            while chunk := await reader.read(65_536):
                came += chunk
                patience.reschedule(asyncio.get_running_loop().time() + ANSWER_WITHIN_S)
    return bytes(came)


async def send_all(
    port: int, maker: Maker, numbers: Iterable[int], senders: int, findings: Findings
) -> None:
    """Send these requests, so many side by side."""
    waiting = iter(numbers)

    async def sender() -> None:
        for number in waiting:
            request = maker.make(number)
            for status in await answers(port, request) or ["none"]:
                findings.statuses[status] += 1
                if not status.startswith(("1", "2", "3", "4", "none")):
                    start = b"".join(request.pieces)[:100]
                    findings.wrong.append(f"request {number} got {status}: {start!r}…")

    async with asyncio.TaskGroup() as tasks:
        for _ in range(senders):
            tasks.create_task(sender())


# ── looking ───────────────────────────────────────────────────────────────────────────────────


def new_count(tx: Transaction) -> int:
    """How many deliveries wait to be processed."""
    return tx.session.scalar(select(func.count()).select_from(inbox).where(IS_NEW)) or 0


async def is_stuck(storage: Storage) -> bool:
    """Wait until the inbox is processed; True if nothing changes in it any more before that."""
    before, since = None, time.monotonic()
    while new := await storage.read(new_count):
        if new != before:
            before, since = new, time.monotonic()
        elif time.monotonic() - since > STUCK_AFTER_S:
            return True
        await asyncio.sleep(0.2)
    return False


async def look(stage: Stage, findings: Findings) -> None:
    """Whether everything that was accepted is processed, the bot is ready, and its log is quiet."""
    if await is_stuck(stage.storage):
        findings.wrong.append(f"the same rows wait in the inbox for {STUCK_AFTER_S:g} s")
    url = f"http://127.0.0.1:{stage.port}/readyz"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        if answer.status != 200:
            findings.wrong.append(f"the bot is not ready: {await answer.text()}")


def look_at_log(log: Path, findings: Findings) -> Counter[str]:
    """How many lines there are of each kind; what is an exception or an error is wrong."""
    kinds = Counter[str]()
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                findings.wrong.append(f"a line that is none of ours: {line[:300]}")
                continue
            kinds[event["event"]] += 1
            if "exception" in event or event["level"] in ("error", "critical"):
                findings.wrong.append(line[:1_000])
    return kinds


async def fuzz(seed: int, numbers: Iterable[int], senders: int) -> Findings:
    """Send the requests of this seed with these numbers to a bot of their own."""
    findings = Findings()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "bot.log"
        async with stage(Path(folder)) as running:
            maker = Maker(seed, running.targets, Target("/webhook", SHARED_SECRET))
            await send_all(running.port, maker, numbers, senders, findings)
            await look(running, findings)
        for kind, count in look_at_log(log, findings).most_common():
            sys.stdout.write(f"{count} lines {kind}\n")
    return findings


def main() -> None:
    """Run it and say what was found; ends with 1 if anything was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    parser.add_argument("--senders", type=int, default=64)
    parser.add_argument("--only", type=int, help="one request by its number")
    options = parser.parse_args()
    numbers = range(options.requests) if options.only is None else [options.only]
    sys.stdout.write(f"seed {options.seed}\n")
    started = time.perf_counter()
    findings = asyncio.run(fuzz(options.seed, numbers, options.senders))
    sys.stdout.write(f"{len(numbers)} requests in {time.perf_counter() - started:.0f} s\n")
    for status, count in sorted(findings.statuses.items()):
        sys.stdout.write(f"{count} answers {status}\n")
    for wrong in findings.wrong[:50]:
        sys.stdout.write(f"WRONG: {wrong}\n")
    sys.stdout.write(f"{len(findings.wrong)} findings\n")
    raise SystemExit(bool(findings.wrong))


if __name__ == "__main__":
    main()
