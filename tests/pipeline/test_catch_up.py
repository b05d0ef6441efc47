"""What failed at Speckle while nobody listened: the whole bot beside a server that replays one."""

import asyncio
import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update
from structlog.testing import capture_logs

from bot.app import App, Timings
from bot.db.tables import hooks, inbox, subscriptions
from bot.model import Entitlement, Hook, HookKind, InboxSource, PauseReason, SubscriptionState
from bot.pipeline.catch_up import from_lists
from bot.pipeline.catch_up.from_history import CatchUpLimits
from bot.problems import TroubleKind
from bot.settings import environment_names
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from bot.timing import Backoff, utc_now
from bot.trace import TraceLine, TraceStep
from bot.vault import Vault
from bot.work import InboxState
from sandbox.bot_process import BotProcess
from tests.conftest import only_2_31, over_postgresql
from tests.pipeline.conftest import TIMINGS, Run, Studio
from tests.pipeline.deliveries import numbers_in, wait_for_numbers
from tests.pipeline.test_bad_days import limit_pages
from tests.pipeline.tower import Tower, answer
from tests.stored import note_event, waiting_count
from tests.waiting import until

KEYS_AGO = timedelta(days=2)
QUICK = replace(
    TIMINGS,
    catch_up=CatchUpLimits(
        soonest_s=0.05, retry=Backoff((0.3, 0.3, 0.3)), writable_poll_s=0.05, pace_s=0.0
    ),
)


@pytest.fixture
def timings() -> Timings:
    return QUICK


async def caught_up(app: App, since: datetime) -> Hook:
    """The hook, as soon as it was looked at to the end."""

    async def found() -> Hook | None:
        (hook,) = await app.storage.read(lambda tx: tx.hooks.of_guild(tx.guilds.all()[0].guild_id))
        return hook if hook.caught_up_at is not None and hook.caught_up_at >= since else None

    return await until(found)


async def look(app: App) -> None:
    """Have it look now."""
    since = utc_now()
    app.catch_up.missed()
    await caught_up(app, since)


def cards(studio: Studio) -> list[dict[str, Any]]:
    messages = studio.sandbox.messages(studio.structure.id)
    return [embed for message in messages for embed in message.embeds]


async def test_fifty_events_that_failed_while_the_bot_was_dead_arrive_once_and_in_order(
    studio: Studio, tower: Tower, database_url: str, tmp_path: Path, key: str
) -> None:
    """With a bot that is a process of its own, and SIGKILL, twice."""
    async with Storage.open(database_url, Vault([key])) as storage:
        await storage.write(lambda tx: tx.guilds.join(studio.guild.id))
        await tower.follow(storage, studio)
    config = tmp_path / "config.toml"
    config.write_text(
        f'speckle_servers = ["{tower.server.url}"]\n[speckle]\nenrich_deadline_s = 0.0\n'
    )
    names = environment_names()
    environment = {name: value for name, value in os.environ.items() if name not in names} | {
        "DISCORD_TOKEN": studio.sandbox.token,
        "DISCORD_API_URL": studio.sandbox.api_url,
        "ENCRYPTION_KEYS": key,
        "DATABASE_URL": database_url,
        "WEBHOOK_HOST": "127.0.0.1",
        "WEBHOOK_PORT": str(tower.port),
    }
    url = f"http://127.0.0.1:{tower.port}"
    bot = BotProcess(environment, config, tmp_path / "bot.log", url)
    await bot.start()
    try:
        assert await tower.fire(range(3)) == [2, 2, 2]
        await wait_for_numbers(studio, studio.structure, range(3))
        await bot.kill()
        assert await tower.fire(range(3, 53)) == [3] * 50
        await bot.start()
        async with asyncio.timeout(30):
            while not numbers_in(studio, studio.structure)[3:]:
                await bot.live(0.01)
        await bot.kill()  # in the midst of it
        await bot.start()
        await wait_for_numbers(studio, studio.structure, range(53))
        assert await tower.fire(range(53, 55)) == [2, 2]
        await wait_for_numbers(studio, studio.structure, range(55))
        await bot.stop()
    finally:
        await bot.kill()
    delayed = [card for card in cards(studio) if "Delayed:" in card.get("description", "")]
    assert len(delayed) == 50


