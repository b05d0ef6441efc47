"""What strangers and signers send that is no delivery: who pays for it, and what it sets off."""

import asyncio
import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.errors import StorageUnavailable
from bot.http_server import Limits
from bot.model import Hook
from bot.speckle.signature import sign
from bot.webhook_listener import REFUSED
from tests.webhook_listener.desk import MAX_BODY, Desk, delivery, desk, open_desk, status_of

__all__ = ["desk"]

ODD_BODIES = {
    "half a surrogate pair": rb'{"payload":"\ud800"}',
    "the other half": rb'{"payload":"x\ude00"}',
    "half a pair in the text": rb'{"payload":"{\"streamId\":\"\\ud800\"}"}',
    "half a pair as raw bytes": b'{"payload":"\xed\xa0\x80"}',
    "half a pair as a name": rb'{"\ud800":1,"payload":{}}',
    "NaN": b'{"payload":NaN}',
    "infinity": b'{"payload":1e999}',
    "a huge number": b'{"payload":' + b"9" * 20_000 + b"}",
    "a text of a huge number": b'{"payload":"' + b"9" * 20_000 + b'"}',
    "NUL": b'{"payload":"\0"}',
    "NUL, escaped": rb'{"payload":{"streamId":"\u0000","event":{"event_name":"\u0000"}}}',
    "another encoding": '{"payload":{}}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"payload":{}}',
    "deep": b'{"payload":' * 50_000,
    "deep in a text": b'{"payload":"' + b"[" * 50_000 + b'"}',
    "nothing": b"",
    "a lone quote": b'"',
    "a text that does not end": b'{"payload":"x',
    "a text in a text in a text": json.dumps({"payload": json.dumps(json.dumps({}))}).encode(),
    "a server's address that is none": delivery(server="http://[half\ud800"),
    "a project that is a list": b'{"payload":{"streamId":[],"event":{"event_name":"x"}}}',
}


@pytest.mark.parametrize("name", ODD_BODIES)
async def test_an_odd_body_is_no_outage_and_counts_as_an_attempt(desk: Desk, name: str) -> None:
    body = ODD_BODIES[name]
    with capture_logs() as logs:
        assert await desk.post(body, "0" * 64) == (401, REFUSED)
        signed = await desk.post_signed(body)
    assert signed == (202 if "address" in name else 400)
    assert [line["event"] for line in logs if line["log_level"] != "info"] == (
        ["webhook.refused"] + ["webhook.not_a_delivery"] * (signed == 400)
    )
    assert desk.missed == []


KEYS = (
    "nobodys-key",
    "%00",
    "%ff%fe",
    "%F0%9F%98%80",
    "x" * 65,
    "a%2Fb",
    "'%20OR%201=1",
    "%ed%a0%80",
)


@pytest.mark.parametrize("key", KEYS)
async def test_a_key_that_is_none_is_a_wrong_address_and_no_outage(desk: Desk, key: str) -> None:
    body = delivery()
    signature = sign(body, desk.hook.secrets[0])
    with capture_logs() as logs:
        answer = await desk.say(
            desk.head(len(body), path=f"/webhooks/{key}", signature=signature) + body
        )
    assert status_of(answer) == 401
    assert [line["event"] for line in logs] == ["webhook.refused"]
    assert desk.missed == []


