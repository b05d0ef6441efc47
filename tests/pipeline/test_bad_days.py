"""Days on which something around the bot does not work, and the bot goes on all the same."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot import supervisor
from bot.app import App, Timings
from bot.db.connections import StorageTimings
from bot.discord_api.gateway import GatewayTimings
from bot.errors import StorageUnavailable, WorkerFailed
from bot.model import Hook
from bot.pipeline.keyed_worker import KeyedWorker
from bot.timing import Backoff
from tests.conftest import on_every_connection
from tests.pipeline.conftest import TIMINGS, StartBot, Studio, post, quick_connection
from tests.pipeline.deliveries import follow, numbered, send_numbers, wait_for_numbers
from tests.waiting import until

IMPATIENT = Timings(
    connection=quick_connection(
        login=Backoff((0.2,)),
        token_s=0.5,
        gateway=GatewayTimings(again=Backoff((0.0, 0.2)), silence_s=1.0, dial_s=1.0),
    )
)


async def problems_told(app: App) -> list[str]:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{app.port}/readyz") as answer,
    ):
        problems: list[str] = (await answer.json())["problems"]
        return problems


# ── Discord's gateway ─────────────────────────────────────────────────────────────────────────


async def test_a_gateway_that_is_away_at_the_start_stops_no_card_and_is_told(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        hook = await follow(app, studio, studio.structure)
    studio.sandbox.faults.refuse_gateway()
    async with start_bot(ready=False) as app:
        await send_numbers(app, hook, range(3))
        await wait_for_numbers(studio, studio.structure, range(3))
        assert any("gateway" in problem for problem in await problems_told(app))
        studio.sandbox.faults.heal()
        await app.bot.ready_once.wait()
        assert await problems_told(app) == []


async def test_a_silent_gateway_is_given_up_and_dialled_again(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot(timings=IMPATIENT) as app:
        gateway = studio.sandbox.gateway
        dials = gateway.dials

        async def dialled() -> bool:
            return gateway.dials > dials

        async def let_in() -> bool:
            return gateway.resumes + gateway.identifies > 1

        studio.sandbox.faults.silence_gateway()
        await until(dialled)
        studio.sandbox.faults.heal()
        await until(let_in)
        hook = await follow(app, studio, studio.structure)
        await send_numbers(app, hook, range(2))
        await wait_for_numbers(studio, studio.structure, range(2))


async def test_a_token_that_turns_void_keeps_everything_and_is_tried_again(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot(timings=IMPATIENT) as app:
        hook = await follow(app, studio, studio.structure)
        studio.sandbox.faults.close(4004)
        await send_numbers(app, hook, range(3))
        await wait_for_numbers(studio, studio.structure, range(3))


async def test_discord_away_at_the_start_is_waited_for(studio: Studio, start_bot: StartBot) -> None:
    async with start_bot() as app:
        hook = await follow(app, studio, studio.structure)
    studio.sandbox.faults.fail("GET /users/@me", 503, times=2)
    studio.sandbox.faults.reset_before("GET /users/@me", times=1)
    async with start_bot(ready=False, timings=IMPATIENT) as app:
        await send_numbers(app, hook, range(2))
        await wait_for_numbers(studio, studio.structure, range(2))


# ── the database ──────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    # In a thread: the bot may be in the middle of a write, and needs the loop to end it.
    await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


async def test_a_locked_database_answers_503_and_works_again_without_a_restart(
    studio: Studio, start_bot: StartBot, database_file: Path
) -> None:
    timings = replace(TIMINGS, storage=StorageTimings(lock_s=0.2))
    async with start_bot(timings=timings) as app:
        hook = await follow(app, studio, studio.structure)
        await send_numbers(app, hook, range(1))
        await wait_for_numbers(studio, studio.structure, range(1))
        async with locked(database_file):
            assert await post(app, hook, numbered(99)) == 503
            assert any("locked" in problem for problem in await problems_told(app))
        await send_numbers(app, hook, range(1, 3))
        await wait_for_numbers(studio, studio.structure, range(3))


async def test_a_full_disk_answers_503_and_works_again_when_there_is_room(
    studio: Studio, start_bot: StartBot, database_file: Path
) -> None:
    async with start_bot() as app:
        hook = await follow(app, studio, studio.structure)
        limit_pages(app, 1)
        taken = await refused_from(app, hook)
        limit_pages(app, 1_000_000)
        await send_numbers(app, hook, range(taken, taken + 3))
        await wait_for_numbers(studio, studio.structure, range(taken + 3))


def limit_pages(app: App, pages: int) -> None:
    """Let SQLite's file grow no further: the true error of a full disk, on a disk that is not."""
    on_every_connection(app.storage._database, f"PRAGMA max_page_count={pages}")


async def refused_from(app: App, hook: Hook) -> int:
    """The first number that is answered 503: free pages in the file take a few before."""
    for number in range(200):
        if await post(app, hook, numbered(number)) == 503:
            return number
    raise AssertionError("the disk was never full")


@pytest.mark.parametrize("in_place", [False, True])
async def test_a_database_that_was_replaced_takes_no_delivery_and_is_told(
    in_place: bool,
    studio: Studio,
    start_bot: StartBot,
    database_file: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path, backup = database_file, tmp_path / "backup.db"
    async with start_bot() as app:
        hook = await follow(app, studio, studio.structure)
        await app.storage._database.copy_log()
        shutil.copy(path, backup)
        await send_numbers(app, hook, range(2))
        await wait_for_numbers(studio, studio.structure, range(2))
        await app.storage._database.copy_log()
        if in_place:
            shutil.copyfile(backup, path)
        else:
            shutil.copy(backup, tmp_path / "copy.db")
            os.replace(tmp_path / "copy.db", path)
        for number in range(2, 5):
            assert await post(app, hook, numbered(number)) == 503
        (problem,) = await problems_told(app)
        assert "restart the bot" in problem
        assert str(tmp_path) not in problem
    for suffix in ("-wal", "-shm"):
        path.with_name(f"bot.db{suffix}").unlink(missing_ok=True)
    shutil.copyfile(backup, path)
    capfd.readouterr()
    async with start_bot() as app:
        assert "storage.restored" in "".join(capfd.readouterr())
        await send_numbers(app, hook, range(5, 6))
        await wait_for_numbers(studio, studio.structure, (0, 1, 5))


# ── the bot's own parts ───────────────────────────────────────────────────────────────────────


async def test_a_part_that_dies_takes_the_bot_down_with_a_clear_line(
    start_bot: StartBot, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def dies(self: object) -> None:
        raise RuntimeError("out of ideas")

    monkeypatch.setattr(KeyedWorker, "run", dies)
    with pytest.raises(WorkerFailed, match=r"ingest|delivery"):
        async with start_bot(ready=False):
            await asyncio.sleep(10)
    assert "supervisor.worker_failed" in "".join(capfd.readouterr())


async def test_a_process_that_has_lost_the_lead_ends_and_one_that_cannot_ask_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Leads:
        """A storage of which only the lead matters."""

        def __init__(self) -> None:
            self.answers: list[bool | StorageUnavailable] = [
                True,
                StorageUnavailable("away"),
                True,
                False,
            ]

        async def lead(self) -> bool:
            answer = self.answers.pop(0)
            if isinstance(answer, StorageUnavailable):
                raise answer
            return answer

    storage: Any = Leads()
    with pytest.raises(WorkerFailed, match="leadership"):
        await supervisor._keep_leading(storage, every_s=0.01)
    assert storage.answers == []
