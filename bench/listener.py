"""How much the durable listener costs: its requests per second compared with a bare handler's.

Both servers run as processes of their own, in turn, under the same load: 64 senders that each post
signed deliveries of 6 kB, all different, over a new connection each, as a Speckle server does. The
bare one reads the body, checks the signature and answers; the durable one also finds the hook,
parses the delivery, counts it towards its guild's quota and commits it to disk.
"""

import asyncio
import hashlib
import hmac
import json
import multiprocessing
import selectors
import socket
import statistics
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from aiohttp import web
from cryptography.fernet import Fernet

from bench.results import Options, Row, figure, folder_on_disk, say
from bot.model import HookKind
from bot.services.quotas import GuildLimits, QuotaService
from bot.services.readiness import Readiness
from bot.startup import tune_interpreter
from bot.storage import Storage
from bot.timing import utc_now
from bot.vault import Vault
from bot.webhook_listener import WebhookListener

SENDERS = 64
SECONDS = 4.0
RATIO = 0.65
BODY_BYTES = 6_000
PROJECT_ID = "5f0c9a41b7"
LIMITS = GuildLimits(
    events_a_day=10**9, bytes_a_day=10**15, hooks=1, subscriptions=1, model_names=1
)  # so that all is counted and nothing refused
BARE_SECRET = "bare"  # noqa: S105  # no secret: the bare handler knows no hooks


async def _bare(reports: Connection) -> None:
    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        wanted = hmac.new(BARE_SECRET.encode(), body, hashlib.sha256).hexdigest().encode()
        sent = request.headers["X-WEBHOOK-SIGNATURE"].encode()
        return web.Response(status=202 if hmac.compare_digest(wanted, sent) else 401)

    app = web.Application(client_max_size=25 * 1024 * 1024)
    app.router.add_post("/webhook", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reports.send((runner.addresses[0][1], "/webhook", BARE_SECRET))
    await asyncio.Event().wait()


async def _durable(reports: Connection) -> None:
    with folder_on_disk() as folder:
        vault = Vault([Fernet.generate_key().decode()])
        url = f"sqlite:///{Path(folder) / 'bench.db'}"
        async with Storage.open(url, vault, utc_now) as storage:
            await storage.write(lambda tx: tx.guilds.join(1))
            hook = await storage.write(
                lambda tx: tx.hooks.create(
                    1, "https://app.speckle.systems", PROJECT_ID, HookKind.OWN, 2, 3
                )
            )
            listener = WebhookListener(
                storage,
                shared_hook=None,
                max_body_bytes=25 * 1024 * 1024,
                on_stored=lambda _key: None,
                on_missed=lambda: None,
                problems=Readiness(storage).problems,
                instance="0f0f",
                now=utc_now,
                quotas=QuotaService(storage, LIMITS, now=utc_now),
            )
            async with listener.listening("127.0.0.1", 0) as port:
                reports.send((port, f"/webhooks/{hook.key}", hook.secrets[0]))
                await asyncio.Event().wait()


def _serve(kind: str, reports: Connection) -> None:
    tune_interpreter()
    asyncio.run(_bare(reports) if kind == "bare" else _durable(reports))


def _requests(path: str, secret: str, count: int) -> list[bytes]:
    """Whole HTTP requests, made before the clock runs."""
    requests = []
    for number in range(count):
        payload = {
            "streamId": PROJECT_ID,
            "event": {"event_name": "commit_create", "data": {"id": f"{number:010x}"}},
            "server": {"canonicalUrl": "https://app.speckle.systems"},
            "activityMessage": f"{time.time_ns()} " + "x" * (BODY_BYTES - 250),
        }
        body = json.dumps({"payload": payload}).encode()
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n"
            "Content-Type: application/json\r\n"
            f"X-WEBHOOK-SIGNATURE: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)
    return requests


def _load(port: int, requests: list[bytes], seconds: float) -> float:
    """Requests per second of 64 senders; any answer but 202 ends the bench.

    Bare sockets, because sender and server share the machine: what one costs, the other lacks.
    """
    waiting = iter(requests)
    started = time.perf_counter()
    deadline = started + seconds
    answered = 0
    with selectors.DefaultSelector() as selector:

        def send_next() -> None:
            request = next(waiting, None)
            if request is None or time.perf_counter() > deadline:
                return
            sender = socket.create_connection(("127.0.0.1", port))
            sender.sendall(request)
            selector.register(sender, selectors.EVENT_READ)

        for _ in range(SENDERS):
            send_next()
        while selector.get_map():
            for key, _ in selector.select():
                assert isinstance(key.fileobj, socket.socket)  # noqa: S101
                head = key.fileobj.recv(65_536)
                selector.unregister(key.fileobj)
                key.fileobj.close()
                if not head.startswith(b"HTTP/1.1 202"):
                    raise SystemExit(f"unexpected answer: {head[:60]!r}")
                answered += 1
                send_next()
    return answered / (time.perf_counter() - started)


def _measure(kind: str, seconds: float) -> float:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=_serve, args=(kind, there), daemon=True)
    server.start()
    try:
        port, path, secret = here.recv()
        requests = _requests(path, secret, int(seconds * 16_000))
        _load(port, requests[:500], seconds)  # warm-up
        return _load(port, requests[500:], seconds)
    finally:
        server.kill()
        server.join()


def rows(options: Options) -> Sequence[Row]:
    """Each side in turn, round by round."""
    bare, durable = [], []
    for number in range(options.rounds):
        bare.append(_measure("bare", SECONDS))
        durable.append(_measure("durable", SECONDS))
        say(f"round {number + 1}: bare {bare[-1]:.0f}/s, durable {durable[-1]:.0f}/s")
    ratios = [ours / theirs for ours, theirs in zip(durable, bare, strict=True)]
    return [
        Row(
            "requests a second, 64 senders, a new connection each, 6 kB, synced",
            figure(durable, "/s"),
            f"a bare handler that checks the signature: {figure(bare, '/s')}",
            figure(ratios, "", 2),
            f"≥ {RATIO}",
            statistics.median(ratios) >= RATIO,
        )
    ]
