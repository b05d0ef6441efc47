"""Comments from Speckle's editor as Discord markdown."""

from typing import Any

import pytest

from bot.cards.rich_text_markdown import to_markdown
from bot.speckle.rich_text import read_rich_text


def markdown(*content: Any) -> str:
    document = {"doc": {"type": "doc", "content": list(content)}}
    return to_markdown(read_rich_text(document, lambda v: v if isinstance(v, str) else None))


def paragraph(*content: Any) -> dict[str, Any]:
    return {"type": "paragraph", "content": list(content)}


def text(words: str, *marks: str, href: str | None = None) -> dict[str, Any]:
    listed: list[dict[str, Any]] = [{"type": mark} for mark in marks]
    if href is not None:
        listed.append({"type": "link", "attrs": {"href": href}})
    return {"type": "text", "text": words, "marks": listed}


@pytest.mark.parametrize(
    ("mark", "expected"),
    [("bold", "**a\\*b**"), ("italic", "*a\\*b*"), ("strike", "~~a\\*b~~"), ("code", "`a*b`")],
)
def test_marks_are_kept_and_what_they_hold_is_escaped(mark: str, expected: str) -> None:
    assert markdown(paragraph(text("a*b", mark))) == expected


def test_spaces_stay_outside_of_marks() -> None:
    assert markdown(paragraph(text("a"), text(" b ", "bold"), text("c"))) == "a **b** c"


def test_texts_with_the_same_marks_become_one() -> None:
    assert markdown(paragraph(text("a", "bold"), text("b", "bold"))) == "**ab**"


def test_a_link_keeps_its_words_and_its_escaped_address() -> None:
    linked = text("plan (B)", href="https://a.example/x(1)")
    assert markdown(paragraph(linked)) == "[plan (B)](https://a.example/x%281%29)"


@pytest.mark.parametrize(
    "href", ["javascript:alert(1)", "data:text/html,x", "https://u:p@a.example", "//a.example", ""]
)
def test_a_link_that_is_not_for_the_web_keeps_its_words_alone(href: str) -> None:
    assert markdown(paragraph(text("click", href=href))) == "click"


def test_a_link_whose_words_are_another_address_cannot_pretend() -> None:
    linked = text("https://bank.example", href="https://evil.example")
    assert markdown(paragraph(linked)) == r"https\://bank.example (<https://evil.example>)"
    linked = text("bank.example/login", href="https://evil.example/a_(b)_c")
    assert markdown(paragraph(linked)) == "bank.example/login (<https://evil.example/a_(b)_c>)"


def test_a_link_whose_words_are_its_address_is_kept_to_the_last_byte() -> None:
    url = "https://a.example/x_(1)_*b*?c=@d|e~f."
    assert markdown(paragraph(text(url, href=url))) == f"<{url}>"
    assert (
        markdown(paragraph(text("a.example", href="https://a.example/"))) == "<https://a.example/>"
    )


def test_a_person_from_speckle_is_no_discord_mention() -> None:
    mention = {"type": "mention", "attrs": {"id": "a1f47c02d9", "label": "everyone"}}
    assert markdown(paragraph(mention, text(" look"))) == r"**\@everyone** look"


def test_paragraphs_breaks_lists_and_headings_keep_their_shape() -> None:
    items = [{"type": "listItem", "content": [paragraph(text(word))]} for word in ("one", "two")]
    assert (
        markdown(
            {"type": "heading", "attrs": {"level": 1}, "content": [text("Head")]},
            paragraph(text("a"), {"type": "hardBreak"}, text("b")),
            {"type": "paragraph"},
            {"type": "bulletList", "content": items},
            {"type": "orderedList", "attrs": {"start": 3}, "content": items},
            {"type": "codeBlock", "content": [text("x = `1`")]},
        )
        == "**Head**\n\na\nb\n\n- one\n- two\n\n3. one\n4. two\n\n```\nx = ˋ1ˋ\n```"
    )


def test_a_node_that_nobody_knows_gives_its_words() -> None:
    strange = {"type": "callout", "content": [{"type": "spark", "text": "hi"}]}
    assert markdown(strange) == "hi"


def test_a_document_of_any_depth_and_size_is_read() -> None:
    deep: Any = text("deep")
    for _ in range(300):
        deep = {"type": "blockquote", "content": [deep]}
    assert markdown(deep) == ""
    wide = markdown(*(paragraph(text("x" * 100)) for _ in range(10_000)))
    assert len(wide) < 30_000


@pytest.mark.parametrize("value", [None, 3, [], {}, {"doc": 1}, {"content": [1, None, {}]}, ""])
def test_anything_else_is_an_empty_text(value: Any) -> None:
    assert to_markdown(read_rich_text(value, lambda v: v if isinstance(v, str) else None)) == ""
