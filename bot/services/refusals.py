"""What a command refuses, as values: the cogs make the sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum, auto
from typing import TypeAlias

from bot.errors import BotError
from bot.permissions import ChannelKind, ChannelPermission
from bot.speckle.subscription_options import OptionProblem


class RefusalReason(Enum):
    """Refusals that need no further facts."""

    NOT_SERVER_MANAGER = auto()  # no Manage Server
    NOT_AUDITOR = auto()  # neither View Audit Log nor Manage Server
    SUBSCRIPTION_GONE = auto()
    SECRET_OF_OTHERS = auto()  # the webhook serves channels, too, that the caller does not manage
    SECRET_UNOPENABLE = auto()  # no encryption key opens it
    COMMAND_CLAIMED = auto()  # it is being done
    COMMAND_OVER = auto()  # it has run out, or is done
    COMMAND_OF_ANOTHER = auto()
    NO_CARD = auto()  # behind a message
    TEST_CARD = auto()
    NO_AUTHOR = auto()
    NO_MODEL = auto()
    TEST_TOO_SOON = auto()  # the channel had one within the last minute
    TEST_TOO_OFTEN = auto()  # the guild had very many within an hour
    TEST_WHILE_PAUSED = auto()
    TEST_WHILE_HELD = auto()  # events of the channel wait for somebody to be asked
    COMPARING_ALREADY = auto()  # the guild has as many comparisons under way as it may
    COMPARED_LATER = auto()  # it waits behind others for its turn
    SAME_VERSION = auto()


@dataclass(frozen=True, slots=True)
class NotManager:
    """The caller could not make a webhook for that channel by hand."""

    channel_id: int


@dataclass(frozen=True, slots=True)
class NotOneProject:
    """It is not clear which project of a channel is meant: it follows none of that name, or all of
    these `labels`. `named`: whether a project was asked for.
    """

    channel_id: int
    labels: tuple[str, ...] = ()
    named: bool = True


@dataclass(frozen=True, slots=True)
class ChannelNotSeen:
    """The caller does not see that channel."""

    channel_id: int


@dataclass(frozen=True, slots=True)
class NotAProject:
    """What was typed leads to no project; `why` is what the reader of links says."""

    why: str


@dataclass(frozen=True, slots=True)
class NoProjectCalled:
    """A name that none of the projects has that the caller may see, or several of them.

    `near` are such projects with nearly that name.
    """

    name: str
    several: bool = False
    near: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerNotAllowed:
    """The bot deals only with the `allowed` servers."""

    server_url: str
    allowed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProjectNotSeen:
    """There is no such project, or the caller's account may not see it: the same answer.

    `here`: the channel, which the caller manages, follows it and is paused.
    """

    server_url: str
    here: bool = False


@dataclass(frozen=True, slots=True)
class ProjectNotPublic:
    """It takes somebody who may see the project, whether there is one or not: the same answer."""

    server_url: str


class Limited(Enum):
    """Of what a guild may have only so many."""

    HOOKS = auto()
    SUBSCRIPTIONS = auto()


@dataclass(frozen=True, slots=True)
class NoProjectHere:
    """The channel follows nothing, and no project was named."""

    channel_id: int


@dataclass(frozen=True, slots=True)
class NeedsOwnAccount:
    """What is not public is read with the caller's own account, and they linked none there."""

    server_url: str


@dataclass(frozen=True, slots=True)
class OwnAccountNotTaken:
    """The caller's own account is one that the server, or the bot, does not take now."""

    server_url: str


class NotReadWhy(Enum):
    """Why nothing is read for a channel that follows the project."""

    NO_HISTORY = auto()  # the caller may not read its earlier messages
    PAUSED = auto()
    NO_VERSIONS = auto()  # its filters leave them out
    NO_ACCOUNT = auto()
    NO_ACCESS = auto()  # the rule, or Speckle, lets its account see nothing
    NOT_NOW = auto()  # nobody could be asked


@dataclass(frozen=True, slots=True)
class ChannelNotRead:
    """The channel follows the project, and nothing is read for it now; nor has the caller an
    account of their own.
    """

    channel_id: int
    why: NotReadWhy


@dataclass(frozen=True, slots=True)
class NoSuchModel:
    """The project has no model of that name that may be shown; `near` are some that it has."""

    name: str
    near: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoSuchVersion:
    """What was typed is no version that may be shown, or is said of several."""

    name: str
    several: bool = False


@dataclass(frozen=True, slots=True)
class NoVersions:
    """There is no version, or none that may be shown."""


@dataclass(frozen=True, slots=True)
class NoRoom:
    """One more would be over the guild's quota."""

    of: Limited
    used: int
    limit: int


class Obstacle(StrEnum):
    """What keeps the bot from posting in a channel; stored with what it pauses."""

    WRONG_KIND = "wrong_kind"
    PERMISSIONS = "permissions"
    NOT_IN_THREAD = "not_in_thread"
    LOCKED = "locked"
    ARCHIVED = "archived"
    TIME_OUT = "time_out"


class Retry(Enum):
    """What to do again once an obstacle is out of the way."""

    SUBSCRIBE = auto()
    SETTINGS = auto()
    RESUME = auto()
    TEST = auto()
    BUTTON = auto()


@dataclass(frozen=True, slots=True)
class CannotPost:
    """The bot could not show a card there.

    `missing` are the permissions that it needs, `until` is the end of a moderator's time-out;
    `retry` is None where nobody has asked for anything.
    """

    channel_id: int
    kind: ChannelKind
    obstacle: Obstacle
    missing: tuple[ChannelPermission, ...] = ()
    until: datetime | None = None
    retry: Retry | None = None

    def to_facts(self) -> Mapping[str, str]:
        """What is stored with a pause that it causes."""
        missing = ", ".join(self.missing)
        return {"obstacle": self.obstacle.value, "kind": self.kind.value, "missing": missing}


Refusal: TypeAlias = (
    RefusalReason
    | NotManager
    | NotOneProject
    | ChannelNotSeen
    | NotAProject
    | NoProjectCalled
    | ServerNotAllowed
    | OptionProblem
    | ProjectNotSeen
    | ProjectNotPublic
    | NoProjectHere
    | NeedsOwnAccount
    | OwnAccountNotTaken
    | ChannelNotRead
    | NoSuchModel
    | NoSuchVersion
    | NoVersions
    | NoRoom
    | CannotPost
)


class CommandRefused(BotError):
    """A command cannot do what was asked; nothing was changed."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal
