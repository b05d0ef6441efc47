"""What waits for a person: an account to be linked, a command for an answer or an account."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from bot.permissions import Audience
from bot.speckle.subscription_options import TypedOptions
from bot.speckle.tokens import Tokens


@dataclass(frozen=True, slots=True)
class PendingSubscribe:
    """A /subscribe that waits: for an account to be linked, or for a yes to who will see it.

    `options` are as typed. `audiences` are the channels that the question named, with who could
    see each of them when it was asked; `excluded` are those that the answer is not to cover.
    `undoes`: what has to be set still, where this is to undo it. `defaulted` are options that
    nobody typed: they are the server's default filters.
    """

    user_id: int
    guild_id: int
    channel_id: int
    server_url: str
    project: str
    options: TypedOptions
    by_hand: bool = False
    resume: bool = True
    excluded: frozenset[int] = frozenset()
    audiences: Mapping[int, Audience | None] = field(default_factory=dict)
    undoes: TypedOptions = field(default_factory=dict)
    defaulted: frozenset[str] = frozenset()

    @property
    def others(self) -> frozenset[int]:
        """The other channels that the question named."""
        return frozenset(self.audiences) - {self.channel_id}

    @property
    def agreed(self) -> Mapping[int, Audience | None]:
        """What a yes means: the channels, with who could see them when it was asked."""
        return {one: seen for one, seen in self.audiences.items() if one not in self.excluded}

    def to_json(self) -> dict[str, Any]:
        """As the database keeps it, but for whose it is."""
        return {
            "guild": self.guild_id,
            "channel": self.channel_id,
            "server": self.server_url,
            "project": self.project,
            "options": dict(self.options),
            "by_hand": self.by_hand,
            "resume": self.resume,
            "excluded": sorted(self.excluded),
            "audiences": {
                str(channel_id): None if seen is None else seen.to_json()
                for channel_id, seen in self.audiences.items()
            },
            "undoes": dict(self.undoes),
            "defaulted": sorted(self.defaulted),
        }

    @classmethod
    def from_json(cls, user_id: int, data: Mapping[str, Any]) -> Self:
        """Back from the database."""
        return cls(
            user_id=user_id,
            guild_id=data["guild"],
            channel_id=data["channel"],
            server_url=data["server"],
            project=data["project"],
            options=data["options"],
            by_hand=data["by_hand"],
            resume=data["resume"],
            excluded=frozenset(data["excluded"]),
            audiences={
                int(channel_id): None if seen is None else Audience.from_json(seen)
                for channel_id, seen in data["audiences"].items()
            },
            undoes=data.get("undoes", {}),
            defaulted=frozenset(data.get("defaulted", ())),
        )


LINK_VALID = timedelta(minutes=15)

# A process that claimed a request and was killed, or lost the database, blocks it only so long.
# All that is asked of Speckle meanwhile has less time.
CLAIM_HOLDS = timedelta(minutes=1)

# For what is left to do once the account is there: notify the person, run the pending command.
NOTIFY_WITHIN = timedelta(hours=1)


def is_claimed(used_at: datetime | None, now: datetime) -> bool:
    """Whether somebody is about to bring a request to its end, or has done so."""
    return used_at is not None and used_at > now - CLAIM_HOLDS


@dataclass(frozen=True, slots=True)
class LinkDetails:
    """What is sealed in a link request.

    `person` is the Discord name that the page shows, `answer_to` where the person is notified
    of how it went, `pending` the token of a command that continues once there is an account.
    `challenge` and `cookie_digest` are of the sign-in under way, and so is `verifier`, where the
    server takes one; `tokens` came out of it, while it could not be asked whose they are.
    `notified`: the person knows that the account is linked.
    """

    person: str = ""
    pending: str | None = field(default=None, repr=False)
    answer_to: Mapping[str, str] | None = field(default=None, repr=False)
    challenge: str | None = field(default=None, repr=False)
    verifier: str | None = field(default=None, repr=False)
    cookie_digest: str | None = field(default=None, repr=False)
    tokens: Tokens | None = field(default=None, repr=False)
    notified: bool = False


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """One person's wish to link an account on one server.

    `used_at` is set while a sign-in comes to its end (for a minute), and permanently if it
    did; `account_id` once there is an account, until that is followed up.
    """

    nonce_digest: str
    discord_user_id: int
    server_url: str
    details: LinkDetails = field(repr=False)
    expires_at: datetime
    used_at: datetime | None
    account_id: int | None
