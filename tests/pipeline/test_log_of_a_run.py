"""The log of a whole run at its lowest level, with everything failing."""

import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import aiohttp
import pytest
import structlog

from bot.app import App, Timings
from bot.errors import StorageUnavailable
from bot.log import HANDLER_NAME, QUIET, setup
from bot.notifiers.operator_notifier import OperatorTimings
from bot.pipeline.enrichment.timings import EnrichmentTimings, RetryPatience
from bot.services.operator_notices import NoticeLimits
from bot.settings import Settings
from bot.speckle_api.circuit_breaker import BreakerLimits
from bot.storage import Storage
from bot.timing import Backoff
from bot.vault import Vault
from sandbox.speckle import commit_create_data
from tests.conftest import only_2_31
from tests.pipeline.conftest import CHECKED_ONCE, TIMINGS, Run, Studio
from tests.pipeline.deliveries import route_to
from tests.pipeline.tower import Tower
from tests.waiting import until

PASSWORD: Final = "harbour-Password-71"  # all of these are invented
APP_SECRET: Final = "app-secret-4711"
PROXY_PASSWORD: Final = "proxy-Password-72"
NOTICES: Final = "http://127.0.0.1:9/services/T0KESTREL/B0HARBOUR/9c1f7e55aaQ81kdMw2"
PLANTED: Final = {
    "Discord's token": "MTE4MDAwMDAwMDAwMDAwMDAwMQ.GabcDe.kJ8sL0pQ2rT4vW6xY8zA1bC3dE5fG7hI9jK1lM",
    "an encryption key": "BDGfx_XtuvkOYJafd-ORqqJZQM1UtL1Uq8Fn3kqrOjs=",
    "Speckle's token": "0123456789abcdef0123456789abcdef0123456789",
    "the shared hook's secret": "tide and $TIMBER",
    "an application's secret": APP_SECRET,
    "the operator's webhook": "9c1f7e55aaQ81kdMw2",
    "the database's password": PASSWORD,
    "a proxy's password": PROXY_PASSWORD,
    "a signature": "c0ffee" * 10,
    "a code of signing in": "code-of-signing-in-4712",
    "a header": "Bearer planted.in.a.header-4713",
    "a message's text": "Pour the slab on Friday",
    "an author": "Ilse Brandt",
    "a project": "Kestrel Tower",
    "a model": "structure/level 1",
    "a channel": "the-board-room",
    "a guild": "Studio Kestrel",
    "a member": "Maren Oduya",
}
EVERYTHING: Final = "; ".join(PLANTED.values())
KNOWN: Final = (
    "Discord",
    "an encryption",
    "Speckle",
    "the ",
    "an application",
    "a proxy",
    "a header",
)
EVERYTHING_SECRET: Final = "; ".join(
    text for what, text in PLANTED.items() if what.startswith(KNOWN)
)
SHORT: Final = RetryPatience(timedelta(seconds=0.1), Backoff((0.1,)), timedelta(seconds=20))


@pytest.fixture
def timings() -> Timings:
    enrichment = EnrichmentTimings(
        question_s=2.0, facts=SHORT, picture=SHORT, changes=SHORT, checks=CHECKED_ONCE
    )
    limits = NoticeLimits(sure=timedelta(), sure_patient=timedelta())
    notices = OperatorTimings(look_s=0.2, retry=Backoff((2.0,)), limits=limits)
    return replace(
        TIMINGS,
        speckle=BreakerLimits(rest_s=0.2),
        enrichment=enrichment,
        operator=notices,
        editor_retry=Backoff((0.1, 0.1, 0.1)),
    )


def settings() -> dict[str, Any]:
    return {
        "speckle_token": PLANTED["Speckle's token"],
        "speckle_webhook_secret": PLANTED["the shared hook's secret"],
        "speckle_apps": (f"4a8173073e:{APP_SECRET}",),
        "operator_webhook_url": NOTICES,
        "operator": {"free_disk_gb": 1_000_000.0},
        "no_proxy": ("*",),
        "https_proxy": f"http://proxy:{PROXY_PASSWORD}@127.0.0.1:9",
        "organisation": {"guilds": [1]},
        "speckle": {"enrich_deadline_s": 0.3},
    }


