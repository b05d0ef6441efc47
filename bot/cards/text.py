"""Texts that other people typed, made fit for Discord: cleaned, escaped, cut where people see it.

Also how lists and counts read in a sentence.

Lengths are UTF-16 code units, the stricter of the two ways in which Discord may count.
Discord's markdown: https://support.discord.com/hc/en-us/articles/210298617
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain, zip_longest
from typing import Any

import regex  # type: ignore[import-untyped]  # the package has no type hints

NO_NAME = "(no name)"
ELLIPSIS = "…"
BYTES_A_UNIT = 2
MAX_CLUSTER = 16  # code points; the longest emoji of Unicode 16 has 10, stacked accents never end

# Bidirectional controls can turn the reading order of a whole line; zero-width characters but the
# two joiners, which scripts and emoji need, only hide things.
_UNSEEN = "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
_REMOVED = re.compile(f"[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x84\\x86-\\x9f{_UNSEEN}]")
_LINE_BREAK = re.compile("\\r\\n|[\\r\\x85\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Tag characters spell regions inside flags (England, Wales) and hidden text everywhere else.
_TAGS = re.compile("(\U0001f3f4[\U000e0020-\U000e007f]{1,15})|[\U000e0000-\U000e0fff]+")
# Flags are pairs of letters, which takes \X a time that grows with the square of their number.
_FLAGS = re.compile("([\U0001f1e6-\U0001f1ff]{64})[\U0001f1e6-\U0001f1ff]+")
_CLUSTER = regex.compile(r"\X")
# Of two neighbours in a cluster, one at least is above the letters of western Europe.
_JOINS = re.compile("[^\x00-\u02ff]")
_BLANK_LOOKING = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Mn", "Me", "Zl", "Zp", "Zs"})

# Discord takes a backslash before any ASCII punctuation as an escape. "<" opens mentions,
# timestamps and custom emoji; "[" masked links; "@" @everyone and @here.
_MARKS = r"\\`*_~|<\[\]@"
_ESCAPED = re.compile(f"[{_MARKS}]")
_LINE_START = re.compile(r"(?m)^([^\S\n]*)(#{1,3}(?=\s|$)|-(?=[\s#]|$)|>|\+(?=\s|$))")
_LIST_NUMBER = re.compile(r"(?m)^([^\S\n]*\d+)([.)])(?=\s|$)")
# An address stays what it is only if nothing in it is escaped. Between "<" and ">" Discord takes it
# to the last byte; without them it goes on to the next space, so only the simplest are left bare.
_ADDRESS = re.compile(r"https?://[^\W_][^\s<>]*", re.IGNORECASE)
_SIMPLE_ADDRESS = re.compile(r"https?://[A-Za-z0-9._/?&=%#+,:;~-]+")
_AFTER_SIMPLE = re.compile(r"[.,:;]*(?:\s|\Z)")
_SENTENCE_MARKS = ".,:;\"']"  # at its end Discord takes them for the sentence's, as people do
_MARKS_AROUND = re.compile(r"[*_~|`]{1,6}\Z")
_ADDRESS_HERE = "\0"  # in place of one while the rest is escaped; no text holds it
_URL_SCHEME = re.compile(r"://")

_TOKEN = regex.compile(
    r"""
    (?P<link>\[(?:\\.|[^\]\\\n])*\]\([^()\s]+\))
  | (?P<angle><(?i:https?)://[^\s<>]+>)
  | (?P<url>https?://[A-Za-z0-9._/?&=%\#+,:;~-]+)
  | (?P<mark>```|\*\*|~~|\*|`)
  | (?P<escape>\\\X)
  | \X
    """,
    regex.VERBOSE,
)
# Code shows all as it is written, and ends with what it began with, also behind a backslash.
_IN_CODE = regex.compile(r"(?P<mark>```|`)|\X")


def units(text: str) -> int:
    """The length in UTF-16 code units."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-16-le", "surrogatepass")) // BYTES_A_UNIT


