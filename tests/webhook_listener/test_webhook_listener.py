"""What the listener makes of deliveries, over real sockets and a real SQLite file."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bot.errors import StorageUnavailable
from bot.http_server import BadAttempts
from bot.problems import NotReady, NotReadyWhy
from bot.speckle.signature import sign
from bot.webhook_listener import REFUSED
from tests.webhook_listener.desk import (
    MAX_BODY,
    PROJECT,
    SERVER,
    SHARED_SECRET,
    Desk,
    delivery,
    desk,
    open_desk,
)

__all__ = ["desk"]


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
async def test_a_bad_signature_and_an_unknown_key_get_the_same_answer_and_a_line_of_their_own(
    desk: Desk, signature: str | None
) -> None:
    body = delivery()
    with capture_logs() as logs:
        refused = await desk.post(body, signature)
        unknown = await desk.post(body, signature, path="/webhooks/nobodys-key")
    assert refused == unknown == (401, REFUSED)
    assert await desk.rows() == []
    assert [(line["event"], line["hook_id"], line["why"]) for line in logs] == [
        ("webhook.refused", desk.hook.id, "wrong_signature" if signature else "no_signature"),
        ("webhook.refused", None, "unknown_address"),
    ]
    assert "nobodys-key" not in str(logs)


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
    kept = [await desk.storage.read(lambda tx: tx.inbox.get(number)) for number in range(1, 202)]
    assert sum(row is not None for row in kept) == 200


async def test_the_shared_hook_takes_only_events_of_allowed_servers(desk: Desk) -> None:
    for server, status in ((SERVER, 202), ("https://speckle.elsewhere.example", 403)):
        body = delivery(server=server)
        assert (await desk.post(body, sign(body, SHARED_SECRET), path="/webhook"))[0] == status


async def test_a_secret_of_one_hook_opens_no_other(desk: Desk) -> None:
    body = delivery()
    assert (await desk.post(body, sign(body, desk.hook.secrets[0]), path="/webhook"))[0] == 401


async def test_a_hook_that_its_guild_left_says_so_to_the_signer_only(desk: Desk) -> None:
    await desk.storage.write(lambda tx: tx.guilds.leave(1))
    body = delivery()
    assert await desk.post_signed(body) == 410
    assert (await desk.post(body, "0" * 64))[0] == 401


@pytest.mark.parametrize(("overlap", "status"), [(True, 202), (False, 401)])
async def test_a_new_secret_leaves_the_old_one_valid_for_a_day_or_not_at_all(
    desk: Desk, overlap: bool, status: int
) -> None:
    renewed = await desk.storage.write(
        lambda tx: tx.hooks.new_secret(desk.hook.id, overlap=overlap)
    )
    assert renewed is not None
    old, new = delivery(number=1), delivery(number=2)
    assert (await desk.post(old, sign(old, desk.hook.secrets[0])))[0] == status
    assert (await desk.post(new, sign(new, renewed.secrets[0])))[0] == 202


async def test_storage_that_cannot_write_answers_503(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_new: object) -> None:
        raise StorageUnavailable("the disk is full")

    monkeypatch.setattr(desk.storage.intake, "accept", full)
    assert await desk.post_signed(delivery()) == 503
    assert len(desk.missed) == 1  # so that it is fetched from Speckle later


async def test_healthz_answers_and_readyz_says_what_is_the_matter(desk: Desk) -> None:
    async with desk.http.get(f"{desk.base}/readyz") as answer:
        assert (answer.status, await answer.json()) == (200, {"ready": True, "problems": []})
    desk.problems.append(NotReady(NotReadyWhy.GATEWAY_SILENT, {"silence_s": 500.4}))
    async with desk.http.get(f"{desk.base}/readyz") as answer:
        assert answer.status == 503
        problems = ["Discord's gateway has been silent for 500 s."]
        assert await answer.json() == {"ready": False, "problems": problems}
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


async def test_refusals_of_the_window_before_and_of_the_oldest_address_are_forgotten() -> None:
    brief = BadAttempts(free=1, window_s=0.0, waiting_at_once=0)
    assert [await brief.slow_down("192.0.2.1") for _ in range(2)] == [True, True]
    small = BadAttempts(free=1, addresses=1, waiting_at_once=0)
    callers = ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"]
    assert [await small.slow_down(one) for one in callers] == [True, False, True, True]


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
