"""`check` against servers on this machine that answer as Discord and Speckle do."""

import os
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from cryptography.fernet import Fernet
from pydantic import SecretStr

from bot.cli.check import check_all
from bot.cli.check import public_url as way_in
from bot.cli.check.database import check_database
from bot.cli.check.discord import check_discord
from bot.cli.check.public_url import check_live, check_public_url, check_shared_hook
from bot.cli.check.report import CheckMark, CheckResult
from bot.cli.check.speckle import check_bundles, check_server, check_sign_in, check_speckle_token
from bot.db.connections import parse_url
from bot.db.sqlite_file import beside, sqlite_path
from bot.http_server import bind, why_not_bound
from bot.model import HookKind
from bot.network import Network
from bot.pending import LinkDetails
from bot.problems import NotReady
from bot.settings import LiveSettings, OperatorSettings, OrganisationSettings, Settings
from bot.speckle.tokens import SCOPES, Tokens
from bot.speckle_api.bundles import BundleReader
from bot.storage import Storage, make_backup, migrate
from bot.timing import utc_now
from bot.vault import Vault
from bot.webhook_listener import WebhookListener
from sandbox.speckle import (
    SPECKLE_2_31,
    SPECKLE_4,
    SPECKLE_4_AS_ANNOUNCED,
    Release,
    SpeckleServer,
)
from tests.stored import new_database