def clean(text: str) -> str:
    """Take out what cannot be shown or only deceives; keep line breaks, letters and emoji.

    The result encodes as UTF-8, has no bidirectional or control characters, and no character that
    people see is longer than 16 code points.
    """
    text = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
    text = _LINE_BREAK.sub("\n", text).replace("\t", " ")
    text = _TAGS.sub(r"\1", _REMOVED.sub("", text))
    if text.isascii():
        return text
    text = _FLAGS.sub(r"\1", text)
    if len(_JOINS.findall(text)) < MAX_CLUSTER // 2:
        return text  # no cluster can be too long, and to look for one takes long itself
    return str(_CLUSTER.sub(lambda match: _bounded(match[0]), text))


def _bounded(cluster: str) -> str:
    return cluster if len(cluster) <= MAX_CLUSTER else cluster[:MAX_CLUSTER].rstrip("\u200d")


def is_blank(text: str) -> bool:
    """Say whether nothing in the text can be seen."""
    return all(
        character in _BLANK_LOOKING or unicodedata.category(character) in _UNSEEN_CATEGORIES
        for character in text
    )


def one_line(text: str | None, otherwise: str = NO_NAME) -> str:
    """A name: cleaned, on one line, `otherwise` where there is nothing to see. Not escaped."""
    line = " ".join(clean(text or "").split())
    return otherwise if is_blank(line) else line


