"""What a member does in the sandbox Discord: type a command, press, choose, fill in a form."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sandbox.discord import wire
from sandbox.discord.client_errors import InteractionTimeout, NotOffered
from sandbox.discord.command_rules import CommandType
from sandbox.discord.component_kinds import BUTTON, SELECTS
from sandbox.discord.component_rules import walk
from sandbox.discord.form_filling import chosen, filled_form
from sandbox.discord.guilds import SandboxChannel, SandboxMember, SandboxMessage
from sandbox.discord.interaction_view import InteractionView
from sandbox.discord.interactions import Asked, Interaction
from sandbox.discord.json_types import JSON
from sandbox.discord.message_rules import MAX_FILE_BYTES
from sandbox.discord.options import IN_GUILD, IN_PRIVATE, Filler, offered
from sandbox.discord.permissions import PermissionBits
from sandbox.discord.resolving import Resolver
from sandbox.discord.world import DiscordWorld

IN_PRIVATE_MAY = (
    PermissionBits.ATTACH_FILES
    | PermissionBits.EMBED_LINKS
    | PermissionBits.MENTION_EVERYONE
    | PermissionBits.USE_EXTERNAL_EMOJIS
)


class Driver:
    """Acts for members over the gateway and waits for the bot's answers as Discord does."""

    def __init__(self, world: DiscordWorld, connected: Callable[[], bool]) -> None:
        self._world = world
        self._connected = connected

    async def command(
        self, channel: SandboxChannel, member: SandboxMember, name: str, given: Mapping[str, Any]
    ) -> InteractionView:
        """Type a command; "group sub" names a subcommand. Raises SandboxError."""
        root, *path = name.split()
        command = offered(self._world, channel, member, root)
        filler = Filler(self._world, channel, member)
        options = filler.fill(command, path, given)
        data = _named(command) | {"options": options, "resolved": filler.resolved}
        return await self._ask(Asked.COMMAND, channel, member, data)

    async def message_command(
        self, channel: SandboxChannel, member: SandboxMember, name: str, message: SandboxMessage
    ) -> InteractionView:
        """Choose a command in the menu of a message. Raises SandboxError."""
        command = offered(self._world, channel, member, name, CommandType.MESSAGE)
        if message.deleted or message.ephemeral or message.channel is not channel:
            raise NotOffered(f"there is no such message with a menu in #{channel.name}")
        resolver = Resolver(self._world, channel, member)
        return await self._choose(command, channel, resolver.message(message), resolver, member)

    async def user_command(
        self, channel: SandboxChannel, member: SandboxMember, name: str, target: SandboxMember
    ) -> InteractionView:
        """Choose a command in the menu of a member. Raises SandboxError."""
        command = offered(self._world, channel, member, name, CommandType.USER)
        resolver = Resolver(self._world, channel, member)
        return await self._choose(command, channel, resolver.member(target), resolver, member)

    async def _choose(
        self,
        command: JSON,
        channel: SandboxChannel,
        target_id: str,
        resolver: Resolver,
        member: SandboxMember,
    ) -> InteractionView:
        data = _named(command) | {"target_id": target_id, "resolved": resolver.resolved}
        return await self._ask(Asked.COMMAND, channel, member, data)

    async def autocomplete(
        self,
        channel: SandboxChannel,
        member: SandboxMember,
        name: str,
        focused: str,
        value: str,
        others: Mapping[str, Any],
    ) -> list[JSON]:
        """What is offered while the value is being typed: [{name, value}]. Raises SandboxError."""
        root, *path = name.split()
        command = offered(self._world, channel, member, root)
        filler = Filler(self._world, channel, member)
        options = filler.partial(command, path, dict(others) | {focused: value}, focused)
        data = _named(command) | {"options": options, "resolved": filler.resolved}
        kind = next(one["type"] for one in _leaves(options) if one.get("focused"))
        answer = await self._ask(Asked.AUTOCOMPLETE, channel, member, data, focused=kind)
        return answer.interaction.choices

    async def press(
        self, on: InteractionView | SandboxMessage, which: str, member: SandboxMember
    ) -> InteractionView:
        """Press the button with this custom_id or label."""
        message = _message_of(on)
        button = _component(message, which, frozenset({BUTTON}), ("custom_id", "label"))
        if not button.get("custom_id"):
            raise NotOffered(f"{which!r} is a link: it opens {button.get('url')}")
        data = {"component_type": BUTTON, "custom_id": button["custom_id"]}
        return await self._use(message, member, data)

    async def select(
        self,
        on: InteractionView | SandboxMessage,
        which: str,
        values: Sequence[Any] | Any,
        member: SandboxMember,
    ) -> InteractionView:
        """Choose these options, by value or label, in the select with this custom_id or
        placeholder; "" is the only one there is.
        """
        message = _message_of(on)
        select = _component(message, which, SELECTS, ("custom_id", "placeholder"))
        resolver = Resolver(self._world, message.channel, member)
        found = chosen(select, which or "the select", values, resolver)
        data: JSON = {
            "component_type": select["type"], "custom_id": select["custom_id"], "values": found,
        }  # fmt: skip
        if resolver.resolved:
            data["resolved"] = resolver.resolved
        return await self._use(message, member, data)

    async def _use(
        self, message: SandboxMessage, member: SandboxMember, data: JSON
    ) -> InteractionView:
        """Use a component: it can only be used by who sees the message."""
        if message.deleted or not _sees(member, message.channel):
            raise NotOffered(f"{member.name} does not see this message")
        return await self._ask(Asked.COMPONENT, message.channel, member, data, message)

    async def submit(
        self, answer: InteractionView, values: Mapping[str, Any], member: SandboxMember
    ) -> InteractionView:
        """Send off the form of the answer, filled in by custom_id or label."""
        modal = answer.modal
        if modal is None:
            raise NotOffered("the answer is no form")
        asked = answer.interaction
        resolver = Resolver(self._world, asked.channel, member)
        components = filled_form(modal, values, resolver)
        data: JSON = {"custom_id": modal["custom_id"], "components": components}
        if resolver.resolved:
            data["resolved"] = resolver.resolved
        return await self._ask(Asked.MODAL, asked.channel, member, data, asked.source)

    # ── the interaction itself ────────────────────────────────────────────────────────────────

    async def _ask(
        self,
        kind: Asked,
        channel: SandboxChannel,
        member: SandboxMember,
        data: JSON,
        source: SandboxMessage | None = None,
        focused: int | None = None,
    ) -> InteractionView:
        """Send the interaction and wait for the first answer; raises InteractionTimeout."""
        asked = self._world.open_interaction(kind, channel, member, source)
        asked.focused = focused
        asked.command = data.get("name", "")
        self._world.emit("INTERACTION_CREATE", self._event(asked, data), channel.guild)
        within_s = self._world.first_answer_s
        await self._world.wait_until(lambda: asked.callback, within_s)
        if asked.callback is None:
            where = "" if self._connected() else ": it is not connected to the gateway"
            raise InteractionTimeout(
                f"the application did not respond within {within_s:g} s{where}"
            )
        return InteractionView(self._world, asked)

    def _event(self, asked: Interaction, data: JSON) -> JSON:
        channel, member = asked.channel, asked.member
        event: JSON = {
            "id": str(asked.id),
            "application_id": str(self._world.application_id),
            "type": asked.kind,
            "token": asked.token,
            "version": 1,
            "data": data,
            "attachment_size_limit": MAX_FILE_BYTES,
            "locale": "en-US",
            "channel_id": str(channel.id),
            "entitlements": [],
        }
        place = _in_private if channel.guild is None else _in_guild
        event |= place(channel, member)
        if asked.source is not None:
            event["message"] = wire.message(asked.source)
        return event


