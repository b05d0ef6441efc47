"""Values as they come from a Speckle server, each read as what it should be or as nothing.

Nothing here trusts the wire: whatever JSON comes, reading it gives a value or None.
"""

import re
from collections.abc import Mapping
from typing import Any

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
SURROGATE = re.compile(r"[\ud800-\udfff]")
MAX_TEXT = 20_000  # characters; recorded descriptions have 13,000
MAX_NAME = 1_000  # characters; recorded names have 512
BUNDLE = "bundle."  # then project, model and version: in place of an object's id
VISIBILITIES = frozenset({"public", "unlisted", "private", "workspace"})

JsonObject = Mapping[str, Any]


def text_of(value: Any, limit: int = MAX_TEXT) -> str | None:
    """A text that a database and a UTF-8 encoder take; None for nothing and for other types."""
    if not isinstance(value, str):
        return None
    text = SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value[:limit]).replace("\0", "")
    return text or None


def name_of(value: Any) -> str | None:
    """A name, which is a shorter text."""
    return text_of(value, MAX_NAME)


def id_of(value: Any) -> str | None:
    """An id; None for a text that cannot be one."""
    return value if isinstance(value, str) and ID.fullmatch(value) else None


def names_bundle(root: str | None) -> bool:
    """Whether what stands for a version's root object says that the version is a bundle."""
    return root is not None and root.startswith(BUNDLE)


def ids_of(value: Any, limit: int) -> tuple[str, ...]:
    """The ids among the first `limit` entries of a list."""
    items = value[:limit] if isinstance(value, list) else []
    return tuple(found for item in items if (found := id_of(item)) is not None)


def url_of(value: Any, limit: int) -> str | None:
    """An address, such as a picture's data: URL; None for one that is longer, or is none."""
    is_url = isinstance(value, str) and 0 < len(value) <= limit and value.isascii()
    return value if is_url else None


def object_of(value: Any) -> JsonObject:
    """A JSON object; an empty one for everything else."""
    return value if isinstance(value, dict) else {}


def visibility_of(stream: JsonObject) -> str | None:
    """`visibility`, which an update has in capitals; older servers have `isPublic`."""
    visibility = stream.get("visibility")
    if isinstance(visibility, str) and visibility.lower() in VISIBILITIES:
        return visibility.lower()
    is_public = stream.get("isPublic")
    if isinstance(is_public, bool):
        return "public" if is_public else "private"
    return None
