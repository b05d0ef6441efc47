"""What /why and /events answer: a list of events, one event, or why nothing came."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

import discord

from bot.cards.card import MAX_DESCRIPTION, MAX_FIELD_VALUE
from bot.cards.text import (
    counted,
    escape_name,
    joined,
    moment_text,
    one_line,
    seen,
    shorten,
    shorten_plain,
)
from bot.cogs.events.stages import (
    EventStage,
    Mark,
    kind_text,
    message_link,
    setting_of,
    stages,
)
from bot.cogs.responses import COLOUR
from bot.cogs.subscriptions.panel_texts import REMEDIES, project_name, state_text
from bot.cogs.webhooks.texts import trouble_remedy, trouble_text
from bot.model import Hook, HookKind, HookState, InboxSource, SubscriptionState
from bot.services.event_log import (
    ChannelEvent,
    ChannelLog,
    NothingArrived,
    OneEvent,
    Outcome,
    SeveralEvents,
)
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
from bot.speckle.filters import FilterWhy
from bot.speckle.links import Links
from bot.speckle_api.types import CallStatus
from bot.trace_texts import OUTCOMES
from bot.work import TraceStep

MAX_TITLE: Final = 40
MAX_CHOICE: Final = 100
MOST_LACKING: Final = 6
MOST_CHANNELS: Final = 10

MARKS: Final[Mapping[Outcome, Mark]] = {
    Outcome.SHOWN: Mark.DONE,
    Outcome.WAITING: Mark.WAITING,
    Outcome.PAUSED: Mark.PAUSED,
    Outcome.FILTERED: Mark.FILTERED,
    Outcome.NOT_SHOWN: Mark.NOT_SHOWN,
    Outcome.REFUSED: Mark.FAILED,
}
HEADLINES: Final[Mapping[Outcome, str]] = {
    Outcome.SHOWN: "This is shown here",
    Outcome.WAITING: "This is on its way",
    Outcome.PAUSED: "This is kept until the channel continues",
    Outcome.FILTERED: "A filter of this channel left this out",
    Outcome.NOT_SHOWN: "This is not shown here",
    Outcome.REFUSED: "Discord did not take this",
}
# In a list, where there is room for a few words.
SHORT: Final[Mapping[str, str]] = {
    FilterWhy.EVENT_NOT_WANTED: "by `events`",
    FilterWhy.AUTHOR_IGNORED: "by `ignore_authors`",
    FilterWhy.NO_PATTERN_FITS: "by `models`",
    FilterWhy.PATTERN_EXCLUDES: "by `models`",
    FilterWhy.COMES_WITH_COMMENT: "its comment is shown",
    TraceStep.NOT_A_DELIVERY: "not readable",
    TraceStep.NOT_FOLLOWED: "nobody followed it",
    TraceStep.NOT_FOLLOWED_HERE: "nobody followed it",
    TraceStep.SHOWN_BEFORE: "shown already",
    TraceStep.SUBSCRIPTION_PAUSED: "during a pause",
    TraceStep.BEFORE_FOLLOWING: "before it was followed",
    TraceStep.HOOK_NOT_SERVED: "webhook moved",
    TraceStep.BODY_ERASED: "kept, then deleted",
    TraceStep.NOTHING_CHANGED: "nothing changed",
}
OVER_QUOTA: Final = (
    "❌ This server has used up its quota for today (UTC), so further events are refused. "
    "`/notices` shows it, and the person who runs the bot can allow more."
)
ASK_A_MANAGER: Final = "Ask someone with *Manage Webhooks* in this channel."
FORMS: Final = (
    "an event's number (`1234`), a link to a Discord message, a link to a version, model, issue or "
    "project in Speckle, or a time: `20 min ago`, `10:32`, `yesterday 14:00`, `2026-11-25 10:32`. "
    "Or choose one from the list. Without anything, the last event is explained."
)


def not_a_reference(typed: str) -> str:
    """What was typed names no event."""
    said = escape_name(shorten_plain(one_line(typed), MAX_CHOICE))
    return f"The bot can find no event by “{said}”. Type one of these: {FORMS}"


# ── one event ─────────────────────────────────────────────────────────────────────────────────


def event_embed(answer: OneEvent) -> discord.Embed:
    """The way of one event."""
    event = answer.event
    embed = discord.Embed(
        title=f"{MARKS[event.outcome]} {HEADLINES[event.outcome]}",
        description=shorten("\n".join(_about(event)), MAX_DESCRIPTION),
        colour=COLOUR,
    )
    for number, stage in enumerate(stages(event), 1):
        embed.add_field(
            name=f"{number}. {stage.name} {stage.mark}", value=_value(stage), inline=False
        )
    if next_step := shorten(_next(answer), MAX_FIELD_VALUE):
        embed.add_field(name="What to do", value=next_step, inline=False)
    return embed.set_footer(text=f"Event {event.id}")


def _value(stage: EventStage) -> str:
    return shorten(f"{stage.text}\n{stage.setting}".strip(), MAX_FIELD_VALUE)


def _about(event: ChannelEvent) -> Iterator[str]:
    if event.title is not None:
        yield f"**{_title(event, 200)}**"
    yield (
        f"{kind_text(event).capitalize()} in {project_name(event.followed)}, "
        f"{moment_text(event.at, 'f')}"
    )
    if event.source is InboxSource.TEST:
        yield "A test: it never happened in Speckle."


def _title(event: ChannelEvent, limit: int) -> str:
    return escape_name(shorten_plain(one_line(seen(event.title or "")), limit))


def _next(answer: OneEvent) -> str:
    event, subscription = answer.event, answer.event.followed.subscription
    match event.outcome:
        case Outcome.SHOWN:
            return _not_wanted(answer)
        case Outcome.WAITING:
            return (
                "Nothing: it comes by itself, and in its order. If it waits for long, tell the "
                "person who runs the bot."
            )
        case Outcome.PAUSED:
            reason = subscription.pause_reason
            remedy = "" if reason is None else REMEDIES[reason]
            who = "In `/subscriptions`:" if answer.manages else f"{ASK_A_MANAGER} They do this:"
            return f"{_state(event.followed)}\n{who} {remedy}"
        case Outcome.REFUSED:
            return (
                "Other cards come all the same. Tell the person who runs the bot, who can try it "
                f"again: `outbox retry {0 if event.card is None else event.card.id}`."
            )
        case Outcome.FILTERED:
            return _of_filter(answer)
        case Outcome.NOT_SHOWN:
            return _of_not_shown(answer)


def _state(entry: Followed) -> str:
    """Whether it is paused, and why; of its webhook something else speaks."""
    return state_text(entry).partition("\n")[0]


def _not_wanted(answer: OneEvent) -> str:
    if not answer.manages:
        return f"Nothing. Should this channel not get such events? {ASK_A_MANAGER}"
    return (
        "Nothing. Should this channel not get such events? In the menu of its message, under "
        "*Apps*, are *Mute its author here* and *Only this model here*; for the rest choose the "
        "project in `/subscriptions`, then *Edit*."
    )


EDITED: Final[Mapping[str, str]] = {
    "events": "*Events*",
    "models": "*Models*",
    "ignore_authors": "*Ignored authors*",
}


def _of_filter(answer: OneEvent) -> str:
    decided = answer.event.decided
    option = None if decided is None else setting_of(decided)
    if option is None:
        return "Nothing: the channel gets the card that says it."
    if not answer.manages:
        return f"Should this channel get such events? {ASK_A_MANAGER} They change `{option}`."
    return (
        "Should this channel get such events? In `/subscriptions` choose the project, then *Edit*, "
        f"and change {EDITED[option]}. It counts for what happens from then on."
    )


NEXT: Final[Mapping[str, str]] = {
    TraceStep.NOT_A_DELIVERY: (
        "Tell the person who runs the bot: a newer Speckle server may send a new form. "
        "`events show {id}` shows them the rest."
    ),
    TraceStep.SHOWN_BEFORE: "Nothing: the channel has it.",
    TraceStep.NOTHING_CHANGED: "Nothing.",
    TraceStep.BEFORE_FOLLOWING: "Nothing. Speckle still shows what happened before.",
    TraceStep.SUBSCRIPTION_PAUSED: ("Look in Speckle for what happened during the pause. {state}"),
    TraceStep.HOOK_NOT_SERVED: "Use `/subscribe` again here, so that the project has a webhook.",
}
LOOK_IN_SPECKLE: Final = "Look in Speckle for what happened. {state}"


def _of_not_shown(answer: OneEvent) -> str:
    event = answer.event
    step = None if event.decided is None else event.decided.step
    text = NEXT.get(step or "", LOOK_IN_SPECKLE)
    paused = event.followed.subscription.state is SubscriptionState.PAUSED
    state = (
        f"The channel is still paused: {_state(event.followed)}"
        if paused
        else "The channel gets the project's events again."
    )
    return text.format(id=event.id, state=state)


# ── several events ────────────────────────────────────────────────────────────────────────────


def log_embed(log: ChannelLog) -> discord.Embed:
    """The last events of a channel."""
    embed = discord.Embed(
        title="The last events of this channel",
        description=f"{OVER_QUOTA if log.over_quota else ''}\n{_lines(log.events, 'R')}".strip(),
        colour=COLOUR,
    )
    return embed.set_footer(text="Choose one to see its whole way.")


def no_events(log: ChannelLog) -> str:
    """A channel without events."""
    if not log.entries:
        return f"<#{log.channel_id}> follows no Speckle project. `/subscribe` changes that."
    states = "\n".join(f"- {project_name(one)}: {state_text(one)}" for one in log.entries)
    return (
        f"Nothing has reached the bot for <#{log.channel_id}> in the time for which it keeps "
        f"events.\n{states}\n`/why` looks for the cause."
    )


def several_embed(answer: SeveralEvents) -> discord.Embed:
    """The events that may be meant."""
    text = "Which one do you mean?"
    if isinstance(answer.reference, Moments) and answer.reference.minute is not None:
        text = (
            "Discord does not tell the bot your time zone. These happened at that time in one. "
            "The times below are yours. Which one do you mean?"
        )
    if isinstance(answer.reference, MessageReference):
        text = "This message shows several events. Which one do you mean?"
    return discord.Embed(
        title="More than one event",
        description=f"{text}\n{_lines(answer.events, 'f')}",
        colour=COLOUR,
    )


def _lines(events: Sequence[ChannelEvent], style: Literal["f", "R"]) -> str:
    """A line for each, as many as fit."""
    several = len({one.followed.hook.id for one in events}) > 1
    kept: list[str] = []
    for event in events:
        line = _line(event, style, several=several)
        if sum(len(one) + 1 for one in kept) + len(line) > MAX_DESCRIPTION - 400:
            kept.append("…")
            break
        kept.append(line)
    return "\n".join(kept)


def _line(event: ChannelEvent, style: Literal["f", "R"], *, several: bool) -> str:
    project = f" · {escape_name(shorten_plain(event.followed.label, 24))}" if several else ""
    what = _title(event, MAX_TITLE) if event.title else kind_text(event)
    at = moment_text(event.at, style)
    return f"{MARKS[event.outcome]} {at} **{what}**{project}: {outcome_text(event)}"


def outcome_text(event: ChannelEvent) -> str:
    """What became of it, in a few words."""
    text, why = OUTCOMES[event.outcome], ""
    if event.outcome is Outcome.SHOWN and event.card is not None:
        return f"shown, {message_link(event.card)}"
    if event.outcome in (Outcome.FILTERED, Outcome.NOT_SHOWN) and event.decided is not None:
        filtered = str(event.decided.facts.get("filter", ""))
        why = SHORT.get(filtered) or SHORT.get(event.decided.step, "")
    return f"{text} ({why})" if why else text


def choice_text(event: ChannelEvent, now: datetime) -> str:
    """The event in an autocomplete or a select, which show no markdown and no times."""
    title = f" · {one_line(seen(event.title))}" if event.title else ""
    ago = _ago((now - event.at).total_seconds())
    text = f"{ago} · {kind_text(event)} · {OUTCOMES[event.outcome]}{title}"
    return shorten_plain(text, MAX_CHOICE)


def _ago(seconds: float) -> str:
    for unit, unit_s in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * unit_s:
            return f"{seconds // unit_s:.0f} {unit} ago"
    return "just now" if seconds < 60 else "1 min ago"


# ── nothing came ──────────────────────────────────────────────────────────────────────────────

NOT_THERE: Final = (
    "This channel has no event with that number. It is of another channel, or it was deleted after "
    "the time for which the bot keeps events. `/events` lists the last ones."
)
NOT_A_CARD: Final = (
    "The bot knows of no event behind this message. It is no card of the bot, or its event was "
    "deleted after the time for which the bot keeps events. `/events` lists the last ones."
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
ALWAYS: Final = (ELSEWHERE, NOT_REACHED, NEVER_SENT)


def nothing_text(answer: NothingArrived) -> str | None:
    """What is said where there is no cause to look for; None where there is."""
    if isinstance(answer.reference, EventNumber):
        return NOT_THERE
    if isinstance(answer.reference, MessageReference):
        return NOT_A_CARD
    if answer.entries:
        return None
    that = "that project" if isinstance(answer.reference, ThingReference) else "any Speckle project"
    where = joined([f"<#{one}>" for one in answer.elsewhere[:MOST_CHANNELS]])
    elsewhere = f" It is followed in {where}: ask there." if where else ""
    return (
        f"<#{answer.channel_id}> does not follow {that}, so nothing of it comes here.{elsewhere} "
        "`/subscribe` changes that."
    )


def nothing_embed(answer: NothingArrived) -> discord.Embed:
    """Why nothing came: what is known, else what it usually is."""
    embed = discord.Embed(
        title="⚪ Nothing of that reached the bot",
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
            text = f"This channel has no event from between {first} and {last_at}."
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
    if entry.subscription.state is SubscriptionState.PAUSED or hook.unopenable:
        yield _state(entry)
    if hook.trouble is not None:
        yield f"{trouble_text(hook)}. {trouble_remedy(hook)}"
    elif hook.state is HookState.WAITING:
        yield (
            "⏳ Its webhook has never sent anything. *Show set-up* under `/subscriptions` says "
            "what to enter in Speckle."
        )
    look = answer.webhooks.get(entry.subscription.id)
    yield from _webhook(entry, look, answer.reference)


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
        case None if hook.kind is HookKind.OWN:
            yield (
                "Nobody who owns the project has linked an account that may be asked, so the bot "
                "cannot see what Speckle says of the webhook. An owner types `/link`, then "
                f"`/why` again; or looks in the project's {_settings(hook)}."
            )


UNREAD: Final[Mapping[EnsureProblem, str]] = {
    EnsureProblem.NOT_OWNER: "Speckle shows it to owners of the project only",
    EnsureProblem.NO_SCOPE: "the linked account's token lacks a scope; its person types `/link`",
}
UNREAD_OTHER: Final = "Speckle did not give it to the linked account at this moment"


def _of_look(entry: Followed, look: WebhookLook, asked: EventReference) -> Iterator[str]:
    settings = _settings(entry.hook)
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


def _settings(hook: Hook) -> str:
    return f"[webhook settings](<{Links(hook.server_url).webhook_settings(hook.project_id)}>)"


def _causes(entries: Sequence[Followed]) -> Iterable[str]:
    if any(one.hook.is_by_hand for one in entries):
        return (NOT_SET_BY_HAND, WRONG_BY_HAND, *ALWAYS)
    if any(one.hook.kind is HookKind.SHARED for one in entries):
        return (NONE_SHARED, *ALWAYS)
    return (NOT_SET_MADE, SWITCHED_OFF, *ALWAYS)
