"""Authors' pictures: small ones stay, large ones are made small, bombs and rubbish are refused."""

import base64
import io
import random
import subprocess
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bot.cards.avatars import LARGE_BYTES, MAX_GIVEN_BYTES, SIDE, is_large, smaller
from bot.cards.pictures import MAX_AVATAR_BYTES, look_at, picture_of
from tests.cards.test_pictures import chunk, png_head


def photograph(side: int, form: str = "PNG", mode: str = "RGB") -> bytes:
    """A picture that does not shrink: noise."""
    pixels = random.Random(1).randbytes(side * side * len(mode))  # noqa: S311
    out = io.BytesIO()
    Image.frombytes(mode, (side, side), pixels).save(out, form)
    return out.getvalue()


SPOILT = {
    "PNG": photograph(130),
    "JPEG": photograph(130, "JPEG"),
    "GIF": photograph(130, "GIF", "L"),
    "WEBP": photograph(130, "WEBP"),
}


def data_url(content: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def test_a_small_picture_stays_as_it_is() -> None:
    content = photograph(100)
    assert len(content) <= LARGE_BYTES
    assert not is_large(data_url(content))


@pytest.mark.parametrize(("form", "mode"), [("PNG", "RGB"), ("PNG", "RGBA"), ("JPEG", "RGB")])
def test_a_large_picture_is_made_small_and_stays_a_picture(form: str, mode: str) -> None:
    url = data_url(photograph(600, form, mode), f"image/{form.lower()}")
    assert is_large(url)
    small = smaller(url)
    assert small is not None
    picture = picture_of(small, "avatar", MAX_AVATAR_BYTES)
    assert picture is not None
    found = look_at(picture.content)
    assert found is not None
    assert found[1] == (SIDE, SIDE)
    assert len(picture.content) < 80_000
    assert smaller(url) == small  # so that several cards share one file


@pytest.mark.parametrize("form", ["GIF", "WEBP"])
def test_other_kinds_are_made_small_too(form: str) -> None:
    out = io.BytesIO()
    Image.new("P" if form == "GIF" else "RGB", (500, 300)).save(out, form)
    small = smaller(data_url(out.getvalue(), f"image/{form.lower()}"))
    assert small is not None
    picture = picture_of(small, "avatar", MAX_AVATAR_BYTES)
    assert picture is not None


def test_an_oblong_keeps_its_shape() -> None:
    out = io.BytesIO()
    Image.new("RGB", (1000, 250)).save(out, "PNG")
    picture = picture_of(smaller(data_url(out.getvalue())) or "", "avatar", MAX_AVATAR_BYTES)
    assert picture is not None
    assert (look_at(picture.content) or ("", ()))[1] == (SIDE, SIDE // 4)


def png(width: int, height: int, body: bytes) -> bytes:
    return png_head(width, height) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = data_url(png(16_000, 16_000, zlib.compress(bytes(10_000_000))))
    assert is_large(bomb)
    assert smaller(bomb) is None


@pytest.mark.parametrize(
    "content",
    [png(500, 500, b"rubbish"), png(500, 500, b""), photograph(300)[:2_000], b"<svg/>", b""],
)
def test_a_header_without_a_picture_behind_it_is_refused(content: bytes) -> None:
    assert smaller(data_url(content)) is None


def test_a_picture_over_two_megabytes_is_refused() -> None:
    url = data_url(photograph(100) + bytes(MAX_GIVEN_BYTES))
    assert not is_large(url)
    assert smaller(url) is None


def test_pillow_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, bot.app; sys.exit('PIL' in sys.modules or 'PIL.Image' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@given(st.data())
def test_spoiled_pictures_give_a_picture_or_nothing(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP"]))
    content = bytearray(SPOILT[form])
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(20, len(content)))
    small = smaller(data_url(bytes(content[:cut]), f"image/{form.lower()}"))
    assert small is None or picture_of(small, "avatar", MAX_AVATAR_BYTES) is not None
