"""How many events a second go through the bot, from Speckle's deliveries into Discord's channels.

The bot runs as a process of its own over an SQLite file, against the sandbox Discord in this one,
without its pace. Recorded versions of eight projects are posted for eight channels by eight
senders, one after the other each: once all the way into the channels, and once with Discord asking
for patience, so that they only get into the outbox. Then the bot is started again over an inbox
that is full, to see what ingest does alone. The bot asks Discord for 50 messages a second, the most
that can be set, so that its own pace of 45 is not what is measured. Processor time is that of all
the bot's threads, and the figure to look at where the machine has other work to do.
"""

import asyncio
import sqlite3
import statistics
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from bench.project import Project, cards_in, follow_all
from bench.results import Options, Row, figure, folder_on_disk, say
from bench.running_bot import NO_ENRICHMENT, BenchBot, RunningBot
from sandbox.discord import Sandbox

EVENTS = 4_000
EVENTS_INTO_OUTBOX = 1_600
CONFIG = f"{NO_ENRICHMENT}[delivery]\nrequests_per_s = 50.0\n"
TO_REACH = 450  # a second: what Discord's 45 requests of 10 cards let through
CPU_TO_REACH_MS = 1_000 / TO_REACH
WHY_SHORT = (
    "all threads share one interpreter lock; of those who hold it (py-spy record --gil) a quarter "
    "send messages, mostly in discord.py and aiohttp, a fifth take deliveries, a sixth render "
    "cards, a fifth are in SQL"
)
PATIENCE_S = 600.0
FULL = 4_000  # events in the full inbox
FROM, TO = 0.1, 0.9  # of these are timed, so that the start does not count
LOOK_S = 0.02


@dataclass
class Found:
    """Events a second, round by round, and the bot's milliseconds of processor time for each."""

    into_channels: list[float] = field(default_factory=list)
    into_outbox: list[float] = field(default_factory=list)
    ingest_alone: list[float] = field(default_factory=list)
    channels_ms: list[float] = field(default_factory=list)
    outbox_ms: list[float] = field(default_factory=list)
    ingest_ms: list[float] = field(default_factory=list)


async def post_all(projects: Sequence[Project], numbers: range) -> None:
    """Post the events of all projects, each project's in order."""
    async with aiohttp.ClientSession() as http:
        await asyncio.gather(*(project.post(http, numbers) for project in projects))


async def until(found: Callable[[], Awaitable[bool]]) -> None:
    """Look until it is so."""
    while not await found():  # noqa: ASYNC110  # another process changes it, and sets no event
        await asyncio.sleep(LOOK_S)


async def timed(
    bot: RunningBot,
    projects: Sequence[Project],
    numbers: range,
    until_there: Callable[[], Awaitable[None]],
) -> tuple[float, float]:
    """Events a second from the first delivery until all are there, and the bot's milliseconds."""
    events = len(numbers) * len(projects)
    used_s, started = bot.cpu_s, time.perf_counter()
    sending = asyncio.create_task(post_all(projects, numbers))
    await until_there()
    took_s = time.perf_counter() - started
    await sending
    return events / took_s, 1_000 * (bot.cpu_s - used_s) / events


async def into_channels(
    bot: RunningBot, sandbox: Sandbox, projects: Sequence[Project]
) -> tuple[float, float]:
    """The same to the last card in its channel."""
    each = EVENTS // len(projects)
    channels = [project.channel for project in projects]
    before = cards_in(sandbox, channels)

    async def all_shown() -> bool:
        return cards_in(sandbox, channels) - before >= each * len(projects)

    return await timed(bot, projects, range(each), lambda: until(all_shown))


async def into_outbox(
    bot: RunningBot, sandbox: Sandbox, database: Path, projects: Sequence[Project]
) -> tuple[float, float]:
    """The same to the last card that waits, while no message is sent."""
    for project in projects:
        route = f"POST /channels/{project.channel.id}/messages"
        sandbox.faults.rate_limit(route, retry_after=PATIENCE_S, times=None)
    first, each = EVENTS // len(projects), EVENTS_INTO_OUTBOX // len(projects)
    numbers = range(first, first + each)
    return await timed(
        bot, projects, numbers, lambda: until_waiting(database, each * len(projects))
    )


async def until_waiting(database_file: Path, cards: int) -> None:
    """Look until so many cards wait in the outbox."""
    with closing(sqlite3.connect(database_file)) as database:

        async def enough() -> bool:
            waiting = "SELECT count(*) FROM outbox WHERE state = 'waiting'"
            return bool(database.execute(waiting).fetchone()[0] >= cards)

        await until(enough)


