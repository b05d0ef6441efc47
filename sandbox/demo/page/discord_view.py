"""What the page shows of Discord, and what can be done there: everything as one of the members."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web
from pydantic import Field

from sandbox.demo.page.actions import Action, CannotDo, read_action
from sandbox.demo.page.changes import Changes
from sandbox.demo.page.discord_state import API, Look, Place, names_for, state, time_of
from sandbox.demo.page.markdown import Names
from sandbox.demo.page.private_messages import FailedCommand, PrivateMessages
from sandbox.demo.stage import Stage
from sandbox.discord import (
    InteractionTimeout,
    InteractionView,
    Sandbox,
    SandboxChannel,
    SandboxError,
    SandboxMember,
    SandboxMessage,
)
from sandbox.discord.message_rules import MAX_CONTENT

MESSAGES: Final = 50  # at first; more on request
MOST_MESSAGES: Final = 5_000
PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
DID_NOT_RESPOND: Final = "The application did not respond"
COMPONENT_FAILED: Final = "This interaction failed"
FORM_FAILED: Final = "Something went wrong. Try again."


class As(Action):
    """Who does it, and in which channel; both by id."""

    me: str
    channel: str


class Typed(As):
    """A command with its options, as ids, texts, numbers and truth values."""

    command: str
    options: dict[str, bool | int | float | str] = Field(default_factory=dict)


class Completing(Typed):
    """A command while the option `focused` is being typed."""

    focused: str
    value: str


class OnMessage(As):
    """Something on a message."""

    message: str


class Chosen(OnMessage):
    """A message's command, by name."""

    command: str


class Pressed(OnMessage):
    """A button, by custom_id."""

    custom_id: str


class Selected(Pressed):
    """Options of a select, or ids."""

    values: list[str]


class Submitted(As):
    """A form, filled in by custom_id; `form` is the id of the interaction that opened it."""

    form: str
    values: dict[str, str | bool | list[str] | None]


class Said(As):
    """A plain message of the member."""

    text: str