def _requests(path: str, right_size: int, over: int) -> dict[str, bytes]:
    """Requests without a right signature, each of its kind."""
    start = f"POST {path} HTTP/1.1\r\nHost: bot\r\nConnection: close\r\n"
    typed = start + "Content-Type: application/json\r\n"
    large = b'{"payload":"' + b"\\u0041" * (right_size // 6) + b'"}'
    return {
        "unsigned": f"{typed}Content-Length: 2\r\n\r\n{{}}".encode(),
        "no body": f"{typed}Content-Length: 0\r\n\r\n".encode(),
        "a large body": f"{typed}Content-Length: {len(large)}\r\n\r\n".encode() + large,
        "above the cap": f"{typed}Content-Length: {over}\r\n\r\n".encode(),
        "another type": f"{start}Content-Type: a/b\r\nContent-Length: 2\r\n\r\n{{}}".encode(),
        "no type": f"{start}Content-Length: 2\r\n\r\n{{}}".encode(),
        "chunked": f"{typed}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n".encode(),
        "broken chunks": f"{typed}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\nzz\r\n".encode(),
        "packed": f"{typed}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{{}}".encode(),
        "a signature of odd bytes": (
            typed.encode() + b"X-WEBHOOK-SIGNATURE: \xff\xe9\r\nContent-Length: 2\r\n\r\n{}"
        ),
        "another method": start.replace("POST", "PUT", 1).encode() + b"\r\n",
        "another project": f"{typed}Content-Length: 30\r\n\r\n".encode()
        + b'{"payload":{"streamId":"zzzz"}}'[:30],
    }


@pytest.mark.parametrize("name", _requests("", 6, 6))
async def test_a_wrong_address_and_a_wrong_signature_are_answered_alike(
    desk: Desk, name: str
) -> None:
    answers = [
        await desk.say(_requests(path, MAX_BODY // 2, MAX_BODY + 1)[name])
        for path in (desk.path, f"/webhooks/{'x' * 43}")
    ]
    known, unknown = (
        [line for line in answer.split(b"\r\n") if not line.startswith(b"Date:")]
        for answer in answers
    )
    assert known == unknown
    assert 400 <= status_of(answers[0]) < 500


async def test_a_closed_hook_and_another_project_are_told_to_signers_only(desk: Desk) -> None:
    await desk.storage.write(lambda tx: tx.guilds.leave(1))
    for body in (delivery(), delivery(project="0123456789")):
        assert await desk.post(body, "0" * 64) == (401, REFUSED)
        assert await desk.post_signed(body) in (403, 410)


@pytest.mark.parametrize("signed", [False, True])
async def test_others_are_answered_before_a_huge_body_is_looked_through(
    desk: Desk, signed: bool
) -> None:
    """Were it looked at on the event loop, nobody else would be served meanwhile."""
    text = b'{"payload":"' + b"\\u0041" * (MAX_BODY // 6 - 10) + b'"}'
    order: list[str] = []

    async def huge(number: int) -> None:
        secret = desk.hook.secrets[0] if signed else "another"
        status, _ = await desk.post(text, sign(text, secret))
        assert status == (400 if signed else 401)
        order.append(f"huge {number}")

    async def small() -> None:
        for number in range(3):
            assert await desk.post_signed(delivery(number=number)) == 202
            order.append("small")

    others = [asyncio.create_task(huge(number)) for number in range(8)]
    await small()
    await asyncio.gather(*others)
    assert order.index("small") < order.index("huge 7")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"[" * 101 + b"]" * 101, "nested deeper than 100 levels"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "nested deeper than 100 levels"),
        (b"[" + b"0," * 100_000 + b"0]", "more than 100,000 values"),
        (b"[" + b"{}," * 100_000 + b"0]", "more than 100,000 values"),
        (b"{" + b'"":0,' * 100_000 + b'"":0}', "more than 100,000 values"),
    ],
)
async def test_too_much_signed_json_is_told_and_is_no_bad_attempt(
    desk: Desk, value: bytes, reason: str
) -> None:
    inner = b'{"streamId":"5f0c9a41b7","event":{"event_name":"x"},"x":' + value + b"}"
    forms = [
        (b'{"payload":' + inner + b"}", b'{"payload":' + inner + b"}"),
        (json.dumps({"payload": inner.decode()}).encode(), inner),
    ]
    for body, message in forms:
        with capture_logs() as logs:
            status, text = await desk.post(body, sign(message, desk.hook.secrets[0]))
        assert status == 400
        assert reason in text
        (line,) = logs
        assert (line["event"], line["hook_id"]) == ("webhook.not_a_delivery", desk.hook.id)
        assert reason in line["reason"]


async def test_the_old_form_is_taken_in_any_order_and_spelling(desk: Desk) -> None:
    inner = json.dumps(json.loads(delivery())["payload"])
    signature = sign(inner.encode(), desk.hook.secrets[0])
    text, escaped = json.dumps(inner), "".join(f"\\u{ord(c):04x}" for c in inner)
    for number, body in enumerate(
        (
            f'{{"payload":{text}}}',
            f' {{\n "x" : [{{"payload":"decoy"}}] ,\t"payload" : {text} }} ',
            f'{{"payload":{{}},"payload":{text}}}',
            f'{{"\\u0070ayload":{text},"after":"}}"}}',
            f'{{"payload":"{escaped}"}}',
        )
    ):
        assert (await desk.post(body.encode(), signature))[0] == 202
        assert await desk.storage.read(lambda tx: tx.inbox.get(number + 1)) is not None


async def test_a_decoy_below_the_text_is_not_what_was_signed(desk: Desk) -> None:
    inner = json.dumps(json.loads(delivery())["payload"])
    signature = sign(inner.encode(), desk.hook.secrets[0])
    for body in (
        {"x": {"payload": inner}},
        {"payload": {"payload": inner}},
        [{"payload": inner}],
        {"payload": [inner]},
    ):
        assert (await desk.post(json.dumps(body).encode(), signature))[0] == 401
    doubled = f'{{"payload":{json.dumps(inner)},"payload":"other"}}'.encode()
    assert (await desk.post(doubled, signature))[0] == 401


# ── an exception is not an outage ─────────────────────────────────────────────────────────────


async def test_a_fault_of_ours_is_a_500_with_one_line_that_quotes_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_new: object) -> None:
        raise RuntimeError("it quotes the message")

    monkeypatch.setattr(desk.storage.intake, "accept", fails)
    with capture_logs() as logs:
        assert await desk.post_signed(delivery()) == 500
    (line,) = logs
    assert (line["event"], line["error"]) == ("http.failed", "RuntimeError")
    assert "webhook_listener.py" in line["at"]
    assert "quotes" not in str(line)
    assert desk.missed == []


