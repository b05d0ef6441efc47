"""What happened to an event on its way: words with facts, a line for each step.

Their sentences are in bot/trace_texts.py, and for the people of a channel in bot/cogs/events.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from bot.model import Subscription


class TraceStep(StrEnum):
    """What can happen to an event on its way; `bot/trace_texts.py` has a sentence for each."""

    NOT_A_DELIVERY = "not_a_delivery"
    READ = "read"
    NOT_FOLLOWED = "not_followed"
    NOT_FOLLOWED_HERE = "not_followed_here"
    SHOWN_BEFORE = "shown_before"
    SUBSCRIPTION_PAUSED = "subscription_paused"
    BEFORE_FOLLOWING = "before_following"
    FILTERED = "filtered"
    FILTERED_AS_CONFIRMED = "filtered_as_confirmed"  # as Speckle describes the event
    WANTED = "wanted"
    HELD_FOR_CONSENT = "held_for_consent"
    ACCESS_GRANTED = "access_granted"
    ACCESS_BY_LAST_YES = "access_by_last_yes"
    ACCESS_UNKNOWN = "access_unknown"
    ACCESS_PAUSED = "access_paused"
    HOOK_NOT_SERVED = "hook_not_served"
    BODY_ERASED = "body_erased"
    FACTS_LATE = "facts_late"
    FACTS_MISSING = "facts_missing"
    NO_FACTS = "no_facts"
    FACTS_ADDED = "facts_added"
    PICTURE_NOT_YET = "picture_not_yet"
    PICTURE_LATE = "picture_late"
    PICTURE_MISSING = "picture_missing"
    PICTURE_BLANK = "picture_blank"
    NO_PICTURE = "no_picture"
    PICTURE_ADDED = "picture_added"
    NOTHING_CHANGED = "nothing_changed"
    FILLED_IN = "filled_in"
    NOT_FILLED_IN = "not_filled_in"
    FROM_HISTORY = "from_history"
    FROM_ACTIVITY = "from_activity"
    HEARD = "heard"
    IN_ACTIVITY_TOO = "in_activity_too"


class MissingWhy(StrEnum):
    """Why a card does not get what Speckle could add."""

    TOKEN_REFUSED = "token_refused"  # noqa: S105  # no token
    SCOPE_MISSING = "scope_missing"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    UNCONFIRMED = "unconfirmed"
    UNREADABLE = "unreadable"
    OTHER = "other"
    NOTHING_MORE = "nothing_more"
    CONTRADICTED = "contradicted"
    FILTERED = "filtered"
    NO_CONSENT = "no_consent"
    NO_ACCESS = "no_access"
    BLANK = "blank"
    TOO_LATE = "too_late"
    SHOWN_ALREADY = "shown_already"
    OVERTAKEN = "overtaken"
    NOT_COMPARED = "not_compared"  # with why, a WhyNotCompared
    NO_CHECKS = "no_checks"


class ReadWith(StrEnum):
    """As whom Speckle is asked about an event."""

    ACCOUNT = "account"  # of the person who subscribed the channel
    OPERATOR = "operator"
    NO_TOKEN = "no_token"  # noqa: S105  # no token


class HeardBy(StrEnum):
    """What led to reading an event of a project that is live through an account."""

    RING = "ring"  # of the account's WebSocket
    TURN = "turn"  # of the account, which comes every few seconds
    LATER = "later"  # nobody could look when it happened


CATCH_UP_STAGE = "catch_up"  # of lines that say how an event came
NOTE_FACT = "note"  # what the card says too
TraceFacts = Mapping[str, int | str]
HEARD_FACT = "heard"  # a HeardBy
SUBSCRIPTIONS_FACT = "subscriptions"  # the ids of those that a line is about, with spaces between
THINGS_FACT = "things"  # the ids of what an event is about, with spaces between


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One stage of an event's way, for "why did I (not) get this".

    `step` is a TraceStep, or a whole sentence in rows that an older version wrote.
    """

    at: datetime
    stage: str
    step: str
    facts: TraceFacts = field(default_factory=dict)

    def to_json(self) -> list[Any]:
        """As the trace column holds it: [at, stage, step, facts]."""
        return [self.at.isoformat(), self.stage, self.step, dict(self.facts)]

    def concerns(self, subscription: Subscription) -> bool:
        """Whether it says something about an event on its way to this subscription's channel.

        What was asked as somebody concerns only those for whom it was asked.
        """
        facts = self.facts
        if SUBSCRIPTIONS_FACT in facts:
            return str(subscription.id) in str(facts[SUBSCRIPTIONS_FACT]).split()
        if "subscription_id" in facts:
            return facts["subscription_id"] == subscription.id
        if "guild_id" in facts:
            return facts["guild_id"] == subscription.guild_id and self.stage != "enrich"
        return "channel_id" not in facts or facts["channel_id"] == subscription.channel_id

    @classmethod
    def from_json(cls, data: Sequence[Any]) -> Self:
        """Back from the trace column."""
        at, stage, step, facts = data
        return cls(datetime.fromisoformat(at), stage, step, facts)