TOKEN: Final = "MTE4MDAwMDAwMDAwMDAwMDAwMQ.GabcDe.kJ8sL0pQ2rT4vW6xY8zA1bC3dE5fG7hI9jK1lM"
SPECKLE_TOKEN: Final = "5a" * 21
KEY: Final = Fernet.generate_key().decode()
KESTREL = OrganisationSettings(guilds=(710_000_000_000_000_001,))
SPEAKS_PLAIN = {"data": {"serverInfo": {"name": "Harbour", "version": "2.31.14"}}}
NO_SUCH_PROJECT = {
    "errors": [{"message": "Project not found", "extensions": {"code": "STREAM_NOT_FOUND"}}],
    "data": None,
}
DISCORD: Final[dict[str, Any]] = {
    "/users/@me": {"id": "1180000000000000001", "username": "tide-bot"},
    "/oauth2/applications/@me": {"id": "1180000000000000001", "bot_public": True},
    "/users/@me/guilds": [{"id": "1"}, {"id": "2"}],
    "/gateway/bot": {"url": "wss://gateway.test", "session_start_limit": {"remaining": 998}},
}
Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts servers that hand every request to one function; gives their addresses."""
    async with AsyncExitStack() as stack:

        async def start(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> str:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", handler)
            server = TestServer(app)
            await server.start_server()
            stack.push_async_callback(server.close)
            return str(server.make_url("")).rstrip("/")

        yield start


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


def discord(**changed: Any) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A Discord; `changed` replaces answers, by the last part of their path."""

    async def answer(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bot {TOKEN}":
            return web.json_response({"message": "401: Unauthorized"}, status=401)
        path = request.path.removeprefix("/api/v10")
        changes = changed.get(path.rsplit("/", 2)[-2] + "_" + path.rsplit("/", 1)[-1].strip("@"))
        return web.json_response(changes if changes is not None else DISCORD[path])

    return answer


def speckle(token: str | None = None, answer: Any = None, status: int = 200) -> Any:
    """A Speckle server that must hear this token, and answers so."""

    async def graphql(request: web.Request) -> web.Response:
        assert request.path == "/graphql"
        assert request.headers.get("Authorization") == (f"Bearer {token}" if token else None)
        return web.json_response(answer or SPEAKS_PLAIN, status=status)

    return graphql


async def discord_rows(serve: Serve, http: ClientSession, **changed: Any) -> dict[str, CheckResult]:
    url = await serve(discord(**changed))
    settings = Settings(discord_token=SecretStr(TOKEN), discord_api_url=url)
    return {row.what: row for row in await check_discord(settings, http)}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


# ── Discord ──


async def test_a_good_token_says_who_the_bot_is_and_how_to_invite_it(
    serve: Serve, http: ClientSession
) -> None:
    rows = await discord_rows(serve, http)
    assert {row.mark for row in rows.values()} == {CheckMark.GOOD}
    assert rows["Discord token"].text == "it is tide-bot, in 2 servers."
    assert rows["Invite link"].text == (
        "https://discord.com/oauth2/authorize?client_id=1180000000000000001"
        "&permissions=309237763072&scope=bot+applications.commands"
    )
    assert "998 session starts left" in rows["Discord gateway"].text


async def test_a_token_that_discord_refuses_is_said_and_tried_once(
    serve: Serve, http: ClientSession
) -> None:
    paths = []

    async def refuse(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.json_response({}, status=401)

    url = await serve(refuse)
    settings = Settings(discord_token=SecretStr(TOKEN), discord_api_url=url)
    (row,) = await check_discord(settings, http)
    assert row.mark is CheckMark.BAD
    assert "does not accept DISCORD_TOKEN" in row.text
    assert TOKEN not in str(row)
    assert paths == ["/api/v10/users/@me"]


async def test_what_stands_in_the_way_of_an_invitation_is_said(
    serve: Serve, http: ClientSession
) -> None:
    grant = {"id": "1", "bot_public": True, "bot_require_code_grant": True}
    rows = await discord_rows(serve, http, applications_me=grant)
    assert rows["Invite link"].mark is CheckMark.BAD
    assert "Requires OAuth2 Code Grant" in rows["Invite link"].text


async def test_no_session_starts_left_is_said(serve: Serve, http: ClientSession) -> None:
    used_up = {"url": "wss://gateway.test", "session_start_limit": {"remaining": 0}}
    rows = await discord_rows(serve, http, gateway_bot=used_up)
    assert rows["Discord gateway"].mark is CheckMark.BAD


async def test_a_discord_that_is_away_is_said(http: ClientSession) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    settings = Settings(discord_token=SecretStr(TOKEN), discord_api_url=url)
    (row,) = await check_discord(settings, http)
    assert row.mark is CheckMark.BAD
    assert "Connection refused" in row.text


# ── Speckle ──


@pytest.mark.parametrize(
    ("release", "said"),
    [
        (SPECKLE_2_31, "version 2.31.14, has comments, activity lists and no issues."),
        (SPECKLE_4, "version 4.0.0, has issues, comments and no activity lists."),
        (SPECKLE_4_AS_ANNOUNCED, "version 4.0.0, has issues, no comments and no activity lists."),
    ],
)
async def test_a_speckle_server_is_named_with_its_version_and_what_it_has(
    http: ClientSession, release: Release, said: str
) -> None:
    async with SpeckleServer.start(release=release) as server:
        what = f"Speckle server {server.url}"
        assert await check_server(http, server.url) == [CheckResult(CheckMark.GOOD, what, said)]
    assert {asked.authorization for asked in server.requests} == {None}


async def test_something_else_than_a_speckle_server_is_said(
    serve: Serve, http: ClientSession
) -> None:
    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="<html>\x1b[31m")

    (row,) = await check_server(http, await serve(page))
    assert row.mark is CheckMark.BAD
    assert "something else answers" in row.text


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_speckle_server_that_is_away_behind_its_proxy_is_said_to_be_that(
    serve: Serve, http: ClientSession, status: int
) -> None:
    async def page(_request: web.Request) -> web.Response:
        return web.Response(status=status, text="<html>")

    (row,) = await check_server(http, await serve(page))
    assert row.mark is CheckMark.BAD
    assert f"a proxy answers for it (HTTP {status})" in row.text
    assert "SPECKLE_SERVERS" not in row.text


async def test_a_speckle_server_that_moved_is_said(serve: Serve, http: ClientSession) -> None:
    async def moved(_request: web.Request) -> web.Response:
        raise web.HTTPMovedPermanently("https://new.example/graphql")

    (row,) = await check_server(http, await serve(moved))
    assert row.mark is CheckMark.BAD
    assert "https://new.example." in row.text


async def test_a_speckle_server_that_says_where_it_is_now_is_named_with_that_address(
    http: ClientSession,
) -> None:
    async with SpeckleServer.start() as server:
        server.migration = {"movedFrom": None, "movedTo": "https://new.example"}
        (row,) = await check_server(http, server.url)
    assert row.mark is CheckMark.BAD
    assert "it has moved to https://new.example. Name that address" in row.text


@pytest.mark.parametrize(
    ("answer", "status", "mark", "said"),
    [
        (NO_SUCH_PROJECT, 200, CheckMark.GOOD, "accepts it"),
        ({"error": "Your token is not valid."}, 403, CheckMark.BAD, "does not accept it"),
        (
            {"errors": [{"extensions": {"code": "FORBIDDEN", "scope": "streams:read"}}]},
            200,
            CheckMark.BAD,
            "lacks the scope streams:read",
        ),
        ({"error": {"code": "RATE_LIMIT_ERROR"}}, 429, CheckMark.SKIPPED, "HTTP 429"),
    ],
)
async def test_the_speckle_token_is_tried(
    answer: Any, status: int, mark: CheckMark, said: str, serve: Serve, http: ClientSession
) -> None:
    url = await serve(speckle(SPECKLE_TOKEN, answer, status))
    token = SecretStr(SPECKLE_TOKEN)
    settings = Settings(speckle_servers=(url,), speckle_token=token, organisation=KESTREL)
    (row,) = await check_speckle_token(settings, http)
    assert row.mark is mark
    assert said in row.text


async def test_the_speckle_token_goes_to_the_first_server_alone(
    serve: Serve, http: ClientSession
) -> None:
    heard: list[str] = []

    async def listen(request: web.Request) -> web.Response:
        heard.append(f"{request.url.port} {'Authorization' in request.headers}")
        return web.json_response(SPEAKS_PLAIN)

    async def sends_on(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"{second}/graphql")

    second = await serve(listen)
    first = await serve(sends_on)
    settings = Settings(speckle_servers=(first, second), speckle_token=SecretStr(SPECKLE_TOKEN))
    await check_speckle_token(settings, http)
    await check_server(http, second)
    assert set(heard) == {f"{second.rpartition(':')[2]} False"}


@pytest.mark.parametrize(
    ("installed", "mark", "said"),
    [(True, CheckMark.GOOD, "counted and compared"), (False, CheckMark.SKIPPED, "run.py bundles")],
)
async def test_it_says_whether_objects_of_bundles_are_counted(
    installed: bool, mark: CheckMark, said: str
) -> None:
    (row,) = await check_bundles(BundleReader(can_read=installed))
    assert row.mark is mark
    assert said in row.text


# ── the way in ──


def proxy_to(port: int) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A reverse proxy in front of a port of this machine."""

    async def forward(request: web.Request) -> web.Response:
        async with ClientSession() as inner:
            url = f"http://127.0.0.1:{port}{request.path}"
            async with inner.get(url) as answer:
                return web.Response(status=answer.status, body=await answer.read())

    return forward


async def test_a_public_url_that_leads_here_is_good(
    serve: Serve, http: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    url = await serve(proxy_to(port))
    settings = Settings(public_url=url, webhook_port=port)
    (row,) = await check_public_url(settings, http)
    assert row.mark is CheckMark.SKIPPED  # a private address: Speckle would refuse to call it
    assert "leads to this computer, but it is a private address" in row.text

    monkeypatch.setattr(way_in, "is_private_host", lambda _host: False)
    (row,) = await check_public_url(settings, http)
    assert row == CheckResult(CheckMark.GOOD, "Public URL", f"{url} leads to this computer.")


@pytest.mark.parametrize(
    ("before", "does"), [("/speckle", "keeps"), ("", "strips"), ("/", "strips")]
)
@pytest.mark.parametrize("running", [False, True])
async def test_what_the_reverse_proxy_does_with_a_path_is_said(
    serve: Serve, http: ClientSession, before: str, does: str, running: bool, tmp_path: Path
) -> None:
    port = free_port()

    async def forward(request: web.Request) -> web.Response:
        path = before + request.path.removeprefix("/speckle")
        async with (
            ClientSession() as inner,
            inner.get(f"http://127.0.0.1:{port}{path}") as answer,
        ):
            return web.Response(status=answer.status, body=await answer.read())

    url = f"{await serve(forward)}/speckle"
    settings = Settings(public_url=url, webhook_port=port)
    async with AsyncExitStack() as stack:
        if running:
            vault = Vault([KEY])
            database = new_database(tmp_path / "bot.db")
            storage = await stack.enter_async_context(Storage.open(database, vault))
            listener = WebhookListener(
                storage,
                shared_hook=None,
                max_body_bytes=1_000,
                on_stored=lambda _lane: None,
                on_missed=lambda: None,
                problems=no_problems,
                instance="0f0f",
                now=utc_now,
                public_url=url,
            )
            await stack.enter_async_context(listener.listening("127.0.0.1", port))
        (row,) = await check_public_url(settings, http)
    assert f"The reverse proxy {does} /speckle" in row.text
    assert ("the bot that runs already" if running else "this computer") in row.text


async def test_a_public_url_that_leads_elsewhere_is_said(serve: Serve, http: ClientSession) -> None:
    async def welcome(_request: web.Request) -> web.Response:
        return web.Response(text="Welcome to nginx!")

    url = await serve(welcome)
    settings = Settings(public_url=url, webhook_port=free_port())
    (row,) = await check_public_url(settings, http)
    assert row.mark is CheckMark.BAD
    assert "something else answers (HTTP 200)" in row.text


async def test_a_public_url_that_sends_on_is_said(serve: Serve, http: ClientSession) -> None:
    async def to_https(_request: web.Request) -> web.Response:
        raise web.HTTPMovedPermanently("https://bot.example.com/check")

    settings = Settings(public_url=await serve(to_https), webhook_port=free_port())
    (row,) = await check_public_url(settings, http)
    assert row.mark is CheckMark.BAD
    assert "redirects to https://bot.example.com," in row.text


async def test_where_the_bot_runs_already_it_is_asked_instead(
    serve: Serve, http: ClientSession
) -> None:
    async def running_bot(request: web.Request) -> web.Response:
        return web.Response(status=200 if request.path == "/healthz" else 404)

    url = await serve(running_bot)
    port = int(url.rpartition(":")[2])
    settings = Settings(public_url=url, webhook_port=port)
    (row,) = await check_public_url(settings, http)
    assert "leads to the bot that runs already" in row.text


async def test_a_listener_address_of_another_computer_is_said(http: ClientSession) -> None:
    settings = Settings(public_url="https://bot.example.com", webhook_host="192.0.2.1")
    (row,) = await check_public_url(settings, http)
    assert row.mark is CheckMark.BAD
    assert "cannot be listened on: WEBHOOK_HOST is no address of this computer" in row.text


async def test_a_port_of_another_program_is_said_in_words_of_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use") as caught:
            bind("127.0.0.1", port)
    assert why_not_bound(caught.value).startswith("another program uses it. End that program")


async def test_a_name_that_is_no_host_is_said_as_that() -> None:
    with pytest.raises(socket.gaierror) as caught:
        bind("no-such-host.invalid", 0)
    assert why_not_bound(caught.value).startswith("WEBHOOK_HOST is no address")


async def test_a_proxy_that_is_away_is_what_to_look_at() -> None:
    settings = Settings(discord_token=SecretStr(TOKEN))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    network = Network(https_proxy=f"http://127.0.0.1:{port}")
    async with ClientSession(connector=network.connector()) as http:
        (row,) = await check_discord(settings, http)
        (server,) = await check_server(http, "https://speckle.example.com")
    for said in (row.text, server.text):
        assert said.endswith("the proxy cannot be reached. Look at HTTPS_PROXY and NO_PROXY.")


@pytest.mark.parametrize(
    ("secret", "organisation", "mark"),
    [
        (SecretStr("ebb"), KESTREL, CheckMark.GOOD),
        (SecretStr("ebb"), OrganisationSettings(), CheckMark.BAD),
        (None, KESTREL, CheckMark.SKIPPED),
        (None, OrganisationSettings(), CheckMark.SKIPPED),
    ],
)
async def test_the_shared_hook_needs_both_halves(
    secret: SecretStr | None, organisation: OrganisationSettings, mark: CheckMark
) -> None:
    settings = Settings(speckle_webhook_secret=secret, organisation=organisation)
    settings = settings.model_copy(update={"public_url": "https://bot.kestrel.example"})
    (row,) = await check_shared_hook(settings)
    assert row.mark is mark


async def test_a_shared_hook_without_a_public_url_is_for_servers_nearby() -> None:
    settings = Settings(speckle_webhook_secret=SecretStr("ebb"), organisation=KESTREL)
    (row,) = await check_shared_hook(settings)
    assert row.mark is CheckMark.WARNED
    assert "127.0.0.1 port 8003" in row.text


async def test_what_is_live_is_said() -> None:
    for who, words in (
        ("public", "public projects only"),
        ("owners", "private ones for those who own them"),
        ("readers", "private ones for anyone who may read them"),
    ):
        settings = Settings(live=LiveSettings.model_validate({"who": who}))
        (row,) = await check_live(settings)
        assert row.mark is CheckMark.GOOD
        assert f"{words} (who in [live] of config.toml)" in row.text


async def test_without_a_public_url_it_says_what_works_and_what_does_not(
    http: ClientSession,
) -> None:
    settings = Settings(webhook_port=free_port())
    (row,) = await check_public_url(settings, http)
    assert row.mark is CheckMark.SKIPPED
    for words in ("followed live", "Webhooks and pages for signing in need it", "/readyz"):
        assert words in row.text
    (row,) = await check_public_url(Settings(webhook_port=0), http)
    assert "A free port of 127.0.0.1 is listened on" in row.text


async def test_without_a_public_url_the_port_of_another_program_is_said(
    serve: Serve, http: ClientSession
) -> None:
    """The bot listens on it in any case."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=200 if request.path == answers else 404)

    port = int((await serve(answer)).rpartition(":")[2])
    answers = "/healthz"  # as the bot does
    (row,) = await check_public_url(Settings(webhook_port=port), http)
    assert row.mark is CheckMark.SKIPPED
    answers = "/"
    (row,) = await check_public_url(Settings(webhook_port=port), http)
    assert row.mark is CheckMark.BAD
    assert f"127.0.0.1 port {port} cannot be listened on: another program uses it" in row.text


# ── the database ──


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data' / 'bot.db'}"


def with_key(database: str, key: str = KEY) -> Settings:
    return Settings(database_url=database, encryption_keys=(SecretStr(key),))


async def test_a_database_yet_to_be_made_is_good_and_stays_unmade(
    database: str, tmp_path: Path
) -> None:
    good, keys = await check_database(with_key(database))
    assert good.mark is CheckMark.GOOD
    assert "no tables yet" in good.text
    assert (keys.mark, keys.text) == (CheckMark.SKIPPED, "not tried before the tables are there.")
    assert os.listdir(tmp_path) == []


async def test_a_good_database_and_its_keys_are_good(database: str) -> None:
    await migrate(database)
    rows = await check_database(with_key(database))
    assert {row.what: row.mark for row in rows} == {
        "Database": CheckMark.GOOD,
        "Content": CheckMark.GOOD,
        "Backup": CheckMark.WARNED,
        "Encryption keys": CheckMark.GOOD,
    }
    assert rows[0].text.startswith("SQLite, can be written, version")


@pytest.mark.parametrize(
    ("age", "mark"), [(timedelta(days=6), CheckMark.GOOD), (timedelta(days=8), CheckMark.WARNED)]
)
async def test_the_last_backup_is_said(
    age: timedelta, mark: CheckMark, database: str, tmp_path: Path
) -> None:
    await migrate(database)
    await make_backup(database, tmp_path / "copy.db", utc_now() - age)
    row = next(row for row in await check_database(with_key(database)) if row.what == "Backup")
    assert row.mark is mark
    assert f"{utc_now() - age:%Y-%m-%d}" in row.text


async def test_what_counts_as_trouble_is_what_the_operator_is_notified_of(database: str) -> None:
    await migrate(database)
    operator = OperatorSettings(free_disk_gb=1_000_000.0, backup_days=0)
    rows = await check_database(with_key(database).model_copy(update={"operator": operator}))
    found = {row.what: row.mark for row in rows}
    assert found["Backup"] is CheckMark.SKIPPED
    assert found["Disk"] is CheckMark.WARNED


@pytest.mark.parametrize(
    ("version", "words"), [("9999", "put the copy back"), ("0005", "the bot's commit 3c24090")]
)
async def test_a_database_of_another_time_is_bad(
    version: str, words: str, database: str, tmp_path: Path
) -> None:
    await migrate(database)
    with closing(sqlite3.connect(tmp_path / "data/bot.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
        connection.commit()
    bad, keys = await check_database(with_key(database))
    assert bad.mark is CheckMark.BAD
    assert bad.text.startswith(f"version {version} ")
    assert words in bad.text
    assert keys.mark is CheckMark.SKIPPED


async def test_secrets_that_no_key_opens_are_said(database: str) -> None:
    async with Storage.open(database, Vault([KEY])) as storage:
        await storage.write(lambda tx: tx.guilds.join(710_000_000_000_000_001))
        await storage.write(
            lambda tx: tx.hooks.create(
                710_000_000_000_000_001, "https://a.test", "a1b2c3d4e5", HookKind.OWN, 1, None
            )
        )
        await storage.write(
            lambda tx: tx.link_requests.add("nonce", 1, "https://a.test", LinkDetails())
        )
    *_, good = await check_database(with_key(database))
    assert good.mark is CheckMark.GOOD
    rows = await check_database(with_key(database, Fernet.generate_key().decode()))
    (bad,) = (row for row in rows if row.what == "Encryption keys")
    assert bad.mark is CheckMark.BAD
    assert "can decrypt 1 webhook secret." in bad.text


async def test_a_restored_copy_is_said_before_and_after_the_bot_has_seen_it(
    database: str,
) -> None:
    async with Storage.open(database, Vault([KEY])) as storage:
        await storage.restored_copy.accept()
        await storage.write(
            lambda tx: tx.link_requests.add("nonce", 1, "https://a.test", LinkDetails())
        )
        await storage.write(
            lambda tx: tx.accounts.link(
                "nonce", "0123456789", None, Tokens("token"), frozenset(SCOPES), notified=True
            )
        )
    beside(sqlite_path(parse_url(database)), ".mark").unlink()
    *_, before, _ = await check_database(with_key(database))
    assert (before.mark, before.what) == (CheckMark.WARNED, "Restored")
    async with Storage.open(database, Vault([KEY])) as storage:
        await storage.write(lambda tx: tx.accounts.unconfirm_all())
        await storage.restored_copy.accept()
    *_, after, _ = await check_database(with_key(database))
    assert (after.mark, after.what) == (CheckMark.WARNED, "Restored")
    assert "1 linked account not used" in after.text


async def test_webhooks_of_a_public_url_that_was_are_said(database: str) -> None:
    async with Storage.open(database, Vault([KEY])) as storage:
        await storage.restored_copy.accept()
        await storage.write(
            lambda tx: tx.link_requests.add("nonce", 1, "https://a.test", LinkDetails())
        )
        account = await storage.write(
            lambda tx: tx.accounts.link(
                "nonce", "0123456789", None, Tokens("token"), frozenset(SCOPES), notified=True
            )
        )
        assert account is not None
        hook = await storage.write(
            lambda tx: tx.hooks.create(1, "https://a.test", "0123456789", HookKind.OWN, 1, 2)
        )
        await storage.write(lambda tx: tx.hooks.record_webhook(hook.id, account.id, "abc"))
    rows = {row.what: row for row in await check_database(with_key(database))}
    assert rows["Webhooks"].mark is CheckMark.WARNED
    assert "1 webhook that the bot created leads to what it was" in rows["Webhooks"].text
    set_again = with_key(database).model_copy(update={"public_url": "https://bot.test"})
    assert "Webhooks" not in {row.what for row in await check_database(set_again)}


async def test_no_key_at_all_is_said(database: str) -> None:
    await migrate(database)
    *_, keys = await check_database(Settings(database_url=database))
    assert keys.mark is CheckMark.BAD
    assert "python3 run.py key" in keys.text


async def test_a_database_that_is_away_is_said() -> None:
    url = f"postgresql+psycopg://bot:low-tide@127.0.0.1:{free_port()}/bot"
    bad, _ = await check_database(with_key(url))
    assert bad.mark is CheckMark.BAD
    assert "low-tide" not in bad.text


async def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "bot.db").write_text("words, not tables " * 100)
    url = f"sqlite:///{tmp_path / 'bot.db'}"
    bad, _ = await check_database(with_key(url))
    assert bad.mark is CheckMark.BAD


# ── signing in ──

REDIRECT = "https://bot.kestrel.example/link/callback"


def registered(redirect: str = REDIRECT, *without: str) -> Any:
    """What a server tells anybody of an application."""
    scopes = [{"name": scope} for scope in SCOPES if scope not in without]
    return {"data": {"app": {"redirectUrl": redirect, "scopes": scopes}}}


@pytest.mark.parametrize(
    ("answer", "status", "mark", "words"),
    [
        (registered(), 200, CheckMark.GOOD, f"sends people back to {REDIRECT}"),
        (registered("https://old.example/cb"), 200, CheckMark.BAD, f"Change it to {REDIRECT}"),
        (registered(REDIRECT, "streams:write"), 200, CheckMark.BAD, "lacks streams:write"),
        ({"data": {"app": None}}, 200, CheckMark.BAD, "no application with this id"),
        ({"errors": [{"message": "no"}]}, 200, CheckMark.SKIPPED, "not tried"),
        ({"data": None}, 502, CheckMark.SKIPPED, "HTTP 502"),
    ],
)
async def test_each_application_is_looked_up(
    serve: Serve, http: ClientSession, answer: Any, status: int, mark: CheckMark, words: str
) -> None:
    server = await serve(speckle(answer=answer, status=status))
    [row] = await check_sign_in(with_app(server), http)
    assert (row.what, row.mark) == (f"Signing in on {server}", mark)
    assert words in row.text
    assert "app-secret" not in row.text


def with_app(server: str, public_url: str | None = "https://bot.kestrel.example") -> Settings:
    return Settings(
        speckle_servers=(server,),
        speckle_apps=(SecretStr("4a8173073e:app-secret"),),
        public_url=public_url,
    )


async def test_a_redirect_url_that_speckle_cannot_keep_is_said(http: ClientSession) -> None:
    long = f"https://bot.kestrel.example/{'deep/' * 13}down"
    settings = with_app("https://speckle.kestrel.example", long)
    [row] = await check_sign_in(settings, http)
    assert row.mark is CheckMark.BAD
    assert f"{long}/link/callback" in row.text
    assert "Speckle allows 100" in row.text


async def test_signing_in_without_an_application_or_a_server_is_said(
    http: ClientSession,
) -> None:
    settings = Settings(public_url="https://bot.kestrel.example")
    [row] = await check_sign_in(settings, http)
    assert (row.mark, REDIRECT in row.text) == (CheckMark.SKIPPED, True)
    [row] = await check_sign_in(with_app(f"http://127.0.0.1:{free_port()}"), http)
    assert (row.mark, "cannot be reached" in row.text) == (CheckMark.SKIPPED, True)


# ── all together ──


async def test_everything_good_is_healthy(
    serve: Serve, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(database)
    monkeypatch.setattr(way_in, "is_private_host", lambda _host: False)
    port = free_port()
    settings = Settings(
        discord_token=SecretStr(TOKEN),
        discord_api_url=await serve(discord()),
        encryption_keys=(SecretStr(KEY),),
        database_url=database,
        public_url=await serve(proxy_to(port)),
        webhook_port=port,
        speckle_servers=(await serve(speckle()),),
    )
    rows: list[CheckResult] = []
    assert await check_all(settings, rows.append)
    assert [row.what.split(" http")[0] for row in rows] == [
        "Settings",
        "Database",
        "Content",
        "Backup",
        "Encryption keys",
        "Discord token",
        "Invite link",
        "Discord gateway",
        "Speckle server",
        "Objects of bundles",
        "Speckle token",
        "Live",
        "Signing in",
        "Public URL",
        "Shared hook",
        "Operator's notices",
        "Metrics",
    ]
    said = "\n".join(map(str, rows))
    assert "✘" not in said
    assert not any(secret in said for secret in (TOKEN, KEY))


async def test_anything_bad_is_unhealthy(database: str) -> None:
    rows: list[CheckResult] = []
    url = f"http://127.0.0.1:{free_port()}"
    settings = Settings(database_url=database, speckle_servers=(url,))
    assert not await check_all(settings, rows.append)


async def no_problems() -> list[NotReady]:
    return []


async def test_an_application_that_a_server_has_registered_is_good(http: ClientSession) -> None:
    async with SpeckleServer.start() as server:
        app = server.register_app("https://bot.example.org/link/callback")
        settings = Settings(
            public_url="https://bot.example.org",
            speckle_servers=(server.url,),
            speckle_apps=(SecretStr(f"{app.id}:{app.secret}"),),
        )
        (row,) = await check_sign_in(settings, http)
        assert row.mark is CheckMark.GOOD, row.text
        at_home = settings.model_copy(update={"public_url": None})
        (row,) = await check_sign_in(at_home, http)
        assert (row.mark, "people paste tokens" in row.text) == (CheckMark.WARNED, True)
        server.release = SPECKLE_4
        (row,) = await check_sign_in(at_home, http)
        assert (row.mark, "paste the code" in row.text) == (CheckMark.GOOD, True)
        server.oauth.remove_app(app)
        (row,) = await check_sign_in(settings, http)
        assert row.mark is CheckMark.BAD