def _sees(member: SandboxMember, channel: SandboxChannel) -> bool:
    """Whether the channel is there for the member; a private conversation is for the two in it."""
    if channel.guild is None:
        return channel.recipient is member.user
    return member.sees(channel)


def _in_guild(channel: SandboxChannel, member: SandboxMember) -> JSON:
    guild, permissions = member.guild, str(member.permissions_in(channel))
    return {
        "guild_id": str(guild.id),
        "guild": {"id": str(guild.id), "locale": "en-US", "features": []},
        "guild_locale": "en-US",
        "channel": wire.channel_for(channel, member),
        "member": wire.member(member) | {"permissions": permissions},
        "app_permissions": str(guild.bot.permissions_in(channel)),
        "authorizing_integration_owners": {"0": str(guild.id)},
        "context": IN_GUILD,
    }


def _in_private(channel: SandboxChannel, member: SandboxMember) -> JSON:
    """From a private conversation: a user and no member, and no guild, whatever it is about."""
    return {
        "channel": wire.channel(channel) | {"app_permissions": str(int(IN_PRIVATE_MAY))},
        "user": wire.user(member.user),
        "app_permissions": str(int(IN_PRIVATE_MAY)),
        "authorizing_integration_owners": {"0": "0"},
        "context": IN_PRIVATE,
    }


def _named(command: JSON) -> JSON:
    """Which command it is, as an interaction says it."""
    data = {"id": command["id"], "name": command["name"], "type": command["type"]}
    return data | ({"guild_id": command["guild_id"]} if "guild_id" in command else {})


def _leaves(options: list[JSON]) -> Iterator[JSON]:
    """The options that are filled in, below subcommands too."""
    for option in options:
        yield option
        yield from _leaves(option.get("options") or [])


def _message_of(on: InteractionView | SandboxMessage) -> SandboxMessage:
    return on.shown() if isinstance(on, InteractionView) else on


def _component(
    message: SandboxMessage, which: str, kinds: frozenset[int], keys: Sequence[str]
) -> JSON:
    there = [one for one in walk(message.components) if one.get("type") in kinds]
    found = [one for one in there if not which or which in [one.get(key) for key in keys]]
    if not found:
        names = ", ".join(repr(one.get(keys[1]) or one.get(keys[0])) for one in there)
        raise NotOffered(f"there is no {which!r} on the message; there is: {names or 'nothing'}")
    if found[0].get("disabled"):
        raise NotOffered(f"{which!r} is switched off")
    return found[0]
