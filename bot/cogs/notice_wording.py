"""How the bot tells that it paused a channel, and that it goes on."""

from collections.abc import Sequence
from datetime import datetime

import discord

from bot.cards.text import shorten
from bot.cogs.answers import COLOUR
from bot.cogs.rights_wording import why_paused
from bot.cogs.wording import MAX_LISTED_NAME, project_name
from bot.db.rows import NOBODY, RIGHTS_PAUSES, HookState, Notice, PauseReason
from bot.services.notices import Telling
from bot.services.outcomes import Entry, Resumed
from bot.services.places import Permission

PAUSED_COLOUR = 0xE0A100  # amber: it waits, nothing is lost
MAX_PROJECTS = 10  # named in one message
MAX_DETAIL = 900  # of a field's 1,024 characters; the sentence before it takes the rest

WHY = {
    PauseReason.CHANNEL_GONE: "Discord says that the channel is not there any more.",
    PauseReason.NO_PERMISSION: "The bot may not post there any more.",
    PauseReason.THREAD_CLOSED: "The thread is closed, and the bot may not open it.",
}
NEXT = {
    PauseReason.CHANNEL_GONE: (
        "If the channel was deleted: use `/subscribe` in another channel, and remove this "
        "subscription with `/subscriptions`.\n"
        "If it is there again: let the bot see it, then press *Resume*."
    ),
    PauseReason.NO_PERMISSION: (
        "1. Open the channel's settings, *Edit Channel → Permissions*, and add the bot's role. A "
        "thread has those of its channel.\n"
        "2. Allow it {permissions}.\n"
        "3. Press *Resume*."
    ),
    PauseReason.THREAD_CLOSED: (
        "1. Open the thread again: unlock it if it is locked, and write something in it.\n"
        "2. Press *Resume*."
    ),
}
ANSWER = (
    "Somebody has to answer for the channel again: press *Resume*, and the bot shows who will see "
    "the project there before it goes on.\n"
    "- You can if your linked Speckle account may see the project. `/account` shows it, `/link` "
    "links it again; for access, ask an owner of the project in Speckle.\n"
    "- Another member who may see it presses *Take over* here, or *Resume* in `/subscriptions`. "
    "From then on the channel depends on their account."
)
ALL_PERMISSIONS = (
    "*View Channel*, *Send Messages* (in threads *Send Messages in Threads*), *Embed Links*, "
    "*Attach Files* and *Read Message History*"
)
PAUSED_BY = "The bot could not show events of {projects} in {place}, so it paused that."
STOPPED = "The bot no longer shows events of {projects} in {place}."
FOOTER = (
    "Resume asks for the permission Manage Webhooks in that channel. /subscriptions shows the same."
)


def lead(telling: Telling, mention: bool) -> str:
    """The line above the notice, which a phone shows; it mentions where others read it too."""
    user_id = telling.notice.user_id
    who = f"<@{user_id}> " if mention and user_id != NOBODY else ""
    return f"{who}Speckle events are paused in <#{telling.notice.channel_id}>."


def notice_embed(
    telling: Telling, channel: str | None, guild: str | None, missing: Sequence[Permission]
) -> discord.Embed:
    """What happened, why, and what to do; names are None where the bot does not know them.

    `missing` is what the bot lacks there now, as far as it can tell.
    """
    notice = telling.notice
    embed = discord.Embed(
        title=f"Paused: #{channel}" if channel else "A channel is paused",
        description=_what_happened(telling, guild),
        colour=PAUSED_COLOUR,
        timestamp=notice.created_at,
    )
    embed.add_field(name="Why", value=_why(telling, missing), inline=False)
    embed.add_field(name="What to do", value=_what_to_do(notice, missing), inline=False)
    return embed.set_footer(text=FOOTER)


