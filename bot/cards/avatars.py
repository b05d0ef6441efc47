"""Authors' pictures, made small: a person may carry one of a megabyte in each event."""

import base64
import io

from bot.cards.pictures import NotAPicture, content_of, look_at, open_picture

MAX_GIVEN_BYTES = 2 * 1024 * 1024
MAX_PIXELS = 10_000_000  # 40 MB unpacked; more is a bomb, a small file of gigabytes
SIDE = 128  # pixels; Discord shows it at a few dozen
LARGE_BYTES = 64 * 1024
JPEG_QUALITY = 85


def is_large(data_url: str) -> bool:
    """Whether a picture in a data: URL is to be made smaller before a card may carry it."""
    content = content_of(data_url, MAX_GIVEN_BYTES)
    if content is None:
        return False
    found = look_at(content)
    return found is not None and (len(content) > LARGE_BYTES or max(found[1]) > SIDE)


def smaller(data_url: str) -> str | None:
    """A large picture with sides of at most 128 pixels; None for what is none, or a bomb.

    Slow: for a thread. The same picture always gives the same bytes.
    """
    content = content_of(data_url, MAX_GIVEN_BYTES)
    found = None if content is None else look_at(content)
    if content is None or found is None or found[1][0] * found[1][1] > MAX_PIXELS:
        return None
    out = io.BytesIO()
    try:
        with open_picture(content) as image:
            image.draft("RGB", (SIDE, SIDE))
            see_through = image.has_transparency_data
            small = image.convert("RGBA" if see_through else "RGB")
            small.thumbnail((SIDE, SIDE))
            form = "PNG" if see_through else "JPEG"
            small.save(out, form, quality=JPEG_QUALITY, optimize=True)
    except NotAPicture:
        return None
    encoded = base64.b64encode(out.getvalue()).decode()
    return f"data:image/{form.lower()};base64,{encoded}"