@over_postgresql
async def test_a_delayed_card_has_the_events_own_time(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await tower.follow(app.storage, studio)
        await followed_since(app, utc_now() - timedelta(days=2))
        (entry,) = tower.fail(range(1))
        entry.last_update = utc_now().replace(microsecond=0) - timedelta(hours=30)
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(1))
        (card,) = cards(studio)
        assert datetime.fromisoformat(card["timestamp"]) == entry.last_update
        assert f"<t:{int(entry.last_update.timestamp())}:R>" in card["description"]
        row = await app.storage.read(lambda tx: tx.inbox.get(1))
        assert row is not None
        assert (row.source, row.trace[0].stage) == (InboxSource.HISTORY, "catch_up")


@over_postgresql
async def test_whose_answer_was_lost_is_not_shown_twice(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await tower.follow(app.storage, studio)
        assert await tower.fire(range(4)) == [2] * 4
        await wait_for_numbers(studio, studio.structure, range(4))
        assert tower.webhook is not None
        for entry in tower.webhook.history:
            entry.status = 3
        tower.fail(range(4, 6))
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(6))


@over_postgresql
async def test_equal_bodies_are_two_events(studio: Studio, tower: Tower, run: Run) -> None:
    """Resolved, and shown; then twice while nobody listened."""
    async with run() as app:
        await tower.follow(app.storage, studio)
        data = {"input": {"commentId": "c0ffee", "archived": True, "projectId": tower.project.id}}
        (shown,) = await tower.server.fire(tower.project, "comment_archived", data, user=tower.ilse)
        for _ in range(2):
            assert tower.resolve("c0ffee").body == shown.body
        await look(app)

        async def three() -> bool:
            return len(cards(studio)) >= 3

        await until(three)
        await look(app)
        assert len(cards(studio)) == 3
        assert await app.storage.read(waiting_count) == 0


@over_postgresql
async def test_what_is_stuck_in_the_middle_of_a_call_is_taken_and_what_waits_is_left(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await tower.follow(app.storage, studio)
        await followed_since(app, utc_now() - timedelta(days=1))
        (stuck,) = tower.fail(range(1), status=1)
        stuck.last_update -= timedelta(minutes=10)
        tower.fail(range(1, 2), status=1)  # being called at this moment
        tower.fail(range(2, 3), status=0)  # will still come
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(1))
        assert await app.storage.read(lambda tx: tx.missed_events.last_id()) == 1


