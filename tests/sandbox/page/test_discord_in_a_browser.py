"""The page's Discord in a real browser, with the whole bot behind it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from playwright.async_api import Locator, Page, expect

from sandbox.demo.days import MAREN
from sandbox.demo.page.site import serving_page
from sandbox.demo.stage import Stage, open_stage
from tests.browser import PHONE, chromium, needs_chromium, serious_barriers, tab
from tests.sandbox.page.discord_messages import Gallery

pytestmark = needs_chromium
FIRST_ANSWER_PASSED_MS = 10_000


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Stage, str]]:
    async with open_stage(folder, 0) as stage, serving_page(stage) as url:
        yield stage, url


async def test_everything_that_a_person_does_in_discord(tmp_path: Path) -> None:
    async with opened(tmp_path) as (stage, url), chromium() as browser:
        gallery = Gallery(stage.discord, stage.guild)
        gallery.fill(stage.guild, stage.manager)
        await be_closed_to_other_sites(url)
        async with tab(browser, url) as page:
            await subscribe_by_keyboard(page, stage)
            await sign_in_and_agree(page)
            await read_a_card(page, stage)
            await change_it_in_a_form(page)
            await be_somebody_else(page)
            await look_at_every_message(page)
            await go_elsewhere(page)
            await stay_fluent_in_a_burst(page, gallery)
            await stage.bot.kill()
            await get_no_answer(page)
        async with tab(browser, url, PHONE, "light") as phone:
            await use_it_on_a_phone(phone)


async def be_closed_to_other_sites(url: str) -> None:
    """The whole site has the guard, whose rules have tests of their own."""
    hostile = ({"Host": "evil.example"}, {"Origin": "https://evil.example"})
    async with aiohttp.ClientSession() as http:
        for path in ("/", "/static/main.js", "/api/changes", "/api/discord/state"):
            for headers in hostile:
                async with http.get(url + path, headers=headers) as answer:
                    assert answer.status == 403
        async with http.post(f"{url}/api/discord/say", json={}) as answer:
            assert answer.status == 403


def message(page: Page, text: str) -> Locator:
    """The last message that has this text."""
    return page.locator(".dc-message", has_text=text).last


def chosen(page: Page) -> Locator:
    """What Enter would take out of the list above the line."""
    return page.locator('.dc-suggestion[aria-selected="true"]')


async def go(page: Page, channel: str) -> None:
    nav = page.get_by_role("navigation", name="Channels")
    await nav.get_by_role("button", name=channel, exact=True).click()
    await expect(page.locator(".dc-head-name")).to_have_text(channel)


async def subscribe_by_keyboard(page: Page, stage: Stage) -> None:
    """A command, its options and their values, without the mouse; commas and spaces as they are."""
    await go(page, "facade")
    await page.get_by_role("combobox", name="Message #facade").focus()
    await page.keyboard.type("/subs")
    await expect(chosen(page)).to_contain_text("/subscribe")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Escape")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("stream_id is required")
    await page.keyboard.insert_text(stage.servers[0].main.url)
    await page.keyboard.press("Escape")
    await page.keyboard.press("ArrowRight")
    await page.keyboard.type("mod")
    await expect(chosen(page)).to_contain_text("models")
    await page.keyboard.press("Tab")
    await page.keyboard.type("structure/**, !**/old draft")
    assert await serious_barriers(page) == []
    await page.keyboard.press("Escape")
    await page.keyboard.press("Enter")
    answer = message(page, "Maren Oduya used /subscribe")
    await expect(answer).to_contain_text("Only you can see this")
    await expect(answer.get_by_role("button", name="Link my account")).to_be_visible()


async def sign_in_and_agree(page: Page) -> None:
    """The bot's page, then Speckle's, each in its own tab; the command then goes on."""
    await page.get_by_role("button", name="Link my account").click()
    async with page.expect_popup() as opening:
        await page.get_by_role("link", name="Sign in with Speckle").click()
    other = await opening.value
    await other.get_by_role("button", name="Continue to Speckle").click()
    await other.get_by_role("radio", name="Maren Oduya").check()
    await other.get_by_role("button", name="Allow").click()
    await expect(other.locator("body")).to_contain_text("It worked")
    await other.close()
    asked = message(page, "Who will see this project")
    await asked.get_by_role("button", name="Show it there").click()
    follows = message(page, "This channel now follows Harbour Tower")
    await expect(follows).to_contain_text("only models structure/** · without models **/old draft")


async def read_a_card(page: Page, stage: Stage) -> None:
    tower = stage.servers[0].main
    tower.server.add_model(tower.project, "structure/level 1", author=tower.people[MAREN])
    await tower.send(MAREN, "structure/level 1", "12 beams added", "Revit2025", 20)
    card = page.locator("article.embed", has_text="12 beams added")
    await expect(card).to_contain_text("structure/level 1")
    await expect(card.get_by_role("link", name="structure/level 1").first).to_be_visible()
    said = page.locator("#announcements")
    await expect(said).to_contain_text("structure/level 1")
    more = message(page, "12 beams added").get_by_role("button", name="More for this message")
    await more.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("menuitem", name="Why is this here?")).to_be_focused()
    assert await serious_barriers(page) == []
    await page.keyboard.press("Escape")
    await expect(more).to_be_focused()
    await card.locator(".embed-footer").click(button="right")
    await page.get_by_role("menuitem", name="Why is this here?").click()
    await expect(message(page, "used Why is this here?")).to_contain_text("This is shown here")


async def change_it_in_a_form(page: Page) -> None:
    await page.get_by_role("combobox", name="Message #facade").fill("/subscriptions ")
    await expect(page.locator(".dc-command")).to_have_text("/subscriptions")
    await page.keyboard.press("Enter")
    listed = message(page, "used /subscriptions")
    await listed.get_by_role("button", name="Choose a subscription").press("Enter")
    await page.keyboard.press("Enter")
    await listed.get_by_role("button", name="Edit").click()
    form = page.get_by_role("dialog")
    await expect(form).to_be_visible()
    assert await serious_barriers(page) == []
    await page.keyboard.press("Escape")
    await expect(form).to_have_count(0)
    await expect(listed.get_by_role("button", name="Edit")).to_be_focused()
    await listed.get_by_role("button", name="Dismiss message").click()
    await expect(page.locator(".dc-message", has_text="used /subscriptions")).to_have_count(0)


async def be_somebody_else(page: Page) -> None:
    """Who may do nothing sees no answers of others, and is offered what is for all."""
    await page.get_by_role("button", name="You are Maren Oduya, Manage Webhooks").click()
    await page.get_by_role("menuitemradio", name="Jonas Vik").click()
    await expect(page.get_by_role("button", name="You are Jonas Vik")).to_be_visible()
    await expect(message(page, "12 beams added")).to_be_visible()
    await expect(page.locator(".dc-message.ephemeral")).to_have_count(0)
    await page.get_by_role("combobox", name="Message #facade").fill("/")
    await expect(page.get_by_role("option", name="/account")).to_be_visible()
    await expect(page.get_by_role("option", name="/subscribe")).to_have_count(0)
    await page.get_by_role("combobox", name="Message #facade").fill("Hello, all!")
    await page.keyboard.press("Enter")
    await expect(message(page, "Hello, all!")).to_contain_text("Jonas Vik")
    await page.get_by_role("button", name="Members", exact=True).click()
    await page.get_by_role("complementary", name="Members").get_by_text("Maren Oduya").click()
    await page.get_by_role("button", name="Members", exact=True).click()


async def look_at_every_message(page: Page) -> None:
    await go(page, "gallery")
    first = message(page, "Have you seen")
    await expect(first).to_contain_text("Have you seen #gallery, @Maren Oduya? <script>")
    await expect(first).to_have_class("dc-message mentions-me")
    hidden = page.get_by_role("button", name="Spoiler")
    await hidden.press("Enter")
    await expect(page.get_by_text("a secret")).to_be_visible()
    moment = message(page, "A title").locator("time.timestamp:not(.plain)")
    await expect(moment).to_have_attribute("title", re.compile("26 November 2026.*10:32"))
    drawing = page.get_by_role("img", name="Drawing of the north facade").first
    await expect(drawing).to_have_js_property("naturalWidth", 320)
    card = page.locator("article.embed")
    find_tops = "all => all.map(one => one.getBoundingClientRect().top)"
    tops = await card.locator(".embed-field").evaluate_all(find_tops)
    assert tops[0] == tops[1] == tops[2] < tops[3] < tops[4]
    await expect(card).to_contain_text("Picture from elsewhere, not loaded here")
    assert (
        await card.evaluate("one => getComputedStyle(one).borderLeftColor") == "rgb(87, 211, 140)"
    )
    await page.get_by_role("button", name="Choose").click()
    for name in ("Option a", "Option c"):
        await page.get_by_role("option", name=name).click()
    await expect(page.locator(".dc-picker")).to_have_text("Option a, Option c")
    assert await serious_barriers(page) == []
    await expect(page.locator(".dc-container")).to_contain_text("In a container")
    await expect(page.get_by_text("Speckle is thinking…")).to_be_visible()


async def go_elsewhere(page: Page) -> None:
    """A thread, a forum's post, a private conversation, and back by what is mentioned there."""
    await page.get_by_role("button", name="Clash at C/4 1 Message").click()
    await expect(message(page, "In the thread")).to_be_visible()
    await go(page, "ideas")
    await page.get_by_role("button", name="Timber for the roof Speckle:").click()
    await expect(message(page, "Timber would do")).to_be_visible()
    await page.get_by_role("button", name="Direct messages").click()
    await page.get_by_role("link", name="there").click()
    await expect(page.locator(".dc-head-name")).to_have_text("gallery")
    await expect(message(page, "Here a thread begins")).to_be_in_viewport()
    await page.get_by_role("button", name="Direct messages").click()
    await page.get_by_role("button", name="#gallery").click()
    await expect(page.locator(".dc-head-name")).to_have_text("gallery")
    await expect(page.locator(".dc-guild")).to_have_text("Studio Kestrel")


async def stay_fluent_in_a_burst(page: Page, gallery: Gallery) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for number in range(200):
        gallery.say(f"Burst {number}")
    await expect(message(page, "Burst 199")).to_be_in_viewport()
    assert len([one for one in asked if "/state" in one]) < 20


async def get_no_answer(page: Page) -> None:
    await expect(page.get_by_text("The bot is offline")).to_be_visible()
    await page.get_by_role("combobox", name="Message #gallery").fill("/account ")
    await expect(page.locator(".dc-command")).to_have_text("/account")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Sending command…")).to_be_visible()
    failed = message(page, "The application did not respond")
    await expect(failed).to_contain_text(
        "Maren Oduya used /account", timeout=FIRST_ANSWER_PASSED_MS
    )
    await expect(failed).to_contain_text("Only you can see this")
    assert await serious_barriers(page) == []


async def use_it_on_a_phone(page: Page) -> None:
    await page.get_by_role("button", name="Channels", exact=True).click()
    await go(page, "gallery")
    await expect(message(page, "Burst 199")).to_be_in_viewport()
    assert await page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
    assert await serious_barriers(page) == []
