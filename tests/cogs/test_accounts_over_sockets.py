"""/link, /unlink, /account and /privacy as people use them, with a Speckle server at the end."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from bot.cogs.accounts.views import _addresses, _link_buttons
from bot.errors import StorageUnavailable
from bot.model import Account, Consent, Entitlement, HookKind, PauseReason, SubscriptionState
from bot.notifiers.link_followups import LinkFollowUps
from bot.pending import PendingSubscribe
from bot.services.linking import PasteCode
from bot.services.pending_commands import PendingCommandService
from bot.speckle.subscription_options import SubscriptionOptions
from bot.speckle.tokens import SpeckleApp
from bot.storage import Storage
from sandbox.discord import InteractionView, SandboxMember
from sandbox.speckle import BOT_SCOPES, SPECKLE_2_31, SPECKLE_4, Release, SpeckleServer, User
from tests.cogs.conftest import ClientWithServices, RunClient, Studio, labels_of, text_of
from tests.db.test_accounts import linked
from tests.db.test_failures import locked
from tests.services.conftest import CLOUD, PUBLIC_URL, TOWER


@pytest.fixture
async def speckle(release: Release) -> AsyncIterator[SpeckleServer]:
    async with SpeckleServer.start(release=release) as server:
        yield server


def url_of(answer: InteractionView, label: str) -> str:
    components = [part for row in answer.components for part in row["components"]]
    return str(next(part["url"] for part in components if part["label"] == label))


@asynccontextmanager
async def notifying(bot: ClientWithServices) -> AsyncIterator[None]:
    """What reports links is at work, as in the running bot."""
    services = bot.services

    async def look_after(account_id: int) -> None:
        assert [one async for one in services.webhooks.reconcile_all(account_id)] == []

    follow_ups = LinkFollowUps(
        bot, services.linking, bot.flow.resume_after_link, look_after, poll_s=1.0
    )
    task = asyncio.create_task(follow_ups.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def link_by_token(studio: Studio, token: str) -> InteractionView:
    """Tobias, who manages nothing, links an account with a token."""
    answer = await studio.type("link", who=studio.tobias)
    form = await studio.press(answer, "Paste it", studio.tobias)
    linked = await studio.sandbox.submit_modal(form, {"Token": token}, studio.tobias)
    await linked.settled()
    return answer


async def account_of_tobias(storage: Storage, studio: Studio, speckle: SpeckleServer) -> Account:
    account = await storage.read(lambda tx: tx.accounts.of_user(studio.tobias.id, speckle.url))
    assert account is not None
    return account


async def test_any_member_links_an_account_with_a_token_that_nobody_gets_to_see(
    run_client: RunClient, studio: Studio, speckle: SpeckleServer, storage: Storage,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    token = speckle.token(speckle.add_user("Ilse *Brandt*"), scopes=BOT_SCOPES)
    async with run_client(speckle_servers=(speckle.url,)):
        answer = await studio.type("link", who=studio.tobias)
        assert answer.ephemeral
        for scope in BOT_SCOPES:
            assert f"`{scope}`" in text_of(answer)
        assert labels_of(answer) == ["Create a token", "Paste it"]
        assert url_of(answer, "Create a token") == f"{speckle.url}/settings/user/developer"
    async with run_client(speckle_servers=(speckle.url,)):  # after a restart
        form = await studio.press(answer, "Paste it", studio.tobias)
        assert form.modal is not None
        assert "streams:read" in form.modal["components"][0]["content"]
        await studio.sandbox.submit_modal(form, {"Token": token}, studio.tobias)
        await answer.wait_for_edits()
    assert r"linked to the Speckle account **Ilse \*Brandt\***" in text_of(answer)
    assert labels_of(answer) == []
    assert (await account_of_tobias(storage, studio, speckle)).tokens.token == token
    assert not any(token in str(request) for request in studio.sandbox.requests)
    shown = capsys.readouterr()
    assert token not in shown.out + shown.err


async def test_a_wrong_token_is_said_and_the_form_can_be_opened_again(
    run_client: RunClient, studio: Studio, speckle: SpeckleServer, storage: Storage
) -> None:
    ilse = speckle.add_user("Ilse Brandt")
    async with run_client(speckle_servers=(speckle.url,)):
        answer = await studio.type("link", who=studio.tobias)
        for token, words in (
            (speckle.token(ilse, scopes=("streams:write",)), "lacks the scopes"),
            (speckle.token(ilse, scopes=("streams:read",)), "lacks the scope `profile:read`"),
            ("f" * 42, "does not accept this token"),
            ("two words", "is not a Speckle token"),
        ):
            form = await studio.press(answer, "Paste it", studio.tobias)
            refused = await studio.sandbox.submit_modal(form, {"Token": token}, studio.tobias)
            assert refused.ephemeral
            assert words in text_of(refused)
            assert token not in text_of(refused)
        speckle.faults.status = 503
        form = await studio.press(answer, "Paste it", studio.tobias)
        away = await studio.sandbox.submit_modal(form, {"Token": "f" * 42}, studio.tobias)
        [said] = await away.wait_for_followups()
        assert said.ephemeral
        assert "nothing was linked" in said.content
    assert await storage.read(lambda tx: tx.accounts.all_of_user(studio.tobias.id)) == []


async def test_a_token_that_may_not_write_is_taken_with_a_word_on_what_then_does_not_work(
    run_client: RunClient, studio: Studio, speckle: SpeckleServer
) -> None:
    token = speckle.token(speckle.add_user("Ilse"), scopes=("streams:read", "profile:read"))
    async with run_client(speckle_servers=(speckle.url,)):
        answer = await link_by_token(studio, token)
        shown = await studio.type("account", who=studio.tobias)
    assert "cannot create webhooks for you" in text_of(answer)
    assert "`streams:read`, `profile:read` (the bot cannot create webhooks)" in text_of(shown)


async def test_one_persons_button_does_nothing_for_another(
    run_client: RunClient, studio: Studio, speckle: SpeckleServer, storage: Storage
) -> None:
    token = speckle.token(speckle.add_user("Ilse Brandt"), scopes=BOT_SCOPES)
    async with run_client(speckle_servers=(speckle.url,)):
        answer = await studio.type("link", who=studio.tobias)
        form = await studio.press(answer, "Paste it", studio.maren)
        refused = await studio.sandbox.submit_modal(form, {"Token": token}, studio.maren)
        assert "made for someone else" in text_of(refused)
        await link_by_token(studio, token)
        question = await studio.type("unlink", who=studio.tobias)
        refused = await studio.press(question, "Yes, unlink it", studio.maren)
        assert "no longer linked" in text_of(refused)
    assert await storage.read(lambda tx: tx.accounts.all_of_user(studio.maren.id)) == []
    assert len(await storage.read(lambda tx: tx.accounts.all_of_user(studio.tobias.id))) == 1


async def test_with_an_app_one_signs_in_and_is_told_in_discord(
    run_client: RunClient, studio: Studio, speckle: SpeckleServer, storage: Storage
) -> None:
    app = speckle.register_app(f"{PUBLIC_URL}/link/callback")
    settings = {
        "speckle_servers": (speckle.url,),
        "apps": {speckle.url: SpeckleApp(speckle.url, app.id, app.secret)},
    }
    async with run_client(**settings):
        answer = await studio.type("link", who=studio.tobias)
        assert labels_of(answer) == ["Sign in with Speckle"]
    url = url_of(answer, "Sign in with Speckle")
    assert url.startswith(f"{PUBLIC_URL}/link/")
    nonce = url.rpartition("/")[2]
    request = await storage.read(lambda tx: tx.link_requests.get(nonce))
    assert request is not None
    assert request.details.person == f"{studio.tobias.name} (@{studio.tobias.user.name})"
    async with run_client(**settings) as bot, notifying(bot):  # after a restart
        leaving = await bot.services.linking.begin_sign_in(nonce)
        challenge = leaving.url.rpartition("/")[2]
        code = speckle.approve(speckle.add_user("Ilse Brandt"), app, challenge)
        await bot.services.linking.link_by_code(leaving.cookie, code)
        [said] = await answer.wait_for_followups()
        await settled(storage)
    assert said.ephemeral
    assert "linked to the Speckle account **Ilse Brandt**" in said.content
    assert "Not you" in said.content
    assert "/unlink" in said.content


async def settled(storage: Storage) -> None:
    for _ in range(250):
        if not await storage.read(lambda tx: tx.link_requests.linked()):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the request was never done with")


# ── by a code that Speckle shows ──────────────────────────────────────────────────────────────


@pytest.fixture
async def newer() -> AsyncIterator[SpeckleServer]:
    """A server that takes verifiers, and has the bot as an application."""
    async with SpeckleServer.start(release=SPECKLE_4) as server:
        server.register_app("https://localhost/link/callback")
        yield server


def at_home(server: SpeckleServer) -> dict[str, Any]:
    """The settings of a bot without a public address."""
    (app,) = server.apps.values()
    apps = {server.url: SpeckleApp(server.url, app.id, app.secret)}
    return {"speckle_servers": (server.url,), "public_url": None, "apps": apps}


async def code_on_speckles_page(answer: InteractionView, user: User) -> str:
    """Open Speckle's page from Discord, say yes there as this user, and read the code."""
    url = url_of(answer, "Sign in with Speckle")
    headers = {"Origin": str(URL(url).origin())}
    form = {"user": user.id, "answer": "allow"}
    async with (
        aiohttp.ClientSession() as browser,
        browser.post(url, data=form, headers=headers, allow_redirects=False) as page,
    ):
        shown = re.search(r'<code class="code">([^<]+)</code>', await page.text())
    assert shown is not None
    return shown[1]


