"""Polls: who voted for an answer, and the end of one before its time."""

from sandbox.discord import wire
from sandbox.discord.guilds import Poll, SandboxMessage
from sandbox.discord.refusals import NOT_A_POLL, NOT_THE_AUTHOR, UNKNOWN_MESSAGE
from sandbox.discord.rest import Call, RestResponse, Route


def _poll(call: Call) -> tuple[SandboxMessage, Poll]:
    channel = call.world.channel(call.id("channel_id"))
    message = call.world.message(channel, call.id("message_id"))
    if message.poll is None:
        raise NOT_A_POLL
    return message, message.poll


async def voters(call: Call) -> RestResponse:
    """GET /channels/{channel_id}/polls/{message_id}/answers/{answer_id}."""
    _, poll = _poll(call)
    answer = call.id("answer_id")
    if not 1 <= answer <= len(poll.answers):
        raise UNKNOWN_MESSAGE
    after, users = call.place("after") or 0, call.world.directory.users
    found = [one for one in sorted(poll.votes.get(answer, ())) if one > after]
    shown = [wire.user(users[one]) for one in found[: call.limit(25, 100)]]
    return RestResponse({"users": shown})


async def expire(call: Call) -> RestResponse:
    """POST /channels/{channel_id}/polls/{message_id}/expire."""
    message, poll = _poll(call)
    if message.author is not call.world.bot:
        raise NOT_THE_AUTHOR
    poll.expires_at = min(poll.expires_at, call.world.ids.time())
    return RestResponse(wire.message(message))


ROUTES = (
    Route("GET", "/channels/{channel_id}/polls/{message_id}/answers/{answer_id}", voters),
    Route("POST", "/channels/{channel_id}/polls/{message_id}/expire", expire),
)
