"""Parquet files as bundles have them."""

from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb


def table_of(objects: int) -> bytes:
    """An object table with so many rows."""
    rows = "SELECT range AS object_index, 'wall-' || range AS application_id FROM range(?)"
    with TemporaryDirectory() as folder, duckdb.connect() as connection:
        path = Path(folder) / "objects.parquet"
        connection.execute(f"COPY ({rows}) TO '{path}' (FORMAT parquet)", [objects])
        return path.read_bytes()
