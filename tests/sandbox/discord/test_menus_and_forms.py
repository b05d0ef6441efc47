"""Commands in the menus of messages and members, forms of every component, and emojis."""

from typing import Any

import discord
import pytest
from discord import app_commands

from sandbox.discord import (
    NotOffered,
    Sandbox,
    SandboxChannel,
    SandboxGuild,
    SandboxMember,
    Upload,
    WrongOption,
)
from tests.sandbox.discord.conftest import Client, Connect

Interaction = discord.Interaction[Any]
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


class EverythingForm(discord.ui.Modal, title="Everything that a form can ask"):
    """A text, a select, radio buttons, checkboxes, and one checkbox."""

    def __init__(self) -> None:
        super().__init__()
        self.text: Any = discord.ui.TextInput(default="versions", required=False, max_length=20)
        self.events: Any = discord.ui.Select(
            max_values=2,
            options=[
                discord.SelectOption(label="Versions", value="v", default=True),
                discord.SelectOption(label="Issues", value="i"),
            ],
        )
        self.how: Any = discord.ui.RadioGroup(
            options=[
                discord.RadioGroupOption(label="At once", value="now", default=True),
                discord.RadioGroupOption(label="In one message a day", value="day"),
            ]
        )
        self.what: Any = discord.ui.CheckboxGroup(
            required=False,
            min_values=0,
            options=[
                discord.CheckboxGroupOption(label="Pictures", value="p", default=True),
                discord.CheckboxGroupOption(label="Names", value="n"),
            ],
        )
        self.loud: Any = discord.ui.Checkbox(default=False)
        for label, part in (
            ("Text", self.text), ("Events", self.events), ("How", self.how), ("What", self.what),
            ("Loud", self.loud),
        ):  # fmt: skip
            self.add_item(discord.ui.Label(text=label, component=part))

    async def on_submit(self, interaction: Interaction) -> None:
        said = [self.text.value, list(self.events.values), self.how.value, list(self.what.values)]
        await interaction.response.send_message(f"{said} {self.loud.value}", ephemeral=True)


class PeopleForm(discord.ui.Modal, title="Who and where"):
    """The selects that fill themselves, and a file."""

    def __init__(self) -> None:
        super().__init__()
        self.who: Any = discord.ui.UserSelect(required=True)
        self.role: Any = discord.ui.RoleSelect()
        self.both: Any = discord.ui.MentionableSelect(max_values=2)
        self.where: Any = discord.ui.ChannelSelect(channel_types=[discord.ChannelType.text])
        self.plan: Any = discord.ui.FileUpload(required=False, max_values=2)
        for label, part in (
            ("Who", self.who), ("Role", self.role), ("Both", self.both), ("Where", self.where),
            ("Plan", self.plan),
        ):  # fmt: skip
            self.add_item(discord.ui.Label(text=label, component=part))

    async def on_submit(self, interaction: Interaction) -> None:
        files = [await one.read() for one in self.plan.values]
        parts = (self.who, self.role, self.both, self.where)
        names = [[one.name for one in part.values] for part in parts]
        await interaction.response.send_message(f"{names} {files}", ephemeral=True)


@pytest.fixture
def bot() -> Client:
    client = Client()
    tree = client.tree

    @tree.context_menu(name="Why is this here?")
    async def why(interaction: Interaction, message: discord.Message) -> None:
        place = f"in #{interaction.channel}"
        await interaction.response.send_message(f"{message.content} {place}", ephemeral=True)

    @tree.context_menu(name="Mute")
    @app_commands.default_permissions(manage_webhooks=True)
    async def mute(interaction: Interaction, member: discord.Member) -> None:
        await interaction.response.send_message(f"muted {member.name}", ephemeral=True)

    @tree.command(description="Opens a form")
    async def form(interaction: Interaction, people: bool = False) -> None:
        await interaction.response.send_modal(PeopleForm() if people else EverythingForm())

    @tree.command(description="Shows selects that fill themselves")
    async def people(interaction: Interaction) -> None:
        view = discord.ui.View()
        select: Any = discord.ui.ChannelSelect(placeholder="Where")

        async def chosen(inner: Interaction) -> None:
            here = select.values[0]
            await inner.response.send_message(f"#{here.name} {here.permissions.send_messages}")

        select.callback = chosen
        view.add_item(select)
        await interaction.response.send_message("where?", view=view)

    return client


async def test_a_command_is_chosen_in_the_menu_of_a_message(
    sandbox: Sandbox,
    guild: SandboxGuild,
    channel: SandboxChannel,
    maren: SandboxMember,
    bot: Client,
    connect: Connect,
) -> None:
    tobias = guild.add_member("Tobias Lindqvist")
    async with connect(bot) as client:
        await client.get_partial_messageable(channel.id).send("New version")
        [card] = sandbox.messages(channel)
        answer = await sandbox.message_command(guild, channel, tobias, "Why is this here?", card)
        assert answer.content == "New version in #structure"
        muted = await sandbox.user_command(guild, channel, maren, "Mute", tobias)
        assert muted.content == "muted Tobias Lindqvist"
        with pytest.raises(NotOffered, match="may not use"):
            await sandbox.user_command(guild, channel, tobias, "Mute", maren)
        with pytest.raises(NotOffered, match="there is no"):
            await sandbox.message_command(guild, channel, tobias, "Mute", card)
        with pytest.raises(NotOffered, match="there is no /Mute"):
            await sandbox.command(guild, channel, maren, "Mute")
        assert answer.message is not None
        own = answer.message
        with pytest.raises(NotOffered, match="no such message"):
            await sandbox.message_command(guild, channel, tobias, "Why is this here?", own)
        names = [one["name"] for one in sandbox.commands_offered(channel, tobias)]
        assert names == ["form", "people", "Why is this here?"]