def _why(telling: Telling, missing: Sequence[Permission]) -> str:
    notice = telling.notice
    if notice.reason in RIGHTS_PAUSES:
        whys = dict.fromkeys(why_paused(one.subscription) for one in telling.entries)
        return shorten("\n".join(f"{why[:1].upper()}{why[1:]}." for why in whys), MAX_DETAIL)
    if notice.reason is PauseReason.NO_PERMISSION and missing:
        names = "\n".join(f"- {permission}" for permission in missing)
        return f"{WHY[notice.reason]} It lacks there:\n{names}"
    return f"{WHY[notice.reason]}\n{shorten(notice.detail, MAX_DETAIL)}"


def _what_to_do(notice: Notice, missing: Sequence[Permission]) -> str:
    if notice.reason in RIGHTS_PAUSES:
        return ANSWER
    permissions = "what is listed above" if missing else ALL_PERMISSIONS
    return NEXT[notice.reason].format(permissions=permissions)


def _what_happened(telling: Telling, guild: str | None) -> str:
    server = f" of **{discord.utils.escape_markdown(guild)}**" if guild else ""
    stopped = STOPPED if telling.notice.reason in RIGHTS_PAUSES else PAUSED_BY
    happened = stopped.format(
        projects=projects(telling.entries), place=f"<#{telling.notice.channel_id}>{server}"
    )
    return (
        f"{happened} Nothing is lost: {_kept(telling.cards)}, and new ones are kept too until it "
        "goes on."
    )


def _kept(cards: int) -> str:
    return "no card waits yet" if not cards else f"{count(cards)} {_is(cards)} kept"


def count(cards: int) -> str:
    """A number of cards."""
    return "1 card" if cards == 1 else f"{cards} cards"


def _is(cards: int) -> str:
    return "is" if cards == 1 else "are"


def projects(entries: Sequence[Entry]) -> str:
    """The projects by name, each with a link."""
    names = [project_name(entry, MAX_LISTED_NAME) for entry in entries[:MAX_PROJECTS]]
    more = len(entries) - len(names)
    if more:
        names.append(f"{more} more")
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def resumed_embed(resumed: Resumed, user_id: int, at: datetime) -> discord.Embed:
    """What stands in place of the notice after *Resume* was pressed."""
    when = discord.utils.format_dt(at, "f")
    if not resumed.entries:
        return discord.Embed(
            title="Nothing is paused there any more",
            description=f"Somebody resumed or removed what <#{resumed.channel_id}> followed.",
            colour=COLOUR,
        )
    followed = projects(resumed.entries)
    come = f"{count(resumed.cards)} {_was(resumed.cards)} kept, and come now."
    return discord.Embed(
        title="It goes on",
        description=f"<#{resumed.channel_id}> shows {followed} again. "
        f"{come if resumed.cards else 'No card was waiting.'}\n"
        f"Resumed by <@{user_id}>, {when}.",
        colour=COLOUR,
    )


def answered_embed(resumed: Resumed, user_id: int, at: datetime) -> discord.Embed:
    """What stands in place of the notice after *Resume* or *Take over* was pressed on it."""
    embed = resumed_embed(resumed, user_id, at)
    waiting = [one for one in resumed.entries if one.hook.state is HookState.WAITING]
    if waiting:
        embed.description = (
            f"{embed.description}\nThe webhook of {projects(waiting)} in Speckle is gone, and only "
            "an owner's account makes it again: `/subscriptions`, then *Show set-up*, has what an "
            "owner enters by hand."
        )
    return embed


def _was(cards: int) -> str:
    return "was" if cards == 1 else "were"


def shown(channel_id: int | None) -> str:
    """What /notices says when nothing was asked to change."""
    if channel_id is None:
        return (
            "No channel is set: if the bot has to pause a subscription, it tells whoever made it "
            "in a direct message. `/notices channel:` chooses a channel for that."
        )
    return (
        f"If the bot has to pause a subscription, it says so in <#{channel_id}> and mentions "
        "whoever made it. `/notices off:True` goes back to direct messages."
    )


def chosen(channel_id: int | None) -> str:
    """What /notices says after a change."""
    if channel_id is None:
        return "From now on the bot tells in a direct message what it had to pause."
    return (
        f"From now on the bot says in <#{channel_id}> what it had to pause, and mentions whoever "
        "made the subscription."
    )
