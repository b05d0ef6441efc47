"""Each trouble begins and ends by its switch, and none ends another one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

import aiohttp

from sandbox.demo.stage import Stage
from sandbox.demo.troubles import Trouble, Troubles
from sandbox.discord import PermissionBits, Sandbox
from sandbox.speckle import SpeckleServer
from tests.sandbox.speckle.listener import Listener


@asynccontextmanager
async def a_stage() -> AsyncIterator[Stage]:
    """A Discord and a Speckle server, without the bot."""
    async with Sandbox.start() as discord, SpeckleServer.start() as server:
        guild = discord.add_guild("Studio Kestrel")
        guild.add_channel("structure")
        parts = SimpleNamespace(
            discord=discord, guild=guild, servers=(SimpleNamespace(server=server),)
        )
        yield cast("Stage", parts)


async def status_of(url: str) -> int:
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return answer.status


async def test_a_server_that_is_down_is_there_again_and_the_other_trouble_stays() -> None:
    async with a_stage() as stage:
        troubles = Troubles(stage)
        discord, speckle = f"{stage.discord.api_url}/gateway", stage.servers[0].server.url
        well = await status_of(discord), await status_of(speckle)
        troubles.switch_on(Trouble.DISCORD_DOWN)
        troubles.switch_on(Trouble.SPECKLE_DOWN)
        assert (await status_of(discord), await status_of(speckle)) == (503, 503)
        assert troubles.on == {Trouble.DISCORD_DOWN, Trouble.SPECKLE_DOWN}
        troubles.switch_off(Trouble.DISCORD_DOWN)
        assert (await status_of(discord), await status_of(speckle)) == (well[0], 503)
        troubles.switch_off(Trouble.SPECKLE_DOWN)
        assert (await status_of(discord), await status_of(speckle)) == well
        assert troubles.on == set()


async def test_a_socket_is_cut_where_the_server_is_down_and_waits_where_it_hangs() -> None:
    async with a_stage() as stage:
        server, troubles = stage.servers[0].server, Troubles(stage)
        token = server.token(server.add_user("Ilse Brandt"))
        async with Listener.connect(server.url, token) as listener:
            troubles.switch_on(Trouble.SPECKLE_HANGS)
            await listener.start("who", "{activeUser{id}}")
            await listener.quiet()
            assert listener.of("who") == []
            troubles.switch_off(Trouble.SPECKLE_HANGS)
            await listener.wait_for(4)
            troubles.switch_on(Trouble.SPECKLE_DOWN)
            assert await listener.closed() == 1006


async def test_rings_get_lost_and_sockets_are_refused_until_the_switch_is_off() -> None:
    async with a_stage() as stage:
        live, troubles = stage.servers[0].server.live, Troubles(stage)
        server = stage.servers[0].server
        token = server.token(server.add_user("Ilse Brandt"))
        async with Listener.connect(server.url, token) as listener:
            troubles.switch_on(Trouble.FRAMES_LOST)
            troubles.switch_on(Trouble.SPECKLE_DOWN)
            troubles.switch_off(Trouble.SPECKLE_DOWN)
            assert live.faults.loses()
            assert await listener.closed() == 1006
        troubles.switch_off(Trouble.FRAMES_LOST)
        assert not live.faults.loses()
        async with Listener.connect(server.url, token) as listener:
            troubles.switch_on(Trouble.SOCKETS_CUT)
            assert await listener.closed() == 1006
            assert live.faults.refuse
        troubles.switch_off(Trouble.SOCKETS_CUT)
        assert not live.faults.refuse


async def test_a_channel_and_a_permission_come_back_as_they_were() -> None:
    async with a_stage() as stage:
        troubles, guild = Troubles(stage), stage.guild
        (channel,) = guild.channels.values()
        send = PermissionBits.SEND_MESSAGES
        troubles.switch_on_in(Trouble.PERMISSION_TAKEN, channel)
        assert not guild.bot.may(send, channel)
        troubles.switch_on_in(Trouble.CHANNEL_DELETED, channel)
        assert channel.id not in guild.channels
        assert troubles.channels == dict.fromkeys(
            (Trouble.PERMISSION_TAKEN, Trouble.CHANNEL_DELETED), "structure"
        )
        troubles.switch_off(Trouble.CHANNEL_DELETED)
        troubles.switch_off(Trouble.PERMISSION_TAKEN)
        assert guild.channels == {channel.id: channel}
        assert guild.bot.may(send, channel)
        troubles.switch_off(Trouble.CHANNEL_DELETED)  # a second time changes nothing
        assert troubles.on == set()
