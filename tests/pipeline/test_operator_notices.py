"""The person who runs the bot is notified of its trouble, in a channel and by a webhook."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from bot.app import Timings
from bot.db.key_values import LAST_BACKUP
from bot.notifiers.operator_notifier import OperatorTimings, StartupNotice, webhook_body
from bot.notifiers.operator_texts import notice_text
from bot.services.operator_notices import NoticeLimits, OperatorNotice
from bot.timing import Backoff
from tests.pipeline.conftest import TIMINGS, StartBot, Studio
from tests.waiting import until

SECRET: Final = "T0KESTREL-B0HARBOUR-9c1f7e"  # an invented one
LIMITS: Final = NoticeLimits(
    sure=timedelta(seconds=0.2), sure_patient=timedelta(seconds=0.2), calm=timedelta(seconds=0.2)
)
QUICK: Final = OperatorTimings(look_s=0.05, retry=Backoff((0.05,)), limits=LIMITS)
LONG_AGO: Final = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def timings() -> Timings:
    return replace(TIMINGS, operator=QUICK)


@dataclass
class Inbound:
    """What an incoming webhook got; it answers with `status`."""

    port: int = 0
    status: int = 200
    bodies: list[Any] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/{SECRET}"

    async def take(self, request: web.Request) -> web.Response:
        if self.status == 200:
            self.bodies.append(await request.json())
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})


@pytest.fixture
async def inbound() -> AsyncIterator[Inbound]:
    there = Inbound()
    app = web.Application()
    app.router.add_post("/{path:.*}", there.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    there.port = runner.addresses[0][1]
    yield there
    await runner.cleanup()


async def test_a_trouble_reaches_the_channel_and_the_webhook_once_and_its_end_over_a_restart(
    studio: Studio, start_bot: StartBot, inbound: Inbound
) -> None:
    channel = studio.facade
    route = f"POST /channels/{channel.id}/messages"
    studio.sandbox.faults.fail(route, status=403, code=50013)
    inbound.status = 302  # where that leads to is not asked

    def said(count: int) -> bool:
        return len(studio.sandbox.messages(channel.id)) == len(inbound.bodies) == count

    with capture_logs() as logs:
        settings = {"operator": {"channel": channel.id, "free_disk_gb": 0.0}}
        async with start_bot(**settings, operator_webhook_url=inbound.url) as app:
            await app.storage.write(lambda tx: tx.key_values.set(LAST_BACKUP, LONG_AGO))
            await until(lambda: "operator.webhook_not_reached" in str(logs))
            inbound.status = 200
            await until(lambda: said(1))
            await asyncio.sleep(0.3)
        settings = {"operator": {"channel": channel.id, "free_disk_gb": 0.0, "backup_days": 0}}
        async with start_bot(**settings, operator_webhook_url=inbound.url):
            await until(lambda: said(2))
            await asyncio.sleep(0.3)
    assert said(2)
    trouble, over = (message.content for message in studio.sandbox.messages(channel.id))
    assert [body["text"] for body in inbound.bodies] == [trouble, over]
    assert re.match(r"⚠ Trouble: there has been no backup for \d+ days.\n", trouble)
    assert "run.py backup FILE`" in trouble
    assert "backup_days = 0" in trouble
    assert re.match(r"✔ Over: there has been no backup for \d+ days.\nIt lasted ", over)
    assert SECRET not in str(logs)
    assert [log["event"] for log in logs].count("operator.trouble") == 1


def test_discords_webhooks_get_discords_form_and_all_others_slacks() -> None:
    for url in ("https://discord.com/api/webhooks/1/x", "https://discord.com/api/v10/webhooks/1/x"):
        assert webhook_body(url, "Hm.") == {"content": "Hm.", "allowed_mentions": {"parse": []}}
    for url in (
        "https://hooks.slack.com/services/T/B/x",
        "https://discord.com/api/webhooks/1/x/slack",
    ):
        assert webhook_body(url, "Hm.") == {"text": "Hm."}


async def test_a_start_that_waits_for_the_database_is_said_once_and_its_end() -> None:
    now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    said: list[str] = []

    async def send(notice: OperatorNotice) -> bool:
        said.append(notice_text(notice).split("\n")[0])
        return len(said) > 1  # the first try does not get through

    startup = StartupNotice(send, lambda: now)
    await startup.on_state("the disk is full")
    await startup.on_state(None)
    assert said == []
    for _ in range(12):
        await startup.on_state("the disk is full")
        now += timedelta(seconds=5)
    await startup.on_state(None)
    trouble = "⚠ Trouble: the database cannot be written."
    assert said == [trouble, trouble, "✔ Over: the database cannot be written."]
