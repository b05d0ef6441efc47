"""Reads TOML that anybody may have written: bounded, and with errors that can be said."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

MOST_BYTES: Final = 8 * 1024 * 1024  # some 20,000 subscriptions
# Python's parser takes minutes for a key of tens of thousands of parts.
MOST_PARTS: Final = 64
# Begins where a word does and takes nothing back: else a long word alone takes minutes.
LONG_KEY: Final = re.compile(rf"(?<![\w\"'-])(?:[\w\"'-]++[ \t]*+\.[ \t]*+){{{MOST_PARTS}}}")


class NotToml(ValueError):
    """Text that is no TOML, or more or deeper than anybody writes."""


def read_text(path: Path) -> str:
    """A file's text, without the mark that Windows editors put in front.

    Errors: OSError; UnicodeDecodeError; NotToml for one that is too large.
    """
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise NotToml(f"it has more than {MOST_BYTES // 1024 // 1024} MiB")
    return content.decode("utf-8-sig")


def parse(text: str) -> dict[str, Any]:
    """What the text sets. Errors: NotToml, with the parser's words."""
    if LONG_KEY.search(text):
        raise NotToml(f"a key in it has more than {MOST_PARTS} parts")
    try:
        return tomllib.loads(text)
    except ValueError as error:  # also a number of more digits than Python reads
        raise NotToml(str(error)) from error
    except RecursionError:
        raise NotToml("its values are nested too deeply") from None
