"""Answers that Discord does not take after the work is done: nothing is lost or said untruly."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from bot.cogs.responses import PATIENCE_S, UserError
from bot.errors import StorageUnavailable
from bot.services.refusals import CommandRefused, RefusalReason
from bot.storage import Storage
from sandbox.discord import InteractionTimeout, InteractionView
from tests.cogs.conftest import BY_HAND, RunClient, Studio, labels_of, text_of
from tests.services.conftest import CLOUD, TOWER

CALLBACK = "POST /interactions/{interaction_id}/{interaction_token}/callback"
ORIGINAL = "PATCH /webhooks/{webhook_id}/{webhook_token}/messages/@original"
FOLLOW_UP = "POST /webhooks/{webhook_id}/{webhook_token}"
LINK = f"{CLOUD}/projects/{TOWER}"
FORM_REFUSED: dict[str, Any] = {"status": 400, "code": 50035, "message": "Invalid Form Body"}


async def secret_of(storage: Storage, studio: Studio) -> str:
    (hook,) = await storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
    return hook.secrets[0]


async def asked(studio: Studio) -> InteractionView:
    """The question that /subscribe ends in: link an account, or set it up by hand."""
    return await studio.type("subscribe", stream_id=LINK, by_hand=False)


async def subscribed(storage: Storage, studio: Studio) -> int:
    return len(await storage.read(lambda tx: tx.subscriptions.of_guild(studio.guild.id)))


# ── the answer is refused ─────────────────────────────────────────────────────────────────────


async def test_an_answer_whose_form_is_refused_comes_as_text_with_all_that_it_was_to_say(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    async with run_client():
        question = await asked(studio)
        studio.sandbox.faults.fail(CALLBACK, **FORM_REFUSED)
        shown = await studio.press(question, BY_HAND)
        studio.sandbox.requests.clear()
    assert await secret_of(storage, studio) in text_of(shown)
    assert "/webhooks/" in text_of(shown)
    assert await subscribed(storage, studio) == 1


async def test_an_answer_that_is_refused_in_every_form_says_that_it_is_done_and_where_to_look(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    async with run_client():
        question = await asked(studio)
        studio.sandbox.faults.fail(CALLBACK, times=2, **FORM_REFUSED)
        seen = await studio.press(question, BY_HAND)
        assert "That is done" in text_of(seen)
        assert "nothing was changed" not in text_of(seen)
        assert "*Show set-up*" in text_of(seen)
        assert await subscribed(storage, studio) == 1
        again = await studio.press(question, BY_HAND)
        assert await secret_of(storage, studio) in text_of(again)
        setup = await studio.press(await studio.open_entry(), "Show set-up")
        studio.sandbox.requests.clear()
    assert await secret_of(storage, studio) in text_of(setup)
    assert await subscribed(storage, studio) == 1


@pytest.mark.parametrize("status", [403, 404, 409])
async def test_an_answer_that_discord_could_not_take_just_then_is_given_again(
    run_client: RunClient, studio: Studio, storage: Storage, status: int
) -> None:
    async with run_client():
        question = await asked(studio)
        studio.sandbox.faults.fail(CALLBACK, status, times=2, code=40006)
        shown = await studio.press(question, BY_HAND)
        studio.sandbox.requests.clear()
    assert await secret_of(storage, studio) in text_of(shown)


async def test_an_answer_whose_confirmation_is_lost_is_not_shown_twice(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    async with run_client():
        studio.sandbox.faults.reset_after(CALLBACK)
        listed = await studio.type("subscriptions")
        await listed.wait_for_edits()
        question = await asked(studio)
        studio.sandbox.faults.reset_after(CALLBACK)
        shown = await studio.press(question, BY_HAND)
        await shown.wait_for_edits(2)
    assert listed.followups == []
    assert shown.followups == []
    assert await secret_of(storage, studio) in text_of(shown)


async def test_a_new_secret_stays_reachable_if_it_cannot_be_shown(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    async with run_client():
        await studio.type("subscribe", stream_id=LINK)
        before = await secret_of(storage, studio)
        panel = await studio.open_entry()
        await studio.press(panel, "New secret")
        studio.sandbox.faults.fail(CALLBACK, times=2, **FORM_REFUSED)
        seen = await studio.press(panel, "The old one works 24 h more")
        assert "That is done" in text_of(seen)
        setup = await studio.press(await studio.open_entry(), "Show set-up")
        studio.sandbox.requests.clear()
    after = await secret_of(storage, studio)
    assert after != before
    assert after in text_of(setup)


# ── a press that fails can be repeated ────────────────────────────────────────────────────────


async def test_a_press_whose_work_fails_can_be_pressed_again(
    run_client: RunClient, studio: Studio, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_client() as bot:
        question = await asked(studio)
        for trouble, said in (
            (StorageUnavailable("locked"), "could not be completed"),
            (UserError("You may not."), "You may not."),
            (CommandRefused(RefusalReason.SECRET_OF_OTHERS), "serves other channels"),
            (aiohttp.ServerDisconnectedError(), "Discord did not answer"),
            (RuntimeError("a fault of ours"), "may not be done"),
        ):
            with monkeypatch.context() as broken:
                broken.setattr(bot.services.subscriptions, "subscribe", _raising(trouble))
                seen = await studio.press(question, BY_HAND)
                assert said in text_of(seen)
                assert "nothing was changed" not in text_of(seen).lower()
        shown = await studio.press(question, BY_HAND)
    assert await secret_of(storage, studio) in text_of(shown)


def _raising(error: Exception) -> Callable[[object], Awaitable[None]]:
    async def raises(_request: object) -> None:
        raise error

    return raises


async def test_linking_that_could_not_be_shown_can_be_asked_for_again(
    run_client: RunClient, studio: Studio
) -> None:
    async with run_client():
        question = await asked(studio)
        studio.sandbox.faults.fail(CALLBACK, times=2, **FORM_REFUSED)
        await studio.press(question, "Link my account")
        again = await studio.press(question, "Link my account")
        studio.sandbox.requests.clear()
    assert "Paste it" in labels_of(again)


async def test_what_is_done_and_shown_cannot_be_pressed_again_nor_while_it_is_being_done(
    run_client: RunClient, studio: Studio, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_client() as bot:
        begun, first = asyncio.Event(), asyncio.Event()
        subscribe = bot.services.subscriptions.subscribe

        async def waits(request: object) -> object:
            begun.set()
            await first.wait()
            return await subscribe(request)  # type: ignore[arg-type]  # handed through

        question = await asked(studio)
        other = question.shown()
        monkeypatch.setattr(bot.services.subscriptions, "subscribe", waits)
        pressing = asyncio.create_task(studio.press(question, BY_HAND))
        await begun.wait()
        refused = await studio.press(other, BY_HAND, studio.maren)
        assert "already in progress" in text_of(refused)
        first.set()
        await pressing
    assert await subscribed(storage, studio) == 1


# ── too late ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "code"), [(404, 10062), (401, 50027), (404, 10015), (400, 40060)]
)
async def test_an_interaction_that_is_over_is_one_quiet_line(
    run_client: RunClient,
    studio: Studio,
    capfd: pytest.CaptureFixture[str],
    status: int,
    code: int,
) -> None:
    async with run_client():
        await studio.type("subscribe", stream_id=LINK)
        panel = await studio.open_entry()
        form = panel.shown()
        studio.sandbox.faults.fail(CALLBACK, status, times=None, code=code)
        studio.sandbox.faults.fail(ORIGINAL, status, times=None, code=code)
        studio.sandbox.faults.fail(FOLLOW_UP, status, times=None, code=code)
        studio.sandbox.world.first_answer_s = 0.5  # no answer will be taken: none to wait for
        capfd.readouterr()
        with capture_logs() as logs:
            for press in (
                studio.type("subscriptions"),
                studio.type("privacy"),
                studio.press(form, "Pause", studio.maren),
                studio.press(form, "Edit", studio.maren),
                studio.complete("subscribe", "events", "vers"),
            ):
                with pytest.raises(InteractionTimeout):
                    await press
        printed = "".join(capfd.readouterr())
        studio.sandbox.requests.clear()
    seen = [(line["event"], line["log_level"]) for line in logs]
    assert seen == [("interaction.expired", "info")] * 5
    assert "Traceback" not in printed


async def test_work_that_takes_long_is_done_although_discord_did_not_take_the_word_of_it(
    run_client: RunClient, studio: Studio, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_client() as bot:
        question = await asked(studio)
        subscribe = bot.services.subscriptions.subscribe

        async def slowly(request: object) -> object:
            await asyncio.sleep(PATIENCE_S + 0.5)
            return await subscribe(request)  # type: ignore[arg-type]  # handed through

        monkeypatch.setattr(bot.services.subscriptions, "subscribe", slowly)
        studio.sandbox.faults.fail(CALLBACK, 403, code=40006)
        shown = await studio.press(question, BY_HAND)
        studio.sandbox.requests.clear()
    assert await secret_of(storage, studio) in text_of(shown)
    assert await subscribed(storage, studio) == 1


# ── forms ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_form_that_was_opened_before_a_restart_is_taken_after_it(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    async with run_client():
        await studio.type("subscribe", stream_id=LINK, events="versions")
        form = await studio.press(await studio.open_entry(), "Edit")
    async with run_client():
        changed = await studio.fill(form, groups=["issues"])
        assert "Now: issues" in text_of(changed)
        wrong = await studio.fill(form, groups=["issues"], models="slabs, !slabs")
        assert "slabs" in text_of(wrong)
    (subscription,) = await storage.read(lambda tx: tx.subscriptions.of_guild(studio.guild.id))
    assert subscription.options.events == ("issues",)


async def test_a_token_can_be_pasted_into_a_form_that_was_opened_before_a_restart(
    run_client: RunClient, studio: Studio
) -> None:
    async with run_client():
        link = await studio.type("link")
        form = await studio.press(link, "Paste it")
    async with run_client():
        answer = await studio.sandbox.submit_modal(form, {"Token": "no token at all"}, studio.maren)
        assert "token" in text_of(answer)
        stranger = await studio.sandbox.submit_modal(form, {"Token": "a" * 42}, studio.tobias)
        assert "someone else" in text_of(stranger)


async def test_a_form_of_something_that_is_gone_says_so(
    run_client: RunClient, studio: Studio
) -> None:
    async with run_client():
        await studio.type("subscribe", stream_id=LINK)
        form = await studio.press(await studio.open_entry(), "Edit")
        await studio.type("unsubscribe", project=LINK)
        gone = await studio.fill(form, groups=["issues"])
    assert "no longer exists" in text_of(gone)
