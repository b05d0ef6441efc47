"""Keeps the commands that Discord offers to people in step with those that the bot has."""

import asyncio
import hashlib
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import discord
import structlog
from discord import app_commands

from bot.discord_api.outcomes import DISCORD_ERRORS, error_text
from bot.errors import StorageUnavailable
from bot.timing import Backoff

log = structlog.get_logger()

COMMANDS_KEY: Final = "commands.fingerprint"
LoadValue: TypeAlias = Callable[[str], Awaitable[str | None]]
SaveValue: TypeAlias = Callable[[str, str], Awaitable[None]]
RETRY: Final = Backoff((60.0, 300.0, 900.0, 3600.0))


class CommandSync:
    """Registers the commands if they are not the ones registered last time.

    Cards need none of it: while Discord does not accept the commands, the rest continues.
    """

    def __init__(
        self,
        tree: app_commands.CommandTree[Any],
        load: LoadValue,
        save: SaveValue,
        retry: Backoff = RETRY,
    ) -> None:
        self._tree = tree
        self._load = load
        self._save = save
        self._retry = retry

    async def run(self) -> None:
        """Try until they are in step."""
        wait_s: float | None
        for tries in itertools.count():
            step_s = self._retry.delay_s(tries)
            try:
                wait_s = await self._sync(step_s)
            except StorageUnavailable as error:
                wait_s = step_s
                log.error("commands.database_unavailable", reason=error.reason, retry_in_s=wait_s)
            except Exception:  # the top: a fault of ours is no reason to stop trying
                wait_s = step_s
                log.exception("commands.failed", retry_in_s=wait_s)
            if wait_s is None:
                return
            await asyncio.sleep(wait_s)

    async def _sync(self, step_s: float) -> float | None:
        """None once they are in step; else for how long to wait."""
        payload = [command.to_dict(self._tree) for command in self._tree.get_commands()]
        application_id = self._tree.client.application_id
        fingerprint = _fingerprint({"application": application_id, "commands": payload})
        if await self._load(COMMANDS_KEY) == fingerprint:
            return None
        try:
            synced = await self._tree.sync()
        except DISCORD_ERRORS as error:
            return _report(error, step_s)
        await self._save(COMMANDS_KEY, fingerprint)
        log.info("commands.synced", count=len(synced))
        return None


def _report(error: Exception, step_s: float) -> float:
    """Say why it failed, with status and reason; gives how long to wait, by Discord's own word."""
    status: int | None = None
    reason, wait_s = error_text(error), step_s
    match error:
        case discord.RateLimited():
            status, wait_s = 429, error.retry_after
            reason = "Discord asked for a slower pace"
        case discord.HTTPException():
            status = error.status
    log.error(
        "commands.not_synced",
        status=status,
        reason=reason,
        retry_in_s=round(wait_s, 1),
        what_it_means="People see the commands of before, or none. Cards do not depend on it.",
    )
    return wait_s


def _fingerprint(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