async def test_a_form_holds_every_component_and_keeps_what_it_came_with(
    sandbox: Sandbox,
    guild: SandboxGuild,
    channel: SandboxChannel,
    maren: SandboxMember,
    bot: Client,
    connect: Connect,
) -> None:
    async with connect(bot):
        opened = await sandbox.command(guild, channel, maren, "form")
        untouched = await sandbox.submit_modal(opened, {})
        assert untouched.content == "['versions', ['v'], 'now', ['p']] False"
        opened = await sandbox.command(guild, channel, maren, "form")
        filled = await sandbox.submit_modal(
            opened,
            {"Text": "", "Events": ["v", "Issues"], "How": "day", "What": [], "Loud": True},
        )
        assert filled.content == "['', ['v', 'i'], 'day', []] True"
        refused: list[dict[str, Any]] = [
            {"Events": []},
            {"Events": ["v", "v"]},
            {"How": []},
            {"How": ["now", "day"]},
            {"Loud": "perhaps"},
            {"Other": 1},
        ]
        for wrong in refused:
            with pytest.raises(WrongOption):
                await sandbox.submit_modal(opened, wrong)
        with pytest.raises(NotOffered):
            await sandbox.submit_modal(opened, {"How": "never"})


async def test_a_form_asks_for_people_places_and_files(
    sandbox: Sandbox,
    guild: SandboxGuild,
    channel: SandboxChannel,
    maren: SandboxMember,
    bot: Client,
    connect: Connect,
) -> None:
    role = guild.add_role("BIM")
    talk = guild.add_channel("talk", "voice")
    async with connect(bot):
        opened = await sandbox.command(guild, channel, maren, "form", people=True)
        asked = {"Who": maren, "Both": [maren, role], "Where": "#structure"}
        plan = Upload(0, "plan.png", "image/png", PICTURE)
        answer = await sandbox.submit_modal(opened, asked | {"Plan": [plan]})
        names = "[['Maren Oduya'], [], ['Maren Oduya', 'BIM'], ['structure']]"
        assert answer.content == f"{names} {[PICTURE]}"
        for wrong in ({"Who": role}, {"Role": maren}, {"Where": talk}, {"Plan": "plan.png"}):
            with pytest.raises(WrongOption):
                await sandbox.submit_modal(opened, asked | wrong)
        with pytest.raises(WrongOption):
            await sandbox.submit_modal(opened, {})
        panel = await sandbox.command(guild, channel, maren, "people")
        chosen = await sandbox.select(panel, "Where", channel)
        assert chosen.content == "#structure True"


async def test_an_emoji_of_the_application_is_listed_renamed_shown_and_deleted(
    sandbox: Sandbox, rest: Client
) -> None:
    made = await rest.create_application_emoji(name="speckle", image=PICTURE)
    assert [one.name for one in await rest.fetch_application_emojis()] == ["speckle"]
    assert await made.read() == PICTURE
    await made.edit(name="speckle_blue")
    with pytest.raises(discord.HTTPException) as twice:
        await rest.create_application_emoji(name="speckle_blue", image=PICTURE)
    assert twice.value.code == 50035
    for name, picture in (("a b", PICTURE), ("x", PICTURE), ("large", PICTURE * 1000)):
        with pytest.raises(discord.HTTPException) as refused:
            await rest.create_application_emoji(name=name, image=picture)
        assert (refused.value.status, refused.value.code) == (400, 50035)
    await made.delete()
    assert await rest.fetch_application_emojis() == []
    with pytest.raises(discord.NotFound) as gone:
        await rest.fetch_application_emoji(made.id)
    assert gone.value.code == 10014


async def test_an_application_has_two_thousand_emojis_at_most(
    sandbox: Sandbox, rest: Client
) -> None:
    kept = await rest.create_application_emoji(name="first", image=PICTURE)
    emojis = sandbox.world.emojis
    emojis |= dict.fromkeys(range(1999), emojis[kept.id])
    with pytest.raises(discord.HTTPException) as full:
        await rest.create_application_emoji(name="last", image=PICTURE)
    assert full.value.code == 30008


async def test_a_mention_of_a_command_has_the_id_that_registering_gave(
    sandbox: Sandbox, rest: Client
) -> None:
    @rest.tree.command(description="What it can do")
    async def help(interaction: Interaction) -> None: ...  # noqa: A001  # the command's name

    (synced,) = await rest.tree.sync()
    (listed,) = await rest.tree.fetch_commands()
    assert synced.mention == listed.mention == f"</help:{sandbox.commands[0]['id']}>"
