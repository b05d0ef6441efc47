"""What storage keeps and all rooms speak of: who sees a channel, and what a person agreed to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from bot.speckle.subscription_options import SubscriptionOptions, TypedOptions


@dataclass(frozen=True, slots=True)
class Audience:
    """Who can see a channel, by its permissions; administrators can in any case.

    `everyone` in the server, else who has one of `roles` or is one of `members`. `parent_id` is
    the channel that decides for a thread; a private thread's people are not known (`in_thread`),
    but whoever manages threads sees it too. Messages of an `announcement` channel can be published
    to other servers, which follow it without anybody here knowing.
    """

    everyone: bool
    roles: tuple[int, ...] = ()
    members: tuple[int, ...] = ()
    parent_id: int | None = None
    in_thread: bool = False
    people: int | None = None  # in the whole server
    announcement: bool = False

    def goes_beyond(self, agreed: "Audience") -> bool:
        """Whether somebody may see the channel now who could not when `agreed` was read."""
        if self.announcement and not agreed.announcement:
            return True
        if self.in_thread or agreed.everyone:
            return False
        if self.everyone:
            return True
        return not (set(self.roles) <= set(agreed.roles)) or not (
            set(self.members) <= set(agreed.members)
        )

    def to_json(self) -> dict[str, Any]:
        """As the database keeps it; how many people there were is not kept."""
        return {
            "everyone": self.everyone,
            "roles": list(self.roles),
            "members": list(self.members),
            "in_thread": self.in_thread,
            "announcement": self.announcement,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Back from the database."""
        return cls(
            everyone=data["everyone"],
            roles=tuple(data["roles"]),
            members=tuple(data["members"]),
            in_thread=data["in_thread"],
            announcement=data["announcement"],
        )


class Standing(StrEnum):
    """What entitled a person to answer for a project."""

    OWNER = "owner"  # their linked account may manage the project's webhooks
    READER = "reader"  # their linked account may see the project
    MANAGER = "manager"  # Manage Webhooks in the whole Discord server, no account
    ANYONE = "anyone"  # none of these: the project was public


@dataclass(frozen=True, slots=True)
class Consent:
    """A person's answer to "who will see this project here", kept with one subscription.

    `by` is their Discord id. It covers events within `options`, in a channel that nobody beyond
    `audience` can see (None: not looked at), of a project as open as `visibility` says (None: not
    known, which counts as private). `project_name` is what the person's account called it.
    `unlinked`: the account that it was given with was unlinked since, so that it no longer covers
    a private project.
    """

    by: int
    at: datetime
    standing: Standing
    options: SubscriptionOptions
    visibility: str | None = None
    audience: Audience | None = None
    project_name: str | None = None
    unlinked: bool = False

    def to_json(self) -> dict[str, Any]:
        """As the database keeps it."""
        return {
            "by": self.by,
            "at": self.at.isoformat(),
            "standing": self.standing.value,
            **self.options.to_json(),
            "visibility": self.visibility,
            "audience": None if self.audience is None else self.audience.to_json(),
            "project_name": self.project_name,
            "unlinked": self.unlinked,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Back from the database."""
        audience = data["audience"]
        return cls(
            by=data["by"],
            at=datetime.fromisoformat(data["at"]),
            standing=Standing(data["standing"]),
            options=SubscriptionOptions.from_json(data),
            visibility=data["visibility"],
            audience=None if audience is None else Audience.from_json(audience),
            project_name=data["project_name"],
            unlinked=data.get("unlinked", False),  # older answers do not say
        )


class PauseWhy(StrEnum):
    """Why a subscription may not be shown its project any more, or not yet."""

    # Of the account that shows the project in the channel.
    TOKEN_REFUSED = "token_refused"  # noqa: S105
    SCOPE_MISSING = "scope_missing"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    UNLINKED = "unlinked"
    UNCONFIRMED = "unconfirmed"  # the database was restored, and its person has yet to confirm
    # Of the person whose account it is.
    PERSON_LEFT = "person_left"
    PERSON_BLIND = "person_blind"  # they no longer see the channel
    # Of the answer.
    NOT_ANSWERED = "not_answered"
    FILTERS_WIDER = "filters_wider"
    AUDIENCE_WIDER = "audience_wider"
    TURNED_PRIVATE = "turned_private"


@dataclass(frozen=True, slots=True)
class PendingSubscribe:
    """A /subscribe that waits: for an account to be linked, or for a yes to who will see it.

    `options` are as typed. `audiences` are the channels that the question named, with who could
    see each of them when it was asked; `excluded` are those that the answer is not to cover.
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
        )
