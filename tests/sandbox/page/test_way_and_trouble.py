"""The way of an event and trouble by switch, in a real browser, with the whole bot behind them."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Locator, Page, expect

from sandbox.demo.opening import play_opening
from sandbox.demo.page.site import serving_page
from sandbox.demo.stage import Stage, open_stage
from sandbox.discord.discord import TOKEN
from tests.browser import PHONE, chromium, needs_chromium, serious_barriers, tab

pytestmark = needs_chromium
STARTS_WITHIN_MS = 30_000
AT_LEAST_TEN = re.compile(r"^1\d$")  # five versions in two channels, and what was still on its way


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Stage, str]]:
    async with open_stage(folder, 0) as stage, serving_page(stage) as url:
        await play_opening(stage, 0, lambda _: None)
        yield stage, url


async def test_an_event_shows_its_way_and_no_trouble_loses_one(tmp_path: Path) -> None:
    async with (
        opened(tmp_path) as (stage, url),
        chromium() as browser,
        tab(browser, url) as page,
    ):
        assert stage.discord.token != TOKEN  # which the page of any site could know
        await read_the_way_of_one(page)
        await refuse_a_wrong_signature(page)
        await page.get_by_role("tab", name="Trouble").click()
        await kill_and_start(page, stage)
        await survive_a_discord_that_is_down(page, stage)
        assert await serious_barriers(page) == []
        await take_the_tour(page)
        async with tab(browser, url, PHONE, "light") as phone:
            await phone.get_by_role("tab", name="Events").click()
            await expect(phone.locator(".event").first).to_be_visible()
            assert await serious_barriers(phone) == []
            width = await phone.evaluate("document.documentElement.scrollWidth")
            assert width == PHONE[0]


async def read_the_way_of_one(page: Page) -> None:
    await page.get_by_role("tab", name="The way of an event").click()
    row = page.get_by_role("button", name="comment created")
    await row.click()
    way = page.locator(".event", has=row).locator(".event-way")
    for text in (
        "Speckle called the bot's webhook.",
        "The signature is right",
        "#structure Not shown: the channel follows models, versions",
        "May be shown: the account of the person who subscribed the channel",
        "Asked Speckle for more, and added it.",
        "Discord took it, as message",
    ):
        await expect(way).to_contain_text(text)
    assert await serious_barriers(page) == []


async def refuse_a_wrong_signature(page: Page) -> None:
    await page.get_by_role("button", name="Wrong signature").click()
    await expect(page.locator(".event").first).to_contain_text("Refused")
    await expect(page.locator(".event-answer")).to_contain_text("The bot answered 401")


async def kill_and_start(page: Page, stage: Stage) -> None:
    kept = page.locator(".fault-count", has_text="Events kept by Speckle").locator("dd")
    structure = stage.channel("structure")
    before = len(stage.discord.messages(structure))
    await page.get_by_role("button", name="Kill the bot").click()
    await page.get_by_role("button", name="Publish a version").click()
    await expect(kept).to_have_text("1")
    await page.get_by_role("button", name="Start the bot").click()
    await expect(kept).to_have_text("0", timeout=STARTS_WITHIN_MS)
    await expect(page.locator(".fault-log")).to_contain_text("1 taken in")
    await stage.discord.wait_for_messages(structure, before + 1)
    assert shown(stage, "Openings moved on axis 1") == 1


async def survive_a_discord_that_is_down(page: Page, stage: Stage) -> None:
    switch = page.get_by_role("switch", name="Discord is down")
    await switch.click()
    await page.get_by_role("button", name="Publish 5").click()
    await expect(waiting(page)).to_have_text(AT_LEAST_TEN)
    await expect(page.locator(".fault-log")).to_contain_text("is tried again in")
    await switch.click()
    await page.get_by_role("button", name="Try now what waits").click()
    await expect(waiting(page)).to_have_text("0", timeout=STARTS_WITHIN_MS)
    assert [shown(stage, f"Openings moved on axis {number}") for number in range(1, 7)] == [1] * 6


async def take_the_tour(page: Page) -> None:
    """With the keyboard alone."""
    button = page.get_by_role("button", name="Take the tour")
    await button.focus()
    await page.keyboard.press("Enter")
    card = page.get_by_role("dialog")
    steps = int((await card.locator(".tour-step").inner_text()).rpartition(" ")[2])
    for number in range(1, steps):
        await expect(card.locator(".tour-step")).to_have_text(f"Step {number} of {steps}")
        await card.get_by_role("button", name="Next").press("Enter")
    assert await serious_barriers(page) == []
    await page.keyboard.press("Escape")
    await expect(card).to_have_count(0)
    await expect(button).to_be_focused()


def waiting(page: Page) -> Locator:
    return page.locator(".fault-count", has_text="Cards waiting").locator("dd")


def shown(stage: Stage, message: str) -> int:
    """How many cards in #structure say this."""
    messages = stage.discord.messages(stage.channel("structure"))
    return sum(message in str(embed) for one in messages for embed in one.embeds)
