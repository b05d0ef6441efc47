"""The way of one event in plain stages: what happened in each, by which rule and which setting."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bot.cards.text import escape_name, moment_text, one_line, shorten_plain
from bot.cogs.subscriptions.panel_texts import options_text
from bot.model import InboxSource, PauseReason
from bot.problem_texts import reason_text
from bot.problems import SendReason
from bot.services.event_log import ChannelEvent
from bot.speckle.filters import FilterWhy
from bot.speckle.subscription_options import SubscriptionOptions
from bot.trace_texts import ADDED, PAUSES
from bot.work import (
    CardStatus,
    FallbackLevel,
    MissingWhy,
    OutboxState,
    ReadWith,
    TraceLine,
    TraceStep,
)

MAX_VALUE: Final = 80


class Mark(StrEnum):
    """How a stage, or an event, ended."""

    DONE = "✅"
    WAITING = "⏳"
    PAUSED = "⏸️"
    FILTERED = "🔕"
    NOT_SHOWN = "⚪"
    FAILED = "❌"
    PLAIN = "⚠️"  # done, with less than there could be


@dataclass(frozen=True, slots=True)
class EventStage:
    """One stage of an event's way; `setting` is what can be changed about it."""

    name: str
    mark: Mark
    text: str
    setting: str = ""


def stages(event: ChannelEvent) -> Iterator[EventStage]:
    """The stages that the event has been through, in their order."""
    yield _received(event)
    if event.is_new:
        return
    for name, steps in STAGES.items():
        lines = [line for line in event.lines if line.step in steps]
        yield from _stage(name, event, lines)
    yield from _discord(event)


def name_of(text: str) -> str:
    """A name of others in a sentence."""
    return f"*{escape_name(shorten_plain(one_line(text), MAX_VALUE))}*"


def kind_text(event: ChannelEvent) -> str:
    """What kind of event it is, in words."""
    return "unknown event" if event.kind is None else event.kind.words


# ── received ──────────────────────────────────────────────────────────────────────────────────

SOURCES: Final[Mapping[InboxSource, str]] = {
    InboxSource.WEBHOOK: (
        "Speckle sent it {received} with the project's webhook, and the signature is right."
    ),
    InboxSource.OPERATOR: (
        "Speckle sent it {received} with the webhook of the person who runs the bot, and the "
        "signature is right."
    ),
    InboxSource.HISTORY: (
        "It happened {at}, but Speckle could not deliver it. The bot fetched it {received} from "
        "the webhook's history."
    ),
    InboxSource.ACTIVITY: (
        "It happened {at}, and no webhook brought it. The bot found it {received} in the project's "
        "own lists, with the account of the person who subscribed this channel."
    ),
    InboxSource.TEST: "Someone asked for it {received} with `/test`. It never happened in Speckle.",
}


def _received(event: ChannelEvent) -> EventStage:
    at, received = (moment_text(one, "T") for one in (event.at, event.received_at))
    text = SOURCES[event.source].format(at=at, received=received)
    if event.is_new:
        text += " It is kept, and waits for its turn."
        return EventStage("Received", Mark.WAITING, text)
    return EventStage("Received", Mark.DONE, text)


# ── what its trace says ───────────────────────────────────────────────────────────────────────

UNDERSTOOD: Final = "Understood"
WANTED: Final = "What this channel wants"
ACCESS: Final = "Who may see it"
DETAILS: Final = "Details from Speckle"

