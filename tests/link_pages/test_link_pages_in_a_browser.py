"""Signing in, walked through in a real Chromium; skipped where there is none."""

from playwright.async_api import expect

from bot.services.linking import PasteCode
from bot.storage import Storage
from sandbox.speckle import SPECKLE_4
from tests.browser import chromium, needs_chromium
from tests.link_pages.test_link_pages import open_desk
from tests.services.accounts_setup import open_office
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


async def test_without_a_public_address_speckles_page_shows_a_code_to_copy(
    storage: Storage, clock: Clock
) -> None:
    async with (
        open_office(storage, clock, release=SPECKLE_4, public_url=None) as office,
        chromium() as browser,
    ):
        way = await office.start()
        assert isinstance(way, PasteCode)
        page = await browser.new_page()
        await page.goto(way.url)
        await expect(page.locator("main")).to_contain_text("you get a code to paste")
        await page.get_by_role("button", name="Allow").click()
        await expect(page.locator("h1")).to_contain_text("Your code")
        assert page.url == way.url  # nobody is sent anywhere
        code = await page.locator(".code").inner_text()
        account = await office.linking.link_by_pasted_code(MAREN, way.nonce, code)
        assert account.name == "Ilse Brandt"
