"""What the bot writes when it pauses a channel, and when the channel continues."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import discord

from bot.cards.text import counted, joined, moment_text, shorten
from bot.cogs.responses import COLOUR
from bot.cogs.subscriptions.panel_texts import (
    ALL_PERMISSIONS,
    BARRED,
    IF_DELETED,
    MAX_LISTED_NAME,
    project_name,
    why_paused,
)
from bot.model import NOBODY, RIGHTS_PAUSES, HookState, PauseReason, PauseWhy
from bot.permissions import ChannelPermission
from bot.problems import SendReason
from bot.services.pause_notices import NoticeGroup
from bot.services.subscribe_results import Followed, Resumed

PAUSED_COLOUR = 0xE0A100  # amber: it waits, nothing is lost
MAX_PROJECTS = 10  # named in one message
MAX_DETAIL = 900  # of a field's 1,024 characters; the sentence before it takes the rest
MAX_CONTENT = 2000
# Ten embeds share a message's 6,000 characters; a title has up to 110 of them.
MAX_OF_SEVERAL = 480
MAX_PROJECTS_OF_SEVERAL = 2

WHY = {
    PauseReason.CHANNEL_GONE: "Discord says that the channel no longer exists.",
    PauseReason.NO_PERMISSION: "The bot is no longer allowed to post there.",
    PauseReason.THREAD_CLOSED: "The thread is closed, and the bot is not allowed to open it.",
    PauseReason.SILENCED: "Discord does not let the bot post there for now.",
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
    PauseReason.SILENCED: (
        "You do not need to do anything: the bot continues as soon as Discord allows it. If a "
        "moderator put it in time-out and it should continue earlier, end the time-out (its "
        "profile → *Remove Timeout*), then press *Resume*."
    ),
}
WITH_ACCOUNT = (
    "Someone must confirm again who will see the project in the channel: press *Resume*, and the "
    "bot shows who will see it there before it continues.\n"
    "- You can if your linked Speckle account can see the project. `/account` shows it, `/link` "
    "links it again; for access, ask an owner of the project in Speckle.\n"
)
WITHOUT_ACCOUNT = (
    "- Where nobody has linked one, a member with *Manage Webhooks* in the whole server can too.\n"
)
TAKE_OVER = (
    "- Another member who can see it presses *Take over* here, or *Resume* in `/subscriptions`. "
    "From then on the channel depends on their account."
)
ANSWER = f"{WITH_ACCOUNT}{WITHOUT_ACCOUNT}{TAKE_OVER}"
ANSWER_LIVE = f"{WITH_ACCOUNT}{TAKE_OVER}"
LINK_AGAIN = (
    "The person whose account that is types `/link` again: then the channel continues "
    "automatically.\nOr without that account: "
)
ALLOWED_BY_NOW = (
    "The bot has every permission that it needs there now. Press *Resume*; if it is paused "
    "again, look at the channel's settings, *Edit Channel → Permissions*."
)
PAUSED_BY = "The bot could not show events of {projects} in {place}, so it paused them."
STOPPED = "The bot no longer shows events of {projects} in {place}."
FOOTER = (
    "Resume needs the permission Manage Webhooks in that channel. /subscriptions shows the same."
)


@dataclass(frozen=True, slots=True)
class NoticeContext:
    """A notice with what the bot sees of its channel now; names are None where it does not know.

    `missing` is what the bot lacks there; None where it cannot know. `read_by_others`: the notice
    goes to a channel, whose readers nobody confirmed, or to someone who lost the channel, so it
    does not name the projects.
    """

    group: NoticeGroup
    channel: str | None
    guild: str | None
    missing: Sequence[ChannelPermission] | None
    read_by_others: bool


def notice_lead(context: Sequence[NoticeContext], mentioned: int | None) -> str:
    """The line above the notices, which a phone shows; it mentions someone where others read it.

    Above several, each remedy appears once, with all channels that it applies to.
    """
    notice = context[0].group.notice
    who = "" if mentioned in (None, NOBODY) else f"<@{mentioned}> "
    if len(context) == 1:
        return f"{who}Speckle events are paused in <#{notice.channel_id}>."
    lines = [f"{who}Speckle events are paused in {len(context)} channels{_of(context[0].guild)}."]
    by_remedy: dict[str, list[str]] = {}
    for one in context:
        remedy = _what_to_do(one, "what is listed below")
        by_remedy.setdefault(remedy, []).append(f"<#{one.group.notice.channel_id}>")
    for remedy, channels in by_remedy.items():
        lines += [f"**What to do** about {', '.join(channels)}", remedy]
    return shorten("\n".join(lines), MAX_CONTENT)


def notice_embeds(context: Sequence[NoticeContext]) -> list[discord.Embed]:
    """One for each channel: all of it where it is the only one, else shorter."""
    if len(context) == 1:
        return [_notice_embed(context[0])]
    return [_one_of_several(one) for one in context]


def address(guild_id: int, channel_id: int) -> str:
    """Where a title leads to; it also identifies a notice among several in a message."""
    return f"https://discord.com/channels/{guild_id}/{channel_id}"


def _notice_embed(context: NoticeContext) -> discord.Embed:
    """What happened, why, and what to do."""
    notice = context.group.notice
    embed = discord.Embed(
        title=_title(context),
        description=_what_happened(context),
        colour=PAUSED_COLOUR,
        timestamp=notice.created_at,
    )
    embed.add_field(name="Why", value=_why(context), inline=False)
    remedy = _what_to_do(context, "what is listed above")
    embed.add_field(name="What to do", value=remedy, inline=False)
    return embed.set_footer(text=FOOTER)


def _one_of_several(context: NoticeContext) -> discord.Embed:
    notice = context.group.notice
    followed = projects(context.group.entries, context.read_by_others, MAX_PROJECTS_OF_SEVERAL)
    kept = f"<#{notice.channel_id}> follows {followed}: {_kept(context.group.cards)}."
    return discord.Embed(
        title=_title(context),
        url=address(notice.guild_id, notice.channel_id),
        description=shorten(f"{kept}\n{_why(context)}", MAX_OF_SEVERAL),
        colour=PAUSED_COLOUR,
        timestamp=notice.created_at,
    )


def _title(context: NoticeContext) -> str:
    return f"Paused: #{context.channel}" if context.channel else "A channel is paused"


def _why(context: NoticeContext) -> str:
    notice = context.group.notice
    if notice.reason in RIGHTS_PAUSES:
        whys = dict.fromkeys(why_paused(one.subscription) for one in context.group.entries)
        return shorten("\n".join(f"{why[:1].upper()}{why[1:]}." for why in whys), MAX_DETAIL)
    if notice.reason is PauseReason.NO_PERMISSION and context.missing:
        names = "\n".join(f"- {permission}" for permission in context.missing)
        return f"{WHY[notice.reason]} It lacks there:\n{names}"
    if notice.reason is PauseReason.SILENCED:
        return f"{WHY[notice.reason]}\n{_why_silenced(SendReason.from_stored(notice.detail).until)}"
    return WHY[notice.reason]


def _why_silenced(until: datetime | None) -> str:
    if until is None:
        return (
            "It has every permission that it needs there, but Discord still refuses its messages. "
            "Check whether a moderator put the bot in time-out, and end that. The bot tries again "
            "automatically, and continues once Discord allows it."
        )
    return (
        f"A moderator put the bot in time-out until {moment_text(until, 'f')}. Then it "
        "continues automatically; someone who can moderate members can end the time-out earlier."
    )


def _what_to_do(context: NoticeContext, listed: str) -> str:
    reason = context.group.notice.reason
    if reason in RIGHTS_PAUSES:
        if _is_barred(context.group):
            return BARRED
        whys = {one.subscription.pause_detail for one in context.group.entries}
        answer = ANSWER_LIVE if context.group.is_heard else ANSWER
        if whys == {PauseWhy.NOT_FOUND}:
            answer = f"{answer}\n- {IF_DELETED}"
        refused = whys == {PauseWhy.TOKEN_REFUSED}
        return f"{LINK_AGAIN}{answer[0].lower()}{answer[1:]}" if refused else answer
    if reason is PauseReason.NO_PERMISSION and context.missing is not None and not context.missing:
        return ALLOWED_BY_NOW
    return NEXT[reason].format(permissions=listed if context.missing else ALL_PERMISSIONS)


def _of(guild: str | None) -> str:
    return f" of **{discord.utils.escape_markdown(guild)}**" if guild else ""


def _what_happened(context: NoticeContext) -> str:
    group = context.group
    stopped = STOPPED if group.notice.reason in RIGHTS_PAUSES else PAUSED_BY
    place = f"<#{group.notice.channel_id}>{_of(context.guild)}"
    happened = stopped.format(projects=projects(group.entries, context.read_by_others), place=place)
    if _is_barred(group):
        kept = _kept(group.cards)
        return (
            f"{happened} {kept[0].upper()}{kept[1:]}. What happens until it continues is shown if "
            "it is live through an account again, and not if it gets a webhook instead."
        )
    new = (
        "what happens until it continues is shown then"
        if group.is_heard and group.notice.reason in RIGHTS_PAUSES
        else "new ones are kept too until it continues"
    )
    return f"{happened} Nothing is lost: {_kept(group.cards)}, and {new}."


def _is_barred(group: NoticeGroup) -> bool:
    """Whether the operator lets no account hear of what was paused."""
    whys = {one.subscription.pause_detail for one in group.entries}
    return group.notice.reason in RIGHTS_PAUSES and whys == {PauseWhy.NOT_LIVE}


def _kept(cards: int) -> str:
    return "no card waits yet" if not cards else f"{counted(cards, 'card')} {_is(cards)} kept"


def _is(cards: int) -> str:
    return "is" if cards == 1 else "are"


def projects(entries: Sequence[Followed], read_by_others: bool, most: int = MAX_PROJECTS) -> str:
    """The projects by name, each with a link; where others read it, how many they are."""
    if read_by_others:
        return "a project" if len(entries) == 1 else f"{len(entries)} projects"
    names = [project_name(entry, MAX_LISTED_NAME) for entry in entries[:most]]
    more = len(entries) - len(names)
    if more:
        names.append(f"{more} more")
    return joined(names)


def resumed_embed(
    resumed: Resumed, user_id: int, at: datetime, *, read_by_others: bool
) -> discord.Embed:
    """What replaces the notice after *Resume* was pressed."""
    when = moment_text(at, "f")
    if not resumed.entries:
        return discord.Embed(
            title="Nothing is paused there now",
            description=f"Someone resumed or removed what <#{resumed.channel_id}> followed.",
            colour=COLOUR,
        )
    followed = projects(resumed.entries, read_by_others)
    cards = resumed.cards
    come = f"{counted(cards, 'card')} {_was(cards)} kept and {_come(cards)} now."
    return discord.Embed(
        title="Resumed",
        description=f"<#{resumed.channel_id}> shows {followed} again. "
        f"{come if resumed.cards else 'No card was waiting.'}\n"
        f"Resumed by <@{user_id}>, {when}.",
        colour=COLOUR,
    )


def answered_embed(
    resumed: Resumed, user_id: int, at: datetime, *, read_by_others: bool
) -> discord.Embed:
    """What replaces the notice after *Resume* or *Take over* was pressed on it."""
    waiting = [one for one in resumed.entries if one.hook.state is HookState.WAITING]
    shown = [one for one in resumed.entries if one not in waiting]
    if not waiting:
        return resumed_embed(resumed, user_id, at, read_by_others=read_by_others)
    lines = []
    if shown:
        again = replace(resumed, entries=tuple(shown))
        embed = resumed_embed(again, user_id, at, read_by_others=read_by_others)
        lines.append(embed.description or "")
    lines.append(
        f"**Nothing of {projects(waiting, read_by_others)} arrives yet** in "
        f"<#{resumed.channel_id}>, although it is not paused any more: there is no webhook in "
        "Speckle, and only an owner's account can create one. `/subscriptions` there says what to "
        "do."
    )
    title = "Resumed" if shown else "Not paused any more"
    return discord.Embed(title=title, description="\n".join(lines), colour=COLOUR)


def _was(cards: int) -> str:
    return "was" if cards == 1 else "were"


def _come(cards: int) -> str:
    return "comes" if cards == 1 else "come"