@pytest.fixture
def stream(studio: Studio, key: str) -> Iterator[io.StringIO]:
    """Where the log goes, set up as the command line does."""
    root, levels = logging.getLogger(), {name: logging.getLogger(name).level for name in QUIET}
    level, written = root.level, io.StringIO()
    values = settings() | {"database_url": f"postgresql+psycopg://bot:{PASSWORD}@127.0.0.1:1/x"}
    known = Settings.model_validate(
        values | {"discord_token": PLANTED["Discord's token"], "encryption_keys": (key,)}
    )
    setup("debug", "json", (*known.secret_values(), studio.sandbox.token), written)
    yield written
    structlog.reset_defaults()
    root.setLevel(level)
    root.handlers = [one for one in root.handlers if one.name != HANDLER_NAME]
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def one_event(tower: Tower, studio: Studio) -> int:
    """A version of which Speckle says nothing, then nonsense, then all: the number of its event."""
    faults, server = tower.server.faults, tower.server
    faults.hang = True
    version = server.add_version(
        tower.project, tower.model, author=tower.ilse, message=PLANTED["a message's text"]
    )
    data = commit_create_data(version)
    await server.fire(tower.project, "commit_create", data, user=tower.ilse)

    async def shown(what: str) -> bool:
        return what in str([one.embeds for one in studio.sandbox.messages(studio.structure.id)])

    await until(lambda: shown(PLANTED["a message's text"]), 30.0)
    faults.clear()
    asked = len(server.requests)
    faults.status, faults.body = 500, json.dumps({"errors": [{"message": EVERYTHING}]})
    await until(lambda: len(server.requests) > asked)
    faults.clear()
    await until(lambda: shown("Objects"), 30.0)
    return 1


async def knock(app: App, key: str) -> None:
    """Everything that somebody may send to the open port, with secrets in each part of it."""
    base = f"http://127.0.0.1:{app.port}"
    headers = {
        "Content-Type": "application/json",
        "X-WEBHOOK-SIGNATURE": PLANTED["a signature"],
        "Authorization": PLANTED["a header"],
        "Cookie": PLANTED["a header"],
    }
    code = PLANTED["a code of signing in"]
    async with aiohttp.ClientSession() as http:
        for path in (f"/webhooks/{key}", f"/webhooks/{code}", "/webhook", f"/{code}"):
            async with http.post(base + path, data=EVERYTHING, headers=headers) as answer:
                assert answer.status in (401, 404)
        async with http.get(f"{base}/link/callback?code={code}&state={code}", headers=headers):
            pass
    error = RuntimeError(EVERYTHING_SECRET)
    context = {"message": EVERYTHING_SECRET, "exception": error}
    asyncio.get_running_loop().call_exception_handler(context)
    structlog.get_logger().error("a.failure", exc_info=error, token=code, address=NOTICES)


async def without_database() -> None:
    """A database that cannot be reached, by an address with a password."""
    url = f"postgresql+psycopg://bot:{PASSWORD}@127.0.0.1:1/bot"
    with pytest.raises(StorageUnavailable) as caught:
        async with Storage.open(url, Vault([PLANTED["an encryption key"]])):
            pass
    structlog.get_logger().error("database.away", exc_info=caught.value)


@only_2_31
async def test_an_event_is_followed_through_the_log_which_holds_nothing_secret_or_private(
    studio: Studio, run: Run, tower: Tower, stream: io.StringIO
) -> None:
    studio.structure.name = PLANTED["a channel"]
    studio.sandbox.faults.fail(route_to(studio.structure), 500, message=EVERYTHING)
    async with run(**settings()) as app:
        hook = await tower.follow(app.storage, studio)
        event = await one_event(tower, studio)
        status = await studio.sandbox.command(
            studio.guild, studio.structure, studio.maren, "status"
        )
        said = str((await status.settled()).embeds)
        assert hook.key is not None
        await knock(app, hook.key)
        await until(lambda: "editor.done" in stream.getvalue())
    await without_database()
    assert f"in <#{studio.structure.id}>" in said
    assert re.search(r"'value': '\d+\.\d s, 1 card'", said)
    written = stream.getvalue()
    secrets = {**PLANTED, "a hook's key": hook.key, "a hook's secret": hook.secrets[0]}
    secrets |= {
        "an account's token": tower.token,
        "the bot's token": studio.sandbox.token,
    }
    assert [what for what, text in secrets.items() if text in written] == []
    said_of_it = [line for line in lines_of(stream) if event in line.get("events", ())]
    taken = next(line for line in lines_of(stream) if line["event"] == "webhook.taken")
    assert (taken["inbox_id"], len(taken["delivery"])) == (event, 8)
    way = [
        "ingest.done",
        "sender.retry_later",
        "sender.sent",
        "late_enrichment.done",
        "editor.done",
    ]
    assert [line["event"] for line in said_of_it if line["event"] in way] == way
