"""What the caller of a command or button reads where it failed: what happened, and what to do."""

import aiohttp
import discord
from discord import app_commands

from bot.cogs.refusal_texts import refusal_text
from bot.cogs.responses import NotShown, UserError
from bot.errors import (
    SealError,
    SpeckleError,
    SpeckleServerLeftOut,
    SpeckleUnavailable,
    StorageUnavailable,
)
from bot.services.refusals import CommandRefused

FAULT = (
    "Something went wrong inside the bot, so this may not be done, or only in part: "
    "`/subscriptions` shows the current state. Try again; if it happens again, tell the "
    "person who runs the bot: the log has the details."
)


def failure_text(cause: Exception) -> str | None:
    """What the caller reads of an error; None for a fault of ours."""
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
            return "This works in a server's channel only, not in a direct message."
        case SealError():
            return (
                "The bot could not decrypt what it stored for this: its encryption keys were "
                "changed or lost, so nothing was changed. Tell the person who runs the bot, who "
                "may still have the old key."
            )
        case SpeckleServerLeftOut():
            return left_out_text(cause.server_url)
        case SpeckleUnavailable():
            return (
                f"{cause.server_url} does not answer at the moment, so this could not be "
                "completed. Try again in a minute; if this continues, tell the person who runs the "
                "bot."
            )
        case SpeckleError():
            return (
                f"{cause.server_url or 'The Speckle server'} did not do that. Try again in a "
                "minute; if this continues, tell the person who runs the bot."
            )
        case _:
            return None


def left_out_text(server_url: str) -> str:
    """That the bot's settings do not name a server any more, and what to do."""
    return (
        f"This bot no longer works with {server_url}, so it was not asked. Ask the person who runs "
        "the bot to add it to `SPECKLE_SERVERS` again."
    )
