"""A comment's text: ProseMirror JSON as Speckle's editor writes it, read into a small tree.

Any JSON gives a tree. It is bounded in depth, nodes and characters, so that walking it may
recurse. Node names: https://tiptap.dev/docs/editor/extensions/nodes (Speckle's editor is tiptap).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

MAX_DEPTH = 24
MAX_NODES = 4_000
MAX_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class RichNode:
    """One node: `kind` is ProseMirror's type; `text` is a text's or a mention's words.

    `target` is the Speckle id of who is mentioned, unchecked. `marks` are ProseMirror's mark types,
    `href` a link mark's address, unchecked. `number` is a heading's level or an ordered list's
    first number.
    """

    kind: str
    text: str = ""
    marks: frozenset[str] = frozenset()
    href: str | None = None
    number: int = 1
    children: tuple["RichNode", ...] = ()
    target: str | None = None


@dataclass(frozen=True, slots=True)
class RichText:
    """A whole document."""

    nodes: tuple[RichNode, ...] = ()


NO_TEXT = RichText()
MAX_LINE = 200  # characters of a first line


@dataclass(slots=True)
class _Reader:
    """Reads nodes until the bounds are reached; what is beyond is left out."""

    read_text: Callable[[Any], str | None]
    nodes_left: int = MAX_NODES
    chars_left: int = field(default=MAX_CHARS)

    def children(self, value: Any, depth: int) -> tuple[RichNode, ...]:
        if not isinstance(value, list) or depth > MAX_DEPTH:
            return ()
        nodes = []
        for item in value:
            if self.nodes_left <= 0 or self.chars_left <= 0:
                break
            if isinstance(item, dict):
                self.nodes_left -= 1
                nodes.append(self._node(item, depth))
        return tuple(nodes)

    def _node(self, item: dict[str, Any], depth: int) -> RichNode:
        attrs = item.get("attrs")
        attrs = attrs if isinstance(attrs, dict) else {}
        kind = self.read_text(item.get("type")) or ""
        number = attrs.get("level" if kind == "heading" else "start")
        marks, href = self._marks(item.get("marks"))
        return RichNode(
            kind=kind,
            text=self._words(attrs.get("label") if kind == "mention" else item.get("text")),
            marks=marks,
            href=href,
            number=number if type(number) is int and 0 <= number <= 999 else 1,
            children=self.children(item.get("content"), depth + 1),
            target=self.read_text(attrs.get("id")) if kind == "mention" else None,
        )

    def _words(self, value: Any) -> str:
        words = (self.read_text(value) or "")[: self.chars_left]
        self.chars_left -= len(words)
        return words

    def _marks(self, value: Any) -> tuple[frozenset[str], str | None]:
        found: set[str] = set()
        href = None
        for mark in value[:16] if isinstance(value, list) else ():
            if not isinstance(mark, dict) or not (name := self.read_text(mark.get("type"))):
                continue
            found.add(name)
            attrs = mark.get("attrs")
            if name == "link" and isinstance(attrs, dict):
                href = self.read_text(attrs.get("href"))
        return frozenset(found), href


def read_rich_text(value: Any, read_text: Callable[[Any], str | None]) -> RichText:
    """Read a document, or the bare text that very old servers send, whatever it holds.

    `read_text` gives the usable text of a JSON value, or None.
    """
    reader = _Reader(read_text)
    if isinstance(value, str):
        words = read_text(value)
        return RichText(
            (RichNode("paragraph", children=(RichNode("text", words),)),) if words else ()
        )
    if not isinstance(value, dict):
        return NO_TEXT
    # A comment's stored text wraps the document once more: {"doc": {…}, "type": "stream_comment"}.
    inner = value.get("doc")
    document = inner if isinstance(inner, dict) else value
    return RichText(reader.children(document.get("content"), 1))


def mentions(text: RichText) -> tuple[RichNode, ...]:
    """The mentions of people in a document, each person once, in order."""
    found = {(node.target, node.text): node for node in _mentions(text.nodes)}
    return tuple(found.values())


def _mentions(nodes: tuple[RichNode, ...]) -> Iterator[RichNode]:
    for node in nodes:
        if node.kind == "mention":
            yield node
        yield from _mentions(node.children)


def first_line(text: RichText) -> str | None:
    """The first line with words in a document, in plain text."""
    lines = (" ".join(line.split()) for line in _lines(text.nodes))
    line = next((line for line in lines if line), None)
    if line is None or len(line) <= MAX_LINE:
        return line
    return line[: MAX_LINE - 1].rstrip() + "…"


def _lines(nodes: tuple[RichNode, ...]) -> Iterator[str]:
    """The lines of blocks, in order; a block holds words or blocks."""
    line = ""
    for node in nodes:
        match node.kind:
            case "text":
                line += node.text
            case "mention":
                line += f"@{node.text}"
            case _:
                yield line
                line = ""
                yield from _lines(node.children)
    yield line
