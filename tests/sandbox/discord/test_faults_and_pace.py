"""Faults that can be switched on, and rate limits that really pace."""

import time

import aiohttp
import discord
import pytest

from sandbox.discord import Sandbox, SandboxChannel
from sandbox.discord.rate_limits import LIMITS
from tests.sandbox.discord.conftest import Client

POST = "POST /channels/{channel_id}/messages"


async def test_a_failing_route_fails_as_often_as_it_was_told(
    sandbox: Sandbox, place: discord.PartialMessageable
) -> None:
    sandbox.faults.fail(POST, 503, times=2)
    for _ in range(2):
        with pytest.raises(discord.DiscordServerError):
            await place.send("hello")
    await place.send("hello")
    assert [one.status for one in sandbox.requests[-3:]] == [503, 503, 200]


async def test_a_fault_may_be_for_one_channel_and_with_a_code(
    sandbox: Sandbox, rest: Client, channel: SandboxChannel, place: discord.PartialMessageable
) -> None:
    assert channel.guild is not None
    other = channel.guild.add_channel("facade")
    sandbox.faults.fail(f"POST /channels/{channel.id}/messages", 403, times=None, code=50013)
    await rest.get_partial_messageable(other.id).send("not here")
    with pytest.raises(discord.Forbidden) as refused:
        await place.send("here")
    assert refused.value.code == 50013
    sandbox.faults.heal()
    await place.send("well again")


@pytest.mark.parametrize("after", [False, True])
async def test_a_connection_cut_before_or_after_the_effect(
    sandbox: Sandbox, channel: SandboxChannel, place: discord.PartialMessageable, after: bool
) -> None:
    (sandbox.faults.reset_after if after else sandbox.faults.reset_before)(POST)
    with pytest.raises(aiohttp.ClientError):
        await place.send("once", nonce="n1")
    assert len(sandbox.messages(channel)) == int(after)
    await place.send("once", nonce="n1")
    assert len(sandbox.messages(channel)) == 1


async def test_slow_answers_are_slow(sandbox: Sandbox, place: discord.PartialMessageable) -> None:
    sandbox.faults.slow(POST, 0.2, times=1)
    started = time.monotonic()
    await place.send("hello")
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize("global_", [False, True])
async def test_a_429_is_waited_for_and_without_via_it_is_a_ban(
    sandbox: Sandbox, place: discord.PartialMessageable, global_: bool
) -> None:
    sandbox.faults.rate_limit(POST, 0.2, global_=global_)
    started = time.monotonic()
    await place.send("hello")
    assert time.monotonic() - started >= 0.2
    sandbox.faults.rate_limit(POST, 0.2, via=False)
    with pytest.raises(discord.HTTPException) as banned:
        await place.send("hello")
    assert banned.value.status == 429


async def test_the_client_keeps_to_the_pace_that_headers_tell(
    sandbox: Sandbox, place: discord.PartialMessageable, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.pace.enabled = True
    monkeypatch.setitem(LIMITS, POST, (2, 0.5))
    started = time.monotonic()
    for number in range(5):
        await place.send(str(number))
    assert time.monotonic() - started >= 1.0
    assert {one.status for one in sandbox.requests} == {200}


async def test_the_sixth_message_within_five_seconds_is_too_fast(
    sandbox: Sandbox, channel: SandboxChannel, raw: aiohttp.ClientSession
) -> None:
    sandbox.pace.enabled = True
    url = f"{sandbox.api_url}/channels/{channel.id}/messages"
    for left in (4, 3, 2, 1, 0):
        async with raw.post(url, json={"content": "x"}) as answer:
            assert answer.headers["X-RateLimit-Remaining"] == str(left)
            assert answer.headers["X-RateLimit-Limit"] == "5"
            assert 0 < float(answer.headers["X-RateLimit-Reset-After"]) <= 5
    async with raw.post(url, json={"content": "x"}) as answer:
        assert answer.status == 429
        assert answer.headers["Via"]
        assert answer.headers["X-RateLimit-Scope"] == "user"
        assert 0 < (await answer.json())["retry_after"] <= 5


async def test_fifty_requests_a_second_are_all_there_is(
    sandbox: Sandbox, raw: aiohttp.ClientSession
) -> None:
    sandbox.pace.enabled = True
    statuses = []
    for number in range(51):
        path = f"/guilds/{number}" if number % 2 else f"/channels/{number}"
        async with raw.get(sandbox.api_url + path) as answer:
            statuses.append(answer.status)
            last = answer.headers
    assert statuses == [404] * 50 + [429]
    assert last["X-RateLimit-Global"] == "true"


async def test_without_the_token_nothing_is_answered(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession() as stranger:
        async with stranger.get(f"{sandbox.api_url}/users/@me") as answer:
            assert answer.status == 401
            assert await answer.json() == {"message": "401: Unauthorized", "code": 0}
        async with stranger.get(f"{sandbox.api_url}/gateway") as answer:
            assert (await answer.json())["url"] == sandbox.gateway_url


async def test_who_is_refused_too_often_is_banned(
    sandbox: Sandbox, channel: SandboxChannel, place: discord.PartialMessageable
) -> None:
    sandbox.pace.enabled, sandbox.pace.max_refused = True, 2
    assert channel.guild is not None
    channel.deny(channel.guild.bot, "send_messages")
    for status in (403, 403, 429):
        with pytest.raises(discord.HTTPException) as refused:
            await place.send("hello?")
        assert refused.value.status == status
    assert sandbox.pace.refused_count == 3
