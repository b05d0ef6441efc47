"""What /audit shows, and what the audit channel is sent."""

from collections.abc import Sequence
from typing import Final

import discord

from bot.audit import AuditChannel
from bot.audit_texts import AuditNames, entry_text
from bot.cards.text import link, moment_text, shorten
from bot.cogs.responses import COLOUR
from bot.model import NOBODY
from bot.services.audit import AuditPage, ReadEntry
from bot.speckle.links import Links

MAX_LINE: Final = 320  # of an embed's 4,096 characters, which a page of them shares
NOTHING: Final = (
    "Nothing was changed that fits. The bot keeps what members, the bot itself and the person who "
    "runs it change here; choose another person, time or channel, or none."
)
HIDDEN: Final = "a channel that you cannot see"
HIDDEN_THERE: Final = "a channel that not everyone here may see"
NO_LONGER_HERE: Final = "Changes are no longer posted here. `/audit` shows them all."
LAST_MESSAGE: Final = "The last message of the audit log here"
FOOTER: Final = "Projects and channels that you cannot see are not named."


def in_discord(hidden: str) -> AuditNames:
    """By mentions, which show each reader what they may see; nothing that was typed is active."""
    return AuditNames(
        person=lambda user_id: f"<@{user_id}>",
        channel=lambda channel_id: f"<#{channel_id}>",
        hidden=hidden,
        project=lambda server, project: link("project", Links(server).project(project)),
        typed=lambda text: f"`{text.replace('`', 'ˋ')}`",
    )


def lines(entries: Sequence[ReadEntry], hidden: str = HIDDEN) -> list[str]:
    """A line for each change, with its time."""
    names = in_discord(hidden)
    return [
        f"{moment_text(one.entry.at, 'f')} "
        f"{shorten(entry_text(one.entry, names, shown=one.shown), MAX_LINE)}"
        for one in entries
    ]


def page_embed(page: AuditPage) -> discord.Embed:
    """Some changes, the newest first."""
    wanted = page.wanted
    parts = [
        "" if wanted.user_id is None else f"by <@{wanted.user_id}>",
        "" if wanted.channel_id is None else f"in <#{wanted.channel_id}>",
        "" if wanted.since is None else f"since {moment_text(wanted.since, 'f')}",
    ]
    only = " ".join(part for part in parts if part)
    head = [f"Only {only}."] if only else []
    embed = discord.Embed(
        title="Who changed what",
        description="\n".join([*head, *lines(page.entries)]),
        colour=COLOUR,
    )
    return embed.set_footer(text=FOOTER)


def posted_embed(entries: Sequence[ReadEntry]) -> discord.Embed:
    """Some changes, the oldest first; its footer is known again."""
    first, last = entries[0].entry.number, entries[-1].entry.number
    numbers = f"Change {first}" if first == last else f"Changes {first} to {last}"
    text = "\n".join(lines(entries, HIDDEN_THERE))
    return discord.Embed(description=text, colour=COLOUR).set_footer(text=numbers)


def ended_embed(change: ReadEntry) -> discord.Embed:
    """The last message in a channel where changes are no longer posted."""
    text = "\n".join(lines([change], HIDDEN_THERE))
    embed = discord.Embed(description=f"{text}\n{NO_LONGER_HERE}", colour=COLOUR)
    return embed.set_footer(text=LAST_MESSAGE)


def paused_text(channel: AuditChannel, mentioned: int | None) -> str:
    """What happened, why, and what to do, to who chose the channel."""
    who = "" if mentioned in (None, NOBODY) else f"<@{mentioned}> "
    where = f"<#{channel.channel_id}>"
    return (
        f"{who}The audit log is no longer posted in {where}: Discord did not accept the bot's "
        f"message there. The channel may be gone, or the bot lacks a permission.\n"
        f"**What to do**: give the bot *View Channel*, *Send Messages* and *Embed Links* in "
        f"{where}, then use `/settings` and choose that channel for the audit log again: it "
        "continues where it stopped. Or choose another one, or none. `/audit` shows all changes in "
        "any case."
    )
