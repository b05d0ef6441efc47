"""What happened to an event on its way, as sentences: each step of its trace has one."""

from collections.abc import Mapping
from typing import Final

from bot.model import PauseWhy
from bot.speckle.filters import FilterWhy
from bot.work import LateAddition, MissingWhy, TraceLine, TraceStep

STEPS: Final[Mapping[str, str]] = {
    TraceStep.NOT_A_DELIVERY: "The body is no Speckle delivery: {reason}.",
    TraceStep.READ: "Read as {kind}.",
    TraceStep.NOT_FOLLOWED: "No channel follows this project.",
    TraceStep.NOT_FOLLOWED_HERE: "No channel follows this project here.",
    TraceStep.SHOWN_BEFORE: "Not shown again: it came another way already.",
    TraceStep.SUBSCRIPTION_PAUSED: "Not shown: the subscription is paused.",
    TraceStep.BEFORE_FOLLOWING: "Not shown: it happened before the channel followed this.",
    TraceStep.FILTERED: "Not shown: {filter}.",
    TraceStep.FILTERED_AS_CONFIRMED: "Not shown: as Speckle tells it, {filter}.",
    TraceStep.WANTED: "Wanted: {filter}.",
    TraceStep.HELD_FOR_CONSENT: "Kept until somebody answers for it.",
    TraceStep.ACCESS_BY_LAST_YES: (
        "Speckle could not be asked who may still see the project{silence}: the last yes counts "
        "for an hour."
    ),
    TraceStep.ACCESS_UNKNOWN: (
        "Speckle or Discord could not be asked who may see it{silence}: the event waits."
    ),
    TraceStep.ACCESS_PAUSED: "Paused, and the event is kept: {pause}.",
    TraceStep.HOOK_NOT_SERVED: "Not shown: its webhook no longer speaks for this server.",
    TraceStep.BODY_ERASED: "Not shown: the event was kept too long, and has been erased.",
    TraceStep.FACTS_LATE: (
        "Speckle did not answer in time ({reason}). The card went out plain; the rest is filled "
        "in if the answer comes within a minute."
    ),
    TraceStep.FACTS_MISSING: "A plain card, because {missing}.",
    TraceStep.NO_FACTS: "Asked Speckle for more, and it knew no more.",
    TraceStep.FACTS_ADDED: "Asked Speckle for more, and added it.",
    TraceStep.PICTURE_NOT_YET: (
        "No picture yet: Speckle is making it. It is added for up to 15 minutes."
    ),
    TraceStep.PICTURE_LATE: (
        "No picture yet ({reason}). It is asked for again for up to 15 minutes."
    ),
    TraceStep.PICTURE_MISSING: "No picture, because {missing}.",
    TraceStep.NO_PICTURE: "No picture: Speckle shows none to whoever asks for this server.",
    TraceStep.PICTURE_ADDED: "With its picture.",
    TraceStep.NOTHING_CHANGED: "Not shown: nothing changed.",
    TraceStep.FILLED_IN: "Filled in {added} {after_s} s after the card was made.",
    TraceStep.NOT_FILLED_IN: "The card stays without {added}: {missing}.",
    TraceStep.FROM_HISTORY: "Fetched from the webhook's history: Speckle had not got it through.",
    TraceStep.FROM_ACTIVITY: (
        "Fetched from the project's activity list: no webhook had brought it."
    ),
    TraceStep.IN_ACTIVITY_TOO: (
        "The activity list tells it too; a webhook had brought it, as {inbox_id}."
    ),
}

FILTERS: Final[Mapping[str, str]] = {
    FilterWhy.NO_FILTER: "there is no filter",
    FilterWhy.ALL_PASSED: "it passes the filters",
    FilterWhy.EVENT_NOT_WANTED: "the channel follows {wanted}, and this is {kind}",
    FilterWhy.AUTHOR_IGNORED: "the channel ignores what {author} does",
    FilterWhy.PATTERN_FITS: "{model} fits the pattern {pattern}",
    FilterWhy.NO_PATTERN_FITS: "no model pattern of the channel fits {model}",
    FilterWhy.PATTERN_EXCLUDES: "the pattern {pattern} excludes {model}",
    FilterWhy.MODELS_NAMELESS: (
        "the event names its models by id alone, which no pattern can judge"
    ),
}

PAUSES: Final[Mapping[str, str]] = {
    PauseWhy.TOKEN_REFUSED: "Speckle no longer takes the token of the account that shows it here",
    PauseWhy.SCOPE_MISSING: "the token of the account that shows it here lacks a scope",
    PauseWhy.FORBIDDEN: "the account that shows it here may not see the project any more",
    PauseWhy.NOT_FOUND: "Speckle has no such project any more, or hides it from the account",
    PauseWhy.UNLINKED: "the account that showed it here, or made its webhook, was unlinked",
    PauseWhy.UNCONFIRMED: "the account that shows it here has to be confirmed by its person",
    PauseWhy.PERSON_LEFT: "the person whose account shows it here has left the server",
    PauseWhy.PERSON_BLIND: "the person whose account shows it here does not see the channel",
    PauseWhy.NOT_ANSWERED: "nobody who may see the project has agreed to showing it here",
    PauseWhy.FILTERS_WIDER: "the filters let through more than was agreed to",
    PauseWhy.AUDIENCE_WIDER: "more people see the channel than was agreed to",
    PauseWhy.TURNED_PRIVATE: "the project is no longer open to everybody, as it was when agreed to",
}

MISSING: Final[Mapping[str, str]] = {
    MissingWhy.TOKEN_REFUSED: (
        "Speckle no longer takes the token that it was asked with: link the account again"
    ),
    MissingWhy.SCOPE_MISSING: "the token that Speckle was asked with lacks {scope}",
    MissingWhy.FORBIDDEN: "the project is closed to the account, or to strangers if none is linked",
    MissingWhy.NOT_FOUND: "Speckle has no such thing any more, or hides it",
    MissingWhy.UNCONFIRMED: "Speckle knows of nothing like it that is as new as the event says",
    MissingWhy.UNREADABLE: "this Speckle server answers otherwise than the bot knows ({reason})",
    MissingWhy.OTHER: "{reason}",
    MissingWhy.NOTHING_MORE: "Speckle knew no more",
    MissingWhy.CONTRADICTED: "Speckle says otherwise than the event",
    MissingWhy.FILTERED: "as Speckle tells it, {filter}",
    MissingWhy.NO_CONSENT: "nobody has agreed to showing more of the project since",
    MissingWhy.NO_ACCESS: "the channel may not be shown more of the project at the moment",
    MissingWhy.TOO_LATE: "it did not come within {within}",
}

ADDED: Final[Mapping[str, str]] = {
    LateAddition.FACTS: "what Speckle adds",
    LateAddition.PICTURE: "its picture",
}

# Facts that are words, in an order in which each finds the texts of those that it names.
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "filter": FILTERS,
    "pause": PAUSES,
    "missing": MISSING,
    "added": ADDED,
}


def trace_text(line: TraceLine) -> str:
    """A line of a trace as a sentence; one that was stored as a sentence as it is."""
    sentence = STEPS.get(line.step)
    return line.step if sentence is None else sentence.format_map(_texts(line))


def _texts(line: TraceLine) -> Mapping[str, str]:
    texts = {name: str(value) for name, value in line.facts.items()}
    texts["silence"] = f" ({texts['silence']})" if "silence" in texts else ""
    for name, words in WORDS.items():
        text = words.get(texts.get(name, ""))  # none for a word of a newer version
        if text is not None:
            texts[name] = text.format_map(texts)
    return texts
