"""`subscriptions export` and `import`: what is in the file, what is made, and that it is paused."""

import tomllib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from bot.cli.subscriptions import export_subscriptions, import_subscriptions
from bot.errors import ConfigError, DatabaseCopyError
from bot.lookups import DiscordName
from bot.model import Hook, HookKind, PauseReason, PauseWhy, Subscription, SubscriptionState
from bot.settings import OrganisationSettings, Settings
from bot.settings.settings import QuotaSettings
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage, Transaction
from bot.vault import Vault
from tests.stored import new_database

KEY = Fernet.generate_key().decode()
GUILD, CHANNEL, OTHER_CHANNEL, MAREN = 71, 73, 74, 72
SERVER = "https://speckle.kestrel.example"
PROJECTS = ("a1b2c3d4e5", "f6a7b8c9d0")
FILTERS = SubscriptionOptions(
    ("versions",), ('a, "b"', "!**/draft*", "lev el"), ("Jo # [[subscription]]",)
)


def settings_of(path: Path, **values: Any) -> Settings:
    return Settings(
        database_url=f"sqlite:///{path}",
        encryption_keys=(SecretStr(KEY),),
        speckle_servers=(SERVER,),
        **values,
    )


def join(tx: Transaction, guild_id: int) -> None:
    tx.guilds.join(guild_id)


async def opened(settings: Settings, *guilds: int) -> None:
    new_database(Path(settings.database_url.removeprefix("sqlite:///")))
    async with Storage.open(settings.database_url, Vault([KEY])) as storage:
        for guild_id in guilds:
            await storage.write(partial(join, guild_id=guild_id))


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """What a bot with two subscriptions exported, under hostile names."""
    settings = settings_of(tmp_path / "from.db")
    await opened(settings, GUILD)

    def fill(tx: Transaction) -> None:
        for project_id, channel_id in zip(PROJECTS, (CHANNEL, OTHER_CHANNEL), strict=True):
            hook = tx.hooks.create(GUILD, SERVER, project_id, HookKind.OWN, MAREN, channel_id)
            tx.subscriptions.upsert(hook.id, channel_id, FILTERS, MAREN)
        names = ("Studio\n[[subscription]]\u202e", GUILD), ("structure \x1b[2J", CHANNEL)
        tx.discord_names.put([DiscordName(id_, GUILD, name) for name, id_ in names])

    async with Storage.open(settings.database_url, Vault([KEY])) as storage:
        await storage.write(fill)
    path = tmp_path / "subscriptions.toml"
    await export_subscriptions(settings, path)
    return path


async def made_in(settings: Settings) -> Sequence[tuple[Hook, Subscription]]:
    def read(tx: Transaction) -> Sequence[tuple[Hook, Subscription]]:
        hooks = {hook.id: hook for hook in tx.hooks.of_guild(GUILD)}
        return [(hooks[one.hook_id], one) for one in tx.subscriptions.of_guild(GUILD)]

    async with Storage.open(settings.database_url, Vault([KEY])) as storage:
        return await storage.read(read)


def test_a_file_is_for_people_and_holds_no_more_than_it_says(file: Path) -> None:
    text = file.read_text("utf-8")
    assert [set(one) for one in tomllib.loads(text)["subscription"]] == [
        {"server", "project", "guild", "channel", "events", "models", "ignore_authors", "by"}
    ] * 2
    assert f"channel = {CHANNEL}  # #structure" in text
    assert not {"\x1b", "\u202e"} & set(text)
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_file_that_is_there_is_not_written_over(file: Path) -> None:
    with pytest.raises(DatabaseCopyError):
        await export_subscriptions(settings_of(file.with_name("from.db")), file)


