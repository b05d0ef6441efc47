"""The listener over real sockets and a real SQLite file."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.db.rows import Hook, HookKind, InboxRow
from bot.db.vault import Vault
from bot.errors import StorageUnavailable
from bot.speckle.signature import sign
from bot.storage import Storage, utc_now
from bot.webhook_listener import REFUSED, BadAttempts, SharedHook, WebhookListener

SERVER = "https://app.speckle.systems"
PROJECT = "5f0c9a41b7"
SHARED_SECRET = "shared-secret"
MAX_BODY = 1024 * 1024


@dataclass
class Desk:
    """A listening listener, a guild's hook on it, and a client."""

    storage: Storage
    hook: Hook
    base: str
    http: aiohttp.ClientSession
    silence_s: list[float | None] = field(default_factory=lambda: [1.0])
    missed: list[None] = field(default_factory=list)

    async def post(
        self, body: bytes, signature: str | None, path: str = "", **headers: str
    ) -> tuple[int, str]:
        head = {"Content-Type": "application/json", **headers}
        if signature is not None:
            head["X-WEBHOOK-SIGNATURE"] = signature
        url = self.base + (path or f"/webhooks/{self.hook.key}")
        async with self.http.post(url, data=io.BytesIO(body), headers=head) as answer:
            return answer.status, await answer.text()

    async def post_signed(self, body: bytes) -> int:
        status, _ = await self.post(body, sign(body, self.hook.secrets[0]))
        return status

    async def rows(self) -> list[InboxRow]:
        heads = await self.storage.inbox.next_per_lane()
        rows = [await self.storage.inbox.get(head.id) for head in heads]
        return [row for row in rows if row is not None]


def delivery(project: str = PROJECT, server: str = SERVER, **more: Any) -> bytes:
    payload = {
        "streamId": project,
        "event": {"event_name": "branch_create", "data": {"branch": {"id": "b1", "name": "frame"}}},
        "server": {"canonicalUrl": server + "/"},
        **more,
    }
    return json.dumps({"payload": payload}).encode()


@asynccontextmanager
async def open_desk(folder: Path) -> AsyncIterator[Desk]:
    vault = Vault([Fernet.generate_key().decode()])
    silence_s: list[float | None] = [1.0]
    missed: list[None] = []
    async with Storage.open(f"sqlite+aiosqlite:///{folder / 'bot.db'}", vault, utc_now) as storage:
        await storage.guilds.join(1)
        hook = await storage.hooks.create(1, SERVER, PROJECT, HookKind.OWN, 2, 3)
        listener = WebhookListener(
            storage,
            shared_hook=SharedHook(SHARED_SECRET, frozenset({SERVER})),
            max_body_bytes=MAX_BODY,
            stored=lambda: None,
            missed=lambda: missed.append(None),
            gateway_silence_s=lambda: silence_s[0],
            instance="0f0f",
            now=utc_now,
        )
        async with listener.listening("127.0.0.1", 0) as port, aiohttp.ClientSession() as http:
            yield Desk(storage, hook, f"http://127.0.0.1:{port}", http, silence_s, missed)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


async def test_it_says_which_bot_it_is(desk: Desk) -> None:
    async with desk.http.get(f"{desk.base}/instance") as answer:
        assert (answer.status, await answer.text()) == (200, "0f0f")


async def test_a_signed_delivery_is_on_disk_when_it_is_answered(desk: Desk) -> None:
    body = delivery()
    assert await desk.post_signed(body) == 202
    (row,) = await desk.rows()
    assert (row.body, row.hook_id, row.project_id) == (body, desk.hook.id, PROJECT)


async def test_the_old_wire_form_is_signed_over_its_inner_text(desk: Desk) -> None:
    inner = json.dumps(json.loads(delivery())["payload"])
    body = json.dumps({"payload": inner}).encode()
    status, _ = await desk.post(body, sign(inner.encode(), desk.hook.secrets[0]))
    assert status == 202


@pytest.mark.parametrize("signature", [None, "", "0" * 64, "ä" * 10])
async def test_a_bad_signature_and_an_unknown_key_get_the_same_answer(
    desk: Desk, signature: str | None
) -> None:
    body = delivery()
    refused = await desk.post(body, signature)
    unknown = await desk.post(body, signature, path="/webhooks/nobodys-key")
    assert refused == unknown == (401, REFUSED)
    assert await desk.rows() == []


async def test_a_signature_with_an_empty_secret_is_never_accepted(desk: Desk) -> None:
    body = delivery()
    assert (await desk.post(body, sign(body, "")))[0] == 401


