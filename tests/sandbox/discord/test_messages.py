"""Messages, threads and posts as discord.py sends them."""

import io
from collections.abc import Callable

import aiohttp
import discord
import pytest

from sandbox.discord import Sandbox, SandboxChannel, SandboxGuild
from sandbox.discord.message_rules import MAX_FILE_BYTES
from tests.sandbox.discord.conftest import Client, Clock

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def picture(name: str = "level 1.png") -> discord.File:
    return discord.File(io.BytesIO(PICTURE), filename=name)


async def test_a_message_with_a_file_and_an_embed_shows_both(
    sandbox: Sandbox,
    channel: SandboxChannel,
    place: discord.PartialMessageable,
    raw: aiohttp.ClientSession,
) -> None:
    embed = discord.Embed(title="New version", description="+12 beams", colour=0x136CFF)
    embed.set_image(url="attachment://level_1.png").add_field(name="Model", value="structure")
    sent = await place.send("Look:", embed=embed, files=[picture(), picture("plan.png")])
    message = sandbox.messages(channel.id)[0]
    assert message.id == sent.id
    assert message.content == "Look:"
    assert message.embeds[0]["title"] == "New version"
    assert [file.content for file in message.files] == [PICTURE, PICTURE]
    async with raw.get(message.embeds[0]["image"]["url"]) as answer:
        assert await answer.read() == PICTURE
        assert answer.content_type == "image/png"
    assert [file.filename for file in sent.attachments] == ["plan.png"]
    assert await sent.attachments[0].read() == PICTURE


async def test_the_same_nonce_gives_the_same_message_for_a_few_minutes(
    sandbox: Sandbox, channel: SandboxChannel, place: discord.PartialMessageable, clock: Clock
) -> None:
    first = await place.send("once", nonce="batch-1")
    again = await place.send("once", nonce="batch-1")
    other = await place.send("twice", nonce="batch-2")
    assert first.id == again.id != other.id
    assert len(sandbox.messages(channel)) == 2
    clock.forward(600)
    assert (await place.send("once", nonce="batch-1")).id != first.id


async def test_a_message_can_be_edited_read_and_deleted(
    sandbox: Sandbox, channel: SandboxChannel, place: discord.PartialMessageable
) -> None:
    message = await place.send("before", file=picture())
    edited = await message.edit(content="after", embed=discord.Embed(title="Now"))
    assert edited.edited_at is not None
    shown = sandbox.messages(channel)[0]
    assert (shown.content, shown.edits[0].content) == ("after", "before")
    assert len(shown.files) == 1
    await message.edit(attachments=[])
    assert shown.files == []
    assert (await place.fetch_message(message.id)).content == "after"
    assert [one.id async for one in place.history(limit=5)] == [message.id]
    await message.delete()
    assert sandbox.messages(channel) == []


async def test_threads_are_started_at_a_message_or_alone(
    rest: Client, channel: SandboxChannel, place: discord.PartialMessageable
) -> None:
    found = await rest.fetch_channel(channel.id)
    assert isinstance(found, discord.TextChannel)
    message = await found.send("Level 1")
    at_message = await message.create_thread(name="About level 1")
    assert at_message.id == message.id
    alone = await found.create_thread(name="Alone", type=discord.ChannelType.public_thread)
    assert (await alone.send("hello")).channel.id == alone.id
    await alone.edit(archived=True)
    await alone.edit(archived=False)
    await alone.send("hello again")
    with pytest.raises(discord.HTTPException) as twice:
        await message.create_thread(name="Again")
    assert twice.value.code == 160004


async def test_a_post_is_a_thread_with_its_first_message(
    sandbox: Sandbox, rest: Client, guild: SandboxGuild
) -> None:
    forum = guild.add_channel("ideas", "forum")
    found = await rest.fetch_channel(forum.id)
    assert isinstance(found, discord.ForumChannel)
    post = await found.create_thread(
        name="Roof", content="What of the roof?", file=picture(), embed=discord.Embed(title="Roof")
    )
    assert post.thread.id == post.message.id
    assert sandbox.messages(post.thread.id)[0].content == "What of the roof?"
    assert sandbox.messages(post.thread.id)[0].files[0].content == PICTURE
    with pytest.raises(discord.HTTPException) as refused:
        await rest.get_partial_messageable(forum.id).send("into the forum itself")
    assert refused.value.code == 50008


