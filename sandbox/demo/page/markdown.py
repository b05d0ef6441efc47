"""Discord's markdown as HTML: markdown-it-py, with what Discord does differently as rules.

https://support.discord.com/hc/articles/210298617 and, for mentions and timestamps,
https://discord.com/developers/docs/reference#message-formatting. What a person typed is escaped:
nothing of it becomes an element or an attribute of its own.
"""

import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import lru_cache
from html import escape
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock, heading
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

RENDERED_TEXTS: Final = 2_000  # a few screens of cards, pulled again at each change
SCHEMES: Final = ("http://", "https://")
BARE_LINK: Final = re.compile(r"https?://[^\s<]+[^\s<.,:;!?\"'\]]", re.IGNORECASE)
ANGLED_LINK: Final = re.compile(r"<(https?://[^\s<>]+)>", re.IGNORECASE)
QUOTE: Final = re.compile(r" {0,3}> ?(?P<rest>.*)")
SUBTEXT: Final = re.compile(r" {0,3}-# +(?P<rest>\S.*)")
CODE_BLOCK: Final = re.compile(r"```(?:(?P<language>[\w+.#-]+)\n)?(?P<code>.*?)```", re.DOTALL)
MENTION: Final = re.compile(
    r"<(?:@!?(?P<user>\d{1,20})|@&(?P<role>\d{1,20})|#(?P<channel>\d{1,20})"
    r"|/(?P<command>[-_'\w]+(?: [-_'\w]+){0,2}):(?P<command_id>\d{1,20})"
    r"|t:(?P<time>-?\d{1,13})(?::(?P<style>[tTdDfFsSR]))?"
    r"|(?P<animated>a)?:(?P<emoji>\w{2,32}):(?P<emoji_id>\d{1,20}))>"
    r"|@(?P<all>everyone|here)\b"
)
INLINE: Final = ("text", "newline", "escape", "backticks", "strikethrough", "emphasis", "link")
AFTER_INLINE: Final = ("balance_pairs", "strikethrough", "emphasis", "fragments_join")


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """What ids in a text are called; of emoji, the path of their picture.

    A text is rendered once for each of these objects: use the same one while it says the same.
    """

    users: Mapping[int, str] = field(default_factory=dict)
    roles: Mapping[int, str] = field(default_factory=dict)
    channels: Mapping[int, str] = field(default_factory=dict)
    emoji: Mapping[int, str] = field(default_factory=dict)

    def says_the_same(self, other: "Names") -> bool:
        """Whether all names are the same."""
        return all(getattr(self, one.name) == getattr(other, one.name) for one in fields(self))


NO_NAMES: Final = Names()


@lru_cache(maxsize=RENDERED_TEXTS)
def to_html(text: str, names: Names = NO_NAMES) -> str:
    """A message's text, an embed's description or a field's value."""
    return str(DISCORD.render(text, {"names": names})).strip()


@lru_cache(maxsize=RENDERED_TEXTS)
def line_to_html(text: str, names: Names = NO_NAMES) -> str:
    """A title or a field's name, which is one line: no lists, no quotes, no headings."""
    return str(DISCORD.renderInline(text, {"names": names})).strip()


def plain(text: str, names: Names = NO_NAMES) -> str:
    """The text alone, as for a reply's excerpt."""
    return " ".join(re.sub(r"<[^>]+>", "", to_html(text, names)).split())


# ── blocks ────────────────────────────────────────────────────────────────────────────────────


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] : state.eMarks[number]]


