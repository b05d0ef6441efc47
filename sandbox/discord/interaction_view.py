"""An answer as the member sees it: it grows while the bot edits it and follows up."""

from typing import Any

from sandbox.discord.client_errors import InteractionTimeout, NotOffered
from sandbox.discord.component_rules import walk
from sandbox.discord.guilds import Appearance, Attachment, SandboxMember, SandboxMessage
from sandbox.discord.interactions import Callback, Interaction
from sandbox.discord.json_types import JSON
from sandbox.discord.world import DiscordWorld


class InteractionView:
    """What came back to a command, a press, a choice or a form: always as it is now.

    A button that changes its own message gives that message; where nothing is shown (a deferred
    answer, a form) content is "" and the lists are empty.
    """

    def __init__(self, world: DiscordWorld, interaction: Interaction) -> None:
        self._world = world
        self.interaction = interaction

    def __repr__(self) -> str:
        kind = self.interaction.callback.name if self.interaction.callback else "none"
        return f"<Answer {kind} ephemeral={self.ephemeral} content={self.content!r}>"

    @property
    def message(self) -> SandboxMessage | None:
        """The message that is the answer; None for a form, or when it was deleted."""
        message = self.interaction.original
        return None if message is None or message.deleted else message

    @property
    def member(self) -> SandboxMember:
        """Who asked."""
        return self.interaction.member

    @property
    def ephemeral(self) -> bool:
        """Whether only the member sees it."""
        return self.message is not None and self.message.ephemeral

    @property
    def deferred(self) -> bool:
        """Whether it still says "… is thinking", or the promised change has not come."""
        thinking = self.message is not None and self.message.thinking
        return thinking or self.interaction.promised_change

    @property
    def updated(self) -> bool:
        """Whether it is a change of the message whose component was used."""
        return self.interaction.callback in (Callback.UPDATE, Callback.DEFER_UPDATE)

    @property
    def content(self) -> str:
        """The text; "" if there is none."""
        return self.message.content if self.message else ""

    @property
    def embeds(self) -> list[JSON]:
        """The embeds, as Discord's JSON."""
        return self.message.embeds if self.message else []

    @property
    def components(self) -> list[JSON]:
        """The rows of buttons and selects, as Discord's JSON."""
        return self.message.components if self.message else []

    def offers(self, label: str) -> bool:
        """Whether there is a button with this label."""
        return any(part.get("label") == label for part in walk(self.components))

    @property
    def files(self) -> list[Attachment]:
        """The files, with their bytes."""
        return self.message.files if self.message else []

    @property
    def edits(self) -> list[Appearance]:
        """What the message showed before each edit, the oldest first."""
        return self.message.edits if self.message else []

    @property
    def followups(self) -> list[SandboxMessage]:
        """The messages that came after it."""
        return [message for message in self.interaction.followups if not message.deleted]

    @property
    def modal(self) -> JSON | None:
        """The form that came instead of a message: title, custom_id, components."""
        return self.interaction.modal

    async def settled(self, timeout_s: float = 10.0) -> "InteractionView":
        """Wait until a deferred answer is there; at once if it is not deferred.

        Errors: InteractionTimeout.
        """
        await self._until(lambda: not self.deferred, timeout_s, "the deferred answer")
        return self

    async def wait_for_edits(self, count: int = 1, timeout_s: float = 5.0) -> "InteractionView":
        """Wait until it was edited that often; raises InteractionTimeout."""
        await self._until(lambda: len(self.edits) >= count, timeout_s, f"{count} edits")
        return self

    async def wait_for_followups(
        self, count: int = 1, timeout_s: float = 5.0
    ) -> list[SandboxMessage]:
        """Wait until that many messages have followed; raises InteractionTimeout."""
        await self._until(lambda: len(self.followups) >= count, timeout_s, f"{count} follow-ups")
        return self.followups

    async def _until(self, there: Any, timeout_s: float, what: str) -> None:
        found = await self._world.wait_until(lambda: True if there() else None, timeout_s)
        if not found:
            raise InteractionTimeout(f"{what} did not come within {timeout_s:g} s")

    def shown(self) -> SandboxMessage:
        """The message; raises NotOffered where there is none to press something on."""
        if self.message is None:
            raise NotOffered("the answer is no message")
        return self.message
