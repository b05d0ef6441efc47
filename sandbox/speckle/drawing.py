"""Draws small pictures of models: isometric boxes, the same for the same model and step.

A real server renders what was sent; what is sent here are numbers. So the model's name says what
is to be seen (a frame, a facade, ducts, a quay), and each version is a step further.
"""

import io
import math
import random
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from sandbox.speckle.entities import Version

WIDTH, HEIGHT = 700, 400  # of a real server's previews
THUMBNAIL: Final = (224, 128)
AVATAR: Final = 128
FINE: Final = 2  # drawn this much larger, then made small, for smooth edges
MARGIN: Final = 34
STEPS: Final = 12  # then the pictures begin again
COS, SIN = math.cos(math.radians(30)), 0.5

Colour = tuple[int, int, int]
Point = tuple[float, float]

SKY_ABOVE: Final[Colour] = (236, 241, 247)
SKY_BELOW: Final[Colour] = (212, 221, 231)
GROUND: Final[Colour] = (200, 207, 214)
CONCRETE: Final[Colour] = (205, 203, 197)
STEEL: Final[Colour] = (92, 108, 128)
TIMBER: Final[Colour] = (205, 158, 104)
GLASS: Final[Colour] = (140, 188, 214)
BRICK: Final[Colour] = (188, 116, 92)
WHITE: Final[Colour] = (238, 238, 235)
SUPPLY: Final[Colour] = (74, 137, 214)
EXTRACT: Final[Colour] = (224, 132, 70)
WATER: Final[Colour] = (128, 178, 204)
GRASS: Final[Colour] = (150, 186, 124)
LEAVES: Final[Colour] = (92, 150, 92)
NEW: Final[Colour] = (88, 101, 242)
PIN: Final[Colour] = (220, 54, 46)


@dataclass(frozen=True, slots=True)
class Box:
    """Where it begins, how far it goes along each axis, and its colour."""

    x: float
    y: float
    z: float
    dx: float
    dy: float
    dz: float
    colour: Colour


Scene = Callable[[random.Random, int], Iterator[Box]]


def draw_version(version: Version) -> bytes:
    """The PNG of a version."""
    return _picture(version.model.name, _step_of(version), pinned=False)


def draw_thumbnail(version: Version) -> bytes:
    """The PNG of a version, small."""
    return _thumbnail(version.model.name, _step_of(version))


def draw_screenshot_png(version: Version) -> bytes:
    """What somebody saw who left a comment on a version, with a pin."""
    return _picture(version.model.name, _step_of(version), pinned=True)


def draw_screenshot(version: Version) -> str:
    """The same as a data: URL."""
    return _data_url(draw_screenshot_png(version))


def _step_of(version: Version) -> int:
    versions = version.model.project.versions
    before = [one for one in versions if one.model is version.model]
    return (before.index(version) if version in before else len(before)) % STEPS


def draw_avatar(name: str) -> str:
    """Somebody's initials on a colour of their own: a data: URL."""
    chance = random.Random(name)  # noqa: S311  # a picture
    colour = _mixed(chance.choice([BRICK, STEEL, LEAVES, SUPPLY, EXTRACT]), (0, 0, 0), 0.35)
    image = Image.new("RGB", (AVATAR, AVATAR), colour)
    initials = "".join(word[0] for word in name.split()[:2]).upper()
    font = ImageFont.load_default(AVATAR * 0.4)
    middle = (AVATAR / 2, AVATAR / 2)
    ImageDraw.Draw(image).text(middle, initials, fill="white", font=font, anchor="mm")
    return _data_url(_png(image))


@lru_cache(maxsize=512)
def _thumbnail(model_name: str, step: int) -> bytes:
    picture = Image.open(io.BytesIO(_picture(model_name, step, pinned=False)))
    picture.thumbnail(THUMBNAIL, Image.Resampling.LANCZOS)
    return _png(picture)


