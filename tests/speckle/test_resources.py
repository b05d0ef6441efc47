"""What comments and issues are on, read from Speckle's one line for it."""

import pytest

from bot.speckle.events import ResourceRef
from bot.speckle.resources import MAX_RESOURCES, read_resources, resource_text

MODEL, VERSION, OBJECT = "193f26c0fa", "303fecc468", "c65c60c182a770443100ff53e6469be7"


@pytest.mark.parametrize(
    ("text", "resource"),
    [
        (MODEL, ResourceRef(MODEL)),
        (f"{MODEL}@{VERSION}", ResourceRef(MODEL, VERSION)),
        (OBJECT, ResourceRef(object_id=OBJECT)),
        ("all", ResourceRef(whole=True)),
        ("$structure/level 1", ResourceRef(folder="structure/level 1")),
    ],
)
def test_each_form_is_read_and_written(text: str, resource: ResourceRef) -> None:
    assert read_resources(f" {text} ") == (resource,)
    assert resource_text(resource) == text


def test_several_are_read_once_each_and_what_is_none_of_them_is_left_out() -> None:
    assert read_resources(f"{MODEL},$,a b,{MODEL},,all") == (
        ResourceRef(MODEL),
        ResourceRef(whole=True),
    )
    assert read_resources(None) == ()
    many = ",".join(f"{number:010x}" for number in range(MAX_RESOURCES + 5))
    assert len(read_resources(many)) == MAX_RESOURCES


def test_a_version_whose_model_is_not_known_has_no_such_line() -> None:
    assert resource_text(ResourceRef(version_id=VERSION)) is None
