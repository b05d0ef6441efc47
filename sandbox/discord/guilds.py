"""What the sandbox Discord holds: guilds, roles, members, channels, threads and messages.

These are live objects: a method that changes one reports it to the world, which notifies the bot.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, TypeAlias

from sandbox.discord import permissions
from sandbox.discord.ids import Ids
from sandbox.discord.permissions import Grant, Overwrite, PermissionBits, bits

EPHEMERAL = 1 << 6
LOADING = 1 << 7
V2 = 1 << 15


class ChannelType(IntEnum):
    """Channel types: https://discord.com/developers/docs/resources/channel#channel-object."""

    TEXT = 0
    DM = 1
    VOICE = 2
    CATEGORY = 4
    ANNOUNCEMENT = 5
    ANNOUNCEMENT_THREAD = 10
    PUBLIC_THREAD = 11
    PRIVATE_THREAD = 12
    STAGE = 13
    FORUM = 15
    MEDIA = 16


THREADS = frozenset(
    {ChannelType.ANNOUNCEMENT_THREAD, ChannelType.PUBLIC_THREAD, ChannelType.PRIVATE_THREAD}
)
POSTS = frozenset({ChannelType.FORUM, ChannelType.MEDIA})


@dataclass(slots=True, eq=False)
class SandboxUser:
    """A person or the bot itself, in no guild in particular."""

    id: int
    name: str
    bot: bool = False
    takes_messages: bool = True  # whether private messages of the bot are let in


@dataclass(slots=True, eq=False)
class SandboxRole:
    """A role of a guild; `permissions` is a number of bits."""

    id: int
    name: str
    permissions: int
    guild: "SandboxGuild" = field(repr=False)
    managed: bool = False

    def set_permissions(self, grant: Grant) -> None:
        """Change what the role grants, and send it on the gateway."""
        self.permissions = bits(grant)
        self.guild.report("GUILD_ROLE_UPDATE", self)


@dataclass(slots=True, eq=False)
class SandboxMember:
    """Somebody in a guild; `own_role` is the role that holds his own permissions."""

    user: SandboxUser
    guild: "SandboxGuild" = field(repr=False)
    roles: list[SandboxRole]
    timed_out_until: datetime | None = None

    @property
    def id(self) -> int:
        """The user's id."""
        return self.user.id

    @property
    def name(self) -> str:
        """The user's name."""
        return self.user.name

    @property
    def own_role(self) -> SandboxRole:
        """The role that `permissions` went into when the member was added."""
        return self.roles[0]

    def set_permissions(self, grant: Grant) -> None:
        """Change what the member may do in the whole guild, in addition to what everyone may."""
        self.own_role.set_permissions(grant)

    def add_role(self, role: SandboxRole) -> None:
        """Give the member one more role."""
        self.roles.append(role)
        self._changed()

    def time_out(self, until: datetime | None) -> None:
        """Let the member only read until then; None ends that."""
        self.timed_out_until = until
        self._changed()

    @property
    def is_timed_out(self) -> bool:
        """Whether a moderator's time-out holds now."""
        until = self.timed_out_until
        return until is not None and until > self.guild.directory.ids.time()

    def _changed(self) -> None:
        if self.user.bot:  # others' changes need the members intent
            self.guild.report("GUILD_MEMBER_UPDATE", self)

    def permissions(self) -> int:
        """What the member may do in the guild, as bits."""
        granted = permissions.in_guild(
            self.guild.everyone.permissions,
            (role.permissions for role in self.roles),
            owner=self.guild.owner is self,
        )
        return permissions.while_timed_out(granted) if self.is_timed_out else granted

    def permissions_in(self, channel: "SandboxChannel") -> int:
        """What the member may do in this channel, as bits; a thread asks its parent."""
        place = channel.parent if channel.is_thread and channel.parent else channel
        granted = permissions.in_channel(
            self.permissions(),
            place.overwrites,
            everyone_id=self.guild.id,
            role_ids=[role.id for role in self.roles],
            member_id=self.id,
        )
        return permissions.while_timed_out(granted) if self.is_timed_out else granted

    def may(self, wanted: PermissionBits, channel: "SandboxChannel") -> bool:
        """Whether the member has all of these permissions there."""
        return self.permissions_in(channel) & wanted == wanted

    def sees(self, channel: "SandboxChannel") -> bool:
        """Whether the channel is there for the member; private threads are for those in them."""
        if channel.kind is ChannelType.PRIVATE_THREAD and self.id not in channel.joined:
            return self.may(PermissionBits.VIEW_CHANNEL | PermissionBits.MANAGE_THREADS, channel)
        return self.may(PermissionBits.VIEW_CHANNEL, channel)


@dataclass(slots=True, eq=False)
class Attachment:
    """A file as it came, with the address that gives it back."""

    id: int
    name: str
    content: bytes = field(repr=False)
    media_type: str
    url: str
    description: str | None = None


@dataclass(slots=True, eq=False)
class SandboxEmoji:
    """An emoji that the application owns."""

    id: int
    name: str
    image: bytes = field(repr=False)
    media_type: str


