"""How long a card takes from its delivery to Discord while the bot has nothing else to do.

The bot runs as a process of its own over an SQLite file on the disk, against the sandbox Discord in
this one, without its pace. One recorded version after the other is posted, each over a connection
of its own as a Speckle server does, with a pause in between. The time ends when the sandbox has the
message, its own checks included. Beside it, in turn: the sync of a small write to the same disk,
and a request to the sandbox that is answered with little, which are what no bot can do without.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from bench.project import Project, follow
from bench.results import Options, Row, figure, folder_on_disk, say
from bench.running_bot import BenchBot
from sandbox.discord import Sandbox

PROJECT_ID = "5f0c9a41b7"
EVENTS = 100  # a round
WARM_UP = 10
PAUSE_S = 0.25
GIVE_UP_S = 10.0
MEDIAN_MS, LATE_MS = 20.0, 60.0
LATE = 99  # of a hundred


@dataclass
class Found:
    """Milliseconds of each event, and of what nobody can do without."""

    card_ms: list[float] = field(default_factory=list)
    answer_ms: list[float] = field(default_factory=list)
    least_ms: list[float] = field(default_factory=list)


def late(values: Sequence[float]) -> float:
    """What 99 of a hundred stay below."""
    return statistics.quantiles(values, n=100)[LATE - 1]


async def _least_ms(http: aiohttp.ClientSession, sandbox: Sandbox, folder: Path) -> float:
    """A small write and its sync, then one request."""
    started = time.perf_counter()
    with (folder / "sync").open("ab") as file:
        file.write(bytes(8_192))
        file.flush()
        os.fdatasync(file.fileno())
    headers = {"Authorization": f"Bot {sandbox.token}"}
    async with http.get(f"{sandbox.api_url}/users/@me", headers=headers) as answer:
        await answer.read()
    return 1_000 * (time.perf_counter() - started)


async def _one(
    http: aiohttp.ClientSession, sandbox: Sandbox, project: Project, number: int
) -> tuple[float, float]:
    """Milliseconds until the delivery is answered, and until its card is in the channel."""
    there = len(sandbox.messages(project.channel.id))
    started = time.perf_counter()
    shown = asyncio.create_task(
        sandbox.wait_for_messages(project.channel, there + 1, timeout_s=GIVE_UP_S)
    )
    await project.post(http, range(number, number + 1))
    answered = time.perf_counter()
    await shown
    return 1_000 * (answered - started), 1_000 * (time.perf_counter() - started)


async def _round(found: Found) -> None:
    async with Sandbox.start(pace=False) as sandbox:
        with folder_on_disk() as name:
            bot = BenchBot(sandbox, Path(name))
            guild = sandbox.add_guild("Studio Kestrel")
            channel = guild.add_channel("structure")
            member = guild.add_member("Maren Oduya", permissions="manage_webhooks")
            connector = aiohttp.TCPConnector(force_close=True)
            async with bot.running(), aiohttp.ClientSession(connector=connector) as http:
                project = await follow(sandbox, guild, channel, member, PROJECT_ID)
                for number in range(WARM_UP + EVENTS):
                    await asyncio.sleep(PAUSE_S)
                    answer_ms, card_ms = await _one(http, sandbox, project, number)
                    least_ms = await _least_ms(http, sandbox, Path(name))
                    if number >= WARM_UP:
                        found.answer_ms.append(answer_ms)
                        found.card_ms.append(card_ms)
                        found.least_ms.append(least_ms)


def rows(options: Options) -> Sequence[Row]:
    """All events of all rounds together."""
    found = Found()
    for number in range(options.rounds):
        asyncio.run(_round(found))
        say(
            f"round {number + 1}: {statistics.median(found.card_ms):.1f} ms, 99th "
            f"{late(found.card_ms):.1f} ms, answered {statistics.median(found.answer_ms):.1f} ms"
        )
    median, latest = statistics.median(found.card_ms), late(found.card_ms)
    least = statistics.median(found.least_ms)
    return [
        Row(
            "arrival to Discord, median",
            figure(found.card_ms, "ms", 1),
            f"one sync and one request: {figure(found.least_ms, 'ms', 1)}",
            f"{median / least:.1f}",
            f"≤ {MEDIAN_MS:.0f} ms",
            median <= MEDIAN_MS,
        ),
        Row(
            "arrival to Discord, 99th",
            f"{latest:.1f} ms",
            f"one sync and one request: {late(found.least_ms):.1f} ms",
            f"{latest / late(found.least_ms):.1f}",
            f"≤ {LATE_MS:.0f} ms",
            latest <= LATE_MS,
        ),
        Row("arrival to the 202, of that", figure(found.answer_ms, "ms", 1)),
    ]
