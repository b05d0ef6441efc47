"""What the bot writes when a server's quota for today is used up, and how much of it is used."""

import discord

from bot.amounts import size_text
from bot.cards.text import counted, joined, moment_text
from bot.cogs.notices.texts import PAUSED_COLOUR
from bot.model import NOBODY
from bot.services.quotas import OverQuota, Usage

MAX_CHANNELS = 10  # named in one message

LESS_OR_MORE = "or ask the person who runs this bot to allow more."
WEBHOOK_REMEDY = (
    "- Nothing, if it was one busy day: events come again tomorrow. Where the bot created the "
    "webhook with a linked account, the refused events are fetched later and marked as delayed.\n"
    "- If you do not know what sends so much, someone else may know the webhook's secret: "
    "`/subscriptions`, then *New secret*.\n"
    f"- If it happens every day: let Speckle send fewer kinds of events, {LESS_OR_MORE}"
)
LIVE_REMEDY = (
    "- Nothing, if it was one busy day.\n"
    "- If it happens every day: let fewer channels follow the project, as each counts its own "
    f"events, {LESS_OR_MORE}"
)


def quota_lead(over: OverQuota, mentioned: int | None) -> str:
    """The line above the notice, which a phone shows; in a channel it mentions a person."""
    who = "" if mentioned in (None, NOBODY) else f"<@{mentioned}> "
    become = "wait" if _waits(over) else "are refused"
    return f"{who}Speckle events {become} until tomorrow: too many came today."


def quota_embed(over: OverQuota, guild: str | None) -> discord.Embed:
    """What happened, why, and what to do; `guild` is None where its name is not known."""
    where = f"**{discord.utils.escape_markdown(guild)}**" if guild else "This server"
    until = moment_text(over.usage.ends_at, "t")
    what = (
        f"The project {_whose(over)} has reached its limit for today, so what happens in it is not "
        f"read until {until}. Then it is read and shown, in order: nothing is lost."
        if _waits(over)
        else f"The webhook {_whose(over)} has reached its limit for today, so its further events "
        f"are refused until {until}. Earlier events are shown as usual."
    )
    embed = discord.Embed(
        title="Today's quota is used up",
        description=f"{where} may receive a limited number of events from Speckle in a day. {what}",
        colour=PAUSED_COLOUR,
    )
    embed.add_field(name="Used today", value=today(over.usage), inline=False)
    remedy = LIVE_REMEDY if _waits(over) else WEBHOOK_REMEDY
    embed.add_field(name="What to do", value=remedy, inline=False)
    return embed.set_footer(text="Sent once a day at most. /settings shows how much is used.")


def _waits(over: OverQuota) -> bool:
    """Whether it is live through accounts: then nothing is refused, it is only read later."""
    return over.hook is not None and over.hook.is_heard


def _whose(over: OverQuota) -> str:
    """Which one it is, by its channels: not everybody may know the project's name."""
    if not over.channels:
        return "of a project that is no longer followed"
    named = [f"<#{channel_id}>" for channel_id in over.channels[:MAX_CHANNELS]]
    if more := len(over.channels) - len(named):
        named.append(counted(more, "more channel"))
    verb = "depends" if len(over.channels) == 1 else "depend"
    return f"that {joined(named)} {verb} on"


def today(usage: Usage) -> str:
    """How much of the day's quota is used."""
    limits, used = usage.limits, usage.used
    return (
        f"{used.events:,} of {limits.events_a_day:,} events, {size_text(used.bytes)} of "
        f"{size_text(limits.bytes_a_day)}"
    )


def in_all(usage: Usage) -> str:
    """How much of each quota is used, as /settings shows it."""
    limits, used = usage.limits, usage.used
    return (
        f"Used today: {today(usage)}; it counts from zero again at "
        f"{moment_text(usage.ends_at, 't')}. In all: {used.hooks} of {limits.hooks} "
        f"webhooks and live projects, {used.subscriptions} of {limits.subscriptions} subscriptions."
    )
