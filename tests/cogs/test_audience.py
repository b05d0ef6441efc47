"""Who can see a channel, as the bot says before it shows a private project there."""

from bot.discord_api.channels import audience_of
from bot.discord_api.client import SpeckleBot
from bot.permissions import Audience
from sandbox.discord import SandboxChannel
from tests.cogs.conftest import RunClient, Studio


def seen_by(bot: SpeckleBot, studio: Studio, channel: SandboxChannel) -> Audience:
    guild = bot.get_guild(studio.guild.id)
    assert guild is not None
    there = guild.get_channel_or_thread(channel.id)
    assert there is not None
    return audience_of(there, guild)


async def test_an_open_channel_is_seen_by_everyone(run_client: RunClient, studio: Studio) -> None:
    async with run_client() as bot:
        audience = seen_by(bot, studio, studio.structure)
    assert audience.everyone
    assert audience.people is not None


async def test_a_closed_channel_is_seen_by_roles_and_members_that_are_let_in(
    run_client: RunClient, studio: Studio
) -> None:
    engineers = studio.guild.add_role("Engineers")
    admins = studio.guild.add_role("Partners", "administrator")
    clients = studio.guild.add_role("Clients")
    studio.structure.deny(None, "view_channel")
    studio.structure.allow(engineers, "view_channel")
    studio.structure.deny(clients, "view_channel")
    studio.structure.allow(studio.tobias, "view_channel")
    studio.structure.allow(studio.maren, "send_messages")
    async with run_client() as bot:
        audience = seen_by(bot, studio, studio.structure)
    assert not audience.everyone
    assert engineers.id in audience.roles
    assert admins.id in audience.roles
    assert clients.id not in audience.roles
    assert audience.members == (studio.tobias.id,)


async def test_a_thread_is_seen_by_those_who_see_its_channel_a_private_one_by_its_people(
    run_client: RunClient, studio: Studio
) -> None:
    engineers = studio.guild.add_role("Engineers")
    studio.structure.deny(None, "view_channel")
    studio.structure.allow(engineers, "view_channel")
    studio.structure.allow(studio.guild.bot, "view_channel")
    thread = studio.structure.add_thread("level 1", bot_joined=True)
    private = studio.facade.add_thread("fees", private=True, bot_joined=True)
    async with run_client() as bot:
        public = seen_by(bot, studio, thread)
        hidden = seen_by(bot, studio, private)
    assert (public.everyone, public.parent_id, public.in_thread) == (
        False,
        studio.structure.id,
        False,
    )
    assert engineers.id in public.roles
    assert (hidden.everyone, hidden.parent_id, hidden.in_thread) == (False, studio.facade.id, True)
