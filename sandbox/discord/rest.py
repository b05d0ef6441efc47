"""One REST request and its answer, and the table that each subject adds its routes to."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.discord.gateway_server import GatewayServer
from sandbox.discord.json_types import JSON
from sandbox.discord.message_rules import Upload
from sandbox.discord.refusals import Form
from sandbox.discord.world import DiscordWorld


@dataclass(frozen=True, slots=True)
class Call:
    """A request, read: `json` is the body, or payload_json of a multipart one."""

    world: DiscordWorld
    gateway: GatewayServer
    params: Mapping[str, str]
    query: Mapping[str, str]
    json: Any
    uploads: Sequence[Upload]

    def id(self, name: str) -> int:
        """An id in the path; raises 50035 for what is none."""
        return _snowflake(name, self.params[name])

    def place(self, name: str) -> int | None:
        """An id of the query, `before` or `after`; raises 50035 for what is none."""
        return _snowflake(name, self.query[name]) if name in self.query else None

    @property
    def body(self) -> JSON:
        """The body, where it has to be an object; raises 50035."""
        if not isinstance(self.json, dict):
            form = Form()
            form.required(("_body",))
            form.finish()
        return dict(self.json)

    def limit(self, usual: int, most: int) -> int:
        """How many entries are asked for; raises 50035 for less than 1 and more than `most`."""
        value = self.query.get("limit")
        if value is None:
            return usual
        form = Form()
        if value.isascii() and value.isdecimal():
            form.between(("limit",), int(value), 1, most)
        else:
            form.add(("limit",), "NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')
        form.finish()
        return int(value)


def _snowflake(name: str, value: str) -> int:
    form = Form()
    form.snowflake((name,), value)
    form.finish()
    return int(value)


@dataclass(frozen=True, slots=True)
class RestResponse:
    """An answer; without a body 204."""

    body: Any = None
    status: int = 200


Handler = Callable[[Call], Awaitable[RestResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """A row of the table. `open`: needs no token. `exempt`: not counted against the 50 a second."""

    method: str
    template: str
    handler: Handler
    open: bool = False
    exempt: bool = False

    @property
    def name(self) -> str:
        """As in the table of limits and in faults."""
        return f"{self.method} {self.template}"


@dataclass(slots=True)
class RecordedRequest:
    """What came in and what was answered; `status` 0 is a connection that was cut.

    `route` is the path as in Discord's OpenAPI description, under /api/v10.
    """

    method: str
    route: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    json: Any
    files: Sequence[Upload]
    status: int = 0
    unread: bool = False  # a fault came before anybody looked at the body
    query: Mapping[str, str] = field(default_factory=dict)
    answer: Any = field(default=None, repr=False)