@lru_cache(maxsize=256)
def _picture(model_name: str, step: int, *, pinned: bool) -> bytes:
    boxes = sorted(
        _scene_of(model_name)(random.Random(model_name), step),  # noqa: S311  # a picture
        key=lambda box: (box.z, box.x + box.y),
    )
    image = _background()
    draw = ImageDraw.Draw(image)
    place = _fitting(boxes)
    for box in boxes:
        _draw_box(draw, place, box)
    if pinned:
        _draw_pin(draw, place, boxes[len(boxes) * 2 // 3])
    return _png(image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"


# ── what is to be seen ────────────────────────────────────────────────────────────────────────────


def _scene_of(model_name: str) -> Scene:
    for words, scene in SCENES:
        if any(word in model_name for word in words):
            return scene
    return _massing


def _frame(chance: random.Random, step: int) -> Iterator[Box]:
    """Columns, beams and slabs: new beams and a storey more, in turn."""
    wide, deep = chance.choice([(4, 3), (5, 3), (4, 4)])
    storeys = 2 + step // 2
    yield Box(-0.6, -0.6, -0.15, wide + 1.2, deep + 1.2, 0.15, GROUND)
    for storey in range(storeys):
        is_new = storey == storeys - 1
        height = storey * 1.1
        colour = NEW if is_new and step % 2 == 0 else STEEL
        for x in range(wide + 1):
            for y in range(deep + 1):
                yield Box(x - 0.07, y - 0.07, height, 0.14, 0.14, 0.9, colour)
        if not is_new or step % 2:
            for x in range(wide + 1):
                yield Box(x - 0.05, 0, height + 0.7, 0.1, deep, 0.2, NEW if is_new else STEEL)
            yield Box(0, deep - 0.05, height + 0.7, wide, 0.1, 0.2, NEW if is_new else STEEL)
        yield Box(-0.15, -0.15, height + 0.9, wide + 0.3, deep + 0.3, 0.16, CONCRETE)


def _timber(chance: random.Random, step: int) -> Iterator[Box]:
    """A timber frame with purlins; a bay more with each step."""
    bays, deep = 3 + step % 5, 3
    yield Box(-0.5, -0.5, -0.15, bays + 1.0, deep + 1.0, 0.15, CONCRETE)
    for storey in range(2):
        height = storey * 1.2
        for x in range(bays + 1):
            colour = NEW if x == bays and step else TIMBER
            for y in (0, deep / 2, deep):
                yield Box(x - 0.08, y - 0.08, height, 0.16, 0.16, 1.0, colour)
            yield Box(x - 0.08, -0.08, height + 1.0, 0.16, deep + 0.16, 0.18, colour)
        for y in range(2 * deep + 1):
            yield Box(-0.1, y / 2 - 0.04, height + 1.18, bays + 0.2, 0.08, 0.07, TIMBER)


def _facade(chance: random.Random, step: int) -> Iterator[Box]:
    """A wall of glass with fins before it; more fins with each step."""
    wide, storeys = 6, 4
    yield Box(-0.4, -0.4, -0.15, wide + 0.8, 2.6, 0.15, GROUND)
    for storey in range(storeys):
        height = storey * 1.0
        yield Box(0, 0, height, wide, 1.2, 0.12, CONCRETE)
        yield Box(0.05, 0.1, height + 0.12, wide - 0.1, 1.0, 0.88, GLASS)
    yield Box(0, 0, storeys, wide, 1.2, 0.14, CONCRETE)
    fins = 4 + step * 2
    for number in range(fins):
        along = number * wide / fins
        colour = NEW if number == fins - 1 and step else WHITE
        for storey in range(storeys):
            yield Box(along, 1.2, storey * 1.0 + 0.04, 0.1, 0.34, 0.94, colour)


def _ducts(chance: random.Random, step: int) -> Iterator[Box]:
    """Ducts over a slab, a branch more with each step."""
    yield Box(0, 0, -0.12, 7, 4.4, 0.12, CONCRETE)
    for x in range(0, 8, 2):
        for y in (0.1, 4.0):
            yield Box(x - 0.05, y, 0, 0.24, 0.24, 0.9, STEEL)
    yield Box(0.4, 1.3, 0.94, 6.2, 0.5, 0.42, SUPPLY)
    yield Box(0.4, 2.7, 0.92, 6.2, 0.4, 0.36, EXTRACT)
    for branch in range(2 + step):
        along = 0.8 + branch * 5.6 / (2 + step)
        last = branch == 1 + step and step
        yield Box(along, 1.8, 0.96, 0.26, 0.86, 0.26, NEW if last else SUPPLY)
        yield Box(along + 0.1, 3.1, 0.95, 0.22, 1.0, 0.22, EXTRACT)


def _quay(chance: random.Random, step: int) -> Iterator[Box]:
    """Water, paving and trees; a tree more with each step."""
    yield Box(0, 4.2, -0.35, 7, 1.8, 0.1, WATER)
    yield Box(0, 3.0, -0.3, 7, 1.2, 0.3, CONCRETE)
    yield Box(0, 0, -0.3, 7, 3.0, 0.3, GRASS)
    for bench in range(3):
        yield Box(1.2 + bench * 2.1, 3.3, 0, 0.9, 0.25, 0.18, TIMBER)
    for tree in range(5 + step):
        x, y = chance.uniform(0.3, 6.4), chance.uniform(0.2, 2.4)
        size = chance.uniform(0.45, 0.7)
        newest = tree == 4 + step and step
        yield Box(x + size / 2 - 0.05, y + size / 2 - 0.05, 0, 0.1, 0.1, 0.5, TIMBER)
        yield Box(x, y, 0.5, size, size, size * 1.2, NEW if newest else LEAVES)


def _rooms(chance: random.Random, step: int) -> Iterator[Box]:
    """A floor with walls cut open, and furniture."""
    yield Box(0, 0, -0.15, 6.4, 4.2, 0.15, TIMBER)
    for wall in ((0, 0, 6.4, 0.14), (0, 0, 0.14, 4.2), (2.6, 0, 0.12, 2.2), (4.4, 1.6, 0.12, 2.6)):
        x, y, dx, dy = wall
        yield Box(x, y, 0, dx, dy, 0.9, WHITE)
    for table in range(2 + step):
        x, y = 0.5 + table % 4 * 1.5, 0.6 + table // 4 * 1.1
        last = table == 1 + step and step
        yield Box(x, y, 0, 0.8, 0.5, 0.34, NEW if last else BRICK)


def _massing(chance: random.Random, step: int) -> Iterator[Box]:
    """Volumes with floors of glass; the tallest grows."""
    yield Box(-0.6, -0.6, -0.15, 6.2, 5.2, 0.15, GROUND)
    wall = chance.choice([WHITE, BRICK, CONCRETE])
    blocks = [(0, 0, 2.2, 2.0, 7 + step), (2.7, 0.2, 2.2, 1.6, chance.randint(3, 5)),
              (0.2, 2.5, 2.0, 1.6, chance.randint(2, 4)), (2.9, 2.4, 1.7, 1.5, 2)]  # fmt: skip
    for x, y, dx, dy, floors in blocks:
        for floor in range(floors):
            height = floor * 0.42
            newest = floor == floors - 1 and floors > 7
            yield Box(x, y, height, dx, dy, 0.14, _mixed(wall, NEW, 0.5) if newest else wall)
            yield Box(x + 0.05, y + 0.05, height + 0.14, dx - 0.1, dy - 0.1, 0.28, GLASS)
        yield Box(x, y, floors * 0.42, dx, dy, 0.1, wall)


def _ground(chance: random.Random, step: int) -> Iterator[Box]:
    """A slab on piles, with walls of a basement; rows of piles with each step."""
    for x in range(4 + step % 5):
        for y in range(4):
            colour = NEW if step and x == 3 + step % 5 else STEEL
            yield Box(x * 0.8, y * 0.9, -1.6, 0.26, 0.26, 1.6, colour)
    wide = (4 + step % 5) * 0.8
    yield Box(-0.3, -0.3, 0, wide + 0.3, 3.5, 0.25, CONCRETE)
    yield Box(-0.3, -0.3, 0.25, wide + 0.3, 0.18, 0.8, CONCRETE)
    yield Box(-0.3, -0.12, 0.25, 0.18, 3.3, 0.8, CONCRETE)


SCENES: Final[Sequence[tuple[tuple[str, ...], Scene]]] = (
    (("mep", "vent", "duct", "services", "plumbing"), _ducts),
    (("timber", "roof"), _timber),
    (("foundation", "pile", "basement"), _ground),
    (("structure", "steel", "frame", "level"), _frame),
    (("facade", "curtain", "envelope"), _facade),
    (("landscape", "quay", "site", "garden"), _quay),
    (("interior", "fit-out", "room", "plan", "floor"), _rooms),
)


# ── how it is drawn ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Projection:
    """Where a point of the scene is in the picture."""

    scale: float
    left: float
    top: float

    def __call__(self, x: float, y: float, z: float) -> Point:
        across, down = _flat(x, y, z)
        return self.left + across * self.scale, self.top + down * self.scale


def _flat(x: float, y: float, z: float) -> Point:
    return (x - y) * COS, (x + y) * SIN - z


def _fitting(boxes: Sequence[Box]) -> Projection:
    """A place in which all of them are to be seen."""
    corners = [
        _flat(box.x + dx, box.y + dy, box.z + dz)
        for box in boxes
        for dx in (0, box.dx)
        for dy in (0, box.dy)
        for dz in (0, box.dz)
    ]
    across, down = [one[0] for one in corners], [one[1] for one in corners]
    wide, high = max(across) - min(across), max(down) - min(down)
    room = (WIDTH - 2 * MARGIN) * FINE, (HEIGHT - 2 * MARGIN) * FINE
    scale = min(room[0] / wide, room[1] / high)
    left = WIDTH * FINE / 2 - (min(across) + wide / 2) * scale
    top = HEIGHT * FINE / 2 - (min(down) + high / 2) * scale
    return Projection(scale, left, top)


def _background() -> Image.Image:
    column = Image.new("RGB", (1, HEIGHT))
    for y in range(HEIGHT):
        column.putpixel((0, y), _mixed(SKY_ABOVE, SKY_BELOW, y / HEIGHT))
    return column.resize((WIDTH * FINE, HEIGHT * FINE))


def _draw_box(draw: ImageDraw.ImageDraw, at: Projection, box: Box) -> None:
    """Its three sides that are seen from above, in front."""
    x, y, z = box.x, box.y, box.z
    far_x, far_y, top = x + box.dx, y + box.dy, z + box.dz
    sides = (
        (1.0, [(x, y, top), (far_x, y, top), (far_x, far_y, top), (x, far_y, top)]),
        (0.84, [(x, far_y, z), (far_x, far_y, z), (far_x, far_y, top), (x, far_y, top)]),
        (0.7, [(far_x, y, z), (far_x, far_y, z), (far_x, far_y, top), (far_x, y, top)]),
    )
    for light, corners in sides:
        fill = _lit(box.colour, light)
        draw.polygon([at(*corner) for corner in corners], fill=fill, outline=_lit(fill, 0.86))


def _draw_pin(draw: ImageDraw.ImageDraw, at: Projection, box: Box) -> None:
    across, down = at(box.x + box.dx / 2, box.y + box.dy / 2, box.z + box.dz)
    for radius, colour in ((17, (255, 255, 255)), (13, PIN), (4, (255, 255, 255))):
        around = radius * FINE
        draw.ellipse((across - around, down - around, across + around, down + around), fill=colour)


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _lit(colour: Colour, light: float) -> Colour:
    return _mixed((0, 0, 0), colour, light)