def fill_inbox(database_file: Path, events: int) -> None:
    """Mark what the bot has processed as new again, until as much is new as is wanted."""
    with closing(sqlite3.connect(database_file)) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(inbox)") if row[1] != "id"]
        names = ", ".join(columns)
        database.execute("DELETE FROM outbox")
        database.execute("UPDATE channel_queues SET due_at = NULL")
        database.execute(
            "DELETE FROM bodies WHERE inbox_id NOT IN (SELECT id FROM inbox LIMIT ?)", (events,)
        )
        database.execute(
            "DELETE FROM inbox WHERE id NOT IN (SELECT id FROM inbox LIMIT ?)", (events,)
        )
        originals = [one for (one,) in database.execute("SELECT id FROM inbox ORDER BY id")]
        for number in range(events - len(originals)):
            original = originals[number % len(originals)]
            # The names are those of the table's own columns.
            copied = database.execute(
                f"INSERT INTO inbox ({names}) SELECT {names} FROM inbox WHERE id = ?",  # noqa: S608
                (original,),
            )
            database.execute(
                "INSERT INTO bodies SELECT ?, body FROM bodies WHERE inbox_id = ?",
                (copied.lastrowid, original),
            )
        database.execute(
            "UPDATE inbox SET state = 'new', finished_at = NULL, trace = '[]', event_key = NULL"
        )
        database.commit()


async def ingest_alone(
    bot: BenchBot, events: int, cores: Collection[int] | None = None
) -> tuple[float, float]:
    """Events a second from the full inbox to cards that wait, and the bot's milliseconds."""
    async with bot.running(cores=cores) as running:
        await until_waiting(bot.database, round(FROM * events))
        used_s, started = running.cpu_s, time.perf_counter()
        await until_waiting(bot.database, round(TO * events))
        took_s = time.perf_counter() - started
        timed_events = (TO - FROM) * events
        return timed_events / took_s, 1_000 * (running.cpu_s - used_s) / timed_events


async def _measure(found: Found) -> None:
    async with Sandbox.start(pace=False) as sandbox:
        with folder_on_disk() as name:
            bot = BenchBot(sandbox, Path(name), CONFIG)
            async with bot.running() as running:
                projects = await follow_all(sandbox)
                rate, ms = await into_channels(running, sandbox, projects)
                found.into_channels.append(rate)
                found.channels_ms.append(ms)
                rate, ms = await into_outbox(running, sandbox, bot.database, projects)
                found.into_outbox.append(rate)
                found.outbox_ms.append(ms)
            fill_inbox(bot.database, FULL)
            rate, ms = await ingest_alone(bot, FULL)
            found.ingest_alone.append(rate)
            found.ingest_ms.append(ms)


async def _measured(rounds: int) -> Found:
    found = Found()
    for number in range(rounds):
        await _measure(found)
        say(
            f"round {number + 1}: {found.into_channels[-1]:.0f}/s into the channels "
            f"({found.channels_ms[-1]:.2f} ms), {found.into_outbox[-1]:.0f}/s into the outbox "
            f"({found.outbox_ms[-1]:.2f} ms), {found.ingest_alone[-1]:.0f}/s ingest alone "
            f"({found.ingest_ms[-1]:.2f} ms)"
        )
    return found


def rows(options: Options) -> Sequence[Row]:
    """The three, one after the other in each round."""
    found = asyncio.run(_measured(options.rounds))
    return [
        Row(
            "into the channels",
            figure(found.into_channels, "events/s"),
            "what Discord lets through, 45 requests a second of 10 cards",
            f"{statistics.median(found.into_channels) / TO_REACH:.2f}",
            f"≥ {TO_REACH} events/s",
            statistics.median(found.into_channels) >= TO_REACH,
            WHY_SHORT,
        ),
        Row(
            "the same, processor time of the bot for each event",
            figure(found.channels_ms, "ms", 2),
            to_reach=f"≤ {CPU_TO_REACH_MS:.2f} ms",
            reached=statistics.median(found.channels_ms) <= CPU_TO_REACH_MS,
            why_short=WHY_SHORT,
        ),
        Row("into the outbox, while no message is sent", figure(found.into_outbox, "events/s")),
        Row("the same, processor time for each event", figure(found.outbox_ms, "ms", 2)),
        Row("a full inbox at the start, ingest alone", figure(found.ingest_alone, "events/s")),
        Row("the same, processor time for each event", figure(found.ingest_ms, "ms", 2)),
    ]
