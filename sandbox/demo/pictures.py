"""Takes the pictures of the README and of the docs: the try-out's page in a real browser.

Beside them stays what they were made from, so that a test can say when the page has changed since.
"""

import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from PIL import Image
from playwright.async_api import Browser, Locator, Page, async_playwright, expect

from sandbox.demo.opening import play_opening
from sandbox.demo.page.site import serving_page
from sandbox.demo.stage import open_stage
from sandbox.demo.studio import LIBRARY

ROOT: Final = Path(__file__).resolve().parents[2]
PICTURES: Final = ROOT / "docs" / "pictures"
MADE_FROM: Final = PICTURES / "made-from.txt"
PAGE: Final = Path(__file__).parent / "page"
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
SCHEMES: Final[Sequence[Literal["light", "dark"]]] = ("light", "dark")
WIDE: Final = (1440, 900)
TALL: Final = 1_100  # for all switches and the log below them
SHOWN_MS: Final = 2_400  # how long a frame of the tour is shown
TYPED_MS: Final = 1_200
SETTLES_MS: Final = 700
STARTS_WITHIN_MS: Final = 30_000
COMPARED_WITHIN_MS: Final = 60_000
TO_THE_TOP: Final = """row => {
  const view = row.closest(".view");
  const head = view.querySelector(".event-head").getBoundingClientRect();
  view.scrollTop += row.getBoundingClientRect().top - head.bottom;
}"""
TOUR_WIDTH: Final = 1_080
QUALITY: Final = 72


class NoBrowser(Exception):
    """There is no Chromium; the text is a sentence."""


def digest_of_page() -> str:
    """What gives the page its looks now, in short: its files, and how text becomes HTML."""
    static = [one for one in (PAGE / "static").rglob("*") if one.is_file()]
    files = sorted([*static, PAGE / "markdown.py"])
    summed = hashlib.sha256()
    for one in files:
        content = one.read_bytes().replace(b"\r\n", b"\n")
        summed.update(f"{one.relative_to(PAGE).as_posix()}\0{len(content)}\0".encode())
        summed.update(content)
    return summed.hexdigest()


async def take_pictures() -> None:
    """Take all of them. Errors: NoBrowser."""
    PICTURES.mkdir(exist_ok=True)
    async with _browser() as browser:
        for scheme in SCHEMES:
            with tempfile.TemporaryDirectory(prefix="speckle-pictures-") as folder:
                async with (
                    open_stage(Path(folder), 0) as stage,
                    serving_page(stage) as url,
                ):
                    await play_opening(stage, 0.4, lambda _: None)
                    async with _tab(browser, url, scheme) as page:
                        await _Photographer(page, scheme).take_all()
    MADE_FROM.write_text(f"{digest_of_page()}\n")


@asynccontextmanager
async def _browser() -> AsyncIterator[Browser]:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise NoBrowser("There is no Chromium on this machine. Install it (apt install chromium).")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, chromium_sandbox=os.name == "nt" or os.geteuid() != 0
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def _tab(browser: Browser, url: str, scheme: Literal["light", "dark"]) -> AsyncIterator[Page]:
    width, height = WIDE
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=1.5,
        color_scheme=scheme,
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="UTC",
    )
    page = await context.new_page()
    await page.goto(url)
    try:
        yield page
    finally:
        await context.close()


@dataclass(slots=True)
class _Photographer:
    """Walks through the page, and keeps what it sees."""

    page: Page
    scheme: str
    _frames: list[tuple[Image.Image, int]] = field(default_factory=list)

    async def take_all(self) -> None:
        """Each picture of this scheme, the moving one last."""
        await self._channel("structure")
        compared = self.page.locator(".dc-message", has=self._picture(), has_text="Changed:").last
        await compared.wait_for(timeout=COMPARED_WITHIN_MS)
        await self._keep("card", compared)
        await self._side("The way of an event")
        row = self.page.locator(".event-row", has_text="comment created").first
        await row.click()
        await self.page.locator(".event-way").wait_for()  # the row is made again with it
        await row.evaluate(TO_THE_TOP)
        await self._keep("way", self.page.locator(".beside"))
        await self._side("Trouble")
        await self.page.set_viewport_size({"width": WIDE[0], "height": TALL})
        await self._keep("trouble", self.page.locator(".beside"))
        await self.page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
        await self._side("Speckle")
        speckle = self.page.locator("#speckle")
        await speckle.get_by_role("button", name=LIBRARY).click()
        await speckle.locator(".sp-tabs").get_by_role("button", name="Live").click()
        await self._keep("live", self.page.locator(".beside"))
        await speckle.get_by_role("button", name="Projects", exact=True).click()
        await self._tour()

    def _picture(self) -> Locator:
        return self.page.locator(".embed-picture")

    async def _channel(self, name: str) -> None:
        await self.page.locator(".dc-channels").get_by_role("button", name=name).first.click()

    async def _side(self, name: str) -> None:
        await self.page.get_by_role("tab", name=name).click()

    async def _keep(self, name: str, of: Locator) -> None:
        await self.page.wait_for_timeout(SETTLES_MS)
        picture = Image.open(io.BytesIO(await of.screenshot())).convert("RGB")
        few_colours = picture.convert("P", palette=Image.Palette.ADAPTIVE)
        few_colours.save(PICTURES / f"{name}-{self.scheme}.png", optimize=True)

    async def _tour(self) -> None:
        """Take the page's own tour, with frames of its steps and of what one does there."""
        await self._channel("structure")
        await self.page.get_by_role("button", name="Take the tour").click()
        card = self.page.get_by_role("dialog")
        extras = {"Why did it come?": self._open_newest, "Subscribe a channel": self._subscribe}
        forward = card.get_by_role("button", name="Next")
        while True:
            await self._frame()
            title = await card.get_by_role("heading").inner_text()
            if (act := card.locator(".tour-act")) and await act.count():
                await act.click()
                await expect(act).to_be_enabled(timeout=STARTS_WITHIN_MS)
                await self.page.wait_for_timeout(2 * SETTLES_MS)
                await self._frame()
            if title in extras:
                await extras[title]()
            if not await forward.count():
                break
            await forward.click()
        self._save_frames()

    async def _open_newest(self) -> None:
        await self.page.locator(".event-row").first.click()
        await self._frame()

    async def _subscribe(self) -> None:
        """Type the command, as a person would."""
        keyboard = self.page.keyboard
        await self._channel("facade")
        await self.page.get_by_role("combobox", name="Message").click()
        await keyboard.type("/subscr")
        await self._frame(TYPED_MS)
        await keyboard.press("Enter")
        await keyboard.type("Quay")
        await self.page.get_by_role("option", name="Quay House").wait_for()
        await self._frame(TYPED_MS)
        await keyboard.press("Enter")
        await keyboard.press("Enter")
        await self.page.get_by_text("Only you can see this").last.wait_for()
        await self._frame()

    def _save_frames(self) -> None:
        first, *others = (frame for frame, _ in self._frames)
        first.save(
            PICTURES / f"tour-{self.scheme}.webp",
            save_all=True,
            append_images=others,
            duration=[duration for _, duration in self._frames],
            loop=0,
            quality=QUALITY,
            method=6,
        )

    async def _frame(self, stands_ms: int = SHOWN_MS) -> None:
        await self.page.wait_for_timeout(SETTLES_MS)
        picture = Image.open(io.BytesIO(await self.page.screenshot())).convert("RGB")
        height = round(picture.height * TOUR_WIDTH / picture.width)
        frame = picture.resize((TOUR_WIDTH, height), Image.Resampling.LANCZOS)
        self._frames.append((frame, stands_ms))