@dataclass(slots=True, eq=False)
class Poll:
    """A poll; `answers` are Discord's JSON, `votes` the ids of the voters by the answer's number,
    which counts from 1.
    """

    question: str
    answers: list[dict[str, Any]]
    expires_at: datetime
    allow_multiselect: bool = False
    votes: dict[int, set[int]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class SandboxMessage:
    """A message as the members see it; embeds and components are Discord's JSON."""

    id: int
    channel: "SandboxChannel" = field(repr=False)
    author: SandboxUser
    content: str = ""
    embeds: list[dict[str, Any]] = field(default_factory=list)
    components: list[dict[str, Any]] = field(default_factory=list)
    files: list[Attachment] = field(default_factory=list)
    flags: int = 0
    poll: Poll | None = None
    nonce: str | None = None
    kind: int = 0
    reference: dict[str, Any] | None = None
    allowed_mentions: dict[str, Any] | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    edited_at: datetime | None = None
    edits: list["Appearance"] = field(default_factory=list)
    deleted: bool = False

    @property
    def ephemeral(self) -> bool:
        """Whether one member alone sees it."""
        return bool(self.flags & EPHEMERAL)

    @property
    def thinking(self) -> bool:
        """Whether it still says "… is thinking"."""
        return bool(self.flags & LOADING)

    def appearance(self) -> "Appearance":
        """What it shows now, kept apart from later edits."""
        return Appearance(self.content, list(self.embeds), list(self.components), list(self.files))


@dataclass(frozen=True, slots=True)
class Appearance:
    """What a message showed at some time."""

    content: str
    embeds: list[dict[str, Any]]
    components: list[dict[str, Any]]
    files: list[Attachment]


@dataclass(slots=True, eq=False)
class SandboxChannel:
    """A channel, a thread or a private conversation."""

    id: int
    name: str
    kind: ChannelType
    directory: "Directory" = field(repr=False)
    guild: "SandboxGuild | None" = field(repr=False)
    parent: "SandboxChannel | None" = field(default=None, repr=False)
    owner_id: int = 0
    topic: str | None = None
    position: int = 0
    overwrites: dict[int, Overwrite] = field(default_factory=dict, repr=False)
    messages: dict[int, SandboxMessage] = field(default_factory=dict, repr=False)
    archived: bool = False
    locked: bool = False
    auto_archive_minutes: int = 4320
    joined: set[int] = field(default_factory=set)
    recipient: SandboxUser | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def is_thread(self) -> bool:
        """Whether it is a thread or a forum post."""
        return self.kind in THREADS

    def allow(self, who: "SandboxMember | SandboxRole | None", grant: Grant) -> None:
        """Allow a member, a role or (None) everyone these permissions here."""
        self._overwrite(who, allow=bits(grant), deny=0)

    def deny(self, who: "SandboxMember | SandboxRole | None", grant: Grant) -> None:
        """Deny a member, a role or (None) everyone these permissions here."""
        self._overwrite(who, allow=0, deny=bits(grant))

    def clear_overwrites(self) -> None:
        """Let the roles alone say who may do what here."""
        self.overwrites.clear()
        self.changed()

    def _overwrite(self, who: "SandboxMember | SandboxRole | None", allow: int, deny: int) -> None:
        if self.guild is None:
            raise ValueError("a private conversation has no overwrites")
        target = who or self.guild.everyone
        old = self.overwrites.get(target.id, Overwrite(target.id, False))
        self.overwrites[target.id] = Overwrite(
            target.id,
            isinstance(target, SandboxMember),
            allow=old.allow & ~deny | allow,
            deny=old.deny & ~allow | deny,
        )
        self.changed()

    def rename(self, name: str) -> None:
        """Give it another name."""
        self.name = name
        self.changed()

    def archive(self, *, locked: bool = False) -> None:
        """Archive the thread, and lock it if wished."""
        self.archived, self.locked = True, locked
        self.changed()

    def open_again(self) -> None:
        """Un-archive the thread, as a message into it does; nothing where it is open."""
        if self.archived:
            self.archived = False
            self.changed()

    def delete(self) -> None:
        """Delete it, its threads and all that was written."""
        if self.guild is None:
            raise ValueError("a private conversation cannot be deleted")
        for thread in [c for c in self.guild.channels.values() if c.parent is self]:
            if thread.is_thread:
                thread.delete()
        self.guild.channels.pop(self.id, None)
        self.directory.channels.pop(self.id, None)
        self.guild.report("THREAD_DELETE" if self.is_thread else "CHANNEL_DELETE", self)

    def add_thread(
        self,
        name: str,
        *,
        private: bool = False,
        archived: bool = False,
        locked: bool = False,
        bot_joined: bool = False,
        id: int | None = None,  # noqa: A002  # Discord's word for it
    ) -> "SandboxChannel":
        """Start a thread here, or a post where this is a forum."""
        if self.guild is None:
            raise ValueError("a private conversation has no threads")
        kind = ChannelType.PRIVATE_THREAD if private else ChannelType.PUBLIC_THREAD
        if self.kind is ChannelType.ANNOUNCEMENT:
            kind = ChannelType.ANNOUNCEMENT_THREAD
        thread = SandboxChannel(
            id or self.directory.ids.new_id(), name, kind, self.directory, self.guild, self,
            owner_id=self.guild.bot.id, archived=archived, locked=locked,
        )  # fmt: skip
        if bot_joined:
            thread.joined.add(self.guild.bot.id)
        self.guild.keep(thread)
        return thread

    def changed(self) -> None:
        """Say on the gateway what it is like now."""
        if self.guild is not None:
            name = "THREAD_UPDATE" if self.is_thread else "CHANNEL_UPDATE"
            self.guild.report(name, self)


@dataclass(slots=True, eq=False)
class SandboxGuild:
    """A guild, what Discord shows as a server."""

    id: int
    name: str
    directory: "Directory" = field(repr=False)
    everyone: SandboxRole = field(init=False, repr=False)
    bot: SandboxMember = field(init=False, repr=False)
    owner: SandboxMember = field(init=False, repr=False)
    bot_inside: bool = True
    roles: dict[int, SandboxRole] = field(default_factory=dict, repr=False)
    members: dict[int, SandboxMember] = field(default_factory=dict, repr=False)
    channels: dict[int, SandboxChannel] = field(default_factory=dict, repr=False)
    # An admin's word about a command, (command's name, member's id) → may use it.
    command_overrides: dict[tuple[str, int], bool] = field(default_factory=dict, repr=False)
    joined_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.everyone = SandboxRole(self.id, "@everyone", permissions.EVERYONE, self)
        self.roles[self.id] = self.everyone
        self.bot = self._new_member(self.directory.bot, permissions.INVITED_BOT)
        self.owner = self._new_member(SandboxUser(self.directory.ids.new_id(), "Owner"), 0)

    def _new_member(self, user: SandboxUser, grant: int) -> SandboxMember:
        role = SandboxRole(self.directory.ids.new_id(), user.name, grant, self, managed=user.bot)
        self.roles[role.id] = role
        member = SandboxMember(user, self, [role])
        self.members[user.id] = member
        self.directory.users[user.id] = user
        return member

    def add_member(self, name: str, permissions: Grant = 0) -> SandboxMember:
        """Let somebody in; `permissions` come on top of what everyone may do."""
        user = SandboxUser(self.directory.ids.new_id(), name)
        member = self._new_member(user, bits(permissions))
        self.report("GUILD_ROLE_CREATE", member.own_role)
        return member

    def add_role(self, name: str, grant: Grant = 0) -> SandboxRole:
        """Make a role."""
        role = SandboxRole(self.directory.ids.new_id(), name, bits(grant), self)
        self.roles[role.id] = role
        self.report("GUILD_ROLE_CREATE", role)
        return role

    def add_channel(
        self,
        name: str,
        kind: str = "text",
        *,
        parent: SandboxChannel | None = None,
        topic: str | None = None,
    ) -> SandboxChannel:
        """Make a channel; `kind` is text, announcement, voice, stage, category, forum or media."""
        channel = SandboxChannel(
            self.directory.ids.new_id(), name, ChannelType[kind.upper()], self.directory,
            self, parent, topic=topic, position=len(self.channels),
        )  # fmt: skip
        if channel.is_thread:
            raise ValueError("a thread is made by its channel: channel.add_thread(name)")
        self.keep(channel)
        return channel

    def keep(self, channel: SandboxChannel) -> None:
        """Add a new channel or thread, and send it on the gateway."""
        self.channels[channel.id] = channel
        self.directory.channels[channel.id] = channel
        self.report("THREAD_CREATE" if channel.is_thread else "CHANNEL_CREATE", channel)

    def remove_channel(self, channel: SandboxChannel) -> None:
        """Delete a channel with all that is in it."""
        channel.delete()

    def set_bot_permissions(self, grant: Grant, *, everyone: Grant | None = None) -> None:
        """What the bot's own role grants; `everyone` also narrows what all may, the bot too."""
        self.bot.set_permissions(grant)
        if everyone is not None:
            self.everyone.set_permissions(everyone)

    def allow_command(self, name: str, member: SandboxMember, allowed: bool = True) -> None:
        """An admin's word on who may use a command, above its default permissions."""
        self.command_overrides[name, member.id] = allowed

    def report(self, event: str, changed: "Changed") -> None:
        """Report what changed in this guild, if the bot is in it."""
        if self.bot_inside:
            self.directory.on_change(event, changed, self)


Changed: TypeAlias = SandboxRole | SandboxMember | SandboxChannel


@dataclass(slots=True, eq=False)
class Directory:
    """What all guilds share: ids, people, channels, and who is notified of a change."""

    ids: Ids
    on_change: Callable[[str, Changed, SandboxGuild], None]
    bot: SandboxUser = field(init=False)
    users: dict[int, SandboxUser] = field(default_factory=dict)
    channels: dict[int, SandboxChannel] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bot = SandboxUser(self.ids.new_id(), "Speckle", bot=True)
        self.users[self.bot.id] = self.bot
