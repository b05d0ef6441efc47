"""Answers to interactions: the first one, and what follows through the webhook of its token."""

from typing import Any

from sandbox.discord import wire
from sandbox.discord.command_rules import OptionType, check_choices
from sandbox.discord.component_rules import with_ids
from sandbox.discord.emoji_rules import KnownParts
from sandbox.discord.guilds import EPHEMERAL, LOADING, SandboxMessage
from sandbox.discord.interactions import ALLOWED, Asked, Callback, Interaction
from sandbox.discord.json_types import JSON
from sandbox.discord.message_rules import edit, new_message, read_draft
from sandbox.discord.modal_rules import check_modal
from sandbox.discord.refusals import (
    INVALID_WEBHOOK_TOKEN,
    UNKNOWN_INTERACTION,
    UNKNOWN_MESSAGE,
    UNKNOWN_WEBHOOK,
    Form,
)
from sandbox.discord.rest import Call, RestResponse, Route

ANSWER_TO_COMMAND = 20  # message types
FOLLOW_UP = 19


async def callback(call: Call) -> RestResponse:
    """POST /interactions/{interaction_id}/{interaction_token}/callback."""
    asked = call.world.interactions.get(call.id("interaction_id"))
    if asked is None or asked.token != call.params["interaction_token"]:
        raise UNKNOWN_INTERACTION
    asked.check_answerable(call.world.clock(), call.world.first_answer_s)
    kind = _kind(asked, call.body)
    data = call.body.get("data") or {}
    _answer(call, asked, kind, data)
    asked.callback = kind
    if call.query.get("with_response") in ("1", "true", "True"):
        return RestResponse(_with_response(asked))
    return RestResponse()


def _kind(asked: Interaction, body: JSON) -> Callback:
    """The kind of answer; a form error if this interaction cannot be answered so."""
    allowed = set(ALLOWED[Asked(asked.kind)])
    if asked.source is None:
        allowed -= {Callback.UPDATE, Callback.DEFER_UPDATE}
    if body.get("type") not in allowed:
        form = Form()
        form.choices(("type",), ", ".join(str(int(one)) for one in sorted(allowed)))
        form.finish()
    return Callback(body["type"])


def _answer(call: Call, asked: Interaction, kind: Callback, data: JSON) -> None:
    match kind:
        case Callback.MESSAGE:
            asked.original = _message(call, asked, data, prefix=("data",))
            asked.original.kind = ANSWER_TO_COMMAND
            _show(asked.original)
        case Callback.DEFER:
            flags = LOADING | int(data.get("flags") or 0) & EPHEMERAL
            asked.original = SandboxMessage(
                call.world.ids.new_id(), asked.channel, call.world.bot,
                flags=flags, kind=ANSWER_TO_COMMAND,
            )  # fmt: skip
            _show(asked.original)
        case Callback.UPDATE:
            asked.original = asked.source
            _change(call, _original(asked), data, prefix=("data",))
        case Callback.DEFER_UPDATE:
            asked.original = asked.source
        case Callback.CHOICES:
            asked.choices = _choices(asked, data)
        case _:
            form = Form()
            check_modal(form, data, KnownParts(emoji_ids=call.world.emojis.keys()))
            form.finish()
            with_ids(data["components"])
            asked.modal = data


def _message(
    call: Call, asked: Interaction, body: JSON, prefix: tuple[str, ...] = ()
) -> SandboxMessage:
    draft = read_draft(call.world, asked.channel, body, call.uploads, prefix=prefix)
    return new_message(call.world, asked.channel, draft)


def _show(message: SandboxMessage) -> None:
    """Put the message into the channel, unless one member alone sees it."""
    if not message.ephemeral:
        message.channel.open_again()
        message.channel.messages[message.id] = message


def _change(call: Call, message: SandboxMessage, body: JSON, prefix: tuple[str, ...] = ()) -> None:
    edit(
        message,
        read_draft(call.world, message.channel, body, call.uploads, message, prefix=prefix),
    )


