"""Addresses of a Speckle server's pages: read from what people paste, written for cards."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import quote, unquote, urlsplit

from bot.errors import NotASpeckleLink

# Speckle makes ids of 10 hex digits; a few very old ones use other letters.
ID = re.compile(r"[0-9A-Za-z]{10}")
HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,62})(\.[a-z0-9]([a-z0-9-]{0,62}))*")
DEFAULT_PORTS = {"http": 80, "https": 443}
PUBLIC_SERVER = "https://app.speckle.systems"
FORMER_ADDRESSES = {
    "https://speckle.xyz": PUBLIC_SERVER,
    "https://latest.speckle.systems": PUBLIC_SERVER,
}
MAX_LINK_LENGTH = 2_000
SHOWN_LENGTH = 100
WHOLE = "all"  # in place of a model: all of them


@dataclass(frozen=True, slots=True)
class SpeckleLink:
    """The project, or the model of it, that a pasted text points at.

    `server_url` is None for a bare id. `model_name` comes from old links, which name models
    instead of giving their ids.
    """

    server_url: str | None
    project_id: str
    model_id: str | None = None
    model_name: str | None = None


@lru_cache(maxsize=256)  # asked for each delivery, of a handful of servers
def normalise_server_url(text: str) -> str:
    """Reduce an address to its origin: scheme://host[:port], lower case, no slash at the end.

    Errors: NotASpeckleLink for anything but http(s) with a host and without a user name.
    """
    try:
        parts = urlsplit(text.strip())
        host, port, user = parts.hostname, parts.port, parts.username
    except ValueError as error:
        raise _not_a_link(text, "it is not a valid address") from error
    if parts.scheme not in DEFAULT_PORTS or not host:
        raise _not_a_link(text, "it does not start with https:// and a server's name")
    if user is not None:
        raise _not_a_link(text, "it holds a user name or a password")
    host = _ascii_host(host, text)
    default = DEFAULT_PORTS[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port and port != default else "")


def _ascii_host(host: str, text: str) -> str:
    if ":" in host:  # an IPv6 address, which urlsplit has checked
        return f"[{host}]"
    try:
        host = host.rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise _not_a_link(text, "its server's name is not valid") from error
    if not HOST.fullmatch(host):
        raise _not_a_link(text, "its server's name is not valid")
    return host


def parse_link(text: str, servers: Collection[str] = ()) -> SpeckleLink:
    """Read a project id or any link to a project, a model, a version or a thread, old or new.

    An address that one of these servers had before is read as its address of today.
    Errors: NotASpeckleLink, whose `why` ends a sentence for the person who typed it.
    """
    text = text.strip().removeprefix("<").removesuffix(">").strip()
    if len(text) > MAX_LINK_LENGTH:
        raise _not_a_link(text, "it is too long.")
    if ID.fullmatch(text):
        return SpeckleLink(None, text)
    if "/" not in text:
        raise _not_a_link(text, "a project's id has 10 letters and digits.")
    url = text if "://" in text else f"https://{text}"
    try:
        server_url = _todays(normalise_server_url(url), servers)
    except NotASpeckleLink as error:
        raise _not_a_link(text, f"{error.why}.") from error
    parts = urlsplit(url)
    pieces = [unquote(piece) for piece in parts.path.split("/") if piece]
    match pieces:
        case ["projects", project, *rest] if ID.fullmatch(project):
            return _today(SpeckleLink(server_url, project), rest)
        case ["streams", project, *rest] if ID.fullmatch(project):
            return _legacy(SpeckleLink(server_url, project), rest)
        case _:
            raise _not_a_link(
                text, "a project's address looks like https://app.speckle.systems/projects/…"
            )


def _todays(server_url: str, servers: Collection[str]) -> str:
    current = FORMER_ADDRESSES.get(server_url, server_url)
    return current if current in servers and server_url not in servers else server_url


def _today(link: SpeckleLink, rest: list[str]) -> SpeckleLink:
    """`/models/M`, `/models/M@V`, `/models/M1,M2`, `/models/M/versions`."""
    match rest:
        case ["models", resources, *_] if "," not in resources:
            model, _, _ = resources.partition("@")
            # "all", an object's id or "$folder" is no model.
            return replace(link, model_id=model) if ID.fullmatch(model) else link
        case _:
            return link


def _legacy(link: SpeckleLink, rest: list[str]) -> SpeckleLink:
    """`/branches/NAME`, where the name may hold slashes."""
    match rest:
        case ["branches", *name] if name:
            return replace(link, model_name="/".join(name).lower())
        case _:
            return link


def _not_a_link(text: str, why: str) -> NotASpeckleLink:
    return NotASpeckleLink(text[:SHOWN_LENGTH], why)


@dataclass(frozen=True, slots=True)
class Links:
    """Writes addresses of one server; `legacy` gives those that servers before 2023 understand.

    Source of the old ones: packages/frontend/src/main/router/index.js of speckle-server.
    """

    server_url: str
    legacy: bool = False

    def project(self, project_id: str) -> str:
        """The project's own page."""
        return f"{self.server_url}/{'streams' if self.legacy else 'projects'}/{_quoted(project_id)}"

    def model(self, project_id: str, model_id: str | None, model_name: str | None = None) -> str:
        """The model; the project where the server's form needs what is not known."""
        project = self.project(project_id)
        if self.legacy:
            return project if model_name is None else f"{project}/branches/{_path(model_name)}"
        return project if model_id is None else f"{project}/models/{_quoted(model_id)}"

    def version(self, project_id: str, model_id: str | None, version_id: str) -> str:
        """The version; without its model through the old address, which today's servers know."""
        if self.legacy or model_id is None:
            return f"{self.server_url}/streams/{_quoted(project_id)}/commits/{_quoted(version_id)}"
        return f"{self.model(project_id, model_id)}@{_quoted(version_id)}"

    def comparison(self, project_id: str, model_id: str, version_id: str, before: str) -> str:
        """Speckle's own view of what differs between two versions of a model."""
        pair = {"versionA": f"{model_id}@{before}", "versionB": f"{model_id}@{version_id}"}
        differences = json.dumps({"diffs": [pair]}, separators=(",", ":"))
        return f"{self.version(project_id, model_id, version_id)}#diff={_quoted(differences)}"

    def place(self, project_id: str, resources: str | None) -> str:
        """Models, a folder or an object, as Speckle writes them; old servers show the project."""
        project = self.project(project_id)
        if self.legacy or resources is None:
            return project
        safe = "$" if resources.startswith("$") else "@"  # a folder's name may hold any mark
        return f"{project}/models/{quote(resources, safe=safe, errors='replace')}"

    def issue(self, project_id: str, issue_id: str, resources: str | None) -> str:
        """The issue, opened beside what it is on."""
        return f"{self.place(project_id, resources or WHOLE)}#threadId={_quoted(issue_id)}"

    def thread(self, project_id: str, thread_id: str, version_id: str | None = None) -> str:
        """The thread, opened; old servers can do that only together with a version it is on."""
        if not self.legacy:
            return f"{self.project(project_id)}/threads/{_quoted(thread_id)}"
        if version_id is None:
            return self.project(project_id)
        return f"{self.version(project_id, None, version_id)}?cId={_quoted(thread_id)}"

    def webhook_settings(self, project_id: str) -> str:
        """Where a project's owner makes its webhooks."""
        project = self.project(project_id)
        return f"{project}/webhooks" if self.legacy else f"{project}/settings/webhooks"

    def token_settings(self) -> str:
        """Where a person makes access tokens."""
        return f"{self.server_url}/{'profile' if self.legacy else 'settings/user/developer'}"


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _path(model_name: str) -> str:
    """A model's name with its levels, unless one of them would lead elsewhere."""
    return quote(model_name, safe="" if ".." in model_name else "/", errors="replace")