async def test_private_messages_reach_who_lets_them_in(
    sandbox: Sandbox, rest: Client, guild: SandboxGuild
) -> None:
    member = guild.add_member("Tobias Lindqvist")
    user = await rest.fetch_user(member.id)
    await user.send("hello")
    private = sandbox.world.private_channel(member.id)
    assert [one.content for one in sandbox.messages(private)] == ["hello"]
    member.user.takes_messages = False
    with pytest.raises(discord.Forbidden) as refused:
        await user.send("hello?")
    assert refused.value.code == 50007


async def test_what_does_not_exist_is_unknown(
    rest: Client, place: discord.PartialMessageable, guild: SandboxGuild
) -> None:
    with pytest.raises(discord.NotFound) as unknown_channel:
        await rest.fetch_channel(12345)
    with pytest.raises(discord.NotFound) as unknown_guild:
        await rest.fetch_guild(12345)
    with pytest.raises(discord.NotFound) as unknown_message:
        await place.get_partial_message(12345).edit(content="?")
    with pytest.raises(discord.NotFound) as unknown_command:
        await rest.tree.fetch_command(12345)
    refused = (unknown_channel, unknown_guild, unknown_message, unknown_command)
    assert [one.value.code for one in refused] == [10003, 10004, 10008, 10063]


async def test_a_guild_without_the_bot_gives_no_access(
    sandbox: Sandbox, rest: Client, guild: SandboxGuild, place: discord.PartialMessageable
) -> None:
    assert (await rest.fetch_guild(guild.id)).name == "Studio Kestrel"
    assert [one.id async for one in rest.fetch_guilds()] == [guild.id]
    sandbox.remove_guild(guild)
    with pytest.raises(discord.NotFound):
        await rest.fetch_guild(guild.id)
    with pytest.raises(discord.Forbidden) as refused:
        await place.send("anybody there?")
    assert refused.value.code == 50001


@pytest.mark.parametrize(
    ("denied", "code"),
    [
        ("view_channel", 50001),
        ("send_messages", 50013),
        ("embed_links", 50013),
        ("attach_files", 50013),
    ],
)
async def test_each_permission_is_needed(
    channel: SandboxChannel,
    guild: SandboxGuild,
    place: discord.PartialMessageable,
    denied: str,
    code: int,
) -> None:
    channel.deny(guild.bot, denied)
    with pytest.raises(discord.Forbidden) as refused:
        await place.send("all", embed=discord.Embed(title="of"), file=picture())
    assert refused.value.code == code
    channel.allow(guild.bot, denied)
    await place.send("all", embed=discord.Embed(title="of"), file=picture())


async def test_overwrites_are_weighed_in_discords_order(
    channel: SandboxChannel, guild: SandboxGuild
) -> None:
    writers = guild.add_role("Writers")
    member = guild.add_member("Tobias Lindqvist")
    member.add_role(writers)

    def may_send() -> bool:
        return bool(member.permissions_in(channel) & (1 << 11))

    assert may_send()
    channel.deny(None, "send_messages")
    assert not may_send()
    channel.allow(writers, "send_messages")
    assert may_send()
    channel.deny(member, "send_messages")
    assert not may_send()
    member.set_permissions("administrator")
    assert may_send()


async def test_in_threads_another_permission_counts(
    rest: Client, channel: SandboxChannel, guild: SandboxGuild
) -> None:
    thread = rest.get_partial_messageable(channel.add_thread("Level 1").id)
    channel.deny(guild.bot, "send_messages")
    await thread.send("a thread does not ask for Send Messages")
    channel.deny(guild.bot, "send_messages_in_threads")
    with pytest.raises(discord.Forbidden) as refused:
        await thread.send("but for its own")
    assert refused.value.code == 50013


async def test_locked_and_private_threads_are_closed(rest: Client, channel: SandboxChannel) -> None:
    codes = []
    for thread in (
        channel.add_thread("locked", locked=True),
        channel.add_thread("locked, archived", archived=True, locked=True),
        channel.add_thread("private", private=True),
    ):
        with pytest.raises(discord.HTTPException) as refused:
            await rest.get_partial_messageable(thread.id).send("hello")
        codes.append(refused.value.code)
    assert codes == [160005, 160005, 50001]
    joined = channel.add_thread("private, joined", private=True, bot_joined=True)
    await rest.get_partial_messageable(joined.id).send("hello")


