"""Whether many subscriptions make an event slower: 100, 10,000 and 100,000 in the database.

The bot is started as a process of its own, on one core, over an inbox that is full; Discord asks
for patience, so that nothing is sent. Timed is how the middle of the events gets from the inbox to
cards that wait. The events are of eight projects; and at last, with the most subscriptions, each of
another project, so that none goes together with another one of its own.
"""

import asyncio
import os
import sqlite3
import statistics
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from bench.project import follow_all
from bench.results import Options, Row, figure, folder_on_disk, say
from bench.running_bot import BenchBot
from bench.throughput import (
    PATIENCE_S,
    fill_inbox,
    ingest_alone,
    post_all,
    until_waiting,
)
from sandbox.discord import Sandbox

SIZES = (100, 10_000, 100_000)
JUDGED = 10_000
POSTED = 50  # of each project
EVENTS = 4_000
TO_REACH = 500
FLAT = 1.25  # times as long with the most as with the fewest


@dataclass
class Found:
    """Events a second and the bot's milliseconds for each, round by round."""

    rates: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)

    def add(self, found: tuple[float, float]) -> None:
        """Another round."""
        self.rates.append(found[0])
        self.ms.append(found[1])


def _copied(connection: sqlite3.Connection, table: str, other_than: Sequence[str]) -> str:
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    return ", ".join(name for name in names if name not in other_than)


def grow(database: Path, size: int) -> None:
    """Copy the first webhook and its subscription until there are so many of both."""
    with closing(sqlite3.connect(database)) as connection:
        ((there, last),) = connection.execute("SELECT count(*), max(id) FROM hooks")
        of_hooks = _copied(connection, "hooks", ("id", "project_id", "key"))
        of_subscriptions = _copied(connection, "subscriptions", ("id", "hook_id", "channel_id"))
        ids = range(last + 1, last + 1 + size - there)
        # The names are those of the tables' own columns.
        connection.executemany(
            f"INSERT INTO hooks (id, project_id, key, {of_hooks}) "  # noqa: S608
            f"SELECT ?, ?, ?, {of_hooks} FROM hooks ORDER BY id LIMIT 1",
            [(id_, f"p{id_}", f"k{id_}") for id_ in ids],
        )
        connection.executemany(
            f"INSERT INTO subscriptions (hook_id, channel_id, {of_subscriptions}) "  # noqa: S608
            f"SELECT ?, channel_id + ?, {of_subscriptions} FROM subscriptions ORDER BY id LIMIT 1",
            [(id_, id_) for id_ in ids],
        )
        connection.commit()


def spread(database: Path) -> None:
    """Give each event of the inbox to another webhook."""
    with closing(sqlite3.connect(database)) as connection:
        events = [id_ for (id_,) in connection.execute("SELECT id FROM inbox ORDER BY id")]
        hooks = [id_ for (id_,) in connection.execute("SELECT id FROM hooks ORDER BY id DESC")]
        connection.executemany(
            "UPDATE inbox SET hook_id = ?, lane = ? WHERE id = ?",
            [(hook, f"hook:{hook}", event) for event, hook in zip(events, hooks, strict=False)],
        )
        connection.commit()


async def _round(found: Mapping[int, Found], spread_out: Found) -> None:
    core = {max(os.sched_getaffinity(0))}
    async with Sandbox.start(pace=False) as sandbox:
        with folder_on_disk() as name:
            bot = BenchBot(sandbox, Path(name))
            async with bot.running():
                projects = await follow_all(sandbox)
                sandbox.faults.rate_limit(
                    "POST /channels/{channel_id}/messages", retry_after=PATIENCE_S, times=None
                )
                await post_all(projects, range(POSTED))
                await until_waiting(bot.database, POSTED * len(projects))
            for size in SIZES:
                grow(bot.database, size)
                fill_inbox(bot.database, EVENTS)
                found[size].add(await ingest_alone(bot, EVENTS, core))
            fill_inbox(bot.database, EVENTS)
            spread(bot.database)
            spread_out.add(await ingest_alone(bot, EVENTS, core))


def rows(options: Options) -> Sequence[Row]:
    """Each size in turn, round by round."""
    found, spread_out = {size: Found() for size in SIZES}, Found()
    for number in range(options.rounds):
        asyncio.run(_round(found, spread_out))
        said = ", ".join(f"{size:,}: {one.rates[-1]:.0f}/s" for size, one in found.items())
        say(f"round {number + 1}: {said}; of another project each: {spread_out.rates[-1]:.0f}/s")
    fewest, *_, most = found.values()
    longer = statistics.median(most.ms) / statistics.median(fewest.ms)
    return [
        _judged(f"ingest alone, one core, over {JUDGED:,} subscriptions", found[JUDGED]),
        Row(
            f"the same over {SIZES[-1]:,}, each event of another project",
            f"{figure(spread_out.rates, 'events/s')}, {figure(spread_out.ms, 'ms', 2)} each",
        ),
        Row(
            f"routing with {SIZES[-1]:,} subscriptions, processor time for each event",
            figure(most.ms, "ms", 2),
            f"with {SIZES[0]}: {figure(fewest.ms, 'ms', 2)}",
            f"{longer:.2f}",
            f"≤ {FLAT}",
            longer <= FLAT,
        ),
    ]


def _judged(what: str, found: Found) -> Row:
    reached = statistics.median(found.rates) >= TO_REACH
    return Row(
        what,
        f"{figure(found.rates, 'events/s')}, {figure(found.ms, 'ms', 2)} of the processor each",
        to_reach=f"≥ {TO_REACH} events/s",
        reached=reached,
    )
