"""What the bot holds in memory: with a linked account, a long queue, and after many events.

The bot runs as a process of its own over an SQLite file, between the sandbox Discord and Speckle in
this one. Memory is the resident set, read from /proc (Linux).

- *Linked*: a member pastes a token, and versions are completed with what Speckle says.
- *Waiting*: cards are in the outbox before the start, Discord takes nothing, and then some events
  come. Compared with the same bot when a few wait.
- *Events*: deliveries of eight projects go all the way into channels. Compared with itself after
  the first thousands, by when all code has run.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

import aiohttp

from bench.project import PROJECT_IDS, Project, cards_in, follow, follow_all, until_shown
from bench.results import Options, Row, at_most, folder_on_disk, say
from bench.running_bot import NO_DAILY_LIMIT, NO_ENRICHMENT, BenchBot
from sandbox.discord import Sandbox
from sandbox.speckle import SpeckleServer, commit_create_data

SETTLE_S: Final = 5.0
LINKED_MB: Final = 125.0
MORE_MB: Final = 10.0
FEW: Final = 200
WAITING: Final = 100_000
NEW_EVENTS: Final = 500  # that come while so many wait
PATIENCE_S: Final = 600.0
WARM: Final = 4_000
EVENTS: Final = 100_000
EVENTS_LONG: Final = 1_000_000
WHY_LINKED: Final = (
    "Above what the idle bot holds, specklepy with what it needs is 16 MB, and Pillow 3 MB "
    "(imported one after the other); the rest is what threads that ask and scale pictures keep."
)
WHY_MORE: Final = (
    "tracemalloc, compared after 1,500 and after 4,500 events: Python's objects grow by 0.5 MB, "
    "all of it the last minute's deliveries, which are kept to know a repetition. What else grows "
    "is SQLite's cache of pages, up to 1 MB for each of seven connections, and glibc's store. Most "
    "of it comes early: in one run 17 MB by 44,000 events, 4 more by 84,000, 1 more by 100,000."
)


async def _linked_mb() -> float:
    """With an account, whose project has new versions."""
    async with Sandbox.start(pace=False) as sandbox, SpeckleServer.start() as server:
        guild = sandbox.add_guild("Studio Kestrel")
        channel = guild.add_channel("structure")
        member = guild.add_member("Maren Oduya", permissions="manage_webhooks")
        ilse = server.add_user("Ilse Brandt")
        tower = server.add_project("Kestrel Tower", owner=ilse, visibility="PUBLIC")
        model = server.add_model(tower, "structure")
        with folder_on_disk() as folder:
            speckle = {"SPECKLE_SERVERS": server.url}
            bench_bot = BenchBot(sandbox, Path(folder), config="", settings=speckle)
            async with bench_bot.running():
                offer = await sandbox.command(guild, channel, member, "link")
                form = await sandbox.press(await offer.settled(), "Paste it", member)
                pasted = await sandbox.submit_modal(form, {"Token": server.token(ilse)}, member)
                await pasted.settled()
                link = f"{server.url}/projects/{tower.id}"
                answer = await sandbox.command(guild, channel, member, "subscribe", stream_id=link)
                await answer.settled()
            # The first start makes the tables, for which it loads more.
            async with bench_bot.running() as bot:
                for number in range(20):
                    version = server.add_version(tower, model, author=ilse, message=f"no {number}")
                    server.render(version)
                    data = commit_create_data(version)
                    await server.fire(tower, "commit_create", data, user=ilse)
                await asyncio.sleep(SETTLE_S)
                if not cards_in(sandbox, [channel]):
                    raise SystemExit("no card came")
                return bot.resident_mb


def fill_outbox(database: Path, cards: int) -> None:
    """Have so many cards wait, as copies of the first."""
    with closing(sqlite3.connect(database)) as connection:
        table = connection.execute("PRAGMA table_info(outbox)")
        columns = [row[1] for row in table if row[1] not in ("id", "inbox_id")]
        names = ", ".join(columns)
        # The names are those of the table's own columns.
        connection.execute(
            f"INSERT INTO outbox ({names}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"  # noqa: S608
            f" SELECT i + 1 FROM n WHERE i < ?) SELECT {names} FROM n, outbox"
            " WHERE outbox.id = (SELECT min(id) FROM outbox)",
            (cards,),
        )
        connection.execute(
            "UPDATE outbox"
            " SET state = 'waiting', sent_at = NULL, message_id = NULL, batch_id = NULL"
        )
        connection.execute("UPDATE channel_queues SET due_at = '2026-01-01 00:00:00'")
        connection.commit()


async def _waiting_mb(cards: int) -> float:
    """With so many cards that wait for one channel, and events that come."""
    async with Sandbox.start(pace=False) as sandbox:
        guild = sandbox.add_guild("Studio Kestrel")
        channel = guild.add_channel("structure")
        member = guild.add_member("Maren Oduya", permissions="manage_webhooks")
        with folder_on_disk() as name:
            bench_bot = BenchBot(sandbox, Path(name))
            async with bench_bot.running():
                project = await follow(sandbox, guild, channel, member, PROJECT_IDS[0])
                async with aiohttp.ClientSession() as http:
                    await project.post(http, range(1))
                await asyncio.sleep(SETTLE_S)
            fill_outbox(bench_bot.database, cards)
            route = f"POST /channels/{channel.id}/messages"
            sandbox.faults.rate_limit(route, retry_after=PATIENCE_S, times=None)
            async with bench_bot.running() as bot:
                async with aiohttp.ClientSession() as http:
                    await project.post(http, range(1, NEW_EVENTS))
                await asyncio.sleep(SETTLE_S)
                return bot.resident_mb


async def _over_many_events(events: int) -> tuple[float, float]:
    """After the first events, and after all."""
    async with Sandbox.start(pace=False) as sandbox:
        with folder_on_disk() as folder:
            bench_bot = BenchBot(sandbox, Path(folder), NO_ENRICHMENT + NO_DAILY_LIMIT)
            async with bench_bot.running() as bot:
                projects = await follow_all(sandbox)
                await _through(sandbox, projects, range(WARM // len(projects)))
                warm_mb = bot.resident_mb
                for done in range(WARM, events, WARM):
                    each = range(done // len(projects), (done + WARM) // len(projects))
                    await _through(sandbox, projects, each)
                    if done % (10 * WARM) == 0:
                        say(f"{done + WARM:,} events: {bot.resident_mb:.0f} MB")
                return warm_mb, bot.resident_mb


async def _through(sandbox: Sandbox, projects: Sequence[Project], numbers: range) -> None:
    """Post these events for each project, and wait until all are shown; then forget them."""
    async with aiohttp.ClientSession() as http:
        await asyncio.gather(*(project.post(http, numbers) for project in projects))
    for project in projects:
        await until_shown(sandbox, [project.channel], len(numbers))
        project.channel.messages.clear()


def _more(what: str, before: float, after: float) -> Row:
    return replace(
        at_most(f"{what}: more than before", [after - before], "MB", MORE_MB, 1, WHY_MORE),
        beside=f"{before:.0f} MB, then {after:.0f} MB",
    )


def rows(options: Options) -> Sequence[Row]:
    """Each by itself, with a bot of its own."""
    events = EVENTS_LONG if options.long else EVENTS
    linked_mb = [asyncio.run(_linked_mb()) for _ in range(options.rounds)]
    few_mb, many_mb = asyncio.run(_waiting_mb(FEW)), asyncio.run(_waiting_mb(WAITING))
    return [
        at_most("with a linked account", linked_mb, "MB", LINKED_MB, 0, WHY_LINKED),
        _more(f"{WAITING:,} cards waiting", few_mb, many_mb),
        _more(f"after {events:,} events", *asyncio.run(_over_many_events(events))),
    ]
