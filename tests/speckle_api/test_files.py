"""Files that people attached, over real sockets."""

from collections.abc import AsyncIterator

import pytest

from bot.errors import SpeckleError, SpeckleNotFound, SpeckleTokenRefused, SpeckleUnavailable
from bot.speckle_api.files import ServerFiles
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.types import Login
from tests.speckle_api.conftest import Studio

PLAN = b"\x89PNG of a plan"


@pytest.fixture
async def files(studio: Studio) -> AsyncIterator[ServerFiles]:
    studio.tower.blobs["a1b2c3d4e5"] = PLAN
    async with SpeckleHttp.open([studio.server.url]) as http:
        yield ServerFiles(http)


async def content(files: ServerFiles, studio: Studio, login: Login, blob_id: str) -> bytes:
    return await files.blob(login, studio.tower.id, blob_id, within_s=5.0)


async def test_a_file_comes_as_it_was_attached(studio: Studio, files: ServerFiles) -> None:
    assert await content(files, studio, studio.login, "a1b2c3d4e5") == PLAN


async def test_who_may_not_see_the_project_gets_no_file(studio: Studio, files: ServerFiles) -> None:
    for login in (studio.strangers, Login(studio.server.url), studio.limited("profile:read")):
        with pytest.raises(SpeckleError):
            await content(files, studio, login, "a1b2c3d4e5")
    with pytest.raises(SpeckleTokenRefused):
        await content(files, studio, Login(studio.server.url, "5a" * 21), "a1b2c3d4e5")


@pytest.mark.parametrize("blob_id", ["missing", "../../graphql", "a1b2c3d4e5?x=1"])
async def test_a_file_that_there_is_none_of_is_an_error(
    studio: Studio, files: ServerFiles, blob_id: str
) -> None:
    with pytest.raises(SpeckleNotFound):
        await content(files, studio, studio.login, blob_id)
    assert studio.server.requests[-1].path.startswith("/api/stream/")


async def test_a_file_that_lies_elsewhere_is_not_fetched_there(
    studio: Studio, files: ServerFiles
) -> None:
    studio.server.faults.redirect_to = f"{studio.server.url}/elsewhere"
    with pytest.raises(SpeckleUnavailable, match="elsewhere"):
        await content(files, studio, studio.login, "a1b2c3d4e5")
    assert len(studio.server.requests) == 1
