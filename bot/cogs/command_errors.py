"""Has the caller of a command or button answered where it failed."""

import logging
from typing import Any

import discord
import structlog
from discord import app_commands

from bot.cogs.failure_texts import FAULT, failure_text
from bot.cogs.responses import is_expired, say, say_expired
from bot.discord_api.outcomes import error_text
from bot.errors import SpeckleError

log = structlog.get_logger()


def handle_errors(tree: app_commands.CommandTree[Any]) -> None:
    """Have every command that fails answered."""
    tree.error(answer_error)
    logging.getLogger("discord.app_commands.tree").addFilter(quiet_if_expired)


async def answer_error(interaction: discord.Interaction[Any], error: Exception) -> None:
    """Say to the caller, and nobody else, what went wrong and what to do."""
    cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
    if is_expired(cause):
        say_expired(interaction, cause)
        return
    if isinstance(cause, SpeckleError):
        log.warning("command.speckle_failed", command=_name(interaction), reason=cause.reason)
    text = failure_text(cause)
    if text is None:
        log.error("command.failed", command=_name(interaction), exc_info=cause)
        text = FAULT
    await say(interaction, text)


def _name(interaction: discord.Interaction[Any]) -> str | None:
    return interaction.command.qualified_name if interaction.command else None


def quiet_if_expired(record: logging.LogRecord) -> bool:
    """A filter for discord.py's loggers, which print a traceback where an autocomplete is late."""
    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, discord.HTTPException) or not is_expired(error):
        return True
    log.info("interaction.expired", command=None, reason=error_text(error))
    return False
