"""Screenshots that are too large for Discord are made smaller, and pictures of nothing left out."""

import base64
import io
import json
import random
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from bot.cards.card import Picture
from bot.cards.pictures import MAX_SCREENSHOT_BYTES, content_of
from bot.model import Hook
from bot.pipeline.picture_resizer import PictureResizer
from bot.speckle.events import CommentCreated, Delivery, Project
from bot.speckle_api.previews import NoPicture, Rendered
from bot.speckle_api.types import Login
from bot.speckle_api.version_pictures import VersionPictures
from tests.pipeline.conftest import Recorded, StartBot, Studio, post, recorded
from tests.pipeline.deliveries import subscribe
from tests.waiting import until

COMMENT = next(one for one in recorded() if one.name == "comment_created")


def noise(side: int) -> bytes:
    """A PNG that cannot be packed well: about three bytes a pixel."""
    pixels = random.Random(side).randbytes(3 * side * side)  # noqa: S311  # no secret
    out = io.BytesIO()
    Image.frombytes("RGB", (side, side), pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def data_url(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def with_screenshot(content: bytes) -> Recorded:
    payload: dict[str, Any] = json.loads(COMMENT.body)
    payload["payload"]["event"]["data"]["input"]["screenshot"] = data_url(content)
    return replace(COMMENT, body=json.dumps(payload).encode())


async def shrunk(screenshot: str) -> str | None:
    resizer = PictureResizer()
    event = CommentCreated("thread", screenshot=screenshot)
    try:
        found = await resizer.shrink(Delivery(event, "comment_created", Project("p")))
    finally:
        resizer.close()
    assert isinstance(found.event, CommentCreated)
    return found.event.screenshot


async def test_a_screenshot_that_discord_takes_stays_as_it_is() -> None:
    small = data_url(noise(100))
    assert await shrunk(small) == small


@pytest.mark.parametrize("side", [1_750, 2_200])  # 9 and 14.5 MB
async def test_a_screenshot_that_is_too_large_for_discord_is_scaled(side: int) -> None:
    content = noise(side)
    assert len(content) > MAX_SCREENSHOT_BYTES
    small = await shrunk(data_url(content))
    assert small is not None
    scaled = content_of(small, MAX_SCREENSHOT_BYTES)
    assert scaled is not None
    with Image.open(io.BytesIO(scaled)) as image:
        assert image.format == "JPEG"
        assert max(image.size) <= 2_560


async def test_a_large_screenshot_that_is_no_picture_is_dropped() -> None:
    assert await shrunk(data_url(b"\x89PNG\r\n\x1a\n" + b"A" * 10_000_000)) is None


async def test_a_comment_with_a_screenshot_of_14_mb_shows_it(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        await subscribe(studio, studio.structure, COMMENT.payload["streamId"])
        (hook,) = await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
        assert isinstance(hook, Hook)
        assert await post(app, hook, with_screenshot(noise(2_200))) == 202

        async def shown() -> Any:
            return next((m for m in studio.sandbox.messages(studio.structure.id) if m.embeds), None)

        message = await until(shown, 30)
        (image,) = [one for one in message.files if one.name.startswith("screenshot-")]
        assert image.name.endswith(".jpg")


class Previews:
    """A server that has rendered something of this colour."""

    def __init__(self, colour: tuple[int, int, int, int]) -> None:
        out = io.BytesIO()
        Image.new("RGBA", (700, 400), colour).save(out, "PNG")
        self.content = out.getvalue()

    async def of_version(self, *_: object, **__: object) -> Rendered:
        return Rendered(self.content)


@pytest.mark.parametrize(("opacity", "blank"), [(0, True), (1, False), (255, False)])
async def test_a_wholly_transparent_preview_is_no_picture(opacity: int, blank: bool) -> None:
    previews: Any = Previews((200, 40, 40, opacity))
    found = await VersionPictures(previews).of(Login("https://speckle.example"), "p", "v", 1.0)
    assert (found is NoPicture.BLANK) is blank
    assert isinstance(found, Picture) is not blank
