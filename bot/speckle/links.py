"""Addresses of a Speckle server's pages: read from what people paste, written for cards."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import lru_cache
from hashlib import sha256
from urllib.parse import parse_qs, quote, unquote, urlsplit

from bot.errors import NotASpeckleLink
from bot.speckle.seen_text import without_unseen

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
MAX_RESOURCES = 25  # of one link: as many as a channel can have patterns
SHOWN_LENGTH = 100
WHOLE = "all"  # in place of a model: all of them


class LinkTarget(Enum):
    """What a link leads to."""

    PROJECT = auto()
    MODELS = auto()
    FOLDER = auto()
    VERSION = auto()
    THREAD = auto()  # of comments, or an issue


@dataclass(frozen=True, slots=True)
class SpeckleLink:
    """What a pasted text points at: a project, and what of it.

    `server_url` is None for a bare id. `models` are patterns: ids, the names that old links have,
    and folders. `thread_id` is that of a comment's thread or of an issue.
    """

    server_url: str | None
    project_id: str
    models: tuple[str, ...] = ()
    version_id: str | None = None
    thread_id: str | None = None
    target: LinkTarget = LinkTarget.PROJECT


def server_key(server_url: str) -> str:
    """A server in few letters, for a custom id."""
    return sha256(server_url.encode()).hexdigest()[:8]


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
    """Read a project's id or a link into it, old or new, out of what was pasted.

    Marks around it, and words, do not matter. An address that one of these servers had before, or
    that differs from a server's in http and https alone, is read as that server's address.
    Errors: NotASpeckleLink, whose `why` ends a sentence for the person who typed it.
    """
    if len(text) > MAX_LINK_LENGTH:
        raise _not_a_link(text, "it is too long.")
    text = without_unseen(text)
    bare = text.strip(_AROUND)
    if ID.fullmatch(bare):
        return SpeckleLink(None, bare)
    links, problems = list[SpeckleLink](), list[NotASpeckleLink]()
    for address in _addresses(text):
        try:
            links.append(_read_address(address, servers))
        except NotASpeckleLink as error:
            problems.append(error)
    if links:
        return _together(text, links)
    if problems:
        raise problems[0]
    ids = set(_ID_IN_WORDS.findall(text))
    if len(ids) == 1:
        return SpeckleLink(None, ids.pop())
    raise _not_a_link(bare, NO_ID if "/" not in bare else NO_PROJECT)


def _together(text: str, links: Sequence[SpeckleLink]) -> SpeckleLink:
    """Several links into one project as one: all of their models."""
    first = next((link for link in links if link.models), links[0])
    if len({(link.server_url, link.project_id) for link in links}) > 1:
        raise _not_a_link(text, "it has links to several projects. Name them one by one.")
    models = dict.fromkeys(model for link in links for model in link.models)
    several = len(models) > len(first.models)
    target = LinkTarget.MODELS if several else first.target
    return replace(first, models=tuple(models)[:MAX_RESOURCES], target=target)


def looks_like_address(text: str) -> bool:
    """Whether a text is meant as a link into a Speckle server, and not as a name."""
    return bool(_ADDRESS.search(text) or _WITHOUT_SCHEME.search(text))


def profile_id(text: str) -> str | None:
    """The person whose page a link leads to."""
    try:
        pieces = [urlsplit(one).path.strip("/").split("/") for one in _addresses(text)]
    except ValueError:  # such as half an IPv6 address
        return None
    found = (piece[1] for piece in pieces if len(piece) > 1 and piece[0] in ("profile", "users"))
    return next((one for one in found if ID.fullmatch(one)), None)


NO_ID = "a project's id has 10 letters and digits."
NO_PROJECT = "a project's address looks like https://app.speckle.systems/projects/…"
_ID_IN_WORDS = re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{10}\b")
_AROUND = (
    " \t\r\n<>()[]{}\"'`*_.,;:!?|\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u2026"
    "\u3001\u3002\uff0c\uff0e\uff08\uff09\u300c\u300d\u300e\u300f\u3010\u3011"
)
_INSIDE = r"[^\s<>|\"\[\]`\u201c\u201d\u201e\u00ab\u00bb]"
_ADDRESS = re.compile(rf"(?i)[a-z][a-z0-9+.-]*:/{{1,3}}(?:\[[0-9a-f:.]*\]?)?{_INSIDE}*")
_WITHOUT_SCHEME = re.compile(
    rf"(?i)(?<![\w/.:@-])[\w-]+(?:\.[\w-]+)*(?::\d{{1,5}})?/+(?:projects|streams|embed|profile|users)\b{_INSIDE}*"
)
_PAIRS = {")": "(", "}": "{"}


def _addresses(text: str) -> Iterator[str]:
    """The addresses in a text, without the punctuation behind them."""
    text = without_unseen(text).replace("&amp;", "&")
    found = [re.sub(":/+", "://", one[0], count=1) for one in _ADDRESS.finditer(text)]
    found += [f"https://{one[0]}" for one in _WITHOUT_SCHEME.finditer(text)]
    return map(_without_punctuation, found)


def _without_punctuation(address: str) -> str:
    while address:
        last = address[-1]
        opening = _PAIRS.get(last)
        closes = opening is not None and address.count(last) > address.count(opening)
        if not closes and (opening is not None or last not in _AROUND):
            break
        address = address[:-1]
    return address


def _read_address(url: str, servers: Collection[str]) -> SpeckleLink:
    try:
        server_url = _todays(normalise_server_url(url), servers)
    except NotASpeckleLink as error:
        raise _not_a_link(url, f"{error.why}.") from error
    parts = urlsplit(url)
    asked = parse_qs(f"{parts.query}&{parts.fragment}")
    thread = _first_id(asked, "threadId", "cId")
    pieces = [unquote(piece).strip() for piece in parts.path.split("/") if piece]
    match [*map(str.lower, pieces[:1]), *pieces[1:]]:
        case ["projects", project, *rest] if ID.fullmatch(project):
            link = _today(SpeckleLink(server_url, project, thread_id=thread), rest)
        case ["streams", project, *rest] if ID.fullmatch(project):
            link = _legacy(SpeckleLink(server_url, project, thread_id=thread), rest)
        case ["embed"] if embedded := _first_id(asked, "stream"):
            link = _embedded(SpeckleLink(server_url, embedded, thread_id=thread), asked)
        case _:
            raise _not_a_link(url, NO_PROJECT)
    return link if link.thread_id is None else replace(link, target=LinkTarget.THREAD)


def _first_id(asked: Mapping[str, Sequence[str]], *names: str) -> str | None:
    found = (value for name in names for value in asked.get(name, ()))
    return next((value for value in found if ID.fullmatch(value)), None)


def _todays(server_url: str, servers: Collection[str]) -> str:
    """The server's address of today, if it is one of these; a wrong http or https is corrected."""
    if server_url in servers:
        return server_url
    scheme, _, host = server_url.partition("://")
    other = f"{'https' if scheme == 'http' else 'http'}://{host}"
    former = (FORMER_ADDRESSES.get(one, one) for one in (server_url, f"https://{host}"))
    return next((one for one in (*former, other) if one in servers), server_url)


