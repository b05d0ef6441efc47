"""What calls the webhooks: one at a time, once, and what came of it goes into the history."""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

import aiohttp

from sandbox.speckle.entities import CallAnswer, HistoryEntry, ServerProject, User, Webhook
from sandbox.speckle.event_data import iso, stream_part, user_part
from sandbox.speckle.speckle_world import SpeckleWorld

TIMEOUT_S = 10.0
SUCCESS = (200, 201, 202, 204)
MOST_READ: Final = 500_000  # bytes of an answer
MOST_KEPT: Final = 2_000  # characters of it


@dataclass
class WebhookCaller:
    """Delivers events; `timeout_s` is 10 s on a real server."""

    world: SpeckleWorld
    url: str
    timeout_s: float = TIMEOUT_S
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _calling: set[asyncio.Task[None]] = field(default_factory=set)

    def record(
        self,
        project: ServerProject,
        event_name: str,
        data: Mapping[str, Any],
        *,
        user: User | None = None,
        status: int = 3,
        message: str | None = None,
    ) -> list[HistoryEntry]:
        """Write into each fitting webhook's history, calling nobody; 3 failed, 1 is stuck."""
        return [
            self.world.new_entry(
                hook, self.payload(hook, project, event_name, data, user, message), status
            )
            for hook in project.webhooks
            if hook.enabled and event_name in hook.triggers
        ]

    async def fire(
        self,
        project: ServerProject,
        event_name: str,
        data: Mapping[str, Any],
        *,
        user: User | None = None,
        message: str | None = None,
    ) -> list[HistoryEntry]:
        """Call each fitting webhook; gives the histories' new entries."""
        entries = self.record(project, event_name, data, user=user, status=0, message=message)
        await self._queued(project, entries)
        return entries

    def fire_soon(
        self,
        project: ServerProject,
        event_name: str,
        data: Mapping[str, Any],
        *,
        user: User | None = None,
        message: str | None = None,
    ) -> list[HistoryEntry]:
        """As `fire`, but the calls are made after this, in the order in which they were asked."""
        entries = self.record(project, event_name, data, user=user, status=0, message=message)
        self._queued(project, entries)
        return entries

    async def stop(self) -> None:
        """Give up the calls that are still to be made."""
        for task in self._calling:
            task.cancel()
        await asyncio.gather(*self._calling, return_exceptions=True)

    def _queued(
        self, project: ServerProject, entries: Sequence[HistoryEntry]
    ) -> asyncio.Task[None]:
        """The calls, which begin when those that were queued before are done."""
        task = asyncio.create_task(self._call_all(project, entries), name="webhook calls")
        self._calling.add(task)
        task.add_done_callback(self._calling.discard)
        return task

    async def _call_all(self, project: ServerProject, entries: Sequence[HistoryEntry]) -> None:
        async with self.one_at_a_time, aiohttp.ClientSession() as session:
            for entry in entries:
                await self._call(session, project, entry)

    async def _call(
        self, session: aiohttp.ClientSession, project: ServerProject, entry: HistoryEntry
    ) -> None:
        hook = next((hook for hook in project.webhooks if hook.id == entry.webhook_id), None)
        if hook is None:
            return
        entry.status, entry.called_at = 1, self.world.now()
        entry.headers = {
            "Content-Type": "application/json",
            "X-WEBHOOK-SIGNATURE": signature(entry.body, hook.secret),
            "Connection": "close",
        }
        entry.answer = await self._answer(session, hook.url, entry)
        entry.status = 2 if entry.answer.status in SUCCESS else 3
        entry.last_update = self.world.now()

    async def _answer(
        self, session: aiohttp.ClientSession, url: str, entry: HistoryEntry
    ) -> CallAnswer:
        started = monotonic()
        status = None
        try:
            async with session.post(
                url,
                data=entry.body,
                headers=entry.headers,
                timeout=aiohttp.ClientTimeout(total=self.timeout_s),
            ) as answer:
                text = (await answer.content.read(MOST_READ)).decode("utf-8", "replace")
                status = answer.status
        except TimeoutError:
            text = f"No answer within {self.timeout_s:g} s."
        except (aiohttp.ClientError, OSError, ValueError) as error:
            text = f"Calling it failed: {error or type(error).__name__}"
        return CallAnswer(status, text[:MOST_KEPT], round((monotonic() - started) * 1000))

    def payload(
        self,
        hook: Webhook,
        project: ServerProject,
        event_name: str,
        data: Mapping[str, Any],
        user: User | None,
        message: str | None,
    ) -> dict[str, Any]:
        """What is inside {"payload": …}, in the recorded deliveries' order."""
        payload: dict[str, Any] = {
            "streamId": project.id,
            "userId": None if user is None else user.id,
            "activityMessage": message or listed_message(project, event_name, data),
            "event": {"event_name": event_name, "data": dict(data)},
            "server": server_part(self.url),
        }
        if event_name != "stream_delete":
            payload["stream"] = stream_part(project, user)
        if user is not None:
            payload["user"] = user_part(user, project)
        payload["webhook"] = webhook_part(hook, project)
        return payload


def server_part(url: str) -> dict[str, Any]:
    """What a delivery has of the server."""
    return {
        "name": "My new Speckle Server",
        "company": "Unknown Company",
        "description": "This a community deployment of a Speckle Server.",
        "adminContact": "n/a",
        "termsOfService": "n/a",
        "canonicalUrl": url,
        "completed": False,
        "inviteOnly": False,
        "guestModeEnabled": False,
        "version": "2.31.14",
    }


def webhook_part(hook: Webhook, project: ServerProject) -> dict[str, Any]:
    """What a delivery has of the webhook that it came by."""
    return {
        "id": hook.id,
        "streamId": project.id,
        "url": hook.url,
        "description": hook.description,
        # Indices instead of names: the server's bug.
        "triggers": [str(index) for index in range(len(hook.triggers))],
        "enabled": hook.enabled,
        "createdAt": iso(hook.created_at),
        "updatedAt": iso(hook.updated_at),
    }


def signature(body: bytes, secret: str | None) -> str:
    """The header's value; without a secret the server signs with an empty key."""
    return hmac.new((secret or "").encode(), body, hashlib.sha256).hexdigest()


def listed_message(project: ServerProject, event_name: str, data: Mapping[str, Any]) -> str:
    """What the activity list says of an event with these data; Speckle says the same in both."""
    same = (one for one in project.activity if (one.action, one.info) == (event_name, data))
    return next((one.message for one in same), event_name)
