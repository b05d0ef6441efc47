"""What a server sets for itself, in the sandbox Discord."""

import pytest

from bot.audit import AuditFilter
from bot.model import Guild
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from sandbox.discord import SandboxMember
from tests.cogs.conftest import RunClient, Studio, labels_of, text_of
from tests.services.conftest import PAVILION, TOWER


@pytest.fixture
def ines(studio: Studio) -> SandboxMember:
    """Manages the server, and may not manage webhooks."""
    return studio.guild.add_member("Ines Falk", permissions="manage_guild")


async def guild_of(storage: Storage, studio: Studio) -> Guild:
    guild = await storage.read(lambda tx: tx.guilds.get(studio.guild.id))
    assert guild is not None
    return guild


async def changes(storage: Storage, studio: Studio) -> list[str]:
    """What the audit log says, the oldest first, with who it was."""
    wanted = AuditFilter(guild_id=studio.guild.id)
    found = await storage.read(lambda tx: tx.audit_log.newest(wanted, 50))
    return [f"{one.actor.user_id or one.actor.kind} {one.action}" for one in found][::-1]


async def test_who_manages_the_server_chooses_and_takes_back_what_is_set(
    run_client: RunClient, studio: Studio, storage: Storage, ines: SandboxMember
) -> None:
    facade, structure = f"<#{studio.facade.id}>", f"<#{studio.structure.id}>"
    async with run_client():
        panel = await studio.type("settings", who=ines)
        assert panel.ephemeral
        for text in ("In direct messages", "In no channel", "all events of its project"):
            assert text in text_of(panel)
        assert labels_of(panel) == ["Edit default filters"]
        panel = await studio.sandbox.select(panel, "settings:notices", [studio.facade], ines)
        panel = await panel.settled()
        assert f"From now on notices come in {facade}." in text_of(panel)
        panel = await studio.sandbox.select(panel, "settings:audit", [studio.structure], ines)
        panel = await panel.settled()
        assert f"**In {structure}.**" in text_of(panel)
        assert (await guild_of(storage, studio)).notice_channel_id == studio.facade.id
        panel = await studio.press(panel, "Notices in direct messages", ines)
        panel = await studio.press(panel, "Audit log in no channel", ines)
        assert "In no channel" in text_of(panel)
    assert (await guild_of(storage, studio)).notice_channel_id is None
    who = ines.id
    assert (await changes(storage, studio))[1:] == [
        f"{who} notice_channel_changed",
        f"{who} audit_channel_changed",
        f"{who} notice_channel_changed",
        f"{who} audit_channel_changed",
    ]


async def test_an_old_panel_does_nothing_for_who_does_not_manage_the_server(
    run_client: RunClient, studio: Studio, storage: Storage, ines: SandboxMember
) -> None:
    studio.guild.allow_command("settings", studio.maren)
    async with run_client():
        refused = await studio.type("settings")  # Manage Webhooks is not enough
        assert "*Manage Server*" in text_of(refused)
        panel = await studio.type("settings", who=ines)
        for which in ("settings:notices", "settings:audit"):
            asked = await studio.sandbox.select(panel, which, [studio.facade], studio.maren)
            assert "*Manage Server*" in text_of(await asked.settled())
        refused = await studio.press(panel, "Edit default filters", studio.maren)
        assert "*Manage Server*" in text_of(refused)
        studio.facade.deny(studio.guild.bot, "send_messages")
        asked = await studio.sandbox.select(panel, "settings:audit", [studio.facade], ines)
        assert "- Send Messages\n" in text_of(await asked.settled())
        studio.facade.deny(ines, "view_channel")
    assert (await guild_of(storage, studio)).notice_channel_id is None
    assert await storage.read(lambda tx: tx.audit_channels.get(studio.guild.id)) is None


async def test_new_subscriptions_start_with_the_default_filters_and_say_so(
    run_client: RunClient, studio: Studio, storage: Storage, ines: SandboxMember
) -> None:
    async def shown(channel_id: int) -> SubscriptionOptions:
        (one,) = await storage.read(lambda tx: tx.subscriptions.of_channel(channel_id))
        return one.options

    async with run_client():
        panel = await studio.type("settings", who=ines)
        form = await studio.press(panel, "Edit default filters", ines)
        fields = {"groups": ["versions"], "kinds": [], "models": "!**, a"}
        refused = await (await studio.sandbox.submit_modal(form, fields, ines)).settled()
        assert labels_of(refused) == ["Edit again"]
        form = await studio.press(refused, "Edit again", ines)
        fields = {"models": "!**/draft*", "ignore_authors": "Robot"}
        panel = await (await studio.sandbox.submit_modal(form, fields, ines)).settled()
        assert "New subscriptions start with these filters" in text_of(panel)
        assert "versions · without models `**/draft*` · not by `Robot`" in text_of(panel)

        answer = text_of(await studio.type("subscribe", stream_id=TOWER, events="issues"))
        assert "filters for models and ignored authors came from the default filters" in answer
        assert await shown(studio.structure.id) == SubscriptionOptions(
            events=("issues",), models=("!**/draft*",), ignore_authors=("Robot",)
        )
        # A subscription that is there stays as it is.
        again = text_of(await studio.type("subscribe", stream_id=TOWER, models="all"))
        assert "default filters" not in again
        assert (await shown(studio.structure.id)).models == ()

        panel = await studio.press(panel, "No default filters", ines)
        assert labels_of(panel) == ["Edit default filters"]
        answer = text_of(await studio.type("subscribe", stream_id=PAVILION, channel=studio.facade))
        assert "default filters" not in answer
    assert await shown(studio.facade.id) == SubscriptionOptions()
    assert (await guild_of(storage, studio)).default_options is None
