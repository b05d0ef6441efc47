"""A real Chromium, driven by Playwright, for tests of pages."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect
from yarl import URL

PROGRAM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
needs_chromium = pytest.mark.skipif(
    PROGRAM is None, reason="there is no Chromium on this machine: apt install chromium"
)
WIDE = (1440, 900)
PHONE = (390, 844)
WAIT_MS = 15_000
expect.set_options(timeout=WAIT_MS)  # which a context's own does not reach


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser without a window, for as long as the block lasts."""
    sandbox = os.geteuid() != 0  # it refuses to run as root with one
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=PROGRAM, chromium_sandbox=sandbox
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def tab(
    browser: Browser,
    url: str,
    size: tuple[int, int] = WIDE,
    colours: Literal["light", "dark"] = "dark",
) -> AsyncIterator[Page]:
    """A tab with this page, in a profile of its own.

    At the end nothing may have gone wrong in its scripts, and nothing was asked elsewhere.
    """
    width, height = size
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=colours,
        reduced_motion="reduce",
        timezone_id="UTC",
        locale="en-GB",
    )
    context.set_default_timeout(WAIT_MS)
    page = await context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(f"script: {error}"))
    page.on("console", lambda line: _note_error(problems, line))
    own = URL(url).origin()
    page.on("request", lambda asked: _note_elsewhere(problems, own, asked.url))
    try:
        await page.goto(url)
        yield page
    finally:
        await context.close()
    assert problems == [], problems


def _note_error(problems: list[str], line: ConsoleMessage) -> None:
    if line.type == "error":
        problems.append(f"{line.text} ({line.location.get('url', '')})")


def _note_elsewhere(problems: list[str], own: URL, asked: str) -> None:
    if URL(asked).origin() != own:
        problems.append(f"asked elsewhere: {asked}")


async def serious_barriers(page: Page) -> list[str]:
    """What axe-core finds on the page that keeps people out: rule, and where."""
    found: dict[str, Any] = (await Axe().run(page)).response
    return [
        f"{rule['id']}: {node['target']} {node.get('failureSummary', '')}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
