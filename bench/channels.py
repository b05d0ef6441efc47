"""How near to Discord's limits the bot goes: many events for one channel, one event for many.

The bot runs as a process of its own against the sandbox Discord in this one, which keeps Discord's
limits: 5 messages in 5 s for a channel, 50 requests a second in all.

A hundred versions are posted for one channel, one after the other as a Speckle server does. Beside
it a plain client sends one message an event there, and then the ten messages of ten cards that are
the least for so many events: the limit of a channel allows one a second in the long run, so ten
seconds, of which the first five messages go at once.

Then one version is posted for a project that a thousand channels follow. Beside it: a thousand
requests at the pace that is set.
"""

import asyncio
import sqlite3
import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from bench.project import Project, cards_in, follow, until_shown
from bench.results import Options, Row, figure, folder_on_disk, say
from bench.running_bot import BenchBot
from sandbox.discord import Sandbox, SandboxChannel, SandboxGuild

PROJECT_ID = "5f0c9a41b7"
EVENTS = 100
CARDS_A_MESSAGE = 10
WINDOW, WINDOW_S = 5, 5.0  # messages, of a channel
LIMIT_S = EVENTS / CARDS_A_MESSAGE * WINDOW_S / WINDOW
FASTER, OF_LIMIT = 9.0, 1.1
CHANNELS = 1_000
REQUESTS_PER_S = 45.0
PACED_S = CHANNELS / REQUESTS_PER_S
OF_PACE = 1.05
TOO_MANY = 429


@dataclass
class Found:
    """Seconds, round by round, and how many messages and refusals there were."""

    one_channel_s: list[float] = field(default_factory=list)
    messages: list[float] = field(default_factory=list)
    one_each_s: list[float] = field(default_factory=list)
    ten_full_s: list[float] = field(default_factory=list)
    many_channels_s: list[float] = field(default_factory=list)
    refused: int = 0


def _refused(sandbox: Sandbox) -> int:
    return sum(request.status == TOO_MANY for request in sandbox.requests)


async def _plain_client(sandbox: Sandbox, channel: SandboxChannel, messages: int) -> float:
    """Seconds until a client that waits as it is asked to has sent so many messages."""
    url = f"{sandbox.api_url}/channels/{channel.id}/messages"
    headers = {"Authorization": f"Bot {sandbox.token}"}
    started = time.perf_counter()
    async with aiohttp.ClientSession(headers=headers) as http:
        sent = 0
        while sent < messages:
            async with http.post(url, json={"content": f"{sent}"}) as answer:
                if answer.status == TOO_MANY:
                    await asyncio.sleep((await answer.json())["retry_after"])
                else:
                    sent += 1
    return time.perf_counter() - started


async def _one_channel(sandbox: Sandbox, project: Project, found: Found) -> None:
    channels = [project.channel]
    async with aiohttp.ClientSession() as http:
        # So that no window of the channel is open, and the project's first event is behind it.
        await project.post(http, range(1))
        await until_shown(sandbox, channels, 1)
        await asyncio.sleep(2 * WINDOW_S)
        before, started = len(sandbox.messages(project.channel.id)), time.perf_counter()
        await project.post(http, range(1, 1 + EVENTS))
        await until_shown(sandbox, channels, 1 + EVENTS)
    found.one_channel_s.append(time.perf_counter() - started)
    found.messages.append(len(sandbox.messages(project.channel.id)) - before)


def _follow_in(database: Path, channels: Sequence[SandboxChannel]) -> None:
    """Have these channels follow what the only subscription follows, with its options."""
    with closing(sqlite3.connect(database)) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(subscriptions)")]
        copied = [name for name in names if name not in ("id", "channel_id")]
        columns = ", ".join(copied)
        # The names are those of the table's own columns.
        connection.executemany(
            f"INSERT INTO subscriptions (channel_id, {columns}) "  # noqa: S608
            f"SELECT ?, {columns} FROM subscriptions ORDER BY id LIMIT 1",
            [(channel.id,) for channel in channels],
        )
        connection.commit()


async def _many_channels(
    sandbox: Sandbox, bot: BenchBot, guild: SandboxGuild, project: Project, found: Found
) -> None:
    channels = [guild.add_channel(f"c{number}") for number in range(CHANNELS - 1)]
    _follow_in(bot.database, channels)
    everywhere = [project.channel, *channels]
    before, refused = cards_in(sandbox, everywhere), _refused(sandbox)
    await asyncio.sleep(WINDOW_S)
    started = time.perf_counter()
    async with aiohttp.ClientSession() as http:
        await project.post(http, range(1 + EVENTS, 2 + EVENTS))
    await until_shown(sandbox, everywhere, before + CHANNELS)
    found.many_channels_s.append(time.perf_counter() - started)
    found.refused += _refused(sandbox) - refused


async def _round(found: Found, *, one_each: bool) -> None:
    async with Sandbox.start() as sandbox:
        with folder_on_disk() as name:
            bot = BenchBot(sandbox, Path(name))
            guild = sandbox.add_guild("Studio Kestrel")
            channel, plain = guild.add_channel("structure"), guild.add_channel("plain")
            member = guild.add_member("Maren Oduya", permissions="manage_webhooks")
            async with bot.running():
                project = await follow(sandbox, guild, channel, member, PROJECT_ID)
                await _one_channel(sandbox, project, found)
                await _many_channels(sandbox, bot, guild, project, found)
            full = EVENTS // CARDS_A_MESSAGE
            found.ten_full_s.append(await _plain_client(sandbox, plain, full))
            if one_each:  # a minute and a half, and the same each time
                await asyncio.sleep(WINDOW_S)
                found.one_each_s.append(await _plain_client(sandbox, plain, EVENTS))


def rows(options: Options) -> Sequence[Row]:
    """Both in turn; one message an event is sent in the first round only."""
    found = Found()
    for number in range(options.rounds):
        asyncio.run(_round(found, one_each=number == 0))
        say(
            f"round {number + 1}: {found.one_channel_s[-1]:.1f} s in {found.messages[-1]:.0f} "
            f"messages; {found.many_channels_s[-1]:.1f} s to {CHANNELS} channels"
        )
    ours, many = statistics.median(found.one_channel_s), statistics.median(found.many_channels_s)
    faster = statistics.median(found.one_each_s) / ours
    return [
        Row(
            f"{EVENTS} events for one channel",
            figure(found.one_channel_s, "s", 1),
            f"one message an event: {figure(found.one_each_s, 's', 1)}",
            f"{faster:.1f} times faster",
            f"≥ {FASTER:.0f} times faster",
            faster >= FASTER,
        ),
        Row(
            f"the same, in {figure(found.messages, 'messages')}",
            figure(found.one_channel_s, "s", 1),
            f"10 full messages at a channel's pace of one a second: {LIMIT_S:.0f} s "
            f"(the first 10 from rest take {figure(found.ten_full_s, 's', 1)})",
            f"{ours / LIMIT_S:.2f}",
            f"≤ {OF_LIMIT}",
            ours <= OF_LIMIT * LIMIT_S,
        ),
        Row(
            f"one event to {CHANNELS:,} channels, refused {found.refused} times",
            figure(found.many_channels_s, "s", 1),
            f"{CHANNELS:,} requests at {REQUESTS_PER_S:.0f} a second: {PACED_S:.1f} s",
            f"{many / PACED_S:.3f}",
            f"≤ {OF_PACE}, none refused",
            many <= OF_PACE * PACED_S and not found.refused,
        ),
    ]
