"""The gateway as discord.py sees it."""

import asyncio
import zlib
from typing import Any

import aiohttp
import discord
import pytest

from sandbox.discord import Sandbox, SandboxChannel, SandboxGuild
from tests.sandbox.discord.conftest import Client, Connect
from tests.waiting import until


async def test_ready_brings_the_guild_with_all_that_is_in_it(
    sandbox: Sandbox, guild: SandboxGuild, channel: SandboxChannel, connect: Connect
) -> None:
    kinds = {"news": "announcement", "talk": "voice", "group": "category", "ideas": "forum"}
    for name, kind in kinds.items():
        guild.add_channel(name, kind)
    guild.add_role("Structure team", "manage_messages")
    thread = channel.add_thread("Level 1")
    channel.add_thread("Long ago", archived=True)
    async with connect() as client:
        found = client.get_guild(guild.id)
        assert found is not None
        assert client.user is not None
        assert client.user.id == sandbox.bot_id
        assert found.me.id == sandbox.bot_id
        assert {one.name for one in found.channels} == {"structure", *kinds}
        assert isinstance(discord.utils.get(found.channels, name="ideas"), discord.ForumChannel)
        assert [one.id for one in found.threads] == [thread.id]
        assert "Structure team" in {one.name for one in found.roles}


async def test_a_wrong_token_is_refused_over_rest(sandbox: Sandbox) -> None:
    async with Client() as client:
        with pytest.raises(discord.LoginFailure):
            await client.login("not.the.token")


async def test_privileged_intents_are_refused(sandbox: Sandbox) -> None:
    async with Client(discord.Intents(guilds=True, members=True)) as client:
        await client.login(sandbox.token)
        with pytest.raises(discord.PrivilegedIntentsRequired):
            await client.connect()


async def next_payload(socket: aiohttp.ClientWebSocketResponse) -> Any:
    return (await socket.receive(timeout=5)).json()


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"op": 2, "d": {"token": "wrong", "intents": 1}}, 4004),
        ({"op": 2, "d": {"token": "TOKEN", "intents": 1, "shard": [2, 2]}}, 4010),
        ({"op": 3, "d": {}}, 4003),
        ({"op": 42, "d": {}}, 4001),
        ({"d": {}}, 4002),
    ],
)
async def test_what_a_client_may_not_say_closes_the_connection(
    sandbox: Sandbox, raw: aiohttp.ClientSession, payload: dict[str, Any], code: int
) -> None:
    if payload["d"].get("token") == "TOKEN":
        payload["d"]["token"] = sandbox.token
    async with raw.ws_connect(sandbox.gateway_url) as socket:
        assert (await next_payload(socket))["op"] == 10
        await socket.send_json(payload)
        while not socket.closed:
            await socket.receive(timeout=5)
        assert socket.close_code == code


async def test_frames_are_one_zlib_stream_where_the_client_asks_for_it(
    sandbox: Sandbox, raw: aiohttp.ClientSession
) -> None:
    async with raw.ws_connect(f"{sandbox.gateway_url}?compress=zlib-stream") as socket:
        frame = (await socket.receive(timeout=5)).data
    assert frame.endswith(b"\x00\x00\xff\xff")
    assert b'"op":10' in zlib.decompressobj().decompress(frame)


async def test_a_shard_hears_of_its_own_guilds_alone(
    sandbox: Sandbox, raw: aiohttp.ClientSession
) -> None:
    guilds = [sandbox.add_guild(f"Studio {n}", id=(1000 + n) << 22) for n in range(4)]
    async with raw.ws_connect(sandbox.gateway_url) as socket:
        await next_payload(socket)
        identify = {"token": sandbox.token, "intents": 1, "shard": [1, 2]}
        await socket.send_json({"op": 2, "d": identify})
        ready = await next_payload(socket)
    mine = {str(one.id) for one in guilds if (one.id >> 22) % 2 == 1}
    assert {one["id"] for one in ready["d"]["guilds"]} == mine


