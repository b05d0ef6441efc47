"""Each command, option and button is in docs/commands.md, and registers as it should."""

import re
from pathlib import Path
from typing import Any

import pytest

from bot.cogs.accounts import views as accounts_views
from bot.cogs.card_menu.cog import MUTE, ONLY_MODEL
from bot.cogs.components import ComponentsCog
from bot.cogs.diagnosis import views as diagnosis_views
from bot.cogs.help.texts import GROUPS, IN_MENUS
from bot.cogs.subscriptions import subscribe_flow
from bot.cogs.subscriptions.panel import LOOKS, PanelAction
from bot.services.card_filters import Narrowing
from bot.services.channel_rules import NEEDED
from bot.settings import Settings
from bot.speckle.events import EventGroup
from bot.speckle.subscription_options import OPTIONS
from tests.cogs.conftest import ClientWithServices, client_over
from tests.services.conftest import Clock, services_over

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text("utf-8")
MANAGE_WEBHOOKS = 1 << 29
FOR_EVERYONE = {"help", "link", "unlink", "account", "privacy"}
FOR_MEMBERS = {"why", "events", "status", "latest", "versions", "compare"}
NEEDED_FOR = {"audit": 1 << 5, "settings": 1 << 5}  # Manage Server
CHAT, MESSAGE_MENU = 1, 3


@pytest.fixture
async def client() -> ClientWithServices:
    storage: Any = None  # nothing is asked of it
    return await client_over(storage, Clock(), services_over(storage, Clock()))


def _sent(client: ClientWithServices, kind: int) -> list[dict[str, Any]]:
    """The commands of a kind as they are sent to Discord."""
    sent = (command.to_dict(client.tree) for command in client.tree.get_commands())
    return [command for command in sent if command["type"] == kind]


@pytest.fixture
def commands(client: ClientWithServices) -> list[dict[str, Any]]:
    """What people type."""
    return _sent(client, CHAT)


async def test_each_command_in_the_menu_of_a_message_is_on_the_page(
    client: ClientWithServices,
) -> None:
    menus = _sent(client, MESSAGE_MENU)
    page = re.split(r"(?m)^## ", PAGE.split("\n## In the menu of a card\n", 1)[1])[0]
    assert re.findall(r"(?m)^\| \*(.+?)\* \|", page) == [menu["name"] for menu in menus]
    assert {tuple(menu["contexts"]) for menu in menus} == {(0,)}
    assert [menu["name"] for menu in menus] == list(IN_MENUS)
    managers = [one["name"] for one in menus if one["default_member_permissions"] is not None]
    assert managers == [MUTE, ONLY_MODEL]


def test_the_page_says_for_how_long_events_are_kept() -> None:
    days = Settings().retention.delivered_days
    assert f"Events are kept for {days} days, unless the host set another time." in PAGE


async def test_help_knows_each_command_once(commands: list[dict[str, Any]]) -> None:
    named = [name for names in GROUPS.values() for name in names]
    assert sorted([*named, "help"]) == sorted(command["name"] for command in commands)


def _section(name: str) -> str:
    return re.split(r"(?m)^## ", PAGE.split(f"\n## /{name}\n", 1)[1])[0]


async def test_each_command_and_each_option_is_on_the_page_and_nothing_else(
    commands: list[dict[str, Any]],
) -> None:
    assert set(re.findall(r"(?m)^## /(\S+)$", PAGE)) == {command["name"] for command in commands}
    for command in commands:
        documented = re.findall(r"(?m)^\| `(\w+)` \|", _section(command["name"]))
        assert documented == [option["name"] for option in command["options"]]


async def test_subscribe_offers_each_option_of_a_subscription(
    commands: list[dict[str, Any]],
) -> None:
    (subscribe,) = (command for command in commands if command["name"] == "subscribe")
    offered = [(option["name"], option["description"]) for option in subscribe["options"]]
    assert offered[1:-1] == [(option.name, option.description) for option in OPTIONS]


async def test_what_is_about_channels_is_for_managers_in_servers_only(
    commands: list[dict[str, Any]],
) -> None:
    for command in commands:
        assert command["integration_types"] == [0]
        if command["name"] in FOR_EVERYONE:
            continue
        if command["name"] in FOR_MEMBERS:
            assert (command["default_member_permissions"], command["contexts"]) == (None, [0])
            continue
        needed = NEEDED_FOR.get(command["name"], MANAGE_WEBHOOKS)
        assert int(command["default_member_permissions"]) == needed
        assert command["contexts"] == [0]


