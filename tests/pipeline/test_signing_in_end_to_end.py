"""The whole bot: a /subscribe that waits, a sign-in in a browser, and what follows in Discord."""

import asyncio
import re

import aiohttp

from bot.model import HookState
from sandbox.discord import InteractionView
from sandbox.speckle import SPECKLE_4, SpeckleServer
from tests.pipeline.conftest import StartBot, Studio
from tests.pipeline.test_owner_end_to_end import free_port
from tests.waiting import until


def url_of(answer: InteractionView, label: str) -> str:
    components = [part for row in answer.components for part in row["components"]]
    return str(next(part["url"] for part in components if part["label"] == label))


async def go_on_to_speckle(browser: aiohttp.ClientSession, url: str) -> str:
    """Open the page from Discord and press its button; gives Speckle's address."""
    async with browser.get(url) as page:
        proof = re.search(r'name="proof" value="([^"]+)"', await page.text())
    assert proof is not None
    async with browser.post(url, data={"proof": proof[1]}, allow_redirects=False) as leaving:
        return leaving.headers["Location"]


async def subscribe_without_account(studio: Studio, project: str) -> InteractionView:
    """Type it, and press the button that links an account: the answer, with the ways to do that."""
    answer = await studio.sandbox.command(
        studio.guild, studio.structure, studio.maren, "subscribe", stream_id=project
    )
    await studio.sandbox.press(await answer.settled(), "Link my account", studio.maren)
    await until(lambda: "Sign in with Speckle" in str(answer.components))
    return answer


async def test_signing_in_completes_the_subscribe_that_waited_also_after_a_restart(
    studio: Studio, start_bot: StartBot
) -> None:
    port = free_port()
    public_url = f"http://127.0.0.1:{port}"
    async with (
        SpeckleServer.start() as server,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser,
    ):
        ilse = server.add_user("Ilse Brandt")
        tower = server.add_project("Kestrel Tower", owner=ilse, visibility="PUBLIC")
        registered = server.register_app(f"{public_url}/link/callback")
        settings = {
            "public_url": public_url,
            "webhook_port": port,
            "speckle_servers": (server.url,),
            "speckle_apps": (f"{registered.id}:{registered.secret}",),
            "speckle": {"enrich_deadline_s": 3.0},
        }
        async with start_bot(**settings):
            answer = await subscribe_without_account(studio, f"{server.url}/projects/{tower.id}")
        async with start_bot(**settings) as app:
            at = await go_on_to_speckle(browser, url_of(answer, "Sign in with Speckle"))
            code = server.approve(ilse, registered, at.rpartition("/")[2])
            back = f"{registered.redirect_url}?access_code={code}"
            async with browser.get(back) as page:
                assert "It worked" in await page.text()
            await until(lambda: server.webhooks(tower))
            await until(lambda: "now follows" in str(studio.sandbox.messages(studio.structure.id)))
            (hook,) = await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
            assert hook.state is HookState.LIVE
            account = await app.storage.read(
                lambda tx: tx.accounts.of_user(studio.maren.id, server.url)
            )
            assert account is not None
            assert hook.account_id == account.id
            for _ in range(100):
                if not await app.storage.read(lambda tx: tx.link_requests.linked()):
                    break
                await asyncio.sleep(0.05)
            assert await app.storage.read(lambda tx: tx.link_requests.linked()) == []
            async with browser.get(f"{public_url}/link/{'n' * 43}") as page:
                assert page.status == 404


async def test_a_code_that_speckle_shows_completes_the_subscribe_that_waited(
    studio: Studio, start_bot: StartBot
) -> None:
    """Without a public address: the project is then live through the account."""
    async with SpeckleServer.start(release=SPECKLE_4) as server:
        ilse = server.add_user("Ilse Brandt")
        tower = server.add_project("Kestrel Tower", owner=ilse, visibility="PUBLIC")
        registered = server.register_app("https://localhost/link/callback")
        settings = {
            "public_url": None,
            "speckle_servers": (server.url,),
            "speckle_apps": (f"{registered.id}:{registered.secret}",),
            "speckle": {"enrich_deadline_s": 3.0},
        }
        async with start_bot(**settings):
            answer = await subscribe_without_account(studio, f"{server.url}/projects/{tower.id}")
        async with start_bot(**settings) as app:
            challenge = url_of(answer, "Sign in with Speckle").rpartition("/")[2]
            code = server.approve(ilse, registered, challenge)
            form = await studio.sandbox.press(answer, "Paste the code", studio.maren)
            await studio.sandbox.submit_modal(form, {"Code": code}, studio.maren)
            await until(lambda: "now follows" in str(studio.sandbox.messages(studio.structure.id)))
            (hook,) = await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
            assert hook.is_heard
            assert server.webhooks(tower) == []
