"""What strangers and signers can do to a running bot through its open port, in figures.

The bot runs as a process of its own against the sandbox Discord, with at most 1,024 files, and is
sent: four bodies of 25 MiB at once, of each kind of JSON that costs a parser most, unsigned and
signed in both forms; packed bodies; 1,100 connections that say nothing; four senders that stop in
the middle of large bodies. Meanwhile another hook's deliveries are timed. Memory is the resident
set, read from /proc (Linux).
"""

import asyncio
import gzip
import json
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.fernet import Fernet

from bench.results import Options, Row, folder_on_disk, say
from bench.running_bot import BenchBot, RunningBot
from bot.model import Hook, HookKind
from bot.speckle.signature import sign
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from bot.timing import utc_now
from bot.vault import Vault
from sandbox.discord import Sandbox

MIB = 1024 * 1024
AT_ONCE = 4
FILES = 1_024
SILENT = 1_100
SPECKLE = "http://127.0.0.1:9"  # where nobody answers
GIVE_UP_S = 60.0
PROJECTS = [f"{number:010x}" for number in range(AT_ONCE + 1)]


@dataclass(frozen=True)
class Bot:
    """The running bot, and the hooks of as many projects."""

    running: RunningBot
    hooks: Sequence[Hook]


@asynccontextmanager
async def running_bot(sandbox: Sandbox, folder: Path) -> AsyncIterator[Bot]:
    """A bot whose database knows some hooks, under a limit of open files."""
    key, url = Fernet.generate_key().decode(), f"sqlite:///{folder / 'bot.db'}"
    hooks, guild_ids = [], []
    async with Storage.open(url, Vault([key]), utc_now) as storage:
        for number, project in enumerate(PROJECTS):  # a guild each, as guilds take turns
            guild = sandbox.add_guild(f"Studio {number}")
            channel = guild.add_channel("structure")
            await storage.write(lambda tx: tx.guilds.join(guild.id))
            hook = await storage.write(
                lambda tx: tx.hooks.create(guild.id, SPECKLE, project, HookKind.OWN, 2, channel.id)
            )
            await storage.write(
                lambda tx: tx.subscriptions.upsert(hook.id, channel.id, SubscriptionOptions(), 2)
            )
            hooks.append(hook)
            guild_ids.append(guild.id)
    # The operator's own guilds have no quotas, which these bodies would soon use up.
    settings = {"SPECKLE_SERVERS": SPECKLE}
    bot = BenchBot(sandbox, folder, f"[organisation]\nguilds = {guild_ids}\n", settings, key)
    async with bot.running(most_files=FILES) as running:
        yield Bot(running, hooks)


# ── what is sent ──────────────────────────────────────────────────────────────────────────────


def payload(project: str, number: int, inside: bytes) -> bytes:
    """A payload that is a delivery but for what is inside."""
    head = {
        "streamId": project,
        "number": number,
        "event": {"event_name": "comment_created", "data": {"input": {"screenshot": "?"}}},
        "server": {"canonicalUrl": SPECKLE},
    }
    return json.dumps(head).encode().replace(b'"?"', inside, 1)