def _quote(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """`> ` quotes one line and `>>> ` all that follows; a quote holds no other."""
    if state.env.get("quoted") or not (first := QUOTE.fullmatch(_line(state, start))):
        return False
    text = _line(state, start)
    if text.lstrip().startswith(">>> "):
        lines = [text.lstrip()[4:], *(_line(state, one) for one in range(start + 1, end))]
    elif not text.lstrip().startswith("> "):
        return False
    else:
        lines = [first["rest"]]
        while start + len(lines) < end:
            found = QUOTE.fullmatch(following := _line(state, start + len(lines)))
            if not found or not (following.lstrip().startswith("> ") or not found["rest"]):
                break
            lines.append(found["rest"])
    if silent:
        return True
    state.push("blockquote_open", "blockquote", 1)
    state.env["quoted"] = True
    state.md.block.parse("\n".join(lines), state.md, state.env, state.tokens)
    del state.env["quoted"]
    state.push("blockquote_close", "blockquote", -1)
    state.line = start + len(lines)
    return True


def _subtext(state: StateBlock, start: int, _end: int, silent: bool) -> bool:
    """`-# ` is small and grey."""
    if not (found := SUBTEXT.fullmatch(_line(state, start))):
        return False
    if not silent:
        opened = state.push("paragraph_open", "p", 1)
        opened.attrs = {"class": "subtext"}
        _push_inline(state, found["rest"])
        state.push("paragraph_close", "p", -1)
        state.line = start + 1
    return True


def _heading(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Three sizes, where markdown has six."""
    if _line(state, start).lstrip().startswith("####"):
        return False
    return heading(state, start, end, silent)


def _code_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Three backticks up to the next three, if a line ends there."""
    first = state.bMarks[start] + state.tShift[start]
    found = CODE_BLOCK.match(state.src, first, state.eMarks[end - 1])
    if not found:
        return False
    last = next(one for one in range(start, end) if state.eMarks[one] >= found.end())
    if state.src[found.end() : state.eMarks[last]].strip():
        return False
    if not silent:
        _push_code(state, found)
        state.line = last + 1
    return True


def _paragraph(state: StateBlock, start: int, end: int, _silent: bool) -> bool:
    """Lines up to an empty one or to what is no paragraph; a list takes in no line below it."""
    rules = state.md.block.ruler.getRules("paragraph")
    following = start + 1
    while (
        following < end
        and not state.isEmpty(following)
        and state.sCount[following] >= state.blkIndent
        and not any(rule(state, following, end, True) for rule in rules)
    ):
        following += 1
    state.push("paragraph_open", "p", 1)
    _push_inline(state, state.getLines(start, following, state.blkIndent, False).strip())
    state.push("paragraph_close", "p", -1)
    state.line = following
    return True


def _push_inline(state: StateBlock, content: str) -> None:
    inline = state.push("inline", "", 0)
    inline.content = content
    inline.children = []


# ── within a line ─────────────────────────────────────────────────────────────────────────────


def _push_code(state: StateBlock | StateInline, found: re.Match[str]) -> None:
    token = state.push("code_block", "code", 0)
    token.content = found["code"].strip("\n")
    token.info = found["language"] or ""


def _code_within(state: StateInline, silent: bool) -> bool:
    """Three backticks within a line make a block too."""
    found = CODE_BLOCK.match(state.src, state.pos, state.posMax)
    if not found or not found["code"].strip():
        return False
    if not silent:
        _push_code(state, found)
    state.pos = found.end()
    return True


def _spoiler(state: StateInline, silent: bool) -> bool:
    """`||` hides what is between two of them."""
    start, before = state.pos + 2, state.posMax
    if not state.src.startswith("||", state.pos) or state.level >= state.md.options.maxNesting:
        return False
    end = state.src.find("||", start + 1, before)
    if end < 0:
        return False
    if not silent:
        state.push("spoiler_open", "span", 1)
        state.pos, state.posMax = start, end
        state.md.inline.tokenize(state)
        state.posMax = before
        state.push("spoiler_close", "span", -1)
    state.pos = end + 2
    return True


def _mention(state: StateInline, silent: bool) -> bool:
    """People, roles, channels, commands, times and emoji by id; @everyone and @here."""
    found = MENTION.match(state.src, state.pos, state.posMax)
    if not found or (found["time"] and _moment(found["time"]) is None):
        return False
    if not silent:
        token = state.push("mention", "", 0)
        token.meta = found.groupdict()
    state.pos = found.end()
    return True


def _address(state: StateInline, silent: bool) -> bool:
    """An address that was typed as such, or between angle brackets."""
    if state.linkLevel > 0:
        return False
    if angled := ANGLED_LINK.match(state.src, state.pos, state.posMax):
        return _push_link(state, angled[1], angled.end(), silent)
    scheme = next((one for one in ("https", "http") if state.pending.lower().endswith(one)), None)
    if scheme is None or not state.src.startswith("://", state.pos):
        return False
    start = state.pos - len(scheme)
    found = BARE_LINK.match(state.src, start, state.posMax)
    if not found:
        return False
    if not silent:
        state.pending = state.pending[: -len(scheme)]
    address = _without_closing(found[0])
    return _push_link(state, address, start + len(address), silent)


def _without_closing(address: str) -> str:
    """Without brackets at the end that were opened before the address."""
    while address.endswith(")") and address.count(")") > address.count("("):
        address = address[:-1]
    return address


def _push_link(state: StateInline, address: str, end: int, silent: bool) -> bool:
    if not silent:
        state.push("link_open", "a", 1).attrs = {"href": address}
        state.push("text", "", 0).content = address
        state.push("link_close", "a", -1)
    state.pos = end
    return True


def _moment(seconds: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return None


# ── what becomes of it ────────────────────────────────────────────────────────────────────────

Env = MutableMapping[str, Any]


def _render_mention(_: Any, tokens: list[Token], index: int, _options: Any, env: Env) -> str:
    found: Mapping[str, str | None] = tokens[index].meta
    names: Names = env["names"]
    for kind, render in RENDERERS.items():
        if (value := found[kind]) is not None:
            return render(names, value, found)
    raise AssertionError("a mention is of one kind")


def _person(names: Names, user_id: str, _: Mapping[str, str | None]) -> str:
    name = names.users.get(int(user_id), "unknown-user")
    return f'<span class="mention" data-user="{user_id}">@{escape(name)}</span>'


def _role(names: Names, role_id: str, _: Mapping[str, str | None]) -> str:
    name = names.roles.get(int(role_id), "unknown-role")
    return f'<span class="mention">@{escape(name.removeprefix("@"))}</span>'


def _channel(names: Names, channel_id: str, _: Mapping[str, str | None]) -> str:
    name = names.channels.get(int(channel_id))
    if name is None:
        return '<span class="mention">#No Access</span>'
    return (
        f'<button type="button" class="mention" data-channel="{channel_id}">'
        f"#{escape(name)}</button>"
    )


def _command(_names: Names, name: str, _: Mapping[str, str | None]) -> str:
    shown = escape(name)
    return f'<button type="button" class="mention" data-command="{shown}">/{shown}</button>'


def _time(_names: Names, seconds: str, found: Mapping[str, str | None]) -> str:
    moment = _moment(seconds)
    assert moment is not None, "checked where it was read"  # noqa: S101
    style = found["style"] or "f"
    return (
        f'<time class="timestamp" datetime="{moment.isoformat()}" data-style="{style}">'
        f"{moment:%d %B %Y %H:%M} UTC</time>"
    )


def _emoji(names: Names, name: str, found: Mapping[str, str | None]) -> str:
    path = names.emoji.get(int(found["emoji_id"] or 0))
    if path is None:
        return f":{escape(name)}:"
    return f'<img class="emoji" src="{escape(path)}" alt=":{escape(name)}:">'


def _all(_names: Names, who: str, _: Mapping[str, str | None]) -> str:
    return f'<span class="mention">@{who}</span>'


RENDERERS: Final[Mapping[str, Callable[[Names, str, Mapping[str, str | None]], str]]] = {
    "user": _person,
    "role": _role,
    "channel": _channel,
    "command": _command,
    "time": _time,
    "emoji": _emoji,
    "all": _all,
}


def _render_code(_: Any, tokens: list[Token], index: int, _options: Any, _env: Env) -> str:
    token = tokens[index]
    language = f' data-language="{escape(token.info)}"' if token.info else ""
    return f'<code class="block"{language}>{escape(token.content)}</code>'


def _render_spoiler(_: Any, _tokens: list[Token], _index: int, _options: Any, _env: Env) -> str:
    return '<span class="spoiler" role="button" tabindex="0" aria-label="Spoiler"><span>'


def _render_spoiler_end(_: Any, _tokens: list[Token], _i: int, _options: Any, _env: Env) -> str:
    return "</span></span>"


def _render_strong(self: Any, tokens: list[Token], index: int, options: Any, env: Env) -> str:
    """Two underscores underline, where markdown makes text strong."""
    token = tokens[index]
    if token.markup == "__":
        token.tag = "u"
    return str(self.renderToken(tokens, index, options, env))


def _render_link(self: Any, tokens: list[Token], index: int, options: Any, env: Env) -> str:
    tokens[index].attrs |= {"target": "_blank", "rel": "noopener noreferrer"}
    return str(self.renderToken(tokens, index, options, env))


class _WebOnly(MarkdownIt):
    """Links lead to addresses of the web alone."""

    def validateLink(self, url: str) -> bool:  # noqa: N802  # markdown-it's name for it
        return url.lower().startswith(SCHEMES)


def _discord() -> MarkdownIt:
    """The dialect."""
    made = _WebOnly("zero", {"breaks": True})
    made.enable([*INLINE, "list"])
    made.inline.ruler2.enableOnly(list(AFTER_INLINE))
    blocks = made.block.ruler
    ends_paragraph: RuleOptionsType = {"alt": ["paragraph", "list"]}
    blocks.before("list", "code_block", _code_block, ends_paragraph)
    blocks.before("list", "quote", _quote, ends_paragraph)
    blocks.before("list", "subtext", _subtext, ends_paragraph)
    blocks.before("list", "title", _heading, ends_paragraph)
    blocks.at("paragraph", _paragraph)
    within = made.inline.ruler
    within.before("backticks", "code_within", _code_within)
    within.before("newline", "mention", _mention)
    within.before("newline", "address", _address)
    within.before("newline", "spoiler", _spoiler)
    made.inline.add_terminator_char("|")
    for name, render in {
        "mention": _render_mention,
        "code_block": _render_code,
        "spoiler_open": _render_spoiler,
        "spoiler_close": _render_spoiler_end,
        "strong_open": _render_strong,
        "strong_close": _render_strong,
        "link_open": _render_link,
    }.items():
        made.add_render_rule(name, render)
    return made


DISCORD: Final = _discord()