STAGES: Final[Mapping[str, frozenset[str]]] = {
    UNDERSTOOD: frozenset({TraceStep.NOT_A_DELIVERY}),
    WANTED: frozenset(
        {
            TraceStep.NOT_FOLLOWED,
            TraceStep.NOT_FOLLOWED_HERE,
            TraceStep.SHOWN_BEFORE,
            TraceStep.SUBSCRIPTION_PAUSED,
            TraceStep.BEFORE_FOLLOWING,
            TraceStep.FILTERED,
            TraceStep.FILTERED_AS_CONFIRMED,
            TraceStep.WANTED,
            TraceStep.NOTHING_CHANGED,
        }
    ),
    ACCESS: frozenset(
        {
            TraceStep.HELD_FOR_CONSENT,
            TraceStep.ACCESS_GRANTED,
            TraceStep.ACCESS_BY_LAST_YES,
            TraceStep.ACCESS_UNKNOWN,
            TraceStep.ACCESS_PAUSED,
            TraceStep.HOOK_NOT_SERVED,
            TraceStep.BODY_ERASED,
        }
    ),
    DETAILS: frozenset(
        {
            TraceStep.FACTS_LATE,
            TraceStep.FACTS_MISSING,
            TraceStep.NO_FACTS,
            TraceStep.FACTS_ADDED,
            TraceStep.PICTURE_NOT_YET,
            TraceStep.PICTURE_LATE,
            TraceStep.PICTURE_MISSING,
            TraceStep.PICTURE_BLANK,
            TraceStep.NO_PICTURE,
            TraceStep.PICTURE_ADDED,
            TraceStep.FILLED_IN,
            TraceStep.NOT_FILLED_IN,
        }
    ),
}
MARKS: Final[Mapping[str, Mark]] = {
    TraceStep.NOT_A_DELIVERY: Mark.FAILED,
    TraceStep.NOT_FOLLOWED: Mark.NOT_SHOWN,
    TraceStep.NOT_FOLLOWED_HERE: Mark.NOT_SHOWN,
    TraceStep.SHOWN_BEFORE: Mark.NOT_SHOWN,
    TraceStep.SUBSCRIPTION_PAUSED: Mark.NOT_SHOWN,
    TraceStep.BEFORE_FOLLOWING: Mark.NOT_SHOWN,
    TraceStep.FILTERED: Mark.FILTERED,
    TraceStep.FILTERED_AS_CONFIRMED: Mark.FILTERED,
    TraceStep.NOTHING_CHANGED: Mark.NOT_SHOWN,
    TraceStep.HELD_FOR_CONSENT: Mark.PAUSED,
    TraceStep.ACCESS_UNKNOWN: Mark.WAITING,
    TraceStep.ACCESS_PAUSED: Mark.PAUSED,
    TraceStep.HOOK_NOT_SERVED: Mark.NOT_SHOWN,
    TraceStep.BODY_ERASED: Mark.NOT_SHOWN,
    TraceStep.FACTS_LATE: Mark.PLAIN,
    TraceStep.FACTS_MISSING: Mark.PLAIN,
    TraceStep.PICTURE_NOT_YET: Mark.WAITING,
    TraceStep.PICTURE_LATE: Mark.WAITING,
    TraceStep.PICTURE_MISSING: Mark.PLAIN,
    TraceStep.NOT_FILLED_IN: Mark.PLAIN,
}
"""Of the last line of a stage; those that are not named are done."""

