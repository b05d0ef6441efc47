"""The page's Speckle in a real browser: each action reaches Discord, or says why it does not."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from playwright.async_api import Browser, Locator, Page, expect

from sandbox.demo.days import MAREN, TOMAS
from sandbox.demo.opening import play_opening
from sandbox.demo.page.site import serving_page
from sandbox.demo.stage import DemoServer, Stage, open_stage
from tests.browser import PHONE, chromium, needs_chromium, serious_barriers, tab

pytestmark = needs_chromium


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Stage, str]]:
    async with open_stage(folder, 0) as stage, serving_page(stage) as url:
        await play_opening(stage, 0, lambda _: None)
        yield stage, url


async def test_what_people_do_in_speckle_is_fired_and_shown(tmp_path: Path) -> None:
    async with opened(tmp_path) as (stage, url), chromium() as browser:
        async with tab(browser, url) as page:
            speckle = page.locator("#speckle")
            await open_project(speckle, "Harbour Tower")
            await publish_by_keyboard(page, speckle, stage)
            await comment_and_resolve(page, speckle, stage)
            await read_the_webhook_s_history(speckle)
            await be_somebody_else(page, speckle)
            await work_on_issues(speckle, stage)
            assert await serious_barriers(page) == []
        await ask_for_what_cannot_be_done(stage, url)
        for server in stage.servers:
            await sign_in(browser, stage, server)
        async with tab(browser, url, PHONE, "light") as phone:
            await phone.get_by_role("tab", name="Speckle").click()
            await open_project(phone.locator("#speckle"), "Harbour Tower")
            await expect(
                phone.get_by_role("button", name="Publish a version…").first
            ).to_be_visible()
            assert await serious_barriers(phone) == []
            assert await phone.evaluate("document.documentElement.scrollWidth") == PHONE[0]


async def open_project(speckle: Locator, name: str) -> None:
    await speckle.get_by_role("button", name="Projects", exact=True).click()
    await speckle.get_by_role("button", name=name).click()


async def outcome(speckle: Locator, *texts: str) -> None:
    for text in texts:
        await expect(speckle.locator(".sp-outcome")).to_contain_text(text)


async def publish_by_keyboard(page: Page, speckle: Locator, stage: Stage) -> None:
    """From the button to the card without a mouse."""
    await speckle.get_by_role("button", name="Publish a version…").first.focus()
    await page.keyboard.press("Enter")
    message = page.get_by_role("dialog").get_by_label("Message")
    await expect(message).to_be_focused()
    await page.keyboard.press("Control+A")
    await page.keyboard.type("Stair B widened")
    await page.keyboard.press("Enter")
    await outcome(speckle, "version_create", "1 call of a webhook")
    await until_shown(stage, "structure", "Stair B widened")
    picture = speckle.get_by_alt_text("Picture of structure/level 1").first
    assert await picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


async def comment_and_resolve(page: Page, speckle: Locator, stage: Stage) -> None:
    await speckle.get_by_role("button", name="What to do with “Stair B widened”").click()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Enter")
    await page.get_by_role("dialog").get_by_role("button", name="Send").click()
    await expect(page.get_by_role("alert")).to_have_text("Fill in: Comment.")
    await page.get_by_role("dialog").get_by_label("Comment").fill("@Tomas Reyes is it 1.20 m?")
    await page.get_by_role("dialog").get_by_role("button", name="Send").click()
    await outcome(speckle, "comment_created", "comment_mention")
    await speckle.locator(".sp-tabs").get_by_role("button", name="Comments").click()
    thread = speckle.locator(".sp-thread", has_text="is it 1.20 m?")
    await thread.get_by_label("Reply").fill("It is.")
    await page.keyboard.press("Enter")
    await expect(thread).to_contain_text("It is.")
    await thread.get_by_role("button", name="Resolve").click()
    await expect(thread.locator(".sp-badge")).to_have_text("Resolved")
    await until_shown(stage, "coordination", "resolved")


async def read_the_webhook_s_history(speckle: Locator) -> None:
    await speckle.locator(".sp-tabs").get_by_role("button", name="Webhooks").click()
    last = speckle.locator(".sp-calls li").first
    await expect(last).to_contain_text("Delivered")
    await last.get_by_role("button").click()
    for text in ("X-WEBHOOK-SIGNATURE", '"event_name": "comment_archived"', "HTTP 202"):
        await expect(last).to_contain_text(text)
    await speckle.get_by_role("switch").click()
    await expect(speckle.locator(".sp-toggle")).to_have_text("Off")
    await speckle.get_by_role("button", name="Make public").click()
    await outcome(speckle, "project_update", "no webhook here is switched on for it")
    await speckle.get_by_role("switch").click()
    await speckle.get_by_role("button", name="Make private").click()
    await outcome(speckle, "project_update", "1 call of a webhook")


async def be_somebody_else(page: Page, speckle: Locator) -> None:
    """A role that is taken takes the project out of sight, and fires nothing."""
    await speckle.locator(".sp-tabs").get_by_role("button", name="People").click()
    await page.get_by_role("button", name="Take Ilse Brandt out of the project").click()
    await outcome(speckle, "Speckle fires no event for this")
    await speckle.get_by_label("You are").select_option(label="Ilse Brandt")
    await expect(speckle.get_by_role("alert")).to_have_text(
        "Ilse Brandt does not have access to this project."
    )
    await speckle.get_by_label("You are").select_option(label="Hana Ito")
    await open_project(speckle, "Harbour Tower")
    await expect(speckle.get_by_role("button", name="Publish a version…")).to_have_count(0)
    await speckle.locator(".sp-tabs").get_by_role("button", name="Webhooks").click()
    await expect(speckle).to_contain_text("Only owners see a project's webhooks")


async def work_on_issues(speckle: Locator, stage: Stage) -> None:
    await speckle.get_by_role("button", name="Speckle 4").click()
    await open_project(speckle, "Quay House")
    await speckle.locator(".sp-tabs").get_by_role("button", name="Issues").click()
    issue = speckle.locator(".sp-thread", has_text="Bracket clashes")
    await issue.get_by_label("Status of QH-1").select_option(label="Ready for review")
    await outcome(speckle, "issue_updated")
    await until_shown(stage, "quay-house", "eady for review")


async def sign_in(browser: Browser, stage: Stage, at: DemoServer) -> None:
    """Ilse links her account through the bot's page and Speckle's."""
    ilse = stage.members["Ilse Brandt"]
    channel = stage.channel("playground")
    answer = await stage.discord.command(stage.guild, channel, ilse, "link", server=at.server.url)
    await answer.settled()
    (url,) = [one["url"] for row in answer.components for one in row["components"] if "url" in one]
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(url)
    await page.get_by_role("button").click()
    await page.get_by_label("Ilse Brandt").check()
    assert await serious_barriers(page) == []
    await page.get_by_role("button", name="Allow").click()
    await expect(page.locator("main")).to_contain_text("Ilse Brandt")
    await context.close()
    tokens = [one for one in at.server.tokens.values() if one.user.name == "Ilse Brandt"]
    assert [one.app for one in tokens] == [at.sign_in_app]


async def until_shown(stage: Stage, channel: str, text: str) -> None:
    """Wait until a message in the channel has this text."""
    there = stage.channel(channel)

    def shown() -> bool | None:
        said: Sequence[object] = [
            (one.content, one.embeds) for one in stage.discord.messages(there)
        ]
        return True if text in str(said) else None

    await stage.discord.world.wait_until(shown, 10)


async def ask_for_what_cannot_be_done(stage: Stage, url: str) -> None:
    """Each is refused with the reason."""
    async with aiohttp.ClientSession() as http:
        maren, tomas = (stage.servers[0].main.people[one].id for one in (MAREN, TOMAS))
        tower = {"server": 0, "project": stage.servers[0].main.project.id}
        for name, body, status, part in (
            ("delete-project", tower | {"by": tomas}, 409, "Only an owner of the project"),
            ("publish", tower | {"by": maren, "model": "none"}, 409, "not there any more"),
            ("burst", tower | {"by": maren, "count": 201}, 400, "malformed at count"),
            ("create-model", tower | {"by": "nobody", "name": "x"}, 409, "not there any more"),
            (
                "create-webhook",
                tower | {"by": MAREN, "url": "https://example.com/", "events": []},
                409,
                "addresses on this computer alone",
            ),
            ("create-project", {"server": 7, "by": maren, "name": "x"}, 409, "no such Speckle"),
        ):
            headers = {"Origin": url}
            async with http.post(f"{url}/api/speckle/{name}", json=body, headers=headers) as said:
                assert (said.status, part in (await said.json())["error"]) == (status, True)
        async with http.get(f"{url}/api/speckle/0/projects/none") as said:
            assert said.status == 409
