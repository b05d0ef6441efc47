"""What is subscribed to of a project, and what a frame of the old `graphql-ws` says. No I/O."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from bot.speckle_api.answers import child


class LiveKind(StrEnum):
    """What a subscription tells of; the value is its field on the server."""

    VERSIONS = "projectVersionsUpdated"
    MODELS = "projectModelsUpdated"
    PROJECT = "projectUpdated"
    COMMENTS = "projectCommentsUpdated"
    ISSUES = "projectIssuesUpdated"


@dataclass(frozen=True, slots=True)
class Rang:
    """Something changed. `payload` is the subscription's field.

    None where the server does not say what: the account may not see it, or no longer.
    """

    project_id: str
    kind: LiveKind
    payload: Mapping[str, Any] | None = field(repr=False)


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


def _question(kind: LiveKind, arguments: str, fields: str, variable: str = "String!") -> str:
    return f"subscription($p: {variable}) {{ {kind}({arguments}) {{ {fields} }} }}"


# Up to 2.31: it only rings, the activity list says what. Each field costs the server time.
RINGS: Final[Mapping[LiveKind, str]] = {
    LiveKind.VERSIONS: _question(LiveKind.VERSIONS, "id: $p", "id"),
    LiveKind.MODELS: _question(LiveKind.MODELS, "id: $p", "id"),
    LiveKind.PROJECT: _question(LiveKind.PROJECT, "id: $p", "id"),
    LiveKind.COMMENTS: _question(LiveKind.COMMENTS, _TARGET, "id"),
}
# Speckle 4 has no such list: what a frame holds is the source. Not recorded, read off its schema.
FRAMES: Final[Mapping[LiveKind, str]] = {
    LiveKind.VERSIONS: _question(
        LiveKind.VERSIONS,
        "id: $p",
        "type id modelId version { id message sourceApplication createdAt referencedObject "
        "authorUser { id name } model { id name } }",
    ),
    LiveKind.MODELS: _question(LiveKind.MODELS, "id: $p", "type id model { id name }"),
    LiveKind.PROJECT: _question(LiveKind.PROJECT, "id: $p", "type id"),
    LiveKind.ISSUES: _question(
        LiveKind.ISSUES,
        "projectId: $p",
        "type id reply { id } issue { id identifier title status priority resourceIdString "
        "createdAt updatedAt activities(input: {limit: 5, sortDirection: desc}) { items { "
        "eventType createdAt actor { id user { id name } } } } }",
        "ID!",
    ),
}


class NotAFrame(ValueError):
    """Text that the subprotocol does not know."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of the server; `id` names the operation that it is about."""

    type: str
    id: str | None
    payload: Mapping[str, Any] | None

    def data_of(self, kind: LiveKind) -> Mapping[str, Any] | None:
        """What the subscription's field holds; None if it was refused."""
        found = child(self.payload, "data", kind.value)
        return found if isinstance(found, Mapping) else None

    @property
    def is_refused_question(self) -> bool:
        """Whether the question itself is refused: `complete` follows, there is no `data`."""
        return self.payload is not None and "data" not in self.payload


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
