"""What a long queue costs: the bot's memory with 10,000 cards waiting compared with 200.

The bot runs as a process of its own against the sandbox Discord in this one, which at first asks
for patience in one channel, again and again. Memory is the resident set, read from /proc (Linux).
Then Discord is well again, without its pace, and the queue goes out: how many cards a message, how
many a second.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from bench.project import Project, follow, until_shown
from bench.results import Options, Row, folder_on_disk
from bench.running_bot import BenchBot, RunningBot
from sandbox.discord import Sandbox

PROJECT_ID = "5f0c9a41b7"
FEW = 200
CARDS = 10_000
SETTLE_S = 3.0
PATIENCE_S = 2.0


async def _measure(cards: int) -> Sequence[Row]:
    async with Sandbox.start(pace=False) as sandbox:
        guild = sandbox.add_guild("Studio Kestrel")
        channel = guild.add_channel("structure")
        member = guild.add_member("Maren Oduya", permissions="manage_webhooks")
        with folder_on_disk() as folder:
            async with BenchBot(sandbox, Path(folder)).running() as bot:
                project = await follow(sandbox, guild, channel, member, PROJECT_ID)
                return await _one_queue(sandbox, project, bot, cards)


async def _one_queue(
    sandbox: Sandbox, project: Project, bot: RunningBot, cards: int
) -> Sequence[Row]:
    channel = project.channel
    route = f"POST /channels/{channel.id}/messages"
    sandbox.faults.rate_limit(route, retry_after=PATIENCE_S, times=None)
    async with aiohttp.ClientSession() as http:
        await project.post(http, range(FEW))
        await asyncio.sleep(SETTLE_S)
        few_mb = bot.resident_mb
        started = time.perf_counter()
        await project.post(http, range(FEW, cards))
        taken_s = time.perf_counter() - started
        await asyncio.sleep(SETTLE_S)
        many_mb = bot.resident_mb
    sandbox.faults.heal()
    await until_shown(sandbox, [channel], 1)  # the channel waits for its next try
    started = time.perf_counter()
    await until_shown(sandbox, [channel], cards)
    drained_s = time.perf_counter() - started
    messages = sum(bool(one.embeds) for one in sandbox.messages(channel.id))
    return [
        Row(
            f"memory with {cards:,} cards waiting",
            f"{many_mb:.0f} MB",
            f"with {FEW}: {few_mb:.0f} MB",
            f"{many_mb / few_mb:.2f}",
        ),
        Row("taken in, one after the other", f"{(cards - FEW) / taken_s:.0f} /s"),
        Row(
            "gone out",
            f"{cards / drained_s:.0f} cards/s, {messages / drained_s:.0f} messages/s",
            f"{cards:,} cards in {messages:,} messages",
        ),
    ]


def rows(_: Options) -> Sequence[Row]:
    """One queue, which fills up and goes out."""
    return asyncio.run(_measure(CARDS))
