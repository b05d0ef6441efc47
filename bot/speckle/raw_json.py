"""What can be said about JSON without parsing it, in linear time and without building its values.

Somebody who may not have signed a body must not make us parse it: 25 MiB of `[[[[]]]],` parse for
seconds into a gigabyte. So the text that servers before 2.12.0 sign is found by regular
expressions, and what is signed is measured before it is parsed. Each step looks at `WINDOW`
bytes, so that Python's lock is free again within half a millisecond.
"""

import codecs
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from pydantic_core import from_json

WINDOW: Final = 16 * 1024  # bytes that one step looks at
MAX_DEPTH: Final = 100  # recorded deliveries go down to 9, a list in a list in a comment to 30
MAX_VALUES: Final = 100_000  # recorded deliveries hold about 100; these take some 30 MB parsed
MAX_TEXT_BYTES: Final = 256 * 1024  # cards show up to 6,000 characters, recorded texts have 13,000
MAX_PICTURE_BYTES: Final = 25 * 1024 * 1024  # as base64; the listener takes no larger body
MAX_REST_BYTES: Final = 4 * 1024 * 1024  # without long texts; recorded deliveries have 6 kB
# What may be around the old form's text; a server sends nothing around it.
MAX_AROUND_TEXT: Final = 1_000
PAYLOAD: Final = b"payload"
LONGEST_NAME: Final = 6 * len(PAYLOAD)  # with each of its letters written as \u0070

HEX: Final = rb"[0-9A-Fa-f]"
# The inside of a string that has a UTF-8 form, and never a part of a character or of a pair.
# Possessive, as backtracking would keep a state for each repetition.
CHARACTERS: Final = re.compile(
    rb'(?:[^"\\\x00-\x1f\x80-\xff]++'
    rb'|\\["\\/bfnrt]'
    rb"|\\u(?![dD][89A-Fa-f])" + HEX + rb"{4}"
    rb"|\\u[dD][89ABab]" + HEX + rb"{2}\\u[dD][C-Fc-f]" + HEX + rb"{2}"
    rb"|[\xc2-\xdf][\x80-\xbf]"
    rb"|(?:\xe0[\xa0-\xbf]|\xed[\x80-\x9f]|[\xe1-\xec\xee\xef][\x80-\xbf])[\x80-\xbf]"
    rb"|(?:\xf0[\x90-\xbf]|\xf4[\x80-\x8f]|[\xf1-\xf3][\x80-\xbf])[\x80-\xbf]{2})*+"
)
# What a strict parser takes of a text in which JavaScript cut pairs of surrogates in halves.
WHOLE: Final = re.compile(
    rb"(?:[^\\]++|\\[^u]|\\u(?![dD][89A-Fa-f])" + HEX + rb"{4}"
    rb"|\\u[dD][89ABab]" + HEX + rb"{2}\\u[dD][C-Fc-f]" + HEX + rb"{2})*+",
    re.DOTALL,
)
HALF: Final = re.compile(rb"\\u[dD][89A-Fa-f]" + HEX + rb"{2}")
MAX_HALVES: Final = 1_000  # a text is cut once
STRING_PART: Final = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
CONTROLS: Final = bytes(range(0x20))  # which no string may hold unescaped
SPACE: Final = re.compile(rb"[ \t\r\n]*+")
SCALAR: Final = re.compile(rb'[^\s",:\[\]{}]*+')
NESTING: Final = re.compile(rb'["\[\]{}]')
STRUCTURE: Final = re.compile(rb'["\[\]{},]')


class TooMuchJson(ValueError):
    """JSON is nested deeper or holds more values than is parsed; the text says which."""


def check_bounds(text: bytes) -> None:
    """Say whether a parser may have this text; it need not be valid JSON.

    Errors: TooMuchJson.
    """
    opened = text.count(b"{") + text.count(b"[")
    values = opened + text.count(b",") if len(text) > MAX_VALUES else 0
    if opened <= MAX_DEPTH and values < MAX_VALUES:
        return  # even if all of these marks were outside of strings
    depth, values, at = 0, 1, 0
    while (at := _find(STRUCTURE, text, at)) < len(text):
        mark = text[at : at + 1]
        at += 1
        if mark == b'"':
            at = _end_of_string(text, at)
            continue
        if mark in b"]}":
            depth -= 1
            continue
        values += 1
        depth += mark != b","
        if depth > MAX_DEPTH:
            raise TooMuchJson(f"it is nested deeper than {MAX_DEPTH} levels")
        if values > MAX_VALUES:
            raise TooMuchJson(f"it holds more than {MAX_VALUES:,} values")


