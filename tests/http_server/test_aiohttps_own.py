"""What is used of aiohttp without its promise is there, and is named in one place."""

import ast
import inspect
import textwrap

import aiohttp
import pytest

from bot.http_server.connections import AIOHTTPS_OWN, HttpConnection

USED = [(owner, name) for owner, names in AIOHTTPS_OWN.items() for name in names]


@pytest.mark.parametrize(("owner", "name"), USED, ids=lambda part: getattr(part, "__name__", part))
def test_this_aiohttp_has_it(owner: type, name: str) -> None:
    assert hasattr(owner, name), (
        f"aiohttp {aiohttp.__version__} has no {owner.__name__}.{name} any more, which "
        "bot/http_server/connections.py uses. Read aiohttp/web_protocol.py again, and change "
        "HttpConnection, or keep aiohttp below this version in pyproject.toml."
    )


def test_nothing_else_of_it_is_used() -> None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(HttpConnection)))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
        and node.attr.startswith("_")
    }
    ours = {*HttpConnection.__slots__, *vars(HttpConnection)}
    named = {name for names in AIOHTTPS_OWN.values() for name in names}
    assert used - ours - named == set()
    assert {name for name in named if name.startswith("_")} - used == set()
