"""The one rule for everything that leaves the bot: whom it trusts, and through which proxy it goes.

Trusted are the certificates of this computer's system, and also those that the host names. A proxy
is used as HTTPS_PROXY, HTTP_PROXY and NO_PROXY say, never for this computer itself.
"""

import ipaddress
import ssl
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from bot.errors import ConfigError, Problem

# https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/
CERTIFICATE_TROUBLE = {
    9: "its certificate is not valid yet, or this computer's clock is wrong",
    10: "its certificate has expired",
    62: "its certificate is for another name",
    64: "its certificate is for another address",
}
NOT_TRUSTED = (
    "its certificate is not trusted; the person who runs the bot adds its CA to SSL_CERT_FILE"
)
SECURE = frozenset({"https", "wss"})
HASHED = f"{'[0-9a-f]' * 8}.[0-9]"  # as openssl rehash names them
CERTIFICATE_NAMES = ("*.pem", "*.crt", "*.cer")


class Network:
    """How connections are made; without anything given, directly and with the system's trust.

    `cert_file` and `cert_dirs` hold further certificates in PEM that are trusted. Proxies are
    http:// addresses; `no_proxy` are hosts that are asked directly: names with all below them,
    addresses, networks such as 10.0.0.0/8, each with or without a port, or *.
    """

    def __init__(
        self,
        *,
        cert_file: Path | None = None,
        cert_dirs: Sequence[Path] = (),
        https_proxy: str | None = None,
        http_proxy: str | None = None,
        no_proxy: Sequence[str] = (),
    ) -> None:
        self._cert_file = cert_file
        self._cert_dirs = tuple(cert_dirs)
        self._proxies = {True: https_proxy, False: http_proxy}
        self._no_proxy = tuple(no_proxy)

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """Whom all connections trust.

        Errors: ConfigError for certificates that cannot be read.
        """
        return _context(self._cert_file, self._cert_dirs)

    def connector(self, **limits: Any) -> aiohttp.TCPConnector:
        """What a session of aiohttp makes its connections with."""
        return _Connector(self, ssl=self.ssl_context, **limits)

    def session(
        self, trace: Sequence[aiohttp.TraceConfig] = (), **limits: Any
    ) -> aiohttp.ClientSession:
        """A session of aiohttp that keeps no cookies, with the limits of its connector."""
        return aiohttp.ClientSession(
            connector=self.connector(**limits),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=list(trace),
        )

    def proxy_for(self, url: str) -> str | None:
        """The proxy to ask for an address through; None for none."""
        parts = urlsplit(url)
        secure = parts.scheme in SECURE
        proxy, host = self._proxies[secure], parts.hostname or ""
        if proxy is None or _is_this_computer(host):
            return None
        port = parts.port or (443 if secure else 80)
        direct = any(_matches(entry, host, port) for entry in self._no_proxy)
        return None if direct else proxy


class _Context(ssl.SSLContext):
    """A context that threads may share: urllib3 sets this again for each connection."""

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        pass  # without it, servers speak HTTP/1.1


class _Connector(aiohttp.TCPConnector):
    """Connects each request through the proxy that the rule says, whatever made the session."""

    def __init__(self, network: Network, **more: Any) -> None:
        super().__init__(**more)
        self._network = network

    async def connect(self, req: aiohttp.ClientRequest, *args: Any, **kwargs: Any) -> Any:
        proxy = self._network.proxy_for(str(req.url))
        req.update_proxy(None if proxy is None else URL(proxy), None, None)
        return await super().connect(req, *args, **kwargs)


# ── trust ─────────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=4)
def _context(cert_file: Path | None, cert_dirs: tuple[Path, ...]) -> ssl.SSLContext:
    """A context that trusts these beside the system: made once, as reading takes some 60 ms."""
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    trusted = _trust_system(context)
    if cert_file is not None and cert_file.resolve() not in trusted:
        _trust(context, cert_file, "SSL_CERT_FILE")
    for folder in cert_dirs:
        if folder.resolve() not in trusted:
            _trust(context, folder, "SSL_CERT_DIR")
    return context