def _choices(asked: Interaction, data: JSON) -> list[JSON]:
    form = Form()
    choices: list[JSON] = data.get("choices") or []
    if data.get("choices") is None:
        form.required(("data", "choices"))
    check_choices(form, ("data", "choices"), choices, asked.focused or OptionType.STRING)
    form.finish()
    return list(choices)


def _with_response(asked: Interaction) -> JSON:
    """What `with_response` gives."""
    interaction: JSON = {"id": str(asked.id), "type": asked.kind}
    if asked.original is not None:
        interaction |= {
            "response_message_id": str(asked.original.id),
            "response_message_loading": asked.original.thinking,
            "response_message_ephemeral": asked.original.ephemeral,
        }
    answer: JSON = {"interaction": interaction}
    if asked.callback in (Callback.MESSAGE, Callback.UPDATE) and asked.original is not None:
        answer["resource"] = {
            "type": int(asked.callback), "message": wire.message(asked.original),
        }  # fmt: skip
    return answer


# ── what follows ──────────────────────────────────────────────────────────────────────────────


def _interaction(call: Call) -> Interaction:
    if call.id("webhook_id") != call.world.application_id:
        raise UNKNOWN_WEBHOOK
    asked = call.world.interaction_of(call.params["webhook_token"])
    if asked is None:
        raise INVALID_WEBHOOK_TOKEN
    asked.check_token(call.world.clock())
    return asked


def _original(asked: Interaction) -> SandboxMessage:
    if asked.original is None or asked.original.deleted:
        raise UNKNOWN_MESSAGE
    return asked.original


def _named(call: Call, asked: Interaction) -> SandboxMessage:
    """The message that the path names: an id, or @original."""
    if "message_id" not in call.params:
        return _original(asked)
    wanted = call.id("message_id")
    for message in (*asked.followups, asked.original):
        if message is not None and message.id == wanted and not message.deleted:
            return message
    raise UNKNOWN_MESSAGE


async def follow_up(call: Call) -> RestResponse:
    """POST /webhooks/{webhook_id}/{webhook_token}; the first after a deferral fills that one."""
    asked = _interaction(call)
    waiting = asked.original
    if asked.callback is Callback.DEFER and waiting is not None and waiting.thinking:
        body = {key: value for key, value in call.body.items() if key != "nonce"}
        _change(call, waiting, body)
        return RestResponse(wire.message(waiting))
    message = _message(call, asked, call.body)
    message.kind = FOLLOW_UP
    asked.followups.append(message)
    _show(message)
    return RestResponse(wire.message(message))


async def read(call: Call) -> RestResponse:
    """GET /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}."""
    return RestResponse(wire.message(_named(call, _interaction(call))))


async def patch(call: Call) -> RestResponse:
    """PATCH /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}."""
    message = _named(call, _interaction(call))
    _change(call, message, call.body)
    return RestResponse(wire.message(message))


async def delete(call: Call) -> RestResponse:
    """DELETE /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}."""
    message = _named(call, _interaction(call))
    message.channel.messages.pop(message.id, None)
    message.deleted = True
    return RestResponse()


def _routes() -> tuple[Route, ...]:
    hook = "/webhooks/{webhook_id}/{webhook_token}"
    first = "/interactions/{interaction_id}/{interaction_token}/callback"
    free: dict[str, Any] = {"open": True, "exempt": True}
    routes = [
        Route("POST", first, callback, **free),
        Route("POST", hook, follow_up, **free),
    ]  # fmt: skip
    for place in (hook + "/messages/@original", hook + "/messages/{message_id}"):
        routes += [
            Route("GET", place, read, **free),
            Route("PATCH", place, patch, **free),
            Route("DELETE", place, delete, **free),
        ]
    return tuple(routes)


ROUTES = _routes()
