"""Rows as values: column types convert, and the fields' names say what goes where."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")

Row = Mapping[Any, Any]  # by column


def value_of(kind: Callable[..., T], row: Row, **others: Any) -> T:
    """A dataclass whose fields are columns of the row; `others` are those that are not."""
    from_row = {name: row[name] for name in _names(kind) if name not in others}
    return kind(**from_row, **others)


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))