def _trust_system(context: ssl.SSLContext) -> Collection[Path]:
    """Trust what the system does, whatever SSL_CERT_FILE says; where there is nothing, certifi.

    Gives the files and folders that were read.
    """
    if sys.platform == "win32":
        context.load_default_certs()
        return ()
    paths = ssl.get_default_verify_paths()
    file, folder = Path(paths.openssl_cafile), Path(paths.openssl_capath)
    has_file = file.is_file()
    has_folder = folder.is_dir() and any(folder.iterdir())
    if not has_file and not has_folder:
        import certifi

        context.load_verify_locations(certifi.where())
        return ()
    context.load_verify_locations(file if has_file else None, folder if has_folder else None)
    return {file.resolve(), folder.resolve()}


def _trust(context: ssl.SSLContext, path: Path, name: str) -> None:
    """Trust a file's certificates, or those of a folder, whether or not it is hashed."""
    try:
        for file in _files_in(path) if path.is_dir() else [path]:
            context.load_verify_locations(file)
        if path.is_dir():
            context.load_verify_locations(capath=path)
    except OSError as error:  # ssl.SSLError is one
        why = "it holds none" if isinstance(error, ssl.SSLError) else error.strerror or "no reason"
        what = f"{path} cannot be read as certificates ({why.lower()})."
        hint = "Name a file or folder of certificates in PEM (-----BEGIN CERTIFICATE-----)."
        raise ConfigError(Problem(name, what, hint)) from error


def _files_in(folder: Path) -> Iterable[Path]:
    """A folder's certificates, unless OpenSSL finds them there itself by their hashes."""
    if any(folder.glob(HASHED)):
        return []
    return sorted(file for kind in CERTIFICATE_NAMES for file in folder.glob(kind))


# ── proxies ───────────────────────────────────────────────────────────────────────────────────


def _is_this_computer(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _matches(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY is for this host, which is in small letters."""
    name, _, its_port = _split_port(entry.strip().lower())
    if its_port and its_port != str(port):
        return False
    if name == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:
        name = name.removeprefix("*").lstrip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))


def _split_port(entry: str) -> tuple[str, str, str]:
    if entry.startswith("["):  # an IPv6 address
        name, _, rest = entry[1:].partition("]")
        return name, ":", rest.removeprefix(":")
    return entry.partition(":") if entry.count(":") == 1 else (entry, "", "")


# ── what went wrong ───────────────────────────────────────────────────────────────────────────


def why_not_reached(error: BaseException) -> str:
    """Why a server was not reached, as the end of a sentence; no address that may hold a secret."""
    chain = list(_chain(error))
    for one in chain:
        # aiohttp's own is one as well, and has no code.
        if isinstance(one, ssl.SSLCertVerificationError) and hasattr(one, "verify_code"):
            return CERTIFICATE_TROUBLE.get(one.verify_code, NOT_TRUSTED)
    for one in chain:
        if isinstance(one, aiohttp.ClientHttpProxyError):
            return f"the proxy refuses to connect to it (HTTP {one.status})"
        if isinstance(one, aiohttp.ClientProxyConnectionError):
            return "the proxy cannot be reached"
        if type(one).__name__ == "ProxyError":  # of requests and urllib3
            return "the proxy does not connect to it"
    if any(isinstance(one, ssl.SSLError) for one in chain):
        return "what answers there speaks no TLS; perhaps http:// or another port is right"
    return "it cannot be reached"


def _chain(error: BaseException, depth: int = 8) -> Iterator[BaseException]:
    """The error and all of its causes, which libraries hide in many places."""
    yield error
    if not depth:
        return
    hidden = (error.__cause__, error.__context__, getattr(error, "reason", None), *error.args)
    for one in hidden:
        if isinstance(one, BaseException) and one is not error:
            yield from _chain(one, depth - 1)
