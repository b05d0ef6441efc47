"""What the bot does not load to start, as it takes long and few need it, or only later."""

import subprocess
import sys
from typing import Final

import pytest

LATER: Final = (
    "PIL",  # the first picture
    "alembic",  # tables that are not up to date
    "gql",  # the first question to a Speckle server
    "jinja2",  # the first person who signs in
    "psycopg",  # PostgreSQL
    "specklepy",  # the first question to a Speckle server
    "sqlalchemy.dialects.postgresql",  # PostgreSQL
)
LISTED: Final = "import sys, bot.__main__, bot.app; print(*sys.modules)"


@pytest.fixture(scope="module")
def loaded() -> frozenset[str]:
    done = subprocess.run([sys.executable, "-c", LISTED], capture_output=True, check=True)
    return frozenset(done.stdout.decode().split())


@pytest.mark.parametrize("name", LATER)
def test_a_start_over_sqlite_does_not_load(name: str, loaded: frozenset[str]) -> None:
    assert name not in loaded, "find who imports it with: python -X importtime -c 'import bot.app'"


def test_a_list_of_what_is_loaded_names_what_is_needed(loaded: frozenset[str]) -> None:
    assert {"discord", "aiohttp", "sqlalchemy.dialects.sqlite"} <= loaded
