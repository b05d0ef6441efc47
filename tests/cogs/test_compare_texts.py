"""What /compare shows: within Discord's limits, whatever models say, and as a table."""

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from bot.cards.text import units
from bot.cogs.versions.changes_table import BOM, HEADER, MAX_BYTES, changes_table
from bot.cogs.versions.compare_texts import (
    WHAT_NEXT,
    compared_embeds,
    compared_files,
    has_table,
    not_compared,
)
from bot.services.comparing import Outcome
from bot.services.project_reading import MeantProject
from bot.services.version_comparison import ComparedVersions
from bot.speckle.comparison import (
    Comparison,
    Conclusion,
    ElementChange,
    ElementKind,
    WhyNotCompared,
)
from bot.speckle.events import ModelRef, SpeckleUser
from bot.speckle.listed import ListedVersion

AT: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
EVIL: Final = "\u202e**[x](https://evil.example)** @everyone `||\x07\ufeff=1+1\n# " * 40
PROJECT: Final = MeantProject("https://speckle.kestrel.example", "a1b2c3d4e5")


def compared(outcome: Outcome, text: str = "Slab") -> ComparedVersions:
    model = ModelRef("f6a7b8c9d0", text)
    before, after = (
        ListedVersion(id_, AT + timedelta(days=day), model, SpeckleUser("u1", text), text)
        for day, id_ in enumerate(("0123456789", "1234567890"))
    )
    return ComparedVersions(PROJECT, before, after, outcome)


def large(names: int, text: str = "") -> Comparison:
    """Each kind has its own category, level and name, and a property of its own changed in it."""
    kinds = [ElementKind(f"{text}C{n % 90}", f"L{n % 7}", f"{text}N{n}") for n in range(names)]
    changed = {ElementChange(one, frozenset({f"{text}P{n}"})): 2 for n, one in enumerate(kinds)}
    return Comparison(Conclusion.DIFFERENT, dict.fromkeys(kinds, 1), {}, changed, pairs=9 * names)


@pytest.mark.parametrize("text", ["", EVIL])
def test_each_page_keeps_discords_limits_whatever_models_are_called(text: str) -> None:
    found = compared(large(400, text), text or "Slab")
    embeds, pages = compared_embeds(found, 0)
    assert 2 < pages <= 50
    seen = 0
    for page in range(pages):
        (embed,), again = compared_embeds(found, page)
        assert again == pages
        assert len(embed) <= 6_000
        assert units(embed.title or "") <= 256
        assert units(embed.description or "") <= 4_096
        assert len(embed.fields) <= 25
        for field in embed.fields:
            assert 0 < units(field.name or "") <= 256
            assert 0 < units(field.value or "") <= 1_024
            seen += (field.value or "").count("`+1 ~2`")
        said = str(embed.to_dict())
        assert "\u202e" not in said
        assert "[x](" not in said
        assert "@everyone" not in said.replace("\\@", "").replace("\\\\@", "")
    assert seen == 400 if not text else seen > 100
    assert (
        compared_embeds(found, 99)[0][0].footer.text
        == compared_embeds(found, pages - 1)[0][0].footer.text
    )
    assert embeds


def test_each_reason_says_what_to_do_and_has_nothing_to_turn() -> None:
    assert WHAT_NEXT.keys() == set(WhyNotCompared)
    for why in WhyNotCompared:
        (embed,), pages = compared_embeds(compared(why), 0)
        assert (pages, has_table(compared(why)), compared_files(compared(why))) == (1, False, [])
        assert not_compared(why) in str(embed.description)
        assert str(embed.description).endswith(".")


def test_what_is_counted_of_bundles_is_said_to_be_without_geometry() -> None:
    usual = large(2)
    (embed,), _ = compared_embeds(compared(replace(usual, geometry=False)), 0)
    assert embed.footer.text == "+ added, − removed, ~ changed · geometry is not compared"
    (embed,), _ = compared_embeds(compared(usual), 0)
    assert embed.footer.text == "+ added, − removed, ~ changed"


def test_what_cannot_be_matched_says_why() -> None:
    (embed,), _ = compared_embeds(
        compared(Comparison(Conclusion.UNMATCHED, before=209, after=209)), 0
    )
    assert "nothing says which one is which" in (embed.description or "")


def test_what_is_the_same_is_said_of_any_two_versions() -> None:
    (embed,), _ = compared_embeds(compared(Comparison(Conclusion.IDENTICAL)), 0)
    assert str(embed.description).endswith("Identical: both versions are one and the same content.")
    net = Comparison(Conclusion.TOO_LARGE, {ElementKind("Walls"): 3}, before=50_000, after=50_003)
    (embed,), _ = compared_embeds(compared(net), 0)
    assert embed.footer.text == "+ more, − fewer"
    assert [(one.name, one.value) for one in embed.fields] == [("Walls +3", "`+3` · all")]


def rows(content: bytes) -> list[list[str]]:
    text = content.decode()
    assert text.startswith(BOM)
    return list(csv.reader(io.StringIO(text.removeprefix(BOM), newline="")))


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t=", "\r=", "\ufeff=", " =", "\uff1d"])
def test_no_cell_of_the_table_is_a_formula(sign: str) -> None:
    kind = ElementKind(f"{sign}cmd|' /C calc'!A0", f"{sign}1", f'{sign}SUM(A1), "x"\nnext')
    changed = {ElementChange(kind, frozenset({f"{sign}P"}), moved=True): 3}
    table = rows(changes_table(Comparison(Conclusion.DIFFERENT, {kind: 1}, {kind: 2}, changed)))
    assert table[0] == list(HEADER)
    assert [(one[0], one[4]) for one in table[1:]] == [
        ("added", "1"),
        ("changed", "3"),
        ("removed", "2"),
    ]
    for row in table:
        assert len(row) == len(HEADER)
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d")) for cell in row)


@pytest.mark.parametrize("delimiter", [",", ";", "|"])
def test_no_cell_is_a_formula_where_another_sign_ends_cells(delimiter: str) -> None:
    """A German Excel ends cells at semicolons, and quotes count only at a cell's beginning."""
    evil = ['Wall;=HYPERLINK("http://evil.example")', "a; =1+1", 'a;"=1+1"', "a,=1+1", "a|@x"]
    kinds = dict.fromkeys((ElementKind(one, one, one) for one in evil), 1)
    changed = {ElementChange(one, frozenset(evil)): 1 for one in kinds}
    table = changes_table(Comparison(Conclusion.DIFFERENT, kinds, {}, changed)).decode()
    reader = csv.reader(io.StringIO(table.removeprefix(BOM), newline=""), delimiter=delimiter)
    for row in reader:
        assert not [cell for cell in row if cell.strip(' "').startswith(("=", "+", "-", "@"))]


def test_the_table_has_all_and_is_of_bounded_size() -> None:
    whole = rows(changes_table(large(400)))
    assert len(whole) == 1 + 2 * 400
    cut = changes_table(large(40_000, "a name that many elements share, and that is long "))
    assert len(cut) < MAX_BYTES + 1_000
    assert rows(cut)[-1][0].endswith(" more rows are left out")


def test_what_differs_on_all_is_in_the_table() -> None:
    everywhere = Comparison(Conclusion.DIFFERENT, pairs=12, on_all=("exportedAt",), reshaped=True)
    assert has_table(compared(everywhere))
    assert rows(changes_table(everywhere))[1:] == [
        ["changed", "", "", "", "12", "", "moved"],
        ["changed", "", "", "", "12", "exportedAt", ""],
    ]
