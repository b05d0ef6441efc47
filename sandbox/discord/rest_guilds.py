"""Guilds, their members and roles."""

from sandbox.discord import wire
from sandbox.discord.refusals import UNKNOWN_MEMBER
from sandbox.discord.rest import Call, RestResponse, Route


async def guild(call: Call) -> RestResponse:
    """GET /guilds/{guild_id}."""
    found = call.world.guild(call.id("guild_id"))
    count = len(found.members)
    return RestResponse(wire.guild(found) | {"approximate_member_count": count})


async def channels(call: Call) -> RestResponse:
    """GET /guilds/{guild_id}/channels."""
    found = call.world.guild(call.id("guild_id"))
    return RestResponse([wire.channel(one) for one in found.channels.values() if not one.is_thread])


async def active_threads(call: Call) -> RestResponse:
    """GET /guilds/{guild_id}/threads/active."""
    found = call.world.guild(call.id("guild_id"))
    threads = [
        wire.channel(one) for one in found.channels.values()
        if one.is_thread and not one.archived and found.bot.sees(one)
    ]  # fmt: skip
    return RestResponse({"threads": threads, "members": []})


async def roles(call: Call) -> RestResponse:
    """GET /guilds/{guild_id}/roles."""
    found = call.world.guild(call.id("guild_id"))
    return RestResponse([wire.role(one) for one in found.roles.values()])


async def member(call: Call) -> RestResponse:
    """GET /guilds/{guild_id}/members/{user_id}; `@me` is the bot."""
    found = call.world.guild(call.id("guild_id"))
    mine = call.params["user_id"] == "@me"
    someone = found.bot if mine else found.members.get(call.id("user_id"))
    if someone is None:
        raise UNKNOWN_MEMBER
    return RestResponse(wire.member(someone))


async def leave(call: Call) -> RestResponse:
    """DELETE /users/@me/guilds/{guild_id}."""
    call.world.dismiss(call.world.guild(call.id("guild_id")))
    return RestResponse()


ROUTES = (
    Route("GET", "/guilds/{guild_id}", guild),
    Route("GET", "/guilds/{guild_id}/channels", channels),
    Route("GET", "/guilds/{guild_id}/threads/active", active_threads),
    Route("GET", "/guilds/{guild_id}/roles", roles),
    Route("GET", "/guilds/{guild_id}/members/{user_id}", member),
    Route("DELETE", "/users/@me/guilds/{guild_id}", leave),
)
