"""Patterns over the names of models: whether one fits a name, and what it leaves to others."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product
from math import prod
from typing import Final

from bot.speckle.seen_text import as_seen

MAX_SAMPLES: Final = 256  # names that stand for all that a pattern fits
_CLASS: Final = re.compile(r"\[[^\[\]/]+\]")
_PIECE: Final = re.compile(rf"(/\*\*\Z|\A\*\*/|/\*\*/|\*\*|\*|\?|{_CLASS.pattern})")
EVERYTHING: Final = "**"


def fits(pattern: str, name: str) -> bool:
    """Match a glob: `*` and `?` stay within a level, `**` crosses levels, `[0-9]` is one character.

    Both are compared as people see them. `structure/**` is everything below `structure` and the
    model `structure` itself; `**/draft*` fits at the top level too; `[0-9]` also fits a name that
    has these brackets. It follows all possible positions at once, each a bit of a number, instead
    of compiling to a regular expression, which a pattern such as `*a*a*a*a*b` would keep busy for
    hours.
    """
    places = _places(_path(name))
    reached = 1
    for piece in _pieces(_path(pattern)):
        reached = _step(piece, places, reached)
        if not reached:
            return False
    return bool(reached >> places.length)


def _path(text: str) -> str:
    """A name as it is compared: with or without spaces around its slashes."""
    return re.sub(" */ *", "/", as_seen(text))


def is_glob(pattern: str) -> bool:
    """Whether a pattern can fit several names."""
    return any(map(_PIECE.fullmatch, _pieces(_path(pattern))))


def fits_everything(pattern: str) -> bool:
    """Whether a pattern fits every name."""
    return _pieces(_path(pattern)) == (EVERYTHING,)


def all_fit(pattern: str, others: Sequence[str]) -> bool:
    """Whether each name that a pattern fits is fitted by one of the others, too; in doubt, not."""
    names = _samples(pattern)
    return bool(others) and all(any(fits(one, name) for one in others) for name in names)


@lru_cache(maxsize=1024)
def _pieces(pattern: str) -> tuple[str, ...]:
    pattern = re.sub(r"\*{2,}(?:/\*{2,})*", EVERYTHING, pattern)
    return tuple(piece for piece in _PIECE.split(pattern) if piece)


class _Places:
    """Where the characters of a name are: sets of places, each a number with a bit for each."""

    def __init__(self, name: str) -> None:
        self.length = len(name)
        self._name = name
        self._starts: dict[str, int] = {}
        self._fitting: dict[str, int] = {}
        self.slashes = self.starts("/")
        self.others = ~(~0 << self.length) & ~self.slashes

    def starts(self, piece: str) -> int:
        """Where the name has this piece."""
        if piece not in self._starts:
            self._starts[piece] = _bits(self._finds(piece))
        return self._starts[piece]

    def fitting(self, piece: str) -> int:
        """Where a character is that fits this class."""
        if piece not in self._fitting:
            found = {one for one in set(self._name) if _in_class(piece, one)}
            places = (place for place, one in enumerate(self._name) if one in found)
            self._fitting[piece] = _bits(places)
        return self._fitting[piece]

    def _finds(self, piece: str) -> Iterator[int]:
        place = self._name.find(piece)
        while place >= 0:
            yield place
            place = self._name.find(piece, place + 1)


def _bits(places: Iterable[int]) -> int:
    return sum(1 << place for place in places)


_places = lru_cache(maxsize=64)(_Places)  # one name is compared with several patterns


def _step(piece: str, name: _Places, reached: int) -> int:
    """Which positions are reached behind a piece: bit 0 is before the first character."""
    step = _STEPS.get(piece)
    if step is not None:
        return step(name, reached)
    behind = (reached & name.starts(piece)) << len(piece)
    return behind | (reached & name.fitting(piece)) << 1 if _CLASS.fullmatch(piece) else behind


def _in_class(piece: str, character: str) -> bool:
    inside = piece[1:-1]
    without = inside[0] in "!^" and len(inside) > 1
    within = any(first <= character <= last for first, last in _ranges(inside[without:]))
    return character != "/" and within is not without


def _ranges(inside: str) -> Iterator[tuple[str, str]]:
    """ "a-cx" as (a, c), (x, x)."""
    for found in re.finditer(r"(.)-(.)|(.)", inside):
        first, last, one = found.groups()
        yield (one, one) if one else (first, last)


def _samples(pattern: str) -> Iterable[str]:
    """Names that stand for all that a pattern fits, of letters that nobody uses.

    One that only `**` fits where there would be too many of them.
    """
    choices = [_sample(piece) for piece in _pieces(_path(pattern))]
    if prod(map(len, choices)) > MAX_SAMPLES:
        return ("/".join("\ue000" * 60),)
    return map("".join, product(*choices))


def _sample(piece: str) -> Sequence[str]:
    if _CLASS.fullmatch(piece):
        inside = piece[1:-1]
        without = inside[0] in "!^" and len(inside) > 1
        ends = {end for pair in _ranges(inside) for end in pair}
        return ("\ue000",) if without else tuple(sorted(ends))
    return _SAMPLES.get(piece, (piece,))


def _star(name: _Places, reached: int) -> int:
    """Up to the next slash: adding carries a bit through all places that have none."""
    within = reached & name.others
    return (within + name.others ^ name.others) | reached


def _two_stars(name: _Places, reached: int) -> int:
    return ~(~0 << name.length + 1) & ~((reached & -reached) - 1) if reached else 0


def _question_mark(name: _Places, reached: int) -> int:
    return (reached & name.others) << 1


def _after_slash(name: _Places, reached: int) -> int:
    return (reached & name.slashes) << 1


def _levels(name: _Places, reached: int) -> int:
    """Any number of whole levels, none included."""
    return reached | _two_stars(name, reached) & name.slashes << 1 & ~(reached & -reached)


def _rest(name: _Places, reached: int) -> int:
    """Nothing, or a slash and whatever follows."""
    return reached | _two_stars(name, _after_slash(name, reached))


_STEPS: Mapping[str, Callable[[_Places, int], int]] = {
    "*": _star,
    "**": _two_stars,
    "?": _question_mark,
    "**/": _levels,
    "/**/": lambda name, positions: _levels(name, _after_slash(name, positions)),
    "/**": _rest,
}
_SAMPLES: Mapping[str, Sequence[str]] = {
    "*": ("", "\ue000\ue001"),
    "**": ("", "\ue000", "\ue000/\ue001/\ue002"),
    "?": ("\ue000",),
    "**/": ("", "\ue000/", "\ue000/\ue001/"),
    "/**/": ("/", "/\ue000/", "/\ue000/\ue001/"),
    "/**": ("", "/\ue000", "/\ue000/\ue001"),
}
