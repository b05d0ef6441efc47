"""What each of Discord's error codes leads to: the whole table, through real sockets."""

from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime
from pathlib import Path

import discord
import pytest

from bot.cards.card import Card
from bot.discord_api.client import MAX_RATELIMIT_WAIT_S, use_api
from bot.discord_api.error_codes import CODES, Meaning, meaning_of
from bot.discord_api.outcomes import (
    BotUnavailable,
    ChannelUnavailable,
    Fault,
    Outcome,
    Rejected,
    RetryLater,
    Sent,
    error_text,
    outcome_of,
)
from bot.discord_api.rate_limits import RateLimiter
from bot.discord_api.send import edit, send
from bot.problems import SendProblem, SendReason
from bot.speckle.events import EventKind
from bot.work import (
    Batch,
    BatchState,
    FallbackLevel,
)
from sandbox.discord import Sandbox, SandboxChannel

DOCUMENTED = Path(__file__).parent.parent / "fixtures" / "discord" / "codes.tsv"
NOW = datetime.now(UTC)
CARD = Card(
    kind=EventKind.UNKNOWN,
    title="a card",
    url=None,
    description="",
    colour=0,
    author_name=None,
    author_icon=None,
    author_url=None,
    fields=(),
    footer="",
    timestamp=NOW,
)
POST = "POST /channels/{channel_id}/messages"
PATCH = "PATCH /channels/{channel_id}/messages/{message_id}"
# What speaks of this message or channel, and nothing else, may end anything.
ENDS: dict[Meaning, type[Outcome]] = {
    Meaning.CARD: Rejected,
    Meaning.CHANNEL_GONE: ChannelUnavailable,
    Meaning.NO_PERMISSION: ChannelUnavailable,
    Meaning.THREAD_CLOSED: ChannelUnavailable,
    Meaning.TOKEN: BotUnavailable,
}
PAGE = "<html><title>Attention Required! | Cloudflare</title></html>"


def documented() -> dict[int, str]:
    if not DOCUMENTED.is_file():
        pytest.skip("the list of Discord's documented codes is not there")
    lines = DOCUMENTED.read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    assert len(rows) == 262
    return {int(code): name for code, name in rows}


@pytest.fixture
async def sandbox(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    monkeypatch.setattr(discord.http.Route, "BASE", discord.http.Route.BASE)
    async with Sandbox.start(pace=False) as running:
        yield running


@pytest.fixture
def channel(sandbox: Sandbox) -> SandboxChannel:
    return sandbox.add_guild("Studio Kestrel").add_channel("structure")


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[discord.Client]:
    use_api(sandbox.api_url)
    async with discord.Client(
        intents=discord.Intents.none(),
        http_trace=RateLimiter(1000).tracing(),
        max_ratelimit_timeout=MAX_RATELIMIT_WAIT_S,
    ) as logged_in:
        await logged_in.login(sandbox.token)
        yield logged_in


async def none_taken(_channel_id: int, _message_ids: Collection[int]) -> Collection[int]:
    return ()


async def sent(client: discord.Client, channel: SandboxChannel) -> Outcome:
    batch = Batch(1, channel.id, "a nonce", datetime.now(UTC), BatchState.OPEN)
    return await send(client, batch, [CARD], FallbackLevel.FULL, taken=none_taken)


def test_every_documented_code_is_in_the_table_and_no_other() -> None:
    assert set(CODES) == set(documented())


def test_a_code_that_nobody_listed_speaks_of_nothing_here() -> None:
    assert meaning_of(999_999) is Meaning.OTHER
    assert meaning_of("10003") is Meaning.OTHER
    assert meaning_of(None) is Meaning.OTHER


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_only_codes_that_speak_of_the_message_or_the_channel_end_anything(
    sandbox: Sandbox, client: discord.Client, channel: SandboxChannel, status: int
) -> None:
    for code, name in (documented() | {999_999: "not documented"}).items():
        sandbox.faults.fail(POST, status, code=code, message=name)
        outcome = await sent(client, channel)
        assert type(outcome) is ENDS.get(meaning_of(code), RetryLater), (code, name, outcome)


async def test_a_refusal_that_speaks_of_neither_is_named_so_that_others_can_be_compared(
    sandbox: Sandbox, client: discord.Client, channel: SandboxChannel
) -> None:
    for status, code in ((403, 40006), (403, 40002), (400, 130000), (404, 0), (400, 999_999)):
        sandbox.faults.fail(POST, status, code=code)
        outcome = await sent(client, channel)
        assert isinstance(outcome, RetryLater)
        assert outcome.refusal == f"{status} {code}"
    for code in (20016, 20028):  # these speak of how often something is done here
        sandbox.faults.fail(POST, 400, code=code)
        outcome = await sent(client, channel)
        assert isinstance(outcome, RetryLater)
        assert outcome.refusal is None


@pytest.mark.parametrize("page", [PAGE, ""])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502, 503, 520])
async def test_a_page_in_place_of_discords_answer_ends_nothing(
    sandbox: Sandbox, client: discord.Client, channel: SandboxChannel, status: int, page: str
) -> None:
    sandbox.faults.fail(POST, status, page=page)
    assert isinstance(await sent(client, channel), RetryLater)
    assert isinstance(await sent(client, channel), Sent)