STEPS: Final[Mapping[str, str]] = {
    TraceStep.NOT_A_DELIVERY: (
        "The bot could not read it: it has no form that Speckle is known to send."
    ),
    TraceStep.NOT_FOLLOWED: "When it came, no channel followed this project.",
    TraceStep.NOT_FOLLOWED_HERE: "When it came, no channel of this server followed this project.",
    TraceStep.SHOWN_BEFORE: "It came another way already, and is shown once only{shown_as}.",
    TraceStep.SUBSCRIPTION_PAUSED: (
        "{paused_for}, and what happens during such a pause is not shown later."
    ),
    TraceStep.BEFORE_FOLLOWING: "It happened before this channel followed the project.",
    TraceStep.FILTERED: "{filter}",
    TraceStep.FILTERED_AS_CONFIRMED: "Speckle was asked about it. {filter}",
    TraceStep.WANTED: "{filter}",
    TraceStep.NOTHING_CHANGED: (
        "Something was saved in Speckle, but nothing that a card would show has changed."
    ),
    TraceStep.HELD_FOR_CONSENT: "It was kept until someone confirms who will see it here.",
    TraceStep.ACCESS_GRANTED: "{reader}",
    TraceStep.ACCESS_BY_LAST_YES: (
        "Speckle did not answer. It had said yes less than an hour before, which counted."
    ),
    TraceStep.ACCESS_UNKNOWN: (
        "Speckle or Discord did not say who can see it, so it had to wait. The bot asks again "
        "automatically."
    ),
    TraceStep.ACCESS_PAUSED: "The channel was paused, and the event kept: {pause}.",
    TraceStep.HOOK_NOT_SERVED: "Its webhook no longer belongs to this Discord server.",
    TraceStep.BODY_ERASED: "It was kept for as long as the bot keeps events, and then deleted.",
    TraceStep.FACTS_LATE: (
        "Speckle did not answer in time, so the card came without what only Speckle can add."
    ),
    TraceStep.FACTS_MISSING: "The card lacks what only Speckle can add: {missing}.",
    TraceStep.NO_FACTS: "Speckle was asked for more, and had nothing to add.",
    TraceStep.FACTS_ADDED: "Speckle was asked for more, and it was added.",
    TraceStep.PICTURE_NOT_YET: (
        "Speckle was still making the picture. The bot asks again for an hour."
    ),
    TraceStep.PICTURE_LATE: "Speckle did not send the picture. The bot asks again for an hour.",
    TraceStep.PICTURE_MISSING: "There is no picture: {missing}.",
    TraceStep.PICTURE_BLANK: "There is no picture: Speckle's shows nothing.",
    TraceStep.NO_PICTURE: "There is no picture: Speckle shows none to who was asked with.",
    TraceStep.PICTURE_ADDED: "It has its picture.",
    TraceStep.FILLED_IN: "Later, {added} came and was added.",
    TraceStep.NOT_FILLED_IN: "The card stays without {added}: {missing}.",
}
FILTERS: Final[Mapping[str, str]] = {
    FilterWhy.NO_FILTER: "This channel has no filter: it wants everything of the project.",
    FilterWhy.ALL_PASSED: "It passes all filters of this channel.",
    FilterWhy.EVENT_NOT_WANTED: "This channel follows {wanted}, and this is *{kind}*.",
    FilterWhy.AUTHOR_IGNORED: "This channel ignores what {author} does.",
    FilterWhy.PATTERN_FITS: "{model} fits {pattern}, which this channel follows.",
    FilterWhy.NO_PATTERN_FITS: "{model} fits none of the models that this channel follows.",
    FilterWhy.PATTERN_EXCLUDES: "{pattern} leaves out {model}.",
    FilterWhy.MODELS_NAMELESS: (
        "Speckle did not say what its model is called, so it could not be compared with the models "
        "that this channel follows. Then it is shown."
    ),
    FilterWhy.COMES_WITH_COMMENT: (
        "It says that somebody was mentioned. The card of the comment itself says that already, "
        "and this channel gets that one."
    ),
}
SETTINGS: Final[Mapping[str, str]] = {
    FilterWhy.EVENT_NOT_WANTED: "events",
    FilterWhy.AUTHOR_IGNORED: "ignore_authors",
    FilterWhy.PATTERN_FITS: "models",
    FilterWhy.NO_PATTERN_FITS: "models",
    FilterWhy.PATTERN_EXCLUDES: "models",
    FilterWhy.MODELS_NAMELESS: "models",
}
"""The option of a subscription that decided."""

