"""Guilds whose channels follow projects, each in its own way: where a soak plays."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Final, Self

from sandbox.discord import InteractionView, Sandbox, SandboxChannel, SandboxError, SandboxMember
from sandbox.soak.oracle import MODELS, DeliveryTag, Follow, Ledger, marks_of
from sandbox.speckle import ServerProject, SpeckleServer, User

GUILDS: Final = ("kestrel", "heron", "wren", "plover")
LIVE_GUILD: Final = "plover"  # its projects are followed through the accounts of its members
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
BY_HAND: Final = "Set it up by hand"  # where nobody has an account
SHOW: Final = "Show it there"  # the answer to who will see it
PASTE: Final = "Paste it"
OWNER: Final = "stream:owner"
CHANGES: Final = 1  # which of the live guild's projects gets a webhook in the middle
ASK_AGAIN_S: Final = 0.3  # after a command that nobody answered: the bot was killed, say


@dataclass(frozen=True, slots=True)
class SoakWebhook:
    """Where a project's deliveries go, as the bot showed the member who subscribed."""

    project: str
    url: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SoakWorld:
    """The channels, who manages each of them, and what they follow.

    `live` are the projects that are followed through accounts, by their letters; `accounts` whose
    those are, by channel. One of them, `changing`, gets a webhook in the middle.
    """

    sandbox: Sandbox
    server: SpeckleServer
    channels: Mapping[str, SandboxChannel]
    managers: Mapping[str, SandboxMember]
    accounts: Mapping[str, User]
    live: Mapping[str, ServerProject]
    changing: str
    follows: Sequence[Follow]
    _read_until: dict[str, int] = field(default_factory=dict)

    @classmethod
    def build(cls, sandbox: Sandbox, server: SpeckleServer) -> Self:
        """Make guilds and channels; the bot has subscribed none yet."""
        channels: dict[str, SandboxChannel] = {}
        managers: dict[str, SandboxMember] = {}
        accounts: dict[str, User] = {}
        follows: list[Follow] = []
        first = GUILDS.index(LIVE_GUILD) * PROJECTS_A_GUILD
        live = _projects(server, ascii_uppercase[first : first + PROJECTS_A_GUILD])
        changing = ascii_uppercase[first + CHANGES]
        for number, guild_name in enumerate(GUILDS):
            guild = sandbox.add_guild(guild_name)
            manager = guild.add_member("Maren Oduya", permissions="manage_webhooks")
            letters = ascii_uppercase[number * PROJECTS_A_GUILD :]
            for name, followed in LAYOUT.items():
                channel = f"{guild_name}-{name}"
                channels[channel] = guild.add_channel(channel)
                managers[channel] = manager
                if guild_name == LIVE_GUILD:
                    person = f"Ilse of {name}"
                    managers[channel] = guild.add_member(person, permissions="manage_webhooks")
                    accounts[channel] = server.add_user(person)
                follows += [
                    Follow(channel, letters[p], m, PASSES[m], ordered=letters[p] != changing)
                    for p, m in followed
                ]
        return cls(sandbox, server, channels, managers, accounts, live, changing, follows)

    async def subscribe(self) -> Sequence[SoakWebhook]:
        """Link the accounts and type each channel's /subscribe; gives the hooks by hand."""
        for channel, user in self.accounts.items():
            await self._link(channel, user)
        hooks: dict[str, SoakWebhook] = {}
        for follow in self.follows:
            answer = await self._subscribe(follow)
            if follow.project in self.live:
                continue
            fields = {one["name"]: one["value"] for e in answer.embeds for one in e["fields"]}
            url, secret = (fields[name].strip("`\n") for name in ("URL", "Secret"))
            hooks[follow.project] = SoakWebhook(follow.project, url, secret)
        return list(hooks.values())

    async def resume(self, channel: str) -> None:
        """Type the channel's /subscribe again until the bot says that it follows as before."""
        for follow in self.follows:
            if follow.channel == channel:
                await self._resume(follow)

    async def change_to_webhook(self) -> None:
        """Make an account that follows the changing project its owner, whom the bot then makes a
        webhook for.
        """
        project = self.live[self.changing]
        follow = next(one for one in self.follows if one.project == self.changing)
        self.server.set_role(project, self.accounts[follow.channel], OWNER)
        while not self.server.webhooks(project):
            await self._subscribe(follow)
            await asyncio.sleep(ASK_AGAIN_S)

    async def _link(self, channel: str, user: User) -> None:
        """Paste a token, as a member does it."""
        where, member = self.channels[channel], self.managers[channel]
        assert where.guild is not None, "no private conversation"  # noqa: S101
        token = {"Token": self.server.token(user)}
        while True:
            try:
                offer = await self.sandbox.command(
                    where.guild, where, member, "link", server=self.server.url
                )
                form = await self.sandbox.press(await offer.settled(), PASTE, member)
                await (await self.sandbox.submit_modal(form, token, member)).settled()
                return
            except SandboxError:
                await asyncio.sleep(ASK_AGAIN_S)

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
                    stream_id=self._typed(follow.project),
                    **options,
                )
                await answer.settled()
                labels = (SHOW,) if follow.project in self.live else (BY_HAND, SHOW)
                for label in labels:
                    if answer.offers(label):
                        await (await self.sandbox.press(answer, label, manager)).settled()
                return answer
            except SandboxError:
                await asyncio.sleep(ASK_AGAIN_S)

    def _typed(self, letter: str) -> str:
        """A project as its followers type it; an id alone is one of the first server's."""
        typed = project_id(letter)
        return f"{self.server.url}/projects/{typed}" if letter in self.live else typed

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


def _projects(server: SpeckleServer, letters: str) -> Mapping[str, ServerProject]:
    """Public ones of somebody who is not in Discord, with the models that versions are of."""
    owner = server.add_user("Anselm Vogt")
    projects = {
        letter: server.add_project(
            f"Tower {letter}", owner=owner, visibility="PUBLIC", id=project_id(letter)
        )
        for letter in letters
    }
    for project in projects.values():
        for name in MODELS:
            server.add_model(project, name, author=owner)
    return projects


def project_id(letter: str) -> str:
    """A project's id: ten hex digits, as Speckle has them."""
    return f"5f0c9a41{ord(letter):x}"
