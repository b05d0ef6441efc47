"""One interaction: what a member did, and what the bot has answered so far."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from sandbox.discord.guilds import SandboxChannel, SandboxMember, SandboxMessage
from sandbox.discord.refusals import (
    ALREADY_ANSWERED,
    INVALID_WEBHOOK_TOKEN,
    UNKNOWN_INTERACTION,
    UNKNOWN_WEBHOOK,
)

FIRST_ANSWER_S = 3.0  # Discord's own
TOKEN_LIFE_S = 15 * 60.0


class Asked(IntEnum):
    """Interaction types."""

    COMMAND = 2
    COMPONENT = 3
    AUTOCOMPLETE = 4
    MODAL = 5


class Callback(IntEnum):
    """Interaction callback types."""

    PONG = 1
    MESSAGE = 4
    DEFER = 5
    DEFER_UPDATE = 6
    UPDATE = 7
    CHOICES = 8
    MODAL = 9


ON_COMPONENT = frozenset({Callback.DEFER_UPDATE, Callback.UPDATE})
ALLOWED = {
    Asked.COMMAND: frozenset({Callback.MESSAGE, Callback.DEFER, Callback.MODAL}),
    Asked.COMPONENT: ON_COMPONENT | {Callback.MESSAGE, Callback.DEFER, Callback.MODAL},
    Asked.AUTOCOMPLETE: frozenset({Callback.CHOICES}),
    Asked.MODAL: ON_COMPONENT | {Callback.MESSAGE, Callback.DEFER},
}


@dataclass(slots=True, eq=False)
class Interaction:
    """`source` is the message whose component was used; `focused` is the type of the option that
    is being typed; `opened_at` is in the world's seconds.
    """

    id: int
    token: str = field(repr=False)
    kind: int
    channel: SandboxChannel
    member: SandboxMember
    source: SandboxMessage | None
    opened_at: float
    focused: int | None = None
    command: str = ""  # the name of the command that was used
    callback: Callback | None = None
    original: SandboxMessage | None = None
    followups: list[SandboxMessage] = field(default_factory=list)
    choices: list[dict[str, Any]] = field(default_factory=list)
    modal: dict[str, Any] | None = None
    source_edits: int = field(init=False)  # of its message, before it was used

    def __post_init__(self) -> None:
        self.source_edits = 0 if self.source is None else len(self.source.edits)

    @property
    def promised_change(self) -> bool:
        """Whether the bot has promised to change the message, and has not done it."""
        source = self.source
        if self.callback is not Callback.DEFER_UPDATE or source is None or source.deleted:
            return False
        return len(source.edits) == self.source_edits and not self.followups

    def check_answerable(self, now: float, within_s: float) -> None:
        """Raise what Discord says to an answer that is too late or not the first."""
        if self.callback is not None:
            raise ALREADY_ANSWERED
        if now - self.opened_at > within_s:
            raise UNKNOWN_INTERACTION

    def is_over(self, now: float) -> bool:
        """Whether nothing can be said to it any more."""
        return now - self.opened_at > TOKEN_LIFE_S

    def check_token(self, now: float) -> None:
        """Raise what Discord says to a follow-up without a first answer, or after 15 minutes."""
        if self.is_over(now):
            raise INVALID_WEBHOOK_TOKEN
        if self.callback is None:
            raise UNKNOWN_WEBHOOK
