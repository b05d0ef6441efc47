"""What each step of an event's trace means to the people of a channel, and where its way ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from string import Formatter
from typing import Final

from bot.cards.text import escape_name, one_line, shorten_plain
from bot.cards.what_changed import WHY_NOT
from bot.model import PauseReason
from bot.speckle.filters import FilterWhy
from bot.trace import MissingWhy, ReadWith, TraceLine, TraceStep
from bot.trace_texts import ADDED, PAUSES

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


class StageName(StrEnum):
    """The stages of an event's way, in their order."""

    RECEIVED = "Received"
    UNDERSTOOD = "Understood"
    WANTED = "What this channel wants"
    ACCESS = "Who may see it"
    DETAILS = "Details from Speckle"
    DISCORD = "Discord"


@dataclass(frozen=True, slots=True)
class StepText:
    """A step's stage and sentence, and the `mark` of a stage that ends with it.

    Where the event ends with it, `short` says so in a list, and `then` what to do.
    """

    stage: StageName
    text: str
    mark: Mark = Mark.DONE
    short: str = ""
    then: str = ""


@dataclass(frozen=True, slots=True)
class FilterText:
    """Why filters decided as they did, and the `option` of the subscription that decided.

    `unnamed` is for readers who may not know the names in it, and for traces without them.
    """

    text: str
    option: str | None = None
    short: str = ""
    unnamed: str = ""


STEPS: Final[Mapping[str, StepText]] = {
    TraceStep.NOT_A_DELIVERY: StepText(
        StageName.UNDERSTOOD,
        "The bot could not read it: it has no form that Speckle is known to send.",
        mark=Mark.FAILED,
        short="not readable",
        then="Tell the person who runs the bot: a newer Speckle server may send a new form. "
        "`events show {id}` shows them the rest.",
    ),
    TraceStep.NOT_FOLLOWED: StepText(
        StageName.WANTED,
        "When it came, no channel followed this project.",
        mark=Mark.NOT_SHOWN,
        short="nobody followed it",
    ),
    TraceStep.NOT_FOLLOWED_HERE: StepText(
        StageName.WANTED,
        "When it came, no channel of this server followed this project.",
        mark=Mark.NOT_SHOWN,
        short="nobody followed it",
    ),
    TraceStep.SHOWN_BEFORE: StepText(
        StageName.WANTED,
        "It came another way already, and is shown once only{shown_as}.",
        mark=Mark.NOT_SHOWN,
        short="shown already",
        then="Nothing: the channel has it.",
    ),
    TraceStep.SUBSCRIPTION_PAUSED: StepText(
        StageName.WANTED,
        "{paused_for}, and what happens during such a pause is not shown later.",
        mark=Mark.NOT_SHOWN,
        short="during a pause",
        then="Look in Speckle for what happened during the pause. {state}",
    ),
    TraceStep.BEFORE_FOLLOWING: StepText(
        StageName.WANTED,
        "It happened before this channel followed the project.",
        mark=Mark.NOT_SHOWN,
        short="before it was followed",
        then="Nothing. Speckle still shows what happened before.",
    ),
    TraceStep.FILTERED: StepText(StageName.WANTED, "{filter}", mark=Mark.FILTERED),
    TraceStep.FILTERED_AS_CONFIRMED: StepText(
        StageName.WANTED, "Speckle was asked about it. {filter}", mark=Mark.FILTERED
    ),
    TraceStep.WANTED: StepText(StageName.WANTED, "{filter}"),
    TraceStep.NOTHING_CHANGED: StepText(
        StageName.WANTED,
        "Something was saved in Speckle, but nothing that a card would show has changed.",
        mark=Mark.NOT_SHOWN,
        short="nothing changed",
        then="Nothing.",
    ),
    TraceStep.HELD_FOR_CONSENT: StepText(
        StageName.ACCESS,
        "It was kept until someone confirms who will see it here.",
        mark=Mark.PAUSED,
    ),
    TraceStep.ACCESS_GRANTED: StepText(StageName.ACCESS, "{reader}"),
    TraceStep.ACCESS_BY_LAST_YES: StepText(
        StageName.ACCESS,
        "Speckle did not answer. It had said yes less than an hour before, which counted.",
    ),
    TraceStep.ACCESS_UNKNOWN: StepText(
        StageName.ACCESS,
        "Speckle or Discord did not say who can see it, so it had to wait. The bot asks again "
        "automatically.",
        mark=Mark.WAITING,
    ),
    TraceStep.ACCESS_PAUSED: StepText(
        StageName.ACCESS, "The channel was paused, and the event kept: {pause}.", mark=Mark.PAUSED
    ),
    TraceStep.HOOK_NOT_SERVED: StepText(
        StageName.ACCESS,
        "Its webhook no longer belongs to this Discord server.",
        mark=Mark.NOT_SHOWN,
        short="webhook moved",
        then="Use `/subscribe` again here, so that the project has a webhook.",
    ),
    TraceStep.BODY_ERASED: StepText(
        StageName.ACCESS,
        "It was kept for as long as the bot keeps events, and then deleted.",
        mark=Mark.NOT_SHOWN,
        short="kept, then deleted",
    ),
    TraceStep.FACTS_LATE: StepText(
        StageName.DETAILS,
        "Speckle did not answer in time, so the card came without what only Speckle can add.",
        mark=Mark.PLAIN,
    ),
    TraceStep.FACTS_MISSING: StepText(
        StageName.DETAILS, "The card lacks what only Speckle can add: {missing}.", mark=Mark.PLAIN
    ),
    TraceStep.NO_FACTS: StepText(
        StageName.DETAILS, "Speckle was asked for more, and had nothing to add."
    ),
    TraceStep.FACTS_ADDED: StepText(
        StageName.DETAILS, "Speckle was asked for more, and it was added."
    ),
    TraceStep.PICTURE_NOT_YET: StepText(
        StageName.DETAILS,
        "Speckle was still making the picture. The bot asks again for an hour.",
        mark=Mark.WAITING,
    ),
    TraceStep.PICTURE_LATE: StepText(
        StageName.DETAILS,
        "Speckle did not send the picture. The bot asks again for an hour.",
        mark=Mark.WAITING,
    ),
    TraceStep.PICTURE_MISSING: StepText(
        StageName.DETAILS, "There is no picture: {missing}.", mark=Mark.PLAIN
    ),
    TraceStep.PICTURE_BLANK: StepText(
        StageName.DETAILS, "There is no picture: Speckle's shows nothing."
    ),
    TraceStep.NO_PICTURE: StepText(
        StageName.DETAILS, "There is no picture: Speckle shows none to who was asked with."
    ),
    TraceStep.PICTURE_ADDED: StepText(StageName.DETAILS, "It has its picture."),
    TraceStep.FILLED_IN: StepText(StageName.DETAILS, "Later, {added} came and was added."),
    TraceStep.NOT_FILLED_IN: StepText(
        StageName.DETAILS, "The card stays without {added}: {missing}.", mark=Mark.PLAIN
    ),
}
FILTERS: Final[Mapping[str, FilterText]] = {
    FilterWhy.NO_FILTER: FilterText(
        "This channel has no filter: it wants everything of the project."
    ),
    FilterWhy.ALL_PASSED: FilterText("It passes all filters of this channel."),
    FilterWhy.EVENT_NOT_WANTED: FilterText(
        "This channel follows {wanted}, and this is *{kind}*.",
        option="events",
        unnamed="This channel does not follow events of this kind.",
    ),
    FilterWhy.AUTHOR_IGNORED: FilterText(
        "This channel ignores what {author} does.",
        option="ignore_authors",
        unnamed="This channel ignores what its author does.",
    ),
    FilterWhy.PATTERN_FITS: FilterText(
        "{model} fits {pattern}, which this channel follows.",
        option="models",
        unnamed="Its model is one of those that this channel follows.",
    ),
    FilterWhy.NO_PATTERN_FITS: FilterText(
        "{model} fits none of the models that this channel follows.",
        option="models",
        unnamed="Its model is none of those that this channel follows.",
    ),
    FilterWhy.PATTERN_EXCLUDES: FilterText(
        "{pattern} leaves out {model}.",
        option="models",
        unnamed="Its model is one of those that this channel leaves out.",
    ),
    FilterWhy.MODELS_NAMELESS: FilterText(
        "Speckle did not say what its model is called, so it could not be compared with the models "
        "that this channel follows. Then it is shown.",
        option="models",
    ),
    FilterWhy.COMES_WITH_COMMENT: FilterText(
        "It says that somebody was mentioned. The card of the comment itself says that already, "
        "and this channel gets that one.",
        short="its comment is shown",
    ),
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
# One text for both: who asks for a project by its id learns nowhere whether there is one.
NOT_SEEN: Final = (
    "Speckle has nothing like it, or does not show it: the linked account cannot see it, or none "
    "is linked and the project is not public; `/link` and `/subscribe` change that"
)
MISSING: Final[Mapping[str, str]] = {
    MissingWhy.TOKEN_REFUSED: (
        "Speckle no longer accepts the linked account; its person types `/link` again"
    ),
    MissingWhy.SCOPE_MISSING: "the linked account's token lacks a scope; its person types `/link`",
    MissingWhy.FORBIDDEN: NOT_SEEN,
    MissingWhy.NOT_FOUND: NOT_SEEN,
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
    MissingWhy.OVERTAKEN: "the next version came at once, and is compared in its place",
    MissingWhy.NOT_COMPARED: "{why_not}",
    MissingWhy.NO_CHECKS: "no automation ran on this version",
}
PAUSED_FOR: Final[Mapping[str, str]] = {
    PauseReason.MEMBER: "Someone had paused this project here",
    PauseReason.PROJECT_DELETED: "The project had been deleted in Speckle",
}
WAS_PAUSED: Final = "The project was paused here"
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "reader": READERS,
    "pause": PAUSES,
    "why_not": WHY_NOT,
    "missing": MISSING,
    "added": ADDED,
}


