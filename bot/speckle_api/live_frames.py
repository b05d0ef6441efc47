"""What is subscribed to of a project, and what a frame of the old `graphql-ws` says. No I/O."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from bot.speckle.wire import id_of


class LiveKind(StrEnum):
    """What a subscription tells of; the value is its field on the server."""

    VERSIONS = "projectVersionsUpdated"
    MODELS = "projectModelsUpdated"
    PROJECT = "projectUpdated"
    COMMENTS = "projectCommentsUpdated"
    ISSUES = "projectIssuesUpdated"
    CHECKS = "projectTriggeredAutomationsStatusUpdated"


@dataclass(frozen=True, slots=True)
class Rang:
    """Something changed, or the account may not see it any more.

    `version_id` is the version that an automation runs on, which no list tells of.
    """

    project_id: str
    kind: LiveKind
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class Dead:
    """Nothing more will come of that kind: the server has ended it, or never knew it."""

    project_id: str
    kind: LiveKind


@dataclass(frozen=True, slots=True)
class Settled:
    """All that was added until then has been started."""


Heard = Rang | Dead | Settled

_TARGET: Final = 'target: {projectId: $p, resourceIdString: ""}'


def _question(kind: LiveKind, arguments: str, variable: str = "String!", wanted: str = "id") -> str:
    return f"subscription($p: {variable}) {{ {kind}({arguments}) {{ {wanted} }} }}"


# A frame only rings, the lists say what. Each field that is asked for costs the server time.
_ALWAYS: Final = {
    LiveKind.VERSIONS: _question(LiveKind.VERSIONS, "id: $p"),
    LiveKind.MODELS: _question(LiveKind.MODELS, "id: $p"),
    LiveKind.PROJECT: _question(LiveKind.PROJECT, "id: $p"),
    LiveKind.CHECKS: _question(LiveKind.CHECKS, "projectId: $p", wanted="version { id }"),
}
WITH_LISTS: Final[Mapping[LiveKind, str]] = _ALWAYS | {
    LiveKind.COMMENTS: _question(LiveKind.COMMENTS, _TARGET),
}
"""Of servers up to 2.31, which have activity lists."""
WITHOUT_LISTS: Final[Mapping[LiveKind, str]] = _ALWAYS | {
    LiveKind.ISSUES: _question(LiveKind.ISSUES, "projectId: $p", "ID!"),
}
"""Of Speckle 4: not recorded, read off its schema."""


class NotAFrame(ValueError):
    """Text that the subprotocol does not know."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of the server; `id` names the operation that it is about."""

    type: str
    id: str | None
    payload: Mapping[str, Any] | None

    @property
    def is_refused_question(self) -> bool:
        """Whether the question itself is refused: `complete` follows, there is no `data`."""
        return self.payload is not None and "data" not in self.payload

    @property
    def version_id(self) -> str | None:
        """The version that an automation runs on, in a frame about that."""
        found: Any = self.payload
        for name in ("data", LiveKind.CHECKS.value, "version", "id"):
            found = found.get(name) if isinstance(found, dict) else None
        return id_of(found)


def read_frame(text: str) -> Frame:
    """The frame. Errors: NotAFrame."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        raise NotAFrame from None
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
        raise NotAFrame
    name, payload = raw.get("id"), raw.get("payload")
    return Frame(
        raw["type"],
        name if isinstance(name, str) else None,
        payload if isinstance(payload, dict) else None,
    )
