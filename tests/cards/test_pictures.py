"""Which pictures a card may carry, and which addresses Discord could fetch one from."""

import base64
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cards.card import Picture
from bot.cards.pictures import is_public_url, media_type_of, picture_of
from bot.cards.render import RenderContext, render
from bot.speckle.events import Delivery

IHDR = b"IHDR" + struct.pack(">IIBBBBB", 4, 3, 8, 2, 0, 0, 0)
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\r" + IHDR + struct.pack(">I", zlib.crc32(IHDR)) + b"IDAT"
GIF = b"GIF89a" + struct.pack("<HH", 4, 3) + b"\0\0\0;"
JPEG = (
    b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
    b"\xff\xc0\0\x11\x08" + struct.pack(">HH", 3, 4) + b"\3\1\x22\0"
)
WEBP_LOSSY = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 4, 3)
WEBP_LOSSLESS = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\3\x80\0\0\0\0\0\0\0"
WEBP_EXTENDED = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\3\0\0\2\0\0"
PICTURES = {
    "png": (PNG, "image/png"),
    "gif": (GIF, "image/gif"),
    "jpg": (JPEG, "image/jpeg"),
    "webp, lossy": (WEBP_LOSSY, "image/webp"),
    "webp, lossless": (WEBP_LOSSLESS, "image/webp"),
    "webp, extended": (WEBP_EXTENDED, "image/webp"),
}


def data_url(content: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_known_by_its_bytes(name: str) -> None:
    content, media_type = PICTURES[name]
    picture = picture_of(data_url(content), "avatar", 1_000)
    assert picture is not None
    assert (picture.media_type, picture.content) == (media_type, content)
    assert picture.name.startswith("avatar-")
    assert picture.name.endswith("." + name.split(",")[0])


@pytest.mark.parametrize("name", PICTURES)
def test_a_header_that_is_cut_off_is_no_picture(name: str) -> None:
    content, _media_type = PICTURES[name]
    header = 30 if name.startswith("webp") else len(content) - 4 if name == "png" else 13
    for length in range(min(header, len(content))):
        assert media_type_of(content[:length]) is None


@pytest.mark.parametrize(
    "url",
    [
        data_url(b"<svg onload='alert(1)'/>", "image/svg+xml"),
        data_url(PNG[:11] + b"\x0e" + PNG[12:]),
        data_url(PNG[:20] + b"\xff" + PNG[21:]),
        data_url(b"GIF89a\0\0\0\0\0\0\0;"),
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


def test_a_screenshot_is_attached_as_the_cards_image(
    deliveries: dict[str, Delivery], context: RenderContext
) -> None:
    card = render(deliveries["federated_comment"], context)
    assert card is not None
    names = [picture.name for picture in card.pictures]
    assert card.image == f"attachment://{names[1]}"
    assert card.author_icon == f"attachment://{names[0]}"
    assert all(isinstance(picture, Picture) for picture in card.pictures)


def test_random_bytes_sent_as_a_picture_are_left_out(
    deliveries: dict[str, Delivery], context: RenderContext
) -> None:
    card = render(deliveries["comment_created"], context)
    assert card is not None
    assert (card.image, card.author_icon, card.pictures) == (None, None, ())
