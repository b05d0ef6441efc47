"""Tries everything that can be tried, side by side: one line each, ✔ or what to do."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Final

import aiohttp

from bot.cli.check.database import check_database
from bot.cli.check.discord import check_discord
from bot.cli.check.file_modes import check_files
from bot.cli.check.http_probe import TIMEOUT_S
from bot.cli.check.metrics import check_metrics
from bot.cli.check.operator import check_operator
from bot.cli.check.public_url import check_live, check_public_url, check_shared_hook
from bot.cli.check.report import CheckMark, CheckResult
from bot.cli.check.speckle import (
    check_bundles,
    check_server,
    check_sign_in,
    check_speckle_token,
)
from bot.cli.lost_keys import how_to_make_one
from bot.settings import Settings
from bot.speckle_api.bundles import BundleReader

USER_AGENT: Final = "DiscordBot (speckle-discord-bot, 0.1.0)"  # the form that Discord asks for

Say = Callable[[CheckResult], None]
Rows = Coroutine[None, None, Sequence[CheckResult]]


async def check_all(settings: Settings, say: Say, files: Sequence[Path] = ()) -> bool:
    """Try everything at once and say each row, in a fixed order, as soon as it is known.

    `files` are those that the settings came from, .env first. Returns whether nothing is wrong.
    Makes and changes no tables; one small write tries writing.
    """
    say(CheckResult(CheckMark.GOOD, "Settings", "every value can be used."))
    for row in check_files(settings, files):
        say(row)
    healthy = True
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    headers = {"User-Agent": USER_AGENT}
    async with (
        aiohttp.ClientSession(
            timeout=timeout, headers=headers, connector=settings.network().connector()
        ) as http,
        asyncio.TaskGroup() as tasks,
    ):
        tries = [
            tasks.create_task(work, name=f"check-{number}")
            for number, work in enumerate(_tries(settings, http, files))
        ]
        for one in tries:
            for row in await one:
                say(row)
                healthy = healthy and row.mark is not CheckMark.BAD
    return healthy


def _tries(settings: Settings, http: aiohttp.ClientSession, files: Sequence[Path]) -> list[Rows]:
    return [
        check_database(settings, how_to_make_one(*files[:1])),
        check_discord(settings, http),
        *(check_server(http, server) for server in settings.speckle_servers),
        check_bundles(BundleReader()),
        check_speckle_token(settings, http),
        check_live(settings),
        check_sign_in(settings, http),
        check_public_url(settings, http),
        check_shared_hook(settings),
        check_operator(settings, http),
        check_metrics(settings, http),
    ]
