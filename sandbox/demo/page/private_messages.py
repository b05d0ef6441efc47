"""What a message's place in the channel does not say: who alone sees it, and what it answers.

The sandbox forgets an interaction after its 15 minutes; a person still reads its answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sandbox.discord import SandboxChannel, SandboxMessage, SandboxUser
from sandbox.discord.interactions import Callback, Interaction
from sandbox.discord.world import DiscordWorld


@dataclass(frozen=True, slots=True)
class FailedCommand:
    """A command that got no answer, as the one who typed it sees it."""

    id: int
    channel: SandboxChannel
    member_id: int
    command: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CommandUse:
    """Who used a command, which a message answers."""

    by: SandboxUser
    command: str


class PrivateMessages:
    """Answers that one member alone sees, until that member dismisses them."""

    def __init__(self, world: DiscordWorld) -> None:
        self._world = world
        self._shown: dict[int, tuple[int, SandboxMessage | FailedCommand]] = {}
        self._dismissed: set[int] = set()
        self.used: dict[int, CommandUse] = {}
        self.answered: dict[int, SandboxMessage] = {}

    def gather(self) -> None:
        """Take in what was answered since."""
        for asked in self._world.interactions.values():
            for message in _answers(asked):
                self._take(asked, message)

    def _take(self, asked: Interaction, message: SandboxMessage) -> None:
        if message.id in self.used or message.id in self.answered:
            return
        if message is asked.original and asked.command:
            self.used[message.id] = CommandUse(asked.member.user, asked.command)
        elif (before := _before(asked, message)) is not None:
            self.answered[message.id] = before
        if message.ephemeral and message.id not in self._dismissed:
            self._shown[message.id] = (asked.member.id, message)

    def failed(self, failed: FailedCommand) -> None:
        """Show a command that got no answer."""
        self._shown[failed.id] = (failed.member_id, failed)

    def of(
        self, member_id: int, channel: SandboxChannel
    ) -> Sequence[SandboxMessage | FailedCommand]:
        """What this member alone sees in the channel."""
        self.gather()
        return [
            one
            for owner, one in self._shown.values()
            if owner == member_id and one.channel is channel and not _is_gone(one)
        ]

    def find(self, member_id: int, message_id: int) -> SandboxMessage | None:
        """One of the member's own messages, that is still shown."""
        owner, found = self._shown.get(message_id, (0, None))
        if owner != member_id or not isinstance(found, SandboxMessage) or found.deleted:
            return None
        return found

    def dismiss(self, member_id: int, message_id: int) -> bool:
        """Hide one of the member's own; False if there is none."""
        if self._shown.get(message_id, (0, None))[0] != member_id:
            return False
        del self._shown[message_id]
        self._dismissed.add(message_id)
        return True


def _answers(asked: Interaction) -> Sequence[SandboxMessage]:
    """The messages that came for this interaction; not one that it only changed."""
    changed = asked.callback in (Callback.UPDATE, Callback.DEFER_UPDATE)
    first = () if changed or asked.original is None else (asked.original,)
    return (*first, *asked.followups)


def _before(asked: Interaction, message: SandboxMessage) -> SandboxMessage | None:
    """What the message is a reply to."""
    return asked.source if message is asked.original else asked.original


def _is_gone(one: SandboxMessage | FailedCommand) -> bool:
    return isinstance(one, SandboxMessage) and one.deleted
