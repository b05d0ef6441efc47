"""Access to a project that is lost, cannot be asked for, and comes back: the whole bot."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from bot.app import App, Timings
from bot.model import Hook, PauseReason, PauseWhy, Subscription, SubscriptionState
from bot.pipeline.access import AccessTimings
from bot.timing import Backoff
from bot.trace import TraceStep
from bot.vault import Vault
from sandbox.discord import SandboxMessage
from tests.pipeline.conftest import QUICK_NOTICES, SHOW, TIMINGS, Run, Studio
from tests.pipeline.deliveries import numbers_in, wait_for_numbers, wait_until_paused
from tests.pipeline.tower import Tower
from tests.stored import waiting_count
from tests.waiting import until


@pytest.fixture
def timings() -> Timings:
    access = AccessTimings(silent_for_s=0.2, retry=Backoff((0.3,)))
    return replace(TIMINGS, notifier=QUICK_NOTICES, access=access)


async def following(app: App, studio: Studio, tower: Tower) -> Hook:
    """#structure follows the tower with Maren's account, and has shown version 0."""
    hook = await tower.follow(app.storage, studio)
    assert await tower.fire(range(1)) == [2]
    await wait_for_numbers(studio, studio.structure, range(1))
    return hook


async def the_last_yes_was(app: App, ago: timedelta) -> None:
    at = datetime.now(UTC) - ago
    with app.storage._database.writing() as connection:
        connection.execute(
            text("UPDATE subscriptions SET access_ok_at = :at"),
            {"at": f"{at:%Y-%m-%d %H:%M:%S.%f}"},
        )


async def subscription(app: App, studio: Studio) -> Subscription:
    (one,) = await app.storage.read(lambda tx: tx.subscriptions.of_channel(studio.structure.id))
    return one


async def said(studio: Studio) -> SandboxMessage:
    channel = studio.sandbox.world.private_channel(studio.maren.id)
    return (await studio.sandbox.wait_for_messages(channel, 1, 15))[-1]


async def all_kept(app: App, studio: Studio, count: int) -> None:
    """So many events are held for #structure, and no card of them is there."""
    ids = [
        one.id
        for one in await app.storage.read(
            lambda tx: tx.subscriptions.of_channel(studio.structure.id)
        )
    ]

    async def kept() -> bool:
        cards = await app.storage.read(waiting_count)
        return (await app.storage.read(lambda tx: tx.held_events.count(ids)), cards) == (count, 0)

    await until(kept)


