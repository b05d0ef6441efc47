"""Deliveries as a Speckle server sent them, and events written for what no recording covers."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings

from bot.cards.render import RenderContext
from bot.speckle.events import Delivery
from bot.speckle.payloads import parse_delivery, read_envelope

FIXTURES = Path(__file__).parents[1] / "fixtures"
RECEIVED_AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)

settings.register_profile(
    "quick", max_examples=60, deadline=None, derandomize=True, database=None, print_blob=False
)
settings.load_profile("quick")


def _bodies() -> Iterator[tuple[str, bytes]]:
    for path in sorted((FIXTURES / "deliveries").glob("*.json")):
        yield path.stem, base64.b64decode(json.loads(path.read_text("utf-8"))["body_b64"])
    for path in sorted((FIXTURES / "events").glob("*.json")):
        yield path.stem, path.read_bytes()


@pytest.fixture(scope="session")
def deliveries() -> dict[str, Delivery]:
    """Each fixture's delivery by its file's name."""
    return {name: parse_delivery(read_envelope(body)) for name, body in _bodies()}


@pytest.fixture(scope="session")
def cards_folder() -> Path:
    """Where the expected cards are kept as text."""
    return FIXTURES / "cards"


@pytest.fixture
def context() -> RenderContext:
    """A hook that is pinned to a server of its own."""
    return RenderContext("https://speckle.studio-kestrel.example", RECEIVED_AT)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `fixture_name` once a fixture."""
    if "fixture_name" in metafunc.fixturenames:
        metafunc.parametrize("fixture_name", [name for name, _body in _bodies()])
