"""What /status says, to a member who need not know how the bot is run."""

from collections.abc import Mapping
from typing import Final

import discord

from bot import __version__
from bot.amounts import duration_text
from bot.cards.text import counted, moment_text
from bot.cogs.responses import COLOUR
from bot.cogs.subscriptions.panel_texts import MANAGERS_SUBSCRIBE
from bot.problems import ActiveTrouble, TroubleKind
from bot.services.guild_status import Delays, GuildFigures, GuildStatus

TROUBLE_COLOUR: Final = 0xE5A50A
TELL: Final = "Tell the person who runs this bot."
KEPT: Final = "Nothing is lost: cards are kept and come later, in order."
OVER_QUOTA: Final = (
    "It is used up by at least one project. What its webhook sends is refused until tomorrow "
    "(UTC); where it is live through an account, it waits until then. Members with *Manage Server* "
    "see it in `/settings`; the person who runs the bot can allow more."
)

TROUBLES: Final[Mapping[TroubleKind, str]] = {
    TroubleKind.SENDING_STOPPED: (
        f"Discord takes no cards from the bot at the moment. {KEPT} Wait, and look at "
        "<https://discordstatus.com>."
    ),
    TroubleKind.TOKEN_REFUSED: f"Discord does not accept the bot's token. {KEPT} {TELL}",
    TroubleKind.ADDRESS_BLOCKED: (
        f"Discord blocks the address that the bot runs at, for a while. {KEPT} Wait an hour. If it "
        f"stays so: {TELL[0].lower()}{TELL[1:]}"
    ),
    TroubleKind.GATEWAY_AWAY: (
        "The bot's connection to Discord is unstable: commands and buttons may not work. Cards go "
        "another way, and come as long as Discord takes them; those that it does not take are "
        "kept. Wait some minutes, and look at <https://discordstatus.com>."
    ),
    TroubleKind.KEYS_MISSING: (
        "The bot cannot decrypt some of what it keeps, so some webhooks and linked accounts do not "
        f"work. `/doctor` in a channel says whether its own do. {TELL}"
    ),
    TroubleKind.DATABASE_NOT_WRITABLE: (
        "The bot's database does not work as it should, so events may be refused. Speckle keeps "
        f"those as failed, and the bot fetches them later where it may. {TELL}"
    ),
    TroubleKind.SPECKLE_NOT_ANSWERING: (
        "The Speckle server {server} does not answer the bot. Until it does, cards come without "
        "object counts and pictures, and what is live through an account comes afterwards. Where "
        "it must be asked who may see a project, its last yes counts for an hour; after that, "
        "events are kept until it answers. See whether you can open it in a browser: if not, tell "
        "the person who runs that server, else the person who runs this bot."
    ),
}


def status_embed(status: GuildStatus) -> discord.Embed:
    """The whole answer."""
    figures = status.figures
    well = not status.troubles and figures is not None and not figures.over_quota
    embed = discord.Embed(
        title="The bot works" if well else "The bot has trouble",
        description=f"Up since {moment_text(status.up_since, 'R')}, version {__version__}.",
        colour=COLOUR if well else TROUBLE_COLOUR,
    )
    for name, value in _fields(figures).items():
        embed.add_field(name=name, value=value, inline=False)
    if status.troubles:
        lines = [f"- {trouble_text(one)}" for one in status.troubles]
        embed.add_field(name="Known trouble", value="\n".join(lines), inline=False)
    return embed.set_footer(text="Counted in the channels that you see. /events lists what came.")


def _fields(figures: GuildFigures | None) -> Mapping[str, str]:
    if figures is None:
        slow = f"The bot's database did not answer in time. Try again in a minute. {TELL}"
        return {"Figures": slow}
    if not figures.channels:
        return {
            "Channels": f"No channel that you see follows a Speckle project. {MANAGERS_SUBSCRIBE}"
        }
    quota = {"Quota of this server for today": OVER_QUOTA} if figures.over_quota else {}
    return {
        **quota,
        "Last event": _last_event(figures),
        "From an event to its card, in the last hour": _delays(figures.delays),
        "Waiting": _waiting(figures),
    }


def _last_event(figures: GuildFigures) -> str:
    last = figures.last_event
    if last is None or last.last_event_at is None:
        return "None yet. If there should be one: `/doctor` in the channel finds out why."
    return f"{moment_text(last.last_event_at, 'R')} in <#{last.channel_id}>"


def _delays(delays: Delays | None) -> str:
    if delays is None:
        return "No card was sent in that time."
    worst = f"at most {_delay_text(delays.worst_s)}, " if delays.cards > 1 else ""
    return f"{_delay_text(delays.median_s)}, {worst}{counted(delays.cards, 'card')}"


def _delay_text(seconds: float) -> str:
    return f"{max(seconds, 0.0):.1f} s" if seconds < 10 else duration_text(seconds)


def _waiting(figures: GuildFigures) -> str:
    lines = []
    if figures.waiting and figures.oldest_at is not None:
        since = moment_text(figures.oldest_at, "R")
        count, here = counted(figures.waiting, "card"), _for_this_channel(figures)
        lines.append(f"{count}, {here}; the oldest came {since}. Shown automatically.")
    if figures.new:
        lines.append(f"{counted(figures.new, 'event')}, just received: the cards are being made.")
    if figures.held and figures.held_since is not None:
        since = moment_text(figures.held_since, "R")
        lines.append(
            f"{counted(figures.held, 'event')}, the oldest came {since}: "
            "Speckle or Discord does not say at the moment who may see them. The bot asks again, "
            "and shows them automatically."
        )
    if figures.paused:
        lines.append(
            f"{counted(figures.paused, 'event')} for paused channels, kept until they continue. "
            "Members with *Manage Webhooks* there read why in `/subscriptions`, and resume them."
        )
    return "\n".join(lines) or "Nothing."


def _for_this_channel(figures: GuildFigures) -> str:
    here = figures.waiting_here
    if not here:
        return "none for this channel"
    if here < figures.waiting:
        return f"{here} of them for this channel"
    return "for this channel" if here == 1 else "all for this channel"


def trouble_text(trouble: ActiveTrouble) -> str:
    """A trouble, what it means here, and what to do."""
    return TROUBLES[trouble.kind].format_map(trouble.facts)
