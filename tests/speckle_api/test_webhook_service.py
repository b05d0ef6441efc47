"""The replaying server delivers as the recorded webhook-service did."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.speckle.signature import is_signed
from sandbox.speckle import commit_create_data
from tests.speckle_api.conftest import Studio

DELIVERIES = Path(__file__).parents[1] / "fixtures" / "deliveries"


class Listener:
    """Answers with one status, after a while; keeps what came."""

    def __init__(self) -> None:
        self.status = 202
        self.delay_s = 0.0
        self.came: list[tuple[bytes, str]] = []
        self.at_once = 0
        self.url = ""

    async def hear(self, request: web.Request) -> web.Response:
        self.at_once += 1
        assert self.at_once == 1, "one delivery at a time"
        body = await request.read()
        await asyncio.sleep(self.delay_s)
        self.came.append((body, request.headers["X-WEBHOOK-SIGNATURE"]))
        self.at_once -= 1
        return web.Response(status=self.status)


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    listener = Listener()
    app = web.Application()
    app.router.add_post("/hook", listener.hear)
    async with TestServer(app) as server:
        listener.url = str(server.make_url("/hook"))
        yield listener


def shape(value: Any) -> Any:
    """The keys, in order, and how deep they go."""
    if not isinstance(value, dict):
        return None
    return {key: shape(item) for key, item in value.items() if key not in ("configuration", "data")}


async def test_a_delivery_has_the_recorded_one_s_shape(studio: Studio, listener: Listener) -> None:
    studio.server.add_webhook(studio.tower, listener.url, ["commit_create"], secret="s3cr3t")
    data = commit_create_data(studio.second)
    (entry,) = await studio.server.fire(studio.tower, "commit_create", data, user=studio.ilse)
    ((body, signature),) = listener.came
    assert body == entry.body
    assert is_signed([body], signature.encode(), ["s3cr3t"])
    read = json.loads((DELIVERIES / "commit_create.json").read_text())
    recorded = json.loads(base64.b64decode(read["body_b64"]))
    sent = json.loads(body)
    assert list(sent) == ["payload"]
    assert list(sent["payload"]) == list(recorded["payload"])
    assert shape(sent) == shape(recorded)
    assert list(data["commit"]) == list(recorded["payload"]["event"]["data"]["commit"])


@pytest.mark.parametrize(
    ("status", "entered"),
    [(200, 2), (201, 2), (202, 2), (204, 2), (203, 3), (401, 3), (404, 3), (413, 3), (503, 3)],
)
async def test_four_statuses_are_a_success(
    studio: Studio, listener: Listener, status: int, entered: int
) -> None:
    hook = studio.server.add_webhook(studio.tower, listener.url, ["branch_create"])
    listener.status = status
    await studio.server.fire(studio.tower, "branch_create", {}, user=studio.ilse)
    assert [entry.status for entry in hook.history] == [entered]


async def test_a_listener_that_is_slow_or_away_is_a_failure(
    studio: Studio, listener: Listener
) -> None:
    slow = studio.server.add_webhook(studio.tower, listener.url, ["branch_create"])
    away = studio.server.add_webhook(studio.tower, "http://127.0.0.1:9/", ["branch_create"])
    odd = studio.server.add_webhook(studio.tower, "not a url", ["branch_create"])
    studio.server.webhook_service.timeout_s = 0.2
    listener.delay_s = 0.5
    await studio.server.fire(studio.tower, "branch_create", {})
    assert [hook.history[0].status for hook in (slow, away, odd)] == [3, 3, 3]


async def test_only_fitting_webhooks_that_are_switched_on_are_called_one_at_a_time(
    studio: Studio, listener: Listener
) -> None:
    add = studio.server.add_webhook
    add(studio.tower, listener.url, ["branch_create"])
    add(studio.tower, listener.url, ["branch_create", "commit_create"])
    add(studio.tower, listener.url, ["commit_create"])
    add(studio.tower, listener.url, ["branch_create"], enabled=False)
    listener.delay_s = 0.02
    fired = (studio.server.fire(studio.tower, "branch_create", {"n": n}) for n in range(3))
    await asyncio.gather(*fired)
    assert len(listener.came) == 6


async def test_a_history_can_be_written_without_calling_anybody(
    studio: Studio, listener: Listener
) -> None:
    hook = studio.server.add_webhook(studio.tower, listener.url, ["branch_create"])
    for status in (0, 1, 2, 3):
        studio.server.record(studio.tower, "branch_create", {}, status=status)
    assert [entry.status for entry in hook.history] == [0, 1, 2, 3]
    assert listener.came == []
