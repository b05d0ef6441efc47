"""Trees that are made to fill memory or to take all the time, by a server or by who published."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from time import monotonic

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.speckle.comparison import Checked, Comparison, NotCompared, WhyNotCompared
from bot.speckle.property_changes import MOST_NAMES, changed_properties
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.object_stream import MOST_PARTS, MOST_VALUES, ObjectStream, as_object
from bot.speckle_api.tree_comparison import TreeComparison, TreeLimits
from bot.speckle_api.types import Login

LIMITS = TreeLimits()
ELEMENTS = 20

Answer = Callable[[str], str]


def references(names: list[str]) -> str:
    return ",".join(f'{{"referencedId":"{one}"}}' for one in names)


def root(object_id: str) -> str:
    names = [f"{object_id}{number}" for number in range(ELEMENTS)]
    return f'{{"speckle_type":"Collection","elements":[{references(names)}]}}'


def element(object_id: str) -> str:
    return f'{{"applicationId":"{object_id[1:]}","category":"Walls"}}'


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def compared(
    opened: AsyncExitStack,
    content: Answer,
    limits: TreeLimits = LIMITS,
    node: Answer = element,
    more: str = "",
) -> tuple[Comparison, TreeComparison]:
    """What comes of roots "a" and "b" whose elements have this content; `more` is sent unasked."""

    async def stream(request: web.Request) -> web.Response:
        asked = await request.json()
        is_node, ids = "include" in asked["attributeMask"], asked["objectIds"]
        texts = {one: root(one) if one in "ab" else node(one) if is_node else content(one)
                 for one in ids}  # fmt: skip
        return web.Response(text=more + "".join(f"{one}\t{texts[one]}\n" for one in ids))

    app = web.Application()
    app.router.add_post("/api/v2/projects/tower/object-stream", stream)
    server = await opened.enter_async_context(TestServer(app))
    url = str(server.make_url("")).rstrip("/")
    http = await opened.enter_async_context(SpeckleHttp.open([url]))
    trees = TreeComparison(ObjectStream(http), Login(url), "tower", monotonic() + 20.0, limits)
    return await trees.of("a", "b"), trees


async def test_whole_numbers_that_no_float_holds_are_compared(opened: AsyncExitStack) -> None:
    found, _ = await compared(opened, lambda one: f'{{"n":{10**400 + (one[0] == "b")}}}')
    assert found.on_all == ("n",)
    assert changed_properties({"n": 10**400}, {"n": 10**400}) == frozenset()


async def test_an_element_that_is_too_large_alone_is_not_checked(opened: AsyncExitStack) -> None:
    """All texts of a part were kept before, each of which may be as large as an answer."""

    def content(one: str) -> str:
        size = 8_000 if one[1:] == "7" else 10
        return f'{{"n":"{one[0] * size}"}}'

    limits = replace(LIMITS, content_bytes=2_000)
    found, _ = await compared(opened, content, limits)
    assert found.checked == Checked(ELEMENTS - 1, ELEMENTS)
    assert found.total_changed == ELEMENTS - 1


async def test_names_of_properties_have_an_end(opened: AsyncExitStack) -> None:
    def content(one: str) -> str:
        return "{" + ",".join(f'"{one[1:]}-{n}":"{one[0]}"' for n in range(10)) + "}"

    found, _ = await compared(opened, content, replace(LIMITS, names=45))
    assert found.checked == Checked(5, ELEMENTS)
    many = {str(n): 1 for n in range(2 * MOST_NAMES)}
    assert len(changed_properties(many, {})) == MOST_NAMES


async def test_names_that_many_have_count_once(opened: AsyncExitStack) -> None:
    def content(one: str) -> str:
        return "{" + ",".join(f'"{n}":"{one[0]}"' for n in range(10)) + "}"

    found, _ = await compared(opened, content, replace(LIMITS, names=45))
    assert found.checked == Checked(ELEMENTS, ELEMENTS)


async def test_what_was_not_asked_for_is_not_kept(opened: AsyncExitStack) -> None:
    more = "".join(f"c{number}\t{{}}\n" for number in range(1_000))
    limits = replace(LIMITS, objects=100)
    found, _ = await compared(opened, lambda _: "{}", limits, more=more)
    assert found.checked == Checked(ELEMENTS, ELEMENTS)


async def test_what_objects_say_is_below_them_has_an_end(opened: AsyncExitStack) -> None:
    def node(one: str) -> str:
        below = references([f"{one}-{n}" for n in range(10)])
        return f'{{"applicationId":"{one}","displayValue":[{below}]}}'

    limits = replace(LIMITS, references=200)
    with pytest.raises(NotCompared) as refused:
        await compared(opened, lambda _: "{}", limits, node)
    assert refused.value.why is WhyNotCompared.TOO_LARGE


async def test_what_is_only_counted_has_an_end_within_a_level(opened: AsyncExitStack) -> None:
    limits = replace(LIMITS, objects=10, counted=30)
    with pytest.raises(NotCompared) as refused:
        await compared(opened, lambda _: "{}", limits)
    assert refused.value.why is WhyNotCompared.TOO_LARGE


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":[' + b"[]," * MOST_PARTS + b"1]}",
        b'{"a":[' + b"{}," * MOST_PARTS + b"1]}",
        b'{"a":[' + b'"ab",' * (MOST_VALUES + 1) + b"1]}",
    ],
    ids=["lists", "objects", "texts"],
)
def test_json_that_takes_far_more_memory_than_bytes_is_not_read(text: bytes) -> None:
    assert as_object(text) is None
