"""How long the bot takes from its start to ready, and what it holds in memory when idle.

The bot runs as a process of its own, over one database, against the sandbox Discord in this one;
the first run, which creates the database, is listed separately. Ready is the first 200 of GET
/readyz. Memory is the resident set, read from /proc (Linux).
"""

import asyncio
import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
from cryptography.fernet import Fernet

from bench.results import Options, Row, figure, folder_on_disk, say
from sandbox.discord import Sandbox

IDLE_S = 5.0
GIVE_UP_S = 30.0


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def resident_mb(pid: int) -> float:
    """What a process holds in memory (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def until_ready(port: int) -> None:
    """Wait for the first 200 of /readyz."""
    async with aiohttp.ClientSession() as http, asyncio.timeout(GIVE_UP_S):
        while True:
            try:
                async with http.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.02)


async def _one_run(sandbox: Sandbox, folder: Path, key: str) -> tuple[float, float]:
    """Seconds to ready, and megabytes resident after some idle seconds."""
    port = free_port()
    environment = os.environ | {
        "DISCORD_TOKEN": sandbox.token,
        "DISCORD_API_URL": sandbox.api_url,
        "ENCRYPTION_KEYS": key,
        "DATABASE_URL": f"sqlite:///{folder / 'bot.db'}",
        "WEBHOOK_PORT": str(port),
        "LOG_LEVEL": "error",
    }
    started = time.perf_counter()
    bot = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "--env-file", os.devnull, "run", env=environment
    )
    try:
        await until_ready(port)
        ready_s = time.perf_counter() - started
        await asyncio.sleep(IDLE_S)
        return ready_s, resident_mb(bot.pid)
    finally:
        bot.terminate()
        await bot.wait()


async def _measure(runs: int) -> Sequence[tuple[float, float]]:
    found = []
    async with Sandbox.start() as sandbox:
        sandbox.add_guild("Studio Kestrel").add_channel("structure")
        with folder_on_disk() as folder:
            key = Fernet.generate_key().decode()
            for number in range(runs + 1):
                found.append(await _one_run(sandbox, Path(folder), key))
                ready_s, idle_mb = found[-1]
                say(f"run {number}: ready after {ready_s:.2f} s, {idle_mb:.0f} MB")
    return found


def rows(options: Options) -> Sequence[Row]:
    """Several starts over one database."""
    (first_s, _), *found = asyncio.run(_measure(options.rounds))
    return [
        Row("start to ready, with a new database", f"{first_s:.2f} s"),
        Row("start to ready", figure([ready_s for ready_s, _ in found], "s", 2)),
        Row("memory when idle", figure([idle_mb for _, idle_mb in found], "MB")),
    ]
