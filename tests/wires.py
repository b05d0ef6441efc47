"""Certificates of one's own, a TLS front for a plain server, and a proxy: small, and real."""

import asyncio
import base64
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


class Authority:
    """A certificate authority that nobody knows, and servers' certificates by it."""

    def __init__(self, folder: Path, name: str = "Kestrel CA") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._number = 0
        basic = x509.BasicConstraints(ca=True, path_length=None)
        certificate = self._builder(self._name, self._key.public_key())
        self.file = self._write(
            certificate.add_extension(basic, critical=True).sign(self._key, hashes.SHA256())
        )

    def server(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        """What a server of these names shows."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        alternative = x509.SubjectAlternativeName([_general(name) for name in names])
        builder = self._builder(subject, key.public_key(), 20 * DAY if expired else -DAY)
        certificate = builder.add_extension(alternative, critical=False).sign(
            self._key, hashes.SHA256()
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._write(certificate, key))
        return context

    def _builder(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        ended_before: timedelta = -DAY,
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 30 * DAY)
            .not_valid_after(now - ended_before)
        )

    def _write(
        self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey | None = None
    ) -> Path:
        self._number += 1
        path = self._folder / f"{self._number}.pem"
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        if key is not None:
            pem += key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        path.write_bytes(pem)
        return path


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: bytearray | None = None
) -> None:
    """Pass on what comes until it ends."""
    with suppress(OSError, ssl.SSLError):
        while chunk := await reader.read(65536):
            if seen is not None:
                seen += chunk
            writer.write(chunk)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.close()


async def _join(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    port: int,
    seen: bytearray | None = None,
) -> None:
    """Tie a connection to a port of this computer."""
    there, back = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(_pass_on(reader, back, seen), _pass_on(there, writer))


@asynccontextmanager
async def tls_front(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """A TLS server in front of a plain one on this computer; gives its port."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await _join(reader, writer, port)

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@dataclass
class Proxy:
    """An HTTP proxy that knows where invented hosts are; `heard` is all that it could read.

    `tunnels` are the hosts that it was asked to connect to, `plain` the addresses that it fetched.
    """

    hosts: dict[str, int]
    wants: str | None = None  # a name and password
    port: int = 0
    tunnels: list[str] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    heard: bytearray = field(default_factory=bytearray)
    refused: int = 0

    @property
    def url(self) -> str:
        """Where it is, with what it wants to be told."""
        who = "" if self.wants is None else f"{self.wants}@"
        return f"http://{who}127.0.0.1:{self.port}"

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.heard += head
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
            if not self._is_let_in(head):
                self.refused += 1
                writer.write(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
            elif method == "CONNECT":
                self.tunnels.append(target.partition(":")[0])
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                await _join(reader, writer, self.hosts[self.tunnels[-1]], self.heard)
            else:
                await self._fetch(head, target, reader, writer)
        writer.close()

    def _is_let_in(self, head: bytes) -> bool:
        if self.wants is None:
            return True
        said = base64.b64encode(self.wants.encode())
        return b"proxy-authorization: basic " + said.lower() in head.lower()

    async def _fetch(
        self,
        head: bytes,
        target: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.plain.append(target)
        host, _, path = target.removeprefix("http://").partition("/")
        there, back = await asyncio.open_connection("127.0.0.1", self.hosts[host.split(":")[0]])
        back.write(head.replace(target.encode(), b"/" + path.encode(), 1))
        await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))


@asynccontextmanager
async def proxy(hosts: dict[str, int], wants: str | None = None) -> AsyncIterator[Proxy]:
    """A proxy at work."""
    made = Proxy(hosts, wants)
    server = await asyncio.start_server(made.take, "127.0.0.1", 0)
    async with server:
        made.port = server.sockets[0].getsockname()[1]
        yield made
