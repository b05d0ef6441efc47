"""Texts compared as people see them. No I/O."""

import unicodedata
from functools import lru_cache
from typing import Final

import regex  # type: ignore[import-untyped]  # the package has no type hints

# Characters that fill the place of a letter with nothing, and hyphens that look like "-".
_LOOKS: Final = str.maketrans(
    {**dict.fromkeys("\u115f\u1160\u2800\u3164\uffa0", " "), "\u2010": "-", "\u2011": "-"}
)
_UNSEEN: Final = regex.compile(r"[\p{Default_Ignorable_Code_Point}\p{Cf}\x00-\x08\x0e-\x1b\x7f]+")
_WIDTHS: Final = regex.compile(r"[\uff01-\uffee]+")  # full-width letters, half-width kana


@lru_cache(maxsize=4096)  # names and filters are few, and are compared for each event
def as_seen(text: str) -> str:
    """What two texts share that look the same to people.

    Without case, invisible characters and the difference between one space and several; letters
    with their accents in one form, and of the usual width.
    """
    if not text.isascii():
        text = _UNSEEN.sub("", text.translate(_LOOKS))
        text = _WIDTHS.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
        text = unicodedata.normalize("NFD", text).casefold()
        return " ".join(unicodedata.normalize("NFC", text).split())
    return " ".join(_UNSEEN.sub("", text).casefold().split())


def without_unseen(text: str) -> str:
    """The text without the characters that cannot be seen."""
    return str(_UNSEEN.sub("", text))
