"""`check` says whether the person who runs the bot would be notified of trouble."""

from typing import Any, Final

import aiohttp

from bot.cli.check.operator import check_operator
from bot.cli.check.report import CheckMark, CheckResult
from bot.settings import Settings
from sandbox.discord import Sandbox

SECRET: Final = "9c1f7e55aaQ81kdMw2"  # an invented one


async def row_of(**settings: Any) -> CheckResult:
    async with aiohttp.ClientSession() as http:
        (row,) = await check_operator(Settings.model_validate(settings), http)
    return row


async def test_nobody_is_notified_where_nothing_is_set() -> None:
    row = await row_of()
    assert row.mark is CheckMark.SKIPPED
    assert "OPERATOR_WEBHOOK_URL" in row.text


async def test_a_webhook_is_named_by_its_host_alone() -> None:
    row = await row_of(operator_webhook_url=f"https://hooks.example.org/services/{SECRET}")
    assert row.mark is CheckMark.GOOD
    assert "hooks.example.org" in row.text
    assert SECRET not in str(row)


async def test_the_channel_and_the_bots_permissions_there_are_looked_at() -> None:
    async with Sandbox.start(pace=False) as sandbox:
        guild = sandbox.add_guild("Studio Kestrel")
        ops = guild.add_channel("ops")

        async def of(channel_id: int) -> str:
            row = await row_of(
                discord_token=sandbox.token,
                discord_api_url=sandbox.api_url,
                operator={"channel": channel_id},
            )
            return str(row)

        assert await of(ops.id) == "✔ Operator's notices: go to #ops, where the bot may post."
        ops.deny(None, "send_messages")
        assert "lacks Send Messages in #ops. Allow it" in await of(ops.id)
        ops.allow(guild.bot, "send_messages")
        assert "✔" in await of(ops.id)
        assert "✘ Operator's notices: the bot does not see channel 12 (HTTP 404)" in await of(12)
        assert "takes no messages" in await of(guild.add_channel("all", "category").id)
        sandbox.faults.fail("GET /channels/{channel_id}", 401)
        assert "– Operator's notices: not tried" in await of(ops.id)
        sandbox.faults.heal()
        sandbox.faults.fail("GET /guilds/{guild_id}/roles", 500)
        assert "✘" in await of(ops.id)
