"""What happened to an event on its way, as sentences: each step of its trace has one."""

from collections.abc import Mapping
from typing import Final

from bot.cards.what_changed import WHY_NOT
from bot.model import PauseWhy
from bot.services.channel_event import Outcome
from bot.speckle.filters import FilterWhy
from bot.trace import HEARD_FACT, HeardBy, MissingWhy, ReadWith, TraceLine, TraceStep
from bot.work import LateAddition

OUTCOMES: Final[Mapping[Outcome, str]] = {
    Outcome.SHOWN: "shown",
    Outcome.WAITING: "waiting",
    Outcome.PAUSED: "paused, and kept",
    Outcome.FILTERED: "filtered",
    Outcome.NOT_SHOWN: "not shown",
    Outcome.REFUSED: "refused by Discord",
}

STEPS: Final[Mapping[str, str]] = {
    TraceStep.NOT_A_DELIVERY: "The body is no Speckle delivery: {reason}.",
    TraceStep.READ: "Read as {kind}.",
    TraceStep.NOT_FOLLOWED: "No channel follows this project.",
    TraceStep.NOT_FOLLOWED_HERE: "No channel follows this project here.",
    TraceStep.SHOWN_BEFORE: "Not shown again: it came another way already.",
    TraceStep.SUBSCRIPTION_PAUSED: "Not shown: the subscription is paused.",
    TraceStep.BEFORE_FOLLOWING: "Not shown: it happened before the channel followed this.",
    TraceStep.FILTERED: "Not shown: {filter}.",
    TraceStep.FILTERED_AS_CONFIRMED: "Not shown: by what Speckle says, {filter}.",
    TraceStep.WANTED: "Wanted: {filter}.",
    TraceStep.HELD_FOR_CONSENT: "Kept until someone confirms who will see it.",
    TraceStep.ACCESS_GRANTED: "May be shown: {reader}.",
    TraceStep.ACCESS_BY_LAST_YES: (
        "Speckle does not say who can still see the project{silence}: its last yes is used for "
        "an hour."
    ),
    TraceStep.ACCESS_UNKNOWN: (
        "Speckle or Discord does not say who can see it{silence}: the event waits."
    ),
    TraceStep.ACCESS_PAUSED: "Paused, and the event is kept: {pause}.",
    TraceStep.HOOK_NOT_SERVED: "Not shown: its webhook no longer belongs to this server.",
    TraceStep.BODY_ERASED: (
        "Not shown: the event was kept for its whole retention period, and then deleted."
    ),
    TraceStep.FACTS_LATE: (
        "Speckle did not answer in time ({reason}), so the card is plain at first. The rest is "
        "added if the answer comes within an hour."
    ),
    TraceStep.FACTS_MISSING: "A plain card, because {missing}.",
    TraceStep.NO_FACTS: "Asked Speckle for more, and it had nothing to add.",
    TraceStep.FACTS_ADDED: "Asked Speckle for more, and added it.",
    TraceStep.PICTURE_NOT_YET: (
        "No picture yet: Speckle is making it. It is added for up to an hour."
    ),
    TraceStep.PICTURE_LATE: ("No picture yet ({reason}). It is asked for again for up to an hour."),
    TraceStep.PICTURE_MISSING: "No picture, because {missing}.",
    TraceStep.PICTURE_BLANK: "No picture: Speckle's shows nothing, it is transparent everywhere.",
    TraceStep.NO_PICTURE: (
        "No picture: Speckle shows none to the account that this server reads with."
    ),
    TraceStep.PICTURE_ADDED: "With its picture.",
    TraceStep.NOTHING_CHANGED: "Not shown: nothing changed.",
    TraceStep.FILLED_IN: "Added {added} {after_s} s after the card was made.",
    TraceStep.NOT_FILLED_IN: "The card stays without {added}: {missing}.",
    TraceStep.FROM_HISTORY: "Fetched from the webhook's history, as Speckle could not deliver it.",
    TraceStep.FROM_ACTIVITY: ("Fetched from the project's own lists, as no webhook had sent it."),
    TraceStep.HEARD: "Read in the project's own lists, with the account that listens to it{heard}.",
    TraceStep.IN_ACTIVITY_TOO: (
        "The project's lists have it too; a webhook had sent it already, as event {inbox_id}."
    ),
}

FILTERS: Final[Mapping[str, str]] = {
    FilterWhy.NO_FILTER: "there is no filter",
    FilterWhy.ALL_PASSED: "it passes the filters",
    FilterWhy.EVENT_NOT_WANTED: "the channel follows {wanted}, and this is {kind}",
    FilterWhy.AUTHOR_IGNORED: "the channel ignores what {author} does",
    FilterWhy.PATTERN_FITS: "{model} matches the pattern {pattern}",
    FilterWhy.NO_PATTERN_FITS: "no model pattern of the channel matches {model}",
    FilterWhy.PATTERN_EXCLUDES: "the pattern {pattern} excludes {model}",
    FilterWhy.MODELS_NAMELESS: (
        "the event names its models only by id, which patterns cannot compare"
    ),
    FilterWhy.COMES_WITH_COMMENT: (
        "the card of the comment says who is mentioned, and the channel gets that one"
    ),
}