async def test_an_equal_body_that_is_under_way_makes_a_failed_one_wait(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await tower.follow(app.storage, studio)
        tower.resolve("c0ffee")
        waiting = tower.resolve("c0ffee", status=0)
        with capture_logs() as logs:
            app.catch_up.missed()
            await until(lambda: [line for line in logs if line.get("unclear") == 1])
        assert await app.storage.read(lambda tx: tx.missed_events.last_id()) == 0
        waiting.status = 3
        await look(app)

        async def both() -> bool:
            return len(cards(studio)) == 2

        await until(both)


@over_postgresql
async def test_events_that_arrive_while_it_catches_up_are_shown_once(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await tower.follow(app.storage, studio)
        tower.fail(range(20))
        tower.server.faults.delay_s = 0.1
        app.catch_up.missed()
        assert await tower.fire(range(20, 40)) == [2] * 20

        async def all_there() -> bool:
            return len(numbers_in(studio, studio.structure)) >= 40

        await until(all_there, 30)
        shown = numbers_in(studio, studio.structure)
        assert sorted(shown) == list(range(40))
        assert [number for number in shown if number < 20] == list(range(20))


async def test_after_a_full_disk_what_was_refused_comes_at_once(
    studio: Studio, tower: Tower, run: Run, database_file: Path
) -> None:
    async with run() as app:
        await tower.follow(app.storage, studio)
        limit_pages(app, 1)
        became = await tower.fire(range(40))  # free pages in the file take some of them
        assert 3 in became
        limit_pages(app, 1_000_000)

        async def all_there() -> bool:
            return len(numbers_in(studio, studio.structure)) >= 40

        await until(all_there, 30)
        shown = numbers_in(studio, studio.structure)
        assert sorted(shown) == list(range(40))
        missed = [number for number, status in enumerate(became) if status == 3]
        assert [number for number in shown if number in missed] == missed


async def test_a_body_of_another_project_is_not_taken(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        hook = await tower.follow(app.storage, studio)
        foreign, malformed, good = tower.fail(range(3))
        foreign.payload = foreign.payload.replace(tower.project.id, "0123456789")
        malformed.payload = "[]"
        assert good.status == 3
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(2, 3))
        assert await app.storage.read(lambda tx: tx.missed_events.last_id()) == 1
        assert await app.storage.read(lambda tx: tx.missed_events.handled(hook.id)) == {
            foreign.id,
            malformed.id,
            good.id,
        }


async def test_a_history_that_begins_after_the_last_known_event_is_said_to_be_too_short(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        hook = await tower.follow(app.storage, studio)
        await app.storage.write(
            lambda tx: note_event(tx, hook.id, None, utc_now() - timedelta(days=3))
        )
        tower.fail(range(2))
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(2))
        first, second = cards(studio)
        assert "begins only on" in first["description"]
        assert "begins only on" not in second["description"]
        (trouble,) = await app.known_trouble.now()
        assert (trouble.kind, trouble.facts) == (TroubleKind.CATCH_UP_TOO_SHORT, {"webhooks": 1})


async def test_a_long_history_of_large_bodies_is_read_in_steps(
    studio: Studio, tower: Tower, run: Run, timings: Timings
) -> None:
    limits = replace(timings.catch_up, first_step=4)
    async with run(timings=replace(timings, catch_up=limits)) as app:
        await tower.follow(app.storage, studio)
        tower.fail(range(30))
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(30))
        asked = [a.variables for a in tower.server.asked("History") if a.variables["bodies"]]
        assert [variables["limit"] for variables in asked] == [4, 16, 30]


async def test_what_is_too_much_to_fetch_is_said(
    studio: Studio, tower: Tower, run: Run, timings: Timings
) -> None:
    limits = replace(timings.catch_up, first_step=3, bodies_at_once_bytes=1)
    async with run(timings=replace(timings, catch_up=limits)) as app:
        await tower.follow(app.storage, studio)
        tower.fail(range(9))
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(6, 9))
        assert "6 of the older entries" in cards(studio)[0]["description"]


