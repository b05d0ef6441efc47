"""Requests that look like a Speckle server's and are wrong in some way, or in several.

Each comes from a recorded delivery and from one seed, so that it can be made again.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from bot.speckle.event_table import PARSERS
from bot.speckle.signature import sign

RECORDINGS = Path(__file__).parents[1] / "tests" / "fixtures" / "deliveries"
LONE = ("\ud800", "\ude00", "x\udfff")
ODD_TEXTS = (
    *("", " ", "\0", "\u202e", "@everyone", "<@&1>", "**x**", "[a](http://b)", "a\nb", "é", "🏗️"),
    *("null", "payload", "../..", "data:image/png;base64,AAAA", "http://[::1", "javascript:x"),
    *("x" * 300, "x" * 5_000, "`" * 2_000, "🏗️" * 700, *LONE),
)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1e308, 2**63, 10**400, [], {}, [[]], [{}], {"": None}),
    *([1] * 300, {str(n): n for n in range(300)}, ["x", {"y": ["z"]}]),
)


@dataclass(frozen=True)
class Target:
    """An address and the secret that signs for it."""

    path: str
    secret: str


@dataclass(frozen=True)
class Request:
    """The bytes of one connection, in the pieces in which they are sent.

    `breaks_off`: the caller hangs up without waiting for an answer.
    """

    pieces: Sequence[bytes]
    breaks_off: bool


class Maker:
    """Makes requests to these targets, by the project that each recording is of."""

    def __init__(self, seed: int, targets: Mapping[str, Target], shared: Target) -> None:
        self._seed = seed
        self._targets = targets
        self._shared = shared
        self._payloads = [_recorded(path) for path in sorted(RECORDINGS.glob("*.json"))]

    def make(self, number: int) -> Request:
        """The request with this number; always the same one."""
        random = Random(f"{self._seed} {number}")  # noqa: S311  # to be repeated
        payload = json.loads(json.dumps(random.choice(self._payloads)))
        target = random.choice([self._targets[payload["streamId"]]] * 9 + [self._shared])
        payload["fuzz"] = number  # so that no two are equal
        for _ in range(random.choice((0, 0, 1, 1, 2, 5))):
            _change_tree(random, payload)
        body, signed = _written(random, payload)
        for _ in range(random.choice((0,) * 10 + (1, 3))):
            body = _change_bytes(random, body)
        data = _framed(random, target, body, _signature(random, target, body, signed))
        if random.random() < 0.03:
            data = _change_bytes(random, data)
        return _sent(random, data)


def _recorded(path: Path) -> dict[str, Any]:
    body = base64.b64decode(json.loads(path.read_text("utf-8"))["body_b64"])
    payload = json.loads(body)["payload"]
    found: dict[str, Any] = json.loads(payload) if isinstance(payload, str) else payload
    return found


# ── what is in it ─────────────────────────────────────────────────────────────────────────────


def _change_tree(random: Random, payload: dict[str, Any]) -> None:
    """Change one value somewhere, mostly where the event is."""
    holder: Any = payload
    if random.random() < 0.6:
        holder = payload.get("event", payload)
    if not isinstance(holder, dict | list):  # an earlier change has made a text of it
        holder = payload
    while True:
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        if not keys:
            break
        key = random.choice(list(keys))
        value = holder[key]
        if isinstance(value, dict | list) and value and random.random() < 0.75:
            holder = value
            continue
        random.choice(TREE_CHANGES)(random, holder, key)
        break
    if random.random() < 0.1 and isinstance(payload.get("event"), dict):
        payload["event"]["event_name"] = random.choice([*PARSERS, "x y", "", 3])


def _replace(random: Random, holder: Any, key: Any) -> None:
    holder[key] = deepcopy(random.choice([*ODD_TEXTS, *ODD_VALUES]))


def _remove(_random: Random, holder: Any, key: Any) -> None:
    del holder[key]


def _repeat(random: Random, holder: Any, key: Any) -> None:
    if isinstance(holder, list):
        value = holder[key]
        holder.extend(deepcopy(value) for _ in range(random.choice((1, 60))))
    else:
        holder[random.choice([str(key).upper(), f"{key} ", "__proto__", ""])] = deepcopy(
            holder[key]
        )


def _swap(random: Random, holder: Any, key: Any) -> None:
    other = random.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    holder[key], holder[other] = holder[other], holder[key]


def _nest(random: Random, holder: Any, key: Any) -> None:
    for _ in range(random.choice((1, 3, 120))):
        holder[key] = random.choice(([holder[key]], {"x": holder[key]}))


def _lengthen(random: Random, holder: Any, key: Any) -> None:
    holder[key] = str(holder[key]) * random.choice((2, 30))


TREE_CHANGES: Sequence[Callable[[Random, Any, Any], None]] = (
    *(_replace, _replace, _replace, _remove, _repeat, _swap, _nest, _lengthen),
)


# ── how it is written ─────────────────────────────────────────────────────────────────────────


def _written(random: Random, payload: dict[str, Any]) -> tuple[bytes, bytes]:
    """A body of either form, and what its signature is over."""
    inner = json.dumps(
        payload,
        ensure_ascii=random.random() < 0.5,
        indent=random.choice((None, None, None, 1)),
        separators=random.choice((None, (",", ":"))),
    )
    match random.choice(("new",) * 12 + ("old",) * 6 + ("odd",)):
        case "new":
            body = f'{{"payload":{inner}}}'
        case "old":
            body = f'{{"payload":{json.dumps(inner, ensure_ascii=random.random() < 0.5)}}}'
            return _encoded(body), _encoded(inner)
        case _:
            body = random.choice(ODD_FORMS).replace("%", inner)
            return _encoded(body, random.choice(("utf-8", "utf-16", "utf-8-sig"))), _encoded(inner)
    return _encoded(body), _encoded(body)


ODD_FORMS = (
    *("%", "[%]", '{"payload":[%]}', '{"payload":%,"payload":"x"}', '{"payload":"x","payload":%}'),
    *('{"x":{"payload":%}}', '{"\\u0070ayload":%}', ' \n{ "payload" :\t% } ', '{"payload":%}}'),
    *('{"payload":%', '{"payload":"%"}', '{"payload":NaN}', '{"a":%,"payload":"{}"}', "%%"),
)


def _encoded(text: str, encoding: str = "utf-8") -> bytes:
    return text.encode(encoding, "surrogatepass")


def _change_bytes(random: Random, data: bytes) -> bytes:
    if not data:
        return data
    at = random.randrange(len(data))
    end = min(len(data), at + random.choice((1, 2, 10, 200)))
    match random.randrange(5):
        case 0:
            return data[:at] + random.randbytes(end - at) + data[end:]
        case 1:
            return data[:at] + data[end:]
        case 2:
            return data[:at] + data[at:end] * 3 + data[end:]
        case 3:
            return data[:at]
        case _:
            return (
                data[:at] + random.choice((b"\0", b"\xff", b'"', b"\\", b"{", b"\r\n")) + data[at:]
            )


def _signature(random: Random, target: Target, body: bytes, signed: bytes) -> bytes:
    right = sign(signed if random.random() < 0.97 else body, target.secret).encode()
    wrong = (
        *(b"", b"0" * 64, b"\xff\xfe", right.upper(), right[:-1], right + b"0", b"sha256=" + right),
        *(sign(body, "").encode(), sign(body, "another").encode(), "ä".encode()),
    )
    return right if random.random() < 0.8 else random.choice(wrong)


# ── how it travels ────────────────────────────────────────────────────────────────────────────

METHODS = (b"POST",) * 150 + (b"GET", b"PUT", b"HEAD", b"OPTIONS", b"post", b"CONNECT", b"PRI", b"")
TYPES = (b"application/json",) * 150 + (
    *(b"application/json; charset=utf-8", b"application/json;charset=\xff", b"text/plain", b""),
    *(b"APPLICATION/JSON", b"application/json, text/html", b"multipart/form-data", b"\0"),
)
MORE_HEADERS = (
    *(b"Content-Encoding: gzip", b"Content-Encoding: identity", b"Content-Encoding:", b"Expect: x"),
    *(b"Expect: 100-continue", b"Upgrade: websocket\r\nConnection: Upgrade", b"X: " + b"y" * 9_000),
    *(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked", b"Content-Length: 3", b": x"),
    *(b"Cookie: speckle-link=\xff; speckle-link-form=\xe9", b"Connection: keep-alive", b"X\0: y"),
    *(b"X-WEBHOOK-SIGNATURE: " + b"1" * 64, b" folded: yes", b"Host: other", b"no colon"),
    *(b"Sec-WebSocket-Key1: x", b"Range: bytes=x", b"If-Modified-Since: x", b"Forwarded: \xff"),
)
OTHER_PATHS = (
    *(b"/", b"//", b"/healthz", b"/readyz", b"/instance", b"/webhooks/", b"/webhooks/%00", b"*"),
    *(b"/webhooks/%ff", b"/webhooks/x/y", b"/link/" + b"x" * 43, b"/link/callback?access_code=%ff"),
    *(b"/link/callback?denied=true", b"/\xff", b"/webhooks/" + b"k" * 9_000, b"http://bot:99999/"),
    *(b"http://[::1/x", b"/webhooks/../webhook", b"/webhook?x=%zz#y", b"bot:443", b"/ /"),
)


def _framed(random: Random, target: Target, body: bytes, signature: bytes) -> bytes:
    head = [
        b" ".join((random.choice(METHODS), _path(random, target), random.choice(VERSIONS))),
        b"Host: bot",
        b"Content-Type: " + random.choice(TYPES),
        b"X-WEBHOOK-SIGNATURE: " + signature,
    ]
    if random.random() < 0.9:
        head.append(b"Connection: close")
    match random.choice(("length",) * 60 + ("chunks",) * 8 + ("short", "long", "none", "odd")):
        case "length":
            head.append(b"Content-Length: %d" % len(body))
        case "short":
            head.append(b"Content-Length: %d" % (len(body) // 2))
        case "long":
            head.append(b"Content-Length: %d" % (len(body) * 2 + 1))
        case "odd":
            head.append(b"Content-Length: " + random.choice((b"-1", b"+1", b"0x1", b"9" * 30, b"")))
        case "chunks":
            head.append(b"Transfer-Encoding: " + random.choice((b"chunked", b"Chunked")))
            body = _in_chunks(random, body)
    for _ in range(random.choice((0,) * 16 + (1, 1, 1, 3))):
        head.insert(random.randrange(1, len(head) + 1), random.choice(MORE_HEADERS))
    end = b"\r\n" if random.random() < 0.99 else b"\n"
    data = end.join([*head, b"", b""]) + body
    return data * random.choice((1,) * 30 + (3,))  # three in a row


VERSIONS = (b"HTTP/1.1",) * 150 + (b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b"")


def _path(random: Random, target: Target) -> bytes:
    path = target.path.encode()
    if random.random() < 0.95:
        return path
    spelled = (path + b"/", b"/" + path, path + b"?x=1", path.upper(), path[:-1], path + b"%00")
    return random.choice((*spelled, b"http://bot" + path, *OTHER_PATHS))


def _in_chunks(random: Random, body: bytes) -> bytes:
    chunks, at = [], 0
    size = random.choice((1, 7, 100, 4_000))
    while at < len(body):
        piece = body[at : at + size]
        more = random.choice((b"",) * 200 + (b";x=y", b" ", b"\0", b"zz"))
        chunks.append(b"%x%b\r\n%b\r\n" % (len(piece), more, piece))
        at += size
    return b"".join(chunks) + random.choice(
        (b"0\r\n\r\n",) * 8 + (b"0\r\nX: y\r\n\r\n", b"0\r\n", b"")
    )


def _sent(random: Random, data: bytes) -> Request:
    count = random.choice((0, 0, 0, 1, 2, 8))
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(count))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    breaks_off = random.random() < 0.03
    return Request(
        pieces[: random.randrange(1, len(pieces) + 1)] if breaks_off else pieces, breaks_off
    )
