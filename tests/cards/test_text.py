"""Text that people typed, on its way to Discord."""

import time
from html.parser import HTMLParser

import pytest
import regex  # type: ignore[import-untyped]  # the package has no type hints
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.cards.applications import application_name
from bot.cards.text import (
    NO_NAME,
    clean,
    escape_markdown,
    escape_name,
    is_blank,
    link,
    one_line,
    paragraphs,
    seen,
    shorten,
    shorten_plain,
    units,
)
from sandbox.demo.page.markdown import to_html

FAMILY = "👨🏽‍👩🏽‍👧🏽‍👦🏽"
ENGLAND = "🏴󠁧󠁢󠁥󠁮󠁧󠁿"
MARKDOWN = r"\*_~|`<>[]()@#-+.1 ab" + "\n:/"
typed = (
    st.text()
    | st.text(alphabet=MARKDOWN)
    | st.lists(st.sampled_from([FAMILY, ENGLAND, "e\u0301", "*", "a"])).map("".join)
)


def test_bidirectional_and_control_characters_go() -> None:
    assert clean("a\u202eb\u2066c\x00d\x1b[31me\u200b\ufefff") == "abcd[31mef"


def test_emoji_and_joined_scripts_stay() -> None:
    assert clean(f"{FAMILY} {ENGLAND} می‌خواهم") == f"{FAMILY} {ENGLAND} می‌خواهم"


def test_text_hidden_in_tag_characters_goes() -> None:
    assert clean("a\U000e0061\U000e0062b") == "ab"


def test_stacked_accents_are_bounded() -> None:
    assert len(clean("e" + "\u0301" * 5_000)) == 16


def test_lone_surrogates_become_replacement_characters() -> None:
    assert clean("a\ud83db") == "a\N{REPLACEMENT CHARACTER}b"


def test_a_name_is_one_line_and_never_empty() -> None:
    assert one_line("  Harbour\n\tTower ") == "Harbour Tower"
    assert one_line("\u200b \u3164") == NO_NAME
    assert one_line(None) == NO_NAME


def test_a_text_of_invisible_characters_is_empty() -> None:
    assert paragraphs(" \u200b\n\u2800 ") == ""
    assert paragraphs("a\n\n \n\nb ") == "a\n\nb"


def test_markdown_and_mentions_are_escaped() -> None:
    assert escape_markdown("**a** ~~b~~ ||c|| `d` _e_") == (
        r"\*\*a\*\* \~\~b\~\~ \|\|c\|\| \`d\` \_e\_"
    )
    assert escape_markdown("@everyone <@1> <#2> <t:0:R>") == r"\@everyone \<\@1> \<#2> \<t:0:R>"
    assert escape_markdown("[a](https://evil.example)").startswith(r"\[a\](")


def test_headings_quotes_and_lists_are_escaped_where_they_would_begin() -> None:
    assert escape_markdown("# a\n> b\n- c\n1. d\n-# e") == "\\# a\n\\> b\n\\- c\n1\\. d\n\\-# e"
    assert escape_markdown("level-1 #2 3.5 > 2") == "level-1 #2 3.5 > 2"


def test_a_plain_address_stays_clickable_in_a_text_but_not_in_a_name() -> None:
    assert (
        escape_markdown("see https://a.example/b_c?d=1 now") == "see https://a.example/b_c?d=1 now"
    )
    assert escape_name("https://a.example") == r"https\://a.example"


@pytest.mark.parametrize(
    ("typed", "escaped"),
    [
        ("https://a.example/x_(y)_z", "<https://a.example/x_(y)_z>"),
        ("(https://a.example/x)", "(<https://a.example/x>)"),
        ("https://a.example/*b*~c~|d|`e`@f", "<https://a.example/*b*~c~|d|`e`@f>"),
        ("https://a.example/@everyone", "<https://a.example/@everyone>"),
        ("https://a.example/<@123>", r"<https://a.example/>\<\@123>"),
        ("<https://a.example/x_y>", r"\<<https://a.example/x_y>>"),
        ("https://münchen.example/straße", "<https://münchen.example/straße>"),
        ("see https://a.example/b.", "see https://a.example/b."),
        ("see https://a.example/b!", "see <https://a.example/b!>"),
        ("https://a.example/b_c_", "https://a.example/b_c_"),
        ("**https://a.example/b**", r"\*\*<https://a.example/b>\*\*"),
        ("[mask](https://evil.example)*x*", r"\[mask\](<https://evil.example)*x*>"),
        ("HTTPS://A.example/_b_", "<HTTPS://A.example/_b_>"),
        (r"https://a.example/\*b", r"<https://a.example/\*b>"),
        ("steam://run/1 ftp://a_b", r"steam\://run/1 ftp\://a\_b"),
        ("https://_a", r"https\://\_a"),
    ],
)
def test_an_address_is_kept_to_the_last_byte_and_nothing_else_gets_through(
    typed: str, escaped: str
) -> None:
    assert escape_markdown(typed) == escaped
    assert seen(escaped) == typed


@given(st.lists(st.sampled_from(["https://a.example", "x", *MARKDOWN]), max_size=30).map("".join))
def test_what_is_seen_of_a_text_with_addresses_is_the_text(text: str) -> None:
    assert seen(escape_markdown(text)) == text
    assert seen(escape_name(text)) == text


LIVE = ("https://a.example/x_y", "@everyone", "<@1>", "<#2>", "<t:0:R>", "<:a:1>", "](", "1) ", "é")


