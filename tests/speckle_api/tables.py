"""Parquet files as bundles have them."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from sandbox.speckle import SpeckleServer, Version


@cache
def table_of(objects: int) -> bytes:
    """An object table with so many rows."""
    rows = "SELECT range AS object_index, 'wall-' || range AS application_id FROM range(?)"
    with TemporaryDirectory() as folder, duckdb.connect() as connection:
        path = Path(folder) / "objects.parquet"
        connection.execute(f"COPY ({rows}) TO '{path}' (FORMAT parquet)", [objects])
        return path.read_bytes()


def add_object_table(server: SpeckleServer, version: Version, objects: int) -> Version:
    """Give a version that is a bundle the table that its objects are counted in."""
    if server.has_bundles:
        server.put_artifact(version, f"{version.id}.eav.objects.parquet", table_of(objects))
    return version