def joined(words: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def counted(count: int, noun: str) -> str:
    """A number of things, "1 server", "2 servers"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def moment_text(at: datetime, style: str) -> str:
    """A moment, shown in each reader's time and language; "R" how long ago, "D" the day, "f" both.

    Source: https://discord.com/developers/docs/reference#message-formatting-timestamp-styles
    """
    return f"<t:{int(at.timestamp())}:{style}>"


def paragraphs(text: str | None) -> str:
    """A longer text: cleaned, at most one empty line in a row, "" where there is nothing to see."""
    cleaned = clean(text or "")
    if is_blank(cleaned):
        return ""
    lines = "\n".join(line.rstrip() for line in cleaned.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip()


def escape_markdown(text: str) -> str:
    """Make Discord show the text as it was typed; web addresses stay whole and clickable."""
    text = text.replace(_ADDRESS_HERE, "")
    between, addresses = [], []
    end = 0
    for match in _ADDRESS.finditer(text):
        start = match.start()
        between.append(text[end:start])
        url = _without_marks(match[0], between[-1])
        end = start + len(url)
        is_apart = not text[max(0, start - 1) : start].strip() and _AFTER_SIMPLE.match(text, end)
        addresses.append(url if is_apart and _SIMPLE_ADDRESS.fullmatch(url) else f"<{url}>")
    # All at once: a text may have a hundred thousand addresses.
    escaped = escape_name(_ADDRESS_HERE.join([*between, text[end:]])).split(_ADDRESS_HERE)
    return "".join(chain.from_iterable(zip_longest(escaped, addresses, fillvalue="")))


def _without_marks(url: str, before: str) -> str:
    """An address without what ends the sentence, and without marks that are around it."""
    url = _without_sentence_marks(url)
    around = _MARKS_AROUND.search(before[-6:])
    if around is not None and url.endswith(around[0][::-1]):
        url = _without_sentence_marks(url.removesuffix(around[0][::-1]))
    return url


def _without_sentence_marks(url: str) -> str:
    unopened = url.count(")") - url.count("(")
    end = len(url)
    while url[end - 1] in _SENTENCE_MARKS or (url[end - 1] == ")" and unopened > 0):
        unopened -= url[end - 1] == ")"
        end -= 1
    return url[:end]


def address(url: str) -> str:
    """A web address by itself, clickable, in a form that ends where it ends."""
    for character in "<> ":
        url = url.replace(character, _URL_BREAKERS[character])
    return f"<{url}>"


def escape_name(text: str) -> str:
    """The same for a name inside a sentence or a link's label, where no address may be active."""
    text = _ESCAPED.sub(lambda match: f"\\{match[0]}", text)
    text = _LINE_START.sub(r"\1\\\2", text)
    return _URL_SCHEME.sub(r"\\://", _LIST_NUMBER.sub(r"\1\\\2", text))


def shorten(text: str, limit: int) -> str:
    """Cut Discord markdown to at most `limit` UTF-16 units, with "…" where something is missing.

    Never inside a character that people see, an escape, an address or a masked link; bold, italic,
    strike and code that were open at the cut are closed.
    """
    if units(text) <= limit:
        return text
    kept: list[str] = []
    marks: list[str] = []
    length = units(ELLIPSIS)
    best, closing = 0, ""
    for token, mark in _tokens(text, marks):
        length += units(token)
        if length > limit:
            break
        kept.append(token)
        _note_mark(marks, mark)
        if not token.isspace() and length + sum(map(len, marks)) <= limit:
            best, closing = len(kept), "".join(reversed(marks))
    return "".join(kept[:best]) + ELLIPSIS + closing if limit >= 1 else ""


def _tokens(text: str, open_marks: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """What is not to be cut, piece by piece, and which mark it is; `open_marks` are kept outside.

    Code that nothing ends is none.
    """
    at = 0
    while at < len(text):
        last = open_marks[-1] if open_marks else ""
        in_code = last.startswith("`") and text.find(last, at) >= 0
        match = (_IN_CODE if in_code else _TOKEN).match(text, at)
        assert match is not None, "each begins with any character"  # noqa: S101
        yield match[0], match["mark"]
        at = match.end()


def _note_mark(open_marks: list[str], mark: str | None) -> None:
    if mark is None:
        return
    if open_marks and open_marks[-1] == mark:
        open_marks.pop()
    elif not (open_marks and open_marks[-1].startswith("`")):  # in code only its end counts
        open_marks.append(mark)


def shorten_plain(text: str, limit: int) -> str:
    """Cut text that is not markdown: a name before it is escaped, a footer."""
    if units(text) <= limit:
        return text
    kept: list[str] = []
    length = units(ELLIPSIS)
    for cluster in _CLUSTER.findall(text):
        length += units(cluster)
        if length > limit:
            break
        kept.append(cluster)
    return "".join(kept).rstrip() + ELLIPSIS if limit >= 1 else ""


def link(label: str, url: str) -> str:
    """A masked link; `label` is escaped already, `url` is encoded here where it would end it."""
    for character, encoded in _URL_BREAKERS.items():
        url = url.replace(character, encoded)
    return f"[{label}]({url})"


_URL_BREAKERS = {"(": "%28", ")": "%29", "<": "%3C", ">": "%3E", " ": "%20", "\\": "%5C"}

_SEEN = regex.compile(
    r"""
    \[(?P<label>(?:\\.|[^\]\\\n])*)\]\((?P<url>[^()\s]+)\)
  | \\(?P<escaped>[^0-9A-Za-z\s])
  | <a?:\w+:\d+>[ ]?
  | <t:(?P<moment>\d{1,11}):(?P<style>[A-Za-z])>
  | <(?P<angle>(?i:https?)://[^\s<>]+)>
  | (?P<web>https?://[^\s<>]+)
  | (?P<mark>```\n?|\*\*|~~|\*|`|(?m:^)-\#[ ])
    """,
    regex.VERBOSE,
)


def seen(markdown: str) -> str:
    """What a member reads: escapes, marks and emoji gone, a masked link as "label <url>", times in
    UTC.
    """

    def shown(match: Any) -> str:
        if match["label"] is not None:
            return f"{seen(match['label'])} <{match['url']}>"
        if match["moment"] is not None:
            at = datetime.fromtimestamp(int(match["moment"]), UTC)
            return f"{at:%Y-%m-%d}" if match["style"] == "D" else f"{at:%Y-%m-%d %H:%M} UTC"
        return match["escaped"] or match["angle"] or match["web"] or ""

    return str(_SEEN.sub(shown, markdown))
