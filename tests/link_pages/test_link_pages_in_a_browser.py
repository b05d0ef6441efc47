"""Signing in, walked through in a real Chromium; skipped where there is none."""

from playwright.async_api import expect

from bot.storage import Storage
from tests.browser import chromium, needs_chromium
from tests.link_pages.test_link_pages import open_desk
from tests.services.conftest import MAREN, Clock, clock, storage

__all__ = ["clock", "storage"]

pytestmark = needs_chromium


async def test_a_person_signs_in(storage: Storage, clock: Clock) -> None:
    async with open_desk(storage, clock) as desk, chromium() as browser:
        page = await browser.new_page()
        await page.goto(desk.url + await desk.link())
        await expect(page.locator("body")).to_contain_text("Maren Oduya (@maren.o)")
        # The page's own style came through its policy.
        await expect(page.locator("main")).not_to_have_css("max-width", "none")
        await page.locator("form button").click()
        await page.wait_for_url(f"{desk.office.server.url}/authn/verify/**")
        code = desk.office.approve(page.url)
        # As Speckle's page does: it sends the browser on by itself.
        await page.goto(f"{desk.url}/link/callback?access_code={code}")
        await expect(page.locator("body")).to_contain_text("It worked")
        await expect(page.locator("body")).to_contain_text("Ilse Brandt")
        assert await page.context.cookies() == []
        account = await desk.office.lender.of_user(MAREN, desk.office.server.url)
        assert account is not None
