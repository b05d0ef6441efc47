"""Made models as bundles: the tables of schema 1.2, as specklepy's own writers fill them.

specklepy needs pyarrow to write them, which is large; duckdb writes the same tables here.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb

from sandbox.speckle.entities import Version
from sandbox.speckle.http_api import SpeckleServer
from sandbox.speckle.made_models import MadeElement

VALUES: Final = {
    "value_string": "VARCHAR",
    "value_double": "DOUBLE",
    "value_boolean": "BOOLEAN",
    "unit": "VARCHAR",
    "internal_definition_name": "VARCHAR",
}
COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    "eav.objects": {"object_index": "INTEGER", "application_id": "VARCHAR"},
    "eav.paths": {"path_index": "INTEGER", "path": "VARCHAR"},
    "eav.eav": {"object_index": "INTEGER", "path_index": "INTEGER", **VALUES},
    "eav.types": {"type_index": "INTEGER", "type_key": "VARCHAR"},
    "eav.object_type": {"object_index": "INTEGER", "type_index": "INTEGER"},
    "eav.type_eav": {"type_index": "INTEGER", "path_index": "INTEGER", **VALUES},
    "envelope.nodes": {
        "id": "INTEGER",
        "kind": "INTEGER",
        "name": "VARCHAR",
        "def_ref": "INTEGER",
        "subtype": "VARCHAR",
        "elevation": "DOUBLE",
    },
    "envelope.relations": {
        "rel": "INTEGER",
        "src": "INTEGER",
        "dst": "INTEGER",
        "ord": "INTEGER",
    },
}
SUBELEMENT, ON_LEVEL, IN_COLLECTION = 3, 7, 10  # relations
LEVEL, CONTAINER = 5, 7  # kinds of nodes
NULL: Final = "\\N"

Row = tuple[Any, ...]
Tables = dict[str, list[Row]]


@dataclass
class BundleRows:
    """The rows of a bundle's tables while its elements are written."""

    types: Mapping[str, Mapping[str, Any]]
    category_rows: bool
    tables: Tables = field(default_factory=lambda: {name: [] for name in COLUMNS})
    _known: dict[tuple[str, Any], int] = field(default_factory=dict)

    def add(self, element: MadeElement, host: int | None = None) -> None:
        """Write an element, and what it hosts."""
        index = self._next("eav.objects")
        self.tables["eav.objects"].append((index, element.id))
        for path, value in self._rows_of(element):
            self.tables["eav.eav"].append((index, self._path(path), *_value(value)))
        if element.name in self.types:
            self.tables["eav.object_type"].append((index, self._type(element.name)))
        level = self._node(LEVEL, element.level, elevation=3.0)
        self._relate(ON_LEVEL, index, level, None)
        if host is None:
            above = self._node(CONTAINER, element.level, subtype="Collection")
            inside = self._node(CONTAINER, element.category, above, subtype="Collection")
            self._relate(IN_COLLECTION, index, inside, 0)
        else:
            self._relate(SUBELEMENT, host, index, 0)
        for hosted in element.hosted:
            self.add(hosted, index)

    def _rows_of(self, element: MadeElement) -> Iterable[tuple[str, Any]]:
        yield "speckle_type", "Objects.Data.DataObject"
        yield "name", element.name
        yield "units", "m"
        if self.category_rows:
            yield "category", element.category
            yield "level", element.level
        for name, value in element.properties.items():
            yield f"properties.Parameters.Instance Parameters.Other.{name}", value

    def _next(self, table: str) -> int:
        return len(self.tables[table])

    def _path(self, path: str) -> int:
        return self._once("eav.paths", path, path)

    def _type(self, name: str) -> int:
        fresh = ("eav.types", name) not in self._known
        index = self._once("eav.types", name, name)
        for path, value in self.types[name].items() if fresh else ():
            row = self._path(f"properties.Parameters.Type Parameters.Other.{path}")
            self.tables["eav.type_eav"].append((index, row, *_value(value)))
        return index

    def _node(
        self,
        kind: int,
        name: str,
        above: int | None = None,
        *,
        subtype: str | None = None,
        elevation: float | None = None,
    ) -> int:
        key = (kind, name, above)
        return self._once("envelope.nodes", key, kind, name, above, subtype, elevation)

    def _once(self, table: str, key: Any, *row: Any) -> int:
        index = self._known.get((table, key))
        if index is None:
            index = self._known[table, key] = self._next(table)
            self.tables[table].append((index, *row))
        return index

    def _relate(self, rel: int, src: int, dst: int, order: int | None) -> None:
        self.tables["envelope.relations"].append((rel, src, dst, order))


def bundle_rows(
    elements: Sequence[MadeElement],
    *,
    types: Mapping[str, Mapping[str, Any]] | None = None,
    category_rows: bool = True,
) -> Tables:
    """The rows of all tables.

    `types` are the parameters of types by the names of their elements. Without `category_rows` only
    the containers and levels say where an element belongs.
    """
    rows = BundleRows(types or {}, category_rows)
    for element in elements:
        rows.add(element)
    return rows.tables


def as_bundle(elements: Sequence[MadeElement], **how: Any) -> dict[str, bytes]:
    """The bundle of these elements as Parquet files; more is told as to `bundle_rows`."""
    return parquet_files(bundle_rows(elements, **how))


def parquet_files(
    tables: Mapping[str, Sequence[Row]],
    columns: Mapping[str, Mapping[str, str]] = COLUMNS,
) -> dict[str, bytes]:
    """Tables as Parquet files, by their names."""
    read = (
        "SELECT * FROM read_csv($text, columns = $columns, nullstr = $null, header = false,"
        " delim = ',', quote = '\"', escape = '\"', auto_detect = false, parallel = false)"
    )
    files = {}
    with TemporaryDirectory() as folder:
        for name, rows in tables.items():
            text, path = Path(folder) / f"{name}.csv", Path(folder) / f"{name}.parquet"
            with text.open("w", newline="") as opened:
                csv.writer(opened).writerows(
                    [NULL if one is None else one for one in row] for row in rows
                )
            given = {"text": str(text), "columns": dict(columns[name]), "null": NULL}
            _writer().execute(f"COPY ({read}) TO '{path}' (FORMAT parquet, CODEC zstd)", given)
            files[name] = path.read_bytes()
    return files


@cache
def _writer() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def put_bundle(server: SpeckleServer, version: Version, files: Mapping[str, bytes]) -> Version:
    """Give a version that is a bundle these files."""
    for name, content in files.items():
        server.put_artifact(version, f"{version.id}.{name}.parquet", content)
    return version


def _value(value: Any) -> Row:
    """A value's columns, as text and as what it is."""
    if isinstance(value, bool):
        return (str(value).lower(), None, value, None, None)
    if isinstance(value, int | float):
        return (f"{value:g}" if float(value).is_integer() else repr(value), value, None, None, None)
    return (str(value), None, None, None, None)
