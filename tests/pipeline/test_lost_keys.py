"""The bot over a database that other keys sealed: what it says, and what goes on."""

import json

import pytest
from cryptography.fernet import Fernet

from bot.app import App
from bot.model import Hook, HookState
from bot.storage import Storage
from sandbox.discord import InteractionView
from tests.pipeline.conftest import Run, StartBot, Studio, post, recorded
from tests.pipeline.deliveries import PROJECT_ID, SERVER, follow, send_numbers, wait_for_numbers
from tests.pipeline.test_bad_days import problems_told
from tests.pipeline.tower import Tower
from tests.stored import note_event

LINK = f"{SERVER}/projects/{PROJECT_ID}"
INTERNAL = ("SealError", "sealed value", "Traceback", "inside the bot")
BAD = "None of ENCRYPTION_KEYS can decrypt"


def other_key() -> str:
    return Fernet.generate_key().decode()


async def subscribed(app: App, studio: Studio) -> Hook:
    """#structure follows a project whose webhook was entered by hand."""
    hook = await follow(app, studio, studio.structure)
    await app.storage.write(lambda tx: note_event(tx, hook.id, "Harbour Tower"))
    return await again(app.storage, hook)


async def again(storage: Storage, hook: Hook) -> Hook:
    there = await storage.read(lambda tx: tx.hooks.get(hook.id))
    assert there is not None
    return there


def text_of(answer: InteractionView) -> str:
    text = f"{answer.content}\n{json.dumps(answer.embeds, ensure_ascii=False)}"
    assert not any(word in text for word in INTERNAL), text
    return text


async def entry(studio: Studio) -> InteractionView:
    """The panel of the one subscription that there is."""
    answer = await studio.sandbox.command(
        studio.guild, studio.structure, studio.maren, "subscriptions"
    )
    options = [o for row in answer.components for c in row["components"] for o in c["options"]]
    return await studio.sandbox.select(answer, "", [options[0]["label"]], studio.maren)


async def test_a_lost_key_is_said_in_one_sentence_and_the_webhook_can_be_set_up_again(
    studio: Studio, start_bot: StartBot, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start_bot() as app:
        hook = await subscribed(app, studio)
    capsys.readouterr()
    async with start_bot(encryption_keys=(other_key(),), ready=False) as app:
        await app.bot.ready_once.wait()
        said = [line for line in capsys.readouterr().out.splitlines() if BAD in line]
        assert len(said) == 1
        assert "1 webhook secret: add the key that encrypted them after the others" in said[0]
        assert await problems_told(app) == [f"{BAD} 1 webhook secret."]

        assert await post(app, hook, recorded()[0]) == 503
        assert await app.storage.read(lambda tx: tx.inbox.due_keys()) == []

        panel = await entry(studio)
        assert "can no longer decrypt the webhook's secret" in text_of(panel)
        assert panel.offers("Set up again")
        assert not panel.offers("Show set-up")
        await studio.sandbox.press(panel, "Set up again", studio.maren)
        renewed = await again(app.storage, hook)
        assert (renewed.state, renewed.key, renewed.unopenable) == (
            HookState.WAITING,
            hook.key,
            False,
        )
        assert renewed.secrets[0] in text_of(panel)
        assert f"/webhooks/{hook.key}" in text_of(panel)
        await send_numbers(app, renewed, range(2))
        await wait_for_numbers(studio, studio.structure, range(2))


async def test_after_setting_up_again_the_bot_calls_itself_ready(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        await subscribed(app, studio)
    key = other_key()
    async with start_bot(encryption_keys=(key,), ready=False) as app:
        await app.bot.ready_once.wait()
        await studio.sandbox.press(await entry(studio), "Set up again", studio.maren)
    async with start_bot(encryption_keys=(key,)) as app:
        assert await problems_told(app) == []


async def test_with_the_old_key_back_all_goes_on_by_itself(
    studio: Studio, start_bot: StartBot, key: str
) -> None:
    async with start_bot() as app:
        hook = await subscribed(app, studio)
    async with start_bot(encryption_keys=(other_key(),), ready=False) as app:
        await app.bot.ready_once.wait()
        assert await post(app, hook, recorded()[0]) == 503
    async with start_bot(encryption_keys=(other_key(), key)) as app:
        assert await again(app.storage, hook) == hook
        await send_numbers(app, hook, range(2))
        await wait_for_numbers(studio, studio.structure, range(2))


async def test_listing_and_unsubscribing_work_and_what_needs_no_key_too(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot() as app:
        await subscribed(app, studio)
    async with start_bot(encryption_keys=(other_key(),), ready=False) as app:
        await app.bot.ready_once.wait()
        for name in ("subscriptions", "account", "privacy"):
            text_of(
                await studio.sandbox.command(studio.guild, studio.structure, studio.maren, name)
            )
        gone = await studio.sandbox.command(
            studio.guild, studio.structure, studio.maren, "unsubscribe", project="Harbour Tower"
        )
        assert "no longer follows" in text_of(gone)
        assert await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id)) == []
        hook = await follow(app, studio, studio.structure)
        await send_numbers(app, hook, range(2))
        await wait_for_numbers(studio, studio.structure, range(2))


async def test_subscribing_again_sets_up_again(studio: Studio, start_bot: StartBot) -> None:
    async with start_bot() as app:
        hook = await subscribed(app, studio)
    async with start_bot(encryption_keys=(other_key(),), ready=False) as app:
        await app.bot.ready_once.wait()
        answer = await studio.sandbox.command(
            studio.guild, studio.structure, studio.maren, "subscribe", stream_id=LINK
        )
        renewed = await again(app.storage, hook)
        assert not renewed.unopenable
        assert renewed.secrets[0] in text_of(answer)
        assert "delete the webhook that has the URL below" in text_of(answer)


async def test_a_linked_account_that_no_key_opens_is_not_blamed_on_speckle(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await tower.follow(app.storage, studio)
    asked = len(tower.server.requests)
    async with run(ready=False, encryption_keys=(other_key(),)) as app:
        await app.bot.ready_once.wait()
        shown = text_of(
            await studio.sandbox.command(studio.guild, studio.structure, studio.maren, "account")
        )
        assert "encryption keys can no longer decrypt it" in shown
        assert "person who runs the bot" in shown
        assert "Speckle no longer accepts" not in shown
        panel = await entry(studio)
        await studio.sandbox.press(panel, "Set up again", studio.maren)
        assert "delete the webhook that has the URL below" in text_of(panel)
    assert len(tower.server.requests) == asked


async def test_once_the_account_is_linked_again_a_webhook_of_the_bots_sets_itself_up_again(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        hook = await tower.follow(app.storage, studio)
    async with run(ready=False, encryption_keys=(other_key(),)) as app:
        await app.bot.ready_once.wait()
        assert set(await tower.fire(range(1))) == {3}
        await app.storage.write(lambda tx: tx.link_requests.erase_expired())
        await tower.link(app.storage, studio.maren, tower.ilse, tower.token, nonce="again")
        panel = await entry(studio)
        await studio.sandbox.press(panel, "Set up again", studio.maren)
        assert "which Speckle knows; the old one is no longer valid" in text_of(panel)
        assert (await again(app.storage, hook)).state is HookState.LIVE
        assert set(await tower.fire(range(1, 2))) == {2}
