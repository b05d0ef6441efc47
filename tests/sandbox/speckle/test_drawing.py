"""The pictures of the sandbox's Speckle: drawn, always the same, and served where previews are."""

import io

import aiohttp
import pytest
from PIL import Image

from sandbox.speckle import SpeckleServer
from sandbox.speckle.drawing import (
    draw_avatar,
    draw_screenshot_png,
    draw_thumbnail,
    draw_version,
)

NAMES = ("structure/level 1", "timber/roof", "facade/south", "mep/ducts", "landscape", "plan", "x")


def size_of(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as image:
        return image.size


@pytest.mark.parametrize("name", NAMES)
def test_each_version_of_a_model_looks_different_and_always_the_same(name: str) -> None:
    pictures = []
    for _ in range(2):
        server = SpeckleServer()
        project = server.add_project("Tower", owner=server.add_user("Ilse Brandt"))
        model = server.add_model(project, name)
        versions = [server.add_version(project, model) for _ in range(2)]
        pictures.append([draw_version(one) for one in versions])
    assert pictures[0] == pictures[1]
    assert pictures[0][0] != pictures[0][1]
    assert draw_screenshot_png(versions[0]) != pictures[0][0]
    assert (size_of(pictures[0][0]), size_of(draw_thumbnail(versions[0]))) == (
        (700, 400),
        (224, 128),
    )


def test_an_avatar_has_the_person_s_own_colour_and_letters() -> None:
    assert draw_avatar("Hana Ito") == draw_avatar("Hana Ito") != draw_avatar("Ravi Menon")


async def test_a_server_that_draws_serves_its_pictures_as_previews() -> None:
    async with SpeckleServer.start() as server, aiohttp.ClientSession() as http:
        server.draw = draw_version
        project = server.add_project("Tower", owner=server.add_user("Ilse"), visibility="PUBLIC")
        version = server.add_version(project, server.add_model(project, "facade/south"))
        address = f"{server.url}/preview/{project.id}/commits/{version.id}"
        async with http.get(address) as pending:
            assert await pending.read() != draw_version(version)
        server.render(version)
        async with http.get(address) as there:
            assert await there.read() == draw_version(version)
            assert there.content_type == "image/png"
