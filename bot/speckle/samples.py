"""Events that never happened, one of each kind, in the wire's own form. No I/O.

/test sends them through the whole pipeline, so they are bodies as Speckle would send them.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bot.speckle.checks import Check, Checks, checks_to_json
from bot.speckle.event_table import BY_KIND
from bot.speckle.events import EventKind, ModelRef, SpeckleUser
from bot.speckle.filters import lets_in

SAMPLE_ID: Final = "0000000000"  # which no server gives
AUTHOR: Final = SpeckleUser(SAMPLE_ID, "Test author")
MODEL: Final = "test model"
WORDS: Final = ("test", "sample", "level 1")  # one of which a channel may leave out
GLOBS: Final = "*?[]{}"

Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SampleScene:
    """What samples are about: a project, and a model by a name that its channel follows.

    `real_model` is one that is there, for events that name models by id alone.
    """

    server_url: str
    project_id: str
    project_name: str | None
    model: ModelRef
    real_model: str | None = None


def sample_body(kind: EventKind, scene: SampleScene) -> bytes:
    """The body of a delivery of this kind."""
    data, message = SAMPLES[kind](scene)
    payload = {
        "streamId": scene.project_id,
        "userId": AUTHOR.id,
        "activityMessage": message,
        "event": {"event_name": BY_KIND[kind].wire_names[0], "data": data},
        "server": {"canonicalUrl": scene.server_url},
        "stream": {"id": scene.project_id, "name": scene.project_name},
        "user": {"id": AUTHOR.id, "name": AUTHOR.name},
    }
    return json.dumps({"payload": payload}).encode()


def sample_model(patterns: Iterable[str], known: Mapping[str, str]) -> ModelRef:
    """A model that these patterns let in, made up: nobody is to fear for a real one.

    It is a real one only where a pattern is its id, or nothing else was found.
    """
    patterns = tuple(patterns)
    including = [one for one in patterns if not one.startswith("!")]
    offered = [_fitting(one, word, known) for word in WORDS for one in including]
    there = real_model(patterns, known)
    real = [] if there is None else [ModelRef(there, known[there])]
    made_up = ModelRef(SAMPLE_ID, MODEL)
    return next((one for one in (*offered, made_up, *real) if lets_in(patterns, one)), made_up)


def real_model(patterns: Iterable[str], known: Mapping[str, str]) -> str | None:
    """The id of a model that these patterns let in, of those that are known by their ids."""
    patterns = tuple(patterns)
    models = [ModelRef(id_, name) for id_, name in sorted(known.items(), key=lambda one: one[1])]
    return next((one.id for one in models if lets_in(patterns, one)), None)


def _fitting(pattern: str, word: str, known: Mapping[str, str]) -> ModelRef:
    """A model that a pattern fits: in a glob, whatever may stand for anything is this word."""
    if pattern in known:
        return ModelRef(pattern, known[pattern])
    pieces = pattern.replace("**", word).replace("*", word).replace("?", "x")
    return ModelRef(SAMPLE_ID, "".join(one for one in pieces if one not in GLOBS))


# ── one of each kind ──────────────────────────────────────────────────────────────────────────


def _version(scene: SampleScene, message: str) -> dict[str, Any]:
    return {
        "id": SAMPLE_ID,
        "authorId": AUTHOR.id,
        "branchId": scene.model.id,
        "branchName": scene.model.name,
        "message": message,
        "sourceApplication": "Revit2026",
        "objectId": SAMPLE_ID,
        "parents": [],
    }


def _model(scene: SampleScene, description: str | None = None) -> dict[str, Any]:
    return {"id": scene.model.id, "name": scene.model.name, "description": description}


def _version_created(scene: SampleScene) -> tuple[Data, str]:
    commit = _version(scene, "Walls of the second floor moved")
    return {"id": SAMPLE_ID, "commit": commit}, "Commit created"


def _automation_failed(scene: SampleScene) -> tuple[Data, str]:
    failed = Check(SAMPLE_ID, SAMPLE_ID, "Clash check", errors=12)
    checks = checks_to_json(Checks(passed=3, failures=1, failed=(failed,)))
    model = {"branchId": scene.model.id, "branchName": scene.model.name}
    return {"id": SAMPLE_ID, **model, "checks": checks}, ""


def _version_updated(scene: SampleScene) -> tuple[Data, str]:
    old = _version(scene, "Walls moved")
    return {"old": old, "new": {"message": "Walls of the second floor moved"}}, "Commit updated"


def _version_received(_scene: SampleScene) -> tuple[Data, str]:
    return {"sourceApplication": "Rhino8", "message": "Received for checking"}, "Commit received"


def _version_deleted(scene: SampleScene) -> tuple[Data, str]:
    return {"commit": _version(scene, "Walls moved")}, "Commit deleted"


def _version_moved(scene: SampleScene) -> tuple[Data, str]:
    data = {"originalBranchId": SAMPLE_ID, "newBranchId": scene.real_model or SAMPLE_ID}
    return data, f"Commit moved: {SAMPLE_ID}"


def _model_created(scene: SampleScene) -> tuple[Data, str]:
    return {"branch": _model(scene, "Everything that carries load")}, "Branch created"


def _model_updated(scene: SampleScene) -> tuple[Data, str]:
    old = _model(scene, "Everything")
    return {"old": old, "new": {"description": "Everything that carries load"}}, "Branch updated"


def _model_deleted(scene: SampleScene) -> tuple[Data, str]:
    return {"branch": _model(scene)}, "Branch deleted"


def _issue(_scene: SampleScene) -> tuple[Data, str]:
    return {}, ""


def _comment_created(scene: SampleScene) -> tuple[Data, str]:
    resources = "" if scene.real_model is None else f"{scene.real_model}@{SAMPLE_ID}"
    content = _content("Does this beam clash with the duct?")
    data = {"input": {"resourceIdString": resources, "content": content}}
    return data, f"Comment added: {SAMPLE_ID} (test)"


def _comment_replied(_scene: SampleScene) -> tuple[Data, str]:
    data = {"input": {"threadId": SAMPLE_ID, "content": _content("Yes, it is moved tomorrow.")}}
    return data, f"Comment reply #{SAMPLE_ID} created"


def _comment_resolved(_scene: SampleScene) -> tuple[Data, str]:
    return {"input": {"commentId": SAMPLE_ID, "archived": True}}, "Comment archived"


def _comment_reopened(_scene: SampleScene) -> tuple[Data, str]:
    return {"input": {"commentId": SAMPLE_ID, "archived": False}}, "Comment archived"


def _comment_mentioned(_scene: SampleScene) -> tuple[Data, str]:
    target = {"mentionTargetId": AUTHOR.id}
    return {"threadId": SAMPLE_ID, "commentId": SAMPLE_ID, **target}, "Comment mention"


def _project_updated(_scene: SampleScene) -> tuple[Data, str]:
    description = {"description": "Concept design"}
    return {"old": description, "new": {"description": "Detailed design"}}, "Stream updated"


def _project_deleted(_scene: SampleScene) -> tuple[Data, str]:
    return {}, "Stream deleted"


def _person(key: str, role: str | None = None) -> Callable[[SampleScene], tuple[Data, str]]:
    """An event that names a person under this key, made up too, and the role they got, if any."""

    def sample(_scene: SampleScene) -> tuple[Data, str]:
        return {key: AUTHOR.id} | ({} if role is None else {"role": role}), "Test"

    return sample


def _content(text: str) -> Data:
    paragraph = {"type": "paragraph", "content": [{"type": "text", "text": text}]}
    return {"doc": {"type": "doc", "content": [paragraph]}}


SAMPLES: Mapping[EventKind, Callable[[SampleScene], tuple[Data, str]]] = {
    EventKind.VERSION_CREATED: _version_created,
    EventKind.VERSION_UPDATED: _version_updated,
    EventKind.VERSION_RECEIVED: _version_received,
    EventKind.VERSION_DELETED: _version_deleted,
    EventKind.VERSION_MOVED: _version_moved,
    EventKind.AUTOMATION_FAILED: _automation_failed,
    EventKind.MODEL_CREATED: _model_created,
    EventKind.MODEL_UPDATED: _model_updated,
    EventKind.MODEL_DELETED: _model_deleted,
    EventKind.ISSUE_CREATED: _issue,
    EventKind.ISSUE_UPDATED: _issue,
    EventKind.ISSUE_REPLIED: _issue,
    EventKind.ISSUE_DELETED: _issue,
    EventKind.COMMENT_CREATED: _comment_created,
    EventKind.COMMENT_REPLIED: _comment_replied,
    EventKind.COMMENT_RESOLVED: _comment_resolved,
    EventKind.COMMENT_REOPENED: _comment_reopened,
    EventKind.COMMENT_MENTIONED: _comment_mentioned,
    EventKind.PROJECT_UPDATED: _project_updated,
    EventKind.PROJECT_DELETED: _project_deleted,
    EventKind.PERMISSION_GRANTED: _person("targetUser", "stream:contributor"),
    EventKind.PERMISSION_REVOKED: _person("targetUser"),
    EventKind.INVITATION_SENT: _person("targetId"),
    EventKind.INVITATION_ACCEPTED: _person("targetUserId", "stream:contributor"),
    EventKind.INVITATION_DECLINED: _person("targetId"),
    EventKind.ACCESS_REQUESTED: _person("requesterId"),
    EventKind.ACCESS_DECLINED: _person("requesterId"),
}
"""All but the unknown event: nobody can say what one would be like."""
