"""A backup of the database is put back: no account is used before its person confirms it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bot.app import Timings
from bot.model import PauseReason, PauseWhy, Subscription
from bot.storage import Storage
from sandbox.discord import InteractionView
from tests.pipeline.conftest import QUICK_NOTICES, TIMINGS, Run, Studio
from tests.pipeline.deliveries import wait_for_numbers, wait_until_paused
from tests.pipeline.tower import Tower

AGAIN = "Use this account again"


@pytest.fixture
def timings() -> Timings:
    return replace(TIMINGS, notifier=QUICK_NOTICES)


def put_back(backup: Path, database: Path) -> None:
    shutil.copy(backup, database)
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def asked_with_a_token(tower: Tower) -> int:
    return sum(1 for one in tower.server.requests if one.authorization is not None)


async def account_page(studio: Studio) -> InteractionView:
    return await studio.sandbox.command(studio.guild, studio.structure, studio.maren, "account")


async def follower(storage: Storage, studio: Studio) -> Subscription:
    (one,) = await storage.read(lambda tx: tx.subscriptions.of_channel(studio.structure.id))
    return one


async def test_after_a_backup_was_put_back_each_person_confirms_their_account(
    studio: Studio, tower: Tower, run: Run, database_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database, backup = database_file, database_file.with_name("backup.db")
    async with run() as app:
        await tower.follow(app.storage, studio)
        assert await tower.fire(range(1)) == [2]
        await wait_for_numbers(studio, studio.structure, range(1))
    shutil.copy(database, backup)
    async with run():
        assert await tower.fire(range(1, 2)) == [2]
        await wait_for_numbers(studio, studio.structure, range(2))
    put_back(backup, database)
    capsys.readouterr()
    before = asked_with_a_token(tower)
    async with run() as app:
        said = [line for line in capsys.readouterr().out.splitlines() if "storage.restored" in line]
        assert len(said) == 1
        assert "critical" in said[0]
        assert await tower.fire(range(2, 4)) == [2, 2]
        await wait_until_paused(app, studio.structure, PauseReason.ACCESS_LOST)
        one = await follower(app.storage, studio)
        assert one.pause_detail == PauseWhy.UNCONFIRMED
        page = await account_page(studio)
        assert "restored from a copy" in json.dumps(page.embeds)
        assert asked_with_a_token(tower) == before
        done = await studio.sandbox.press(page, AGAIN, studio.maren)
        assert "again" in done.content
        await wait_for_numbers(studio, studio.structure, range(4))
        assert not (await account_page(studio)).offers(AGAIN)
    async with run() as app:
        assert await tower.fire(range(4, 5)) == [2]
        await wait_for_numbers(studio, studio.structure, range(5))
        assert await app.storage.read(lambda tx: tx.accounts.unconfirmed()) == 0