def too_much_text() -> dict[str, object]:
    return {
        "embeds": [discord.Embed(description="x" * 3500), discord.Embed(description="x" * 2501)]
    }


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (lambda: {"content": " "[:0]}, 50006, "empty"),
        (lambda: {"content": "x" * 2001}, 50035, "In content: Must be 2000 or fewer in length."),
        (too_much_text, 50035, "Embed size exceeds maximum size of 6000"),
        (
            lambda: {"embed": discord.Embed(title="x" * 257)},
            50035,
            "In embeds.0.title: Must be 256 or fewer",
        ),
        (
            lambda: {"embed": discord.Embed(title="x").set_image(url="data:image/png;base64,AA==")},
            50035,
            'In embeds.0.image.url: Scheme "data" must be one of',
        ),
        (
            lambda: {"embed": discord.Embed(title="x").set_image(url="attachment://lost.png")},
            50035,
            "In embeds.0.image.url: The referenced attachment",
        ),
        (
            lambda: {"embed": discord.Embed(title="x", url="http://localhost/x")},
            50035,
            "In embeds.0.url: Not a well formed URL.",
        ),
        (lambda: {"content": "x", "nonce": "n" * 26}, 50035, "In nonce: Must be 25 or fewer"),
    ],
)
async def test_a_bad_form_says_where_it_is_bad(
    place: discord.PartialMessageable,
    arguments: Callable[[], dict[str, object]],
    code: int,
    said: str,
) -> None:
    with pytest.raises(discord.HTTPException) as refused:
        await place.send(**arguments())  # type: ignore[call-overload]  # bad on purpose
    assert refused.value.code == code
    assert said in refused.value.text


async def test_files_have_their_limits(place: discord.PartialMessageable) -> None:
    one = discord.File(io.BytesIO(bytes(MAX_FILE_BYTES + 1)), filename="large.bin")
    with pytest.raises(discord.HTTPException) as too_large:
        await place.send(file=one)
    three = [discord.File(io.BytesIO(bytes(9 << 20)), filename=f"{n}.bin") for n in range(3)]
    with pytest.raises(discord.HTTPException) as too_large_together:
        await place.send(files=three)
    eleven = [picture(f"{n}.png") for n in range(11)]
    with pytest.raises(discord.HTTPException) as too_many:
        await place.send(files=eleven)
    assert (too_large.value.status, too_large.value.code) == (413, 40005)
    assert (too_large_together.value.status, too_large_together.value.code) == (413, 40005)
    assert (too_many.value.status, too_many.value.code) == (400, 50035)


async def test_an_edit_keeps_the_files_that_it_lists_and_its_pictures_are_found(
    sandbox: Sandbox, channel: SandboxChannel, place: discord.PartialMessageable
) -> None:
    embed = discord.Embed(title="New version").set_image(url="attachment://plan.png")
    message = await place.send(files=[picture("other.png")], embed=discord.Embed(title="Before"))
    partial = place.get_partial_message(message.id)
    await partial.edit(embed=embed, attachments=[picture("plan.png")])
    shown = sandbox.messages(channel)[0]
    assert [file.name for file in shown.files] == ["plan.png"]
    assert shown.embeds[0]["image"]["url"] == shown.files[0].url
    await partial.edit(embed=None, attachments=[picture("list.png")], content="Two lists")
    first = await place.fetch_message(message.id)
    await partial.edit(attachments=[*first.attachments, picture("more.png")])
    assert [file.name for file in sandbox.messages(channel)[0].files] == ["list.png", "more.png"]
    with pytest.raises(discord.HTTPException):
        await partial.edit(embed=embed, attachments=[])


async def test_an_edit_cannot_bring_a_message_over_ten_files(
    place: discord.PartialMessageable,
) -> None:
    message = await place.send(files=[picture(f"{n}.png") for n in range(6)])
    old = message.attachments
    with pytest.raises(discord.HTTPException):
        await message.edit(attachments=[*old, *(picture(f"new-{n}.png") for n in range(5))])


async def test_a_message_that_was_deleted_cannot_be_edited(
    place: discord.PartialMessageable,
) -> None:
    message = await place.send("here")
    await message.delete()
    with pytest.raises(discord.NotFound) as refused:
        await place.get_partial_message(message.id).edit(content="gone")
    assert refused.value.code == 10008
