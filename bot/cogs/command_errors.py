"""What the caller of a command or button reads where it failed."""

import logging
from typing import Any

import aiohttp
import discord
import structlog
from discord import app_commands

from bot.cogs.refusal_texts import refusal_text
from bot.cogs.responses import NotShown, UserError, is_expired, say, say_expired
from bot.discord_api.outcomes import error_text
from bot.errors import SealError, SpeckleError, StorageUnavailable
from bot.services.refusals import CommandRefused

log = structlog.get_logger()


def handle_errors(tree: app_commands.CommandTree[Any]) -> None:
    """Have every command that fails answered."""
    tree.error(answer_error)
    logging.getLogger("discord.app_commands.tree").addFilter(quiet_if_expired)


async def answer_error(interaction: discord.Interaction[Any], error: Exception) -> None:
    """Tell the caller, and nobody else, what went wrong and what to do."""
    cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
    if is_expired(cause):
        say_expired(interaction, cause)
        return
    if isinstance(cause, SpeckleError):
        log.warning("command.speckle_failed", command=_name(interaction), reason=cause.reason)
    text = _sentence(cause)
    if text is None:
        log.error("command.failed", command=_name(interaction), exc_info=cause)
        text = (
            "Something went wrong inside the bot, so this may not be done, or only in part: "
            "`/subscriptions` shows the current state. Try again; if it happens again, tell the "
            "person who runs the bot: the log has the details."
        )
    await say(interaction, text)


def _sentence(cause: Exception) -> str | None:
    match cause:
        case CommandRefused():
            return refusal_text(cause.refusal)
        case UserError():
            return cause.message
        case NotShown():
            return (
                "That is done, but Discord did not accept the answer to it. `/subscriptions` shows "
                "the current state, and *Show set-up* there what to enter in Speckle; `/account` "
                "shows your linked accounts."
            )
        case StorageUnavailable():
            return (
                "The bot's database does not answer at the moment, so this could not be completed. "
                "Try again in a minute; if this continues, tell the person who runs the bot."
            )
        case discord.HTTPException() | discord.RateLimited() | aiohttp.ClientError():
            return (
                "Discord did not answer a question that this needs, so it could not be completed. "
                "Try again in a minute; `/subscriptions` shows the current state."
            )
        case app_commands.MissingPermissions():
            return "This needs the permission Manage Webhooks. Ask someone who manages this server."
        case app_commands.NoPrivateMessage():
            return "This works in a server's channel only, not in a private message."
        case SealError():
            return (
                "The bot could not decrypt what it stored for this: its encryption keys were "
                "changed or lost, so nothing was changed. Tell the person who runs the bot, who "
                "may still have the old key."
            )
        case SpeckleError():
            return (
                f"{cause.server_url or 'The Speckle server'} did not do that. Try again in a "
                "minute; if this continues, tell the person who runs the bot."
            )
        case app_commands.CheckFailure():
            return f"That did not work: {cause}"
        case _:
            return None


def _name(interaction: discord.Interaction[Any]) -> str | None:
    return interaction.command.qualified_name if interaction.command else None


def quiet_if_expired(record: logging.LogRecord) -> bool:
    """A filter for discord.py's loggers, which print a traceback where an autocomplete is late."""
    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, discord.HTTPException) or not is_expired(error):
        return True
    log.info("interaction.expired", command=None, reason=error_text(error))
    return False
