"""What /audit shows, and what the audit channel is sent."""

from collections.abc import Sequence
from typing import Final

import discord

from bot.audit_texts import AuditNames, entry_text
from bot.cards.text import link, moment_text, shorten
from bot.cogs.responses import COLOUR
from bot.services.audit import AuditPage, ReadEntry
from bot.speckle.links import Links

MAX_LINE: Final = 320  # of an embed's 4,096 characters, which a page of them shares
NOTHING: Final = (
    "Nothing was changed that fits. The bot keeps what members, the bot itself and the person who "
    "runs it change here; choose another person, time or channel, or none."
)
FOOTER: Final = "Projects and channels that you cannot see are not named."


def in_discord() -> AuditNames:
    """By mentions, which show each reader what they may see; nothing that was typed is active."""
    return AuditNames(
        person=lambda user_id: f"<@{user_id}>",
        channel=lambda channel_id: f"<#{channel_id}>",
        project=lambda server, project: link("project", Links(server).project(project)),
        typed=lambda text: f"`{text.replace('`', 'ˋ')}`",
    )


def lines(entries: Sequence[ReadEntry], style: str = "R") -> list[str]:
    """A line for each change, with its time."""
    names = in_discord()
    return [
        f"{moment_text(one.entry.at, style)} "
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
