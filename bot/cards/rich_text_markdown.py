"""A comment's rich text as Discord markdown, with its basic formatting kept."""

import re
from urllib.parse import urlsplit

from bot.cards.text import (
    address,
    clean,
    escape_markdown,
    escape_name,
    is_blank,
    link,
    one_line,
    paragraphs,
)
from bot.speckle.rich_text import RichNode, RichText

MAX_LINK_URL = 400  # longer ones are shown by their text only: they would take the comment's room
LOOKS_LIKE_ADDRESS = re.compile(r"://|\w\.[^\W\d_]{2}")

_INLINE = frozenset({"text", "mention", "hardBreak", "emoji"})
_MARKS = (
    (frozenset({"strike", "s"}), "~~"),
    (frozenset({"italic", "em"}), "*"),
    (frozenset({"bold", "strong"}), "**"),
)


def to_markdown(document: RichText) -> str:
    """The document as Discord markdown; "" where there is nothing to see. Any length."""
    text = "\n\n".join(block for block in _blocks(document.nodes) if not is_blank(block))
    return text.strip()


def _blocks(nodes: tuple[RichNode, ...]) -> list[str]:
    """Each block as text; inline nodes in a row make one block."""
    blocks: list[str] = []
    row: list[RichNode] = []
    for node in nodes:
        if node.kind in _INLINE or (node.text and not node.children):
            row.append(node)
            continue
        blocks += [_inline(tuple(row)), _block(node)]
        row = []
    return [block for block in [*blocks, _inline(tuple(row))] if block]


def _block(node: RichNode) -> str:
    match node.kind:
        case "heading":
            return f"**{text}**" if (text := _bare_words(node)) else ""
        case "bulletList" | "bullet_list":
            return "\n".join(_item(item, "- ") for item in node.children)
        case "orderedList" | "ordered_list":
            return "\n".join(
                _item(item, f"{number}. ") for number, item in enumerate(node.children, node.number)
            )
        case "blockquote":
            text = "\n".join(_blocks(node.children))
            return "\n".join(f"> {line}" for line in text.split("\n")) if text else ""
        case "codeBlock" | "code_block":
            code = paragraphs(_code(_raw_words(node)))
            return f"```\n{code}\n```" if code else ""
        case _:
            return "\n".join(_blocks(node.children))


def _item(item: RichNode, bullet: str) -> str:
    text = "\n".join(_blocks(item.children))
    return bullet + text.replace("\n", "\n" + " " * len(bullet))


def _raw_words(node: RichNode) -> str:
    return node.text + "".join(
        "\n" if child.kind == "hardBreak" else _raw_words(child) for child in node.children
    )


def _bare_words(node: RichNode) -> str:
    return escape_name(one_line(_raw_words(node), otherwise=""))


def _inline(nodes: tuple[RichNode, ...]) -> str:
    """A row of texts. It is escaped piece by piece, so a mark at a piece's start stays a text."""
    return "".join(_piece(node) for node in _merged(nodes)).strip()


def _merged(nodes: tuple[RichNode, ...]) -> list[RichNode]:
    """Texts with the same marks side by side as one: `**a****b**` is not bold in Discord."""
    merged: list[RichNode] = []
    for node in nodes:
        last = merged[-1] if merged else None
        if (
            last is not None
            and last.kind == node.kind == "text"
            and (last.marks, last.href) == (node.marks, node.href)
        ):
            merged[-1] = RichNode("text", last.text + node.text, node.marks, node.href)
        else:
            merged.append(node)
    return merged


def _piece(node: RichNode) -> str:
    if node.kind == "hardBreak":
        return "\n"
    if node.kind == "mention":
        # A person on Speckle, not on Discord: words only, never a mention.
        return f"**\\@{escape_name(one_line(node.text))}**"
    text = clean(node.text)
    words = text.strip()
    if not words or is_blank(words):
        return " " if text else ""
    # Discord ignores marks with a space on their inner side.
    before = text[: len(text) - len(text.lstrip())]
    after = text[len(text.rstrip()) :]
    return f"{before}{_marked(words, node)}{after}"


def _marked(words: str, node: RichNode) -> str:
    url = _web_address(node.href) if "link" in node.marks else None
    if "code" in node.marks:
        text = f"`{_code(' '.join(words.split()))}`"
    elif url is not None:
        text = _linked(words, url)
    else:
        text = escape_markdown(words)
    # Discord takes a mark right behind a plain address for a part of it.
    markable = "code" not in node.marks and (url is not None or "://" not in text)
    for names, mark in _MARKS:
        if names & node.marks and markable and "\n\n" not in text:
            text = f"{mark}{text}{mark}"
    return text


def _linked(words: str, url: str) -> str:
    label = " ".join(words.split())
    if _bare(label) == _bare(url):
        return address(url)
    if LOOKS_LIKE_ADDRESS.search(label):  # and leads elsewhere: so that is shown
        return f"{escape_name(label)} ({address(url)})"
    return link(escape_name(label), url)


def _bare(url: str) -> str:
    """What people see as an address: without its beginning and its last slash."""
    return re.sub(r"^https?://", "", url).rstrip("/")


def _web_address(href: str | None) -> str | None:
    """The address if it is one to follow: http(s), with a host, without a user name."""
    if href is None or len(href) > MAX_LINK_URL or not href.isprintable():
        return None
    try:
        parts = urlsplit(href.strip())
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
    except ValueError:
        return None
    return href.strip() if usable and clean(href) == href else None


def _code(text: str) -> str:
    """Code is shown as it is, so nothing in it can be escaped: take out what would end it."""
    return clean(text).replace("`", "ˋ")