def insides(size: int) -> dict[str, bytes]:
    """JSON of about this size, each kind the worst in its way."""
    emoji = "\N{GRINNING FACE}".encode()
    return {
        "brackets": b"[" + b"[[[[]]]]," * (size // 9) + b"0]",
        "objects": b"[" + b"{}," * (size // 3) + b"0]",
        "names": b"{" + b",".join(b'"%x":0' % n for n in range(size // 12)) + b"}",
        "values, as many as may be": b"["
        + b'{"a":{}},' * 30_000
        + b'"'
        + b"a" * (size - 300_000)
        + b'"]',
        "numbers": b"[" + b",".join([b"9" * 4_000] * (size // 4_001)) + b"]",
        "a number": b"9" * size,
        "escapes": b'"' + rb"\u0041" * (size // 6) + b'"',
        "backslashes": b'"' + rb"\\" * (size // 2) + b'"',
        "half pairs": b'"' + rb"\ud800" * (size // 6) + b'"',
        "a text with an emoji": b'"' + b"a" * size + emoji + b'"',
        "emoji with half a pair": b'"' + emoji * (size // 4) + rb"\ud800" + b'"',
        "a text": b'"data:image/png;base64,' + b"A" * size + b'"',
    }


def in_a_text(payload: bytes, size: int) -> bytes:
    """The old form of it, cut to about the size that is taken."""
    escaped = payload.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'{"payload":"' + escaped[:size] + b'"}'


def request(hook: Hook, body: bytes, signature: str, more: str = "") -> bytes:
    """A whole request of one delivery."""
    head = (
        f"POST /webhooks/{hook.key} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n{more}"
        f"Content-Type: application/json\r\nX-WEBHOOK-SIGNATURE: {signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def send(port: int, data: bytes) -> str:
    """Send a request and give the status of its answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=GIVE_UP_S) as caller:
        with suppress(ConnectionError):  # it answers before all is sent
            caller.sendall(data)
        try:
            return caller.recv(64).split(b" ", 2)[1].decode()
        except (ConnectionError, IndexError):
            return "reset"


def hostile(bot: Bot, form: str, inside: bytes, size: int) -> list[bytes]:
    """One request for each hook but the last."""
    requests = []
    for number, hook in enumerate(bot.hooks[:-1]):
        inner = payload(hook.project_id, number, inside)
        body = b'{"payload":' + inner + b"}"
        if form == "signed, old form":
            body = in_a_text(inner, size)
            inner = json.loads(body)["payload"].encode()
            requests.append(request(hook, body, sign(inner, hook.secrets[0])))
        else:
            secret = hook.secrets[0] if form == "signed" else "another"
            requests.append(request(hook, body, sign(body, secret)))
    return requests


# ── what comes of it ──────────────────────────────────────────────────────────────────────────


async def small_ones(bot: Bot, ended: asyncio.Event) -> list[float]:
    """Seconds that each of another hook's deliveries took, one after the other, until it ends."""
    hook = bot.hooks[-1]
    took: list[float] = []
    while not ended.is_set() or not took:
        body = b'{"payload":' + payload(hook.project_id, time.monotonic_ns(), b'"x"') + b"}"
        started = time.perf_counter()
        status = await asyncio.to_thread(
            send, bot.running.port, request(hook, body, sign(body, hook.secrets[0]))
        )
        took.append(time.perf_counter() - started)
        if status != "202":
            say(f"another hook's delivery got {status}")
        await asyncio.sleep(0.02)
    return took


async def peak_mb(bot: Bot, ended: asyncio.Event) -> float:
    """The most that the bot holds in memory until it ends."""
    most = 0.0
    while not ended.is_set():
        most = max(most, bot.running.resident_mb)
        await asyncio.sleep(0.005)
    return most


@dataclass(frozen=True, slots=True)
class Under:
    """What an attack came to."""

    name: str
    most_mb: float
    took_s: float
    slowest_s: float

    def row(self) -> Row:
        """As it is reported."""
        return Row(
            self.name,
            f"at most {self.most_mb:.0f} MB, all answered within {self.took_s:.1f} s",
            f"another delivery at most {self.slowest_s:.2f} s",
        )


async def under(bot: Bot, name: str, requests: Sequence[bytes], settle_s: float = 2.0) -> Under:
    """Send all at once, and watch memory and another hook meanwhile."""
    ended = asyncio.Event()
    memory = asyncio.create_task(peak_mb(bot, ended))
    others = asyncio.create_task(small_ones(bot, ended))
    started = time.perf_counter()
    sending = (asyncio.to_thread(send, bot.running.port, one) for one in requests)
    answers = await asyncio.gather(*sending)
    took_s = time.perf_counter() - started
    await asyncio.sleep(settle_s)  # what was accepted is processed
    ended.set()
    found = Under(name, await memory, took_s, max(await others))
    said = "/".join(sorted(answers)) or "nothing"
    say(f"{name}: {said} within {took_s:.1f} s, at most {found.most_mb:.0f} MB")
    return found


async def bodies(bot: Bot, size: int) -> Sequence[Under]:
    found = []
    for form in ("unsigned", "signed", "signed, old form"):
        for name, inside in insides(size - 1_000).items():
            requests = await asyncio.to_thread(hostile, bot, form, inside, size - 100)
            found.append(await under(bot, f"{form}, {name}", requests))
    return found


async def packed(bot: Bot) -> Under:
    bomb = gzip.compress(b"\0" * 400 * MIB, 9)
    more = "Content-Encoding: gzip\r\n"
    requests = [request(bot.hooks[0], bomb, "0" * 64, more)] * 5
    return await under(bot, f"five packed bodies of {len(bomb) // 1000} kB", requests, 0.0)


async def silent(bot: Bot) -> Under:
    callers = [socket.create_connection(("127.0.0.1", bot.running.port)) for _ in range(SILENT)]
    found = await under(bot, f"{SILENT} silent connections under {FILES} files", [], 2.0)
    for caller in callers:
        caller.close()
    return found


async def slow(bot: Bot, size: int) -> Under:
    callers = []
    for number in range(AT_ONCE):
        caller = socket.create_connection(("127.0.0.1", bot.running.port), timeout=GIVE_UP_S)
        whole = request(bot.hooks[number], b"x" * size, "0" * 64)
        await asyncio.to_thread(caller.sendall, whole[: -size // 10])
        callers.append(caller)
    await asyncio.sleep(2.5)
    hook = bot.hooks[-1]
    body = b'{"payload":' + payload(hook.project_id, 0, b'"' + b"x" * (size // 2) + b'"') + b"}"
    large = request(hook, body, sign(body, hook.secrets[0]))
    found = await under(bot, f"{AT_ONCE} that stop in the middle, and a large delivery", [large])
    for caller in callers:
        caller.close()
    return found


async def measure(size: int) -> Sequence[Row]:
    async with Sandbox.start() as sandbox:
        with folder_on_disk() as folder:
            async with running_bot(sandbox, Path(folder)) as bot:
                found = [await under(bot, "nothing else", []), await packed(bot)]
                found += [await silent(bot), await slow(bot, size)]
                worst = max(await bodies(bot, size), key=lambda one: one.most_mb)
    rows = [one.row() for one in found]
    worst_of_all = f"{AT_ONCE} bodies of 25 MiB at once, the worst of all kinds: {worst.name}"
    return [*rows, replace(worst.row(), what=worst_of_all)]


def rows(_: Options) -> Sequence[Row]:
    """One kind after the other."""
    return asyncio.run(measure(25 * MIB))