def without_halves(text: bytes) -> bytes:
    """The same JSON with U+FFFD for each escaped half of a surrogate pair, which has no UTF-8 form.

    JavaScript leaves one where it cuts a text within an emoji. More than `MAX_HALVES` stay.
    """
    parts: list[bytes] = []
    at = halves = 0
    while at < len(text) and halves < MAX_HALVES:
        end = _end_of_part(WHOLE, text, at, len(text))
        parts.append(text[at:end])
        if end == at:
            half = HALF.match(text, at)
            if half is None:
                break  # no JSON: the parser will report it
            halves += 1
            parts.append(b"\\ufffd")
            end = half.end()
        at = end
    return b"".join([*parts, text[at:]])


def shortened(text: bytes, *, pictures: bool) -> bytes:
    """The same JSON with "" for each long text, so that it parses fast and into little.

    One letter beyond ASCII makes Python hold a whole text in up to four times its bytes. With
    `pictures`, what may be one stays: ASCII without escapes, and not too long for any card.
    Errors: TooMuchJson for what is large without long texts.
    """
    if len(text) <= MAX_TEXT_BYTES:
        return text
    parts: list[bytes] = []
    kept = at = long = texts = 0
    while (start := text.find(b'"', at)) >= 0:
        at = _end_of_string(text, start + 1)
        texts += 1
        if at - start > MAX_TEXT_BYTES:
            long += at - start
            if not (pictures and _may_be_a_picture(text, start + 1, at - 1)):
                parts.append(text[kept:start] + b'""')
                kept = at
        _check_rest(at - long, texts)
    _check_rest(len(text) - long, texts)
    return b"".join([*parts, text[kept:]])


def _check_rest(size: int, texts: int) -> None:
    if size > MAX_REST_BYTES:
        raise TooMuchJson(f"without pictures it is larger than {MAX_REST_BYTES // 1024**2} MiB")
    if texts > 2 * MAX_VALUES:  # each value has one name
        raise TooMuchJson(f"it holds more than {MAX_VALUES:,} values")


def _may_be_a_picture(text: bytes, start: int, end: int) -> bool:
    size = end - start
    return (
        size <= MAX_PICTURE_BYTES and text.find(b"\\", start, end) < 0 and _ascii(text, start, end)
    )


def _ascii(text: bytes, start: int, end: int) -> bool:
    return all(text[at : min(at + WINDOW, end)].isascii() for at in range(start, end, WINDOW))


def _end_of_string(text: bytes, at: int) -> int:
    """Behind the quote that ends the string whose inside begins at `at`, or the text's end."""
    while at < len(text):
        end = min(at + WINDOW, len(text))
        quote = text.find(b'"', at, end)
        if text.find(b"\\", at, end if quote < 0 else quote) < 0:  # the usual case, and fast
            if quote >= 0:
                return quote + 1
            at = end
        elif (past := _end_of_part(STRING_PART, text, at, len(text))) > at:
            at = past
        else:
            return len(text)  # a backslash is the last byte
    return len(text)


def _end_of_part(pattern: re.Pattern[bytes], text: bytes, at: int, end: int) -> int:
    found = pattern.match(text, at, min(at + WINDOW, end))
    return at if found is None else found.end()


@dataclass(frozen=True, slots=True)
class InnerText:
    """A text that is a string in JSON; `cuts` are where its parts begin and end."""

    body: bytes = field(repr=False)
    cuts: Sequence[int] = field(repr=False)

    def parts(self) -> Iterator[bytes]:
        """The text as UTF-8, without the escapes, in parts of bounded size."""
        for start, end in pairwise(self.cuts):
            part = self.body[start:end]
            yield part if b"\\" not in part else _unescaped(part)


