"""Which pictures a card may carry, and which addresses Discord could fetch one from."""

import base64
import io
import struct
import time
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bot.cards.card import Picture
from bot.cards.pictures import is_public_url, media_type_of, picture_of
from bot.cards.render import render
from bot.speckle.events import Delivery
from tests.cards.conftest import shown


def picture(form: str, size: tuple[int, int] = (4, 3), **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size).save(out, form, **options)
    return out.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum


def png_head(width: int, height: int) -> bytes:
    ihdr = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr)


PNG = picture("PNG")
JPEG = picture("JPEG")
PICTURES = {
    "png": (PNG, "image/png"),
    "png, animated": (
        picture("PNG", save_all=True, append_images=[Image.new("RGB", (4, 3), "red")]),
        "image/png",
    ),
    "gif": (picture("GIF"), "image/gif"),
    "jpg": (JPEG, "image/jpeg"),
    "jpg, progressive": (picture("JPEG", progressive=True), "image/jpeg"),
    "jpg, several in one": (
        picture("MPO", save_all=True, append_images=[Image.new("RGB", (4, 3))]),
        "image/jpeg",
    ),
    "webp, lossy": (picture("WEBP"), "image/webp"),
    "webp, lossless": (picture("WEBP", lossless=True), "image/webp"),
    "webp, animated": (
        picture("WEBP", save_all=True, append_images=[Image.new("RGB", (4, 3), "red")]),
        "image/webp",
    ),
}


def data_url(content: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_known_by_its_bytes(name: str) -> None:
    content, media_type = PICTURES[name]
    found = picture_of(data_url(content), "avatar", 2_000)
    assert found is not None
    assert (found.media_type, found.content) == (media_type, content)
    assert found.name.startswith("avatar-")
    assert found.name.endswith("." + name.split(",")[0])


@pytest.mark.parametrize("name", PICTURES)
def test_a_header_that_is_cut_off_is_no_picture(name: str) -> None:
    content, _media_type = PICTURES[name]
    for length in range(24):
        assert media_type_of(content[:length]) is None


@pytest.mark.parametrize("form", ["BMP", "ICO", "TIFF", "PDF", "EPS", "PPM", "TGA"])
def test_other_formats_that_pillow_knows_are_no_pictures_here(form: str) -> None:
    assert media_type_of(picture(form)) is None


@pytest.mark.parametrize(
    "url",
    [
        data_url(b"<svg onload='alert(1)'/>", "image/svg+xml"),
        data_url(PNG[:11] + b"\x0e" + PNG[12:]),
        data_url(PNG[:20] + b"\xff" + PNG[21:]),
        data_url(b"GIF89a\0\0\0\0\0\0\0;"),
        data_url(png_head(16_385, 1) + chunk(b"IDAT", b"")),
        data_url(PNG) + "!",
        data_url(PNG).replace("base64,", "base64,\n"),
        data_url(PNG).replace(";base64", ""),
        "data:text/html;base64," + base64.b64encode(PNG).decode(),
        "data:image/png;base64,",
        "https://a.example/a.png",
        "",
    ],
)
def test_what_is_no_picture_is_refused(url: str) -> None:
    assert picture_of(url, "avatar", 1_000) is None


def test_a_picture_over_the_limit_is_refused() -> None:
    assert picture_of(data_url(PNG + b"x" * 1_000), "avatar", 1_000) is None


BLANK_TEXT = b"k\0\0" + zlib.compress(bytes(2**20 - 1))
CANVAS = b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + b"\xff" * 6  # 2^24 pixels to a side
WEBP_LOSSY_FRAME = picture("WEBP")[12:]
HOSTILE = {
    "chunks that nobody knows": png_head(4, 3) + chunk(b"abCd", b"") * 600_000,
    "texts that unpack to much": png_head(4, 3) + chunk(b"zTXt", BLANK_TEXT) * 6_000,
    "colour profiles that unpack to much": png_head(4, 3) + chunk(b"iCCP", BLANK_TEXT) * 6_000,
    "fill bytes": b"\xff\xd8" + b"\xff" * 8_000_000,
    "fill bytes in what seems to be WebP": b"\xff\xd8"
    + b"\xff" * 6
    + b"WEBP"
    + b"\xff" * 8_000_000,
    "comments without end": b"\xff\xd8" + b"\xff\xfe\0\2" * 2_000_000,
    "blocks without an image": PICTURES["gif"][0][:13] + b"!\xfe\1a\0" * 1_600_000,
    "a frame beyond its screen": PICTURES["gif"][0][:13] + b"," + b"\0" * 4 + b"\xff" * 4 + b"\0",
    "a canvas of 2^48 pixels": b"RIFF"
    + struct.pack("<I", len(CANVAS + WEBP_LOSSY_FRAME) + 4)
    + b"WEBP"
    + CANVAS
    + WEBP_LOSSY_FRAME,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_is_refused_soon_and_in_little_memory(name: str) -> None:
    content = HOSTILE[name]
    media_type_of(PNG)  # loads Pillow
    tracemalloc.start()
    started = time.process_time()
    try:
        assert media_type_of(content) is None
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < 3.0  # some would take half a minute, read to their end
    assert most < 10_000_000


@given(st.binary(max_size=100) | st.binary(max_size=40).map(lambda tail: JPEG[:4] + tail))
def test_any_bytes_are_looked_at_without_an_error(content: bytes) -> None:
    assert media_type_of(content) in (None, "image/png", "image/jpeg", "image/gif", "image/webp")


@pytest.mark.parametrize(
    "url",
    ["https://a.example/u/1?v=4&s=96", "http://a.example:8080/x.png", "https://93.184.215.14/x"],
)
def test_discord_can_fetch_from_a_public_host(url: str) -> None:
    assert is_public_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/a.png",
        "http://speckle/a.png",
        "http://nas.local/a.png",
        "http://127.0.0.1/a.png",
        "http://127.1/a.png",
        "http://10.0.0.5/a.png",
        "http://192.168.1.2/a.png",
        "http://169.254.169.254/a.png",
        "http://[::1]/a.png",
        "http://[fe80::1]/a.png",
        "https://user:pw@a.example/a.png",
        "https://a.example/" + "x" * 2_048,
        "https://a.example/a b.png",
        "https://a.exa\u202emple/a.png",
        "https://a.example:0/a.png",
        "https://a.example:99999/a.png",
        "https://[a.example/a.png",
        "ftp://a.example/a.png",
        "attachment://a.png",
        "data:image/png;base64,AAAA",
        "",
    ],
)
def test_discord_cannot_fetch_from_anywhere_else(url: str) -> None:
    assert not is_public_url(url)


def test_a_screenshot_is_attached_as_the_cards_image(deliveries: dict[str, Delivery]) -> None:
    card = render(shown(deliveries["federated_comment"]))
    assert card is not None
    names = [picture.name for picture in card.pictures]
    assert card.image == f"attachment://{names[1]}"
    assert card.author_icon == f"attachment://{names[0]}"
    assert all(isinstance(picture, Picture) for picture in card.pictures)


def test_random_bytes_sent_as_a_picture_are_left_out(deliveries: dict[str, Delivery]) -> None:
    card = render(shown(deliveries["comment_created"]))
    assert card is not None
    assert (card.image, card.author_icon, card.pictures) == (None, None, ())
