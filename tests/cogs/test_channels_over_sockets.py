"""Channels of all kinds and who may do what in them, in the sandbox Discord."""

import pytest

from bot.storage import Storage
from tests.cogs.conftest import RunClient, Studio, labels_of, options_of, text_of
from tests.services.conftest import PAVILION, TOWER


@pytest.mark.parametrize("kind", ["text", "announcement", "voice", "stage"])
async def test_channels_with_messages_can_be_subscribed(
    run_client: RunClient, studio: Studio, kind: str
) -> None:
    channel = studio.guild.add_channel("elsewhere", kind)
    async with run_client():
        answer = await studio.type("subscribe", stream_id=TOWER, channel=channel)
        public = await studio.sandbox.wait_for_messages(channel.id, 1, 5)
    assert f"<#{channel.id}> now follows" in text_of(answer)
    assert "now follows" in public[0].content


async def test_threads_and_forum_posts_can_be_subscribed_but_not_the_forum_itself(
    run_client: RunClient, studio: Studio
) -> None:
    forum = studio.guild.add_channel("coordination", "forum")
    post, thread = forum.add_thread("Clashes, level 1"), studio.structure.add_thread("level 1")
    async with run_client():
        for place in (post, thread):
            answer = await studio.type("subscribe", stream_id=TOWER, channel=place)
            assert f"<#{place.id}> now follows" in text_of(answer)
        inside = await studio.type("subscribe", stream_id=PAVILION, where=thread)
        assert f"<#{thread.id}> now follows" in text_of(inside)
        refused = await studio.type("subscribe", stream_id=TOWER, channel=forum)
    assert "Pick a post in it" in text_of(refused)


async def test_closed_threads_and_strange_private_ones_say_what_to_do(
    run_client: RunClient, studio: Studio
) -> None:
    archived = studio.structure.add_thread("old", archived=True)
    locked = studio.structure.add_thread("closed", archived=True, locked=True)
    async with run_client():
        answer = await studio.type("subscribe", stream_id=TOWER, channel=archived)
        assert "archived" in text_of(answer)
        answer = await studio.type("subscribe", stream_id=TOWER, channel=locked)
        assert "locked" in text_of(answer)


async def test_a_private_thread_asks_for_the_bot_to_be_mentioned(
    run_client: RunClient, studio: Studio
) -> None:
    private = studio.structure.add_thread("fees", private=True)
    private.joined.add(studio.maren.id)
    async with run_client():
        answer = await studio.type("subscribe", stream_id=TOWER, where=private)
        assert "Mention the bot there" in text_of(answer)


async def test_permissions_that_the_bot_lacks_are_named(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    studio.structure.deny(studio.guild.bot, "embed_links, attach_files")
    async with run_client():
        here = await studio.type("subscribe", stream_id=TOWER)
        studio.facade.deny(studio.guild.bot, "send_messages")
        there = await studio.type("subscribe", stream_id=TOWER, channel=studio.facade)
        studio.facade.allow(studio.guild.bot, "send_messages")
        again = await studio.type("subscribe", stream_id=TOWER, channel=studio.facade)
    assert "- Embed Links\n- Attach Files\n" in text_of(here)
    assert "Send Messages" not in text_of(here)
    assert "- Send Messages\n" in text_of(there)
    assert "Embed Links" not in text_of(there)
    assert "now follows" in text_of(again)
    subscriptions = await storage.read(lambda tx: tx.subscriptions.of_guild(studio.guild.id))
    assert [s.channel_id for s in subscriptions] == [studio.facade.id]


async def test_resuming_where_the_bot_may_not_post_names_what_is_missing(
    run_client: RunClient, studio: Studio
) -> None:
    async with run_client():
        await studio.type("subscribe", stream_id=TOWER)
        paused = await studio.press(await studio.open_entry(), "Pause")
        studio.structure.deny(studio.guild.bot, "attach_files")
        refused = await studio.press(paused, "Resume")
        assert "- Attach Files\n" in text_of(refused)
        studio.structure.clear_overwrites()
        assert "Pause" in labels_of(await studio.press(paused, "Resume"))


async def test_nobody_posts_into_a_channel_that_he_does_not_manage(
    run_client: RunClient, studio: Studio
) -> None:
    studio.guild.allow_command("subscribe", studio.tobias)
    studio.structure.allow(studio.tobias, "manage_webhooks")
    async with run_client():
        refused = await studio.type(
            "subscribe", stream_id=TOWER, who=studio.tobias, channel=studio.facade
        )
        assert "Manage Webhooks" in text_of(refused)
        answer = await studio.type("subscribe", stream_id=TOWER, who=studio.tobias)
        assert "now follows" in text_of(answer)


async def test_the_list_shows_only_channels_that_the_caller_manages(
    run_client: RunClient, studio: Studio
) -> None:
    studio.guild.allow_command("subscriptions", studio.tobias)
    studio.structure.allow(studio.tobias, "manage_webhooks")
    studio.guild.allow_command("subscriptions", studio.maren)
    async with run_client():
        await studio.type("subscribe", stream_id=TOWER)
        await studio.type("subscribe", stream_id=PAVILION, channel=studio.facade)
        everything = await studio.type("subscriptions")
        assert list(options_of(everything)) == [TOWER, PAVILION]
        his = await studio.type("subscriptions", who=studio.tobias)
        assert list(options_of(his)) == [TOWER]
        refused = await studio.choose(everything, PAVILION, studio.tobias)  # seen over a shoulder
        assert "Manage Webhooks" in text_of(refused)
        studio.maren.set_permissions(0)
        assert "in which you can manage webhooks" in text_of(await studio.type("subscriptions"))


async def test_a_line_that_cannot_be_posted_leaves_the_subscription_standing(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    async with run_client():
        studio.sandbox.faults.fail(
            "POST /channels/{channel_id}/messages", status=403, times=1, code=50013
        )
        answer = await studio.type("subscribe", stream_id=TOWER)
        said = text_of(answer)
    assert "Secret" in text_of(answer)
    assert "The subscription is active" in said
    assert len(await storage.read(lambda tx: tx.subscriptions.of_guild(studio.guild.id))) == 1


async def test_a_deleted_channel_can_still_be_tidied_up(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    async with run_client():
        await studio.type("subscribe", stream_id=TOWER, channel=studio.facade)
        studio.guild.remove_channel(studio.facade)
        entry = await studio.open_entry()
        paused = await studio.press(entry, "Pause")
        assert "gone" in text_of(await studio.press(paused, "Resume"))
        sure = await studio.press(entry, "Remove")
        removed = await studio.press(sure, "Yes, remove it")
    assert "no longer follows" in text_of(removed)
    assert await storage.read(lambda tx: tx.subscriptions.of_guild(studio.guild.id)) == []
