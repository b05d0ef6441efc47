"""Commands, buttons, selects and forms, as a member uses them and discord.py answers."""

import asyncio
import io
from typing import Any

import discord
import pytest
from discord import app_commands

from sandbox.discord import (
    InteractionTimeout,
    InteractionView,
    NotOffered,
    Sandbox,
    SandboxChannel,
    SandboxGuild,
    SandboxMember,
    WrongOption,
)
from tests.sandbox.discord.conftest import Client, Clock, Connect

Interaction = discord.Interaction[Any]


class Form(discord.ui.Modal, title="What this channel shows"):
    """A form with one field, below a label."""

    def __init__(self) -> None:
        super().__init__()
        self.events: discord.ui.TextInput[Any] = discord.ui.TextInput(
            default="versions", required=False, max_length=20
        )
        self.add_item(discord.ui.Label(text="Events", component=self.events))

    async def on_submit(self, interaction: Interaction) -> None:
        await interaction.response.edit_message(content=f"events: {self.events.value}", view=None)


class Panel(discord.ui.View):
    """A button, a button that opens the form, a link, and a select."""

    def __init__(self) -> None:
        super().__init__(timeout=None)
        self.add_item(discord.ui.Button(label="Open", url="https://app.speckle.systems/x"))

    @discord.ui.button(label="Count", custom_id="count")
    async def count(self, interaction: Interaction, _: discord.ui.Button[Any]) -> None:
        await interaction.response.edit_message(content="pressed")

    @discord.ui.button(label="Edit", custom_id="edit")
    async def edit(self, interaction: Interaction, _: discord.ui.Button[Any]) -> None:
        await interaction.response.send_modal(Form())

    @discord.ui.button(label="Later", custom_id="later")
    async def later(self, interaction: Interaction, _: discord.ui.Button[Any]) -> None:
        await interaction.response.defer()
        await interaction.edit_original_response(content="done later")
        await interaction.followup.send("by the way", ephemeral=True)

    @discord.ui.select(
        custom_id="pick",
        placeholder="Choose a project",
        options=[discord.SelectOption(label="Harbour Tower", value="1")],
    )
    async def pick(self, interaction: Interaction, select: discord.ui.Select[Any]) -> None:
        await interaction.response.send_message(f"chosen: {select.values[0]}", ephemeral=True)


@pytest.fixture
def bot(clock: Clock) -> Client:
    client = Client()
    tree = client.tree

    @tree.command(description="Says back what it was given")
    @app_commands.choices(size=[app_commands.Choice(name="Large", value="L")])
    async def echo(
        interaction: Interaction,
        text: app_commands.Range[str, 1, 10],
        count: app_commands.Range[int, 1, 5] = 1,
        loud: bool = False,
        size: app_commands.Choice[str] | None = None,
        where: discord.TextChannel | discord.Thread | None = None,
        who: discord.Member | None = None,
    ) -> None:
        said = [text * count, loud, size and size.value, where and where.name, who and who.name]
        await interaction.response.send_message(str(said), ephemeral=True)

    @echo.autocomplete("text")
    async def complete(_: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=f"{typed}-{n}", value=f"{n}") for n in range(3)]

    @tree.command(description="Shows the panel")
    async def panel(interaction: Interaction) -> None:
        await interaction.response.send_message("panel", view=Panel(), ephemeral=True)

    @tree.command(description="Thinks, then answers in public")
    async def think(interaction: Interaction) -> None:
        await interaction.response.defer(thinking=True)
        await asyncio.sleep(0.05)
        file = discord.File(io.BytesIO(b"plan"), filename="plan.txt")
        await interaction.followup.send("thought", file=file)
        await interaction.followup.send("and more")

    @tree.command(description="Answers twice")
    async def twice(interaction: Interaction) -> None:
        await interaction.response.send_message("once")
        interaction.response._response_type = None  # as another process would not know of it
        try:
            await interaction.response.send_message("twice")
        except discord.HTTPException as error:
            await interaction.followup.send(str(error.code))

    @tree.command(description="Answers too late")
    async def late(interaction: Interaction) -> None:
        clock.forward(4)
        try:
            await interaction.response.send_message("late")
        except discord.NotFound as error:
            interaction.client.late_code = error.code

    @tree.command(description="Follows up after a quarter of an hour")
    async def slow(interaction: Interaction) -> None:
        message = await interaction.response.send_message("soon")
        assert message.message_id is not None
        clock.forward(16 * 60)
        try:
            await interaction.followup.send("at last")
        except discord.HTTPException as error:
            await interaction.client.get_partial_messageable(interaction.channel_id or 0).send(
                f"{error.status} {error.code}"
            )

    @tree.command(description="For managers")
    @app_commands.default_permissions(manage_webhooks=True)
    async def manage(interaction: Interaction) -> None:
        await interaction.response.send_message(f"{interaction.permissions.manage_webhooks}")

    group = app_commands.Group(name="speckle", description="A group")

    @group.command(description="Below a group")
    async def about(interaction: Interaction, topic: str) -> None:
        await interaction.response.send_message(f"about {topic}")

    tree.add_command(group)
    return client


