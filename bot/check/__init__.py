"""Tries everything that can be tried, side by side: one line each, ✔ or what to do."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Final

import aiohttp

from bot.check.asking import TIMEOUT_S
from bot.check.database import check_database
from bot.check.files import check_files
from bot.check.on_discord import check_discord
from bot.check.on_speckle import check_server, check_sign_in, check_speckle_token
from bot.check.rows import Mark, Row
from bot.check.way_in import check_public_url, check_shared_hook
from bot.config import Settings

USER_AGENT: Final = "DiscordBot (speckle-discord-bot, 0.1.0)"  # the form that Discord asks for

Say = Callable[[Row], None]
Rows = Coroutine[None, None, Sequence[Row]]


async def check_all(settings: Settings, say: Say, files: Sequence[Path] = ()) -> bool:
    """Try everything at once and say each row, in a fixed order, as soon as it is known.

    `files` are those that the settings came from. Returns whether nothing is wrong. Makes and
    changes no tables; one small write tries writing.
    """
    say(Row(Mark.GOOD, "Settings", "every value can be used."))
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
            for number, work in enumerate(_tries(settings, http))
        ]
        for one in tries:
            for row in await one:
                say(row)
                healthy = healthy and row.mark is not Mark.BAD
    return healthy


def _tries(settings: Settings, http: aiohttp.ClientSession) -> list[Rows]:
    return [
        check_database(settings),
        check_discord(settings, http),
        *(check_server(http, server) for server in settings.speckle_servers),
        check_speckle_token(settings, http),
        check_sign_in(settings, http),
        check_public_url(settings, http),
        check_shared_hook(settings),
    ]
