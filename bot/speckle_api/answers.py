"""Parts of answers, read into values: what has another shape than expected is nothing. No I/O."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from bot.errors import SpeckleRejected
from bot.speckle.events import ModelRef, SpeckleUser
from bot.speckle.facts import AttachedFile
from bot.speckle.wire import id_of, name_of

T = TypeVar("T")

# Nearer to the ends of what a datetime holds, adding to it fails; nobody's clock is there.
FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2999
MAX_FILES: Final = 50
MILLISECOND: Final = timedelta(milliseconds=1)  # servers know no shorter time


def child(value: Any, *names: str) -> Any:
    """The value at a path of keys; None where the path ends."""
    for name in names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def items(value: Any) -> Iterator[dict[str, Any]]:
    """The objects of a list, whatever else it holds."""
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict):
            yield item


def count(value: Any) -> int | None:
    """A number of things, or None."""
    return value if type(value) is int and value >= 0 else None


def moment(value: Any) -> datetime | None:
    """An aware time, or None."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        if found is None or found.tzinfo is None or not FIRST_YEAR <= found.year <= LAST_YEAR:
            return None
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def iso(value: datetime) -> str:
    """A time as the server reads and writes it: it knows milliseconds."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def needed(server_url: str, value: T | None) -> T:
    """A value without which an answer makes no sense. Errors: SpeckleRejected where it is None."""
    if value is None:
        raise SpeckleRejected(server_url, "its answer has an unknown shape")
    return value


def person(value: Any) -> SpeckleUser | None:
    """Somebody with an id, and a name if it is said."""
    person_id = id_of(child(value, "id"))
    if person_id is None:
        return None
    return SpeckleUser(person_id, name_of(child(value, "name")))


def participant(value: Any) -> SpeckleUser | None:
    """Somebody who works on an issue; of a person who is gone, the id alone is left."""
    known, user_id = person(child(value, "user")), id_of(child(value, "id"))
    return known or (None if user_id is None else SpeckleUser(user_id))


def read_files(value: Any) -> tuple[AttachedFile, ...]:
    """Files that came with a text."""
    found = (
        (id_of(item.get("id")), name_of(item.get("fileName")), count(item.get("fileSize")))
        for item in items(value)
    )
    files = [AttachedFile(id_, name, size) for id_, name, size in found if id_ and name]
    return tuple(files[:MAX_FILES])


def model_ref(value: Any) -> ModelRef:
    """A model with its id, its name, both or neither."""
    return ModelRef(id_of(child(value, "id")), name_of(child(value, "name")))
