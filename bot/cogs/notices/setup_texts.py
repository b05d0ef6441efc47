"""What the bot writes when a webhook by hand has sent nothing for a day."""

import discord

from bot.cards.text import moment_text
from bot.cogs.notices.texts import PAUSED_COLOUR
from bot.model import NOBODY
from bot.services.waiting_setups import WaitingSetup


def reminder_lead(setup: WaitingSetup, mentioned: int | None) -> str:
    """The line above the notice, which a phone shows; in a channel it mentions a person."""
    who = "" if mentioned in (None, NOBODY) else f"<@{mentioned}> "
    channel = setup.subscription.channel_id
    return f"{who}No Speckle event has arrived for <#{channel}> yet."


def reminder_embed(setup: WaitingSetup) -> discord.Embed:
    """What happened, why, and what to do; the project's name is not for all who may read this."""
    since = moment_text(setup.hook.created_at, "R")
    embed = discord.Embed(
        title="A webhook waits for its first event",
        description=f"<#{setup.subscription.channel_id}> was subscribed to a Speckle project "
        f"{since}, through a webhook that somebody sets up in Speckle by hand. Nothing has "
        "come from it, so it may not be there yet, or its address or secret may be wrong.",
        colour=PAUSED_COLOUR,
    )
    embed.add_field(
        name="What to do",
        value="- Press *Show set-up* and compare it with the webhook in Speckle, or send it to an "
        "owner of the project in a direct message.\n"
        "- If all of it is right: the first change in the project, such as a new version, turns "
        "the subscription live.\n"
        "- If you own the project, the bot can do it for you: link your account with `/link`, then "
        "use `/subscribe` in the channel again.\n"
        "- If it is no longer needed: `/unsubscribe` in the channel.",
        inline=False,
    )
    return embed.set_footer(text="Sent once.")
