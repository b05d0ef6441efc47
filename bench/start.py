"""How long the bot takes from its start to ready, and what it holds in memory when idle.

The bot runs as a process of its own, over one database, against the sandbox Discord in this one;
the first run, which creates the database, is listed separately. Ready is the first 200 of GET
/readyz. Memory is the resident set, read from /proc (Linux).

    python -m bench.start [--runs 5]
"""

import argparse
import asyncio
import os
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from cryptography.fernet import Fernet

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


async def _measure(runs: int) -> None:
    found = []
    async with Sandbox.start() as sandbox:
        sandbox.add_guild("Studio Kestrel").add_channel("structure")
        with tempfile.TemporaryDirectory() as folder:
            key = Fernet.generate_key().decode()
            for number in range(runs + 1):
                ready_s, resident_mb = await _one_run(sandbox, Path(folder), key)
                found.append((ready_s, resident_mb))
                name = f"run {number}" if number else "first start"
                sys.stdout.write(f"{name}: ready after {ready_s:.2f} s, {resident_mb:.0f} MB\n")
    del found[0]
    sys.stdout.write(
        f"median: ready after {statistics.median(s for s, _ in found):.2f} s, "
        f"{statistics.median(mb for _, mb in found):.0f} MB\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    asyncio.run(_measure(parser.parse_args().runs))
