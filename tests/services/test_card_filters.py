"""What the author or the model of a card is called in a channel's filters."""

import pytest

from bot.services.card_filters import Narrowing, entry_for


@pytest.mark.parametrize("name", ["Maren Oduya", "Okafor, Ada", "O'Brien", "all", "Ada / Ben"])
@pytest.mark.parametrize("what", Narrowing)
def test_a_name_is_an_entry_where_it_means_nothing_else(what: Narrowing, name: str) -> None:
    if what is Narrowing.MODEL:
        name = name.replace(" / ", "/")
    assert entry_for(what, name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "\u200b",  # nothing to see
        "M*", "level ?", "[wip]", "!ci",  # fits others, or is refused
        "d20be64f18",  # the id of somebody else
        "x" * 101,
    ],
)  # fmt: skip
@pytest.mark.parametrize("what", Narrowing)
def test_a_name_that_would_be_read_as_something_else_is_none(what: Narrowing, name: str) -> None:
    assert entry_for(what, name) is None


@pytest.mark.parametrize("name", ["ada@example.org", "<@123456789012345678>", "https://x.example"])
def test_what_no_author_can_be_typed_as_is_none(name: str) -> None:
    assert entry_for(Narrowing.AUTHOR, name) is None
