"""/doctor as people use it: what is wrong is found, and what the bot can repair is repaired."""

import pytest

from bot.model import AccessPause, Consent, Entitlement, PauseReason, PauseWhy
from sandbox.speckle import Webhook
from tests.cogs.conftest import labels_of, text_of
from tests.cogs.test_rights_over_sockets import House, house
from tests.conftest import only_2_31

__all__ = ["house"]


async def made(house: House) -> Webhook:
    """Maren subscribes with her account, and the bot makes the webhook."""
    studio = house.studio
    question = await house.ask()
    await studio.press(question, "Show it there")
    (webhook,) = house.server.webhooks(house.tower)
    return webhook


async def test_all_that_is_right_is_said_and_nothing_is_offered_to_repair(house: House) -> None:
    async with house.running() as bot:
        await house.linked(bot, house.studio.maren, house.owner)
        await made(house)
        found = await (await house.studio.type("doctor")).settled()
    assert (
        "✅ The webhook in Speckle is there, is switched on, has the right address, has a secret "
        "and sends all events that the channels want." in text_of(found)
    )
    assert f"<@{house.studio.maren.id}> created the webhook and may maintain" in text_of(found)
    assert f"✅ The bot may post, with pictures, in <#{house.studio.structure.id}>" in text_of(
        found
    )
    assert "Nothing is wrong that the bot can see" in text_of(found)
    assert labels_of(found) == ["Look again", "Test"]
    assert found.ephemeral


async def test_a_webhook_that_was_changed_is_repaired_by_a_button(house: House) -> None:
    async with house.running() as bot:
        await house.linked(bot, house.studio.maren, house.owner)
        webhook = await made(house)
        webhook.secret, webhook.triggers = None, ["commit_create"]
        webhook.url = webhook.url.replace("127.0.0.1", "localhost")
        wrong = await (await house.studio.type("doctor")).settled()
        found = text_of(wrong)
        await house.studio.press(wrong, "Repair the webhook")
        await wrong.wait_for_edits()
        after = text_of(wrong)
        (hook,) = await house.storage.read(lambda tx: tx.hooks.of_guild(house.studio.guild.id))
        bot.services.refused.note(hook.id, signed=True)
        refused = await (await house.studio.type("doctor")).settled()
        webhook.enabled = False
        off = await (await house.studio.type("doctor")).settled()
        house.tower.webhooks.clear()
        gone = await (await house.studio.type("doctor")).settled()
    assert "❌ The webhook has no secret" in found
    assert "❌ The webhook leads to an earlier address of the bot" in found
    assert "⚠️ The webhook does not send version updated" in found
    assert "The bot restored it" in after
    assert "Nothing is wrong" in after
    assert webhook.secret is not None
    assert "it was sent with another secret than the bot's" in text_of(refused)
    assert "Repair the webhook" in labels_of(refused)
    assert "❌ The webhook is switched off in Speckle" in text_of(off)
    assert "❌ The project has no webhook in Speckle" in text_of(gone)


@only_2_31
async def test_a_lost_right_a_missing_permission_and_a_pause_are_found(house: House) -> None:
    studio = house.studio
    async with house.running() as bot:
        await house.linked(bot, studio.maren, house.owner)
        await made(house)
        house.server.set_role(house.tower, house.owner, None)
        studio.structure.deny(studio.guild.bot, "attach_files")
        panel = await studio.open_entry(house.tower.name)
        await studio.press(panel, "Pause")
        found = await (await studio.type("doctor")).settled()
    assert "can no longer maintain it" in text_of(found)
    assert "An owner of the project links their Speckle account" in text_of(found)
    assert "Attach Files" in text_of(found)
    assert f"This channel is paused by <@{studio.maren.id}>" in text_of(found)
    assert labels_of(found) == ["Link my account", "Resume", "Look again", "Test"]


@only_2_31
async def test_a_webhook_by_hand_is_looked_at_with_an_owners_account_alone(house: House) -> None:
    studio = house.studio
    async with house.running() as bot:
        await house.set_up_by_hand(studio.facade)
        unknown = await (await studio.type("doctor", where=studio.facade, by_hand=False)).settled()
        elsewhere = await (await studio.type("doctor", by_hand=False)).settled()
        await house.linked(bot, studio.maren, house.reader)
        reader = await (await studio.type("doctor", where=studio.facade, by_hand=False)).settled()
    assert "➖ Nobody has linked an account that may look at the webhook" in text_of(unknown)
    not_here = f"<#{studio.structure.id}> does not follow this project"
    assert not_here in text_of(elsewhere)
    assert not_here not in text_of(unknown)
    assert f"What follows is about <#{studio.facade.id}>." in text_of(elsewhere)
    assert "Link my account" in labels_of(unknown)
    assert "only an owner of the project may do that" in text_of(reader)


@only_2_31
async def test_an_account_that_may_not_show_the_project_here_does_not_look_for_others(
    house: House,
) -> None:
    studio, url = house.studio, house.server.url
    async with house.running() as bot:
        _, hook = await house.set_up_by_hand(studio.facade)
        await house.linked(bot, studio.maren, house.owner)
        maren = await house.storage.read(lambda tx: tx.accounts.of_user(studio.maren.id, url))
        assert maren is not None
        there = await house.at(studio.facade)
        agreed = Consent(
            studio.maren.id, house.clock(), Entitlement.OWNER, there.options, "PRIVATE"
        )
        await house.storage.write(
            lambda tx: tx.subscriptions.upsert(
                hook.id, studio.facade.id, there.options, studio.maren.id, maren.id, agreed
            )
        )
        looked = await studio.type("doctor", where=studio.facade, who=studio.tobias, by_hand=False)
        seen = text_of(await looked.settled())
        pause = AccessPause(PauseReason.ACCESS_LOST, PauseWhy.PERSON_LEFT)
        await house.storage.write(
            lambda tx: tx.held_events.hold_back(there.id, house.clock(), pause)
        )
        looked = await studio.type("doctor", where=studio.facade, who=studio.tobias, by_hand=False)
        paused = text_of(await looked.settled())
    nobody = "Nobody has linked an account that may look at the webhook"
    assert (nobody in seen, nobody in paused) == (False, True)


@only_2_31
async def test_only_who_manages_the_channel_learns_of_it(house: House) -> None:
    studio = house.studio
    studio.guild.allow_command("doctor", studio.tobias)
    studio.guild.allow_command("test", studio.tobias)
    async with house.running() as bot:
        await house.linked(bot, studio.maren, house.owner)
        await made(house)
        for name in ("doctor", "test"):
            refused = await studio.type(name, who=studio.tobias, by_hand=False)
            assert house.tower.name not in text_of(refused)
            assert "Maren" not in text_of(refused)


@only_2_31
@pytest.mark.parametrize("name", ["doctor", "test"])
async def test_a_channel_that_follows_nothing_is_told_so(house: House, name: str) -> None:
    async with house.running():
        answer = await house.studio.type(name, by_hand=False)
        other = await house.studio.type(name, project="0123456789", by_hand=False)
    assert "follows no Speckle project" in text_of(answer)
    assert "follows no such project" in text_of(other)