def _today(link: SpeckleLink, rest: list[str]) -> SpeckleLink:
    """`/models/M`, `/models/M@V`, `/models/M1,M2,$folder`, `/models/M/versions`, `/threads/T`."""
    match rest:
        case ["models", model, "versions", version, *_] if ID.fullmatch(version):
            return _with_resources(link, [f"{model}@{version}"])
        case ["models", resources, *_]:
            return _with_resources(link, resources.split(","))
        case ["versions", version, *_] if ID.fullmatch(version):
            return replace(link, version_id=version, target=LinkTarget.VERSION)
        case ["threads" | "issues" | "discussions", thread, *_] if ID.fullmatch(thread):
            return replace(link, thread_id=thread)
        case _:
            return link


def _with_resources(link: SpeckleLink, resources: list[str]) -> SpeckleLink:
    """The models and folders; "all" is no model, and an object's id is that of no model."""
    models, versions = [], []
    target = LinkTarget.MODELS
    for resource in resources[:MAX_RESOURCES]:
        model, _, version = resource.strip().partition("@")
        if model.startswith("$") and (folder := model[1:].strip("/ ")):
            models.append(f"{folder}/**")
            target = LinkTarget.FOLDER
        elif ID.fullmatch(model):
            models.append(model)
            versions += [version] if ID.fullmatch(version) else []
    if not models or WHOLE in resources:
        return link
    found = replace(link, models=tuple(dict.fromkeys(models)), target=target)
    if len(found.models) > 1 or not versions:
        return found
    return replace(found, version_id=versions[0], target=LinkTarget.VERSION)


def _legacy(link: SpeckleLink, rest: list[str]) -> SpeckleLink:
    """`/branches/NAME`, where the name may hold slashes, and `/commits/V`."""
    match rest:
        case ["branches", *name] if name:
            return replace(link, models=("/".join(name).lower(),), target=LinkTarget.MODELS)
        case ["commits", version, *_] if ID.fullmatch(version):
            return replace(link, version_id=version, target=LinkTarget.VERSION)
        case ["comments", thread, *_] if ID.fullmatch(thread):
            return replace(link, thread_id=thread)
        case _:
            return link


def _embedded(link: SpeckleLink, asked: Mapping[str, Sequence[str]]) -> SpeckleLink:
    """`/embed?stream=P&branch=NAME`, `/embed?stream=P&commit=V`."""
    branch = asked.get("branch", [""])[0].strip("/ ").lower()
    if branch:
        return replace(link, models=(branch,), target=LinkTarget.MODELS)
    version = _first_id(asked, "commit")
    return link if version is None else _legacy(link, ["commits", version])


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

    def automation(self, project_id: str, automation_id: str) -> str:
        """An automation's page, with its runs."""
        return f"{self.project(project_id)}/automations/{_quoted(automation_id)}"

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
