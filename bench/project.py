"""A project that a channel follows by hand, and its new versions as a Speckle server posts them."""

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bot.speckle.signature import sign
from sandbox.discord import Sandbox, SandboxChannel, SandboxGuild, SandboxMember

DELIVERIES = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "deliveries"
# A recorded delivery, with its author's picture.
RECORDED = base64.b64decode(json.loads((DELIVERIES / "commit_create.json").read_text())["body_b64"])


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
            body = self._version(number)
            headers = {
                "Content-Type": "application/json",
                "X-WEBHOOK-SIGNATURE": sign(body, self.secret),
            }
            async with http.post(self.url, data=body, headers=headers) as answer:
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
