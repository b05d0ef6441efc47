"""What /why answers where nothing came: what is known to be wrong, else what it usually is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import discord

from bot.cards.card import MAX_FIELD_VALUE
from bot.cards.text import counted, escape_name, joined, moment_text, shorten, shorten_plain
from bot.cogs.events.stages import kind_text
from bot.cogs.events.texts import ASK_A_MANAGER, OVER_QUOTA, first_line_of_state, outcome_text
from bot.cogs.responses import COLOUR
from bot.cogs.subscriptions.panel_texts import MANAGERS_SUBSCRIBE, not_heard_remedy
from bot.cogs.webhooks.texts import settings_link, trouble_remedy, trouble_text
from bot.model import HookKind, HookState, SubscriptionState
from bot.services.event_log import NothingArrived
from bot.services.event_reference import (
    EventNumber,
    EventReference,
    MessageReference,
    Moments,
    ThingReference,
)
from bot.services.subscribe_results import Followed
from bot.services.webhook_results import EnsureFailed, EnsureProblem, WebhookLook
from bot.services.webhook_triggers import events_lacking
from bot.speckle_api.types import CallStatus

MOST_LACKING: Final = 6
MOST_CHANNELS: Final = 10

NOT_THERE: Final = (
    "This channel has no event with that number. It is of another channel, or it was deleted after "
    "the time for which the bot keeps events. `/events` lists the last ones."
)
NOT_A_CARD: Final = (
    "The bot knows of no event behind this message. It is not a card, or someone used "
    "`/unsubscribe` here after it came, or its event was deleted after the time for which the bot "
    "keeps events. `/events` lists the last ones."
)
NOT_SET_BY_HAND: Final = (
    "**The webhook is not set to send it.** In Speckle, its events are ticked one by one; *Show "
    "set-up* under `/subscriptions` lists which."
)
WRONG_BY_HAND: Final = (
    "**The webhook is switched off, or its address or secret is wrong.** Speckle shows a failed "
    "last call beside it then."
)
NOT_SET_MADE: Final = (
    "**The webhook is not set to send it.** The bot asks Speckle only for what an owner of the "
    "project agreed to; an owner uses `/subscribe` here with all events that are wanted."
)
SWITCHED_OFF: Final = (
    "**Someone switched the webhook off, or deleted it, in Speckle.** The bot looks every hour."
)
NONE_SHARED: Final = (
    "**The project has no webhook to this bot.** Its owner enters the address that the person who "
    "runs the bot gives."
)
ELSEWHERE: Final = (
    "**It happened in another project**, or on another Speckle server. Compare the address in your "
    "browser with what `/events` says."
)
NOT_REACHED: Final = (
    "**Speckle could not reach the bot at that moment.** What an owner's linked account (`/link`) "
    "can read is fetched later, automatically."
)
NEVER_SENT: Final = (
    "**Speckle sends nothing for it.** Newer servers report no changes of roles, for example."
)
NOT_READ_YET: Final = (
    "**It was not read yet.** The channel is live through the account of the person who subscribed "
    "it, and that is asked every few seconds, on a busy Speckle server every few minutes."
)
NEVER_LISTED: Final = (
    "**Speckle does not list it.** Nothing tells of edits of comments and changes of roles, for "
    "example; on Speckle 4 neither of comments, invitations and which version someone loaded."
)
ALWAYS: Final = (ELSEWHERE, NOT_REACHED, NEVER_SENT)


def nothing_text(answer: NothingArrived) -> str | None:
    """What is said where there is no cause to look for; None where there is."""
    if isinstance(answer.reference, EventNumber):
        return NOT_THERE
    if isinstance(answer.reference, MessageReference):
        return NOT_A_CARD
    if answer.entries:
        return None
    one = isinstance(answer.reference, ThingReference)
    that, what = ("that project", "It is") if one else ("any Speckle project", "Projects are")
    where = joined([f"<#{one}>" for one in answer.elsewhere[:MOST_CHANNELS]])
    elsewhere = f" {what} followed in {where}: ask there." if where else ""
    return (
        f"<#{answer.channel_id}> does not follow {that}, so nothing of it comes here.{elsewhere} "
        f"{MANAGERS_SUBSCRIBE}"
    )


NOTHING_CAME: Final = "Nothing has reached the bot"
NOTHING_OF_THAT: Final = "Nothing of that reached the bot"


def nothing_embed(answer: NothingArrived) -> discord.Embed:
    """Why nothing came: what is known, else what it usually is."""
    embed = discord.Embed(
        title=f"⚪ {NOTHING_CAME if answer.last is None else NOTHING_OF_THAT}",
        description=_what_was_asked(answer),
        colour=COLOUR,
    )
    for entry in answer.entries[: len(answer.webhooks)]:
        found = "\n".join(f"- {one}" for one in _found(entry, answer))
        embed.add_field(
            name=f"What is known of {escape_name(shorten_plain(entry.label, 100))}",
            value=shorten(found, MAX_FIELD_VALUE),
            inline=False,
        )
    if all(one.not_heard or _is_before(answer.reference, one) for one in answer.entries):
        return embed
    causes = "\n".join(
        f"{number}. {cause}" for number, cause in enumerate(_causes(answer.entries), 1)
    )
    embed.add_field(
        name="What it usually is, the most likely first",
        value=shorten(causes, MAX_FIELD_VALUE),
        inline=False,
    )
    then = (
        "`/doctor` looks at all of this, and says how to fix what it finds."
        if answer.manages
        else f"{ASK_A_MANAGER} `/doctor` shows them what is wrong."
    )
    return embed.add_field(name="What to do", value=then, inline=False)


def _what_was_asked(answer: NothingArrived) -> str:
    asked = answer.reference
    match asked:
        case Moments(minute=None):
            first, last_at = moment_text(asked.first, "f"), moment_text(asked.last, "f")
            text = f"This channel has no event between {first} and {last_at}."
        case Moments():
            text = "This channel has no event from that time, in whatever time zone."
        case ThingReference(thing_id=None):
            text = "The bot has no event of that project for this channel."
        case ThingReference():
            text = (
                "The bot has no event for this channel that is about what the link opens. It finds "
                "events for as long as it keeps them."
            )
        case _:
            text = "The bot has no event for this channel."
    if answer.last is None:
        return text
    last = answer.last
    return (
        f"{text}\nThe last that came: **{kind_text(last)}**, {moment_text(last.at, 'R')}, "
        f"{outcome_text(last)}."
    )


def _found(entry: Followed, answer: NothingArrived) -> Iterator[str]:
    """What is known to be wrong, or to be right."""
    hook = entry.hook
    if answer.over_quota:
        yield OVER_QUOTA
    since, asked = entry.subscription.created_at, answer.reference
    if answer.last is None or _is_before(asked, entry):
        yield (
            f"⚪ This channel has followed it since {moment_text(since, 'f')}. What happened "
            "before is not shown here; Speckle still has it."
        )
    if entry.subscription.state is SubscriptionState.PAUSED or hook.unopenable:
        yield first_line_of_state(entry)
    if hook.trouble is not None:
        yield f"{trouble_text(hook)}. {trouble_remedy(hook)}"
    elif entry.not_heard is not None:
        yield f"{first_line_of_state(entry)}. {not_heard_remedy(entry)}"
        return
    elif hook.state is HookState.WAITING:
        yield (
            "⏳ Its webhook has never sent anything. *Show set-up* under `/subscriptions` says "
            "what to enter in Speckle."
        )
    look = answer.webhooks.get(entry.subscription.id)
    yield from _webhook(entry, look, answer.reference)


def _is_before(asked: EventReference, entry: Followed) -> bool:
    """Whether somebody asks for a time before the channel followed the project: that is why."""
    return isinstance(asked, Moments) and asked.last < entry.subscription.created_at


def _webhook(
    entry: Followed, look: WebhookLook | EnsureFailed | None, asked: EventReference
) -> Iterator[str]:
    hook = entry.hook
    match look:
        case WebhookLook():
            yield from _of_look(entry, look, asked)
        case EnsureFailed() if hook.trouble is None:
            yield (
                f"The webhook's history could not be read: {UNREAD.get(look.why, UNREAD_OTHER)}."
            )
        case None if hook.kind is HookKind.OWN and not hook.is_heard:
            yield (
                "Nobody who owns the project has linked an account that may be asked, so the bot "
                "cannot see what Speckle says of the webhook. An owner types `/link`, then "
                f"`/why` again; or looks in the project's {settings_link(hook)}."
            )


UNREAD: Final[Mapping[EnsureProblem, str]] = {
    EnsureProblem.NOT_OWNER: "Speckle shows it to owners of the project only",
    EnsureProblem.NO_SCOPE: "the linked account's token lacks a scope; its person types `/link`",
}
UNREAD_OTHER: Final = "Speckle did not give it to the linked account at this moment"


def _of_look(entry: Followed, look: WebhookLook, asked: EventReference) -> Iterator[str]:
    settings = settings_link(entry.hook)
    if not look.there:
        yield (
            "❌ In Speckle, the project has no webhook that leads here. Someone deleted it, or it "
            "was never made. *Show set-up* under `/subscriptions` says how."
        )
        return
    if not look.enabled:
        yield f"❌ The webhook is switched off in Speckle. An owner switches it on in {settings}."
    if not look.right_address or not look.has_secret:
        yield (
            "❌ The webhook in Speckle has another address or no secret. Compare it with *Show "
            "set-up* under `/subscriptions`."
        )
    lacking = events_lacking(entry.subscription.options, look.triggers)
    if lacking:
        names = ", ".join(f"`{one}`" for one in lacking[:MOST_LACKING])
        more = f" and {len(lacking) - MOST_LACKING} more" if len(lacking) > MOST_LACKING else ""
        yield f"⚠️ The webhook is not set to send {names}{more}. That is changed in {settings}."
    yield from _of_calls(look, asked)


def _of_calls(look: WebhookLook, asked: EventReference) -> Iterator[str]:
    """What Speckle's history says of the time that was asked about, else of the last call."""
    call = look.last_call
    if call is None:
        yield f"⚪ {BY_HISTORY} the webhook was never called: {NOTHING_TO_SEND}"
        return
    if isinstance(asked, Moments):
        yield _of_time(look, asked)
    when = moment_text(call.at, "R")
    if call.status is CallStatus.FAILED:
        yield (
            f"❌ {BY_HISTORY} its last call {when} did not get through. If all calls fail, compare "
            "address and secret with *Show set-up* under `/subscriptions`."
        )
    elif call.status is CallStatus.DELIVERED:
        yield f"✅ {BY_HISTORY} its last call {when} arrived."
    else:
        yield f"⏳ {BY_HISTORY} its last call {when} is still on its way."


