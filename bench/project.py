"""A project that a channel follows by hand, and its new versions as a Speckle server posts them."""

import asyncio
import base64
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from bot.speckle.signature import sign
from sandbox.discord import Sandbox, SandboxChannel, SandboxGuild, SandboxMember

DELIVERIES = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "deliveries"
# A recorded delivery, with its author's picture.
RECORDED = base64.b64decode(json.loads((DELIVERIES / "commit_create.json").read_text())["body_b64"])
LOOK_S: Final = 0.02
# A channel of its own follows each of them, see `follow_all`.
PROJECT_IDS: Final = tuple(f"{number:010x}" for number in range(1, 9))


@dataclass(frozen=True)
class Project:
    """A project, the channel that follows it, and where its events are posted."""

    id: str
    channel: SandboxChannel
    url: str
    secret: str

    async def post(self, http: aiohttp.ClientSession, numbers: range) -> None:
        """Post new versions, one after the other; ends the bench if one is not taken."""
        for number in numbers:
            await self.post_body(http, self._version(number))

    async def post_body(self, http: aiohttp.ClientSession, body: bytes) -> None:
        """Post a delivery; ends the bench if it is not taken."""
        headers = {
            "Content-Type": "application/json",
            "X-WEBHOOK-SIGNATURE": sign(body, self.secret),
        }
        # A file, as aiohttp warns of large bytes.
        async with http.post(self.url, data=io.BytesIO(body), headers=headers) as answer:
            if answer.status != 202:
                raise SystemExit(f"unexpected answer: {answer.status} {await answer.text()}")

    def _version(self, number: int) -> bytes:
        body = json.loads(RECORDED)
        payload = body["payload"]
        payload["streamId"] = payload["stream"]["id"] = self.id
        data = payload["event"]["data"]
        data["id"] = f"{number:010x}"
        data["commit"]["message"] = f"#{number}"
        return json.dumps(body).encode()


async def follow(
    sandbox: Sandbox,
    guild: SandboxGuild,
    channel: SandboxChannel,
    member: SandboxMember,
    project_id: str,
) -> Project:
    """Subscribe a channel by hand, as a member types and presses it."""
    answer = await sandbox.command(guild, channel, member, "subscribe", stream_id=project_id)
    await sandbox.press(answer, "Set it up by hand")
    said = str(answer.embeds)
    url = re.findall(r"http://[\w.:/-]+/webhooks/[\w-]+", said)[0]
    secret = re.findall(r"Secret.*?```\\n([\w-]+)\\n", said)[0]
    return Project(project_id, channel, url, secret)


async def follow_all(sandbox: Sandbox) -> Sequence[Project]:
    """A channel of its own for each of the projects, in one guild."""
    guild = sandbox.add_guild("Studio Kestrel")
    member = guild.add_member("Maren Oduya", permissions="manage_webhooks")
    return [
        await follow(sandbox, guild, guild.add_channel(f"p{project_id}"), member, project_id)
        for project_id in PROJECT_IDS
    ]


def cards_in(sandbox: Sandbox, channels: Iterable[SandboxChannel]) -> int:
    """How many cards these channels show."""
    return sum(len(m.embeds) for channel in channels for m in sandbox.messages(channel.id))


async def until_shown(
    sandbox: Sandbox, channels: Sequence[SandboxChannel], cards: int, within_s: float = 3_600.0
) -> None:
    """Wait until these channels show so many cards."""
    async with asyncio.timeout(within_s):
        while cards_in(sandbox, channels) < cards:  # noqa: ASYNC110  # no event is set for it
            await asyncio.sleep(LOOK_S)