class Shown(HTMLParser):
    """What the sandbox's Discord shows of a text: its words, elements and addresses."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.words, self.elements, self.addresses = "", set[str](), list[str]()
        self.feed(to_html(markdown))
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.addresses += [value or "" for name, value in attributes if name == "href"]
        self.words += "\n" if tag == "br" else ""

    def handle_data(self, data: str) -> None:
        self.words += data


@settings(max_examples=200)
@given(st.lists(st.sampled_from([*LIVE, *MARKDOWN]), max_size=14).map("".join))
def test_discord_shows_a_text_as_it_was_typed_and_links_its_addresses_alone(text: str) -> None:
    shown = Shown(escape_markdown(text))
    assert shown.words.split() == text.split()
    assert shown.elements <= {"a", "br", "p"}
    assert all(address in text for address in shown.addresses)


def test_an_address_is_never_cut() -> None:
    text = escape_markdown("see https://a.example/(b) now")
    assert shorten(text, 20) == "see…"
    assert shorten(text, 29) == "see <https://a.example/(b)>…"


def test_a_cut_never_falls_inside_an_escape_a_link_or_an_emoji() -> None:
    masked = link("a", "https://a.example/long")
    assert shorten(r"ab\*\*", 4) == "ab…"
    assert shorten(f"ab{masked}cd", 12) == "ab…"
    assert shorten(FAMILY * 3, units(FAMILY) + 1) == f"{FAMILY}…"


def test_code_that_ends_with_a_backslash_is_over_there() -> None:
    text = r"models `a\`, `*` → `b\`, `\`" + "x" * 40
    for limit in range(1, units(text)):
        assert shorten(text, limit).count("`") % 2 == 0, limit
        assert "*`" not in shorten(text, limit).replace("`*`", "")


def test_bold_that_is_cut_is_closed() -> None:
    assert shorten("**structure level**", 12) == "**structu…**"


@given(typed, st.integers(0, 60))
def test_a_shortened_text_fits_and_begins_like_the_whole(text: str, limit: int) -> None:
    escaped = escape_markdown(clean(text))
    short = shorten(escaped, limit)
    assert units(short) <= limit
    if short != escaped and short:
        assert short.endswith("…")
        assert not _open_escape(short[:-1])
        whole = regex.findall(r"\X", clean(text))
        shown = regex.findall(r"\X", seen(short[:-1]))
        assert whole[: len(shown)] == shown


@given(typed, st.integers(0, 60))
def test_a_shortened_plain_text_is_cut_between_characters_that_people_see(
    text: str, limit: int
) -> None:
    text = clean(text)
    short = shorten_plain(text, limit)
    assert units(short) <= limit
    if short not in (text, ""):
        shown = regex.findall(r"\X", short.removesuffix("…"))
        assert regex.findall(r"\X", text)[: len(shown)] == shown


@given(typed)
def test_what_is_seen_of_an_escaped_text_is_the_text(text: str) -> None:
    assert seen(escape_markdown(clean(text))) == clean(text)
    assert seen(escape_name(clean(text))) == clean(text)


@given(typed)
def test_a_cleaned_text_can_be_encoded_and_is_clean(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert clean(cleaned) == cleaned
    assert is_blank("")
    assert not is_blank("a")


def _open_escape(text: str) -> bool:
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def test_applications_go_by_their_proper_names() -> None:
    names = {
        "Revit2025": "Revit 2025",
        "Rhino 8": "Rhino 8",
        "Rhino7": "Rhino 7",
        "Grasshopper": "Grasshopper",
        "py": "specklepy",
        "AutoCAD2024": "AutoCAD 2024",
        "Civil3D": "Civil 3D",
        "Civil3D2025": "Civil 3D 2025",
        "qgis": "QGIS",
        "powerbi": "Power BI",
        "Power BI": "Power BI",
        "TeklaStructures2023": "Tekla Structures 2023",
        "SAP2000": "SAP2000",
        "ETABS22": "ETABS 22",
        "ETABSv18": "ETABS 18",
        "DynamoRevit2021": "Dynamo for Revit 2021",
        ".NET": ".NET",
        "blender 4.2": "Blender 4.2",
        "  Own\nTool 3 ": "Own Tool 3",
        "revit2025": "Revit 2025",
        "rhino8": "Rhino 8",
        "plant3d": "Plant 3D",
        "plant3d2024": "Plant 3D 2024",
        "sap2000v25": "SAP2000 25",
        "tekla-structures2024": "Tekla Structures 2024",
        "revit2024-acc": "Revit 2024 (ACC)",
        "automate": "Speckle Automate",
        "rhino-importer": "a file import",
        "dwg-rhino-importer": "DWG (file import)",
        "ifc-importer": "IFC (file import)",
        "sketchup-rhino-importer": "SketchUp (file import)",
        "my-new_app2": "My New App2",
        "facadePlanner": "Facade Planner",
        "Kestrel.Export": "Kestrel Export",
        "---": "---",
        "-acc": "Acc",
        "": None,
        None: None,
    }
    assert {raw: application_name(raw) for raw in names} == names


@pytest.mark.parametrize(
    "text",
    [
        "🇨",
        "🇨🇭",
        "🏴\U000e0061",
        "\U000e0061",
        "👨\u200d",
        "e\u0301\u0301",
        "https://a.example ",
        "https://a)",
        "**https://a*",
        "<https://a",
        "\n ",
        "a ",
        "[",
        "\\",
        "@",
    ],
)
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    whole = "🏴" + text * (20_000 // len(text))
    shorten(escape_markdown(paragraphs(whole)), 1_000)
    seen(escape_name(one_line(whole)))
    assert time.process_time() - started < 1


def test_a_new_emoji_that_python_does_not_know_yet_is_to_be_seen() -> None:
    assert not is_blank("\U0001fae8")
