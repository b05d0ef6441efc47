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
    has these brackets. It follows all possible positions at once instead of compiling to a regular
    expression, which a pattern such as `*a*a*a*a*b` would keep busy for hours.
    """
    name = _path(name)
    positions = {0}
    for piece in _pieces(_path(pattern)):
        positions = _step(piece, name, positions)
        if not positions:
            return False
    return len(name) in positions


def _path(text: str) -> str:
    """A name as it is compared: with or without spaces around its slashes."""
    return re.sub(" */ *", "/", as_seen(text))


def is_glob(pattern: str) -> bool:
    """Whether a pattern can fit several names."""
    return len(_pieces(_path(pattern))) > 1 or any(mark in pattern for mark in "*?")


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


def _step(piece: str, name: str, positions: set[int]) -> set[int]:
    step = _STEPS.get(piece)
    if step is not None:
        return step(name, positions)
    reached = {p + len(piece) for p in positions if name.startswith(piece, p)}
    if _CLASS.fullmatch(piece):
        reached |= {p + 1 for p in positions if p < len(name) and _in_class(piece, name[p])}
    return reached


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


def _star(name: str, positions: set[int]) -> set[int]:
    reached: set[int] = set()
    for start in sorted(positions):
        if start not in reached:
            slash = name.find("/", start)
            reached.update(range(start, (len(name) if slash < 0 else slash) + 1))
    return reached


def _two_stars(name: str, positions: set[int]) -> set[int]:
    return set(range(min(positions), len(name) + 1))


def _question_mark(name: str, positions: set[int]) -> set[int]:
    return {p + 1 for p in positions if p < len(name) and name[p] != "/"}


def _after_slash(name: str, positions: set[int]) -> set[int]:
    return {p + 1 for p in positions if name.startswith("/", p)}


def _levels(name: str, positions: set[int]) -> set[int]:
    """Any number of whole levels, none included."""
    first = min(positions, default=len(name))
    return positions | {p for p in range(first + 1, len(name) + 1) if name[p - 1] == "/"}


def _rest(name: str, positions: set[int]) -> set[int]:
    """Nothing, or a slash and whatever follows."""
    below = _after_slash(name, positions)
    return positions | (_two_stars(name, below) if below else set())


_STEPS: Mapping[str, Callable[[str, set[int]], set[int]]] = {
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
