"""Each wording of what changed."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bot.cards.card import MAX_DESCRIPTION
from bot.cards.text import seen, units
from bot.cards.what_changed import WHY_NOT, summary
from bot.speckle.comparison import (
    Checked,
    Comparison,
    Conclusion,
    ElementChange,
    ElementKind,
    WhyNotCompared,
)

WALLS, DOORS = ElementKind("Walls", "L1", "Basic Wall"), ElementKind("Doors")
COMMENTS = ElementChange(WALLS, frozenset({"Comments"}))
USUAL = Comparison(
    Conclusion.DIFFERENT,
    {WALLS: 5, DOORS: 1},
    {WALLS: 3},
    {COMMENTS: 4, ElementChange(DOORS, moved=True): 2},
    pairs=900,
    checked=Checked(6, 6),
)


def different(**more: Any) -> Comparison:
    return Comparison(Conclusion.DIFFERENT, pairs=1_050, **more)


WORDINGS = {
    "**+6 −3 ~6** · Walls +5 −3 ~4 · Doors +1 ~2. Changed: *Comments* (4) · moved (2)": USUAL,
    "Identical to the version before": Comparison(Conclusion.IDENTICAL),
    "Re-exported; no element changed": Comparison(Conclusion.UNCHANGED),
    "Re-exported; no element changed (geometry is not compared)": Comparison(
        Conclusion.UNCHANGED, geometry=False
    ),
    "All 1,050 elements: *exportedAt* changed": different(on_all=("exportedAt",)),
    "All 1,050 elements: *a* and *b* changed. Besides: **+2** · Walls +2": different(
        on_all=("a", "b"), added={WALLS: 2}
    ),
    "The geometry of all 1,050 elements differs (a different mesh setting?)": different(
        reshaped=True
    ),
    "The same 1,050 elements, sent with new ids": Comparison(Conclusion.NEW_IDS, pairs=1_050),
    "The same 1,009 elements, sent with new ids. Besides: **+2** · Walls +2": Comparison(
        Conclusion.NEW_IDS, {WALLS: 2}, pairs=1_009
    ),
    "Elements cannot be matched: 1,050 before, 1,051 now · Walls +4 · Doors −3": Comparison(
        Conclusion.UNMATCHED, {WALLS: 4}, {DOORS: 3}, before=1_050, after=1_051
    ),
    "50,000 → 50,109 elements, too many differences to list · Walls +109": Comparison(
        Conclusion.TOO_LARGE, {WALLS: 109}, before=50_000, after=50_109
    ),
    "**~4** · Walls ~4. Changed: *Comments* (4) · 2,000 of 10,500 checked": different(
        changed={COMMENTS: 4}, checked=Checked(2_000, 10_500)
    ),
    "No element changed so far: 2,000 of 10,500 checked": different(checked=Checked(2_000, 10_500)),
}


def test_wordings() -> None:
    assert {summary(one): one for one in WORDINGS.values()} == WORDINGS


def test_each_reason_has_its_words() -> None:
    assert WHY_NOT.keys() == set(WhyNotCompared)


TEXTS = st.text(max_size=200)
KINDS = st.builds(ElementKind, TEXTS, TEXTS, TEXTS)
COUNTS = st.integers(1, 10_000_000)


@given(
    st.sampled_from(Conclusion),
    st.dictionaries(KINDS, COUNTS, max_size=8),
    st.dictionaries(
        st.builds(ElementChange, KINDS, st.frozensets(TEXTS, max_size=3)), COUNTS, max_size=8
    ),
    st.lists(TEXTS, max_size=8).map(tuple),
)
def test_names_cannot_break_out(
    conclusion: Conclusion,
    added: dict[ElementKind, int],
    changed: dict[ElementChange, int],
    names: tuple[str, ...],
) -> None:
    text = summary(Comparison(conclusion, added, {}, changed, on_all=names, pairs=20))
    assert units(text) < MAX_DESCRIPTION // 2
    assert "\n" not in text
    assert "@everyone" not in seen(text) or "@\u200beveryone" in text or r"\@" in text