def step_text(line: TraceLine, shown_as: str = "") -> str:
    """A line of the trace as the people of the channel read it."""
    texts = {"shown_as": shown_as}
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
    texts["filter"] = _filter_text(str(line.facts.get("filter", "")), texts)
    return STEPS[line.step].text.format_map(texts).strip()


def _filter_text(why: str, texts: Mapping[str, str]) -> str:
    by = FILTERS.get(why)
    if by is None:
        return ""
    names = {name for _, name, _, _ in Formatter().parse(by.text) if name is not None}
    return by.text.format_map(texts) if names <= texts.keys() else by.unnamed


def short_text(line: TraceLine) -> str:
    """Why it ended there, in the few words that fit into a list."""
    by = FILTERS.get(str(line.facts.get("filter", "")))
    if by is None:
        return STEPS[line.step].short
    return by.short if by.option is None else f"by `{by.option}`"


def option_of(line: TraceLine) -> str | None:
    """The option of the subscription that decided a line, by its name."""
    by = FILTERS.get(str(line.facts.get("filter", "")))
    return None if by is None else by.option


def name_of(text: str) -> str:
    """A name of others in a sentence."""
    return f"*{escape_name(shorten_plain(one_line(text), MAX_VALUE))}*"


def _code(text: str) -> str:
    return "`" + shorten_plain(one_line(text), MAX_VALUE).replace("`", "ˋ") + "`"
