"""A backup of the database is put back: no account is used before its person confirms it."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from bot.app import Timings
from bot.db.tables import hooks, subscriptions
from bot.model import PauseReason, PauseWhy, Subscription
from bot.storage import Storage, make_backup, restore_backup
from bot.timing import utc_now
from sandbox.discord import InteractionView
from sandbox.speckle import SPECKLE_4
from tests.conftest import name_of
from tests.pipeline.conftest import QUICK_NOTICES, Run, Studio
from tests.pipeline.deliveries import numbers_in, wait_for_numbers, wait_until_paused
from tests.pipeline.test_catch_up import QUICK, look
from tests.pipeline.test_catch_up_lists import by_hand
from tests.pipeline.tower import Tower
from tests.waiting import until

AGAIN = "Use this account again"


@pytest.fixture
def timings() -> Timings:
    return replace(QUICK, notifier=QUICK_NOTICES)


def asked_with_a_token(tower: Tower) -> int:
    return sum(1 for one in tower.server.requests if one.authorization is not None)


async def account_page(studio: Studio) -> InteractionView:
    return await studio.sandbox.command(studio.guild, studio.structure, studio.maren, "account")


async def follower(storage: Storage, studio: Studio) -> Subscription:
    (one,) = await storage.read(lambda tx: tx.subscriptions.of_channel(studio.structure.id))
    return one


async def test_after_a_backup_was_put_back_each_person_confirms_their_account(
    studio: Studio,
    tower: Tower,
    run: Run,
    database_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    backup = tmp_path / "backup.db"
    async with run() as app:
        await tower.follow(app.storage, studio)
        assert await tower.fire(range(1)) == [2]
        await wait_for_numbers(studio, studio.structure, range(1))
        await make_backup(database_url, backup, utc_now())
        assert await tower.fire(range(1, 2)) == [2]
        await wait_for_numbers(studio, studio.structure, range(2))
    await restore_backup(database_url, backup, utc_now(), replace=True)
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


@pytest.mark.parametrize("release", [SPECKLE_4], indirect=True, ids=name_of)
@pytest.mark.parametrize(("told", "shown"), [(True, [0, 1, 2]), (False, [0, 1, 1, 2])])
async def test_what_was_shown_since_the_backup_comes_again_unless_one_says_until_when(
    told: bool,
    shown: list[int],
    studio: Studio,
    tower: Tower,
    run: Run,
    database_url: str,
    tmp_path: Path,
) -> None:
    """The lists of a webhook by hand hold it, and the database no longer knows of it."""
    backup, now = tmp_path / "backup.db", utc_now()
    async with run() as app:
        await by_hand(app, studio, tower)
        with app.storage._database.writing() as session:
            for table in (hooks, subscriptions):
                earlier = update(table).values(caught_up_at=now - timedelta(hours=2))
                session.execute(earlier)
        await make_backup(database_url, backup, now)
        assert await tower.fire(range(1, 2)) == [2]
        await wait_for_numbers(studio, studio.structure, range(2))
    tower.project.versions[-1].created_at = now - timedelta(hours=1)
    tower.version(2, at=now - timedelta(minutes=10))  # while the bot was down
    shown_until = now - timedelta(minutes=30) if told else None
    await restore_backup(database_url, backup, now, replace=True, shown_until=shown_until)
    async with run() as app:
        await studio.sandbox.press(await account_page(studio), AGAIN, studio.maren)
        await look(app)

        async def all_there() -> bool:
            return sorted(numbers_in(studio, studio.structure)) == shown

        await until(all_there)
