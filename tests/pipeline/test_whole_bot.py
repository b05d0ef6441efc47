"""What Discord refuses to the bot as a whole, and what it refuses without saying why."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from bot import supervisor
from bot.app import App, Timings
from bot.discord_api.rate_limits import RateLimiter
from bot.model import Hook, PauseReason, SubscriptionState
from bot.pipeline.global_hold import GlobalHold, HoldSteps
from bot.pipeline.sender import SenderTimings
from bot.problem_texts import NOT_READY
from bot.problems import NotReadyWhy, SendProblem, SendReason
from bot.storage import Storage
from bot.timing import Backoff, utc_now
from bot.vault import Vault
from sandbox.discord import SandboxChannel
from tests.pipeline.conftest import QUICK_NOTICES, TIMINGS, StartBot, Studio, quick_connection
from tests.pipeline.deliveries import (
    follow,
    numbers_in,
    route_to,
    send_numbers,
    wait_for_numbers,
    wait_until_paused,
)
from tests.waiting import until

EVERY_POST = "POST /channels/{channel_id}/messages"


def stepping(steps: HoldSteps) -> Timings:
    return replace(TIMINGS, sender=SenderTimings(hold_steps=steps))


QUICK = stepping(HoldSteps(token=Backoff((0.4,)), refusal=Backoff((0.4,))))
IMPATIENT = replace(
    TIMINGS,
    notifier=QUICK_NOTICES,
    sender=SenderTimings(retry=Backoff((0.05, 0.05, 0.05, 1.5))),
)

PAGE = "<html><title>Access denied | Cloudflare</title></html>"


async def follow_all(app: App, studio: Studio, count: int) -> tuple[Hook, list[SandboxChannel]]:
    channels = [studio.guild.add_channel(f"level {number}") for number in range(count)]
    for channel in channels:
        hook = await follow(app, studio, channel)
    return hook, channels


async def said(app: App) -> tuple[int, list[str]]:
    """Status and problems of `GET /readyz`."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{app.port}/readyz") as answer,
    ):
        return answer.status, (await answer.json())["problems"]


async def until_said(app: App, what: str) -> None:
    async def problem() -> bool:
        status, problems = await said(app)
        return status == 503 and any(what in one for one in problems)

    await until(problem)


async def until_ready(app: App) -> None:
    async def ready() -> bool:
        return (await said(app))[0] == 200

    await until(ready)


async def paused_in(app: App, channels: Sequence[SandboxChannel]) -> list[PauseReason | None]:
    there = [
        await app.storage.read(lambda tx: tx.subscriptions.of_channel(channel.id))
        for channel in channels
    ]
    return [one.pause_reason for subscriptions in there for one in subscriptions]


# ── Discord as a whole ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (403, {"code": 40006, "message": "This feature has been temporarily disabled"}),
        (403, {"code": 40002, "message": "You need to verify your account"}),
        (400, {"code": 130000, "message": "API resource is currently overloaded"}),
        (400, {"code": 987_654, "message": "Nobody has heard of this"}),
        (404, {}),
        (403, {"page": PAGE}),
        (401, {"page": PAGE}),
    ],
)
async def test_a_refusal_that_speaks_of_no_channel_pauses_none_and_is_told_once(
    studio: Studio, start_bot: StartBot, status: int, answer: dict[str, Any]
) -> None:
    async with start_bot(timings=QUICK) as app:
        hook, channels = await follow_all(app, studio, 6)
        with capture_logs() as logs:
            studio.sandbox.faults.fail(EVERY_POST, status, times=None, **answer)
            await send_numbers(app, hook, range(2))
            await until_said(app, "takes no card from the bot")
            assert await paused_in(app, channels) == [None] * 6
            studio.sandbox.faults.heal()
            for channel in channels:
                await wait_for_numbers(studio, channel, range(2))
        assert await app.storage.read(lambda tx: tx.pause_notices.due(10)) == []
        events = [line["event"] for line in logs]
        assert events.count("sender.global_hold") == 1
        assert events.count("sender.resumed") == 1
        assert events.count("sender.undeliverable") == events.count("sender.channel_paused") == 0
        await until_ready(app)


