"""The code keeps to the figures of bench/style.py."""

from bench.style import FOLDERS, problems, sources_in


def test_functions_are_annotated_and_short_and_no_two_classes_have_one_name() -> None:
    assert list(problems(sources_in(FOLDERS))) == []
