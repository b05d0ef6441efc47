"""How the bot tells that it paused a channel, and that it goes on."""

from collections.abc import Sequence
from datetime import datetime

import discord

from bot.cards.text import shorten
from bot.cogs.answers import COLOUR
from bot.cogs.wording import MAX_LISTED_NAME, project_name
from bot.db.rows import NOBODY, Hook, HookState, Notice, PauseReason
from bot.services.notices import Telling
from bot.services.outcomes import Resumed
from bot.services.places import Permission

PAUSED_COLOUR = 0xE0A100  # amber: it waits, nothing is lost
MAX_PROJECTS = 10  # named in one message
MAX_DETAIL = 900  # of a field's 1,024 characters; the sentence before it takes the rest

WHY = {
    PauseReason.CHANNEL_GONE: "Discord says that the channel is not there any more.",
    PauseReason.NO_PERMISSION: "The bot may not post there any more.",
    PauseReason.THREAD_CLOSED: "The thread is closed, and the bot may not open it.",
    PauseReason.ACCESS_LOST: (
        "What a channel may show hangs on a member's Speckle account, and that changed:"
    ),
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
    PauseReason.ACCESS_LOST: (
        "- If you should have access: ask the project's owner in Speckle for it, type `/link` here "
        "if your account has to be linked anew, then press *Resume*.\n"
        "- Another member with access goes on in your place: they type `/link`, then press *Take "
        "over* here, or *Resume* in `/subscriptions`. From then on it hangs on their account."
    ),
}
ALL_PERMISSIONS = (
    "*View Channel*, *Send Messages* (in threads *Send Messages in Threads*), *Embed Links*, "
    "*Attach Files* and *Read Message History*"
)
PAUSED_BY = "The bot could not show events of {projects} in {place}, so it paused that."
LOST = "The bot no longer shows events of {projects} in {place}: access to the project was lost."
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
    embed.add_field(name="Why", value=_why(notice, missing), inline=False)
    permissions = "what is listed above" if missing else ALL_PERMISSIONS
    remedy = NEXT[notice.reason].format(permissions=permissions)
    embed.add_field(name="What to do", value=remedy, inline=False)
    return embed.set_footer(text=FOOTER)


def _why(notice: Notice, missing: Sequence[Permission]) -> str:
    if notice.reason is PauseReason.NO_PERMISSION and missing:
        names = "\n".join(f"- {permission}" for permission in missing)
        return f"{WHY[notice.reason]} It lacks there:\n{names}"
    detail = shorten(notice.detail, MAX_DETAIL)
    if notice.reason is PauseReason.ACCESS_LOST:  # half a sentence
        detail = f"{detail}."
    return f"{WHY[notice.reason]}\n{detail}"


def _what_happened(telling: Telling, guild: str | None) -> str:
    server = f" of **{discord.utils.escape_markdown(guild)}**" if guild else ""
    lost = telling.notice.reason is PauseReason.ACCESS_LOST
    happened = (LOST if lost else PAUSED_BY).format(
        projects=projects(telling.hooks), place=f"<#{telling.notice.channel_id}>{server}"
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


def projects(hooks: Sequence[Hook]) -> str:
    """The projects by name, each with a link."""
    names = [project_name(hook, MAX_LISTED_NAME) for hook in hooks[:MAX_PROJECTS]]
    more = len(hooks) - len(names)
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
    followed = projects([entry.hook for entry in resumed.entries])
    come = f"{count(resumed.cards)} {_was(resumed.cards)} kept, and come now."
    return discord.Embed(
        title="It goes on",
        description=f"<#{resumed.channel_id}> shows {followed} again. "
        f"{come if resumed.cards else 'No card was waiting.'}\n"
        f"Resumed by <@{user_id}>, {when}.",
        colour=COLOUR,
    )


def taken_over_embed(resumed: Resumed, user_id: int, at: datetime) -> discord.Embed:
    """What stands in place of the notice after *Resume* or *Take over* was pressed on it."""
    embed = resumed_embed(resumed, user_id, at)
    if resumed.entries:
        embed.description = (
            f"{embed.description}\nFrom now on it hangs on <@{user_id}>'s Speckle account."
        )
        waiting = [one.hook for one in resumed.entries if one.hook.state is HookState.WAITING]
        if waiting:
            embed.description += (
                f"\nThe webhook of {projects(waiting)} in Speckle is gone, and only an owner's "
                "account makes it again: `/subscriptions`, then *Show set-up*, has what an owner "
                "enters by hand."
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
