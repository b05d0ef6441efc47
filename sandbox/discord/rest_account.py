"""Who the bot is and where the gateway is: /gateway, /users, /applications."""

from sandbox.discord import wire
from sandbox.discord.json_types import JSON
from sandbox.discord.permissions import INVITED_BOT
from sandbox.discord.refusals import UNKNOWN_APPLICATION, UNKNOWN_USER
from sandbox.discord.rest import Call, RestResponse, Route


async def gateway(call: Call) -> RestResponse:
    """GET /gateway."""
    return RestResponse({"url": call.gateway.url})


async def gateway_bot(call: Call) -> RestResponse:
    """GET /gateway/bot."""
    limit = call.gateway.session_start_limit()
    return RestResponse({"url": call.gateway.url, "shards": 1, "session_start_limit": limit})


async def me(call: Call) -> RestResponse:
    """GET /users/@me."""
    return RestResponse(
        wire.user(call.world.bot) | {"verified": True, "mfa_enabled": False, "flags": 0}
    )


async def user(call: Call) -> RestResponse:
    """GET /users/{user_id}."""
    found = call.world.directory.users.get(call.id("user_id"))
    if found is None:
        raise UNKNOWN_USER
    return RestResponse(wire.user(found))


async def my_guilds(call: Call) -> RestResponse:
    """GET /users/@me/guilds."""
    low, high = call.place("after") or 0, call.place("before") or 1 << 63
    inside = [guild for guild in call.world.guilds.values() if guild.bot_inside]
    guilds = sorted((one for one in inside if low < one.id < high), key=lambda one: one.id)
    listed: list[JSON] = [
        {"id": str(guild.id), "name": guild.name, "icon": None, "owner": False,
         "permissions": str(guild.bot.permissions()), "features": []}
        for guild in guilds[: call.limit(200, 200)]
    ]  # fmt: skip
    return RestResponse(listed)


async def private_channel(call: Call) -> RestResponse:
    """POST /users/@me/channels."""
    user_id = str(call.body.get("recipient_id", ""))
    channel = call.world.private_channel(int(user_id) if user_id.isdecimal() else 0)
    return RestResponse(wire.channel(channel))


async def my_application(call: Call) -> RestResponse:
    """GET /oauth2/applications/@me and /applications/@me."""
    return RestResponse(_application(call))


async def application(call: Call) -> RestResponse:
    """GET /applications/{application_id}."""
    if call.id("application_id") != call.world.application_id:
        raise UNKNOWN_APPLICATION
    return RestResponse(_application(call))


def _application(call: Call) -> JSON:
    return {
        "id": str(call.world.application_id),
        "name": call.world.bot.name,
        "icon": None,
        "description": "",
        "bot_public": True,
        "bot_require_code_grant": False,
        "verify_key": "0" * 64,
        "owner": {"id": "1", "username": "host", "discriminator": "0", "avatar": None},
        "team": None,
        "flags": 0,
        "approximate_guild_count": sum(g.bot_inside for g in call.world.guilds.values()),
        "install_params": {
            "scopes": ["bot", "applications.commands"], "permissions": str(INVITED_BOT),
        },
    }  # fmt: skip


ROUTES = (
    Route("GET", "/gateway", gateway, open=True),
    Route("GET", "/gateway/bot", gateway_bot),
    Route("GET", "/users/@me", me),
    Route("GET", "/users/@me/guilds", my_guilds),
    Route("POST", "/users/@me/channels", private_channel),
    Route("GET", "/users/{user_id}", user),
    Route("GET", "/oauth2/applications/@me", my_application),
    Route("GET", "/applications/@me", my_application),
    Route("GET", "/applications/{application_id}", application),
)
