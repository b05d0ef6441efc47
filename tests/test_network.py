"""One rule for all that leaves the bot: whom it trusts, and through which proxy it goes."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import aiohttp.web
import discord
import pytest
from discord.gateway import DiscordWebSocket
from pydantic import SecretStr

from bot.cli.check.discord import check_discord
from bot.cli.check.public_url import check_public_url
from bot.cli.check.report import CheckMark, CheckResult
from bot.cli.check.speckle import check_server
from bot.discord_api.client import use_api
from bot.errors import ConfigError, SpeckleError, SpeckleTokenRefused
from bot.network import NOT_TRUSTED, Network, why_not_reached
from bot.services.public_url import PublicUrlProbe
from bot.settings import Settings, load_settings
from bot.speckle.tokens import SpeckleApp
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.sign_in import SpeckleSignIn
from bot.speckle_api.types import Login
from sandbox import http_site
from sandbox.discord import Sandbox
from sandbox.speckle import SpeckleServer
from tests.wires import Authority, Proxy, proxy, tls_front

SPECKLE = "speckle.kestrel.example"
DISCORD = "discord.kestrel.example"
TOKEN = "5a" * 21

Ask = Callable[[Network, str, str], Awaitable[str]]


# ── whoever asks, each over its own library ──


async def graphql(network: Network, url: str, token: str) -> str:
    gateway = SpeckleClient(servers=[url], deadline_s=5.0, network=network)
    try:
        return (await gateway.me(Login(url, token))).name or ""
    except SpeckleError as error:
        return error.reason
    finally:
        gateway.close()


async def pictures(network: Network, url: str, token: str) -> str:
    try:
        async with SpeckleHttp.open([url], network=network) as http:
            login = Login(url, token)
            answer = await http.get(login, "/preview/none", max_bytes=10_000_000, within_s=5.0)
    except SpeckleError as error:
        return error.reason
    return str(answer.status)


async def signing_in(network: Network, url: str, token: str) -> str:
    try:
        async with SpeckleHttp.open([url], network=network) as http:
            await SpeckleSignIn(http).refresh(SpeckleApp(url, "app", token), token)
    except SpeckleTokenRefused:
        return "answered"
    except SpeckleError as error:
        return error.reason
    return "answered"


async def finding_oneself(network: Network, url: str, token: str) -> str:
    reached = await PublicUrlProbe(url, "0f0f", network).check(url)
    return reached.detail


async def checking(network: Network, url: str, token: str) -> str:
    async with aiohttp.ClientSession(connector=network.connector()) as http:
        (row,) = await check_server(http, url)
    return row.text


CLIENTS = [graphql, pictures, signing_in, finding_oneself, checking]


@dataclass(frozen=True)
class Wire:
    """A Speckle server behind TLS, with a certificate that only `authority` vouches for."""

    server: SpeckleServer
    authority: Authority
    port: int
    token: str

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


MakeWire = Callable[[ssl.SSLContext | None], Awaitable[Wire]]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def make_wire(authority: Authority) -> AsyncIterator[MakeWire]:
    async with AsyncExitStack() as stack:

        async def make(context: ssl.SSLContext | None = None) -> Wire:
            server = await stack.enter_async_context(SpeckleServer.start())
            context = context or authority.server("127.0.0.1", SPECKLE)
            front = tls_front(int(server.url.rpartition(":")[2]), context)
            port = await stack.enter_async_context(front)
            return Wire(server, authority, port, server.token(server.add_user("Ilse Brandt")))

        yield make


@pytest.fixture
async def wire(make_wire: MakeWire) -> Wire:
    return await make_wire(None)


# ── trust ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ask", CLIENTS)
async def test_a_certificate_of_ones_own_ca_is_trusted_by_all_once_it_is_named(
    ask: Ask, wire: Wire
) -> None:
    said = await ask(Network(cert_file=wire.authority.file), wire.url, wire.token)
    assert "certificate" not in said
    assert wire.server.requests


@pytest.mark.parametrize("ask", CLIENTS)
async def test_a_certificate_that_is_not_trusted_is_told_as_that_by_all(
    ask: Ask, wire: Wire
) -> None:
    said = await ask(Network(), wire.url, wire.token)
    assert NOT_TRUSTED in said
    assert "SSL_CERT_FILE" in said
    assert wire.server.requests == []


@pytest.mark.parametrize("ask", CLIENTS)
@pytest.mark.parametrize(
    ("names", "expired", "says"),
    [(("127.0.0.1",), True, "has expired"), (("127.0.0.2", SPECKLE), False, "is for another")],
)
async def test_what_else_is_wrong_with_a_certificate_is_told_too(
    ask: Ask,
    names: tuple[str, ...],
    expired: bool,
    says: str,
    authority: Authority,
    make_wire: MakeWire,
) -> None:
    wire = await make_wire(authority.server(*names, expired=expired))
    said = await ask(Network(cert_file=authority.file), wire.url, wire.token)
    assert f"its certificate {says}" in said
    assert wire.server.requests == []


async def test_a_folder_of_certificates_does_as_well(wire: Wire, tmp_path: Path) -> None:
    folder = tmp_path / "cas"
    folder.mkdir()
    (folder / "kestrel.crt").write_bytes(wire.authority.file.read_bytes())
    assert await graphql(Network(cert_dirs=[folder]), wire.url, wire.token) == "Ilse Brandt"
    assert await graphql(Network(cert_file=folder), wire.url, wire.token) == "Ilse Brandt"


def test_the_systems_certificates_stay_trusted_beside_ones_own(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL by itself takes SSL_CERT_FILE in place of them."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    alone, both = Network().ssl_context, Network(cert_file=authority.file).ssl_context
    mine = ssl.create_default_context(cafile=str(authority.file)).get_ca_certs()
    assert not any(one in alone.get_ca_certs() for one in mine)
    assert len(both.get_ca_certs()) == len(alone.get_ca_certs()) + 1


@pytest.mark.parametrize("content", [None, b"", b"no certificate\n"])
def test_certificates_that_cannot_be_read_are_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"SSL_CERT_FILE: .*ca\.pem cannot be read") as caught:
        Network(cert_file=path).connector()
    assert "BEGIN CERTIFICATE" in str(caught.value)


# ── proxies ───────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def proxied(wire: Wire, wants: str | None = None) -> AsyncIterator[tuple[Proxy, Network]]:
    async with proxy({SPECKLE: wire.port}, wants) as there:
        yield (
            there,
            Network(cert_file=wire.authority.file, https_proxy=there.url, http_proxy=there.url),
        )


@pytest.mark.parametrize("wants", [None, "maren:swordfish"])
@pytest.mark.parametrize("ask", CLIENTS)
async def test_https_goes_through_the_proxy_which_reads_nothing_of_it(
    ask: Ask, wants: str | None, wire: Wire
) -> None:
    async with proxied(wire, wants) as (there, network):
        said = await ask(network, f"https://{SPECKLE}", wire.token)
        assert "proxy" not in said
        assert set(there.tunnels) == {SPECKLE}
        assert there.plain == []
        assert wire.token.encode() not in there.heard
        assert b"authorization: bearer" not in there.heard.lower()
    assert wire.server.requests


# The bot itself is never looked for over http from outside.
@pytest.mark.parametrize("ask", [graphql, pictures, signing_in, checking])
async def test_http_goes_through_the_http_proxy(ask: Ask, wire: Wire) -> None:
    plain = int(wire.server.url.rpartition(":")[2])
    async with proxy({SPECKLE: plain}) as there:
        await ask(Network(http_proxy=there.url), f"http://{SPECKLE}", wire.token)
        assert there.tunnels == []
        assert there.plain
        assert all(address.startswith(f"http://{SPECKLE}/") for address in there.plain)
    assert wire.server.requests


@pytest.mark.parametrize("ask", CLIENTS)
async def test_this_computer_is_never_asked_through_a_proxy(ask: Ask, wire: Wire) -> None:
    async with proxied(wire) as (there, network):
        await ask(network, wire.url, wire.token)
        await ask(network, wire.server.url, wire.token)
        assert (there.tunnels, there.plain) == ([], [])
    assert wire.server.requests


@pytest.mark.parametrize("ask", CLIENTS)
async def test_no_variable_of_the_environment_makes_another_rule(
    ask: Ask, wire: Wire, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine {SPECKLE} login maren password swordfish\n")
    netrc.chmod(0o600)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(netrc))
    monkeypatch.setenv("NETRC", str(netrc))
    async with proxied(wire) as (there, network):
        await ask(network, f"https://{SPECKLE}", wire.token)
        assert set(there.tunnels) == {SPECKLE}
    said = [asked.authorization for asked in wire.server.requests]
    assert said
    assert not any((one or "").startswith("Basic") for one in said)


@pytest.mark.parametrize("ask", CLIENTS)
async def test_a_proxy_that_refuses_or_is_away_is_told_as_that(ask: Ask, wire: Wire) -> None:
    async with proxied(wire, "maren:swordfish") as (there, _):
        stranger = Network(
            cert_file=wire.authority.file, https_proxy=f"http://127.0.0.1:{there.port}"
        )
        said = await ask(stranger, f"https://{SPECKLE}", wire.token)
        assert "the proxy" in said
        assert there.refused
    said = await ask(Network(https_proxy="http://127.0.0.1:9"), f"https://{SPECKLE}", wire.token)
    assert "the proxy" in said


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("kestrel.example", f"https://{SPECKLE}", True),
        (".kestrel.example", f"https://{SPECKLE}", True),
        ("*.kestrel.example", f"https://{SPECKLE}", True),
        ("Speckle.Kestrel.Example", f"https://{SPECKLE}", True),
        (f"{SPECKLE}:443", f"https://{SPECKLE}", True),
        (f"{SPECKLE}:8443", f"https://{SPECKLE}", False),
        (f"{SPECKLE}:8443", f"wss://{SPECKLE}:8443/gateway", True),
        ("restrel.example", f"https://{SPECKLE}", False),
        ("kestrel.example", "https://notkestrel.example", False),
        ("*", "https://discord.com", True),
        ("10.0.0.0/8", "http://10.0.0.7:3000", True),
        ("10.0.0.7", "https://10.0.0.70", False),
        ("fd00::/8", "https://[fd00::7]:3000", True),
        ("", "https://discord.com", False),
        ("", "http://localhost:3000", True),
        ("", "http://127.8.8.8", True),
        ("", "ws://[::1]:8080", True),
        ("", "https://bot.localhost", True),
    ],
)
def test_what_no_proxy_means(no_proxy: str, url: str, direct: bool) -> None:
    there = "http://proxy.kestrel.example:3128"
    network = Network(https_proxy=there, http_proxy=there, no_proxy=[no_proxy])
    assert network.proxy_for(url) == (None if direct else there)


def test_each_scheme_has_its_own_proxy() -> None:
    network = Network(https_proxy="http://a:1", http_proxy="http://b:2")
    proxies = [
        network.proxy_for(f"{scheme}://c.example") for scheme in ("https", "wss", "http", "ws")
    ]
    assert proxies == ["http://a:1", "http://a:1", "http://b:2", "http://b:2"]
    assert Network(https_proxy="http://a:1").proxy_for("http://c.example") is None


# ── Discord ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def discord_wire(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Sandbox, int]]:
    """A Discord behind TLS under a name that only a proxy knows, its gateway too."""
    monkeypatch.setattr(discord.http.Route, "BASE", discord.http.Route.BASE)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)
    async with Sandbox.start(pace=False) as sandbox:
        context = authority.server(DISCORD)
        async with tls_front(int(sandbox.url.rpartition(":")[2]), context) as port:
            sandbox.world.url = f"https://{DISCORD}"
            yield sandbox, port


async def test_discords_api_and_gateway_go_the_same_way(
    discord_wire: tuple[Sandbox, int], authority: Authority, tmp_path: Path
) -> None:
    from bot.app import running

    sandbox, port = discord_wire
    sandbox.add_guild("Studio Kestrel")
    async with proxy({DISCORD: port}) as there:
        settings = Settings.model_validate(
            {
                "discord_token": sandbox.token,
                "discord_api_url": sandbox.api_url,
                "encryption_keys": ("A" * 43 + "=",),
                "database_url": f"sqlite:///{tmp_path / 'bot.db'}",
                "webhook_port": 0,
                "ssl_cert_file": str(authority.file),
                "https_proxy": there.url,
            }
        )
        async with running(settings) as app, asyncio.timeout(20):
            await app.bot.ready_once.wait()
            rows = await discord_rows(settings)
            assert {row.mark for row in rows} == {CheckMark.GOOD}
        assert set(there.tunnels) == {DISCORD}
        assert sandbox.token.encode() not in there.heard


async def discord_rows(settings: Settings) -> list[CheckResult]:
    async with aiohttp.ClientSession(connector=settings.network().connector()) as http:
        return list(await check_discord(settings, http))


async def test_check_says_that_discords_certificate_is_not_trusted(
    discord_wire: tuple[Sandbox, int],
) -> None:
    sandbox, port = discord_wire
    async with proxy({DISCORD: port}) as there:
        settings = Settings(
            discord_token=SecretStr(sandbox.token),
            discord_api_url=sandbox.api_url,
            https_proxy=there.url,
        )
        (row,) = await discord_rows(settings)
    assert row.mark is CheckMark.BAD
    assert NOT_TRUSTED in row.text
    assert sandbox.requests == []


async def test_check_reaches_the_public_url_by_the_same_rule(
    wire: Wire, authority: Authority
) -> None:
    async with proxied(wire) as (there, network):
        settings = Settings(public_url=f"https://{SPECKLE}", webhook_port=9)
        async with aiohttp.ClientSession(connector=network.connector()) as http:
            (row,) = await check_public_url(settings, http)
        assert set(there.tunnels) == {SPECKLE}
    assert "does not lead to this computer" in row.text


async def test_discords_token_does_not_go_along_a_redirect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(discord.http.Route, "BASE", discord.http.Route.BASE)
    said: list[str | None] = []

    async def elsewhere(request: aiohttp.web.Request) -> aiohttp.web.Response:
        said.append(request.headers.get("Authorization"))
        return aiohttp.web.json_response({"id": "1", "username": "x", "discriminator": "0"})

    async def on(request: aiohttp.web.Request) -> aiohttp.web.Response:
        raise aiohttp.web.HTTPTemporaryRedirect(f"{other}{request.path}")

    async with serving(elsewhere) as other, serving(on) as api:
        use_api(f"{api}/api/v10")
        client = discord.Client(intents=discord.Intents.none(), connector=Network().connector())
        async with client:
            with pytest.raises((discord.DiscordException, KeyError, TypeError)):
                await client.login(TOKEN)
    assert said
    assert set(said) == {None}


@asynccontextmanager
async def serving(
    handler: Callable[[aiohttp.web.Request], Awaitable[aiohttp.web.Response]],
) -> AsyncIterator[str]:
    app = aiohttp.web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with http_site.serving(app) as url:
        yield url


# ── settings ──────────────────────────────────────────────────────────────────────────────────


def loaded(tmp_path: Path, env: str = "", **environ: str) -> Settings:
    (tmp_path / ".env").write_text(env)
    return load_settings(tmp_path / "config.toml", tmp_path / ".env", environ)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_names_that_other_programs_use_are_read_too(name: str, tmp_path: Path) -> None:
    assert loaded(tmp_path, **{name: "/ca.pem"}).ssl_cert_file == "/ca.pem"
    assert loaded(tmp_path, f"{name}=/ca.pem\n").ssl_cert_file == "/ca.pem"
    settings = loaded(tmp_path, f"{name}=/other.pem\n", SSL_CERT_FILE="/ca.pem")
    assert settings.ssl_cert_file == "/ca.pem"


async def test_several_folders_are_named_as_openssl_has_them(wire: Wire, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "b" / "kestrel.pem").write_bytes(wire.authority.file.read_bytes())
    settings = loaded(tmp_path, SSL_CERT_DIR=f"{tmp_path / 'a'}{os.pathsep}{tmp_path / 'b'}")
    assert await graphql(settings.network(), wire.url, wire.token) == "Ilse Brandt"


def test_proxies_are_read_in_large_and_in_small_letters(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        "NO_PROXY=kestrel.example, 10.0.0.0/8\n",
        https_proxy="proxy:3128",
        HTTP_PROXY="http://maren:swordfish@proxy:3128/",
        http_proxy="http://another:1",
    )
    assert settings.https_proxy == "http://proxy:3128"
    assert settings.http_proxy == "http://maren:swordfish@proxy:3128"
    assert settings.no_proxy == ("kestrel.example", "10.0.0.0/8")
    assert "swordfish" in settings.secret_values()


@pytest.mark.parametrize("text", ["socks5://proxy:1080", "https://proxy:3128", "http://", "a b"])
def test_a_proxy_that_is_none_is_named(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
        loaded(tmp_path, HTTPS_PROXY=text)
    assert "http://proxy.example.com:3128" in str(caught.value)


def test_an_error_that_says_nothing_else_is_a_server_that_cannot_be_reached() -> None:
    assert why_not_reached(OSError("anything")) == "it cannot be reached"


async def test_https_where_only_http_is_spoken_is_named() -> None:
    async with Sandbox.start(pace=False) as plain:
        address = plain.url.replace("http://", "https://")
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.ClientError) as caught:
                await http.get(address)
            row = (await check_server(http, address))[0]
    assert "speaks no TLS" in why_not_reached(caught.value)
    assert "cannot be reached: what answers there speaks no TLS" in row.text