class Desk:
    """Maren at her desk: types into #structure."""

    def __init__(
        self, sandbox: Sandbox, guild: SandboxGuild, channel: SandboxChannel, maren: SandboxMember
    ) -> None:
        self.sandbox, self.guild, self.channel, self.maren = sandbox, guild, channel, maren

    async def type(self, name: str, **options: Any) -> InteractionView:
        return await self.sandbox.command(self.guild, self.channel, self.maren, name, **options)


@pytest.fixture
def desk(
    sandbox: Sandbox, guild: SandboxGuild, channel: SandboxChannel, maren: SandboxMember
) -> Desk:
    return Desk(sandbox, guild, channel, maren)


async def test_options_arrive_as_what_they_are(desk: Desk, bot: Client, connect: Connect) -> None:
    async with connect(bot):
        thread = desk.channel.add_thread("Level 1", archived=True)
        answer = await desk.type(
            "echo", text="ab", count="2", loud="true", size="Large", where=thread, who=desk.maren
        )
        assert answer.ephemeral
        assert answer.content == "['abab', True, 'L', 'Level 1', 'Maren Oduya']"
        by_name = await desk.type("echo", text="ab", where="#structure")
        assert by_name.content == "['ab', False, None, 'structure', None]"
        assert (await desk.type("speckle about", topic="models")).content == "about models"
        assert desk.sandbox.messages(desk.channel)[0].content == "about models"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"text": "ab", "colour": "red"},
        {"text": "x" * 11},
        {"text": "ab", "count": 6},
        {"text": "ab", "count": "many"},
        {"text": "ab", "size": "Small"},
        {"text": "ab", "where": "#nowhere"},
        {"text": "ab", "where": "talk"},
    ],
)
async def test_options_that_a_client_would_not_send_are_refused(
    desk: Desk, bot: Client, connect: Connect, options: dict[str, Any]
) -> None:
    desk.guild.add_channel("talk", "voice")
    async with connect(bot):
        with pytest.raises(WrongOption):
            await desk.type("echo", **options)


async def test_a_command_is_offered_to_those_who_may_use_it(
    desk: Desk, bot: Client, connect: Connect
) -> None:
    tobias = desk.guild.add_member("Tobias Lindqvist")
    async with connect(bot):
        assert (await desk.type("manage")).content == "True"
        with pytest.raises(NotOffered, match="may not use"):
            await desk.sandbox.command(desk.guild, desk.channel, tobias, "manage")
        desk.guild.allow_command("manage", tobias)
        answer = await desk.sandbox.command(desk.guild, desk.channel, tobias, "manage")
        assert answer.content == "False"
        with pytest.raises(NotOffered, match="there is no /nothing"):
            await desk.type("nothing")
        archived = desk.channel.add_thread("Level 1", archived=True)
        with pytest.raises(NotOffered, match="is archived"):
            await desk.sandbox.command(desk.guild, archived, desk.maren, "manage")
        desk.channel.deny(desk.maren, "view_channel")
        with pytest.raises(NotOffered, match="does not see"):
            await desk.type("manage")


async def test_commands_for_private_conversations_are_typed_there(
    desk: Desk, bot: Client, connect: Connect
) -> None:
    @bot.tree.command(description="For conversations too")
    @app_commands.allowed_contexts(guilds=True, dms=True)
    async def both(interaction: Interaction) -> None:
        await interaction.response.send_message(str(interaction.guild_id), ephemeral=True)

    @bot.tree.command(description="For guilds alone")
    @app_commands.guild_only()
    async def inside(interaction: Interaction) -> None: ...

    tobias = desk.guild.add_member("Tobias Lindqvist")
    private = desk.sandbox.world.private_channel(desk.maren.id)
    async with connect(bot):
        answer = await desk.sandbox.command(None, private, desk.maren, "both")
        assert (answer.content, answer.ephemeral) == ("None", True)
        offered = [one["name"] for one in desk.sandbox.commands_offered(private, desk.maren)]
        assert "both" in offered
        assert "inside" not in offered
        with pytest.raises(NotOffered, match="there is no /inside"):
            await desk.sandbox.command(None, private, desk.maren, "inside")
        with pytest.raises(NotOffered, match="not in this conversation"):
            await desk.sandbox.command(None, private, tobias, "both")


async def test_what_is_typed_is_completed(desk: Desk, bot: Client, connect: Connect) -> None:
    async with connect(bot):
        choices = await desk.sandbox.autocomplete(
            desk.guild, desk.channel, desk.maren, "echo", "text", "tow", count=2
        )
        assert choices[0] == {"name": "tow-0", "value": "0"}
        assert len(choices) == 3
        with pytest.raises(WrongOption):
            await desk.sandbox.autocomplete(
                desk.guild, desk.channel, desk.maren, "echo", "count", "1"
            )


