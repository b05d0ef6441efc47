"""What a test or the demo sees of the sandbox, and what goes wrong for the one who looks."""

from typing import Any

import discord
import pytest

from sandbox.discord import (
    InteractionTimeout,
    NotEnough,
    NotOffered,
    Sandbox,
    SandboxChannel,
    SandboxGuild,
    SandboxMember,
)
from tests.sandbox.discord.conftest import Client, Connect

Interaction = discord.Interaction[Any]


class Vote(discord.ui.View):
    """One button for all."""

    @discord.ui.button(label="Yes", custom_id="yes")
    async def yes(self, interaction: Interaction, _: discord.ui.Button[Any]) -> None:
        await interaction.response.send_message(f"{interaction.user.name} said yes")


@pytest.fixture
def bot(guild: SandboxGuild) -> Client:
    client = Client()

    @client.tree.command(description="Asks everybody")
    async def vote(interaction: Interaction) -> None:
        await interaction.response.send_message("Well?", view=Vote(timeout=None))

    @client.tree.command(description="Is gone at once")
    async def vanish(interaction: Interaction) -> None:
        await interaction.response.send_message("now you see me")
        await interaction.delete_original_response()
        await interaction.followup.send("now you don't", ephemeral=True)

    return client


async def test_requests_are_recorded_with_their_route(
    sandbox: Sandbox, channel: SandboxChannel, place: discord.PartialMessageable
) -> None:
    await place.send("hello", nonce="n1")
    last = sandbox.requests[-1]
    assert last.route == "/channels/{channel_id}/messages"
    assert last.path == f"/channels/{channel.id}/messages"
    assert (last.method, last.status) == ("POST", 200)
    assert last.json["nonce"] == "n1"
    assert sandbox.token not in repr(last)


async def test_too_few_messages_are_told_with_what_is_there(
    sandbox: Sandbox, channel: SandboxChannel, place: discord.PartialMessageable
) -> None:
    await place.send("hello")
    assert len(await sandbox.wait_for_messages(channel, 1)) == 1
    with pytest.raises(NotEnough, match="hello"):
        await sandbox.wait_for_messages(channel.id, 2, timeout_s=0.05)


async def test_a_bot_that_is_not_connected_does_not_answer(
    sandbox: Sandbox,
    guild: SandboxGuild,
    channel: SandboxChannel,
    maren: SandboxMember,
    bot: Client,
) -> None:
    sandbox.world.first_answer_s = 0.1
    async with bot:
        await bot.login(sandbox.token)
        await bot.tree.sync()
        with pytest.raises(InteractionTimeout, match="not connected"):
            await sandbox.command(guild, channel, maren, "vote")


async def test_everybody_who_sees_a_message_may_press_its_button(
    sandbox: Sandbox,
    guild: SandboxGuild,
    channel: SandboxChannel,
    maren: SandboxMember,
    bot: Client,
    connect: Connect,
) -> None:
    tobias = guild.add_member("Tobias Lindqvist")
    async with connect(bot):
        await sandbox.command(guild, channel, maren, "vote")
        shown = sandbox.messages(channel)[0]
        answer = await sandbox.press(shown, "Yes", tobias)
        assert answer.content == "Tobias Lindqvist said yes"
        channel.deny(tobias, "view_channel")
        with pytest.raises(NotOffered):
            await sandbox.press(shown, "Yes", tobias)


async def test_a_deleted_answer_is_gone(
    sandbox: Sandbox,
    guild: SandboxGuild,
    channel: SandboxChannel,
    maren: SandboxMember,
    bot: Client,
    connect: Connect,
) -> None:
    async with connect(bot):
        answer = await sandbox.command(guild, channel, maren, "vanish")
        followed = await answer.wait_for_followups()
        assert (answer.message, answer.content) == (None, "")
        assert followed[0].ephemeral
        assert sandbox.messages(channel) == []


async def test_a_guilds_own_commands_are_offered_there_alone(
    sandbox: Sandbox,
    guild: SandboxGuild,
    channel: SandboxChannel,
    maren: SandboxMember,
    connect: Connect,
) -> None:
    other = sandbox.add_guild("Elsewhere")
    lobby, nosy = other.add_channel("lobby"), other.add_member("Ines Marlow")
    client = Client()

    @client.tree.command(description="Here alone", guild=discord.Object(guild.id))
    async def local(interaction: Interaction) -> None:
        await interaction.response.send_message("here")

    async with connect(client):
        await client.tree.sync(guild=discord.Object(guild.id))
        assert (await sandbox.command(guild, channel, maren, "local")).content == "here"
        with pytest.raises(NotOffered):
            await sandbox.command(other, lobby, nosy, "local")


async def test_what_a_guild_is_made_of_can_be_asked_for(
    rest: Client, guild: SandboxGuild, channel: SandboxChannel, maren: SandboxMember
) -> None:
    thread = channel.add_thread("Level 1")
    found = await rest.fetch_guild(guild.id)
    assert [one.id for one in await found.fetch_channels()] == [channel.id]
    assert (await found.fetch_member(maren.id)).name == "Maren Oduya"
    assert guild.everyone.id in {one.id for one in await found.fetch_roles()}
    assert [one.id for one in await found.active_threads()] == [thread.id]
    info = await rest.application_info()
    assert info.id == rest.application_id
