"""Pictures that are too large for a message, and previews in which there is nothing to see."""

import io
import zlib

import pytest
from PIL import Image

from bot.cards.pictures import is_blank, look_at
from bot.cards.scaling import MAX_PIXELS, SIDES, scaled
from tests.cards.test_avatars import photograph, png
from tests.cards.test_pictures import png_head


def painted(colour: tuple[int, ...], size: tuple[int, int], form: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(out, form)
    return out.getvalue()


def test_a_picture_within_the_limit_stays_as_it_is() -> None:
    content = photograph(100)
    assert scaled(content, len(content)) == content


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_larger_one_becomes_a_jpeg_within_the_limit(form: str) -> None:
    content = photograph(500, form) + b"\0" * 1_000_000
    small = scaled(content, 900_000)
    assert small is not None
    assert len(small) <= 900_000
    assert look_at(small) == ("image/jpeg", (500, 500))


def test_it_gets_only_as_small_as_it_must() -> None:
    wide = painted((200, 30, 30), (5_000, 1_000), "WEBP") + b"\0" * 200_000
    small = scaled(wide, 150_000)
    assert small is not None
    assert look_at(small) == ("image/jpeg", (SIDES[0], 512))


def test_what_is_see_through_is_put_on_white() -> None:
    content = painted((255, 0, 0, 0), (300, 200)) + b"\0" * 20_000
    small = scaled(content, 19_000)
    assert small is not None
    with Image.open(io.BytesIO(small)) as image:
        assert image.getpixel((150, 100)) == (255, 255, 255)


def test_a_gif_keeps_its_first_picture() -> None:
    content = photograph(300, "GIF", "L")
    small = scaled(content, len(content) - 1)
    assert small is not None
    assert look_at(small) == ("image/jpeg", (300, 300))


@pytest.mark.parametrize(
    "content", [b"", b"no picture" * 10, photograph(130)[:900], png_head(9, 9)]
)
def test_what_is_no_picture_is_none(content: bytes) -> None:
    assert scaled(content, 10) is None


def test_a_bomb_is_not_unpacked() -> None:
    width, height = 9_000, MAX_PIXELS // 9_000 + 1
    bomb = png(width, height, zlib.compress(b"\0" * 1_000_000))
    assert look_at(bomb) is not None
    assert scaled(bomb, 100) is None


def test_what_stays_too_large_is_none() -> None:
    assert scaled(photograph(400), 1_000) is None


@pytest.mark.parametrize(
    ("content", "blank"),
    [
        (painted((0, 0, 0, 0), (700, 400)), True),
        (painted((255, 255, 255, 0), (7, 4), "WEBP"), True),
        (painted((0, 0, 0, 1), (700, 400)), False),
        (painted((255, 255, 255), (700, 400)), False),
        (photograph(20), False),
        (b"no picture", False),
        (png_head(9, 9), False),
    ],
)
def test_a_picture_is_blank_if_all_of_it_is_see_through(content: bytes, blank: bool) -> None:
    assert is_blank(content) is blank