PAUSES: Final[Mapping[str, str]] = {
    PauseWhy.TOKEN_REFUSED: "Speckle no longer accepts the token of the account that shows it here",
    PauseWhy.SCOPE_MISSING: "the token of the account that shows it here lacks a scope",
    PauseWhy.FORBIDDEN: "the account that shows it here can no longer see the project",
    PauseWhy.NOT_FOUND: "the account that shows it here no longer finds the project",
    PauseWhy.UNLINKED: "the account that showed it here, or made its webhook, was unlinked",
    PauseWhy.UNCONFIRMED: (
        "the database was restored, and the account that shows it here is not confirmed yet"
    ),
    PauseWhy.NOT_LIVE: "`who` in `[live]` does not let this account show the project live",
    PauseWhy.PERSON_LEFT: "the person whose account shows it here has left the server",
    PauseWhy.PERSON_BLIND: "the person whose account shows it here cannot see the channel",
    PauseWhy.NOT_ANSWERED: "nobody who can see the project has confirmed that it may be shown here",
    PauseWhy.FILTERS_WIDER: "the filters let through more than was agreed to",
    PauseWhy.AUDIENCE_WIDER: "more people can see the channel than when it was agreed to",
    PauseWhy.TURNED_PRIVATE: "the project is no longer public, as it was when it was agreed to",
}

MISSING: Final[Mapping[str, str]] = {
    MissingWhy.TOKEN_REFUSED: (
        "Speckle no longer accepts the token that it was asked with: link the account again"
    ),
    MissingWhy.SCOPE_MISSING: "the token that Speckle was asked with lacks {scope}",
    MissingWhy.FORBIDDEN: (
        "the account cannot see the project, or none is linked and the project is not public"
    ),
    MissingWhy.NOT_FOUND: "Speckle no longer has it, or does not show it",
    MissingWhy.UNCONFIRMED: "Speckle has nothing like it that is as new as the event says",
    MissingWhy.UNREADABLE: (
        "this Speckle server gives an answer that the bot does not know ({reason})"
    ),
    MissingWhy.OTHER: "{reason}",
    MissingWhy.NOTHING_MORE: "Speckle had nothing to add",
    MissingWhy.CONTRADICTED: "Speckle contradicts what the event says",
    MissingWhy.FILTERED: "by what Speckle says, {filter}",
    MissingWhy.NO_CONSENT: "nobody has confirmed that more of the project may be shown",
    MissingWhy.NO_ACCESS: "more of the project is not shown to the channel at the moment",
    MissingWhy.BLANK: "the picture shows nothing, it is transparent everywhere",
    MissingWhy.TOO_LATE: "it did not come within an hour",
    MissingWhy.SHOWN_ALREADY: "another card shows it already",
    MissingWhy.OVERTAKEN: "the next version came at once, and is compared in its place",
    MissingWhy.NOT_COMPARED: "the two cannot be compared: {why_not}",
    MissingWhy.NO_CHECKS: "the server knows of no automation that ran on this version",
}

READERS: Final[Mapping[str, str]] = {
    ReadWith.ACCOUNT: "the account of the person who subscribed the channel can see the project",
    ReadWith.OPERATOR: "it is read with the token of the person who runs the bot",
    ReadWith.NO_TOKEN: (
        "its webhook sent it, or everyone can see the project; Speckle is asked without an account"
    ),
}

ADDED: Final[Mapping[str, str]] = {
    LateAddition.FACTS: "what Speckle adds",
    LateAddition.PICTURE: "its picture",
    LateAddition.OBJECT_COUNT: "its number of objects",
    LateAddition.CHANGES: "what changed since the version before",
    LateAddition.CHECKS: "what its checks found",
    LateAddition.OPENED: "the line about it on the card of the version that it is on",
}

HEARD: Final[Mapping[str, str]] = {
    HeardBy.RING: "a WebSocket of that account rang",
    HeardBy.TURN: "at the account's turn, which comes every {every_s} s",
    HeardBy.LATER: (
        "afterwards, as the bot could not look when it happened. It was off, for example, or the "
        "channel was paused, or Speckle did not answer"
    ),
}

# Facts that are words, in an order in which each finds the texts of those that it names.
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "filter": FILTERS,
    "pause": PAUSES,
    "why_not": WHY_NOT,
    "missing": MISSING,
    "reader": READERS,
    "added": ADDED,
    HEARD_FACT: HEARD,
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
    texts[HEARD_FACT] = f": {texts[HEARD_FACT]}" if HEARD_FACT in texts else ""
    return texts
