"""Where the bot notifies the person who runs it: whether it may post in the channel, and how."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from bot.cli.check.discord import DISCORD_API
from bot.cli.check.http_probe import ProbeResponse, get, why_failed
from bot.cli.check.report import CheckMark, CheckResult, printable
from bot.settings import Settings

WHAT: Final = "Operator's notices"
TEXT_KINDS: Final = frozenset({0, 2, 5, 13})  # text, voice, announcement, stage
THREAD_KINDS: Final = frozenset({10, 11, 12})
# https://discord.com/developers/docs/topics/permissions#permissions-bitwise-permission-flags
ADMINISTRATOR: Final = 1 << 3
NAMES: Final[Mapping[int, str]] = {
    1 << 10: "View Channel",
    1 << 11: "Send Messages",
    1 << 38: "Send Messages in Threads",
}


async def check_operator(settings: Settings, http: aiohttp.ClientSession) -> Sequence[CheckResult]:
    """Whether somebody is notified of trouble, and whether that works; nothing is posted."""
    rows = []
    if settings.operator.channel:
        rows.append(await _channel_row(settings, http))
    if settings.operator_webhook_url is not None:
        rows.append(_webhook_row(settings.operator_webhook_url.get_secret_value()))
    if rows:
        return rows
    text = (
        "off: what is wrong is in the log alone. Set `channel` in [operator] of config.toml, or "
        "OPERATOR_WEBHOOK_URL in .env, and the bot says it there too."
    )
    return [CheckResult(CheckMark.SKIPPED, WHAT, text)]


def _webhook_row(url: str) -> CheckResult:
    host = printable(urlsplit(url).hostname or "")
    text = f"go to a webhook at {host}; not tried, as that would post something there."
    return CheckResult(CheckMark.GOOD, WHAT, text)


async def _channel_row(settings: Settings, http: aiohttp.ClientSession) -> CheckResult:
    if settings.discord_token is None:
        return CheckResult(CheckMark.SKIPPED, WHAT, "not tried, DISCORD_TOKEN is not set.")
    api = settings.discord_api_url or DISCORD_API
    headers = {"Authorization": f"Bot {settings.discord_token.get_secret_value()}"}

    async def ask(path: str) -> ProbeResponse:
        return await get(http, f"{api}{path}", headers)

    try:
        channel = await ask(f"/channels/{settings.operator.channel}")
        if channel.status == 401:
            text = "not tried, as Discord does not accept DISCORD_TOKEN."
            return CheckResult(CheckMark.SKIPPED, WHAT, text)
        if channel.status != 200:
            return _unseen(settings.operator.channel, channel.status)
        if channel.at("type") not in TEXT_KINDS | THREAD_KINDS:
            text = "the channel takes no messages of its own. Choose a text channel or a thread."
            return CheckResult(CheckMark.BAD, WHAT, text)
        in_thread = channel.at("type") in THREAD_KINDS
        place = await ask(f"/channels/{channel.at('parent_id')}") if in_thread else channel
        me = await ask("/users/@me")
        member = await ask(f"/guilds/{channel.at('guild_id')}/members/{me.at('id')}")
        roles = await ask(f"/guilds/{channel.at('guild_id')}/roles")
    except (aiohttp.ClientError, TimeoutError) as error:
        text = f"not tried: Discord cannot be reached: {why_failed(error)}."
        return CheckResult(CheckMark.SKIPPED, WHAT, text)
    mine = {str(channel.at("guild_id")), str(me.at("id")), *map(str, member.at("roles") or ())}
    lacks = _lacks(_permissions(mine, roles.data, place.data), in_thread=in_thread)
    return _channel_found(printable(str(channel.at("name"))), lacks)


def _unseen(channel_id: int, status: int) -> CheckResult:
    text = (
        f"the bot does not see channel {channel_id} (HTTP {status}). Invite it to that server and "
        "let it view the channel, or correct `channel` in [operator] of config.toml."
    )
    return CheckResult(CheckMark.BAD, WHAT, text)


def _channel_found(name: str, lacks: Sequence[str]) -> CheckResult:
    if lacks:
        text = f"the bot lacks {', '.join(lacks)} in #{name}. Allow it in the channel's settings."
        return CheckResult(CheckMark.BAD, WHAT, text)
    return CheckResult(CheckMark.GOOD, WHAT, f"go to #{name}, where the bot may post.")


def _permissions(mine: Collection[str], roles: Any, place: Any) -> int:
    """What the bot may do in a channel; `mine` are the ids of the server, the bot and its roles.

    https://discord.com/developers/docs/topics/permissions#permission-overwrites
    """
    try:
        base = 0
        for role in roles:
            base |= int(role["permissions"]) if str(role["id"]) in mine else 0
        if base & ADMINISTRATOR:
            return -1
        for kinds in _overwrites(mine, place):
            denied = allowed = 0
            for one in kinds:
                denied, allowed = denied | int(one["deny"]), allowed | int(one["allow"])
            base = base & ~denied | allowed
    except (KeyError, TypeError, ValueError):
        return 0  # no answer of Discord's
    return base


def _overwrites(mine: Collection[str], place: Any) -> Sequence[Sequence[Any]]:
    """In Discord's order: of everyone, of roles together, of the bot itself."""
    own = [one for one in place["permission_overwrites"] if str(one["id"]) in mine]
    everyone = [one for one in own if str(one["id"]) == str(place["guild_id"])]
    roles = [one for one in own if one["type"] == 0 and one not in everyone]
    return everyone, roles, [one for one in own if one["type"] == 1]


def _lacks(permissions: int, *, in_thread: bool) -> Sequence[str]:
    needed = [1 << 10, 1 << 38 if in_thread else 1 << 11]
    return [NAMES[bit] for bit in needed if not permissions & bit]
