"""Deliveries as a Speckle server sent them, and events written for what no recording covers."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from bot.cards.card_context import CardContext
from bot.speckle.events import Delivery
from bot.speckle.payloads import parse_delivery, read_envelope

FIXTURES = Path(__file__).parents[1] / "fixtures"
SERVER_URL = "https://speckle.studio-kestrel.example"
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


def shown(delivery: Delivery, **more: Any) -> CardContext:
    """A delivery at a hook that is pinned to a server of its own."""
    return replace(CardContext(delivery, SERVER_URL, RECEIVED_AT), **more)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `fixture_name` once a fixture."""
    if "fixture_name" in metafunc.fixturenames:
        metafunc.parametrize("fixture_name", [name for name, _body in _bodies()])
