"""What is live through an account, on the page: rings, the timer, and what was missed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Locator, Page, expect

from sandbox.demo.opening import play_opening
from sandbox.demo.page.site import serving_page
from sandbox.demo.stage import EVERY_S, Stage, open_stage
from sandbox.demo.studio import LIBRARY
from tests.browser import PHONE, chromium, needs_chromium, serious_barriers, tab

pytestmark = needs_chromium
STARTS_WITHIN_MS = 30_000


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Stage, str]]:
    async with open_stage(folder, 0) as stage, serving_page(stage) as url:
        await play_opening(stage, 0, lambda _: None)
        yield stage, url


async def test_a_project_without_a_webhook_is_heard_and_each_way_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as (stage, url), chromium() as browser:
        async with tab(browser, url) as page:
            await subscribe_live(page)
            await hear_a_ring(page, stage)
            await lose_a_ring(page, stage)
            await miss_one(page, stage)
        async with tab(browser, url, PHONE, "light") as phone:
            await phone.get_by_role("tab", name="Speckle").click()
            await open_live(phone)
            await expect(phone.locator(".sp-live")).to_contain_text("Maren Oduya")
            assert await serious_barriers(phone) == []
            assert await phone.evaluate("document.documentElement.scrollWidth") == PHONE[0]


async def subscribe_live(page: Page) -> None:
    """In a channel that follows nothing yet, with the keyboard."""
    await page.locator(".dc-channels").get_by_role("button", name="facade").first.click()
    await page.get_by_role("combobox", name="Message #facade").focus()
    chosen = page.locator('[role="option"][aria-selected="true"]')
    await page.keyboard.type("/subs")
    await expect(chosen).to_contain_text("/subscribe")
    await page.keyboard.press("Enter")
    await page.keyboard.type("Lighthouse")
    await expect(chosen).to_contain_text(LIBRARY)
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await expect(page.locator("#discord")).to_contain_text("Live through your account")
    await open_live(page)
    who = page.locator(".sp-live")
    await expect(who).to_contain_text("Socket open: Speckle rings")
    await expect(who).to_contain_text("For #facade, #library")
    await expect(who).to_contain_text("again in")
    assert await serious_barriers(page) == []


async def open_live(page: Page) -> None:
    speckle = page.locator("#speckle")
    await speckle.get_by_role("button", name="Projects", exact=True).click()
    await speckle.get_by_role("button", name=LIBRARY).click()
    await speckle.locator(".sp-tabs").get_by_role("button", name="Live").click()


async def publish(page: Page, stage: Stage, number: int) -> Locator:
    """Publish a version under Trouble, wait for its card, and open its way."""
    await page.get_by_role("tab", name="Trouble").click()
    await page.get_by_role("button", name=f"Publish in {LIBRARY}").click()
    return await way_of(page, stage, number)


async def way_of(page: Page, stage: Stage, number: int) -> Locator:
    """The way of the newest version there, once its card has come."""
    within_s = EVERY_S + STARTS_WITHIN_MS / 1000
    await stage.discord.world.wait_until(lambda: shown(stage, number) or None, within_s)
    await page.get_by_role("tab", name="The way of an event").click()
    events = page.locator(".event", has_text=LIBRARY)
    await expect(events).to_have_count(1 + 2 * number)  # the opening's, and one for each channel
    event = events.first
    row = event.locator(".event-row")
    if await row.get_attribute("aria-expanded") == "false":
        await row.click()
    return event.locator(".event-way")


def shown(stage: Stage, number: int) -> bool:
    messages = stage.discord.messages(stage.channel("library"))
    return any(f"Shelves moved, no. {number}" in str(one.embeds) for one in messages)


async def hear_a_ring(page: Page, stage: Stage) -> None:
    way = await publish(page, stage, 1)
    await expect(way).to_contain_text("No webhook called")
    await expect(way).to_contain_text("a WebSocket of that account rang")
    await expect(way).to_contain_text("Nothing to sign")
    await page.get_by_role("tab", name="Speckle").click()
    seen = page.locator(".sp-seen")
    await expect(seen).to_contain_text("Rang Maren Oduya: version made")
    await expect(seen).to_contain_text("List read by Maren Oduya: 1 new entry")


async def lose_a_ring(page: Page, stage: Stage) -> None:
    await page.get_by_role("tab", name="Trouble").click()
    await page.get_by_role("switch", name="Rings get lost").click()
    way = await publish(page, stage, 2)
    await expect(way).to_contain_text(f"which comes every {EVERY_S} s")
    await page.get_by_role("tab", name="Speckle").click()
    await expect(page.locator(".sp-seen")).to_contain_text("Lost on the way to Maren Oduya")
    await page.get_by_role("tab", name="Trouble").click()
    await expect(page.locator(".fault-log")).to_contain_text("was read at its turn")
    await page.get_by_role("switch", name="Rings get lost").click()


async def miss_one(page: Page, stage: Stage) -> None:
    await page.get_by_role("button", name="Kill the bot").click()
    await expect(page.locator(".fault-bot")).to_contain_text("The bot is killed.")
    await page.get_by_role("button", name=f"Publish in {LIBRARY}").click()
    kept = page.locator(".fault-count", has_text="Events kept by Speckle").locator("dd")
    await expect(kept).to_have_text("1")
    await page.get_by_role("tab", name="Speckle").click()
    await expect(page.locator(".sp-live")).to_contain_text("The bot does not run.")
    await page.get_by_role("tab", name="Trouble").click()
    await page.get_by_role("button", name="Start the bot").click()
    way = await way_of(page, stage, 3)
    await expect(way).to_contain_text("afterwards, as the bot could not look")
    await page.get_by_role("tab", name="Trouble").click()
    await expect(kept).to_have_text("0")
