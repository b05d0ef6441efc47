"""Logging in, the gateway and the commands, on days when Discord lets the bot in only so far."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from yarl import URL

from bot.app import App, Timings
from bot.discord_api.client import use_api
from bot.discord_api.gateway import GatewayConnection, GatewayTimings
from bot.errors import ConfigError
from bot.problems import NotReady, NotReadyWhy
from bot.timing import Backoff
from tests.pipeline.conftest import StartBot, Studio, quick_connection
from tests.pipeline.deliveries import follow, send_numbers, wait_for_numbers
from tests.pipeline.test_whole_bot import PAGE, said, until_ready, until_said
from tests.waiting import until
from tests.wires import Authority, tls_front

SYNC = "PUT /applications/{application_id}/commands"


def quick(*again_s: float, **more: Any) -> Timings:
    again = Backoff(again_s or (0.0, 0.1))
    gateway = GatewayTimings(again=again, refused_s=0.5, dial_s=2.0, identifies_s=0.1)
    connection = quick_connection(
        login=Backoff((0.1,)), token_s=0.4, commands=Backoff((1.0,)), gateway=gateway, **more
    )
    return Timings(connection=connection)


async def settled(app: App, studio: Studio) -> None:
    """Have a guild that follows a project, and what a first start leaves behind."""
    await follow(app, studio, studio.structure)


async def takes_and_sends(app: App, studio: Studio, numbers: range) -> None:
    """Deliveries are answered 202, and their cards stand in the channel."""
    (hook,) = await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
    await send_numbers(app, hook, numbers)
    await wait_for_numbers(studio, studio.structure, range(numbers.stop))


# ── the gateway ───────────────────────────────────────────────────────────────────────────────


def test_a_gateway_is_silent_for_readyz_when_it_is_dialled_again_for_it() -> None:
    now_s, timings = 0.0, GatewayTimings()
    gateway = GatewayConnection(timings, lambda: now_s)
    gateway.heard()
    now_s = timings.silence_s
    assert gateway.problems() == []
    now_s += 1
    assert gateway.problems() == [NotReady(NotReadyWhy.GATEWAY_SILENT, {"silence_s": 101.0})]


@pytest.mark.parametrize("welcome", [False, True])
async def test_connections_that_do_not_last_are_dialled_more_and_more_slowly_and_told(
    studio: Studio, start_bot: StartBot, welcome: bool
) -> None:
    async with start_bot(timings=quick(0.0, 0.05, 0.1, 0.2, 1000.0)) as app:
        await settled(app, studio)
        gateway = studio.sandbox.gateway
        with capture_logs() as logs:
            studio.sandbox.faults.close_each(4000, welcome=welcome)
            studio.sandbox.faults.close(4000)
            await until_said(app, "do not last")
            dials = 0
            while dials < gateway.dials:  # until the long wait has begun
                dials = gateway.dials
                await asyncio.sleep(1)
        lost = [line for line in logs if line["event"] == "discord.gateway_lost"]
        assert dials == 1 + 3, "the first, and one after each wait but the last"
        assert [line["in_a_row"] for line in lost] == [1, 2, 3, 4]
        await takes_and_sends(app, studio, range(2))


async def test_a_connection_that_lasted_is_dialled_again_at_once_and_resumed(
    studio: Studio, start_bot: StartBot
) -> None:
    gateway = GatewayTimings(Backoff((0.0, 1000.0)), lasts_s=0.0)
    async with start_bot(timings=Timings(connection=quick_connection(gateway=gateway))) as app:
        for number in range(3):
            studio.sandbox.faults.op7()

            async def resumed(times: int = number + 1) -> bool:
                return studio.sandbox.gateway.resumes == times

            await until(resumed)
        assert studio.sandbox.gateway.identifies == 1
        await until_ready(app)


async def test_a_dead_address_for_resuming_is_given_up_for_a_new_session(
    studio: Studio, start_bot: StartBot
) -> None:
    studio.sandbox.gateway.resume_url = "ws://127.0.0.1:9/"
    async with start_bot(timings=quick()) as app:
        studio.sandbox.faults.drop_gateway()

        async def identified() -> bool:
            return studio.sandbox.gateway.identifies == 2

        await until(identified)
        await until_ready_but_flapping(app)
        await settled(app, studio)


async def until_ready_but_flapping(app: App) -> None:
    """The bot is connected, be it that the connections before did not last."""

    async def ready() -> bool:
        _, problems = await said(app)
        return all("do not last" in one for one in problems)

    await until(ready)


@pytest.mark.parametrize(
    ("code", "what_to_do"),
    [
        (4010, "update it"),
        (4011, "shards"),
        (4012, "Update the bot"),
        (4013, "update it"),
        (4014, "Bot page"),
    ],
)
async def test_a_close_code_that_only_a_person_can_deal_with_says_so_and_the_rest_goes_on(
    studio: Studio, start_bot: StartBot, code: int, what_to_do: str
) -> None:
    async with start_bot() as app:
        await settled(app, studio)
    studio.sandbox.faults.close_each(code, times=3)
    with capture_logs() as logs:
        async with start_bot(timings=quick(), ready=False) as app:
            await until_said(app, what_to_do)
            await takes_and_sends(app, studio, range(2))
            await app.bot.ready_once.wait()
            await until_ready(app)
    refused = [line for line in logs if line["event"] == "discord.gateway_refused"]
    assert [line["code"] for line in refused] == [code] * 3
    assert all(line["log_level"] == "critical" for line in refused)


async def test_a_void_token_at_the_gateway_is_told_and_deliveries_are_kept(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot(timings=quick()) as app:
        await settled(app, studio)
        (hook,) = await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
        studio.sandbox.faults.fail("GET /oauth2/applications/@me", 401, times=3)
        studio.sandbox.faults.close(4004)
        await until_said(app, "4004")
        await send_numbers(app, hook, range(2))
        await wait_for_numbers(studio, studio.structure, range(2))
        await until_ready(app)


async def test_no_session_is_begun_beyond_discords_limit(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        await settled(app, studio)
    identifies = studio.sandbox.gateway.identifies
    studio.sandbox.faults.limit_sessions(0, reset_after_s=3.0)
    async with start_bot(timings=quick(), ready=False) as app:
        await until_said(app, "sessions that Discord allows")
        await takes_and_sends(app, studio, range(2))
        assert studio.sandbox.gateway.identifies == identifies
        await app.bot.ready_once.wait()
        await until_ready(app)


async def test_the_gateways_address_cannot_be_asked_and_cards_go_out_all_the_same(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        await settled(app, studio)
    studio.sandbox.faults.fail("GET /gateway/bot", 403, times=4, page=PAGE)
    async with start_bot(timings=quick(), ready=False) as app:
        await takes_and_sends(app, studio, range(2))
        await app.bot.ready_once.wait()


# ── logging in ────────────────────────────────────────────────────────────────────────────────


async def test_a_token_that_never_worked_is_a_setting_that_cannot_be_right(
    studio: Studio, start_bot: StartBot
) -> None:
    studio.sandbox.faults.fail("*", 401, times=None)
    with pytest.raises(ConfigError, match="DISCORD_TOKEN"):
        async with start_bot(ready=False):
            await asyncio.sleep(10)


async def test_a_token_that_worked_once_is_waited_for_and_deliveries_are_taken(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        await settled(app, studio)
    studio.sandbox.faults.fail("*", 401, times=None)
    async with start_bot(timings=quick(), ready=False) as app:
        await until_said(app, "does not accept DISCORD_TOKEN")
        (hook,) = await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
        await send_numbers(app, hook, range(3))
        studio.sandbox.faults.heal()
        await wait_for_numbers(studio, studio.structure, range(3))
        await until_ready(app)


@pytest.mark.parametrize(
    ("status", "answer"), [(403, {"page": PAGE}), (403, {"code": 40333}), (503, {})]
)
async def test_discord_that_lets_nobody_in_is_told_with_its_answer(
    studio: Studio, start_bot: StartBot, status: int, answer: dict[str, Any]
) -> None:
    async with start_bot() as app:
        await settled(app, studio)
    studio.sandbox.faults.fail("*", status, times=None, **answer)
    async with start_bot(timings=quick(), ready=False) as app:
        await until_said(app, f"answered {status}")
        studio.sandbox.faults.heal()
        await takes_and_sends(app, studio, range(2))
        await until_ready(app)


async def test_a_certificate_of_discords_that_is_not_trusted_is_told_and_waited_for(
    studio: Studio, start_bot: StartBot, tmp_path: Path
) -> None:
    here = studio.sandbox.api_url
    port = URL(here).port
    assert port is not None
    async with tls_front(port, Authority(tmp_path).server("127.0.0.1")) as front:
        secure = here.replace(f"http://127.0.0.1:{port}", f"https://127.0.0.1:{front}")
        async with start_bot(ready=False, discord_api_url=secure, timings=quick()) as app:
            await until_said(app, "SSL_CERT_FILE")
            use_api(here)
            await until_ready(app)


# ── the commands ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, 50035, "Invalid Form Body"),
        (400, 30034, "Maximum number of daily application command creates"),
        (403, 20012, "You are not authorized to perform this action on this application"),
        (403, 40006, "This feature has been temporarily disabled"),
        (503, 0, ""),
    ],
)
async def test_commands_that_discord_does_not_take_keep_nothing_else_from_working(
    studio: Studio, start_bot: StartBot, status: int, code: int, message: str
) -> None:
    studio.sandbox.faults.fail(SYNC, status, times=2, code=code, message=message)
    with capture_logs() as logs:
        async with start_bot(timings=quick(first_sync_s=0.1)):

            async def registered() -> bool:
                return "commands.synced" in [line["event"] for line in logs]

            await until(registered)
    events = [line["event"] for line in logs]
    assert events.index("discord.ready") < events.index("commands.synced")
    refused = [line for line in logs if line["event"] == "commands.not_synced"]
    assert [line["status"] for line in refused] == [status] * 2
    assert all(message in line["reason"] for line in refused)


async def test_a_long_wait_that_discord_asks_for_is_kept_and_holds_up_no_card(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        await settled(app, studio)
        await app.storage.write(
            lambda tx: tx.key_values.set("commands.fingerprint", "of another release")
        )
    studio.sandbox.requests.clear()
    studio.sandbox.faults.rate_limit(SYNC, retry_after=7200, times=None)
    with capture_logs() as logs:
        async with start_bot(timings=quick()) as app:
            await app.bot.ready_once.wait()
            await takes_and_sends(app, studio, range(2))
    (refused,) = [line for line in logs if line["event"] == "commands.not_synced"]
    assert (refused["status"], refused["retry_in_s"]) == (429, 7200)
    assert len([r for r in studio.sandbox.requests if r.method == "PUT"]) == 1


async def test_a_slow_answer_to_the_commands_does_not_hold_up_logging_in(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        await settled(app, studio)
        await app.storage.write(
            lambda tx: tx.key_values.set("commands.fingerprint", "of another release")
        )
    studio.sandbox.faults.slow(SYNC, 1000.0, times=1)
    async with start_bot(timings=quick(first_sync_s=0.2)) as app:
        await app.bot.ready_once.wait()
        await takes_and_sends(app, studio, range(2))
