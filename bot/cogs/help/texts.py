"""What /help shows: what the bot can do, grouped by what a person wants."""

from collections.abc import Mapping, Sequence
from typing import Final

import discord

from bot.cogs.responses import COLOUR

GROUPS: Final[Mapping[str, Sequence[str]]] = {
    "Show a Speckle project in a channel": ("subscribe", "subscriptions", "unsubscribe"),
    "Look up versions, and what changed": ("latest", "versions", "compare"),
    "Find out why an event came, or did not": ("why", "events"),
    "See that it works, and repair it": ("status", "test", "doctor"),
    "Your Speckle account, and your data": ("link", "account", "unlink", "privacy"),
    "This server": ("settings", "audit"),
}
"""Each command is in one of them."""

IN_MENUS: Final[Mapping[str, str]] = {
    "Why is this here?": "The way of the event that a card shows",
    "Mute its author here": "The channel no longer shows what this person does",
    "Only this model here": "The channel shows only this model of the project",
}
"""What is in the menu of a card, and what it does."""

WHAT_IT_IS: Final = (
    "This bot brings the events of Speckle projects into channels: new versions, models, issues, "
    "comments, and people who come and go."
)
MENU_TITLE: Final = "On a card: right-click it, or press and hold it, then *Apps*"
FOR_MANAGERS: Final = (
    "What a channel shows is decided by members with *Manage Webhooks* in it. The commands for "
    "that are listed for them alone."
)
IN_PRIVATE: Final = "In a channel of a server, `/help` lists what can be done there."


def begin(subscribe: str) -> str:
    """The first step of who may take it."""
    return (
        f"**To begin:** type {subscribe} in a channel, and paste the project's address from the "
        "browser as `stream_id`."
    )


def mention(name: str, ids: Mapping[str, int]) -> str:
    """A command that can be clicked, where its id is known."""
    return f"</{name}:{ids[name]}>" if name in ids else f"`/{name}`"


def help_embed(
    commands: Mapping[str, str],
    menus: Sequence[str],
    ids: Mapping[str, int],
    *,
    in_private: bool,
) -> discord.Embed:
    """What this person may use here: commands with what they do, and what is in a card's menu."""
    manages = "subscribe" in commands
    next_step = begin(mention("subscribe", ids)) if manages else FOR_MANAGERS
    lead = IN_PRIVATE if in_private else next_step
    embed = discord.Embed(
        title="What this bot can do", description=f"{WHAT_IT_IS}\n{lead}", colour=COLOUR
    )
    for title, names in GROUPS.items():
        lines = [f"{mention(one, ids)} {commands[one]}" for one in names if one in commands]
        if lines:
            embed.add_field(name=title, value="\n".join(lines), inline=False)
    if menus:
        lines = [f"*{name}* {IN_MENUS[name]}" for name in menus]
        embed.add_field(name=MENU_TITLE, value="\n".join(lines), inline=False)
    return embed
