"""The form of *Edit*: sent off as it was opened, it changes nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.cogs.subscriptions.options_modal import OptionsModal
from bot.services.options_form import (
    FormFields,
    OptionsForm,
    changed_options,
    options_form,
    typed_into,
)
from bot.speckle.event_names import described_group
from bot.speckle.events import EventGroup, EventKind, ProjectNames
from bot.speckle.subscription_options import OptionError, SubscriptionOptions

NAMES = ProjectNames(
    {"0000000001": "structure/level 1", "0000000002": "mep/ducts, east", "0000000003": "site*"},
    {"a1f47c02d9": "Maren Oduya", "b2f47c02d9": "Lindqvist, Tobias"},
    complete=True,
)
LARGE = ProjectNames(
    {f"{n:010}": f"level {n:02}" for n in range(40)}, {f"{n:010}": f"Person {n}" for n in range(40)}
)


def sent(form: OptionsForm) -> FormFields:
    """The form as it is sent off untouched."""
    fields: dict[str, str | list[str]] = {
        "groups": [one.value for one in form.groups if one.chosen],
        "kinds": [one.value for one in form.kinds if one.chosen],
        "models": form.models,
    }
    if form.picked:
        fields["picked"] = [one.value for one in form.picked if one.chosen]
    if form.people:
        fields["people"] = [one.value for one in form.people if one.chosen]
    else:
        fields["ignore_authors"] = form.ignore_authors
    return fields


ENTRY = st.sampled_from(
    [
        "structure/level 1", "0000000001", "mep/ducts, east", "structure/**", "!**/draft*", "{a,b}",
        "level 07", "[wip] x", "all", "O'Brien", '12" slab', "Maren Oduya", "a;b", "!a, b", "@x",
    ]
)  # fmt: skip
TEXT = st.text(max_size=12).map(lambda text: " ".join(text.split()).lstrip("! "))
LISTS = st.lists((ENTRY | TEXT).filter(bool), max_size=25, unique=True).map(tuple)
OPTIONS = st.builds(
    SubscriptionOptions,
    st.lists(st.sampled_from([*EventGroup, *EventKind]), unique=True, max_size=25).map(tuple),
    LISTS,
    LISTS,
)


@settings(deadline=None)  # a busy machine is slow
@given(OPTIONS, st.sampled_from([NAMES, LARGE, ProjectNames()]))
def test_a_form_that_is_sent_off_as_it_was_opened_changes_nothing(
    options: SubscriptionOptions, names: ProjectNames
) -> None:
    form = options_form(options, names)
    quoted = "".join(options.models + options.ignore_authors)
    if not set(quoted) & set("“”«»„‹›`’‘‚"):  # several kinds of quotes in one name
        assert changed_options(typed_into(sent(form)), options) == {}


def test_every_form_fits_discord() -> None:
    full = SubscriptionOptions(
        tuple(kind.value for kind in EventKind if kind is not EventKind.UNKNOWN)[:25],
        tuple(f"level {n:02}" for n in range(15, 40)),
        tuple(f"Person {n}" for n in range(25)),
    )
    for options in (SubscriptionOptions(), full):
        for names in (ProjectNames(), NAMES, LARGE):
            items = OptionsModal(options_form(options, names), "x").to_dict()["components"]
            assert len(items) <= 5
            for item in items:
                assert len(item["label"]) <= 45
                assert 1 <= len(item["description"]) <= 100
                choices = item["component"].get("options", [])
                assert len(choices) <= (10 if item["component"]["type"] == 22 else 25)
                assert all(1 <= len(one["label"]) <= 100 for one in choices)
    assert all(1 <= len(described_group(group)) <= 100 for group in EventGroup)


def test_what_is_chosen_and_typed_is_what_changes() -> None:
    form = options_form(SubscriptionOptions(("versions",), ("structure/**",)), NAMES)
    assert [one.label for one in form.picked] == ["mep/ducts, east", "site*", "structure/level 1"]
    assert [one.label for one in form.people] == ["Lindqvist, Tobias", "Maren Oduya"]
    fields = {
        **sent(form), "groups": ["versions", "people"], "kinds": ["issue_created"],
        "picked": ["mep/ducts, east", "0000000003"], "people": ["Lindqvist, Tobias"],
    }  # fmt: skip
    current = SubscriptionOptions(("versions",), ("structure/**",))
    changed = current.changed_by(changed_options(typed_into(fields), current))
    assert changed == SubscriptionOptions(
        ("versions", "people", "issue_created"),
        ("mep/ducts, east", "0000000003", "structure/**"),
        ("Lindqvist, Tobias",),
    )


def test_all_boxes_are_all_events_and_none_are_refused() -> None:
    form = options_form(SubscriptionOptions(("versions",)), NAMES)
    assert [one.value for one in form.groups if one.chosen] == ["versions"]
    everything = {**sent(form), "groups": list(EventGroup)}
    current = SubscriptionOptions(("versions",))
    assert changed_options(typed_into(everything), current) == {"events": "all"}
    nothing = changed_options(typed_into({**sent(form), "groups": []}), current)
    with pytest.raises(OptionError):
        current.changed_by(nothing)


def test_of_lists_over_25_what_is_chosen_is_shown_first_and_the_rest_is_kept() -> None:
    options = SubscriptionOptions(models=("level 39", "!level 38"), ignore_authors=("Person 39",))
    form = options_form(options, LARGE)
    assert len(form.picked) == 25
    assert form.picked[0].value == "level 39"
    assert (form.models, form.ignore_authors, form.people) == ("!level 38", "Person 39", ())
    every = SubscriptionOptions(tuple(k.value for k in EventKind if k is not EventKind.UNKNOWN))
    crowded = options_form(every, LARGE)
    assert len(crowded.kinds) == 25
    assert changed_options(typed_into(sent(crowded)), every) == {}


def test_what_was_refused_is_shown_again_as_it_was_typed() -> None:
    typed = {
        "events": "none", "picked": "structure/level 1", "models": "{a,b}/x,  !**",
        "ignore_authors": '"Lindqvist, Tobias", <@720000000000000001>',
    }  # fmt: skip
    form = options_form(SubscriptionOptions(), NAMES, typed)
    assert not any(one.chosen for one in (*form.groups, *form.kinds))
    assert form.models == "{a,b}/x,  !**"
    assert [one.value for one in form.picked if one.chosen] == ["structure/level 1"]
    assert {one.value for one in form.people if one.chosen} == {
        "Lindqvist, Tobias", "<@720000000000000001>"
    }  # fmt: skip


def test_a_form_of_an_earlier_release_is_still_read() -> None:
    fields = {"events": "issues", "models": "struct/**", "ignore_authors": ""}
    current = SubscriptionOptions(("versions",), ("struct/**",))
    assert changed_options(typed_into(fields), current) == {"events": "issues"}