def _unescaped(part: bytes) -> bytes:
    text: str = from_json(b'"' + part + b'"')
    return text.encode()


def find_inner_text(body: bytes) -> InnerText | None:
    """The string that a parser would give for the outermost `payload`; None if it is no string.

    None too where there is much else around it, and for a string that has no UTF-8 form: no server
    signs either. What else is in the body need not be valid.
    """
    try:
        span = _OuterObject(body).payload()
    except _NotTheOldForm:
        return None
    return None if span is None else _in_parts(body, *span)


def _in_parts(body: bytes, start: int, end: int) -> InnerText | None:
    cuts = [start]
    while (cut := _end_of_characters(body, cuts[-1], end)) > cuts[-1]:
        cuts.append(cut)
    return InnerText(body, cuts) if cuts[-1] == end else None


def _end_of_characters(body: bytes, at: int, end: int) -> int:
    """Up to where the inside of a string is UTF-8 without control characters."""
    part = body[at : min(at + WINDOW, end)]
    if b"\\" not in part and len(part.translate(None, CONTROLS)) == len(part):
        with suppress(UnicodeDecodeError):
            _, size = codecs.utf_8_decode(part, "strict", False)  # may be cut
            return at + size
    return _end_of_part(CHARACTERS, body, at, end)


class _NotTheOldForm(Exception):  # never leaves this file
    """The body is something else than an object with a text and little around it."""


class _OuterObject:
    """Walks over the members of the outermost object, and past what is in them."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0
        self._left = MAX_AROUND_TEXT

    def payload(self) -> tuple[int, int] | None:
        """From where to where the inside of the last `payload` goes, None if it is no string."""
        found = None
        self._take(b"{")
        while True:
            is_payload = self._is_payload(*self._string())
            self._take(b":")
            value = self._value()
            if is_payload:
                found = value  # of several members of one name a parser keeps the last
            if self._next() == b"}":
                break
            self._take(b",")
        self._take(b"}")
        if self._next():
            raise _NotTheOldForm
        return found

    def _is_payload(self, start: int, end: int) -> bool:
        name = _in_parts(self._body, start, end) if end - start <= LONGEST_NAME else None
        return name is not None and b"".join(name.parts()) == PAYLOAD

    def _next(self) -> bytes:
        """The next byte that is no space; empty at the end."""
        self._at = _past(SPACE, self._body, self._at, len(self._body))
        return self._body[self._at : self._at + 1]

    def _take(self, mark: bytes) -> None:
        if self._next() != mark:
            raise _NotTheOldForm
        self._at += 1

    def _value(self) -> tuple[int, int] | None:
        """Go past a value, and give its place if it is a string."""
        first = self._next()
        if first == b'"':
            return self._string()
        if first in (b"{", b"["):
            self._skip_nested()
        else:
            self._skip_scalar()
        return None

    def _string(self) -> tuple[int, int]:
        self._spend()
        self._take(b'"')
        start, self._at = self._at, _end_of_string(self._body, self._at)
        return start, self._at - 1

    def _skip_scalar(self) -> None:
        self._spend()
        end = _past(SCALAR, self._body, self._at, len(self._body))
        if end == self._at:
            raise _NotTheOldForm
        self._at = end

    def _skip_nested(self) -> None:
        depth = 0
        while (at := _find(NESTING, self._body, self._at)) < len(self._body):
            self._spend()
            self._at = at + 1
            mark = self._body[at : self._at]
            if mark == b'"':
                self._at = _end_of_string(self._body, self._at)
                continue
            depth += 1 if mark in b"[{" else -1
            if depth == 0:
                return
        raise _NotTheOldForm

    def _spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise _NotTheOldForm


def _past(pattern: re.Pattern[bytes], text: bytes, at: int, end: int) -> int:
    while (past := _end_of_part(pattern, text, at, end)) > at:
        at = past
    return at


def _find(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    """The place of the next mark; the text's end if there is none."""
    while at < len(text):
        found = pattern.search(text, at, at + WINDOW)
        if found is not None:
            return found.start()
        at += WINDOW
    return len(text)
