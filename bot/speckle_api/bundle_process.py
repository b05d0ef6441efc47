"""Reads the tables of a bundle, as a program of its own that can reach nothing but its folder.

    python -I bundle_process.py FOLDER QUESTION

prints the answer as JSON. The tables come from somebody else's server: Parquet that is made to
harm meets a process with little memory and time, in which duckdb may open neither a connection nor
any other file. It knows nothing of the bot, and is ended from outside.
"""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import duckdb

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]  # a module elsewhere

OBJECTS: Final = "objects.parquet"
MEMORY: Final = "256MB"
MAX_ADDRESS_SPACE: Final = 2 * 1024**3  # duckdb maps more than it uses
MAX_CPU_S: Final = 20
CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "threads": 1,
    "memory_limit": MEMORY,
    "temp_directory": "",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
}


def count_objects(tables: duckdb.DuckDBPyConnection, folder: Path) -> int:
    """How many objects the object table has."""
    return int(_scalar(tables, "SELECT count(*) FROM read_parquet(?)", str(folder / OBJECTS)))


QUESTIONS: Final[Mapping[str, Callable[[duckdb.DuckDBPyConnection, Path], Any]]] = {
    "count": count_objects,
}


def locked(folder: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory that reads files of this folder and nothing else, for good."""
    tables = duckdb.connect(":memory:", config=CONFIG)
    tables.execute("SET allowed_directories = [?]", [str(folder)])
    tables.execute("SET enable_external_access = false")
    tables.execute("SET lock_configuration = true")
    return tables


def _scalar(tables: duckdb.DuckDBPyConnection, question: str, *values: object) -> Any:
    row = tables.execute(question, list(values)).fetchone()
    return None if row is None else row[0]


def _limit_resources() -> None:
    if resource is None:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_SPACE, MAX_ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(folder: str, question: str) -> None:
    """Print the answer to one of QUESTIONS."""
    _limit_resources()
    found = Path(folder).resolve()
    sys.stdout.write(json.dumps(QUESTIONS[question](locked(found), found)))


if __name__ == "__main__":
    main(*sys.argv[1:])
