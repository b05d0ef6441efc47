"""Addresses that a server signed, and where none of them may lead the bot."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from bot.errors import SpeckleUnavailable
from bot.network import Network
from bot.speckle_api.http import HttpAnswer, PublicResolver, SpeckleHttp
from sandbox.speckle import SPECKLE_4, SpeckleServer

PUBLIC = "https://app.speckle.example"


@dataclass
class PrivatePort:
    """A port of this computer; `heard` are the first lines of what connected to it."""

    port: int = 0
    heard: list[bytes] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator["PrivatePort"]:
        listener = cls()
        server = await asyncio.start_server(listener._connected, "127.0.0.1", 0)
        async with server:
            listener.port = server.sockets[0].getsockname()[1]
            yield listener

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append(await reader.read(1_000))
        writer.close()


@pytest.fixture
async def listener() -> AsyncIterator[PrivatePort]:
    async with PrivatePort.open() as opened:
        yield opened


@pytest.fixture
async def server() -> AsyncIterator[SpeckleServer]:
    async with SpeckleServer.start(release=SPECKLE_4) as started:
        yield started


async def got(
    url: str, near: str = PUBLIC, network: Network | None = None, within_s: float = 5.0
) -> HttpAnswer:
    async with SpeckleHttp.open([near], network=network) as http:
        return await http.get_signed(url, near=near, max_bytes=1_000, within_s=within_s)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:{port}/x",
        "https://127.1:{port}/x",  # a name to the bot, and this computer to the system
        "https://0x7f.0.0.1:{port}/x",
        "https://2130706433:{port}/x",
        "https://localhost:{port}/x",
        "https://localhost.:{port}/x",
        "https://[::1]:{port}/x",
        "https://[::ffff:127.0.0.1]:{port}/x",
        "https://0.0.0.0:{port}/x",
        "https://app.speckle.example@127.0.0.1:{port}/x",
        "https://127.0.0.1:{port}\\@app.speckle.example/x",
        "http://127.0.0.1:{port}/x",
        "HTTPS://127.0.0.1:{port}/x",
    ],
)
async def test_a_server_on_the_open_internet_cannot_have_the_bot_look_into_its_own_network(
    listener: PrivatePort, url: str
) -> None:
    with pytest.raises(SpeckleUnavailable):
        await got(url.format(port=listener.port))
    assert listener.heard == []


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example", ".example"])
@pytest.mark.parametrize("near", [PUBLIC, "https://speckle.internal"])
async def test_a_name_that_cannot_be_a_host_s_is_not_reached(host: str, near: str) -> None:
    with pytest.raises(SpeckleUnavailable):
        await got(f"https://{host}/x", near=near)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/x",
        "store.example/x",
        "ftp://store.example/x",
        "file:///etc/passwd",
        "http://store.example/x",
        "https://",
        "https://[::1",
        "https://store.example:99999/x",
        "https://name:word@store.example/x",
        "https://store.example/" + "x" * 10_000,
    ],
)
async def test_what_is_no_address_of_a_store_is_refused(url: str) -> None:
    with pytest.raises(SpeckleUnavailable) as refused:
        await got(url)
    assert refused.value.reason == "the address of its store is not https"


async def test_a_name_that_leads_into_a_private_network_has_no_public_address() -> None:
    resolver = PublicResolver()
    with pytest.raises(OSError, match="private network"):
        await resolver.resolve("localhost", 443)
    await resolver.close()


async def test_a_server_at_home_may_have_its_store_there_too(server: SpeckleServer) -> None:
    url = server.store.put(b"content")
    assert (await got(url, near=server.url)).body == b"content"


async def test_a_server_with_https_has_a_store_with_https(server: SpeckleServer) -> None:
    with pytest.raises(SpeckleUnavailable):
        await got(server.store.put(b"content"), near="https://speckle.internal")
    assert server.store.requests == []


async def test_a_redirect_is_not_followed(server: SpeckleServer) -> None:
    url = server.store.put(b"content")
    server.store.redirect_to = f"{server.url}/elsewhere"
    assert (await got(url, near=server.url)).status == 302
    assert server.requests == []


async def test_a_store_that_is_silent_or_endless_is_given_up_without_its_address_in_the_reason(
    server: SpeckleServer,
) -> None:
    url = server.store.put(b"content")
    server.store.hang = True
    with pytest.raises(SpeckleUnavailable) as silent:
        await got(url, near=server.url, within_s=0.2)
    server.store.hang, server.store.endless = False, True
    with pytest.raises(SpeckleUnavailable) as endless:
        await got(url, near=server.url)
    for error in (silent.value, endless.value):
        assert "signature" not in str(error)
        assert server.store.url not in str(error)


async def test_a_proxy_that_the_host_names_is_asked_for_the_store(listener: PrivatePort) -> None:
    network = Network(https_proxy=f"http://127.0.0.1:{listener.port}")
    with pytest.raises(SpeckleUnavailable):
        await got("https://store.example/x?signature=s", network=network)
    assert listener.heard
    for line in listener.heard:  # tried twice
        assert line.startswith(b"CONNECT store.example:443 ")
        assert b"signature" not in line
