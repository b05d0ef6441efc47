"""Guilds whose channels follow projects, each in its own way: where a soak plays."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Final, Self

from sandbox.discord import InteractionView, Sandbox, SandboxChannel, SandboxError, SandboxMember
from sandbox.soak.oracle import MODELS, DeliveryTag, Follow, Ledger, marks_of

GUILDS: Final = ("kestrel", "heron", "wren", "plover")
PROJECTS_A_GUILD: Final = (
    6  # a project sends one at a time: only many make several hundred a second
)
STRUCTURE: Final = "structure/**"
# In each guild, what its channels follow: which of its projects, with which filter.
LAYOUT: Final[Mapping[str, Sequence[tuple[int, str | None]]]] = {
    "log": ((0, None), (1, None), (2, None)),
    "structure": ((0, STRUCTURE), (3, STRUCTURE)),
    "all": tuple((project, None) for project in range(PROJECTS_A_GUILD)),
    "others": ((4, f"!{STRUCTURE}"), (5, f"!{STRUCTURE}")),
}
PASSES: Final[Mapping[str | None, Collection[str]]] = {
    None: MODELS,
    STRUCTURE: ("structure/level 1", "structure/level 2"),
    f"!{STRUCTURE}": ("facade/panels", "site"),
}
BY_HAND: Final = "Set it up by hand"  # nobody here has an account
SHOW: Final = "Show it there"  # the answer to who will see it
ASK_AGAIN_S: Final = 0.3  # after a command that nobody answered: the bot was killed, say


@dataclass(frozen=True, slots=True)
class SoakWebhook:
    """Where a project's deliveries go, as the bot showed the member who subscribed."""

    project: str
    url: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SoakWorld:
    """The channels, who manages each of them, and what they follow."""

    sandbox: Sandbox
    channels: Mapping[str, SandboxChannel]
    managers: Mapping[str, SandboxMember]
    follows: Sequence[Follow]
    _read_until: dict[str, int] = field(default_factory=dict)

    @classmethod
    def build(cls, sandbox: Sandbox) -> Self:
        """Make guilds and channels; the bot has subscribed none yet."""
        channels: dict[str, SandboxChannel] = {}
        managers: dict[str, SandboxMember] = {}
        follows: list[Follow] = []
        for number, guild_name in enumerate(GUILDS):
            guild = sandbox.add_guild(guild_name)
            manager = guild.add_member("Maren Oduya", permissions="manage_webhooks")
            letters = ascii_uppercase[number * PROJECTS_A_GUILD :]
            for name, followed in LAYOUT.items():
                channel = f"{guild_name}-{name}"
                channels[channel] = guild.add_channel(channel)
                managers[channel] = manager
                follows += [Follow(channel, letters[p], m, PASSES[m]) for p, m in followed]
        return cls(sandbox, channels, managers, follows)

    async def subscribe(self) -> Sequence[SoakWebhook]:
        """Type each channel's /subscribe; gives the hook of each project."""
        hooks: dict[str, SoakWebhook] = {}
        for follow in self.follows:
            answer = await self._subscribe(follow)
            fields = {one["name"]: one["value"] for e in answer.embeds for one in e["fields"]}
            url, secret = (fields[name].strip("`\n") for name in ("URL", "Secret"))
            hooks[follow.project] = SoakWebhook(follow.project, url, secret)
        return list(hooks.values())

    async def resume(self, channel: str) -> None:
        """Type the channel's /subscribe again until the bot says that it follows as before."""
        for follow in self.follows:
            if follow.channel == channel:
                await self._resume(follow)

    async def _resume(self, follow: Follow) -> None:
        while True:
            answer = await self._subscribe(follow)
            if "Nothing changed" in answer.content:
                return
            await asyncio.sleep(ASK_AGAIN_S)  # the bot does not see the channel yet

    async def _subscribe(self, follow: Follow) -> InteractionView:
        """Type /subscribe until it is answered; not while the bot is seen to be away."""
        channel, manager = self.channels[follow.channel], self.managers[follow.channel]
        assert channel.guild is not None, "no private conversation"  # noqa: S101
        options = {} if follow.models is None else {"models": follow.models}
        while True:
            if not self.sandbox.gateway.connected:
                await asyncio.sleep(ASK_AGAIN_S)
                continue
            try:
                answer = await self.sandbox.command(
                    channel.guild,
                    channel,
                    manager,
                    "subscribe",
                    stream_id=project_id(follow.project),
                    **options,
                )
                await answer.settled()
                for label in (BY_HAND, SHOW):
                    if answer.offers(label):
                        await (await self.sandbox.press(answer, label, manager)).settled()
                return answer
            except SandboxError:
                await asyncio.sleep(ASK_AGAIN_S)

    def tell_new(self, ledger: Ledger) -> None:
        """Tell the ledger what has been shown since the last time."""
        for name, channel in self.channels.items():
            read_until = self._read_until.get(name, 0)
            for message in reversed(channel.messages.values()):
                if message.id <= read_until:
                    break
                for mark in marks_of(message):
                    ledger.show(name, mark)
                self._read_until[name] = max(self._read_until.get(name, 0), message.id)

    def shown(self) -> Mapping[str, Sequence[DeliveryTag]]:
        """What each channel shows now, top to bottom."""
        return {
            name: [mark for message in channel.messages.values() for mark in marks_of(message)]
            for name, channel in self.channels.items()
        }

    def message_count(self) -> int:
        """How many messages there are."""
        return sum(len(channel.messages) for channel in self.channels.values())


def project_id(letter: str) -> str:
    """A project's id: ten hex digits, as Speckle has them."""
    return f"5f0c9a41{ord(letter):x}"
