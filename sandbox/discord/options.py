"""Options of a command as a member's client fills them in: typed, checked, and resolved."""

from collections.abc import Mapping
from typing import Any

from sandbox.discord.client_errors import NotOffered, WrongOption
from sandbox.discord.command_rules import CommandType, OptionType
from sandbox.discord.guilds import SandboxChannel, SandboxMember
from sandbox.discord.json_types import JSON
from sandbox.discord.permissions import ALL, PermissionBits
from sandbox.discord.refusals import units
from sandbox.discord.resolving import Resolver
from sandbox.discord.world import DiscordWorld

# Contexts of an interaction:
# https://discord.com/developers/docs/interactions/receiving-and-responding
IN_GUILD, IN_PRIVATE = 0, 1
TRUTHS = {"true": True, "false": False, "yes": True, "no": False}


class Filler:
    """Fills the options of one command for one member."""

    def __init__(self, world: DiscordWorld, channel: SandboxChannel, member: SandboxMember) -> None:
        self._resolver = Resolver(world, channel, member)

    @property
    def resolved(self) -> JSON:
        """Who and what the options name, as the interaction carries it."""
        return self._resolver.resolved

    def fill(self, command: JSON, path: list[str], given: Mapping[str, Any]) -> list[JSON]:
        """The `options` of the interaction, subcommands and all; raises NotOffered, WrongOption."""
        if path:
            name, *rest = path
            below = _named(command, name)
            inner = self.fill(below, rest, given)
            return [{"type": below["type"], "name": name, "options": inner}]
        options = [one for one in command.get("options") or () if one["type"] > OptionType.GROUP]
        self._check_names(command, options, given)
        filled = []
        for option in options:
            if (value := given.get(option["name"])) is not None:
                converted = self._value(option, value)
                filled.append({"type": option["type"], "name": option["name"], "value": converted})
        return filled

    def _check_names(self, command: JSON, options: list[JSON], given: Mapping[str, Any]) -> None:
        known = [option["name"] for option in options]
        for name in given:
            if name not in known:
                offered = ", ".join(known) or "none"
                raise WrongOption(f"/{command['name']} has no option {name!r}; it has: {offered}")
        for option in options:
            if option.get("required") and given.get(option["name"]) is None:
                raise WrongOption(f"/{command['name']} needs the option {option['name']!r}")

    def partial(
        self, command: JSON, path: list[str], given: Mapping[str, Any], focused: str
    ) -> list[JSON]:
        """Options while one is being typed: that one as it is, required ones may be missing."""
        if path:
            name, *rest = path
            below = _named(command, name)
            inner = self.partial(below, rest, given, focused)
            return [{"type": below["type"], "name": name, "options": inner}]
        options = {one["name"]: one for one in command.get("options") or ()}
        if not options.get(focused, {}).get("autocomplete"):
            raise WrongOption(f"/{command['name']} completes no option {focused!r}")
        filled = []
        for name, value in given.items():
            if name not in options:
                raise WrongOption(f"/{command['name']} has no option {name!r}")
            option = options[name]
            entry: JSON = {"type": option["type"], "name": name}
            if name == focused:
                filled.append(entry | {"value": value, "focused": True})
            elif value is not None:
                filled.append(entry | {"value": self._value(option, value)})
        return filled

    def _value(self, option: JSON, value: Any) -> Any:
        match kind := option["type"]:
            case OptionType.STRING:
                return _text(option, value)
            case OptionType.INTEGER | OptionType.NUMBER:
                return _number(option, value)
            case OptionType.BOOLEAN:
                return _truth(option, value)
            case OptionType.CHANNEL:
                kinds = option.get("channel_types")
                return self._resolver.channel(value, option["name"], kinds)
            case OptionType.USER | OptionType.ROLE | OptionType.MENTIONABLE:
                users, roles = kind != OptionType.ROLE, kind != OptionType.USER
                return self._resolver.someone(value, option["name"], users=users, roles=roles)
            case _:
                return self._resolver.file(value, option["name"])


def _named(command: JSON, name: str) -> JSON:
    for option in command.get("options") or ():
        if option["name"] == name and option["type"] <= OptionType.GROUP:
            return dict(option)
    raise NotOffered(f"/{command['name']} has no subcommand {name!r}")


