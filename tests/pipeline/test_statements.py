"""How many SQL statements an event of a burst costs, with the whole bot at work."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from bot.app import App
from bot.model import Hook
from tests.pipeline.conftest import Recorded, StartBot, Studio, post, recorded
from tests.pipeline.deliveries import subscribe
from tests.waiting import until

EVENTS = 1_000
SENDERS = 64
IDLE_S = 0.3
NOT_COUNTED = ("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA")


@dataclass
class Counted:
    """What engines have run: statements, one executemany as one, and commits."""

    statements: list[str] = field(default_factory=list)
    commits: int = 0


@contextmanager
def counted() -> Iterator[Counted]:
    """Count what all engines run within the block."""
    found = Counted()

    def run(_c: Any, _cursor: Any, text: str, _parameters: Any, _x: Any, _many: bool) -> None:
        if not text.startswith(NOT_COUNTED):
            found.statements.append(text)

    def committed(_connection: Any) -> None:
        found.commits += 1

    event.listen(Engine, "before_cursor_execute", run)
    event.listen(Engine, "commit", committed)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", run)
        event.remove(Engine, "commit", committed)


def versions(count: int) -> list[Recorded]:
    """A recorded version, so many times, each with another id."""
    delivery = next(one for one in recorded() if one.name == "commit_create")
    made = []
    for number in range(count):
        payload = json.loads(delivery.body)
        payload["payload"]["event"]["data"]["id"] = f"{number:010x}"
        made.append(replace(delivery, body=json.dumps(payload).encode()))
    return made


def shown(studio: Studio) -> int:
    return sum(len(one.embeds) for one in studio.sandbox.messages(studio.structure.id))


def waiting(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM channel_queues WHERE due_at IS NOT NULL"
        ).fetchone()
    return int(count)


@pytest.fixture
async def hook(studio: Studio, start_bot: StartBot) -> AsyncIterator[tuple[App, Hook]]:
    """The bot at work, and the hook of a project whose first version was shown."""
    async with start_bot() as app:
        first = versions(1)[0]
        await subscribe(studio, studio.structure, first.payload["streamId"])
        (made,) = await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
        assert await post(app, made, replace(first, body=first.body + b" ")) == 202
        await until(lambda: _is(shown(studio) == 1))
        yield app, made


async def _is(found: bool) -> bool:
    return found


async def test_an_event_of_a_burst_takes_2_statements_and_none_come_after_it(
    studio: Studio, hook: tuple[App, Hook], database_file: Path
) -> None:
    app, made = hook
    turns = asyncio.Semaphore(SENDERS)

    async def send(delivery: Recorded) -> None:
        async with turns:
            assert await post(app, made, delivery) == 202

    with counted() as found:
        await asyncio.gather(*map(send, versions(EVENTS)))
        await until(lambda: _is(shown(studio) == EVENTS + 1 and not waiting(database_file)), 60.0)
    assert len(found.statements) <= 2 * EVENTS
    with counted() as idle:
        await asyncio.sleep(IDLE_S)
    assert len(idle.statements) < 40, idle.statements  # each worker looks every two seconds