async def test_access_is_asked_once_in_ten_minutes_and_remembered(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await following(app, studio, tower)
        await the_last_yes_was(app, timedelta(minutes=11))
        await tower.fire(range(1, 2))
        await wait_for_numbers(studio, studio.structure, range(2))
        asked = len(tower.server.asked("Project"))
        await tower.fire(range(2, 4))
        await wait_for_numbers(studio, studio.structure, range(4))
        assert len(tower.server.asked("Project")) == asked


async def test_lost_access_pauses_keeps_cards_says_so_and_is_regained(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await following(app, studio, tower)
        owner = tower.server.add_user("Bea Halloran")
        tower.server.set_role(tower.project, owner, "stream:owner")
        tower.server.set_role(tower.project, tower.ilse, None)
        await the_last_yes_was(app, timedelta(minutes=11))
        await tower.fire(range(1, 4))
        paused = await wait_until_paused(app, studio.structure, PauseReason.ACCESS_LOST)
        assert paused.pause_detail == PauseWhy.FORBIDDEN
        await all_kept(app, studio, 3)
        notice = await said(studio)
        words = str(notice.embeds)
        assert "can no longer see the project" in words
        assert f"<@{studio.maren.id}>" in words
        refused = await studio.sandbox.press(notice, "Resume", studio.maren)
        assert (await subscription(app, studio)).state is SubscriptionState.PAUSED, refused
        tower.server.set_role(tower.project, tower.ilse, "stream:reviewer")
        question = await studio.sandbox.press(notice, "Resume", studio.maren)
        await studio.sandbox.press(await question.settled(), SHOW, studio.maren)
        await wait_for_numbers(studio, studio.structure, range(4))
        await tower.fire(range(4, 5))
        await wait_for_numbers(studio, studio.structure, range(5))


async def test_another_member_with_access_takes_over(
    studio: Studio, tower: Tower, run: Run
) -> None:
    tobias = studio.guild.add_member("Tobias Wren", permissions="manage_webhooks")
    notices = studio.guild.add_channel("bot-news")
    async with run() as app:
        await following(app, studio, tower)
        await app.storage.write(
            lambda tx: tx.guilds.set_notice_channel(studio.guild.id, notices.id)
        )
        bea = tower.server.add_user("Bea Halloran")
        tower.server.set_role(tower.project, bea, "stream:owner")
        tower.server.revoke(tower.token)
        await the_last_yes_was(app, timedelta(minutes=11))
        await tower.fire(range(1, 3))
        paused = await wait_until_paused(app, studio.structure, PauseReason.ACCESS_LOST)
        assert paused.pause_detail == PauseWhy.TOKEN_REFUSED
        await all_kept(app, studio, 2)
        notice = (await studio.sandbox.wait_for_messages(notices.id, 1, 15))[-1]
        unlinked = await studio.sandbox.press(notice, "Resume", tobias)
        assert "Link my account" in unlinked.content
        account = await tower.link(app.storage, tobias, bea, tower.server.token(bea))
        question = await studio.sandbox.press(notice, "Resume", tobias)
        await studio.sandbox.press(await question.settled(), SHOW, tobias)
        await wait_for_numbers(studio, studio.structure, range(3))
        assert (await subscription(app, studio)).account_id == account.id


async def test_who_cannot_be_asked_within_the_hour_gets_cards_all_the_same(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await following(app, studio, tower)
        await the_last_yes_was(app, timedelta(minutes=50))
        tower.server.faults.hang = True
        started = asyncio.get_running_loop().time()
        await tower.fire(range(1, 2))
        await wait_for_numbers(studio, studio.structure, range(2))
        assert asyncio.get_running_loop().time() - started < 6
        row = await app.storage.read(lambda tx: tx.inbox.get(2))
        assert row is not None
        assert TraceStep.ACCESS_BY_LAST_YES in [line.step for line in row.trace]


async def test_after_an_hour_without_an_answer_events_wait_until_there_is_one(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await following(app, studio, tower)
        await the_last_yes_was(app, timedelta(minutes=61))
        tower.server.faults.status = 502
        await tower.fire(range(1, 3))

        async def waits() -> bool:
            row = await app.storage.read(lambda tx: tx.inbox.get(2))
            steps = [] if row is None else [line.step for line in row.trace]
            return TraceStep.ACCESS_UNKNOWN in steps

        await until(waits)
        assert (await subscription(app, studio)).state is SubscriptionState.ACTIVE
        assert numbers_in(studio, studio.structure) == [0]
        tower.server.faults.clear()
        await wait_for_numbers(studio, studio.structure, range(3))


async def test_a_deletion_that_the_account_confirms_is_told_and_ends_what_depends_on_it(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await following(app, studio, tower)
        assert tower.webhook is not None
        tower.webhook.triggers.append("stream_delete")
        await the_last_yes_was(app, timedelta(hours=2))
        tower.server.remove_project(tower.project)
        await tower.server.fire(tower.project, "stream_delete", {}, user=None)
        await wait_until_paused(app, studio.structure, PauseReason.PROJECT_DELETED)
        await studio.sandbox.wait_for_messages(studio.structure.id, 2, 15)


async def test_a_server_that_is_always_a_little_too_slow_is_heard_all_the_same(
    studio: Studio, tower: Tower, run: Run, timings: Timings
) -> None:
    access = replace(timings.access, answer_within_s=0.5)
    async with run(timings=replace(timings, access=access)) as app:
        await following(app, studio, tower)
        await the_last_yes_was(app, timedelta(minutes=61))
        tower.server.faults.delay_s = 0.7
        await tower.fire(range(1, 3))
        await wait_for_numbers(studio, studio.structure, range(3))
        bea = tower.server.add_user("Bea Halloran")
        tower.server.set_role(tower.project, bea, "stream:owner")
        tower.server.set_role(tower.project, tower.ilse, None)
        await the_last_yes_was(app, timedelta(minutes=61))
        await tower.fire(range(3, 4))
        await wait_until_paused(app, studio.structure, PauseReason.ACCESS_LOST)
        assert numbers_in(studio, studio.structure) == [0, 1, 2]


async def test_an_account_that_no_key_opens_makes_events_wait_and_pauses_nothing(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await following(app, studio, tower)
        await the_last_yes_was(app, timedelta(hours=2))
        with app.storage._database.writing() as connection:
            connection.execute(
                text("UPDATE accounts SET tokens_sealed = :other"),
                {"other": Vault([Fernet.generate_key().decode()]).seal("{}", "account")},
            )
        assert await tower.fire(range(1, 2)) == [2]

        async def waits() -> bool:
            row = await app.storage.read(lambda tx: tx.inbox.get(2))
            return row is not None and "encryption keys cannot decrypt" in str(row.trace)

        await until(waits)
        assert (await subscription(app, studio)).state is SubscriptionState.ACTIVE
        await tower.link(app.storage, studio.maren, tower.ilse, tower.token, nonce="again")
        await wait_for_numbers(studio, studio.structure, range(2))