async def test_a_page_that_calls_the_message_too_large_speaks_of_the_message(
    sandbox: Sandbox, client: discord.Client, channel: SandboxChannel
) -> None:
    sandbox.faults.fail(POST, 413, page=PAGE)
    assert isinstance(await sent(client, channel), Rejected)


@pytest.mark.parametrize("page", [PAGE, ""])
async def test_a_good_status_with_an_answer_that_is_not_discords_is_tried_again(
    sandbox: Sandbox, client: discord.Client, channel: SandboxChannel, page: str
) -> None:
    sandbox.faults.fail(POST, 200, page=page)
    assert isinstance(await sent(client, channel), RetryLater)


async def test_an_unthinkable_error_body_is_tried_again(
    sandbox: Sandbox, client: discord.Client, channel: SandboxChannel
) -> None:
    sandbox.faults.fail(POST, 403, code="40006", message="a code as text")  # type: ignore[arg-type]  # as it may come
    assert isinstance(await sent(client, channel), RetryLater)
    sandbox.faults.fail(POST, 403, code=50013, message=None)  # type: ignore[arg-type]  # as it may come
    assert isinstance(await sent(client, channel), RetryLater | ChannelUnavailable)


async def test_a_void_token_is_told_by_its_status_and_by_its_codes(
    sandbox: Sandbox, client: discord.Client, channel: SandboxChannel
) -> None:
    for status, code in ((401, 0), (401, 40001), (403, 50014)):
        sandbox.faults.fail(POST, status, code=code)
        assert isinstance(await sent(client, channel), BotUnavailable)
    sandbox.faults.fail(POST, 401, code=50027)  # of an interaction, whatever it does here
    assert isinstance(await sent(client, channel), RetryLater)


async def test_an_edit_is_given_up_by_what_speaks_of_its_message(
    sandbox: Sandbox, client: discord.Client, channel: SandboxChannel
) -> None:
    there = await sent(client, channel)
    assert isinstance(there, Sent)
    for code, name in documented().items():
        sandbox.faults.fail(PATCH, 403, code=code, message=name)
        outcome = await edit(client, channel.id, there.message_id, [CARD], FallbackLevel.FULL)
        ends = ENDS | {Meaning.MESSAGE: Rejected}
        assert type(outcome) is ends.get(meaning_of(code), RetryLater), (code, name, outcome)


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (None, "Discord answered 403 (50001): Missing Access"),
        (PAGE, "Discord answered 403"),
    ],
)
async def test_an_answer_reads_as_one_line_without_a_proxys_page(
    sandbox: Sandbox, client: discord.Client, page: str | None, text: str
) -> None:
    route = "POST /users/@me/channels"
    if page is None:
        sandbox.faults.fail(route, 403, code=50001, message="Missing\n Access")
    else:
        sandbox.faults.fail(route, 403, page=page)
    with pytest.raises(discord.HTTPException) as refused:
        await client.create_dm(discord.Object(1))
    assert error_text(refused.value) == text


def test_no_answer_reads_as_the_kind_of_error_without_what_it_says() -> None:
    assert error_text(OSError("at 10.0.0.5")) == "OSError"


async def test_a_direct_message_is_given_up_by_what_speaks_of_the_person(
    sandbox: Sandbox, client: discord.Client
) -> None:
    for code in (50007, 50278, 10013):
        sandbox.faults.fail("POST /users/@me/channels", 403, code=code)
        with pytest.raises(discord.HTTPException) as refused:
            await client.create_dm(discord.Object(1))
        assert isinstance(outcome_of(refused.value), RetryLater)
        assert isinstance(outcome_of(refused.value, {Meaning.PERSON}), Rejected)


async def test_an_archived_thread_that_cannot_be_opened_just_now_is_not_closed(
    sandbox: Sandbox, client: discord.Client, channel: SandboxChannel
) -> None:
    thread = channel.add_thread("level 1", archived=True)
    archived = f"POST /channels/{thread.id}/messages"
    sandbox.faults.fail(archived, 400, times=None, code=50083)
    for status, code in ((503, 0), (403, 40006)):
        sandbox.faults.fail(f"PATCH /channels/{thread.id}", status, code=code)
        assert isinstance(await sent(client, thread), RetryLater)
    sandbox.faults.fail(f"PATCH /channels/{thread.id}", 403, code=50013)
    assert await sent(client, thread) == ChannelUnavailable(
        Fault.THREAD_CLOSED,
        SendReason(
            SendProblem.REFUSED, {"status": 400, "code": 50083, "said": "400: made to fail"}
        ),
    )