async def test_without_a_public_address_one_pastes_the_code_that_speckle_shows(
    run_client: RunClient, studio: Studio, newer: SpeckleServer, storage: Storage,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    ilse = newer.add_user("Ilse *Brandt*")
    async with run_client(**at_home(newer)):
        answer = await studio.type("link", who=studio.tobias)
        assert answer.ephemeral
        assert "No code shown?" in text_of(answer)
        assert [[part["label"] for part in row["components"]] for row in answer.components] == [
            ["Sign in with Speckle", "Paste the code"],
            ["Create a token", "Paste the token"],
        ]
        assert url_of(answer, "Create a token") == f"{newer.url}/settings/user/developer"
        code = await code_on_speckles_page(answer, ilse)
    async with run_client(**at_home(newer)):  # after a restart
        form = await studio.press(answer, "Paste the code", studio.tobias)
        await studio.sandbox.submit_modal(form, {"Code": code}, studio.tobias)
        await answer.wait_for_edits()
        assert r"linked to the Speckle account **Ilse \*Brandt\***" in text_of(answer)
        assert labels_of(answer) == []
        shown = await studio.type("account", who=studio.tobias)
    assert "by signing in" in text_of(shown)
    account = await account_of_tobias(storage, studio, newer)
    assert account.tokens.refresh_token is not None
    for secret in (code, account.tokens.token, account.tokens.refresh_token):
        assert not any(secret in str(request) for request in studio.sandbox.requests)
    said = capsys.readouterr()
    assert code not in said.out + said.err


async def test_a_code_that_does_not_work_is_said_and_the_form_can_be_opened_again(
    run_client: RunClient, studio: Studio, newer: SpeckleServer, storage: Storage
) -> None:
    ilse, (app,) = newer.add_user("Ilse Brandt"), newer.apps.values()

    async def sent_off(code: str, by: SandboxMember = studio.tobias) -> str:
        form = await studio.press(answer, "Paste the code", by)
        refused = await (await studio.sandbox.submit_modal(form, {"Code": code}, by)).settled()
        assert refused.ephemeral
        assert code not in text_of(refused)
        return text_of(refused)

    async with run_client(**at_home(newer)) as bot:
        answer = await studio.type("link", who=studio.tobias)
        code = await code_on_speckles_page(answer, ilse)
        assert "made for someone else" in await sent_off(code, studio.maren)
        assert "is not a code" in await sent_off("two words")
        refused = await sent_off("f" * 42)
        assert "does not accept this code" in refused
        assert "*Sign in with Speckle* again" in refused
        app.scopes = ("streams:read",)
        lacking = await sent_off(await code_on_speckles_page(answer, ilse))
        assert "application there lacks `profile:read`" in lacking
        assert "*Paste the token*" in lacking
        newer.faults.status, newer.faults.path = 503, "/oauth/token"
        assert "nothing was linked. Try the same again in a minute" in await sent_off(code)
        assert await storage.read(lambda tx: tx.accounts.all_of_user(studio.tobias.id)) == []
        newer.faults.clear()
        token = newer.token(ilse, scopes=BOT_SCOPES)
        form = await studio.press(answer, "Paste the token", studio.tobias)
        await studio.sandbox.submit_modal(form, {"Token": token}, studio.tobias)
        await answer.wait_for_edits(timeout_s=10.0)
        assert "Ilse Brandt" in text_of(answer)
        assert len(await bot.services.lender.all_of_user(studio.tobias.id)) == 1


async def test_a_server_without_verifiers_is_linked_with_a_token_as_before(
    run_client: RunClient, studio: Studio, speckle: SpeckleServer
) -> None:
    speckle.release = SPECKLE_2_31
    speckle.register_app("https://localhost/link/callback")
    async with run_client(**at_home(speckle)):
        answer = await studio.type("link", who=studio.tobias)
        assert labels_of(answer) == ["Create a token", "Paste it"]
        assert "a token can do without this one" in text_of(answer)
        token = speckle.token(speckle.add_user("Ilse"), scopes=("streams:read", "profile:read"))
        linked = await link_by_token(studio, token)
    assert "**Ilse**" in text_of(linked)
    assert "webhooks" not in text_of(linked)


async def test_on_a_host_that_no_button_takes_both_addresses_are_written_out() -> None:
    way = PasteCode("http://speckle", "http://speckle/authn/verify/a/b", "http://speckle/t", "n")
    assert [getattr(one, "label", None) for one in _link_buttons(way)] == [
        None, "Paste the code", None, "Paste the token",
    ]  # fmt: skip
    assert _addresses(way) == (way.url, way.tokens_url)


async def test_whoever_cannot_be_answered_any_more_gets_a_direct_message(
    run_client: RunClient, studio: Studio, speckle: SpeckleServer, storage: Storage
) -> None:
    app = speckle.register_app(f"{PUBLIC_URL}/link/callback")
    apps = {speckle.url: SpeckleApp(speckle.url, app.id, app.secret)}
    async with run_client(speckle_servers=(speckle.url,), apps=apps) as bot, notifying(bot):
        void = {"application": str(bot.application_id), "token": "of-yesterday"}
        way = await bot.services.linking.start_link(studio.tobias.id, speckle.url, answer_to=void)
        leaving = await bot.services.linking.begin_sign_in(way.nonce)
        challenge = leaving.url.rpartition("/")[2]
        code = speckle.approve(speckle.add_user("Ilse Brandt"), app, challenge)
        await bot.services.linking.link_by_code(leaving.cookie, code)
        await settled(storage)
        private = await bot.create_dm(studio.tobias)  # type: ignore[arg-type]  # only its id
        [said] = studio.sandbox.messages(private.id)
    assert "linked to the Speckle account **Ilse Brandt**" in said.content


async def test_unlinking_says_what_stops_and_asks_first(
    run_client: RunClient, studio: Studio, speckle: SpeckleServer, storage: Storage
) -> None:
    token = speckle.token(speckle.add_user("Ilse Brandt"), scopes=BOT_SCOPES)
    settings = {"speckle_servers": (speckle.url,)}
    async with run_client(**settings):
        nothing = await studio.type("unlink", who=studio.tobias)
        assert "nothing to unlink" in text_of(nothing)
        nothing = await studio.type("unlink", who=studio.tobias, server="elsewhere.example")
        assert "nothing to unlink" in text_of(nothing)
        await link_by_token(studio, token)
        account = await account_of_tobias(storage, studio, speckle)
        hook = await storage.write(
            lambda tx: tx.hooks.create(
                studio.guild.id, speckle.url, TOWER, HookKind.OWN, studio.tobias.id, None
            )
        )
        await storage.write(
            lambda tx: tx.subscriptions.upsert(
                hook.id, studio.structure.id, SubscriptionOptions(), studio.tobias.id
            )
        )
        await storage.write(lambda tx: tx.hooks.record_webhook(hook.id, account.id, "webhook001"))
        question = await studio.type("unlink", who=studio.tobias)
        assert "1 channel of **Studio Kestrel**" in text_of(question)
        assert "1 webhook that the bot created" in text_of(question)
        await studio.press(question, "Cancel", studio.tobias)
        assert "Nothing was changed" in text_of(question)
        wrong = await studio.type("unlink", who=studio.tobias, server="elsewhere.example")
        assert "Name one with the option `server`" in text_of(wrong)
        question = await studio.type("unlink", who=studio.tobias, server=speckle.url)
    async with run_client(**settings):  # after a restart
        await studio.press(question, "Yes, unlink it", studio.tobias)
        await question.wait_for_edits(timeout_s=10.0)
    assert "is unlinked" in text_of(question)
    assert f"{speckle.url}/settings/user/developer" in text_of(question)
    assert await storage.read(lambda tx: tx.accounts.all_of_user(studio.tobias.id)) == []


async def test_an_account_is_shown_with_its_rights_and_whether_speckle_still_takes_it(
    run_client: RunClient, studio: Studio, speckle: SpeckleServer
) -> None:
    token = speckle.token(speckle.add_user("Ilse Brandt"), scopes=BOT_SCOPES)
    async with run_client(speckle_servers=(speckle.url,)):
        assert "not linked a Speckle account" in text_of(
            await studio.type("account", who=studio.tobias)
        )
        await link_by_token(studio, token)
        shown = await studio.type("account", who=studio.tobias)
        assert shown.ephemeral
        assert "Speckle accepts it" in text_of(shown)
        assert "`streams:read`, `streams:write`, `profile:read`" in text_of(shown)
        assert "with a token" in text_of(shown)
        speckle.revoke(token)
        assert "no longer accepts it" in text_of(await studio.type("account", who=studio.tobias))
        assert token not in text_of(shown)


async def test_everything_about_oneself_is_shown_and_erased_after_a_question(
    run_client: RunClient, studio: Studio, speckle: SpeckleServer, storage: Storage
) -> None:
    token = speckle.token(speckle.add_user("Ilse Brandt"), scopes=BOT_SCOPES)
    async with run_client(speckle_servers=(speckle.url,)):
        unknown = await studio.type("privacy", who=studio.tobias)
        assert "stores nothing about you" in text_of(unknown)
        assert labels_of(unknown) == []
        await link_by_token(studio, token)
        hook = await storage.write(
            lambda tx: tx.hooks.create(
                studio.guild.id, speckle.url, TOWER, HookKind.OWN, studio.tobias.id, None
            )
        )
        _, subscription = await storage.write(
            lambda tx: tx.subscriptions.upsert(
                hook.id, studio.structure.id, SubscriptionOptions(), studio.tobias.id
            )
        )
        await storage.write(
            lambda tx: tx.subscriptions.set_state(
                subscription.id,
                SubscriptionState.PAUSED,
                PauseReason.MEMBER,
                str(studio.tobias.id),
            )
        )
        await storage.write(
            lambda tx: tx.audit_channels.choose(studio.guild.id, studio.facade.id, studio.tobias.id)
        )
        agreed = Consent(
            studio.tobias.id, hook.created_at, Entitlement.OWNER, SubscriptionOptions()
        )
        await storage.write(lambda tx: tx.subscriptions.answered(subscription.id, agreed))
        page = await studio.type("privacy", who=studio.tobias)
        assert page.ephemeral
        for words in (
            "**Ilse Brandt**",
            "encrypted",
            "the person who made 1 subscription, and let the bot follow 1 project.",
            "the person who paused 1 subscription.",
            "in 1 answer to who sees a project",
            "chose the channel for the audit log in 1 Discord server.",
        ):
            assert words in text_of(page)
        assert "change that you made" not in text_of(page)  # nobody made one in the audit log
        await studio.press(page, "Erase it", studio.tobias)
        assert "Subscriptions that you made belong to their channels" in text_of(page)
        await studio.press(page, "Yes, erase it", studio.tobias)
        assert "is erased" in text_of(page)
        again = await studio.type("privacy", who=studio.tobias)
        assert "stores nothing about you" in text_of(again)
        listed = await studio.type("subscriptions", who=studio.maren)
        assert TOWER in text_of(listed)
        assert "<@0>" not in text_of(listed)
    kept = await storage.read(lambda tx: tx.subscriptions.get(subscription.id))
    assert kept is not None
    assert kept.created_by == 0


async def test_servers_complete_and_unknown_ones_are_refused(
    run_client: RunClient, studio: Studio
) -> None:
    servers = ("https://app.speckle.systems", "https://speckle.kestrel.example")
    async with run_client(speckle_servers=servers):
        assert await studio.complete("link", "server", "kestrel") == ["speckle.kestrel.example"]
        assert len(await studio.complete("link", "server", "")) == 2
        assert await studio.complete("unlink", "server", "") == []
        chosen = await studio.type("link", server="speckle.kestrel.example")
        assert url_of(chosen, "Create a token").startswith(servers[1])
        first = await studio.type("link")
        assert url_of(first, "Create a token").startswith(servers[0])
        refused = await studio.type("link", server="https://elsewhere.example")
        assert "`app.speckle.systems`, `speckle.kestrel.example`" in text_of(refused)


async def test_a_button_that_is_too_old_says_so(
    run_client: RunClient, studio: Studio, speckle: SpeckleServer, clock: object
) -> None:
    async with run_client(speckle_servers=(speckle.url,)):
        answer = await studio.type("link", who=studio.tobias)
        clock.forward(minutes=15)  # type: ignore[attr-defined]  # tests' Clock
        late = await studio.press(answer, "Paste it", studio.tobias)
        assert "has expired" in text_of(late)


async def test_a_command_that_waited_for_an_account_waits_on_while_the_database_is_away(
    run_client: RunClient, studio: Studio, storage: Storage, database_file: Path
) -> None:
    account = await linked(storage, who=studio.maren.id)
    async with run_client() as bot:
        command = PendingSubscribe(
            studio.maren.id, studio.guild.id, studio.structure.id, CLOUD, TOWER, {}, by_hand=True
        )
        pending = PendingCommandService(storage)
        token = await pending.add_until_linked(command)
        with locked(database_file), pytest.raises(StorageUnavailable):
            await bot.flow.resume_after_link(account, token, None)
        assert await storage.read(lambda tx: tx.subscriptions.of_channel(studio.structure.id)) == []
        async with pending.claim(studio.maren.id, token) as kept:
            assert kept == command
