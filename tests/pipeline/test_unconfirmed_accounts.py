"""Accounts over a restored copy of the database: who confirms them, how, and what that undoes."""

import json
import shutil
from pathlib import Path

import pytest

from bot.app import App
from bot.model import Subscription, SubscriptionState
from sandbox.discord import InteractionView
from tests.pipeline.conftest import Run, Studio
from tests.pipeline.deliveries import wait_for_numbers
from tests.pipeline.tower import Tower
from tests.waiting import until

USE_AGAIN = "Use this account again"


def put_back(folder: Path) -> None:
    """Put the copy in the place of the database, as the docs say."""
    for name in ("bot.db-wal", "bot.db-shm"):
        (folder / name).unlink(missing_ok=True)
    (folder / "backup.db").replace(folder / "bot.db")


@pytest.fixture
async def restored(studio: Studio, tower: Tower, run: Run, database_file: Path) -> Tower:
    """#structure follows the project with Maren's account, over a copy from before."""
    async with run() as app:
        await tower.follow(app.storage, studio)
        assert await tower.fire(range(1)) == [2]
        await wait_for_numbers(studio, studio.structure, range(1))
    shutil.copy(database_file, database_file.with_name("backup.db"))
    asked = len(tower.server.requests)
    async with run():  # what is written here is lost
        await until(lambda: looked_at_the_webhook(tower, asked))
    put_back(database_file.parent)
    return tower


async def looked_at_the_webhook(tower: Tower, since: int) -> bool:
    """Whether all is asked that a bot asks when it starts; none of it is still on its way then."""
    return {"History", "Webhooks"} <= set(with_her_token(tower, since))


async def only_subscription(app: App) -> Subscription:
    ((subscription,),) = [
        await app.storage.read(lambda tx: tx.subscriptions.of_guild(guild.guild_id))
        for guild in await app.storage.read(lambda tx: tx.guilds.all())
    ]
    return subscription


async def paused(app: App) -> Subscription:
    async def found() -> Subscription | None:
        one = await only_subscription(app)
        return one if one.state is SubscriptionState.PAUSED else None

    return await until(found)


async def account_page(studio: Studio) -> InteractionView:
    return await studio.sandbox.command(studio.guild, studio.structure, studio.maren, "account")


def with_her_token(tower: Tower, since: int) -> list[str | None]:
    return [a.operation for a in tower.server.requests[since:] if tower.token in str(a)]


async def test_a_restart_neither_confirms_nor_asks_again(
    studio: Studio, restored: Tower, run: Run
) -> None:
    async with run():
        pass
    async with run() as app:
        assert await app.storage.read(lambda tx: tx.accounts.unconfirmed()) == 1
        await studio.sandbox.press(await account_page(studio), USE_AGAIN, studio.maren)
    async with run() as app:
        assert await app.storage.read(lambda tx: tx.accounts.unconfirmed()) == 0
        assert await restored.fire(range(1, 2)) == [2]
        await wait_for_numbers(studio, studio.structure, range(2))


async def test_linking_again_confirms_too(studio: Studio, restored: Tower, run: Run) -> None:
    async with run() as app:
        assert await restored.fire(range(1, 2)) == [2]
        await paused(app)
        linking = app.linking
        way = await linking.start_link(studio.maren.id, restored.server.url, person="Maren")
        await linking.link_by_token(studio.maren.id, way.nonce, restored.token)
        await wait_for_numbers(studio, studio.structure, range(2))


async def test_somebody_else_cannot_confirm_for_them(
    studio: Studio, restored: Tower, run: Run
) -> None:
    async with run() as app:
        page = await account_page(studio)
        other = studio.guild.add_member("Tobias Lindqvist")
        refused = await studio.sandbox.press(page, USE_AGAIN, other)
        assert "no longer linked" in (refused.content or "")
        assert await app.storage.read(lambda tx: tx.accounts.unconfirmed()) == 1


async def test_subscribing_with_an_account_in_doubt_says_what_to_do_first(
    studio: Studio, restored: Tower, run: Run
) -> None:
    asked = len(restored.server.requests)
    link = f"{restored.server.url}/projects/{restored.project.id}"
    async with run():
        answer = await studio.sandbox.command(
            studio.guild, studio.facade, studio.maren, "subscribe", stream_id=link
        )
        await answer.settled()
        assert USE_AGAIN in f"{answer.content} {json.dumps(answer.embeds)}"
        assert with_her_token(restored, asked) == []
