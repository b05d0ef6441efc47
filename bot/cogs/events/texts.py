"""What /why and /events answer: one event, or a list of several."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

import discord

from bot.amounts import duration_text
from bot.cards.card import MAX_DESCRIPTION, MAX_FIELD_VALUE
from bot.cards.text import (
    escape_name,
    moment_text,
    one_line,
    seen,
    shorten,
    shorten_plain,
    units,
)
from bot.cogs.events.stages import EventStage, kind_text, message_link, stages
from bot.cogs.events.step_texts import STEPS, Mark, option_of, short_text
from bot.cogs.responses import COLOUR
from bot.cogs.subscriptions.panel_texts import (
    MANAGERS_SUBSCRIBE,
    pause_remedy,
    project_name,
    state_text,
)
from bot.model import InboxSource, SubscriptionState
from bot.services.channel_event import ChannelEvent, Outcome
from bot.services.event_log import ChannelLog, OneEvent, SeveralEvents
from bot.services.event_reference import (
    MessageReference,
    Moments,
)
from bot.services.subscribe_results import Followed
from bot.speckle.subscription_options import LABELS
from bot.trace_texts import OUTCOMES

MAX_TITLE: Final = 40
MAX_LINES: Final = MAX_DESCRIPTION - 250  # beside them are a question or a warning
MOST_STOPPED: Final = 3  # projects of which the list says that nothing is shown now
MAX_CHOICE: Final = 100

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
OVER_QUOTA: Final = (
    "❌ This server's quota for today is used up. What webhooks send is refused until tomorrow "
    "(UTC), and what is live through an account waits until then. Members with *Manage Server* see "
    "it in `/settings`; the person who runs the bot can allow more."
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
    if event.said:
        yield f"> {escape_name(_said(event, 200))}"
    yield (
        f"{kind_text(event).capitalize()} in {project_name(event.followed)}, "
        f"{moment_text(event.at, 'f')}"
    )
    if event.source is InboxSource.TEST:
        yield "A test: it never happened in Speckle."


def _title(event: ChannelEvent, limit: int) -> str:
    return escape_name(shorten_plain(one_line(seen(event.title or "")), limit))


def _next(answer: OneEvent) -> str:
    event = answer.event
    match event.outcome:
        case Outcome.SHOWN:
            return _not_wanted(answer)
        case Outcome.WAITING:
            return (
                "Nothing: it comes by itself, and in its order. If it waits for long, tell the "
                "person who runs the bot."
            )
        case Outcome.PAUSED:
            remedy = pause_remedy(event.followed)
            how = (
                f"{remedy} The buttons are in `/subscriptions`."
                if answer.manages
                else f"{ASK_A_MANAGER} They do this: {remedy}"
            )
            return f"{first_line_of_state(event.followed)}\n{how}"
        case Outcome.REFUSED:
            return (
                "Other cards come all the same. Tell the person who runs the bot, who can try it "
                f"again: `outbox retry {0 if event.card is None else event.card.id}`."
            )
        case Outcome.FILTERED:
            return _of_filter(answer)
        case Outcome.NOT_SHOWN:
            return _of_not_shown(answer)


def gets_nothing(entry: Followed) -> bool:
    """Whether nothing new is shown now, as somebody paused it or nothing can arrive."""
    return entry.subscription.state is SubscriptionState.PAUSED or entry.not_heard is not None


def first_line_of_state(entry: Followed) -> str:
    """Whether it is paused, and why; of its webhook something else speaks."""
    return state_text(entry).partition("\n")[0]


def _not_wanted(answer: OneEvent) -> str:
    if gets_nothing(answer.event.followed):
        manages = "`/doctor` says what to do." if answer.manages else ASK_A_MANAGER
        state = first_line_of_state(answer.event.followed)
        return f"Nothing newer is shown now: {state}. {manages}"
    if not answer.manages:
        return f"Nothing. Should this channel not get such events? {ASK_A_MANAGER}"
    return (
        "Nothing. Should this channel not get such events? In the menu of its message, under "
        "*Apps*, are *Mute its author here* and *Only this model here*; for the rest choose the "
        "project in `/subscriptions`, then *Edit*."
    )


def _of_filter(answer: OneEvent) -> str:
    decided = answer.event.decided
    option = None if decided is None else option_of(decided)
    if option is None:
        return "Nothing: the channel gets the card that says it."
    if not answer.manages:
        return f"Should this channel get such events? {ASK_A_MANAGER} They change `{option}`."
    return (
        "Should this channel get such events? In `/subscriptions` choose the project, then *Edit*, "
        f"and change *{LABELS[option]}*. It counts for what happens from then on."
    )


LOOK_IN_SPECKLE: Final = "Look in Speckle for what happened. {state}"


def _of_not_shown(answer: OneEvent) -> str:
    event = answer.event
    then = "" if event.decided is None else STEPS[event.decided.step].then
    paused = event.followed.subscription.state is SubscriptionState.PAUSED
    state = (
        f"The channel is still paused: {first_line_of_state(event.followed)}"
        if paused
        else "The channel gets the project's events again."
    )
    return (then or LOOK_IN_SPECKLE).format(id=event.id, state=state)


# ── several events ────────────────────────────────────────────────────────────────────────────


def log_embed(log: ChannelLog) -> discord.Embed:
    """The last events of a channel."""
    quota = f"{OVER_QUOTA}\n" if log.over_quota else ""
    stopped = [one for one in log.entries if gets_nothing(one)][:MOST_STOPPED]
    states = "".join(f"{project_name(one, 60)}: {first_line_of_state(one)}\n" for one in stopped)
    lines = _lines(log.events, "R", MAX_LINES - units(states))
    embed = discord.Embed(
        title="The last events",
        description=f"{quota}{states}In <#{log.channel_id}>:\n{lines}",
        colour=COLOUR,
    )
    return embed.set_footer(text="Choose one to see its whole way.")


def no_events(log: ChannelLog) -> str:
    """A channel without events."""
    if not log.entries:
        return f"<#{log.channel_id}> follows no Speckle project. {MANAGERS_SUBSCRIBE}"
    states = "\n".join(f"- {project_name(one)}: {state_text(one)}" for one in log.entries)
    return (
        f"There is no event for <#{log.channel_id}>: none has come since it follows the project as "
        "it does now, or it was deleted after the time for which the bot keeps events.\n"
        f"{states}\n`/why` looks for the cause."
    )


def several_embed(answer: SeveralEvents) -> discord.Embed:
    """The events that may be meant."""
    text = "Which one do you mean?"
    if isinstance(answer.reference, Moments) and answer.reference.minute is not None:
        text = (
            "Discord does not say which time zone you are in, so these are the events of that time "
            "in any zone. The times below are yours. Which one do you mean?"
        )
    if isinstance(answer.reference, MessageReference):
        text = "This message shows several events. Which one do you mean?"
    return discord.Embed(
        title="More than one event",
        description=f"{text}\n{_lines(answer.events, 'f', MAX_LINES)}",
        colour=COLOUR,
    )


def _lines(events: Sequence[ChannelEvent], style: Literal["f", "R"], room: int) -> str:
    """A line for each, as many as fit; with what each says, where all fit with it."""
    for says in (True, False):
        lines = list(_each(events, style, says=says))
        if units("\n".join(lines)) <= room:
            return "\n".join(lines)
    while units("\n".join(lines)) > room:
        lines.pop()
    return "\n".join([*lines, f"… and {len(events) - len(lines)} more, in the list below"])


def _each(events: Sequence[ChannelEvent], style: Literal["f", "R"], *, says: bool) -> Iterator[str]:
    """The lines; of several events in one message the first leads to it."""
    several = len({one.followed.hook.id for one in events}) > 1
    before: int | None = None
    for event in events:
        project = f" · {escape_name(shorten_plain(event.followed.label, 24))}" if several else ""
        what = _title(event, MAX_TITLE) if event.title else kind_text(event)
        said = f" “{escape_name(_said(event, MAX_TITLE))}”" if says and event.said else ""
        message = None if event.card is None else event.card.message_id
        known = event.outcome is Outcome.SHOWN and message is not None and message == before
        became = OUTCOMES[event.outcome] if known else outcome_text(event)
        at = moment_text(event.at, style)
        yield f"{MARKS[event.outcome]} {at} **{what}**{said}{project}: {became}"
        before = message


def _said(event: ChannelEvent, limit: int) -> str:
    return shorten_plain(one_line(seen(event.said or "")), limit)


def outcome_text(event: ChannelEvent) -> str:
    """What became of it, in a few words."""
    text, why = OUTCOMES[event.outcome], ""
    if event.outcome is Outcome.SHOWN and event.card is not None:
        return f"shown, {message_link(event.card)}"
    if event.outcome in (Outcome.FILTERED, Outcome.NOT_SHOWN) and event.decided is not None:
        why = short_text(event.decided)
    return f"{text} ({why})" if why else text


def choice_text(event: ChannelEvent, now: datetime) -> str:
    """The event in an autocomplete or a select, which show no markdown and no times."""
    title = f" · {one_line(seen(event.title))}" if event.title else ""
    ago = duration_text((now - event.at).total_seconds())
    said = f" · {_said(event, MAX_CHOICE)}" if event.said else ""
    text = f"{ago} ago · {kind_text(event)} · {OUTCOMES[event.outcome]}{title}{said}"
    return shorten_plain(text, MAX_CHOICE)
