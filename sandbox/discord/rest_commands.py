"""Application commands, of the application and of single guilds."""

from typing import Any

from sandbox.discord.command_rules import (
    MAX_COMMANDS,
    CommandType,
    check_command,
    check_commands,
    type_of,
)
from sandbox.discord.json_types import JSON
from sandbox.discord.refusals import (
    COMMAND_NAME_TAKEN,
    MISSING_ACCESS,
    TOO_MANY_COMMANDS,
    UNKNOWN_COMMAND,
    Form,
)
from sandbox.discord.rest import Call, RestResponse, Route


def _registered(call: Call) -> dict[int, JSON]:
    """The commands that the path means."""
    if call.id("application_id") != call.world.application_id:
        raise MISSING_ACCESS
    owner: int | None = None
    if "guild_id" in call.params:
        owner = call.id("guild_id")
        if owner not in call.world.guilds:
            raise MISSING_ACCESS
    return call.world.commands.setdefault(owner, {})


def _command(call: Call) -> JSON:
    found = _registered(call).get(call.id("command_id"))
    if found is None:
        raise UNKNOWN_COMMAND
    return found


def _made(call: Call, body: JSON, command_id: int) -> JSON:
    """The command as Discord gives it back."""
    defaults: JSON = {
        "type": type_of(body), "description": "", "default_member_permissions": None,
        "nsfw": False, "dm_permission": True, "contexts": None, "integration_types": [0],
    }  # fmt: skip
    made = (
        defaults
        | {key: value for key, value in body.items() if value is not None}
        | {
            "id": str(command_id),
            "application_id": str(call.world.application_id),
            "version": str(call.world.ids.new_id()),
        }
    )
    if "guild_id" in call.params:
        made["guild_id"] = call.params["guild_id"]
    return made


def _same(commands: dict[int, JSON], body: JSON) -> int | None:
    """The id of the command with this name: registering it again changes it."""
    key = (type_of(body), body.get("name"))
    found = (one for one, old in commands.items() if (old["type"], old["name"]) == key)
    return next(found, None)


def _check_room(commands: dict[int, JSON], kind: CommandType) -> None:
    if sum(one["type"] == kind for one in commands.values()) >= MAX_COMMANDS[kind]:
        raise TOO_MANY_COMMANDS


async def listing(call: Call) -> RestResponse:
    """GET …/commands."""
    return RestResponse(list(_registered(call).values()))


async def replace_all(call: Call) -> RestResponse:
    """PUT …/commands: from now on these and no other."""
    commands = _registered(call)
    bodies: list[Any] = call.json if isinstance(call.json, list) else []
    form = Form()
    if not isinstance(call.json, list):
        form.add((), "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType.")
    check_commands(form, bodies)
    form.finish()
    old = dict(commands)
    commands.clear()
    for body in bodies:
        command_id = _same(old, body) or call.world.ids.new_id()
        commands[command_id] = _made(call, body, command_id)
    return RestResponse(list(commands.values()))


async def create(call: Call) -> RestResponse:
    """POST …/commands; the same name again changes the one that is there."""
    commands = _registered(call)
    body = call.body
    form = Form()
    check_command(form, (), body)
    form.finish()
    old_id = _same(commands, body)
    if old_id is None:
        _check_room(commands, CommandType(type_of(body)))
    command_id = old_id or call.world.ids.new_id()
    commands[command_id] = _made(call, body, command_id)
    return RestResponse(commands[command_id], 201 if old_id is None else 200)


async def read(call: Call) -> RestResponse:
    """GET …/commands/{command_id}."""
    return RestResponse(_command(call))


async def change(call: Call) -> RestResponse:
    """PATCH …/commands/{command_id}."""
    command = _command(call)
    if call.body.get("type") not in (None, command["type"]):
        form = Form()
        form.choices(("type",), str(command["type"]))
        form.finish()
    changed = command | call.body
    form = Form()
    check_command(form, (), changed)
    form.finish()
    command_id = call.id("command_id")
    if _same(_registered(call), changed) not in (None, command_id):
        raise COMMAND_NAME_TAKEN
    _registered(call)[command_id] = _made(call, changed, command_id)
    return RestResponse(_registered(call)[command_id])


async def delete(call: Call) -> RestResponse:
    """DELETE …/commands/{command_id}."""
    _command(call)
    del _registered(call)[call.id("command_id")]
    return RestResponse()


ROUTES = tuple(
    route
    for base in (
        "/applications/{application_id}/commands",
        "/applications/{application_id}/guilds/{guild_id}/commands",
    )
    for route in (
        Route("GET", base, listing),
        Route("PUT", base, replace_all),
        Route("POST", base, create),
        Route("GET", base + "/{command_id}", read),
        Route("PATCH", base + "/{command_id}", change),
        Route("DELETE", base + "/{command_id}", delete),
    )
)