async def test_a_look_up_that_fails_starts_nothing_while_the_database_can_write(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(_key: str) -> None:
        raise StorageUnavailable("all connections to the database are busy")

    async def full() -> None:
        raise StorageUnavailable("the disk is full")

    monkeypatch.setattr(desk.storage.hook_lookup, "by_key", busy)
    assert (await desk.post(delivery(), "0" * 64))[0] == 503
    assert desk.missed == []
    monkeypatch.setattr(desk.storage, "ping_write", full)
    assert await desk.post_signed(delivery()) == 503
    assert len(desk.missed) == 1


async def test_a_hook_that_was_removed_a_moment_ago_is_no_outage(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = desk.storage.hook_lookup.by_key

    async def removed_right_behind(key: str) -> Hook | None:
        found = await look_up(key)
        await desk.storage.write(lambda tx: tx.hooks.delete(desk.hook.id))
        return found

    monkeypatch.setattr(desk.storage.hook_lookup, "by_key", removed_right_behind)
    assert await desk.post_signed(delivery()) == 410
    assert desk.missed == []


async def test_refused_bodies_are_let_go_before_their_senders_wait(tmp_path: Path) -> None:
    """So that refusals that are slowed down do not use up the room of others."""
    limits = Limits(body_bytes=MAX_BODY, free_body_bytes=0)
    async with open_desk(tmp_path, limits) as desk:
        large = b"x" * (MAX_BODY - 1)
        refused = [asyncio.create_task(desk.post(large, "0" * 64)) for _ in range(20)]
        await asyncio.wait(refused, return_when=asyncio.FIRST_COMPLETED)
        assert await desk.post_signed(delivery(filler="x" * (MAX_BODY // 2))) == 202
        assert not all(task.done() for task in refused)
        assert {(await task)[0] for task in refused} == {401}