async def test_what_changes_in_a_guild_is_told_at_once(
    guild: SandboxGuild, channel: SandboxChannel, connect: Connect
) -> None:
    async with connect() as client:
        found = client.get_guild(guild.id)
        assert found is not None
        facade = guild.add_channel("facade")
        await until(lambda: found.get_channel(facade.id) is not None)
        facade.rename("façade")
        await until(lambda: str(found.get_channel(facade.id)) == "façade")
        thread = facade.add_thread("Level 1")
        await until(lambda: found.get_thread(thread.id) is not None)
        facade.delete()
        await until(lambda: found.get_channel(facade.id) is None)
        mine = found.get_channel(channel.id)
        assert mine is not None
        assert mine.permissions_for(found.me).send_messages
        channel.deny(guild.bot, "send_messages")
        await until(lambda: not mine.permissions_for(found.me).send_messages)
        channel.clear_overwrites()
        guild.set_bot_permissions("view_channel", everyone="view_channel")
        await until(lambda: not mine.permissions_for(found.me).send_messages)
        guild.bot.add_role(guild.add_role("Writers", "send_messages"))
        await until(lambda: mine.permissions_for(found.me).send_messages)


async def test_leaving_and_joining_a_guild_are_told(
    sandbox: Sandbox, guild: SandboxGuild, connect: Connect
) -> None:
    client = Client()
    said: list[str] = []

    @client.event
    async def on_guild_remove(_: discord.Guild) -> None:
        said.append("removed")

    @client.event
    async def on_guild_join(_: discord.Guild) -> None:
        said.append("joined")

    async with connect(client):
        sandbox.remove_guild(guild)
        await until(lambda: said == ["removed"])
        assert sandbox.add_guild("Studio Kestrel", guild.id) is guild
        await until(lambda: said == ["removed", "joined"])


@pytest.mark.parametrize("how", ["drop", "op7", "close"])
async def test_a_lost_connection_is_resumed_and_nothing_is_missed(
    sandbox: Sandbox, guild: SandboxGuild, connect: Connect, how: str
) -> None:
    async with connect() as client:
        match how:
            case "drop":
                sandbox.faults.drop_gateway()
            case "op7":
                sandbox.faults.op7()
            case _:
                sandbox.faults.close(4000)
        missed = guild.add_channel("made-meanwhile")
        async with asyncio.timeout(8):
            await client.resumed.wait()
        assert client.get_channel(missed.id) is not None
        assert sandbox.gateway.identifies == 1
        assert sandbox.gateway.resumes == 1


async def test_an_invalid_session_is_identified_anew(sandbox: Sandbox, connect: Connect) -> None:
    async with connect():
        sandbox.faults.invalidate_session()
        await until(lambda: sandbox.gateway.identifies == 2)
        await until(lambda: sandbox.gateway.connected)


async def test_an_unknown_session_cannot_be_resumed(
    sandbox: Sandbox, raw: aiohttp.ClientSession
) -> None:
    async with raw.ws_connect(sandbox.gateway_url) as socket:
        await next_payload(socket)
        resume = {"token": sandbox.token, "session_id": "gone", "seq": 3}
        await socket.send_json({"op": 6, "d": resume})
        assert await next_payload(socket) == {"op": 9, "d": False}


async def test_heartbeats_are_answered_until_the_gateway_falls_silent(
    sandbox: Sandbox, connect: Connect
) -> None:
    async with connect() as client:
        await until(lambda: sandbox.gateway.heartbeats >= 3)
        assert client.latency < 1
        sandbox.faults.silence_gateway()
        beats = sandbox.gateway.heartbeats
        await until(lambda: sandbox.gateway.heartbeats > beats)
        sandbox.faults.heal()


async def test_a_gateway_that_lets_nobody_in_answers_503(
    sandbox: Sandbox, raw: aiohttp.ClientSession
) -> None:
    sandbox.faults.refuse_gateway()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await raw.ws_connect(sandbox.gateway_url)
    assert refused.value.status == 503
