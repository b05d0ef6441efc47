"""Discord: the token, the link that invites the bot, the gateway."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode, urlsplit

import aiohttp

from bot.cards.text import counted
from bot.cli.check.http_probe import ProbeResponse, get, where_to_look, why_failed
from bot.cli.check.report import CheckMark, CheckResult, printable
from bot.settings import SECRET_HINTS, Settings

DISCORD_API: Final = "https://discord.com/api/v10"
# View Channel, Send Messages, Embed Links, Attach Files, Read Message History, Create Public
# Threads, Send Messages in Threads.
PERMISSIONS: Final = 309237763072
GUILDS_A_PAGE: Final = 200  # the most that GET /users/@me/guilds gives at once
GATEWAY_ROOM: Final = 10  # session starts left from which on a host should know


async def check_discord(settings: Settings, http: aiohttp.ClientSession) -> Sequence[CheckResult]:
    """Whether the token works, how the bot is invited, and whether the gateway lets it in."""
    token = settings.discord_token
    if token is None:
        hint = SECRET_HINTS["discord_token"]
        return [CheckResult(CheckMark.BAD, "Discord token", f"DISCORD_TOKEN is not set. {hint}")]
    api = settings.discord_api_url or DISCORD_API
    headers = {"Authorization": f"Bot {token.get_secret_value()}"}
    try:
        # Alone at first: Discord counts refused requests, and bans an address for too many.
        me = await get(http, f"{api}/users/@me", headers)
        if me.status != 200 or not isinstance(me.at("username"), str):
            return [_token_row(me)]
        app = await get(http, f"{api}/oauth2/applications/@me", headers)
        guilds = await get(http, f"{api}/users/@me/guilds?limit={GUILDS_A_PAGE}", headers)
        gateway = await get(http, f"{api}/gateway/bot", headers)
    except (aiohttp.ClientError, TimeoutError) as error:
        host = urlsplit(api).netloc
        look = where_to_look(error, "the network")
        text = f"{host} cannot be reached: {why_failed(error)}. {look}"
        return [CheckResult(CheckMark.BAD, "Discord token", text)]
    text = f"it is {printable(me.at('username'))}, {_guild_count(guilds)}."
    return [
        CheckResult(CheckMark.GOOD, "Discord token", text),
        *_invite_rows(app),
        _gateway_row(gateway),
    ]


def _token_row(me: ProbeResponse) -> CheckResult:
    match me.status:
        case 401:
            text = (
                "Discord does not accept DISCORD_TOKEN; it was reset, or belongs to something "
                f"else. {SECRET_HINTS['discord_token']}"
            )
        case 403 | 429:
            text = f"Discord refuses this computer for now (HTTP {me.status}). Wait an hour."
        case _:
            text = f"Discord answers HTTP {me.status}. Look at https://discordstatus.com"
    return CheckResult(CheckMark.BAD, "Discord token", text)


def _guild_count(guilds: ProbeResponse) -> str:
    if guilds.status != 200 or not isinstance(guilds.data, list):
        return "the number of its servers could not be read"
    count = len(guilds.data)
    if not count:
        return "in no server yet: open the invite link"
    return f"in {'at least ' * (count == GUILDS_A_PAGE)}{counted(count, 'server')}"


def _invite_rows(app: ProbeResponse) -> Sequence[CheckResult]:
    if app.status != 200 or app.at("id") is None:
        return [
            CheckResult(
                CheckMark.BAD, "Invite link", f"Discord answers HTTP {app.status}. Try again."
            )
        ]
    asked = {
        "client_id": app.at("id"),
        "permissions": PERMISSIONS,
        "scope": "bot applications.commands",
    }
    link = f"https://discord.com/oauth2/authorize?{urlencode(asked)}"
    if app.at("bot_require_code_grant"):
        text = "it cannot work while Requires OAuth2 Code Grant is on. Switch that off on Bot."
        return [CheckResult(CheckMark.BAD, "Invite link", text)]
    whom = "" if app.at("bot_public") else " (only you can use it: the bot is not public)"
    return [CheckResult(CheckMark.GOOD, "Invite link", link + whom)]


def _gateway_row(gateway: ProbeResponse) -> CheckResult:
    if gateway.status != 200 or not isinstance(gateway.at("url"), str):
        text = f"GET /gateway/bot answers HTTP {gateway.status}. Try again later."
        return CheckResult(CheckMark.BAD, "Discord gateway", text)
    left = gateway.at("session_start_limit", "remaining")
    if not isinstance(left, int):
        return CheckResult(CheckMark.GOOD, "Discord gateway", "lets the bot in.")
    if left < 1:
        text = "no session starts left today. Find out why the bot restarts so often; wait a day."
        return CheckResult(CheckMark.BAD, "Discord gateway", text)
    text = f"lets the bot in, {counted(left, 'session start')} left today."
    if left <= GATEWAY_ROOM:
        text += " That is few: find out why the bot restarts so often."
    return CheckResult(CheckMark.GOOD, "Discord gateway", text)
