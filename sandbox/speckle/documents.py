"""The documents of comments: texts with mentions, as the editor of Speckle's pages writes them."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sandbox.speckle.entities import User


def paragraph(text: str) -> dict[str, Any]:
    """A comment's document with a paragraph for each line of `text`."""
    return {
        "type": "doc",
        "content": [
            {"type": "paragraph", "content": [{"type": "text", "text": line}]}
            for line in text.split("\n")
            if line
        ],
    }


def raw_text(node: Any) -> str:
    """A document's words, run together as the server does."""
    if not isinstance(node, dict):
        return ""
    if node.get("type") == "mention":
        return f"@{node.get('attrs', {}).get('label', '')}"
    words = str(node.get("text", ""))
    return words + "".join(raw_text(child) for child in node.get("content") or ())


def with_mentions(text: str, members: Sequence[User]) -> Iterator[dict[str, Any]]:
    """A line's pieces, in which @Name of a member is a mention."""
    names = {f"@{one.name}": one for one in members}
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    for piece in re.split(f"({pattern})", text):
        if piece in names:
            user = names[piece]
            yield {"type": "mention", "attrs": {"id": user.id, "label": user.name}}
        elif piece:
            yield {"type": "text", "text": piece}


def mentioned(node: Any) -> Iterator[str]:
    """The ids of the people whom a document mentions, in its order."""
    if isinstance(node, dict):
        if node.get("type") == "mention":
            yield node["attrs"]["id"]
        for child in node.get("content") or ():
            yield from mentioned(child)
