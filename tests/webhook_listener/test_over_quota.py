"""What a webhook hears that has sent as much as it may: over real sockets and a real file."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography.fernet import Fernet
from structlog.testing import capture_logs

from bot.model import Hook, HookKind
from bot.problems import NotReady
from bot.services.quotas import GuildLimits, QuotaService
from bot.speckle.signature import sign
from bot.storage import Storage
from bot.vault import Vault
from bot.webhook_listener import REFUSED, WebhookListener
from tests.stored import new_database
from tests.webhook_listener.desk import PROJECT, SERVER, delivery

GUILD, OPERATORS_GUILD = 1, 2
LIMITS = GuildLimits(events_a_day=4, bytes_a_day=1_000_000, hooks=9, subscriptions=9, model_names=9)


class Clock:
    """Two hours before midnight, until a test moves it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 22, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


async def no_problems() -> list[NotReady]:
    return []


@dataclass
class Desk:
    """A listening listener whose guilds may send four events a day."""

    storage: Storage
    http: aiohttp.ClientSession
    base: str
    clock: Clock
    missed: list[None]
    sent: int = 0

    async def hook(self, guild_id: int = GUILD, project_id: str = PROJECT) -> Hook:
        return await self.storage.write(
            lambda tx: tx.hooks.create(guild_id, SERVER, project_id, HookKind.OWN, 2, 3)
        )

    async def post(self, hook: Hook, signature: str | None = None) -> tuple[int, str, str | None]:
        """One more event: status, text and Retry-After."""
        self.sent += 1
        body = delivery(hook.project_id, number=self.sent)
        headers = {
            "Content-Type": "application/json",
            "X-WEBHOOK-SIGNATURE": signature or sign(body, hook.secrets[0]),
        }
        url = f"{self.base}/webhooks/{hook.key}"
        async with self.http.post(url, data=body, headers=headers) as answer:
            return answer.status, await answer.text(), answer.headers.get("Retry-After")

    async def statuses(self, hook: Hook, count: int) -> list[int]:
        return [(await self.post(hook))[0] for _ in range(count)]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    vault = Vault([Fernet.generate_key().decode()])

    clock = Clock()
    missed: list[None] = []
    async with Storage.open(new_database(tmp_path / "bot.db"), vault, clock) as storage:
        listener = WebhookListener(
            storage,
            shared_hook=None,
            max_body_bytes=1024 * 1024,
            on_stored=lambda _lane: None,
            on_missed=lambda: missed.append(None),
            problems=no_problems,
            instance="0f0f",
            now=clock,
            quotas=QuotaService(storage, LIMITS, without=[OPERATORS_GUILD], now=clock),
        )
        async with listener.listening("127.0.0.1", 0) as port, aiohttp.ClientSession() as http:
            yield Desk(storage, http, f"http://127.0.0.1:{port}", clock, missed)


async def test_what_is_over_the_day_gets_429_with_a_reason_and_a_time(desk: Desk) -> None:
    hook = await desk.hook()
    assert await desk.statuses(hook, 4) == [202] * 4
    status, text, retry_after = await desk.post(hook)
    assert (status, retry_after) == (429, "7200")
    assert text.startswith("This webhook has reached its limit for today")
    desk.clock.time += timedelta(hours=2)
    assert await desk.statuses(hook, 5) == [*[202] * 4, 429]


async def test_another_hook_of_the_guild_keeps_its_share(desk: Desk) -> None:
    busy, quiet = await desk.hook(), await desk.hook(project_id="0" * 10)
    assert await desk.statuses(busy, 6) == [*[202] * 3, *[429] * 3]
    assert await desk.statuses(quiet, 2) == [202, 429]


async def test_an_operators_own_guild_has_no_quota(desk: Desk) -> None:
    assert set(await desk.statuses(await desk.hook(OPERATORS_GUILD), 30)) == {202}


async def test_a_wrong_signature_learns_nothing_of_the_quota(desk: Desk) -> None:
    hook = await desk.hook()
    await desk.statuses(hook, 6)
    assert (await desk.post(hook, "0" * 64))[:2] == (401, REFUSED)


async def test_what_is_refused_costs_no_transaction_and_starts_no_catch_up(desk: Desk) -> None:
    hook = await desk.hook()
    assert await desk.statuses(hook, 5) == [*[202] * 4, 429]
    with desk.storage._database.writing():  # nobody else can write now
        assert await desk.statuses(hook, 30) == [429] * 30
    assert desk.missed == []


async def test_the_log_has_one_line_a_day_for_a_hook(desk: Desk) -> None:
    hook = await desk.hook()
    with capture_logs() as lines:
        await desk.statuses(hook, 9)
    said = [line for line in lines if line["event"] == "quota.used_up"]
    assert [(line["guild_id"], line["hook_id"]) for line in said] == [(GUILD, hook.id)]
    assert [line for line in lines if line["log_level"] in ("warning", "error")] == said
    desk.clock.time += timedelta(days=1)
    with capture_logs() as lines:
        await desk.statuses(hook, 9)
    assert [line["event"] for line in lines if line["log_level"] != "info"] == ["quota.used_up"]