async def test_a_server_that_is_down_at_the_start_is_asked_again(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await tower.follow(app.storage, studio)
    tower.fail(range(3))
    tower.server.faults.status = 502
    asked = len(tower.server.requests)
    async with run() as app:
        await until(lambda: len(tower.server.requests) > asked)
        assert await app.storage.read(lambda tx: tx.missed_events.last_id()) == 0
        tower.server.faults.clear()
        await wait_for_numbers(studio, studio.structure, range(3))


# ── without the owner's rights ────────────────────────────────────────────────────────────────


async def by_hand(app: App, studio: Studio, tower: Tower) -> Hook:
    """Ilse is no owner; somebody else made the webhook by hand, and it has brought version 0.

    That was an hour ago; the channel has followed the project since yesterday.
    """
    hook = await tower.follow(app.storage, studio, made=False)
    tower.server.set_role(tower.project, tower.ilse, "stream:contributor")
    assert await tower.fire(range(1)) == [2]
    await wait_for_numbers(studio, studio.structure, range(1))
    await app.storage.write(
        lambda tx: tx.key_values.set(from_lists.KEYS_SINCE, (utc_now() - KEYS_AGO).isoformat())
    )
    await followed_since(app, utc_now() - timedelta(days=1))
    return hook


async def followed_since(app: App, at: datetime) -> None:
    """Channels have followed it since then, and its webhook has been there as long."""
    with app.storage._database.writing() as connection:
        connection.execute(update(subscriptions).values(created_at=at))
        connection.execute(update(hooks).values(live_at=at))


def lists_read(tower: Tower) -> int:
    """How often the activity list was read, each time to its end."""
    return sum(not asked.variables["info"] for asked in tower.server.asked("Activity"))


async def facade_follows(
    app: App, studio: Studio, tower: Tower, hook: Hook, account_id: int | None
) -> None:
    consent = answer(studio.maren.id) if account_id else None
    await app.storage.write(
        lambda tx: tx.subscriptions.upsert(
            hook.id, studio.facade.id, SubscriptionOptions(), studio.maren.id, account_id, consent
        )
    )
    await followed_since(app, utc_now() - timedelta(days=1))


@only_2_31
async def test_the_activity_list_fills_in_what_it_can(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await by_hand(app, studio, tower)
        for number in (1, 2):
            tower.version(number, at=utc_now() - timedelta(hours=3 - number))
        tower.version(3)  # its webhook may still come
        tower.server.add_model(tower.project, "never brought by the webhook")
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(3))
        await look(app)
        assert numbers_in(studio, studio.structure) == [0, 1, 2]
        assert "no webhook reported it" in cards(studio)[1]["description"]


@only_2_31
async def test_nothing_is_fetched_from_before_the_channel_followed(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await by_hand(app, studio, tower)
        await followed_since(app, utc_now() - timedelta(hours=2))
        tower.version(7, at=utc_now() - timedelta(hours=3))
        tower.version(1, at=utc_now() - timedelta(hours=1))
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(2))


@only_2_31
async def test_nothing_is_fetched_from_before_the_first_event_of_a_webhook_made_by_hand(
    studio: Studio, tower: Tower, run: Run
) -> None:
    """The channel has followed the project for a day, but its webhook was made just now."""
    for number in range(100, 172):
        tower.version(number, at=utc_now() - timedelta(hours=2))
    async with run() as app:
        hook = await by_hand(app, studio, tower)
        with app.storage._database.writing() as connection:
            connection.execute(update(hooks).values(live_at=utc_now() - timedelta(hours=1)))
        tower.version(1, at=utc_now() - timedelta(minutes=30))
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(2))
    since = utc_now()
    async with run() as app:  # and a restart
        assert (await caught_up(app, since)).id == hook.id
        assert await app.storage.read(waiting_count) == 0
    assert numbers_in(studio, studio.structure) == [0, 1]


