"""The JSON that Discord takes and gives, and where in it a field is."""

from typing import Any, TypeAlias

JSON: TypeAlias = dict[str, Any]
FieldPath: TypeAlias = tuple[str | int, ...]
