"""What came of making, changing or removing a webhook at Speckle, and what kept it from that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bot.errors import (
    AccountUnconfirmed,
    AccountUnopenable,
    SpeckleError,
    SpeckleForbidden,
    SpeckleNotFound,
    SpeckleScopeMissing,
    SpeckleServerLeftOut,
    SpeckleTokenRefused,
    SpeckleUnavailable,
)
from bot.model import HookTrouble
from bot.services.public_url import ProbeResult
from bot.speckle_api.types import RecordedCall


class WebhookChange(StrEnum):
    """What was done to a webhook at Speckle."""

    MADE = "made"
    FOUND = "found"  # somebody had made it by hand, or the bot was killed before it noted it
    MADE_AGAIN = "made_again"  # somebody had deleted it
    CHANGED = "changed"  # because the filters changed
    REPAIRED = "repaired"  # somebody had changed it
    NOTHING = "nothing"


class EnsureProblem(StrEnum):
    """What keeps the bot from making or changing a webhook."""

    NOT_OWNER = "not_owner"
    NO_SCOPE = "no_scope"
    UNOPENABLE = "unopenable"  # the bot's keys do not open the account's token
    UNCONFIRMED = (
        "unconfirmed"  # the database was restored, and its person has not confirmed it yet
    )
    TOKEN_REFUSED = "token_refused"  # noqa: S105  # no token
    UNREACHABLE = "unreachable"
    PROJECT_GONE = "project_gone"
    FULL = "full"
    SPECKLE_AWAY = "speckle_away"
    LEFT_OUT = "left_out"  # the bot's settings do not name the server any more
    REFUSED = "refused"


TROUBLES: Mapping[EnsureProblem, HookTrouble] = {
    EnsureProblem.NOT_OWNER: HookTrouble.NO_RIGHT,
    EnsureProblem.NO_SCOPE: HookTrouble.NO_RIGHT,
    EnsureProblem.UNOPENABLE: HookTrouble.UNOPENABLE,
    EnsureProblem.TOKEN_REFUSED: HookTrouble.TOKEN_REFUSED,
    EnsureProblem.PROJECT_GONE: HookTrouble.PROJECT_GONE,
    EnsureProblem.UNREACHABLE: HookTrouble.NOT_RESTORED,
    EnsureProblem.FULL: HookTrouble.NOT_RESTORED,
    EnsureProblem.REFUSED: HookTrouble.NOT_RESTORED,
}
"""What a problem means for a webhook that the bot has made; the others end by themselves."""


@dataclass(frozen=True, slots=True)
class Ensured:
    """The webhook is as it should be; `switched_off`: but for somebody who switched it off.

    `repaired` names what was not right, `duplicates` counts webhooks with the same address that
    were removed. `local_network`: Speckle's webhook-service needs ALLOW_LOCAL_NETWORK=true for it.
    `triggers` are what it sends now, `refused` those that the server has not got.
    """

    change: WebhookChange
    switched_off: bool = False
    repaired: tuple[str, ...] = ()
    duplicates: int = 0
    local_network: bool = False
    triggers: tuple[str, ...] = field(default=(), compare=False)
    refused: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class EnsureFailed:
    """The webhook could not be made or changed; `detail` is Speckle's word or a scope.

    `owners` are names whom to ask, if they are known; `made`: the bot has made one earlier.
    """

    why: EnsureProblem
    detail: str = ""
    owners: tuple[str, ...] = ()
    result: ProbeResult | None = None
    made: bool = False


@dataclass(frozen=True, slots=True)
class WebhookLook:
    """What a hook's webhook is like at Speckle, where one is `there`.

    `duplicates` counts others with its address; `calls` are the newest entries of its history, the
    newest first, and `total` counts all.
    """

    there: bool
    enabled: bool = True
    right_address: bool = True
    has_secret: bool = True
    triggers: tuple[str, ...] = ()
    duplicates: int = 0
    calls: tuple[RecordedCall, ...] = ()
    total: int = 0

    @property
    def last_call(self) -> RecordedCall | None:
        """The newest entry of its history."""
        return next(iter(self.calls), None)


class RemovalResult(StrEnum):
    """What became of a webhook that is no longer wanted."""

    REMOVED = "removed"
    LATER = "later"  # Speckle does not answer; it is tried again
    UNOPENABLE = "unopenable"  # the bot's keys do not open the account; it is tried again
    UNCONFIRMED = "unconfirmed"  # the account's person has not confirmed it yet; it is tried again
    BY_HAND = "by_hand"  # the account may not remove it any more


def problem_of(error: SpeckleError) -> EnsureProblem:
    """What a Speckle server's answer means for what was asked of it."""
    match error:
        case SpeckleServerLeftOut():
            return EnsureProblem.LEFT_OUT
        case SpeckleUnavailable():
            return EnsureProblem.SPECKLE_AWAY
        case AccountUnopenable():
            return EnsureProblem.UNOPENABLE
        case AccountUnconfirmed():
            return EnsureProblem.UNCONFIRMED
        case SpeckleTokenRefused():
            return EnsureProblem.TOKEN_REFUSED
        case SpeckleScopeMissing():
            return EnsureProblem.NO_SCOPE
        case SpeckleForbidden() | SpeckleNotFound():
            return EnsureProblem.NOT_OWNER
        case _:
            return EnsureProblem.REFUSED
