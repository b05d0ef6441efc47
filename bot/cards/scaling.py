"""Pictures made small enough for a channel: screenshots have no limit, messages do."""

import io
from typing import Final

from bot.cards.pictures import NotAPicture, look_at, open_picture

MAX_PIXELS: Final = 36_000_000  # 144 MB unpacked; screens have 33 million at most
SIDES: Final = (2_560, 1_600)  # pixels; Discord shows pictures at 550, and at 2,560 when opened
JPEG_QUALITY: Final = 85


def scaled(content: bytes, max_bytes: int) -> bytes | None:
    """The picture with at most so many bytes, as it is if it has no more.

    None for what is no picture, for a bomb, and for one that stays too large. Slow: for a thread.
    """
    found = look_at(content)
    if found is None:
        return None
    if len(content) <= max_bytes:
        return content
    _, (width, height) = found
    if width * height > MAX_PIXELS:
        return None
    smaller = (_within(content, side) for side in SIDES)
    return next((one for one in smaller if one is not None and len(one) <= max_bytes), None)


def _within(content: bytes, side: int) -> bytes | None:
    """A JPEG with no longer side than that; what is see-through gets a white ground."""
    from PIL import Image

    out = io.BytesIO()
    try:
        with open_picture(content) as image:
            image.draft("RGB", (side, side))
            image.thumbnail((side, side))
            if image.has_transparency_data:
                ground = Image.new("RGBA", image.size, "white")
                flat = Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
            else:
                flat = image.convert("RGB")
            flat.save(out, "JPEG", quality=JPEG_QUALITY, optimize=True)
    except NotAPicture:
        return None
    return out.getvalue()
