"""A machine's clock that is wrong, or is set while the bot runs."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import discord
import pytest
from discord.gateway import DiscordWebSocket
from sqlalchemy import select, update

from bot.db.intake import Intake
from bot.db.tables import batches, channel_queues, outbox
from bot.discord_api.outcomes import RetryLater
from bot.discord_api.server_time import DiscordTime
from bot.pipeline.clock_watch import LONGEST_WAIT, ClockWatch
from bot.problems import SendProblem, SendReason
from bot.storage import Storage
from bot.timing import utc_now
from bot.work import NewInboxEvent
from sandbox.discord import Sandbox
from tests.pipeline.conftest import StartBot, Studio
from tests.pipeline.deliveries import follow, numbers_in, route_to, send_numbers, wait_for_numbers
from tests.pipeline.test_sender_rules import (
    CHANNEL,
    Clock,
    Discord,
    clock,
    delivering,
    next_try,
    queue_card,
    storage,
)
from tests.stored import waiting_count
from tests.waiting import until

__all__ = ["clock", "storage"]

AHEAD = timedelta(minutes=10)


class Seconds:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def studio(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Studio]:
    """A studio on a Discord that is behind this machine by `request.param`."""
    wrong: timedelta = getattr(request, "param", timedelta())
    monkeypatch.setattr(discord.http.Route, "BASE", discord.http.Route.BASE)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)
    async with Sandbox.start(
        pace=False, heartbeat_s=0.3, wall_clock=lambda: time.time() - wrong.total_seconds()
    ) as sandbox:
        guild = sandbox.add_guild("Studio Kestrel")
        yield Studio(
            sandbox,
            guild,
            guild.add_channel("structure"),
            guild.add_channel("facade"),
            guild.add_member("Maren Oduya", permissions="manage_webhooks"),
        )


# ── a card whose answer was lost ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("studio", [AHEAD, -AHEAD, timedelta(days=1)], indirect=True)
async def test_a_message_whose_nonce_is_forgotten_is_found_whatever_this_machines_clock_says(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        hook = await follow(app, studio, studio.structure)
        studio.sandbox.faults.reset_after(route_to(studio.structure), times=None)
        await send_numbers(app, hook, range(1))

        async def taken() -> bool:
            return numbers_in(studio, studio.structure) == [0]

        await until(taken)
    async with start_bot() as app:
        studio.sandbox.world._nonces.clear()  # some minutes have passed
        with app.storage._database.writing() as connection:
            (made_at,) = connection.execute(select(batches.c.created_at)).scalars()
            there = app.bot._rate_limiter.discord_time.now()
            assert abs(made_at - there) < timedelta(seconds=30), "by Discord's time"
            earlier = made_at - timedelta(minutes=5)
            connection.execute(update(batches).values(created_at=earlier))
        studio.sandbox.faults.heal()
        await app.storage.write(lambda tx: tx.outbox.postpone(studio.structure.id, utc_now(), None))

        async def settled() -> bool:
            return await app.storage.read(waiting_count) == 0

        await until(settled)
        assert numbers_in(studio, studio.structure) == [0]


async def test_the_clock_is_set_between_two_tries_and_the_message_is_found(
    studio: Studio, start_bot: StartBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift = [AHEAD]
    monkeypatch.setattr(discord.utils, "utcnow", lambda: utc_now() + shift[0])
    async with start_bot(now=lambda: utc_now() + shift[0]) as app:
        hook = await follow(app, studio, studio.structure)
        studio.sandbox.faults.reset_after(route_to(studio.structure), times=1)
        await send_numbers(app, hook, range(1))

        async def taken() -> bool:
            return numbers_in(studio, studio.structure) == [0]

        await until(taken)
        shift[0] = -timedelta(hours=3)
        studio.sandbox.world._nonces.clear()
        with app.storage._database.writing() as connection:
            earlier = batches.c.created_at.desc()
            (made_at,) = connection.execute(
                select(batches.c.created_at).order_by(earlier)
            ).scalars()
            assert abs(made_at - utc_now()) < timedelta(seconds=30)
            moved = {"created_at": made_at - timedelta(minutes=5)}
            connection.execute(update(batches).values(moved))
            connection.execute(update(outbox).values(state="waiting"))
            connection.execute(update(batches).values(state="open"))
        await app.storage.write(
            lambda tx: tx.outbox.postpone(studio.structure.id, utc_now() + shift[0], None)
        )

        async def settled() -> bool:
            return await app.storage.read(waiting_count) == 0

        await until(settled)
        assert numbers_in(studio, studio.structure) == [0]


def test_discords_time_goes_by_its_answers_and_by_counted_seconds() -> None:
    ours, seconds = [datetime(2026, 3, 2, 9, 0, tzinfo=UTC)], Seconds()
    there = DiscordTime(lambda: ours[0], seconds)
    assert (there.now(), there.is_known, there.ahead()) == (ours[0], False, timedelta())
    there.hear("Mon, 02 Mar 2026 08:50:00 GMT")
    assert there.is_known
    assert there.ahead() == AHEAD
    ours[0] += timedelta(days=400)
    seconds.now_s += 7
    assert there.now() == datetime(2026, 3, 2, 8, 50, 7, tzinfo=UTC)
    for nonsense in (None, "", "soon", "Mon, 99 Mar 2026 08:50:00 GMT"):
        there.hear(nonsense)
    assert there.now() == datetime(2026, 3, 2, 8, 50, 7, tzinfo=UTC)


# ── a delivery that comes again ───────────────────────────────────────────────────────────────


@asynccontextmanager
async def _inbox(storage: Storage, clock: Clock, seconds: Seconds) -> AsyncIterator[Intake]:
    inbox = Intake(storage._database, storage.use_of_today, clock, seconds)
    try:
        yield inbox
    finally:
        await inbox.close()


def delivered(clock: Clock, body: bytes = b"the same") -> NewInboxEvent:
    return NewInboxEvent(None, "lane", "a1b2c3d4e5", None, body.hex(), body, clock())


@pytest.mark.parametrize(
    "back", [timedelta(hours=1), timedelta(days=1), timedelta(minutes=2), timedelta(minutes=59)]
)
async def test_a_clock_that_is_set_back_swallows_no_event(
    storage: Storage, clock: Clock, back: timedelta
) -> None:
    seconds = Seconds()
    async with _inbox(storage, clock, seconds) as inbox:
        await inbox.accept(delivered(clock))
        for apart_s in (59 * 60, 61):
            clock.time += timedelta(seconds=apart_s) - back
            seconds.now_s += apart_s
            assert not (await inbox.accept(delivered(clock))).duplicate
    async with _inbox(storage, clock, seconds) as restarted:
        clock.time -= back
        assert not (await restarted.accept(delivered(clock))).duplicate


async def test_a_clock_that_is_set_back_by_just_what_has_passed_swallows_no_event(
    storage: Storage, clock: Clock
) -> None:
    seconds = Seconds()
    async with _inbox(storage, clock, seconds) as inbox:
        await inbox.accept(delivered(clock))
        for number in range(5):
            seconds.now_s += 20
            await inbox.accept(delivered(clock, b"another %d" % number))
        assert not (await inbox.accept(delivered(clock))).duplicate
        assert (await inbox.accept(delivered(clock))).duplicate


async def test_a_replica_that_sends_the_same_within_seconds_is_still_known(
    storage: Storage, clock: Clock
) -> None:
    seconds = Seconds()
    async with _inbox(storage, clock, seconds) as inbox:
        first = await inbox.accept(delivered(clock))
        clock.time -= timedelta(seconds=20)
        seconds.now_s += 5
        again = await inbox.accept(delivered(clock))
        assert (again.id, again.duplicate) == (first.id, True)
    async with _inbox(storage, clock, seconds) as restarted:
        again = await restarted.accept(delivered(clock))
        assert (again.id, again.duplicate) == (first.id, True)


# ── what waits ────────────────────────────────────────────────────────────────────────────────


async def due_at(storage: Storage) -> datetime | None:
    with storage._database.reading() as connection:
        found: datetime | None = connection.scalar(
            select(channel_queues.c.due_at).where(channel_queues.c.channel_id == CHANNEL)
        )
    return found


@pytest.mark.parametrize("running", [True, False])
async def test_a_clock_that_is_set_back_by_a_day_stalls_nothing_for_a_day(
    storage: Storage, clock: Clock, running: bool
) -> None:
    seconds = Seconds()
    there = DiscordTime(clock, seconds)
    watch = ClockWatch(storage, there, clock, seconds)
    await watch.look()
    await queue_card(storage, clock, 1)
    await storage.write(
        lambda tx: tx.outbox.postpone(CHANNEL, clock() + timedelta(hours=1), "Discord answered 503")
    )
    clock.time -= timedelta(days=1)
    if not running:
        watch = ClockWatch(storage, there, clock, seconds)
    seconds.now_s += 20
    await watch.look()
    assert await due_at(storage) == clock()
    assert await storage.read(lambda tx: tx.outbox.due_in()) == 0


async def test_a_clock_that_runs_well_or_is_set_ahead_leaves_what_waits_alone(
    storage: Storage, clock: Clock
) -> None:
    seconds = Seconds()
    watch = ClockWatch(storage, DiscordTime(clock, seconds), clock, seconds)
    await watch.look()
    await queue_card(storage, clock, 1)
    far = clock() + timedelta(days=20)  # such as a moderator's time-out
    await storage.write(lambda tx: tx.outbox.postpone(CHANNEL, far, None))
    for ahead in (0, 0, 3600, 0):
        clock.time += timedelta(seconds=20 + ahead)
        seconds.now_s += 20
        await watch.look()
    assert await due_at(storage) == far


async def test_a_wait_of_the_bots_own_is_never_shortened(storage: Storage, clock: Clock) -> None:
    await queue_card(storage, clock, 1)
    hourly = clock() + timedelta(hours=1.2)
    assert hourly - clock() < LONGEST_WAIT
    await storage.write(lambda tx: tx.outbox.postpone(CHANNEL, hourly, "Discord answered 503"))
    await ClockWatch(storage, DiscordTime(clock), clock).look()
    assert await due_at(storage) == hourly


async def test_a_clock_that_is_set_ahead_by_days_gives_no_card_up(
    storage: Storage, clock: Clock
) -> None:
    discord_there = Discord(clock)
    discord_there.answer = RetryLater(SendReason(SendProblem.ANSWERED, {"status": 503}))
    await queue_card(storage, clock, 1)
    async with delivering(storage, discord_there.send, clock) as work:
        for _ in range(3):
            await next_try(storage, discord_there, clock, work)
        clock.time += timedelta(days=5)
        for _ in range(3):
            await next_try(storage, discord_there, clock, work)
        assert await storage.read(waiting_count) == 1
        discord_there.answer = None
        await next_try(storage, discord_there, clock, work)
    assert await storage.read(waiting_count) == 0


async def test_nothing_is_erased_by_a_clock_that_is_not_known_to_be_right(
    storage: Storage, clock: Clock, tmp_path: Path
) -> None:
    seconds = Seconds()
    there = DiscordTime(clock, seconds)
    watch = ClockWatch(storage, there, clock, seconds)
    assert not watch.agrees()
    there.hear(_http_date(clock))
    assert watch.agrees()
    clock.time += timedelta(days=40)
    assert not watch.agrees()
    there.hear(_http_date(clock))
    assert watch.agrees()


def _http_date(clock: Callable[[], datetime]) -> str:
    return f"{clock():%a, %d %b %Y %H:%M:%S} GMT"


async def test_cards_go_out_with_a_clock_that_is_wrong(studio: Studio, start_bot: StartBot) -> None:
    for shift in (timedelta(days=-400), timedelta(days=400)):
        async with start_bot(now=lambda by=shift: utc_now() + by) as app:
            hook = await follow(app, studio, studio.structure)
            before = len(numbers_in(studio, studio.structure))
            await send_numbers(app, hook, range(before, before + 2))
            await wait_for_numbers(studio, studio.structure, range(before + 2))