async def test_while_the_bot_waits_one_channel_tries_for_all(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot(
        timings=stepping(HoldSteps(refusal=Backoff((0.3, 0.3, 0.3, 60.0))))
    ) as app:
        hook, channels = await follow_all(app, studio, 8)
        studio.sandbox.requests.clear()
        studio.sandbox.faults.fail(EVERY_POST, 403, times=None, code=40006)
        await send_numbers(app, hook, range(1))

        count, before = 0, -1
        while count > before or not count:  # until the long step has begun
            await asyncio.sleep(1.0)
            before, count = count, len([r for r in studio.sandbox.requests if r.status == 403])
        assert 2 + 3 <= count <= 8 + 3  # those that were under way, and one each time
        assert len({r.path for r in studio.sandbox.requests[-3:]}) == 3, "another each time"
        assert await paused_in(app, channels) == [None] * 8
        studio.sandbox.requests.clear()


async def test_one_channel_with_an_unknown_refusal_holds_up_no_other(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        await follow(app, studio, studio.structure)
        hook = await follow(app, studio, studio.facade)
        studio.sandbox.faults.fail(route_to(studio.structure), 403, times=2, code=987_654)
        await send_numbers(app, hook, range(8))
        await wait_for_numbers(studio, studio.facade, range(8))
        assert (await said(app))[0] == 200
        await wait_for_numbers(studio, studio.structure, range(8))
        studio.sandbox.requests.clear()


REFUSED = SendReason(SendProblem.ANSWERED, {"status": 403})


def test_the_steps_are_counted_once_for_all_that_was_under_way() -> None:
    pace = RateLimiter(45, lambda: 0.0)
    standstill = GlobalHold(pace)
    for _ in range(60):
        standstill.token_refused(SendReason(SendProblem.TOKEN_REFUSED), 0)
    assert pace.blocked_for_s() == 60
    assert standstill.round == 1
    standstill.token_refused(SendReason(SendProblem.TOKEN_REFUSED), 1)
    assert pace.blocked_for_s() == 300
    standstill.succeeded(0)  # sent before Discord refused, and taken only now
    assert standstill.active
    standstill.succeeded(2)
    assert not standstill.active
    standstill.token_refused(SendReason(SendProblem.TOKEN_REFUSED), 2)
    assert (pace.blocked_for_s(), standstill.round) == (300, 3), "the first step again, 60 s"


def test_another_kind_of_trouble_begins_with_its_own_first_step() -> None:
    pace = RateLimiter(45, lambda: 0.0)
    standstill = GlobalHold(pace)
    for _ in range(5):
        standstill.rejected("403 40006", REFUSED, 1, standstill.round)
        standstill.rejected("403 40006", REFUSED, 2, standstill.round)
    assert pace.blocked_for_s() == 60
    standstill.token_refused(SendReason(SendProblem.TOKEN_REFUSED), standstill.round)
    assert pace.blocked_for_s() == 60


def test_refusals_far_apart_or_unlike_or_with_good_answers_between_are_each_channels_own() -> None:
    seconds = [0.0]
    standstill = GlobalHold(RateLimiter(45, lambda: 0.0), clock=lambda: seconds[0])
    assert not standstill.rejected("403 40006", REFUSED, 1, 0)
    assert not standstill.rejected("403 40002", REFUSED, 2, 0)
    assert not standstill.rejected("403 40006", REFUSED, 1, 0), "the same channel again"
    seconds[0] = 61
    assert not standstill.rejected("403 40006", REFUSED, 3, 0)
    standstill.succeeded(0)
    assert not standstill.rejected("403 40006", REFUSED, 4, 0)
    assert standstill.rejected("403 40006", REFUSED, 5, 0)


async def test_a_refused_token_with_many_sends_in_flight_is_one_step(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot(timings=stepping(HoldSteps(token=Backoff((6.0, 1000.0))))) as app:
        hook, channels = await follow_all(app, studio, 12)
        studio.sandbox.requests.clear()
        studio.sandbox.faults.slow(EVERY_POST, 1.0)
        studio.sandbox.faults.fail(EVERY_POST, 401, times=None)

        async def all_refused() -> bool:
            refused = [r for r in studio.sandbox.requests if r.status == 401]
            under_way = [r for r in studio.sandbox.requests if not r.status]
            return len(refused) > 1 and not under_way

        with capture_logs() as logs:
            await send_numbers(app, hook, range(1))
            await until_said(app, "does not accept the bot's token")
            await until(all_refused)
            studio.sandbox.faults.heal()
            for channel in channels:
                await wait_for_numbers(studio, channel, range(1))
        events = [line["event"] for line in logs]
        assert events.count("sender.token_refused") == 1
        await until_ready(app)
        studio.sandbox.requests.clear()


async def test_a_ban_is_told_and_what_was_kept_goes_out_after_it(
    studio: Studio, start_bot: StartBot
) -> None:
    timings = replace(TIMINGS, connection=quick_connection(banned_s=1.0))
    async with start_bot(timings=timings) as app:
        hook, channels = await follow_all(app, studio, 4)
        studio.sandbox.faults.rate_limit(EVERY_POST, 3600, times=4, via=False)
        with capture_logs() as logs:
            await send_numbers(app, hook, range(1))
            await until_said(app, "blocks this machine's address")
            for channel in channels:
                await wait_for_numbers(studio, channel, range(1))
        assert [line["event"] for line in logs].count("discord.rate_limited") == 1
        await until_ready(app)


# ── a refusal although every permission is there ──────────────────────────────────────────────


async def test_a_time_out_is_told_as_that_and_ends_by_itself(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot(timings=IMPATIENT) as app:
        hook = await follow(app, studio, studio.structure)
        until_when = utc_now() + timedelta(seconds=4)
        studio.guild.bot.time_out(until_when)
        await send_numbers(app, hook, range(3))
        paused = await wait_until_paused(app, studio.structure, PauseReason.SILENCED)
        assert SendReason.from_stored(paused.pause_detail or "").until == until_when
        maren = studio.sandbox.world.private_channel(studio.maren.id)
        (notice,) = await studio.sandbox.wait_for_messages(maren, 1, 15)
        for permission in ("Send Messages", "Embed Links", "Attach Files", "View Channel"):
            assert permission not in str(notice.embeds)
        assert f"time-out until <t:{int(until_when.timestamp())}:f>" in str(notice.embeds)
        still = await studio.sandbox.press(notice, "Resume", studio.maren)
        assert "put the bot in time-out" in still.content
        await wait_for_numbers(studio, studio.structure, range(3))

        async def is_active() -> bool:
            (there,) = await app.storage.read(
                lambda tx: tx.subscriptions.of_channel(studio.structure.id)
            )
            return there.state is SubscriptionState.ACTIVE

        await until(is_active)
        studio.sandbox.requests.clear()


async def test_a_time_out_that_a_moderator_ends_is_over_with_resume(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot(timings=IMPATIENT) as app:
        hook = await follow(app, studio, studio.structure)
        studio.guild.bot.time_out(utc_now() + timedelta(days=7))
        await send_numbers(app, hook, range(2))
        await wait_until_paused(app, studio.structure, PauseReason.SILENCED)
        maren = studio.sandbox.world.private_channel(studio.maren.id)
        (notice,) = await studio.sandbox.wait_for_messages(maren, 1, 15)
        await send_numbers(app, hook, range(2, 3))
        studio.guild.bot.time_out(None)
        await studio.sandbox.press(notice, "Resume", studio.maren)
        await wait_for_numbers(studio, studio.structure, range(3))
        assert len(studio.sandbox.messages(maren)) == 1
        studio.sandbox.requests.clear()


@pytest.mark.parametrize("code", [50013, 50001])
async def test_a_refusal_without_a_reason_that_passes_is_told_to_nobody(
    studio: Studio, start_bot: StartBot, code: int
) -> None:
    async with start_bot(timings=IMPATIENT) as app:
        hook = await follow(app, studio, studio.structure)
        studio.sandbox.faults.fail(route_to(studio.structure), 403, times=2, code=code)
        await send_numbers(app, hook, range(2))
        await wait_for_numbers(studio, studio.structure, range(2))
        assert await paused_in(app, [studio.structure]) == [None]
        assert await app.storage.read(lambda tx: tx.pause_notices.due(10)) == []
        studio.sandbox.requests.clear()


async def test_a_refusal_without_a_reason_that_stays_is_told_and_tried_again(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot(timings=IMPATIENT) as app:
        hook = await follow(app, studio, studio.structure)
        studio.sandbox.faults.fail(route_to(studio.structure), 403, times=None, code=50013)
        await send_numbers(app, hook, range(2))
        paused = await wait_until_paused(app, studio.structure, PauseReason.SILENCED)
        assert SendReason.from_stored(paused.pause_detail or "").until is None
        maren = studio.sandbox.world.private_channel(studio.maren.id)
        (notice,) = await studio.sandbox.wait_for_messages(maren, 1, 15)
        assert "every permission" in str(notice.embeds)
        assert "Embed Links" not in str(notice.embeds)
        studio.sandbox.faults.heal()
        await wait_for_numbers(studio, studio.structure, range(2))

        async def goes_on() -> bool:
            return await paused_in(app, [studio.structure]) == [None]

        await until(goes_on)
        studio.sandbox.requests.clear()


async def test_a_channel_that_goes_away_while_the_bot_is_silenced_is_told_as_gone(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot(timings=IMPATIENT) as app:
        hook = await follow(app, studio, studio.structure)
        studio.sandbox.faults.fail(route_to(studio.structure), 403, times=None, code=50013)
        await send_numbers(app, hook, range(1))
        await wait_until_paused(app, studio.structure, PauseReason.SILENCED)
        studio.guild.remove_channel(studio.structure)
        studio.sandbox.faults.heal()
        await wait_until_paused(app, studio.structure, PauseReason.CHANNEL_GONE)
        assert numbers_in(studio, studio.structure) == []
        studio.sandbox.requests.clear()


@pytest.mark.parametrize("kind", ["postgresql"])
async def test_a_process_that_waits_for_the_lead_says_so_and_notes_it_once(
    start_bot: StartBot,
    database_url: str,
    key: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(supervisor, "LEAD_RETRY_S", 0.05)
    async with Storage.open(database_url, Vault([key])) as other:
        assert await other.lead()
        async with start_bot(ready=False) as app:
            await asyncio.sleep(0.3)
            assert await said(app) == (503, [NOT_READY[NotReadyWhy.STANDS_BY]])
            assert await app.known_trouble.now() == []
    assert "".join(capfd.readouterr()).count("supervisor.standby") == 1
