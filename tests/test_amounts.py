"""Lengths of time and sizes, as people read them."""

from bot.amounts import duration_text, size_text


def test_a_length_of_time_has_two_or_more_of_its_unit() -> None:
    seconds = (-3, 0, 119, 120, 7199, 7200, 172_799, 172_800)
    said = ["0 s", "0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days"]
    assert [duration_text(one) for one in seconds] == said


def test_a_size_is_in_the_largest_unit_that_it_fills() -> None:
    sizes = (0, 999, 1_000, 1_250_000, 2_000_000_000, 10_000_000_000_000)
    said = ["0 bytes", "999 bytes", "1.0 kB", "1.2 MB", "2.0 GB", "10,000.0 GB"]
    assert [size_text(one) for one in sizes] == said