HIDDEN: Final[Mapping[str, str]] = {
    "model": "its model",
    "pattern": "a pattern that this channel has set",
    "author": "the person who did it",
    "wanted": "other events",
    "kind": "another event",
}
READERS: Final[Mapping[str, str]] = {
    ReadWith.ACCOUNT: (
        "The linked account of the person who subscribed this channel can see the project."
    ),
    ReadWith.OPERATOR: (
        "Someone confirmed who sees this channel, and Speckle is asked with the token of the "
        "person who runs the bot."
    ),
    ReadWith.NO_TOKEN: (
        "The project's webhook sent it to this channel, or everyone can see the project. No "
        "account was needed."
    ),
}
MISSING: Final[Mapping[str, str]] = {
    MissingWhy.TOKEN_REFUSED: (
        "Speckle no longer accepts the linked account; its person types `/link` again"
    ),
    MissingWhy.SCOPE_MISSING: "the linked account's token lacks a scope; its person types `/link`",
    MissingWhy.FORBIDDEN: (
        "the linked account cannot see it, or none is linked and the project is not public; "
        "`/link` and `/subscribe` change that"
    ),
    MissingWhy.NOT_FOUND: "Speckle no longer has it, or does not show it",
    MissingWhy.UNCONFIRMED: "Speckle has nothing like it that is as new as the event says",
    MissingWhy.UNREADABLE: "Speckle gave an answer that the bot does not know",
    MissingWhy.OTHER: "Speckle did not give it",
    MissingWhy.NOTHING_MORE: "Speckle had nothing to add",
    MissingWhy.CONTRADICTED: "Speckle contradicts what the event says",
    MissingWhy.FILTERED: "by what Speckle says, a filter of this channel leaves it out",
    MissingWhy.NO_CONSENT: "nobody has confirmed that more of the project may be shown here",
    MissingWhy.NO_ACCESS: "more of the project is not shown to this channel at the moment",
    MissingWhy.BLANK: "the picture shows nothing",
    MissingWhy.TOO_LATE: "it did not come within an hour",
    MissingWhy.SHOWN_ALREADY: "another card here shows it already",
}
PAUSED_FOR: Final[Mapping[str, str]] = {
    PauseReason.MEMBER: "Someone had paused this project here",
    PauseReason.PROJECT_DELETED: "The project had been deleted in Speckle",
}
WAS_PAUSED: Final = "The project was paused here"
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "filter": FILTERS,
    "reader": READERS,
    "pause": PAUSES,
    "missing": MISSING,
    "added": ADDED,
}


def step_text(line: TraceLine, shown_as: str = "") -> str:
    """A line of the trace as the people of the channel read it."""
    texts = dict(HIDDEN) | {"shown_as": shown_as}
    for name in ("model", "author"):
        if name in line.facts:
            texts[name] = name_of(str(line.facts[name]))
    if "pattern" in line.facts:
        texts["pattern"] = _code(str(line.facts["pattern"]))
    for name in ("wanted", "kind"):
        if name in line.facts:
            texts[name] = escape_name(str(line.facts[name]).replace("_", " "))
    reason = str(line.facts.get("paused_for", ""))
    texts["paused_for"] = PAUSED_FOR.get(reason, WAS_PAUSED)
    for name, words in WORDS.items():
        texts[name] = words.get(str(line.facts.get(name, "")), "").format_map(texts)
    # A sentence may begin with a name that is not to be read.
    text = STEPS[line.step].format_map(texts).strip()
    return text[:1].upper() + text[1:]


def _code(text: str) -> str:
    return "`" + shorten_plain(one_line(text), MAX_VALUE).replace("`", "ˋ") + "`"


def setting_of(line: TraceLine) -> str | None:
    """The option of the subscription that decided a line, by its name."""
    return SETTINGS.get(str(line.facts.get("filter", "")))


