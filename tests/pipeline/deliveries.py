"""Many deliveries of one project: made, posted, and found again among the cards of a channel."""

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from bot.app import App
from bot.model import Hook, PauseReason, Subscription
from sandbox.discord import SandboxChannel
from tests.pipeline.conftest import BY_HAND, SHOW, Recorded, Studio, post, recorded
from tests.waiting import until

T = TypeVar("T")
SERVER = "http://127.0.0.1:3000"
COMMIT = next(delivery for delivery in recorded() if delivery.name == "commit_create")
PROJECT_ID = COMMIT.payload["streamId"]


def numbered(number: int) -> Recorded:
    """A new version whose message says which one it is."""
    payload = COMMIT.payload
    commit = payload["event"]["data"]["commit"] | {"message": f"version no {number}"}
    data = payload["event"]["data"] | {"commit": commit}
    event = payload["event"] | {"data": data}
    return replace(COMMIT, body=json.dumps({"payload": payload | {"event": event}}).encode())


async def subscribe(
    studio: Studio, channel: SandboxChannel, project_id: str = PROJECT_ID, **options: str
) -> None:
    """Type /subscribe without an account, and go on by hand, or say yes to who will see it."""
    link = f"{SERVER}/projects/{project_id}"
    answer = await studio.sandbox.command(
        studio.guild, channel, studio.maren, "subscribe", stream_id=link, **options
    )
    await answer.settled()
    for label in (BY_HAND, SHOW):
        if answer.offers(label):
            await (await studio.sandbox.press(answer, label)).settled()


async def follow(app: App, studio: Studio, channel: SandboxChannel) -> Hook:
    await subscribe(studio, channel)
    (hook,) = await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
    return hook


async def send_numbers(app: App, hook: Hook, numbers: range) -> None:
    for number in numbers:
        assert await post(app, hook, numbered(number)) == 202


def numbers_in(studio: Studio, channel: SandboxChannel) -> list[int]:
    """The numbers of the cards in a channel, in the order in which they stand there."""
    shown = [(message.content, message.embeds) for message in studio.sandbox.messages(channel.id)]
    return [int(number) for number in re.findall(r"version no (\d+)", str(shown))]


async def wait_for_numbers(
    studio: Studio, channel: SandboxChannel, numbers: Iterable[int], timeout_s: float = 30.0
) -> None:
    """Wait until the channel shows just these, in this order."""
    wanted = list(numbers)

    async def all_there() -> bool:
        return len(numbers_in(studio, channel)) >= len(wanted)

    with suppress(TimeoutError):  # what is there then says more
        await until(all_there, timeout_s)
    assert numbers_in(studio, channel) == wanted


async def wait_until_paused(app: App, channel: SandboxChannel, reason: PauseReason) -> Subscription:
    async def found() -> Subscription | None:
        (subscription,) = await app.storage.read(lambda tx: tx.subscriptions.of_channel(channel.id))
        return subscription if subscription.pause_reason is reason else None

    return await until(found, 30.0)  # what is held is tried again after 15 s


def route_to(channel: SandboxChannel) -> str:
    return f"POST /channels/{channel.id}/messages"


def tries_in(studio: Studio, channel: SandboxChannel) -> list[Any]:
    """The bodies of all that was tried in a channel, as the sandbox took them."""
    path = f"/channels/{channel.id}/messages"
    return [r.json for r in studio.sandbox.requests if r.method == "POST" and r.path == path]
