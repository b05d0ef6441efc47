"""The sandbox Discord as one thing: start it, put guilds into it, act in it, look at it."""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Self

from sandbox.discord.client_errors import NotEnough
from sandbox.discord.driver import Driver
from sandbox.discord.faults import DiscordFaults
from sandbox.discord.gateway_server import GatewayServer
from sandbox.discord.guilds import SandboxChannel, SandboxGuild, SandboxMember, SandboxMessage
from sandbox.discord.http_api import API, Server
from sandbox.discord.ids import Ids
from sandbox.discord.interaction_view import InteractionView
from sandbox.discord.interactions import FIRST_ANSWER_S
from sandbox.discord.options import all_offered
from sandbox.discord.rate_limits import RateLimitBuckets
from sandbox.discord.rest import RecordedRequest
from sandbox.discord.world import DiscordWorld
from sandbox.http_site import serving

# Looks like a bot's token, three parts with the application's id in front, and is none.
TOKEN: Final = "MTAwMDAwMDAwMDAwMDAwMDAwMA.c2FuZA.a-discord-that-runs-on-this-machine"  # noqa: S105  # made up


class Sandbox:
    """A Discord that runs on this machine; made by `Sandbox.start()`.

    `url` is http://127.0.0.1:PORT, `api_url` where its REST API is, `token` the one bot's token.
    """

    def __init__(
        self,
        *,
        pace: bool,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        heartbeat_s: float,
        first_answer_s: float,
        token: str,
    ) -> None:
        self.gateway = GatewayServer(lambda: self.world, heartbeat_s=heartbeat_s)
        self.world = DiscordWorld(
            token,
            self.gateway.emit,
            clock=clock,
            first_answer_s=first_answer_s,
            ids=Ids(wall_clock),
        )
        self.faults = DiscordFaults(self.gateway)
        self.pace = RateLimitBuckets(enabled=pace)
        self._server = Server(self.world, self.gateway, self.faults, self.pace)
        self._driver = Driver(self.world, lambda: self.gateway.connected)

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        port: int = 0,
        pace: bool = True,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        heartbeat_s: float = 41.25,
        first_answer_s: float = FIRST_ANSWER_S,
        token: str = TOKEN,
    ) -> AsyncIterator[Self]:
        """Run it while the block runs; port 0 takes a free one.

        `clock` is what interactions and nonces grow old by, in seconds; `wall_clock` the time, in
        seconds since 1970, that ids and the header `Date` tell. `first_answer_s` is what Discord
        gives an interaction; a busy machine may need more.
        """
        sandbox = cls(
            pace=pace,
            clock=clock,
            wall_clock=wall_clock,
            heartbeat_s=heartbeat_s,
            first_answer_s=first_answer_s,
            token=token,
        )
        async with serving(sandbox._server.application(), port) as sandbox.world.url:
            yield sandbox

    @property
    def url(self) -> str:
        """Where it is, without a path."""
        return self.world.url

    @property
    def api_url(self) -> str:
        """Where its REST API is."""
        return self.world.url + API

    @property
    def gateway_url(self) -> str:
        """Where its gateway is, as /gateway/bot says it."""
        return self.gateway.url

    @property
    def token(self) -> str:
        """The bot's token."""
        return self.world.token

    @property
    def bot_id(self) -> int:
        """The bot's user id, which is its application's too."""
        return self.world.bot.id

    @property
    def requests(self) -> list[RecordedRequest]:
        """What came over REST, the oldest first; the last 5,000."""
        return self._server.requests

    @property
    def guilds(self) -> Sequence[SandboxGuild]:
        """The guilds that the bot is in."""
        return [guild for guild in self.world.guilds.values() if guild.bot_inside]

    @property
    def commands(self) -> Sequence[Mapping[str, Any]]:
        """The application's registered commands, as Discord's JSON."""
        return list(self.world.commands.get(None, {}).values())

    # ── guilds ────────────────────────────────────────────────────────────────────────────────

    def add_guild(self, name: str, id: int | None = None) -> SandboxGuild:  # noqa: A002
        """Make a guild with the bot in it; the id of one that it left lets it in there again."""
        guild = self.world.guilds.get(id or 0)
        if guild is None:
            guild = SandboxGuild(id or self.world.ids.new_id(), name, self.world.directory)
        self.world.greet(guild)
        return guild

    def remove_guild(self, guild: SandboxGuild | int) -> None:
        """Take the bot out of the guild."""
        guild_id = guild if isinstance(guild, int) else guild.id
        self.world.dismiss(self.world.guilds[guild_id])

    # ── what members do ───────────────────────────────────────────────────────────────────────

    async def command(
        self,
        guild: SandboxGuild | None,
        channel: SandboxChannel,
        member: SandboxMember,
        name: str,
        /,
        **options: Any,
    ) -> InteractionView:
        """Type a command and wait, `first_answer_s` at most, for the first answer.

        In the private conversation with the bot there is no guild: None. A subcommand is written
        "group sub". Options are given as the command registered them:
        text, numbers, true/false; channels as objects, ids or names; members and roles as objects
        or ids. Raises NotOffered, WrongOption or InteractionTimeout, all of them SandboxError.
        """
        self._check_inside(guild, channel)
        return await self._driver.command(channel, member, name, options)

    async def message_command(
        self,
        guild: SandboxGuild | None,
        channel: SandboxChannel,
        member: SandboxMember,
        name: str,
        message: SandboxMessage,
    ) -> InteractionView:
        """Choose the command with this name in the menu of the message ("Apps")."""
        self._check_inside(guild, channel)
        return await self._driver.message_command(channel, member, name, message)

    async def user_command(
        self,
        guild: SandboxGuild | None,
        channel: SandboxChannel,
        member: SandboxMember,
        name: str,
        target: SandboxMember,
    ) -> InteractionView:
        """Choose the command with this name in the menu of another member ("Apps")."""
        self._check_inside(guild, channel)
        return await self._driver.user_command(channel, member, name, target)

    def commands_offered(
        self, channel: SandboxChannel, member: SandboxMember
    ) -> list[dict[str, Any]]:
        """What the member's client offers in this channel, of every type, as Discord's JSON."""
        return all_offered(self.world, channel, member)

    async def autocomplete(
        self,
        guild: SandboxGuild | None,
        channel: SandboxChannel,
        member: SandboxMember,
        command: str,
        focused: str,
        value: str,
        /,
        **others: Any,
    ) -> list[dict[str, Any]]:
        """What is offered while `value` is typed into `focused`: a list of {name, value}."""
        self._check_inside(guild, channel)
        return await self._driver.autocomplete(channel, member, command, focused, value, others)

    async def press(
        self, on: InteractionView | SandboxMessage, which: str, member: SandboxMember | None = None
    ) -> InteractionView:
        """Press the button with this custom_id or label; who asked does it if no one is named."""
        return await self._driver.press(on, which, _who(on, member))

    async def select(
        self,
        on: InteractionView | SandboxMessage,
        which: str,
        values: Sequence[Any] | Any,
        member: SandboxMember | None = None,
    ) -> InteractionView:
        """Choose options by value or label, or members, roles and channels as a command takes
        them; `which` is the select's custom_id or placeholder, "" the only one there is.
        """
        return await self._driver.select(on, which, values, _who(on, member))

    async def submit_modal(
        self,
        answer: InteractionView,
        values: Mapping[str, Any],
        member: SandboxMember | None = None,
    ) -> InteractionView:
        """Fill in the answer's form, fields named by custom_id or label, and send it off.

        A text; options by value or label; members, roles and channels as a command takes them;
        true or false for a checkbox; `Upload`s for files. What is not named keeps what the form
        came with.
        """
        return await self._driver.submit(answer, values, _who(answer, member))

    @staticmethod
    def _check_inside(guild: SandboxGuild | None, channel: SandboxChannel) -> None:
        if channel.guild is not guild:
            place = guild.name if guild else "no guild"
            raise ValueError(f"#{channel.name} is not a channel of {place}")

    # ── what there is to see ──────────────────────────────────────────────────────────────────

    def messages(self, channel: SandboxChannel | int) -> list[SandboxMessage]:
        """What a channel shows to everyone, the oldest first; [] for one that is gone."""
        channel_id = channel if isinstance(channel, int) else channel.id
        found = self.world.directory.channels.get(channel_id)
        return [one for one in found.messages.values() if not one.thinking] if found else []

    async def wait_for_messages(
        self, channel: SandboxChannel | int, count: int = 1, timeout_s: float = 5.0
    ) -> list[SandboxMessage]:
        """The channel's messages as soon as there are `count`; raises NotEnough."""

        def found() -> list[SandboxMessage] | None:
            messages = self.messages(channel)
            return messages if len(messages) >= count else None

        messages = await self.world.wait_until(found, timeout_s)
        if messages is None:
            there = [message.content or message.embeds for message in self.messages(channel)]
            raise NotEnough(f"not {count} messages within {timeout_s:g} s, but {there}")
        return messages


def _who(on: InteractionView | SandboxMessage, member: SandboxMember | None) -> SandboxMember:
    if member is not None:
        return member
    if isinstance(on, InteractionView):
        return on.member
    raise ValueError("a message does not say who presses: name the member")
