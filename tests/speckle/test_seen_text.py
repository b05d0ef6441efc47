"""Texts that look the same to people are the same."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.speckle.filters import matches
from bot.speckle.globs import fits
from bot.speckle.seen_text import as_seen
from bot.speckle.subscription_options import SubscriptionOptions
from tests.speckle.test_filters import version_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Façade", "fac\u0327ade"),  # an accent of its own
        ("STRASSE", "straße"),
        ("level 1", "level\u00a01"),  # a space that does not break
        ("level 1", "  level \t 1 "),
        ("level 1", "le\u200bvel\ufeff 1\u200e"),  # nothing to see
        ("level 1", "\uff4c\uff45\uff56\uff45\uff4c\u3000\uff11"),  # letters of full width
        ("co-op", "co\u2011op"),
        ("\N{GREEK CAPITAL LETTER SIGMA}", "\N{GREEK SMALL LETTER FINAL SIGMA}"),
        ("\N{BUILDING CONSTRUCTION}\ufe0f", "\N{BUILDING CONSTRUCTION}"),
    ],
)
def test_what_looks_the_same_is_the_same_on_both_sides(one: str, other: str) -> None:
    assert as_seen(one) == as_seen(other)
    for typed, name in ((one, other), (other, one)):
        assert fits(f"structure/{typed}", f"structure/{name}")
        assert matches(SubscriptionOptions(models=(typed,)), version_of(name)).passes


@pytest.mark.parametrize(
    ("one", "other"), [("m2", "m²"), ("a", "ä"), ("level 1", "level1"), ("a/b", "a\\b"), ("o", "0")]
)
def test_what_looks_different_is_different(one: str, other: str) -> None:
    assert as_seen(one) != as_seen(other)


@settings(deadline=None)  # a busy machine is slow
@given(st.text())
def test_what_is_compared_once_is_compared_the_same_again(text: str) -> None:
    assert as_seen(as_seen(text)) == as_seen(text)
    assert fits(text.replace("*", "").replace("?", ""), text.replace("*", "").replace("?", ""))