async def test_what_is_about_ones_own_account_is_for_everyone_and_in_direct_messages_too(
    commands: list[dict[str, Any]],
) -> None:
    own = [command for command in commands if command["name"] in FOR_EVERYONE]
    assert {command["name"] for command in own} == FOR_EVERYONE
    for command in own:
        assert command["default_member_permissions"] is None
        assert command["contexts"] == [0, 1]


async def test_only_the_project_has_to_be_given(commands: list[dict[str, Any]]) -> None:
    required = {
        command["name"]: [o["name"] for o in command["options"] if o["required"]]
        for command in commands
    }
    assert required == {
        "help": [],
        "subscribe": ["stream_id"],
        "unsubscribe": ["project"],
        "subscriptions": [],
        "test": [],
        "doctor": [],
        "why": [],
        "events": [],
        "status": [],
        "latest": [],
        "versions": ["model"],
        "compare": [],
        "settings": [],
        "audit": [],
        "link": [],
        "unlink": [],
        "account": [],
        "privacy": [],
    }


async def test_commands_keep_discords_limits(commands: list[dict[str, Any]]) -> None:
    for command in commands:
        for part in (command, *command["options"]):
            assert re.fullmatch(r"[a-z_]{1,32}", part["name"])
            assert 1 <= len(part["description"]) <= 100


def test_each_group_permission_and_button_is_on_the_page() -> None:
    for group in EventGroup:
        assert f"`{group}`" in _section("subscribe")
    for needed in NEEDED.values():
        for permission in needed:
            assert permission in " ".join(_section("subscribe").split())
    for action in (
        PanelAction.PAUSE,
        PanelAction.RESUME,
        PanelAction.EDIT,
        PanelAction.REMOVE,
        PanelAction.SETUP,
        PanelAction.RENEW,
    ):
        assert f"**{LOOKS[action].label}**" in _section("subscriptions")
    for action in (PanelAction.RENEW_SURE, PanelAction.RENEW_NOW):
        assert f"**{LOOKS[action].label}**" in " ".join(_section("subscriptions").split())
    for label, section in (
        *((look.label, "subscribe") for look in subscribe_flow.LOOKS.values()),
        ("Sign in with Speckle", "link"),
        ("Paste it", "link"),
        ("Paste the code", "link"),
        ("Paste the token", "link"),
        *((look.label, "doctor") for look in diagnosis_views.LOOKS.values()),
        (accounts_views.LOOKS[accounts_views.AccountAction.UNLINK].label, "unlink"),
        (accounts_views.LOOKS[accounts_views.AccountAction.ERASE].label, "privacy"),
    ):
        assert f"**{label}**" in _section(section)


async def test_no_custom_id_means_two_components(client: ClientWithServices) -> None:
    cog = client.get_cog("components")
    assert isinstance(cog, ComponentsCog)
    scope = "730000000000000001:0"
    ids = [f"subs:page:{scope}", f"subs:pick:{scope}", "notice:resume:730000000000000001"]
    ids += [f"sub:{action}:7:{scope}" for action in PanelAction]
    ids += [f"account:{action}:7" for action in accounts_views.AccountAction]
    ids += [f"check:{action}:7" for action in diagnosis_views.CheckAction]
    ids += [f"card:pick:{what}:730000000000000001" for what in Narrowing]
    ids += [f"card:undo:{what}:{'t' * 22}" for what in Narrowing]
    ids += [f"wait:{way}:{'t' * 22}" for way in subscribe_flow.PendingChoice]
    ids += [f"link:{what}:{'n' * 43}" for what in ("paste", "token", "paste-code", "code")]
    ids += ["events:list:730000000000000001", "events:why:730000000000000001"]
    project = "0123abcd:a1b2c3d4e5"
    ids += [f"versions:list:{project}:f6a7b8c9d0:12", f"versions:pick:{project}"]
    pair = f"{project}:0123456789:1234567890"
    ids += [
        f"compare:with:{project}:0123456789",
        f"compare:with:{pair}",
        f"compare:table:{pair}",
        f"compare:page:{pair}:12",
    ]
    ids += [f"sub:filters:7:{scope}", f"wait:pick:{'t' * 22}", "notice:access:take:7"]
    for custom_id in ids:
        fitting = [pattern for pattern in cog.handlers if pattern.fullmatch(custom_id)]
        assert len(fitting) == 1
        assert len(custom_id) <= 100
