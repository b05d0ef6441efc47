"""What a long queue costs: the bot's memory with 10,000 cards waiting compared with 200.

The bot runs as a process of its own against the sandbox Discord in this one, which at first asks
for patience in one channel, again and again. Memory is the resident set, read from /proc (Linux).
Then Discord is well again, without its pace, and the queue goes out: how many cards a message, how
many a second.

    python -m bench.backlog [--cards 10000]
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from cryptography.fernet import Fernet

from bench.project import Project, follow
from bench.start import free_port, resident_mb, until_ready
from sandbox.discord import Sandbox, SandboxChannel

PROJECT_ID = "5f0c9a41b7"
FEW = 200
SETTLE_S = 3.0
LOOK_S = 0.1
PATIENCE_S = 2.0


def _cards(sandbox: Sandbox, channel: SandboxChannel) -> tuple[int, int]:
    """Cards and messages with cards in the channel."""
    counts = [len(message.embeds) for message in sandbox.messages(channel.id) if message.embeds]
    return sum(counts), len(counts)


async def _until_shown(sandbox: Sandbox, channel: SandboxChannel, cards: int) -> None:
    while True:
        if _cards(sandbox, channel)[0] >= cards:
            return
        await asyncio.sleep(LOOK_S)


async def _measure(cards: int) -> None:
    async with Sandbox.start(pace=False) as sandbox:
        guild = sandbox.add_guild("Studio Kestrel")
        channel = guild.add_channel("structure")
        member = guild.add_member("Maren Oduya", permissions="manage_webhooks")
        with tempfile.TemporaryDirectory() as folder:
            port = free_port()
            config = Path(folder) / "config.toml"
            config.write_text("[speckle]\nenrich_deadline_s = 0.0\n")
            environment = os.environ | {
                "DISCORD_TOKEN": sandbox.token,
                "DISCORD_API_URL": sandbox.api_url,
                "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
                "DATABASE_URL": f"sqlite:///{Path(folder) / 'bot.db'}",
                "WEBHOOK_PORT": str(port),
                "PUBLIC_URL": f"http://127.0.0.1:{port}",
                "LOG_LEVEL": "error",
            }
            files = ("--config", str(config), "--env-file", os.devnull)
            bot = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bot", *files, "run", env=environment
            )
            try:
                await until_ready(port)
                project = await follow(sandbox, guild, channel, member, PROJECT_ID)
                await _one_queue(sandbox, project, bot.pid, cards)
            finally:
                bot.terminate()
                await bot.wait()


async def _one_queue(sandbox: Sandbox, project: Project, pid: int, cards: int) -> None:
    channel = project.channel
    route = f"POST /channels/{channel.id}/messages"
    sandbox.faults.rate_limit(route, retry_after=PATIENCE_S, times=None)
    async with aiohttp.ClientSession() as http:
        await project.post(http, range(FEW))
        await asyncio.sleep(SETTLE_S)
        few_mb = resident_mb(pid)
        started = time.perf_counter()
        await project.post(http, range(FEW, cards))
        taken_s = time.perf_counter() - started
        await asyncio.sleep(SETTLE_S)
        many_mb = resident_mb(pid)
    sys.stdout.write(
        f"{few_mb:.0f} MB with {FEW} cards waiting, {many_mb:.0f} MB with {cards}: "
        f"ratio {many_mb / few_mb:.2f}\n"
        f"taken one after the other at {(cards - FEW) / taken_s:.0f} a second\n"
    )
    sandbox.faults.heal()
    await _until_shown(sandbox, channel, 1)  # the channel waits for its next try
    started = time.perf_counter()
    await _until_shown(sandbox, channel, cards)
    _, messages = _cards(sandbox, channel)
    drained_s = time.perf_counter() - started
    sys.stdout.write(
        f"{cards} cards went out in {messages} messages, {cards / drained_s:.0f} a second, "
        f"{messages / drained_s:.0f} messages a second; {resident_mb(pid):.0f} MB after that\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cards", type=int, default=10_000)
    asyncio.run(_measure(parser.parse_args().cards))
