"""Discord's markdown, as the page shows it."""

import pytest

from sandbox.demo.page.markdown import Names, line_to_html, plain, to_html

NAMES = Names(
    users={7: "Maren <Oduya>"}, roles={8: "@everyone"}, channels={9: "structure"}, emoji={5: "/e/5"}
)


SPOILER = '<span class="spoiler" role="button" tabindex="0" aria-label="Spoiler">'


def _para(inside: str) -> str:
    return f"<p>{inside}</p>"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("**bold** *slanted* _slanted_", "<strong>bold</strong> <em>slanted</em> <em>slanted</em>"),
        ("__under__ ~~gone~~", "<u>under</u> <s>gone</s>"),
        ("***both***", "<em><strong>both</strong></em>"),
        ("snake_case_name and 2 * 3 * 4", "snake_case_name and 2 * 3 * 4"),
        (r"\*not slanted\* \_ \`", "*not slanted* _ `"),
        ("one\ntwo", "one<br>\ntwo"),
        ("`a < b` and ``a ` b``", "<code>a &lt; b</code> and <code>a ` b</code>"),
        ("see ```x = 1``` there", 'see <code class="block">x = 1</code> there'),
        ("<b>&amp;</b>", "&lt;b&gt;&amp;amp;&lt;/b&gt;"),
        ("![x](https://a.example/x.png)", '!<a href="https://a.example/x.png">x</a>'),
        ("[x]: https://a.example", '[x]: <a href="https://a.example">https://a.example</a>'),
        ("#no title", "#no title"),
        ("#### no title", "#### no title"),
        ("a\n===", "a<br>\n==="),
        ("---", "---"),
        ("    no code", "no code"),
    ],
)
def test_styles_of_a_text(typed: str, shown: str) -> None:
    html = to_html(typed).replace(' target="_blank" rel="noopener noreferrer"', "")
    assert html == _para(shown)


@pytest.mark.parametrize(
    ("typed", "address", "label"),
    [
        ("https://a.example/x", "https://a.example/x", "https://a.example/x"),
        ("(https://a.example/x)", "https://a.example/x", "https://a.example/x"),
        ("https://a.example/x_(y)", "https://a.example/x_(y)", "https://a.example/x_(y)"),
        ("https://a.example/a_b_c*d*", "https://a.example/a_b_c*d*", "https://a.example/a_b_c*d*"),
        ("see https://a.example/x.", "https://a.example/x", "https://a.example/x"),
        ("<https://a.example/x?y=1&z=2>", "https://a.example/x?y=1&amp;z=2", "https://a.example/x?y=1&amp;z=2"),
        ("[**here**](https://a.example/x)", "https://a.example/x", "<strong>here</strong>"),
        ("[here](<https://a.example/x>)", "https://a.example/x", "here"),
    ],
)  # fmt: skip
def test_an_address_is_a_link(typed: str, address: str, label: str) -> None:
    link = f'<a href="{address}" target="_blank" rel="noopener noreferrer">{label}</a>'
    assert link in to_html(typed)


@pytest.mark.parametrize(
    "typed",
    [
        "[x](javascript:alert(1))",
        "[x](data:text/html,hello)",
        "<javascript:alert(1)>",
        "[x](//a.example)",
        "mail@a.example",
    ],
)
def test_what_is_no_address_of_the_web_is_no_link(typed: str) -> None:
    assert "<a" not in to_html(typed)


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("# one\n## two\n### three", "<h1>one</h1>\n<h2>two</h2>\n<h3>three</h3>"),
        ("-# small *print*", '<p class="subtext">small <em>print</em></p>'),
        ("> a\n> b\nc", "<blockquote>\n<p>a<br>\nb</p>\n</blockquote>\n<p>c</p>"),
        (">>> all\n\nof it", "<blockquote>\n<p>all</p>\n<p>of it</p>\n</blockquote>"),
        (">none", "<p>&gt;none</p>"),
        ("> > twice", "<blockquote>\n<p>&gt; twice</p>\n</blockquote>"),
        ("- a\n- b\nnot c", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n<p>not c</p>"),
        ("text\n- a\n  - b", "<p>text</p>\n<ul>\n<li>a\n<ul>\n<li>b</li>\n</ul>\n</li>\n</ul>"),
        ("1. a\n2. b", "<ol>\n<li>a</li>\n<li>b</li>\n</ol>"),
        ("```py\na\n\n# b```", '<code class="block" data-language="py">a\n\n# b</code>'),
        ("```\n<b>\n```\nafter", '<code class="block">&lt;b&gt;</code><p>after</p>'),
        ("before\n```\nx\n```", '<p>before</p>\n<code class="block">x</code>'),
        ("```never closed", "<p>```never closed</p>"),
    ],
)  # fmt: skip
def test_blocks(typed: str, shown: str) -> None:
    assert to_html(typed) == shown


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("<@7>", '<span class="mention" data-user="7">@Maren &lt;Oduya&gt;</span>'),
        ("<@!7>", '<span class="mention" data-user="7">@Maren &lt;Oduya&gt;</span>'),
        ("<@1>", '<span class="mention" data-user="1">@unknown-user</span>'),
        ("<@&8>", '<span class="mention">@everyone</span>'),
        ("<#9>", '<button type="button" class="mention" data-channel="9">#structure</button>'),
        ("<#1>", '<span class="mention">#No Access</span>'),
        ("</a b:3>", '<button type="button" class="mention" data-command="a b">/a b</button>'),
        ("@everyone", '<span class="mention">@everyone</span>'),
        ("<:ok:5>", '<img class="emoji" src="/e/5" alt=":ok:">'),
        ("<a:ok:6>", ":ok:"),
        ("<t:99999999999999:R>", "&lt;t:99999999999999:R&gt;"),
        ("`<@7>`", "<code>&lt;@7&gt;</code>"),
        ("||a **b**||", f"{SPOILER}<span>a <strong>b</strong></span></span>"),
        ("a || b", "a || b"),
    ],
)  # fmt: skip
def test_mentions_emoji_and_spoilers(typed: str, shown: str) -> None:
    assert to_html(typed, NAMES) == _para(shown)


@pytest.mark.parametrize("style", ["", ":t", ":R", ":F", ":s"])
def test_a_time_is_kept_for_the_readers_own_clock(style: str) -> None:
    html = to_html(f"<t:1795689120{style}>")
    assert 'datetime="2026-11-26T10:32:00+00:00"' in html
    assert f'data-style="{style[1:] or "f"}"' in html


def test_a_title_is_one_line() -> None:
    assert line_to_html("# **new** <@7>", NAMES) == (
        '# <strong>new</strong> <span class="mention" data-user="7">@Maren &lt;Oduya&gt;</span>'
    )


def test_an_excerpt_is_text_alone() -> None:
    assert plain("**New** version\n> of `level 1`") == "New version of level 1"


@pytest.mark.parametrize(
    "sign", ["> ", "||", "**", "[", "(", "<", "```", "- ", "_", "~~", "`", "*_"]
)
def test_no_text_is_too_odd_or_takes_long(sign: str) -> None:
    assert len(to_html(sign * 1000 + "x" + sign * 1000)) < 200_000