BY_HISTORY: Final = "By Speckle's history,"
NOTHING_TO_SEND: Final = "nothing happened that it is set to send."


def _of_time(look: WebhookLook, moments: Moments) -> str:
    then = [call for call in look.calls if moments.fits(call.at)]
    failed = sum(call.status is CallStatus.FAILED for call in then)
    if failed:
        return (
            f"❌ {BY_HISTORY} {counted(failed, 'call')} at that time did not get through. What an "
            "owner's linked account (`/link`) can read is fetched later, automatically."
        )
    if then:
        return f"✅ {BY_HISTORY} no call at that time failed ({counted(len(then), 'call')})."
    if look.total > len(look.calls) and look.calls[-1].at > moments.first:
        oldest = moment_text(look.calls[-1].at, "f")
        return f"⚪ Speckle's history has more calls, and was looked at back to {oldest} only."
    return f"⚪ {BY_HISTORY} the webhook was not called at that time: {NOTHING_TO_SEND}"


def _causes(entries: Sequence[Followed]) -> Iterable[str]:
    if entries and all(one.hook.is_heard for one in entries):
        return (NOT_READ_YET, ELSEWHERE, NEVER_LISTED)
    if any(one.hook.is_by_hand for one in entries):
        return (NOT_SET_BY_HAND, WRONG_BY_HAND, *ALWAYS)
    if any(one.hook.kind is HookKind.SHARED for one in entries):
        return (NONE_SHARED, *ALWAYS)
    return (NOT_SET_MADE, SWITCHED_OFF, *ALWAYS)