async def test_a_webhook_that_never_brought_anything_is_not_looked_at(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await by_hand(app, studio, tower)
        with app.storage._database.writing() as connection:
            connection.execute(update(hooks).values(live_at=None))
        tower.version(1, at=utc_now() - timedelta(hours=1))
        before = lists_read(tower)
        assert await app.catch_up.check_hooks() == []
        assert lists_read(tower) == before
        assert numbers_in(studio, studio.structure) == [0]


def comment(tower: Tower, number: int, screenshot_bytes: int) -> None:
    """Somebody comments with a picture of so many characters, so many minutes ago."""
    resources = f"{tower.model.id}@{tower.project.versions[0].id}"
    said = {"type": "doc", "content": [{"type": "text", "text": f"thread no {number}"}]}
    tower.server.add_activity(
        tower.project,
        "comment_created",
        f"c0ffee000{number}",
        "comment",
        tower.ilse,
        {
            "input": {
                "projectId": tower.project.id,
                "resourceIdString": resources,
                "content": {"doc": said},
                "screenshot": "data:image/png;base64," + "A" * screenshot_bytes,
            }
        },
        f"Comment added: c0ffee000{number} ([object Object])",
        at=utc_now() - timedelta(minutes=60 - number),
    )


@only_2_31
async def test_comments_with_large_pictures_arrive_and_one_that_cannot_be_read_without_its_own(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await by_hand(app, studio, tower)
        assert tower.webhook is not None
        tower.webhook.triggers = ["comment_created"]
        comment(tower, 0, 10)
        (seen,) = tower.project.activity[-1:]
        await tower.server.fire(tower.project, "comment_created", seen.info, user=tower.ilse)
        for number, size in enumerate((12_000_000, 12_000_000, 12_000_000, 40_000_000, 10), 1):
            comment(tower, number, size)
        await look(app)

        async def all_there() -> bool:
            return len(cards(studio)) == 7

        await until(all_there, 30)
        shown = [card["url"].rpartition("/")[2] for card in cards(studio)[1:]]
        assert shown == [f"c0ffee000{number}" for number in range(6)]
        texts = [card.get("description", "") for card in cards(studio)[1:]]
        assert ["thread no" in text for text in texts] == [True] * 4 + [False, True]
        assert ["too large" in text for text in texts] == [False] * 4 + [True, False]


@only_2_31
async def test_what_an_account_may_read_is_shown_in_its_own_channel_alone(
    studio: Studio, tower: Tower, run: Run
) -> None:
    """#facade was set up by hand, without an account: it sees what the webhook sends."""
    async with run() as app:
        hook = await by_hand(app, studio, tower)
        await facade_follows(app, studio, tower, hook, None)
        tower.version(1, at=utc_now() - timedelta(hours=1))
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(2))
        assert await tower.fire(range(2, 3)) == [2]
        await wait_for_numbers(studio, studio.structure, range(3))
        await wait_for_numbers(studio, studio.facade, range(2, 3))


@only_2_31
async def test_a_list_is_asked_for_once_for_all_channels_of_one_account(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        hook = await by_hand(app, studio, tower)
        (first,) = await app.storage.read(lambda tx: tx.subscriptions.of_hook(hook.id))
        await facade_follows(app, studio, tower, hook, first.account_id)
        tower.version(1, at=utc_now() - timedelta(hours=1))
        before = lists_read(tower)
        assert await app.catch_up.check_hooks() == []
        await wait_for_numbers(studio, studio.structure, range(2))
        await wait_for_numbers(studio, studio.facade, range(1, 2))
        assert lists_read(tower) == before + 1


async def test_with_an_account_alone_and_no_webhook_nothing_is_fetched(
    studio: Studio, tower: Tower, run: Run
) -> None:
    """A mere reader's account is no webhook: the owner never entered one."""
    async with run() as app:
        await by_hand(app, studio, tower)
        with app.storage._database.writing() as connection:
            connection.execute(text("DELETE FROM inbox"))
        tower.version(1, at=utc_now() - timedelta(hours=1))
        assert await app.catch_up.check_hooks() == []
        assert await app.storage.read(lambda tx: tx.missed_events.last_id()) == 0


async def test_a_person_who_cannot_see_the_channel_does_not_fetch_for_it(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await by_hand(app, studio, tower)
        last = await app.storage.read(lambda tx: tx.missed_events.last_id())
        tower.version(1, at=utc_now() - timedelta(hours=1))
        tower.server.set_role(tower.project, tower.ilse, None)
        with app.storage._database.writing() as connection:
            connection.execute(update(subscriptions).values(access_ok_at=None))
        before = lists_read(tower)
        await app.catch_up.check_hooks()
        assert await app.storage.read(lambda tx: tx.missed_events.last_id()) == last
        assert lists_read(tower) == before


async def test_while_a_member_paused_it_nothing_is_fetched_then_or_later(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        hook = await by_hand(app, studio, tower)
        (one,) = await app.storage.read(lambda tx: tx.subscriptions.of_hook(hook.id))
        pause = SubscriptionState.PAUSED, PauseReason.MEMBER
        await app.storage.write(lambda tx: tx.subscriptions.set_state(one.id, *pause))
        tower.version(7, at=utc_now() - timedelta(hours=1))
        await look(app)
        await app.storage.write(
            lambda tx: tx.subscriptions.set_state(one.id, SubscriptionState.ACTIVE)
        )
        await look(app)
        assert await tower.fire(range(1, 2)) == [2]
        await wait_for_numbers(studio, studio.structure, range(2))


@only_2_31
async def test_what_happened_while_it_was_paused_for_a_right_is_fetched_after_the_answer(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        hook = await by_hand(app, studio, tower)
        (one,) = await app.storage.read(lambda tx: tx.subscriptions.of_hook(hook.id))
        pause = SubscriptionState.PAUSED, PauseReason.ASK_AGAIN
        await app.storage.write(lambda tx: tx.subscriptions.set_state(one.id, *pause))
        tower.version(1, at=utc_now() - timedelta(hours=1))
        await look(app)
        assert numbers_in(studio, studio.structure) == [0]
        await app.storage.write(
            lambda tx: tx.subscriptions.answered(one.id, answer(studio.maren.id))
        )
        await app.storage.write(
            lambda tx: tx.subscriptions.set_state(one.id, SubscriptionState.ACTIVE)
        )
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(2))


@only_2_31
async def test_a_webhook_that_comes_after_all_is_not_shown_again(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await by_hand(app, studio, tower)
        data = tower.version(1, at=utc_now() - timedelta(hours=1))
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(2))
        await tower.server.fire(tower.project, "commit_create", data, user=tower.ilse)
        last = await app.storage.read(lambda tx: tx.missed_events.last_id())
        assert TraceStep.SHOWN_BEFORE in [line.step for line in await done_trace(app, last)]
        assert await tower.fire(range(2, 3)) == [2]
        await wait_for_numbers(studio, studio.structure, range(3))


@only_2_31
async def test_a_made_up_event_of_the_same_version_hides_nothing(
    studio: Studio, tower: Tower, run: Run
) -> None:
    """Somebody who knows the secret sends the version first, with another message."""
    async with run() as app:
        await by_hand(app, studio, tower)
        data = tower.version(1, at=utc_now() - timedelta(hours=1))
        forged = {"id": data["id"], "commit": {**data["commit"], "message": "version no 66"}}
        await tower.server.fire(tower.project, "commit_create", forged, user=tower.ilse)
        await done_trace(app, await app.storage.read(lambda tx: tx.missed_events.last_id()))
        await look(app)

        async def shown() -> bool:
            return 1 in numbers_in(studio, studio.structure)

        await until(shown)


@only_2_31
async def test_equal_events_are_counted_on_both_ways(
    studio: Studio, tower: Tower, run: Run
) -> None:
    """Resolved three times; the webhook of the second one was missed."""
    async with run() as app:
        await by_hand(app, studio, tower)
        version = tower.project.versions[0]
        thread = tower.server.add_comment(tower.project, [version], author=tower.ilse, text="Why?")
        for hours in (3, 2, 1):
            data = tower.server.archive(thread, by=tower.ilse)
            tower.project.activity[-1].time = utc_now() - timedelta(hours=hours)
        resolved = len(cards(studio))
        for _ in range(2):
            await tower.server.fire(tower.project, "comment_archived", data, user=tower.ilse)
            await done_trace(app, await app.storage.read(lambda tx: tx.missed_events.last_id()))
            with app.storage._database.writing() as connection:
                ago = utc_now() - timedelta(hours=2)
                connection.execute(update(inbox).values(received_at=ago))
                app.storage.intake._recent.clear()

        async def three() -> bool:
            return len(cards(studio)) == resolved + 3

        await look(app)
        await until(three)
        await look(app)
        assert await three()
        assert await app.storage.read(waiting_count) == 0


@only_2_31
async def test_an_owner_who_is_one_no_longer_still_has_the_activity_list(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        hook = await by_hand(app, studio, tower)
        assert tower.webhook is not None
        webhook_id = tower.webhook.id
        (one,) = await app.storage.read(lambda tx: tx.subscriptions.of_hook(hook.id))
        account_id = one.account_id
        assert account_id is not None
        await app.storage.write(lambda tx: tx.hooks.record_webhook(hook.id, account_id, webhook_id))
        tower.version(1, at=utc_now() - timedelta(hours=1))
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(2))


@only_2_31
async def test_the_operators_token_reads_once_for_all_guilds_where_somebody_answered(
    studio: Studio, tower: Tower, run: Run
) -> None:
    """In a third channel nobody did: it sees what the operator's webhook sends."""
    guilds = [studio.guild, studio.sandbox.add_guild("Studio Heron")]
    channels = [studio.structure, guilds[1].add_channel("structure"), studio.facade]
    tower.server.add_webhook(
        tower.project, f"http://127.0.0.1:{tower.port}/webhook", ("commit_create",), secret="shared"
    )
    shared: dict[str, Any] = {
        "speckle_token": tower.token,
        "speckle_webhook_secret": "shared",
        "organisation": {"guilds": [guild.id for guild in guilds]},
    }
    tower.project.visibility = "PUBLIC"
    async with run(**shared) as app:
        for guild, channel in zip(guilds, channels, strict=False):
            hook = await app.storage.write(
                lambda tx: tx.hooks.create(
                    guild.id, tower.server.url, tower.project.id, HookKind.SHARED, 1, None
                )
            )
            consent = answer(studio.maren.id, standing=Entitlement.MANAGER)
            await app.storage.write(
                lambda tx: tx.subscriptions.upsert(
                    hook.id, channel.id, SubscriptionOptions(), studio.maren.id, None, consent
                )
            )
        (first,) = await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
        await app.storage.write(
            lambda tx: tx.subscriptions.upsert(
                first.id, studio.facade.id, SubscriptionOptions(), studio.maren.id
            )
        )
        assert await tower.fire(range(1)) == [2]
        for channel in channels:
            await wait_for_numbers(studio, channel, range(1))
        await app.storage.write(
            lambda tx: tx.key_values.set(from_lists.KEYS_SINCE, (utc_now() - KEYS_AGO).isoformat())
        )
        await followed_since(app, utc_now() - timedelta(days=1))
        tower.version(1, at=utc_now() - timedelta(hours=1))
        before = lists_read(tower)
        assert await app.catch_up.check_hooks() == []
        for channel in channels[:2]:
            await wait_for_numbers(studio, channel, range(2))
        assert lists_read(tower) == before + 1
        assert await tower.fire(range(2, 3)) == [2]
        await wait_for_numbers(studio, studio.facade, range(0, 3, 2))


async def test_a_channel_that_moved_to_a_webhook_sees_nothing_of_its_history_from_before(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        made = await tower.follow(app.storage, studio)
        by_hand = await app.storage.write(
            lambda tx: tx.hooks.create(
                studio.guild.id, tower.server.url, tower.project.id, HookKind.OWN, 1, None
            )
        )
        (one,) = await app.storage.read(lambda tx: tx.subscriptions.of_hook(made.id))
        _, moves = await app.storage.write(
            lambda tx: tx.subscriptions.upsert(
                by_hand.id, studio.facade.id, SubscriptionOptions(), studio.maren.id
            )
        )
        await followed_since(app, utc_now() - timedelta(days=1))
        (before,) = tower.fail(range(1))
        before.last_update -= timedelta(hours=1)
        assert one.account_id is not None
        await app.storage.write(
            lambda tx: tx.subscriptions.answered(
                moves.id, answer(studio.maren.id), account_id=one.account_id, hook_id=made.id
            )
        )
        tower.fail(range(1, 2))
        assert await app.catch_up.check_hooks() == []
        await wait_for_numbers(studio, studio.structure, range(2))
        await wait_for_numbers(studio, studio.facade, range(1, 2))


async def done_trace(app: App, row_id: int) -> tuple[TraceLine, ...]:
    """The trace of an event, once it was dealt with."""

    async def trace() -> tuple[TraceLine, ...] | None:
        row = await app.storage.read(lambda tx: tx.inbox.get(row_id))
        return row.trace if row is not None and row.state is InboxState.DONE else None

    return await until(trace)
