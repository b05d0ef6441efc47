"""Values that lost their shape on the way here: quotes and comments that are no part of them.

In .env the bot takes them off. Others, such as `docker run --env-file`, hand over all that stands
behind the `=`.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

QUOTES: Final = "\"'`“”„‟‘’‚‛«»"
HIDDEN: Final = ("Cc", "Cf")  # Unicode's categories: a line's end, a byte order mark
COMMENT: Final = re.compile(r"(?:^|\s)#")
KEPT: Final = "docker --env-file, for one, keeps what the bot would take off in a .env file."


def lost_shape(name: str, text: str, *, is_list: bool, comments: bool) -> tuple[str, str] | None:
    """What is wrong with a value as it stands, and what to do; None if nothing is.

    `comments`: whether one behind the value would have come along. The value is not repeated, as
    it may be a secret.
    """
    parts = [part.strip() for part in text.split(",")] if is_list else [text]
    if hidden := next((c for c in text if unicodedata.category(c) in HIDDEN and c != "\t"), None):
        code = f"U+{ord(hidden):04X}"
        return f"holds an invisible character ({code}).", "Copy it as plain text, or type it."
    if is_list and text.startswith("[") and text.endswith("]"):
        return "is written as a list in brackets.", "Put commas between its parts, and no brackets."
    if any(part and (part[0] in QUOTES or part[-1] in QUOTES) for part in parts):
        return "has a quotation mark around it.", f"Take the quotes away. {KEPT}"
    if comments and COMMENT.search(text):
        return "has a comment (#) behind it.", f"Take it away, or put it on a line above. {KEPT}"
    if text.startswith(f"{name}="):
        return "begins with its own name.", f"Write {name}= once."
    if text.endswith(("\\n", "\\r")):
        return "ends in a backslash and a letter.", "Take them away: they mean a line's end."
    return None


def misshapen_names(names: Iterable[str], known: Mapping[str, str]) -> dict[str, str]:
    """Names in the environment that are one of ours but for what stands around it, with that."""
    found = {}
    for name in names:
        bare = name.strip().strip("\ufeff" + QUOTES).removeprefix("export ").strip()
        if bare in known and name not in known:
            found[name] = bare
    return found
