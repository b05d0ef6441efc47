"""All that the sandbox Discord knows, in one place: who is there, what was said, what is open."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sandbox.discord import wire
from sandbox.discord.guilds import (
    Attachment,
    Changed,
    ChannelType,
    Directory,
    SandboxChannel,
    SandboxEmoji,
    SandboxGuild,
    SandboxMember,
    SandboxMessage,
    SandboxUser,
)
from sandbox.discord.ids import Ids
from sandbox.discord.interactions import FIRST_ANSWER_S, Interaction
from sandbox.discord.refusals import (
    MISSING_ACCESS,
    UNKNOWN_CHANNEL,
    UNKNOWN_GUILD,
    UNKNOWN_MESSAGE,
    Refusal,
)

NONCE_LIFE_S = 180.0  # "within the past few minutes", as Discord's documentation has it

Emit = Callable[[str, dict[str, Any], SandboxGuild | None], None]
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class DiscordWorld:
    """The state behind REST, gateway and driver; `clock` counts seconds."""

    token: str
    emit: Emit  # an event's name, its data, and the guild whose shard it goes to
    url: str = ""
    clock: Callable[[], float] = time.monotonic
    first_answer_s: float = FIRST_ANSWER_S
    ids: Ids = field(default_factory=Ids)
    directory: Directory = field(init=False)
    guilds: dict[int, SandboxGuild] = field(default_factory=dict)
    attachments: dict[int, Attachment] = field(default_factory=dict)
    emojis: dict[int, SandboxEmoji] = field(default_factory=dict)
    # Registered commands: of the application (None) and of single guilds, by id.
    commands: dict[int | None, dict[int, dict[str, Any]]] = field(default_factory=dict)
    interactions: dict[int, Interaction] = field(default_factory=dict)
    _nonces: dict[tuple[int, str], tuple[float, SandboxMessage]] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.directory = Directory(self.ids, self._on_change)

    @property
    def bot(self) -> SandboxUser:
        """The bot's own user."""
        return self.directory.bot

    @property
    def application_id(self) -> int:
        """The bot's application, which has its user's id."""
        return self.bot.id

    def _on_change(self, event: str, changed: Changed, guild: SandboxGuild) -> None:
        self.emit(event, wire.changed(changed) | {"guild_id": str(guild.id)}, guild)
        self.changed()

    # ── guilds, channels, messages, as the bot may ask for them ───────────────────────────────

    def guild(self, guild_id: int) -> SandboxGuild:
        """The guild; what the bot is not in does not exist for it."""
        found = self.guilds.get(guild_id)
        if found is None or not found.bot_inside:
            raise UNKNOWN_GUILD
        return found

    def channel(self, channel_id: int) -> SandboxChannel:
        """The channel, if the bot can see it."""
        found = self.directory.channels.get(channel_id)
        if found is None:
            raise UNKNOWN_CHANNEL
        if found.guild is None:
            return found
        if not found.guild.bot_inside or not found.guild.bot.sees(found):
            raise MISSING_ACCESS
        return found

    def message(self, channel: SandboxChannel, message_id: int) -> SandboxMessage:
        """A message of the channel."""
        found = channel.messages.get(message_id)
        if found is None:
            raise UNKNOWN_MESSAGE
        return found

    def private_channel(self, user_id: int) -> SandboxChannel:
        """The private conversation of the bot with this user."""
        user = self.directory.users.get(user_id)
        if user is None:
            raise Refusal(400, 50033, "Invalid Recipient(s)")
        for channel in self.directory.channels.values():
            if channel.recipient is user:
                return channel
        channel = SandboxChannel(
            self.ids.new_id(), user.name, ChannelType.DM, self.directory, None, recipient=user
        )
        self.directory.channels[channel.id] = channel
        return channel

    def remember_nonce(self, message: SandboxMessage) -> None:
        """Keep the nonce, so that the same one again gives this message."""
        if message.nonce is not None:
            self._nonces[message.channel.id, message.nonce] = (self.clock(), message)

    def message_of_nonce(self, channel: SandboxChannel, nonce: str | None) -> SandboxMessage | None:
        """The message that came with this nonce within the past few minutes."""
        at, message = self._nonces.get((channel.id, nonce or ""), (0.0, None))
        if message is None or self.clock() - at > NONCE_LIFE_S:
            return None
        return message

    # ── commands and interactions ─────────────────────────────────────────────────────────────

    def commands_of(self, guild: SandboxGuild | None) -> Iterator[dict[str, Any]]:
        """What there is in the guild: its own commands, then the application's, which alone are
        in a private conversation (None).
        """
        for owner in (guild.id, None) if guild is not None else (None,):
            yield from self.commands.get(owner, {}).values()

    def open_interaction(
        self,
        kind: int,
        channel: SandboxChannel,
        member: SandboxMember,
        source: SandboxMessage | None = None,
    ) -> Interaction:
        """A new interaction, to be answered within `first_answer_s`."""
        self._forget_old()
        opened = Interaction(
            self.ids.new_id(),
            secrets.token_urlsafe(48),
            kind,
            channel,
            member,
            source,
            self.clock(),
        )
        self.interactions[opened.id] = opened
        return opened

    def _forget_old(self) -> None:
        now = self.clock()
        for old in [one for one in self.interactions.values() if one.is_over(now)]:
            del self.interactions[old.id]
        for key in [key for key, (at, _) in self._nonces.items() if now - at > NONCE_LIFE_S]:
            del self._nonces[key]

    def interaction_of(self, token: str) -> Interaction | None:
        """The interaction with this token."""
        return next((one for one in self.interactions.values() if one.token == token), None)

    # ── waiting for what comes ────────────────────────────────────────────────────────────────

    def changed(self) -> None:
        """Wake all who wait for something to happen."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def next_change(self) -> None:
        """Wait until something happens."""
        await self._changed.wait()

    async def wait_until(self, found: Callable[[], T | None], timeout_s: float) -> T | None:
        """What `found` gives as soon as it is not None; None if the time runs out."""
        try:
            async with asyncio.timeout(timeout_s):
                while (value := found()) is None:
                    await self._changed.wait()
        except TimeoutError:
            return found()
        return value

    @contextmanager
    def told_afterwards(self) -> Iterator[None]:
        """Wake the waiting ones when the block is done."""
        try:
            yield
        finally:
            self.changed()

    def greet(self, guild: SandboxGuild) -> None:
        """Bring the bot into the guild."""
        guild.bot_inside = True
        self.guilds[guild.id] = guild
        self.emit("GUILD_CREATE", wire.guild_create(guild), guild)

    def dismiss(self, guild: SandboxGuild) -> None:
        """Take the bot out of the guild; all else stays there."""
        self.emit("GUILD_DELETE", {"id": str(guild.id)}, guild)
        guild.bot_inside = False
