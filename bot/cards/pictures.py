"""Pictures that events carry: decoded, checked to be pictures, or passed on by their address."""

import base64
import binascii
import hashlib
import io
import ipaddress
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bot.cards.card import MAX_URL, Card, Picture
from bot.hosts import is_private_host

if TYPE_CHECKING:
    from PIL import Image

MAX_AVATAR_BYTES = 256 * 1024
MAX_PREVIEW_BYTES = 4 * 1024 * 1024
MAX_SCREENSHOT_BYTES = 8 * 1024 * 1024  # Discord takes 10 MiB a file from a bot
MAX_SIDE = 16_384  # pixels
MAX_BLANK_PIXELS: Final = 4_000_000  # previews have 280,000
# What comes before the picture itself; the worst that can be packed into it (colour profiles that
# unpack to a thousand times as much) keeps Pillow busy for half a second.
MAX_HEADER_BYTES: Final = 128 * 1024
MAX_TEXT_BYTES: Final = 4 * 1024 * 1024  # of a PNG's compressed texts, when unpacked

_DATA_URL = re.compile(r"data:image/[a-z0-9.+-]{1,40};base64,", re.IGNORECASE)
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp"}
_FORMATS: Final = ("PNG", "JPEG", "GIF", "WEBP")
_MEDIA_TYPES: Final = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # several pictures in one JPEG, of which phones write some
    "GIF": "image/gif",
    "WEBP": "image/webp",
}
# What Pillow raises over bytes that only look like a picture: its readers trust a file's numbers,
# and stumble with whatever error Python has for that. Warnings, where they count as errors.
_PILLOW_ERRORS: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
    zlib.error,
)

_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_URL = re.compile(r"[!-~]+")


class NotAPicture(Exception):
    """The bytes are no picture of a format that Discord shows, or a broken one."""


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
    attached = [picture for picture in card.pictures if picture.url != card.image]
    if isinstance(image, str):
        return replace(card, image=image, pictures=tuple(attached))
    return replace(card, image=image.url, pictures=(*attached, image))


def media_type_of(content: bytes) -> str | None:
    """The media type if the header is whole and names a sensible size in pixels, else None."""
    found = look_at(content)
    return None if found is None else found[0]


def look_at(content: bytes) -> tuple[str, tuple[int, int]] | None:
    """Media type, and width and height in pixels, as the header has them."""
    # Pillow reads a WebP picture in one go, and the others piece by piece.
    head = content if content.startswith(b"RIFF") else content[:MAX_HEADER_BYTES]
    try:
        with open_picture(head) as image:
            fits = all(0 < side <= MAX_SIDE for side in image.size)
            return (_MEDIA_TYPES[image.format or ""], image.size) if fits else None
    except NotAPicture:
        return None


def is_blank(content: bytes) -> bool:
    """Whether nothing can be seen in a picture, as each pixel of it is wholly transparent.

    Servers give such a PNG for a version that has nothing to show. Slow: for a thread.
    """
    try:
        with open_picture(content) as image:
            if not image.has_transparency_data or image.width * image.height > MAX_BLANK_PIXELS:
                return False
            return image.convert("RGBA").getchannel("A").getextrema() == (0, 0)
    except NotAPicture:
        return False


@contextmanager
def open_picture(content: bytes) -> Iterator["Image.Image"]:
    """A PNG, JPEG, GIF or WebP picture, with its header read and nothing unpacked yet.

    Errors: NotAPicture, also for what goes wrong while the caller unpacks it.
    """
    # Slow to load, so only the first picture does it; WebP is named, as otherwise Pillow loads all
    # the formats that it knows to find that one.
    from PIL import Image, PngImagePlugin, WebPImagePlugin  # noqa: F401  # loading it is enough

    Image.MAX_IMAGE_PIXELS = MAX_SIDE**2
    PngImagePlugin.MAX_TEXT_MEMORY = MAX_TEXT_BYTES
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            yield image
    except (*_PILLOW_ERRORS, Image.DecompressionBombError) as error:
        raise NotAPicture from error


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
    if is_private_host(host):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # "127.1" and "0x7f.1" are addresses too, for programs that resolve them.
        is_number = re.fullmatch(r"\d+|0x[0-9a-f]*", host.rpartition(".")[2])
        return bool(_HOST.fullmatch(host)) and not is_number
    return True