async def test_an_event_of_another_project_is_refused(desk: Desk) -> None:
    assert await desk.post_signed(delivery(project="0123456789")) == 403
    assert await desk.rows() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b"{}",
        b'{"payload": 1}',
        b'{"payload": {"streamId": 5, "event": {}}}',
        b'{"payload": {"streamId": "5f0c9a41b7"}}',
        b"\xff\xfe",
        b'{"payload":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"payload": ' + b"9" * 10_000 + b"}",
    ],
)
async def test_a_signed_body_that_is_no_delivery_is_told_so(desk: Desk, body: bytes) -> None:
    assert await desk.post_signed(body) == 400


async def test_a_body_above_the_cap_is_refused_while_it_is_read(desk: Desk) -> None:
    body = delivery(filler="x" * MAX_BODY)
    assert await desk.post_signed(body) == 413

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    url = f"{desk.base}/webhooks/{desk.hook.key}"
    async with desk.http.post(
        url, data=chunks(), headers={"Content-Type": "application/json"}
    ) as answer:
        assert answer.status == 413


async def test_another_content_type_is_refused(desk: Desk) -> None:
    body = delivery()
    status, _ = await desk.post(
        body, sign(body, desk.hook.secrets[0]), **{"Content-Type": "text/plain"}
    )
    assert status == 415


async def test_a_large_delivery_with_its_screenshot_is_taken(desk: Desk) -> None:
    assert await desk.post_signed(delivery(screenshot="x" * (MAX_BODY // 2))) == 202


async def test_the_replicas_double_is_taken_once(desk: Desk) -> None:
    body = delivery()
    answers = await asyncio.gather(*(desk.post_signed(body) for _ in range(8)))
    assert answers == [202] * 8
    assert len(await desk.rows()) == 1


async def test_many_at_once_are_all_kept(desk: Desk) -> None:
    answers = await asyncio.gather(
        *(desk.post_signed(delivery(number=number)) for number in range(200))
    )
    assert answers == [202] * 200
    kept = [await desk.storage.inbox.get(number) for number in range(1, 202)]
    assert sum(row is not None for row in kept) == 200


async def test_the_shared_hook_takes_only_events_of_allowed_servers(desk: Desk) -> None:
    for server, status in ((SERVER, 202), ("https://speckle.elsewhere.example", 403)):
        body = delivery(server=server)
        assert (await desk.post(body, sign(body, SHARED_SECRET), path="/webhook"))[0] == status


async def test_a_secret_of_one_hook_opens_no_other(desk: Desk) -> None:
    body = delivery()
    assert (await desk.post(body, sign(body, desk.hook.secrets[0]), path="/webhook"))[0] == 401


async def test_a_hook_that_its_guild_left_says_so_to_the_signer_only(desk: Desk) -> None:
    await desk.storage.guilds.leave(1)
    body = delivery()
    assert await desk.post_signed(body) == 410
    assert (await desk.post(body, "0" * 64))[0] == 401


async def test_a_new_secret_leaves_the_old_one_valid_for_a_day(desk: Desk) -> None:
    renewed = await desk.storage.hooks.new_secret(desk.hook.id)
    assert renewed is not None
    for number, secret in enumerate((desk.hook.secrets[0], renewed.secrets[0])):
        body = delivery(number=number)
        assert (await desk.post(body, sign(body, secret)))[0] == 202


async def test_storage_that_cannot_write_answers_503(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_new: object) -> None:
        raise StorageUnavailable("the disk is full")

    monkeypatch.setattr(desk.storage.inbox, "put", full)
    assert await desk.post_signed(delivery()) == 503
    assert len(desk.missed) == 1  # so that it is fetched from Speckle later


async def test_healthz_answers_and_readyz_goes_by_the_gateways_sign_of_life(desk: Desk) -> None:
    for silence_s, status in ((1.0, 200), (None, 503), (500.0, 503)):
        desk.silence_s[0] = silence_s
        async with desk.http.get(f"{desk.base}/readyz") as answer:
            assert answer.status == status
    async with desk.http.get(f"{desk.base}/healthz") as answer:
        assert answer.status == 200


async def test_refusals_slow_down_for_one_address_and_for_nobody_else() -> None:
    attempts = BadAttempts(free=2, delay_s=0.02, waiting_at_once=1)
    for _ in range(2):
        assert await attempts.slow_down("192.0.2.1")
    slowed = asyncio.create_task(attempts.slow_down("192.0.2.1"))
    await asyncio.sleep(0)
    assert not await attempts.slow_down("192.0.2.1")
    assert await attempts.slow_down("192.0.2.2")
    assert await slowed


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=10,
        ).map(lambda value: json.dumps({"payload": value}).encode()),
    )
)
def test_whatever_comes_in_there_is_no_500(tmp_path_factory: Any, body: bytes) -> None:
    async def post() -> int:
        async with open_desk(tmp_path_factory.mktemp("any")) as desk:
            return await desk.post_signed(body)

    assert asyncio.run(post()) in {202, 400, 403}