def _text(option: JSON, value: Any) -> str:
    text = str(value)
    choices = {choice["name"]: choice["value"] for choice in option.get("choices") or ()}
    if choices and text not in choices.values():
        if text not in choices:
            raise WrongOption(f"{option['name']!r} offers only: {', '.join(choices)}")
        text = str(choices[text])
    least, most = option.get("min_length") or 0, option.get("max_length") or 6000
    if not least <= units(text) <= most:
        raise WrongOption(f"{option['name']!r} takes {least} to {most} characters")
    return text


def _number(option: JSON, value: Any) -> int | float:
    choices = {choice["name"]: choice["value"] for choice in option.get("choices") or ()}
    convert = int if option["type"] == OptionType.INTEGER else float
    try:
        number: int | float = convert(choices.get(value, value))
    except (TypeError, ValueError):
        raise WrongOption(f"{option['name']!r} takes a number, not {value!r}") from None
    if choices and number not in choices.values():
        raise WrongOption(f"{option['name']!r} offers only: {', '.join(choices)}")
    least, most = option.get("min_value"), option.get("max_value")
    if (least is not None and number < least) or (most is not None and number > most):
        raise WrongOption(f"{option['name']!r} takes {least} to {most}")
    return number


def _truth(option: JSON, value: Any) -> bool:
    found = TRUTHS.get(str(value).lower())
    if found is None:
        raise WrongOption(f"{option['name']!r} takes true or false, not {value!r}")
    return found


def offered(
    world: DiscordWorld,
    channel: SandboxChannel,
    member: SandboxMember,
    name: str,
    kind: CommandType = CommandType.CHAT_INPUT,
) -> JSON:
    """The command as the member's client offers it in this channel; raises NotOffered."""
    there = [one for one in _registered_for(world, channel) if one["type"] == kind]
    found = [one for one in there if one["name"] == name]
    if not found:
        names = ", ".join(_shown(one) for one in there)
        wanted = _shown({"type": kind, "name": name})
        raise NotOffered(f"there is no {wanted} here; there is: {names or 'no command at all'}")
    if channel.guild is None:
        if channel.recipient is not member.user:
            raise NotOffered(f"{member.name} is not in this conversation")
        return found[0]
    if not channel.guild.bot_inside:
        raise NotOffered("the bot is not in this guild")
    if not member.sees(channel):
        raise NotOffered(f"{member.name} does not see #{channel.name}")
    if channel.archived:
        raise NotOffered(f"#{channel.name} is archived: a message opens it again")
    if not _may_use(found[0], channel, member):
        raise NotOffered(f"{member.name} may not use {_shown(found[0])} in #{channel.name}")
    return found[0]


def all_offered(world: DiscordWorld, channel: SandboxChannel, member: SandboxMember) -> list[JSON]:
    """Each command that the member's client offers in this channel, of any type."""
    there = _registered_for(world, channel)
    if channel.guild is None:
        return there if channel.recipient is member.user else []
    if not channel.guild.bot_inside or channel.archived or not member.sees(channel):
        return []
    return [one for one in there if _may_use(one, channel, member)]


def _registered_for(world: DiscordWorld, channel: SandboxChannel) -> list[JSON]:
    """The commands that are for such a place: a guild, or the private conversation with the bot."""
    context = IN_PRIVATE if channel.guild is None else IN_GUILD
    return [one for one in world.commands_of(channel.guild) if _is_for(one, context)]


def _is_for(command: JSON, context: int) -> bool:
    """By its contexts, or where it has none by the older word for them."""
    contexts = command.get("contexts")
    if contexts:
        return context in contexts
    return context == IN_GUILD or command.get("dm_permission") is not False


def _shown(command: JSON) -> str:
    """The command's name as a client writes it."""
    slash = command["type"] == CommandType.CHAT_INPUT
    return f"/{command['name']}" if slash else f"*{command['name']}*"


def _may_use(command: JSON, channel: SandboxChannel, member: SandboxMember) -> bool:
    """Discord's order: admins always, then an admin's word on the command, then its default."""
    held = member.permissions_in(channel)
    if held == ALL:
        return True
    if not held & PermissionBits.USE_APPLICATION_COMMANDS or channel.guild is None:
        return False
    word = channel.guild.command_overrides.get((command["name"], member.id))
    if word is not None:
        return word
    wanted = command.get("default_member_permissions")
    if wanted is None:
        return True
    return int(wanted) != 0 and held & int(wanted) == int(wanted)