@dataclass(frozen=True, slots=True)
class DiscordView:
    """The handlers below /api/discord/."""

    discord: Sandbox
    stage: Stage
    changes: Changes
    private: PrivateMessages
    names: dict[int, Names] = field(default_factory=dict)  # by member

    # ── what there is to see ──────────────────────────────────────────────────────────────────

    async def state(self, request: web.Request) -> web.Response:
        """GET state?me=&channel=&most=: all that one member sees."""
        member = self._member(request.query.get("me", str(self.stage.manager.id)))
        channel = self._seen(member, request.query.get("channel", ""))
        most = _number(request.query.get("most", ""), MESSAGES)
        place = Place(member, channel, min(most, MOST_MESSAGES))
        return web.json_response(state(self.discord, self._look(member), place))

    async def commands(self, request: web.Request) -> web.Response:
        """GET commands?me=&channel=: what the member is offered there, of every type."""
        member = self._member(request.query.get("me", ""))
        channel = self._seen(member, request.query.get("channel", ""))
        if channel is None:
            return web.json_response([])
        return web.json_response(self.discord.commands_offered(channel, member))

    async def attachment(self, request: web.Request) -> web.Response:
        """GET attachments/{id}: a file of a message; what is no picture is to be saved."""
        found = self.discord.world.attachments.get(_number(request.match_info["id"], 0))
        if found is None:
            raise web.HTTPNotFound
        shown = found.media_type in PICTURES
        headers = {} if shown else {"Content-Disposition": "attachment"}
        kind = found.media_type if shown else "application/octet-stream"
        return web.Response(body=found.content, content_type=kind, headers=headers)

    async def emoji(self, request: web.Request) -> web.Response:
        """GET emojis/{id}: the picture of one of the application's emoji."""
        found = self.discord.world.emojis.get(_number(request.match_info["id"], 0))
        if found is None or found.media_type not in PICTURES:
            raise web.HTTPNotFound
        return web.Response(body=found.image, content_type=found.media_type)

    # ── what a member does ────────────────────────────────────────────────────────────────────

    async def command(self, request: web.Request) -> web.Response:
        """POST command: type a command."""
        typed = await read_action(request, Typed)
        member, channel = self._who_and_where(typed)
        asked = self.discord.command(channel.guild, channel, member, typed.command, **typed.options)
        return await self._command_answer(asked, member, channel, typed.command)

    async def message_command(self, request: web.Request) -> web.Response:
        """POST message-command: choose a command in a message's menu."""
        chosen = await read_action(request, Chosen)
        member, channel = self._who_and_where(chosen)
        message = self._message(member, channel, chosen.message)
        asked = self.discord.message_command(
            channel.guild, channel, member, chosen.command, message
        )
        return await self._command_answer(asked, member, channel, chosen.command)

    async def _command_answer(
        self,
        asked: Awaitable[InteractionView],
        member: SandboxMember,
        channel: SandboxChannel,
        name: str,
    ) -> web.Response:
        """The answer; where none came, the member sees that in the channel."""
        try:
            view = await _answer(asked)
        except InteractionTimeout:
            failed = FailedCommand(
                self.discord.world.ids.new_id(), channel, member.id, name, DID_NOT_RESPOND,
                time_of(self.discord),
            )  # fmt: skip
            self.private.failed(failed)
            self.changes.mark("discord")
            return web.json_response({"failed": DID_NOT_RESPOND})
        return self._answered(view, member)

    async def autocomplete(self, request: web.Request) -> web.Response:
        """POST autocomplete: what is offered while an option is being typed."""
        typed = await read_action(request, Completing)
        member, channel = self._who_and_where(typed)
        asked = self.discord.autocomplete(
            channel.guild, channel, member, typed.command, typed.focused, typed.value,
            **typed.options,
        )  # fmt: skip
        try:
            return web.json_response({"choices": await _answer(asked)})
        except InteractionTimeout:
            return web.json_response({"choices": [], "failed": "Loading options failed"})

    async def press(self, request: web.Request) -> web.Response:
        """POST press: a button of a message."""
        pressed = await read_action(request, Pressed)
        member, channel = self._who_and_where(pressed)
        message = self._message(member, channel, pressed.message)
        asked = self.discord.press(message, pressed.custom_id, member)
        return await self._component_answer(asked, member)

    async def select(self, request: web.Request) -> web.Response:
        """POST select: options of a message's select."""
        selected = await read_action(request, Selected)
        member, channel = self._who_and_where(selected)
        message = self._message(member, channel, selected.message)
        asked = self.discord.select(message, selected.custom_id, selected.values, member)
        return await self._component_answer(asked, member)

    async def _component_answer(
        self, asked: Awaitable[InteractionView], member: SandboxMember
    ) -> web.Response:
        try:
            return self._answered(await _answer(asked), member)
        except InteractionTimeout:
            return web.json_response({"failed": COMPONENT_FAILED})

    async def submit(self, request: web.Request) -> web.Response:
        """POST submit: a form."""
        submitted = await read_action(request, Submitted)
        member, _ = self._who_and_where(submitted)
        asked = self.discord.world.interactions.get(_number(submitted.form, 0))
        if asked is None or asked.member is not member or asked.modal is None:
            raise CannotDo("This form is no longer open. Use the command or button again.")
        opened = InteractionView(self.discord.world, asked)
        values = {key: value for key, value in submitted.values.items() if value is not None}
        try:
            view = await _answer(self.discord.submit_modal(opened, values, member))
        except InteractionTimeout:
            raise CannotDo(FORM_FAILED) from None
        return self._answered(view, member)

    def _answered(self, view: InteractionView, member: SandboxMember) -> web.Response:
        """What came back: a form to fill in, or nothing, as messages come with the state."""
        self.private.gather()
        self.changes.mark("discord")
        if view.modal is None:
            return web.json_response({})
        look = self._look(member)
        form = look.modal(view.modal) | {"form": str(view.interaction.id)}
        return web.json_response({"modal": form})

    async def say(self, request: web.Request) -> web.Response:
        """POST say: a plain message. Bots without the content intent do not get what it says."""
        said = await read_action(request, Said)
        member, channel = self._who_and_where(said)
        look = self._look(member)
        if not look.channel(channel)["writable"]:
            raise CannotDo(f"{member.name} may not write in #{channel.name}.")
        if not 0 < len(text := said.text.strip()) <= MAX_CONTENT:
            raise CannotDo(f"A message has 1 to {MAX_CONTENT} characters.")
        message = SandboxMessage(
            self.discord.world.ids.new_id(), channel, member.user, text,
            created_at=time_of(self.discord),
        )  # fmt: skip
        channel.messages[message.id] = message
        channel.archived = False
        self.changes.mark("discord")
        return web.json_response({"id": str(message.id)})

    async def dismiss(self, request: web.Request) -> web.Response:
        """POST dismiss: hide a message that only this member sees."""
        wanted = await read_action(request, OnMessage)
        member = self._member(wanted.me)
        if not self.private.dismiss(member.id, _number(wanted.message, 0)):
            raise CannotDo("That message is no longer there.")
        self.changes.mark("discord")
        return web.json_response({})

    def _look(self, member: SandboxMember) -> Look:
        names, before = names_for(self.discord, member), self.names.get(member.id)
        if before is None or not before.says_the_same(names):
            self.names[member.id] = names
        return Look(self.discord, self.private, member, self.names[member.id])

    # ── finding what is named ─────────────────────────────────────────────────────────────────

    def _member(self, member_id: str) -> SandboxMember:
        for guild in self.discord.world.guilds.values():
            if (found := guild.members.get(_number(member_id, 0))) is not None:
                return found
        raise CannotDo("That member is not in this Discord server.")

    def _seen(self, member: SandboxMember, channel_id: str) -> SandboxChannel | None:
        """The channel, if the member sees it."""
        found = self.discord.world.directory.channels.get(_number(channel_id, 0))
        if found is None or (found.guild is None and found.recipient is not member.user):
            return None
        if found.guild is not None and (found.guild is not member.guild or not member.sees(found)):
            return None
        return found

    def _who_and_where(self, asked: As) -> tuple[SandboxMember, SandboxChannel]:
        member = self._member(asked.me)
        channel = self._seen(member, asked.channel)
        if channel is None:
            raise CannotDo(f"{member.name} no longer sees this channel.")
        return member, channel

    def _message(
        self, member: SandboxMember, channel: SandboxChannel, message_id: str
    ) -> SandboxMessage:
        number = _number(message_id, 0)
        found = channel.messages.get(number) or self.private.find(member.id, number)
        if found is None or found.channel is not channel:
            raise CannotDo("That message was deleted.")
        return found