async def test_buttons_selects_and_forms_answer(desk: Desk, bot: Client, connect: Connect) -> None:
    sandbox = desk.sandbox
    async with connect(bot):
        panel = await desk.type("panel")
        pressed = await sandbox.press(panel, "Count")
        assert pressed.updated
        assert (panel.content, panel.edits[0].content) == ("pressed", "panel")
        chosen = await sandbox.select(panel, "Choose a project", ["Harbour Tower"])
        assert (chosen.content, chosen.ephemeral) == ("chosen: 1", True)
        later = await sandbox.press(panel, "later")
        await later.wait_for_followups()
        assert panel.content == "done later"
        assert later.followups[0].content == "by the way"
        form = await sandbox.press(panel, "Edit")
        assert form.modal is not None
        assert form.modal["title"] == "What this channel shows"
        await sandbox.submit_modal(form, {})
        assert panel.content == "events: versions"
        assert panel.components == []
        assert sandbox.messages(desk.channel) == []


async def test_what_is_not_there_cannot_be_used(desk: Desk, bot: Client, connect: Connect) -> None:
    sandbox = desk.sandbox
    async with connect(bot):
        panel = await desk.type("panel")
        for label in ("Nothing", "Open"):
            with pytest.raises(NotOffered):
                await sandbox.press(panel, label)
        with pytest.raises(NotOffered):
            await sandbox.select(panel, "", ["Lighthouse"])
        form = await sandbox.press(panel, "Edit")
        with pytest.raises(WrongOption):
            await sandbox.submit_modal(form, {"Events": "x" * 21})
        with pytest.raises(WrongOption):
            await sandbox.submit_modal(form, {"Models": "x"})


async def test_a_deferred_answer_is_filled_by_the_first_follow_up(
    desk: Desk, bot: Client, connect: Connect
) -> None:
    async with connect(bot):
        answer = await desk.type("think")
        assert answer.deferred
        assert desk.sandbox.messages(desk.channel) == []
        await answer.settled()
        assert (answer.content, answer.edits) == ("thought", [])
        assert answer.files[0].content == b"plan"
        assert (await answer.wait_for_followups())[0].content == "and more"
        shown = await desk.sandbox.wait_for_messages(desk.channel, 2)
        assert [one.content for one in shown] == ["thought", "and more"]


async def test_a_second_first_answer_is_refused(desk: Desk, bot: Client, connect: Connect) -> None:
    async with connect(bot):
        answer = await desk.type("twice")
        assert (await answer.wait_for_followups())[0].content == "40060"
        assert answer.content == "once"


async def test_an_answer_that_is_too_late_finds_no_interaction(
    desk: Desk, bot: Client, connect: Connect
) -> None:
    desk.sandbox.world.first_answer_s = 0.2
    async with connect(bot):
        with pytest.raises(InteractionTimeout):
            await desk.type("late")
        assert bot.late_code == 10062  # type: ignore[attr-defined]  # set by the command


async def test_a_token_is_good_for_fifteen_minutes(
    desk: Desk, bot: Client, connect: Connect
) -> None:
    async with connect(bot):
        await desk.type("slow")
        shown = await desk.sandbox.wait_for_messages(desk.channel, 2)
        assert shown[1].content == "401 50027"


async def test_commands_are_replaced_as_a_whole_and_keep_their_ids(
    sandbox: Sandbox, rest: Client
) -> None:
    @rest.tree.command(description="First")
    async def first(interaction: Interaction) -> None: ...

    (synced,) = await rest.tree.sync()
    (again,) = await rest.tree.sync()
    assert synced.id == again.id
    assert [one["name"] for one in sandbox.commands] == ["first"]
    rest.tree.clear_commands(guild=None)
    assert await rest.tree.sync() == []
    assert sandbox.commands == []


async def test_buttons_in_a_private_conversation_bring_a_user_and_no_guild(
    desk: Desk, bot: Client, connect: Connect
) -> None:
    heard: list[Interaction] = []

    async def on_interaction(interaction: Interaction) -> None:
        heard.append(interaction)

    bot.event(on_interaction)
    sandbox, tobias = desk.sandbox, desk.guild.add_member("Tobias Lindqvist")
    async with connect(bot):
        await (await bot.fetch_user(desk.maren.id)).send("panel", view=Panel())
        [panel] = sandbox.messages(sandbox.world.private_channel(desk.maren.id))
        with pytest.raises(NotOffered, match="does not see"):
            await sandbox.press(panel, "Count", tobias)
        pressed = await sandbox.press(panel, "Count", desk.maren)
        assert pressed.updated
        assert panel.content == "pressed"
        chosen = await sandbox.select(panel, "", ["Harbour Tower"], desk.maren)
        assert (chosen.content, chosen.ephemeral) == ("chosen: 1", True)
        form = await sandbox.press(panel, "Edit", desk.maren)
        await sandbox.submit_modal(form, {"Events": "issues"})
        assert panel.content == "events: issues"
    first = heard[0]
    assert (first.guild_id, first.context.dm_channel) == (None, True)
    assert type(first.user) is discord.User
    assert isinstance(first.channel, discord.DMChannel)
    assert first.app_permissions.embed_links
    assert not first.app_permissions.manage_webhooks
