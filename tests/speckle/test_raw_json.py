"""JSON that is not parsed: what is found in it is what a parser would have found."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.speckle.raw_json import (
    MAX_AROUND_TEXT,
    MAX_DEPTH,
    MAX_PICTURE_BYTES,
    MAX_REST_BYTES,
    MAX_TEXT_BYTES,
    MAX_VALUES,
    WINDOW,
    TooMuchJson,
    check_bounds,
    find_inner_text,
    shortened,
    without_halves,
)

ODD_TEXTS = st.sampled_from(["payload", '{"payload":"x"}', "\\", '"', '"}', "\ud800", "\ude00", ""])
NAMES = st.sampled_from(["payload", "pay", "x", '"payload":"y"']) | st.text(max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | ODD_TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def found(body: bytes) -> bytes | None:
    text = find_inner_text(body)
    return None if text is None else b"".join(text.parts())


def parsed(body: bytes) -> bytes | None:
    """The same, as a parser has it."""
    try:
        whole = json.loads(body)
        payload = whole.get("payload") if isinstance(whole, dict) else None
        return payload.encode() if isinstance(payload, str) else None
    except ValueError:  # no JSON, or half a surrogate pair in the text
        return None


@given(JSON, st.booleans(), st.sampled_from([None, 1]))
def test_the_text_is_what_a_parser_gives(value: Any, escaped: bool, indent: int | None) -> None:
    for whole in (value, {"payload": value}, {"x": value, "payload": "{}"}):
        body = json.dumps(whole, ensure_ascii=escaped, indent=indent)
        raw = body.encode("utf-8", "surrogatepass")
        try:
            raw.decode()
        except UnicodeDecodeError:
            continue
        assert found(raw) == parsed(raw)


@given(st.text(), st.integers(min_value=0, max_value=20), st.booleans())
def test_a_long_text_comes_whole_out_of_its_parts(text: str, shift: int, escaped: bool) -> None:
    long = "a" * (WINDOW - shift) + text + "\N{GRINNING FACE}é\\" * 20
    body = json.dumps({"payload": long}, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    assert found(body) == parsed(body)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"payload":"x"}', b"x"),
        (b' \t\r\n{ "payload" :\n"x" } ', b"x"),
        (b'{"p\\u0061yload":"x"}', b"x"),
        (b'{"a":{"payload":"decoy"},"payload":"x"}', b"x"),
        (b'{"a":[{"payload":"decoy"}],"b":"\\"payload\\":\\"decoy\\""}', None),
        (b'{"payload":{"payload":"decoy"}}', None),
        (b'{"payload":"first","payload":"last"}', b"last"),
        (b'{"payload":"first","payload":{}}', None),
        (b'{"payload":{},"payload":"last"}', b"last"),
        (b'{"payload":"x","z":[1,-2.5e3,true,null,"]}"]}', b"x"),
        (b'{"\\ud800":1,"payload":"x"}', b"x"),
        (b'{"payload":"\\ud83d\\ude00\\n\\/"}', "\N{GRINNING FACE}\n/".encode()),
        (b'{"payload":"\\ud800"}', None),
        (b'{"payload":"\\ude00\\ud83d"}', None),
        (b'{"payload":"\\x"}', None),
        (b'{"payload":"\xff"}', None),
        (b'{"payload":"\xed\xa0\x80\\n"}', None),
        (b'{"payload":"a\nb"}', None),
        (b'{"payload":"x"', None),
        (b'{"payload":"x', None),
        (b'{"payload":"x\\', None),
        (b'{"payload":"x"}{}', None),
        (b'{"payload":"x",}', None),
        (b'{"payload":}', None),
        (b'["payload","x"]', None),
        (b'"payload"', None),
        (b"{}", None),
        (b"{", None),
        (b"", None),
    ],
)
def test_what_is_taken_for_the_text(body: bytes, text: bytes | None) -> None:
    assert found(body) == text


def test_much_beside_the_text_is_not_walked_through() -> None:
    beside = b'"a":[' + b"[]," * MAX_AROUND_TEXT + b"[]]"
    assert found(b'{"payload":"x",' + beside + b"}") is None


def half(text: str) -> bytes:
    return without_halves(text.encode())


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        (r'"\ud83d\ude00"', r'"\ud83d\ude00"'),
        (r'"\ud83d"', r'"\ufffd"'),
        (r'"\ude00\ud83d"', r'"\ufffd\ufffd"'),
        (r'"\ud83d\ud83d\ude00"', r'"\ufffd\ud83d\ude00"'),
        (r'"\\ud83d"', r'"\\ud83d"'),
        (r'"\\\ud83d\\"', r'"\\\ufffd\\"'),
        (r'"\ud83d\n\ude00"', r'"\ufffd\n\ufffd"'),
        (r'"\ud83', r'"\ud83'),
        ('"\\', '"\\'),
    ],
)
def test_half_a_pair_becomes_a_replacement_character(text: str, whole: str) -> None:
    assert half(text) == whole.encode()


@given(st.integers(min_value=0, max_value=13))
def test_pairs_are_not_torn_between_two_parts(shift: int) -> None:
    text = '"' + "a" * (WINDOW - shift) + r"\ud83d\ude00\ud83d" + '"'
    assert half(text) == text.replace(r"\ude00\ud83d", r"\ude00\ufffd").encode()


@given(st.text(), st.booleans())
def test_only_what_has_no_utf_8_form_is_changed(text: str, escaped: bool) -> None:
    body = json.dumps(text, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    assert without_halves(body) == body


def test_long_texts_are_left_out_and_pictures_where_they_are_not_wanted() -> None:
    long = MAX_TEXT_BYTES + 1
    kept = {"a": "é" * 1_000, "\\": ["\\"] * 3}
    picture = {"picture": "A" * long}
    whole = {"x": "é" * long, **kept, **picture, "y": ["\\" * long, 1], "z": "a" * long + '"'}
    left = {"x": "", **kept, "picture": "", "y": ["", 1], "z": ""}
    for escaped in (True, False):
        body = json.dumps(whole, ensure_ascii=escaped).encode()
        assert json.loads(shortened(body, pictures=True)) == left | picture
        assert json.loads(shortened(body, pictures=False)) == left


def test_a_picture_that_no_card_carries_is_left_out() -> None:
    body = json.dumps(["A" * (MAX_PICTURE_BYTES + 1), "B" * MAX_PICTURE_BYTES]).encode()
    assert json.loads(shortened(body, pictures=True)) == ["", "B" * MAX_PICTURE_BYTES]


def test_short_json_stays_as_it_is() -> None:
    body = '{"x":"é'.encode()
    assert shortened(body, pictures=False) is body


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"9" * MAX_REST_BYTES + b"]",
        b"[" + b" " * MAX_REST_BYTES + b"]",
        b'["x",' + b"[]," * MAX_REST_BYTES,
        b"[" + b'"",' * (2 * MAX_VALUES + 1),
    ],
)
def test_what_is_large_without_long_texts_is_not_parsed(body: bytes) -> None:
    with pytest.raises(TooMuchJson):
        shortened(body, pictures=True)


@given(JSON, st.booleans())
def test_shortening_leaves_what_is_short(value: Any, escaped: bool) -> None:
    body = json.dumps([value, "x" * MAX_TEXT_BYTES], ensure_ascii=escaped)
    raw = body.encode("utf-8", "surrogatepass")
    assert json.loads(shortened(raw, pictures=False).decode("utf-8", "surrogatepass")) == [
        value,
        "",
    ]


LARGE = 1024 * 1024
WORST = {
    "brackets": b"[" + b"[[[[]]]]," * (LARGE // 9),
    "brackets in the payload": b'{"payload":' + b"[[[[]]]]," * (LARGE // 9),
    "objects": b'{"payload":[' + b"{}," * (LARGE // 3),
    "many names": b"{" + b'"a":1,' * (LARGE // 6) + b'"payload":"x"}',
    "strings": b"[" + b'"",' * (LARGE // 3),
    "an escaped text": b'{"payload":"' + b"\\u0041" * (LARGE // 6) + b'"}',
    "a text of quotes": b'{"payload":"' + b'\\"' * (LARGE // 2) + b'"}',
    "a text of backslashes": b'{"payload":"' + b"\\\\" * (LARGE // 2) + b'"}',
    "a text that does not end": b'{"payload":"' + b"\\u0041" * (LARGE // 6),
    "a text with one emoji": b'{"payload":"' + b"a" * LARGE + "\N{GRINNING FACE}".encode() + b'"}',
    "spaces": b"{" + b" " * LARGE,
    "a number": b'{"payload":' + b"9" * LARGE + b"}",
}


@pytest.mark.parametrize("name", WORST)
def test_looking_takes_no_memory_of_the_size_of_what_is_looked_at(name: str) -> None:
    body = WORST[name]
    tracemalloc.start()
    try:
        text = find_inner_text(body)
        length = 0 if text is None else sum(len(part) for part in text.parts())
        check_bounds_or_not(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert length <= len(body)
    assert peak < LARGE // 2


def check_bounds_or_not(body: bytes) -> None:
    try:
        check_bounds(body)
    except TooMuchJson as error:
        assert str(error)  # noqa: PT017


@pytest.mark.parametrize(
    "body",
    [
        b"[" * (MAX_DEPTH + 1),
        b'{"a":' * (MAX_DEPTH + 1),
        b"[" + b"0," * MAX_VALUES + b"0]",
        b"[" + b"[]," * MAX_VALUES,
        b"{" + b'"":{},' * MAX_VALUES,
    ],
)
def test_what_is_too_much_is_said_before_it_is_parsed(body: bytes) -> None:
    with pytest.raises(TooMuchJson):
        check_bounds(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * MAX_DEPTH,
        b"[]" * MAX_DEPTH * 3,
        b'"' + b"[" * MAX_DEPTH * 2 + b'"',
        b'{"a":"' + b'\\"[' * MAX_VALUES + b'"}',
        b"[" + b"0," * (MAX_VALUES - 2) + b"0]",
        b"]]]]" + b"[" * MAX_DEPTH,
    ],
)
def test_what_may_be_parsed_passes_even_if_it_is_no_json(body: bytes) -> None:
    check_bounds(body)


@settings(max_examples=25)
@given(JSON)
def test_depth_and_number_are_counted_as_a_parser_would(value: Any) -> None:
    """Against a walk over the parsed values; an empty one counts as if something were in it."""
    body = json.dumps([value] * (MAX_VALUES // 4)).encode()
    most = MAX_VALUES // (MAX_VALUES // 4)
    if sum(1 for _ in _values(value)) > most:
        with pytest.raises(TooMuchJson):
            check_bounds(body)


def _values(value: Any) -> Any:
    yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from _values(one)