async def test_what_comes_in_is_paused_until_somebody_answers(file: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "to.db")
    await opened(settings, GUILD)
    assert await import_subscriptions(settings, file, dry_run=True)
    assert await made_in(settings) == []
    for _ in range(2):
        assert await import_subscriptions(settings, file, dry_run=False)
    made = await made_in(settings)
    assert [(hook.project_id, one.channel_id, one.options) for hook, one in made] == [
        (PROJECTS[0], CHANNEL, FILTERS),
        (PROJECTS[1], OTHER_CHANNEL, FILTERS),
    ]
    for hook, one in made:
        assert (one.state, one.pause_reason) == (SubscriptionState.PAUSED, PauseReason.ASK_AGAIN)
        assert one.pause_detail == PauseWhy.NOT_ANSWERED
        assert (one.created_by, one.account_id, one.consent) == (MAREN, None, None)
        assert hook.is_by_hand
    async with Storage.open(settings.database_url, Vault([KEY])) as storage:
        due = await storage.read(lambda tx: tx.pause_notices.due(10))
    assert {notice.user_id for notice in due} == {MAREN}


async def test_a_project_that_is_shown_already_shows_nothing_more(
    file: Path, tmp_path: Path
) -> None:
    """A file cannot have a further channel join the webhook that somebody set up."""
    settings = settings_of(tmp_path / "to.db")
    await opened(settings, GUILD)
    async with Storage.open(settings.database_url, Vault([KEY])) as storage:
        live = await storage.write(
            lambda tx: tx.hooks.create(GUILD, SERVER, PROJECTS[0], HookKind.OWN, 5, 5)
        )
    await import_subscriptions(settings, file, dry_run=False)
    assert live.id not in {hook.id for hook, _ in await made_in(settings)}


def entry(**changes: Any) -> str:
    values = {
        "server": SERVER,
        "project": PROJECTS[0],
        "guild": GUILD,
        "channel": CHANNEL,
        "by": MAREN,
    }
    lines = [f"{name} = {value!r}" for name, value in (values | changes).items()]
    return "\n".join(["[[subscription]]", *lines])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (entry(guild=9), "does not know that Discord server"),
        (entry(guild=8), "no longer in that Discord server"),
        (entry(server="https://other.example"), "SPECKLE_SERVERS"),
        (entry(events="tides"), "`events`"),
        (entry(by="Maren"), "`by` has to be a Discord id"),
        (entry(channel=2**63), "`channel` has to be a Discord id"),
        (entry(project="../x"), "a project's id"),
        (entry(models=5), "`models` has to be a text"),
        (entry(account=5), "nothing is called 'account'"),
        ("subscription = [5]", "no table of values"),
    ],
)
async def test_what_cannot_be_imported_is_said(
    text: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(tmp_path / "to.db")
    await opened(settings, GUILD, 8)
    async with Storage.open(settings.database_url, Vault([KEY])) as storage:
        await storage.write(lambda tx: tx.guilds.leave(8))
    path = tmp_path / "one.toml"
    path.write_text(text.replace("'", '"').replace('"account"', "'account'"), "utf-8")
    assert not await import_subscriptions(settings, path, dry_run=False)
    assert why in capsys.readouterr().out
    assert await made_in(settings) == []


@pytest.mark.parametrize("quotas", [{"hooks": 1}, {"subscriptions": 1}])
async def test_quotas_hold_for_an_import_too(
    quotas: dict[str, int], file: Path, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path / "to.db", quotas=QuotaSettings(**quotas))
    await opened(settings, GUILD)
    assert not await import_subscriptions(settings, file, dry_run=False)
    assert len(await made_in(settings)) == 1
    without = {"quotas": settings.quotas, "organisation": OrganisationSettings(guilds=(GUILD,))}
    assert await import_subscriptions(
        settings_of(tmp_path / "to.db", **without), file, dry_run=False
    )
    assert len(await made_in(settings)) == 2


@pytest.mark.parametrize("text", ["subscription = 5", "harbour = 1", "= tower", "\ufffe"])
async def test_a_file_of_another_kind_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text(text, "utf-16" if text == "\ufffe" else "utf-8")
    with pytest.raises(ConfigError):
        await import_subscriptions(settings_of(tmp_path / "to.db"), path, dry_run=True)
