"""What can be the matter, as words with facts; `problem_texts.py` has a sentence for each word."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

ProblemFacts = Mapping[str, int | float | str]


class SendProblem(StrEnum):
    """Why something that was sent to Discord did not get there."""

    SLOWER = "slower"
    SLOWER_IN_CHANNEL = "slower_in_channel"
    ADDRESS_BLOCKED = "address_blocked"
    TOKEN_REFUSED = "token_refused"  # noqa: S105  # no token
    ANSWERED = "answered"
    REFUSED = "refused"  # with Discord's own words
    NOT_DISCORD = "not_discord"
    NO_ANSWER = "no_answer"
    NOT_REACHED = "not_reached"
    NOT_SECURE = "not_secure"
    UNREADABLE = "unreadable"
    FAILED = "failed"
    CANNOT_POST = "cannot_post"
    TIME_OUT = "time_out"
    PERSON_ERASED = "person_erased"
    PERSON_LEFT = "person_left"
    AS_WRITTEN = "as_written"  # a sentence that an older version stored


@dataclass(frozen=True, slots=True)
class SendReason:
    """Why something was not sent, with what is known of it."""

    problem: SendProblem
    facts: ProblemFacts = field(default_factory=dict)

    def to_facts(self) -> ProblemFacts:
        """In one mapping, as it is logged."""
        return {"reason": self.problem.value, **self.facts}

    @classmethod
    def from_facts(cls, stored: ProblemFacts) -> Self:
        """Back from `to_facts`."""
        facts = {name: value for name, value in stored.items() if name != "reason"}
        return cls(SendProblem(str(stored["reason"])), facts)

    @property
    def until(self) -> datetime | None:
        """When a moderator's time-out ends, if that is why."""
        is_time_out = self.problem is SendProblem.TIME_OUT
        return datetime.fromisoformat(str(self.facts["until"])) if is_time_out else None

    def to_stored(self) -> str:
        """As a column of texts holds it: the JSON of its facts."""
        return json.dumps(self.to_facts(), ensure_ascii=False)

    @classmethod
    def from_stored(cls, stored: str) -> Self:
        """Back from such a column; what this version did not write is a text.

        An older one left sentences there, a newer one may know other words.
        """
        try:
            return cls.from_facts(json.loads(stored))
        except (ValueError, LookupError, TypeError, AttributeError):
            return cls(SendProblem.AS_WRITTEN, {"text": stored})


class NotReadyWhy(StrEnum):
    """What keeps the bot from its work."""

    WRITE_TOO_SLOW = "write_too_slow"
    NOT_WRITABLE = "not_writable"
    NOT_READABLE = "not_readable"
    KEYS_MISSING = "keys_missing"
    DISCORD_TAKES_NOTHING = "discord_takes_nothing"
    DISCORD_TOKEN_REFUSED = "discord_token_refused"  # noqa: S105  # no token
    ADDRESS_BLOCKED = "address_blocked"
    TOO_MANY_REFUSED = "too_many_refused"
    LOGIN_FAILED = "login_failed"
    LOGIN_NOT_NOTED = "login_not_noted"
    LOGIN_REFUSED = "login_refused"
    GATEWAY_SESSIONS_USED_UP = "gateway_sessions_used_up"
    GATEWAY_TOKEN_REFUSED = "gateway_token_refused"  # noqa: S105  # no token
    GATEWAY_REFUSED = "gateway_refused"
    GATEWAY_NEVER_HEARD = "gateway_never_heard"
    GATEWAY_UNSTABLE = "gateway_unstable"
    GATEWAY_SILENT = "gateway_silent"
    STANDS_BY = "stands_by"


@dataclass(frozen=True, slots=True)
class NotReady:
    """One thing that keeps the bot from its work.

    Strangers may read what it says: it holds no path, no name and no secret.
    """

    why: NotReadyWhy
    facts: ProblemFacts = field(default_factory=dict)


class TroubleKind(StrEnum):
    """What the person who runs the bot has to know of, and can do something about."""

    SENDING_STOPPED = "sending_stopped"
    TOKEN_REFUSED = "token_refused"  # noqa: S105  # no token
    ADDRESS_BLOCKED = "address_blocked"
    GATEWAY_AWAY = "gateway_away"
    KEYS_MISSING = "keys_missing"
    DATABASE_NOT_WRITABLE = "database_not_writable"
    DISK_LOW = "disk_low"
    CATCH_UP_TOO_SHORT = "catch_up_too_short"
    SPECKLE_NOT_ANSWERING = "speckle_not_answering"
    BACKUP_TOO_OLD = "backup_too_old"


@dataclass(frozen=True, slots=True)
class ActiveTrouble:
    """One thing that is wrong now, with what is known of it.

    `facts` are those of `not_ready`, with its word as `problem`, where there is that. `subject`
    tells two of one kind apart, such as two Speckle servers. `not_ready` is what it keeps the bot
    from, where it does.
    """

    kind: TroubleKind
    facts: ProblemFacts = field(default_factory=dict)
    subject: str = ""
    not_ready: NotReady | None = None

    @property
    def key(self) -> tuple[TroubleKind, str]:
        """What makes it the same trouble as before, whatever its facts are now."""
        return self.kind, self.subject
