"""Small pictures of what a card is about, for the application's own emoji. Drawn here."""

import io
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.cards.colours import DANGER, INFO, PRIMARY, SUCCESS, VIOLET, WARNING
from bot.speckle.event_table import EVENTS
from bot.speckle.events import EventGroup, EventKind

if TYPE_CHECKING:
    from PIL import ImageDraw

SIDE = 128  # pixels, as Discord shows emoji at most
FINER = 4  # drawn so much larger, for smooth edges
Point = tuple[float, float]


class CardEmoji(StrEnum):
    """The emoji, by the name that Discord knows each by."""

    VERSION = "speckle_version"
    MODEL = "speckle_model"
    TALK = "speckle_comment"
    DONE = "speckle_resolved"
    GONE = "speckle_deleted"
    PROJECT = "speckle_project"
    PEOPLE = "speckle_people"


OF_GROUP: Mapping[EventGroup, CardEmoji] = {
    EventGroup.VERSIONS: CardEmoji.VERSION,
    EventGroup.MODELS: CardEmoji.MODEL,
    EventGroup.ISSUES: CardEmoji.TALK,
    EventGroup.PROJECT: CardEmoji.PROJECT,
    EventGroup.PEOPLE: CardEmoji.PEOPLE,
}
OF_KIND: Mapping[EventKind, CardEmoji] = {
    row.kind: CardEmoji.GONE if row.ends else OF_GROUP[row.group]
    for row in EVENTS
    if row.group in OF_GROUP
} | {EventKind.COMMENT_RESOLVED: CardEmoji.DONE}


def drawn(emoji: CardEmoji) -> bytes:
    """The emoji's picture as PNG. Slow: for a thread."""
    from PIL import Image, ImageDraw  # slow to load, and only needed where emoji are wanted

    size = (SIDE * FINER, SIDE * FINER)
    image = Image.new("RGBA", size, (0, 0, 0, 0))
    DRAWINGS[emoji](Pen(ImageDraw.Draw(image)))
    out = io.BytesIO()
    image.resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(out, "PNG", optimize=True)
    return out.getvalue()


class Pen:
    """Draws in a square from 0 to 100."""

    def __init__(self, draw: "ImageDraw.ImageDraw") -> None:
        self._draw = draw

    def area(self, colour: int, *points: Point) -> None:
        """A filled polygon."""
        self._draw.polygon([_scaled(point) for point in points], fill=_rgb(colour))

    def disc(self, colour: int, start: Point, end: Point) -> None:
        """An ellipse that fills a box."""
        self._draw.ellipse((*_scaled(start), *_scaled(end)), fill=_rgb(colour))

    def box(self, colour: int, start: Point, end: Point, radius: float = 0) -> None:
        """A box, with round corners or without."""
        corners = (*_scaled(start), *_scaled(end))
        self._draw.rounded_rectangle(corners, _scaled((radius, 0))[0], fill=_rgb(colour))

    def line(self, colour: int, *points: Point) -> None:
        """A thick line."""
        width = round(_scaled((11, 0))[0])
        line = [_scaled(point) for point in points]
        self._draw.line(line, fill=_rgb(colour), width=width, joint="curve")


def _scaled(point: Point) -> Point:
    return point[0] * SIDE * FINER / 100, point[1] * SIDE * FINER / 100


def _rgb(colour: int) -> tuple[int, int, int]:
    return colour >> 16 & 0xFF, colour >> 8 & 0xFF, colour & 0xFF


def _shade(colour: int, share: float) -> int:
    red, green, blue = (round(part * share) for part in _rgb(colour))
    return red << 16 | green << 8 | blue


WHITE = 0xFFFFFF


def _cube(pen: Pen) -> None:
    pen.area(0x6EA4FF, (50, 6), (90, 28), (50, 50), (10, 28))
    pen.area(PRIMARY, (10, 28), (50, 50), (50, 94), (10, 72))
    pen.area(_shade(PRIMARY, 0.7), (90, 28), (50, 50), (50, 94), (90, 72))


def _layers(pen: Pen) -> None:
    for top, share in ((46, 0.55), (28, 0.78), (10, 1.0)):
        middle, end = top + 22, top + 44
        pen.area(_shade(PRIMARY, share), (50, top), (94, middle), (50, end), (6, middle))


def _speech(pen: Pen) -> None:
    pen.area(VIOLET, (24, 66), (24, 96), (54, 70))
    pen.box(VIOLET, (6, 10), (94, 74), 18)
    for left in (26, 45, 64):
        pen.disc(WHITE, (left, 36), (left + 11, 47))


def _check(pen: Pen) -> None:
    pen.disc(_shade(SUCCESS, 0.8), (6, 6), (94, 94))
    pen.line(WHITE, (28, 52), (44, 68), (74, 34))


def _cross(pen: Pen) -> None:
    pen.disc(_shade(DANGER, 0.9), (6, 6), (94, 94))
    pen.line(WHITE, (32, 32), (68, 68))
    pen.line(WHITE, (68, 32), (32, 68))


def _tower(pen: Pen) -> None:
    pen.box(_shade(INFO, 0.6), (50, 38), (88, 94))
    pen.box(INFO, (14, 8), (58, 94))
    for top in (18, 36, 54, 72):
        for left in (22, 39):
            pen.box(_shade(INFO, 0.35), (left, top), (left + 11, top + 11))


def _person(pen: Pen) -> None:
    pen.disc(WARNING, (30, 6), (70, 46))
    pen.box(WARNING, (12, 54), (88, 130), 38)


DRAWINGS = {
    CardEmoji.VERSION: _cube,
    CardEmoji.MODEL: _layers,
    CardEmoji.TALK: _speech,
    CardEmoji.DONE: _check,
    CardEmoji.GONE: _cross,
    CardEmoji.PROJECT: _tower,
    CardEmoji.PEOPLE: _person,
}
