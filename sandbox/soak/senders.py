"""What happens in a soak's projects: signed deliveries, each sent once, over its own connection,
and versions on a Speckle server that tells those who listen.
"""

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from random import Random
from typing import Any, Final

import aiohttp

from bot.speckle.signature import sign
from sandbox.soak.oracle import DeliveryFate, DeliveryTag, Ledger, model_of
from sandbox.soak.world import SoakWebhook, project_id
from sandbox.speckle import ServerProject, SpeckleServer, commit_create_data

SAMPLES: Final = Path(__file__).parents[1] / "sample_events.json"
# Longer than Speckle's 10 s: a delivery that is given up while the bot still has it could overtake
# or be overtaken, and then no order would be defined.
GIVE_UP_S: Final = 60.0
BRAKE_S: Final = 0.1
# How many versions are published together, and how often that is: more than a page of a list once.
TOGETHER: Final[Mapping[int, float]] = {1: 300, 5: 30, 120: 1}
WITH_PICTURE: Final = 8  # each eighth delivery comes from somebody with a picture


class ProjectSender(ABC):
    """Has one project's events happen, one after another, and remembers what came of each.

    `brake()` says whether to hold back for now.
    """

    def __init__(self, project: str, ledger: Ledger, brake: Callable[[], bool]) -> None:
        self._project = project
        self._ledger = ledger
        self._brake = brake
        self.fates: list[DeliveryFate] = []

    async def send_often(self, rate: float) -> None:
        """Send so many a second until cancelled; nothing is made up for later."""
        while True:
            if self._brake():
                await asyncio.sleep(BRAKE_S)
                continue
            started = time.monotonic()
            await self._send_some()
            await asyncio.sleep(max(0.0, started + 1 / rate - time.monotonic()))

    async def send(self) -> DeliveryFate:
        """Send the next one; cut off in the middle, it counts as lost."""
        mark = DeliveryTag(self._project, len(self.fates))
        self.fates.append(DeliveryFate.LOST)
        fate = self.fates[mark.number] = await self._happen(mark)
        if fate is DeliveryFate.ACKNOWLEDGED:
            self._ledger.acknowledge(mark)
        return fate

    async def _send_some(self) -> None:
        await self.send()

    @abstractmethod
    async def _happen(self, mark: DeliveryTag) -> DeliveryFate:
        """Have it happen; what is known of it then."""


class WebhookSender(ProjectSender):
    """A Speckle server that delivers to a webhook which was made by hand."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        hook: SoakWebhook,
        ledger: Ledger,
        brake: Callable[[], bool],
    ) -> None:
        super().__init__(hook.project, ledger, brake)
        self._http = http
        self._hook = hook
        self._sample = _sample()

    async def _happen(self, mark: DeliveryTag) -> DeliveryFate:
        return await self._post(self._body(mark))

    async def _post(self, body: bytes) -> DeliveryFate:
        headers = {
            "Content-Type": "application/json",
            "X-WEBHOOK-SIGNATURE": sign(body, self._hook.secret),
        }
        try:
            async with self._http.post(self._hook.url, data=body, headers=headers) as answer:
                return DeliveryFate.ACKNOWLEDGED if answer.ok else DeliveryFate.REFUSED
        except aiohttp.ClientConnectorError:
            return DeliveryFate.REFUSED
        except (aiohttp.ClientError, TimeoutError):
            return DeliveryFate.LOST

    def _body(self, mark: DeliveryTag) -> bytes:
        """A new version, as a Speckle server of today announces it."""
        payload = self._sample
        project, version, model = (
            project_id(mark.project),
            f"{mark.number:010x}",
            model_of(mark.number),
        )
        commit = payload["event"]["data"]["commit"] | {
            "message": f"Beams moved, {mark} of this soak",
            "branchName": model,
            "versionId": version,
            "streamId": project,
            "projectId": project,
        }
        picture = None if mark.number % WITH_PICTURE else payload["user"]["avatar"]
        body = payload | {
            "streamId": project,
            "activityMessage": f"Commit created on branch {model}: {version}",
            "event": {"event_name": "commit_create", "data": {"id": version, "commit": commit}},
            "stream": payload["stream"] | {"id": project, "name": f"Tower {mark.project}"},
            "user": payload["user"] | {"avatar": picture},
        }
        return json.dumps({"payload": body}, separators=(",", ":")).encode()


class VersionPublisher(ProjectSender):
    """Somebody who publishes versions in a project that accounts listen to.

    What is published is owed, whatever becomes of frames and sockets: it is in the project's list.
    """

    def __init__(
        self,
        server: SpeckleServer,
        project: ServerProject,
        letter: str,
        ledger: Ledger,
        brake: Callable[[], bool],
        random: Random,
    ) -> None:
        super().__init__(letter, ledger, brake)
        self._server = server
        self._listened_to = project
        self._random = random

    async def _send_some(self) -> None:
        """Mostly one, at times many in one millisecond; not where a webhook is called for each."""
        by_webhook = bool(self._server.webhooks(self._listened_to))
        (count,) = (1,) if by_webhook else self._random.choices([*TOGETHER], [*TOGETHER.values()])
        with nullcontext() if count == 1 else self._server.one_millisecond():
            for _ in range(count):
                await self.send()

    async def _happen(self, mark: DeliveryTag) -> DeliveryFate:
        project, author = self._listened_to, next(iter(self._server.users.values()))
        model = next(one for one in project.models if one.name == model_of(mark.number))
        version = self._server.add_version(
            project, model, author=author, message=f"Beams moved, {mark} of this soak"
        )
        data = commit_create_data(version)
        if self._server.webhooks(project):
            await self._server.fire(project, "commit_create", data, user=author)
        return DeliveryFate.ACKNOWLEDGED


def new_session() -> aiohttp.ClientSession:
    """A client that makes a connection for each request, as Speckle's does."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, limit=0),
        timeout=aiohttp.ClientTimeout(total=GIVE_UP_S),
    )


def _sample() -> dict[str, Any]:
    samples = json.loads(SAMPLES.read_text("utf-8"))
    created = [one for one in samples if one["event"]["event_name"] == "commit_create"]
    sample: dict[str, Any] = created[0]
    return sample