async def _answer(asked: Awaitable[Any]) -> Any:
    """What came back; what a member's client would not do becomes a sentence."""
    try:
        return await asked
    except InteractionTimeout:
        raise
    except SandboxError as error:
        text = str(error)
        raise CannotDo(f"{text[:1].upper()}{text[1:]}.") from None


def _number(text: str, otherwise: int) -> int:
    """A whole number from a request; what is none is `otherwise`."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 20 else otherwise


def routes(stage: Stage, changes: Changes) -> Sequence[web.RouteDef]:
    """GET and POST below /api/discord/."""
    view = DiscordView(stage.discord, stage, changes, PrivateMessages(stage.discord.world))
    reads: Mapping[str, Any] = {
        "state": view.state,
        "commands": view.commands,
        "attachments/{id}": view.attachment,
        "emojis/{id}": view.emoji,
    }
    acts: Mapping[str, Any] = {
        "command": view.command,
        "message-command": view.message_command,
        "autocomplete": view.autocomplete,
        "press": view.press,
        "select": view.select,
        "submit": view.submit,
        "say": view.say,
        "dismiss": view.dismiss,
    }
    return [
        *(web.get(f"{API}/{path}", handler) for path, handler in reads.items()),
        *(web.post(f"{API}/{path}", handler) for path, handler in acts.items()),
    ]


async def watch(stage: Stage, changes: Changes) -> None:
    """Runs while the page is served; marks "discord" when there is something new to see."""
    while True:
        await stage.discord.world.next_change()
        changes.mark("discord")
