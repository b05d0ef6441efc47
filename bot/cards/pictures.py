"""Pictures that events carry: decoded, checked to be pictures, or passed on by their address."""

import base64
import binascii
import hashlib
import ipaddress
import re
import struct
import zlib
from dataclasses import replace
from urllib.parse import urlsplit

from bot.cards.card import MAX_URL, Card, Picture

MAX_AVATAR_BYTES = 256 * 1024
MAX_PREVIEW_BYTES = 4 * 1024 * 1024
MAX_SCREENSHOT_BYTES = 8 * 1024 * 1024  # Discord takes 10 MiB a file from a bot
MAX_SIDE = 16_384  # pixels

_DATA_URL = re.compile(r"data:image/[a-z0-9.+-]{1,40};base64,", re.IGNORECASE)
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp"}

# Names that exist on private networks only: RFC 6761, RFC 6762, RFC 8375 and common habit.
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".intranet")
_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_URL = re.compile(r"[!-~]+")


def picture_of(data_url: str, stem: str, max_bytes: int) -> Picture | None:
    """Decode a data: URL; None unless its bytes really are a PNG, JPEG, GIF or WebP picture.

    The name is `stem`, 12 digits of the content's SHA-256, and the extension: one picture has one
    name, and so travels once in a message.
    """
    content = content_of(data_url, max_bytes)
    return None if content is None else picture_from(content, stem, max_bytes)


def content_of(data_url: str, max_bytes: int) -> bytes | None:
    """The bytes of a picture's data: URL, whatever they are; None for more than `max_bytes`."""
    start = _DATA_URL.match(data_url)
    if start is None or len(data_url) - start.end() > max_bytes * 4 // 3 + 4:
        return None
    try:
        content = base64.b64decode(data_url[start.end() :], validate=True)
    except (binascii.Error, ValueError):
        return None
    return content if len(content) <= max_bytes else None


def picture_from(content: bytes, stem: str, max_bytes: int) -> Picture | None:
    """The picture that these bytes are; None unless they really are one, within the limit."""
    media_type = media_type_of(content)
    if media_type is None or len(content) > max_bytes:
        return None
    digest = hashlib.sha256(content).hexdigest()[:12]
    return Picture(f"{stem}-{digest}.{_EXTENSIONS[media_type]}", media_type, content)


def with_image(card: Card, image: Picture | str) -> Card:
    """The card with this picture in it, attached or by its address, in place of any other."""
    attached = [picture for picture in card.pictures if _address(picture) != card.image]
    if isinstance(image, str):
        return replace(card, image=image, pictures=tuple(attached))
    return replace(card, image=_address(image), pictures=(*attached, image))


def _address(picture: Picture) -> str:
    return f"attachment://{picture.name}"


def media_type_of(content: bytes) -> str | None:
    """The media type if the header is whole and names a sensible size in pixels, else None."""
    found = look_at(content)
    return None if found is None else found[0]


def look_at(content: bytes) -> tuple[str, tuple[int, int]] | None:
    """Media type, and width and height in pixels, as the header has them."""
    for media_type, read_size in _READERS.items():
        size = read_size(content)
        if size is not None:
            return (media_type, size) if all(0 < side <= MAX_SIDE for side in size) else None
    return None


def _png_size(content: bytes) -> tuple[int, int] | None:
    """PNG: https://www.w3.org/TR/png-3/#11IHDR, the header chunk with its check sum."""
    if len(content) < 33 or content[:16] != b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR":
        return None
    width, height, checksum = struct.unpack(">II5xI", content[16:33])
    return (width, height) if zlib.crc32(content[12:29]) == checksum else None


def _gif_size(content: bytes) -> tuple[int, int] | None:
    if len(content) < 14 or content[:6] not in (b"GIF87a", b"GIF89a"):
        return None
    width, height = struct.unpack("<HH", content[6:10])
    return width, height


def _webp_size(content: bytes) -> tuple[int, int] | None:
    """WebP: https://developers.google.com/speed/webp/docs/riff_container, its three forms."""
    if len(content) < 30 or content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        return None
    form, data = content[12:16], content[20:30]
    if form == b"VP8X":
        width = int.from_bytes(data[4:7], "little") + 1
        return width, int.from_bytes(data[7:10], "little") + 1
    if form == b"VP8L" and data[0] == 0x2F:
        bits = int.from_bytes(data[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if form == b"VP8 " and data[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", data[6:10])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    """JPEG: walk the segments to the frame header (ITU T.81, B.2.2), which has the size."""
    if content[:3] != b"\xff\xd8\xff":
        return None
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        else:
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return None


_READERS = {
    "image/png": _png_size,
    "image/jpeg": _jpeg_size,
    "image/gif": _gif_size,
    "image/webp": _webp_size,
}


def is_public_url(url: str) -> bool:
    """Say whether Discord's proxy could fetch a picture there; one that it cannot even address
    makes Discord refuse the whole message.
    """
    if len(url) > MAX_URL or not _URL.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        return False
    return port != 0 and _is_public_host(host)


def _is_public_host(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        pass
    if not _HOST.fullmatch(host) or host.endswith(_PRIVATE_SUFFIXES):
        return False
    # "127.1" and "0x7f.1" are addresses too, for programs that resolve them.
    return not re.fullmatch(r"\d+|0x[0-9a-f]*", host.rpartition(".")[2])
