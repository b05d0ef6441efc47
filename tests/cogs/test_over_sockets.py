"""The commands as people use them: typed and pressed in the sandbox Discord."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bot.cogs.responses import PATIENCE_S
from bot.model import HookState, PauseReason, SubscriptionState
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from tests.cogs.conftest import (
    BY_HAND,
    MakeStudio,
    RunClient,
    Studio,
    labels_of,
    options_of,
    text_of,
)
from tests.services.conftest import CLOUD, PAVILION, TOWER
from tests.stored import note_event

LINK = f"{CLOUD}/projects/{TOWER}"


async def test_subscribe_shows_the_set_up_to_the_caller_and_one_line_to_the_channel(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    async with run_client():
        answer = await studio.type("subscribe", stream_id=LINK, events="issues")
        public = await studio.sandbox.wait_for_messages(studio.structure.id, 1, 5)
    hook = (await storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id)))[0]
    assert answer.ephemeral
    assert hook.key is not None
    assert f"/webhooks/{hook.key}" in text_of(answer)
    assert hook.secrets[0] in text_of(answer)
    assert "comment_created" in text_of(answer)
    assert "commit_create" not in text_of(answer)
    assert len(public) == 1
    assert "now follows" in public[0].content
    assert "issues" in public[0].content
    assert "waits for the first event" in public[0].content
    assert hook.key not in public[0].content
    assert hook.secrets[0] not in public[0].content


async def test_a_further_channel_is_live_at_once_and_the_same_channel_again_tells_the_change(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    async with run_client():
        await studio.type("subscribe", stream_id=LINK, events="versions")
        hook = (await storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id)))[0]
        await storage.write(lambda tx: note_event(tx, hook.id, "Harbour *Tower*"))
        further = await studio.type("subscribe", stream_id=LINK, channel=studio.facade)
        again = await studio.type("subscribe", stream_id=LINK, events="issues")
        same = await studio.type("subscribe", stream_id=LINK, events="issues")
        await studio.sandbox.wait_for_messages(studio.facade.id, 1, 5)
    assert "live now" in text_of(further)
    assert f"<#{studio.facade.id}>" in text_of(further)
    assert r"Harbour \*Tower\*" in text_of(further)
    assert "Before: versions" in text_of(again)
    assert "Now: issues" in text_of(again)
    assert "Nothing changed" in text_of(same)
    assert len(studio.sandbox.messages(studio.structure.id)) == 1
    assert "first event" not in studio.sandbox.messages(studio.facade.id)[0].content


async def test_without_a_public_url_a_webhook_by_hand_is_not_offered(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    async with run_client(public_url=None):
        answer = await studio.type("subscribe", stream_id=LINK)
    assert labels_of(answer) == ["Link my account"]
    assert "through your account" in text_of(answer)
    assert "by hand" not in text_of(answer)
    assert await storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id)) == []


async def test_a_served_guild_is_live_at_once(run_client: RunClient, studio: Studio) -> None:
    async with run_client(served_guilds=frozenset({studio.guild.id})):
        answer = await studio.type("subscribe", stream_id=LINK)
        changed = await studio.type("subscribe", stream_id=LINK, events="versions")
    assert "live now" in text_of(answer)
    assert "nothing to set up" in text_of(answer)
    assert "Now: versions" in text_of(changed)
    assert "live now" not in text_of(changed)  # it was before


async def test_a_refusal_is_ephemeral_and_changes_nothing(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    async with run_client():
        answer = await studio.type("subscribe", stream_id="https://elsewhere.example/projects/x")
        elsewhere = await studio.type(
            "subscribe", stream_id=f"https://elsewhere.example/projects/{TOWER}"
        )
    assert answer.ephemeral
    assert "Speckle link" in text_of(answer)
    assert CLOUD in text_of(elsewhere)
    assert await storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id)) == []


async def test_what_takes_long_is_deferred_and_still_answered(
    run_client: RunClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_client() as bot:
        subscribe = bot.services.subscriptions.subscribe

        async def slowly(request: object) -> object:
            await asyncio.sleep(PATIENCE_S + 0.5)
            return await subscribe(request)  # type: ignore[arg-type]  # handed through

        monkeypatch.setattr(bot.services.subscriptions, "subscribe", slowly)
        answer = await studio.type("subscribe", stream_id=LINK, by_hand=False)
        assert answer.deferred
        await answer.settled()
        await studio.press(answer, BY_HAND)
        await answer.wait_for_edits()
        await studio.sandbox.wait_for_messages(studio.structure.id, 1, 5)
    assert answer.ephemeral
    assert "Secret" in text_of(answer)


async def test_autocomplete_offers_events_and_the_projects_of_this_guild_alone(
    run_client: RunClient, make_studio: MakeStudio
) -> None:
    kestrel, heron = make_studio("Studio Kestrel"), make_studio("Heron Engineers")
    async with run_client():
        await kestrel.type("subscribe", stream_id=TOWER)
        await heron.type("subscribe", stream_id=PAVILION)
        assert await kestrel.complete("subscribe", "stream_id", "") == [TOWER]
        assert await kestrel.complete("unsubscribe", "project", "") == [TOWER]
        assert await heron.complete("unsubscribe", "project", "") == [PAVILION]
        assert await heron.complete("unsubscribe", "project", TOWER) == []
        offered = await kestrel.complete("subscribe", "events", "versions, com", stream_id=TOWER)
        assert offered[0].startswith("versions, issues")


async def test_unsubscribe_is_honest_and_says_what_to_remove(
    run_client: RunClient, studio: Studio
) -> None:
    async with run_client():
        await studio.type("subscribe", stream_id=TOWER)
        nothing = await studio.type("unsubscribe", where=studio.facade, project=TOWER)
        removed = await studio.type("unsubscribe", project=LINK)
        again = await studio.type("unsubscribe", project=LINK)
    assert "Nothing to unsubscribe" in text_of(nothing)
    assert f"<#{studio.structure.id}>" in text_of(nothing)
    assert f"{LINK}/settings/webhooks" in text_of(removed)
    assert "Nothing to unsubscribe" in text_of(again)


async def test_the_panel_works_after_a_restart(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    async with run_client():
        await studio.type("subscribe", stream_id=TOWER, events="versions")
        panel = await studio.type("subscriptions")
        assert "waiting for the first event" in text_of(panel)
    async with run_client():
        await studio.choose(panel, TOWER)
        assert labels_of(panel) == [
            "Pause", "Edit", "Remove", "Show set-up", "New secret", "◀ Back to the list"
        ]  # fmt: skip
        await studio.press(panel, "Pause")
        assert f"paused by <@{studio.maren.id}>" in text_of(panel)
        subscription = (await storage.read(lambda tx: tx.subscriptions.of_guild(studio.guild.id)))[
            0
        ]
        assert subscription.pause_reason is PauseReason.MEMBER
        await studio.press(panel, "Resume")
        assert "Pause" in labels_of(panel)
    async with run_client():
        setup = await studio.press(panel, "Show set-up")
        hook = (await storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id)))[0]
        assert setup.ephemeral
        assert hook.secrets[0] in text_of(setup)
        await studio.press(panel, "New secret")
        assert (await storage.read(lambda tx: tx.hooks.get(hook.id))) == hook
        await studio.press(panel, "The old one works 24 h more")
        assert hook.secrets[0] not in text_of(panel)
        assert "old secret works" in text_of(panel)
        await studio.press(panel, "◀ Back to the list")
        assert list(options_of(panel)) == [TOWER]


async def test_removing_asks_once_more_and_old_panels_then_say_that_it_is_gone(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    async with run_client():
        await studio.type("subscribe", stream_id=TOWER)
        panel, older = await studio.open_entry(), await studio.open_entry()
        await studio.press(panel, "Remove")
        await studio.press(panel, "Cancel")
        await studio.press(panel, "Remove")
        assert await storage.read(lambda tx: tx.subscriptions.of_guild(studio.guild.id)) != []
        await studio.press(panel, "Yes, remove it")
        assert "no longer follows" in text_of(panel)
        assert await storage.read(lambda tx: tx.subscriptions.of_guild(studio.guild.id)) == []
        gone = await studio.press(older, "Pause")
        assert gone.ephemeral
        assert "no longer exists" in text_of(gone)


async def test_edit_opens_a_form_that_keeps_what_was_typed_when_it_is_refused(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    async with run_client():
        await studio.type("subscribe", stream_id=TOWER, events="versions", models="struct/**")
        form = await studio.press(await studio.open_entry(), "Edit")
        same = await studio.fill(form)
        assert "shows the same" in text_of(same)
        form = await studio.press(await studio.open_entry(), "Edit")
        changed = await studio.fill(form, groups=["issues"], kinds=["version_created"])
        assert "Before: versions" in text_of(changed)
        assert "Now: issues, version created" in text_of(changed)
        form = await studio.press(await studio.open_entry(), "Edit")
        wrong = await studio.fill(form, groups=["people"], models="a, !**", ignore_authors="ci")
        assert "leaves out every model" in text_of(wrong)
        assert "Nothing was changed" in text_of(wrong)
    async with run_client():
        again = await studio.press(wrong, "Edit again")
        changed = await studio.fill(again, models="a, !b")
        assert "only models `a` · without models `b` · not by `ci`" in text_of(changed)
    subscription = (await storage.read(lambda tx: tx.subscriptions.of_guild(studio.guild.id)))[0]
    assert subscription.options.events == ("people", "version_created")
    assert subscription.options.models == ("a", "!b")


async def test_a_models_link_asks_and_what_is_pasted_and_typed_is_answered(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    model = f"[the facade](<{LINK}/models/0123456789>)."
    async with run_client():
        await studio.type("subscribe", stream_id=LINK)
        question = await studio.type("subscribe", stream_id=model)
        assert "What do you want?" in text_of(question)
        assert labels_of(question) == ["Add to what it shows", "Show only this", "Keep as it is"]
        await studio.press(question, "Show only this")
        assert "only models `0123456789`" in text_of(question)
        version = await studio.type("subscribe", stream_id=f"{LINK}/models/0123456789@aaaaaaaaaa")
        assert "That link leads to a version" in text_of(version)
        mention = await studio.type(
            "subscribe", stream_id=LINK, ignore_authors="<@123456789012345678>"
        )
        assert "is a mention in Discord" in text_of(mention)
        useless = await studio.type("subscribe", stream_id=LINK, events="people; commits, all")
        assert "Now: all events" in text_of(useless) or "Nothing changed" in text_of(useless)
        people = await studio.type("subscribe", stream_id=LINK, events="people")
        assert "`models` has no effect here" in text_of(people)
        nothing = await studio.type("subscribe", stream_id=LINK, models="!**")
        assert labels_of(nothing) == ["Show all models", "Only project and people"]
        await studio.press(nothing, "Only project and people")
        assert "Now: project, people" in text_of(nothing)
        name = await studio.type("subscribe", stream_id="Harbour Towr")
        assert "none of the projects that you can see here has that name" in text_of(name)
    subscription = (await storage.read(lambda tx: tx.subscriptions.of_guild(studio.guild.id)))[0]
    assert subscription.options == SubscriptionOptions(events=("project", "people"))


async def test_many_subscriptions_come_in_pages(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    async with run_client():
        for number in range(12):
            channel = studio.guild.add_channel(f"level-{number}")
            await studio.type("subscribe", stream_id=f"{number:010}", channel=channel)
        first = await studio.type("subscriptions")
        assert (len(options_of(first)), labels_of(first)) == (10, ["Next ▶"])
        seen = set(options_of(first))
        second = await studio.press(first, "Next ▶")
        assert (len(options_of(second)), labels_of(second)) == (2, ["◀ Previous"])
        assert not seen & set(options_of(second))
        one = await studio.type("subscriptions", channel=channel)
        assert list(options_of(one)) == ["0000000011"]


async def test_a_member_who_lost_the_permission_presses_in_vain(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    async with run_client():
        await studio.type("subscribe", stream_id=TOWER)
        entry = await studio.open_entry()
        for label in ("Pause", "Edit", "Remove", "Show set-up", "New secret"):
            refused = await studio.press(entry, label, studio.tobias)
            assert refused.ephemeral
            assert "Manage Webhooks" in text_of(refused)
    subscription = (await storage.read(lambda tx: tx.subscriptions.of_guild(studio.guild.id)))[0]
    assert subscription.state is SubscriptionState.ACTIVE


async def test_a_button_of_one_guild_does_nothing_to_anothers_subscription(
    run_client: RunClient, make_studio: MakeStudio, storage: Storage
) -> None:
    kestrel, heron = make_studio("Studio Kestrel"), make_studio("Heron Engineers")
    async with run_client():
        await kestrel.type("subscribe", stream_id=TOWER)
        await heron.type("subscribe", stream_id=PAVILION)
        ours = (await storage.read(lambda tx: tx.subscriptions.of_guild(kestrel.guild.id)))[0]
        theirs = (await storage.read(lambda tx: tx.subscriptions.of_guild(heron.guild.id)))[0]
        entry = await heron.open_entry(PAVILION)
        for row in entry.components:
            for component in row["components"]:
                custom_id = component["custom_id"]
                component["custom_id"] = custom_id.replace(f":{theirs.id}:", f":{ours.id}:", 1)
        refused = await heron.press(entry, "Show set-up")
        assert "no longer exists" in text_of(refused)
        refused = await heron.press(entry, "Pause")
        assert "no longer exists" in text_of(refused)
    assert (await storage.read(lambda tx: tx.subscriptions.get(ours.id))) == ours


async def test_a_guild_that_removes_the_bot_closes_its_hooks_until_it_returns(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    async def states() -> list[HookState]:
        return [
            hook.state for hook in await storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
        ]

    async with run_client():
        await studio.type("subscribe", stream_id=TOWER)
        studio.sandbox.remove_guild(studio.guild)
        await _until(states, [HookState.CLOSED])
        studio.sandbox.add_guild("Studio Kestrel", studio.guild.id)
        await _until(states, [HookState.WAITING])
    studio.sandbox.remove_guild(studio.guild)  # while the bot is off
    async with run_client():
        assert await states() == [HookState.CLOSED]


async def _until(ask: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Gateway events are told to nobody, so look until they had their effect."""
    for _ in range(250):
        if await ask() == wanted:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not {wanted}, but {await ask()}")