def _stage(name: str, event: ChannelEvent, lines: list[TraceLine]) -> Iterator[EventStage]:
    if not lines:
        return
    shown_as = "" if event.shown_as is None else f": {message_link(event.shown_as)}"
    texts = dict.fromkeys(step_text(line, shown_as) for line in lines)
    mark = MARKS.get(lines[-1].step, Mark.DONE)
    setting = ""
    has_filters = event.followed.subscription.options != SubscriptionOptions()
    if name == WANTED and (option := setting_of(lines[-1])) is not None:
        changed = event.followed.subscription.updated_at > lines[-1].at
        since = ", and may have been changed since" if changed else ""
        now = options_text(event.followed.subscription.options) if event.named else ""
        setting = f"Decided by the setting `{option}`{since}." + (f" Now: {now}." if now else "")
    elif name == WANTED and event.named and "filter" in lines[-1].facts and has_filters:
        setting = f"The filters now: {options_text(event.followed.subscription.options)}."
    yield EventStage(name, mark, " ".join(texts), setting)


# ── Discord ───────────────────────────────────────────────────────────────────────────────────

FORMS: Final[Mapping[FallbackLevel, str]] = {
    FallbackLevel.FULL: "",
    FallbackLevel.NO_MEDIA: (
        " Discord refused the whole card, so it has no pictures, and no links but its buttons."
    ),
    FallbackLevel.TEXT: " Discord refused the card, so it is plain text.",
}


def _discord(event: ChannelEvent) -> Iterator[EventStage]:
    card, held = event.card, event.held
    if card is not None:
        yield EventStage("Discord", *_card(card, event))
    elif held is not None:
        paused = event.followed.subscription.pause_reason is not None
        text = (
            "It is kept, and becomes a card when the channel continues."
            if paused
            else "It is kept, and is tried again "
            f"{moment_text(held.next_try_at, 'R')}, in its order."
        )
        yield EventStage("Discord", Mark.PAUSED if paused else Mark.WAITING, text)
    elif event.decided is None:
        yield EventStage("Discord", Mark.NOT_SHOWN, CARD_GONE)


CARD_GONE: Final = (
    "There is no card of it any more: it was kept for as long as the bot keeps such things, or the "
    "person who runs the bot deleted it."
)


def _card(card: CardStatus, event: ChannelEvent) -> tuple[Mark, str]:
    why = _why_not_sent(card)
    match card.state:
        case OutboxState.SENT:
            sent_at = card.sent_at or card.created_at
            after_s = (sent_at - event.received_at).total_seconds()
            when = f"{moment_text(sent_at, 'T')}, {_span(after_s)} after it came"
            form = FORMS[card.level]
            mark = Mark.DONE if card.level is FallbackLevel.FULL else Mark.PLAIN
            return mark, f"Discord took it {when}: {message_link(card)}.{form}"
        case OutboxState.UNDELIVERABLE:
            return Mark.FAILED, f"Discord did not take it. {why}"
        case OutboxState.WAITING if card.held:
            return Mark.PAUSED, f"Its card is kept until the channel continues. {why}".strip()
        case OutboxState.WAITING:
            due = card.due_at
            when = f" It is tried again {moment_text(due, 'R')}." if due is not None and why else ""
            return Mark.WAITING, f"Its card waits to be sent. {why}{when}".strip()


def _why_not_sent(card: CardStatus) -> str:
    stored = card.error if card.state is OutboxState.UNDELIVERABLE else card.channel_error
    if stored is None:
        return ""
    reason = SendReason.from_stored(stored)
    text = f"{escape_name(one_line(reason_text(reason)))}.".replace("..", ".")
    if reason.until is None:
        return text
    # A time that each reader sees as their own, in place of the one that is stored.
    return text.replace(escape_name(str(reason.facts["until"])), moment_text(reason.until, "f"))


def message_link(card: CardStatus) -> str:
    """The message that shows a card."""
    if card.message_id is None:
        return "its message"
    url = f"https://discord.com/channels/{card.guild_id}/{card.channel_id}/{card.message_id}"
    return f"[the message](<{url}>)"


def _span(seconds: float) -> str:
    for unit, unit_s in (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1)):
        if seconds >= 2 * unit_s:
            return f"{seconds // unit_s:.0f} {unit}"
    return "a second" if seconds >= 1 else "less than a second"
