"""What was last seen of a project, and what is otherwise now → entries. No I/O.

A server without an activity list says what there is, not what became of it. So the newest of its
versions, models and issues are remembered, and compared with what there is at the next look: that
tells what was edited, moved, renamed or deleted. It tells neither who did it nor when, nor what was
changed and changed back between two looks, and nothing is made up.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Self

from bot.speckle.activity import Activity
from bot.speckle.event_subjects import (
    ISSUE_DELETED,
    MODEL_DELETED,
    MODEL_UPDATED,
    VERSION_DELETED,
    VERSION_MOVED,
    VERSION_UPDATED,
    changed_subject,
    deleted_subject,
)

MESSAGE_KEPT: Final = 300  # characters, to be shown as what was there before
DIGEST_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class KnownVersion:
    """A version. `digest` is that of its whole message; None where the server left it out."""

    at: datetime
    model_id: str | None
    message: str | None = field(default=None, repr=False)
    digest: str | None = None

    @classmethod
    def of(cls, at: datetime, model_id: str | None, message: str | None) -> Self:
        """One whose message is known."""
        said = "" if message is None else message
        return cls(
            at,
            model_id,
            message,
            sha256(said.encode(errors="surrogatepass")).hexdigest()[:DIGEST_DIGITS],
        )

    def to_json(self) -> list[str | None]:
        """As it is kept: the beginning of its message is enough."""
        message = self.message
        if message is not None and len(message) > MESSAGE_KEPT:
            message = f"{message[: MESSAGE_KEPT - 1]}…"
        return [self.at.isoformat(), self.model_id, message, self.digest]


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model; its list is sorted by `moved`, which only grows."""

    moved: datetime
    name: str | None


@dataclass(frozen=True, slots=True)
class ProjectState:
    """The newest of a project's versions, models and issues (when each moved), by id.

    `…_from`: the list goes on with what is older than that; None where this is all of it. Issues
    are None where the token may not see them.
    """

    versions: Mapping[str, KnownVersion] = field(default_factory=dict)
    models: Mapping[str, KnownModel] = field(default_factory=dict)
    issues: Mapping[str, datetime] | None = None
    versions_from: datetime | None = None
    models_from: datetime | None = None
    issues_from: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        issues = None
        if self.issues is not None:
            issues = {one: at.isoformat() for one, at in self.issues.items()}
        return {
            "versions": {one: known.to_json() for one, known in self.versions.items()},
            "models": {
                one: [known.moved.isoformat(), known.name] for one, known in self.models.items()
            },
            "issues": issues,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Back from there."""
        issues = stored["issues"]
        return cls(
            {
                one: KnownVersion(datetime.fromisoformat(at), *rest)
                for one, (at, *rest) in stored["versions"].items()
            },
            {
                one: KnownModel(datetime.fromisoformat(moved), name)
                for one, (moved, name) in stored["models"].items()
            },
            None
            if issues is None
            else {one: datetime.fromisoformat(at) for one, at in issues.items()},
        )

    def after(self, now: Self) -> Self:
        """What is to be remembered once `now` was compared with this."""
        versions = {
            one: replace(known, message=before.message, digest=before.digest)
            if known.digest is None and (before := self.versions.get(one)) is not None
            else known
            for one, known in now.versions.items()
        }
        issues = self.issues if now.issues is None else now.issues
        return replace(now, versions=versions, issues=issues)


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is otherwise than it was; `state` is what is known once it was told."""

    entry: Activity
    subject: str
    state: ProjectState


def differences(before: ProjectState, now: ProjectState, at: datetime) -> Iterator[Difference]:
    """What became of what was there before; `at` is when that was noticed."""
    state = before
    for model_id, model in before.models.items():
        name = model.name
        if (found := now.models.get(model_id)) is not None:
            if found.name is not None and name is not None and found.name != name:
                state = _with_model(state, model_id, replace(model, name=found.name))
                old, new = {"id": model_id, "name": name}, {"id": model_id, "name": found.name}
                entry = _entry(MODEL_UPDATED, model_id, at, {"old": old, "new": new})
                yield Difference(entry, changed_subject(MODEL_UPDATED, model_id, found.name), state)
        elif _is_gone(model.moved, now.models_from):
            state = _without_model(state, model_id)
            info = {"branch": {"id": model_id, "name": name}}
            entry = _entry(MODEL_DELETED, model_id, at, info)
            yield Difference(entry, deleted_subject(MODEL_DELETED, model_id), state)
    # Versions of a model that is gone are gone with it: that is one event.
    for version_id in [*state.versions]:
        yield from _of_version(state, before, now, version_id, at)
        state = _told(state, now, version_id)
    for issue_id, moved in (before.issues or {}).items():
        if (
            now.issues is not None
            and issue_id not in now.issues
            and _is_gone(moved, now.issues_from)
        ):
            issues = {one: when for one, when in (state.issues or {}).items() if one != issue_id}
            state = replace(state, issues=issues)
            entry = _entry(ISSUE_DELETED, issue_id, at, {"issueId": issue_id})
            yield Difference(entry, deleted_subject(ISSUE_DELETED, issue_id), state)


def _of_version(
    state: ProjectState, before: ProjectState, now: ProjectState, version_id: str, at: datetime
) -> Iterator[Difference]:
    version, found = state.versions[version_id], now.versions.get(version_id)
    old_model = None if version.model_id is None else before.models.get(version.model_id)
    commit = {
        "id": version_id,
        "branchId": version.model_id,
        "branchName": None if old_model is None else old_model.name,
        "message": version.message,
    }
    if found is None:
        if _is_gone(version.at, now.versions_from):
            entry = _entry(VERSION_DELETED, version_id, at, {"commit": commit})
            subject = deleted_subject(VERSION_DELETED, version_id)
            yield Difference(entry, subject, _told(state, now, version_id))
        return
    if None not in (version.digest, found.digest) and version.digest != found.digest:
        known = replace(version, message=found.message, digest=found.digest)
        state = replace(state, versions={**state.versions, version_id: known})
        new = {"versionId": version_id, "message": found.message}
        entry = _entry(VERSION_UPDATED, version_id, at, {"old": commit, "new": new})
        subject = changed_subject(VERSION_UPDATED, version_id, found.message)
        yield Difference(entry, subject, state)
    if None not in (version.model_id, found.model_id) and version.model_id != found.model_id:
        info = {"originalBranchId": version.model_id, "newBranchId": found.model_id}
        entry = _entry(VERSION_MOVED, version_id, at, info, f"Commit moved: {version_id}")
        subject = changed_subject(VERSION_MOVED, version_id, found.model_id)
        yield Difference(entry, subject, _told(state, now, version_id))


def _is_gone(moved: datetime, listed_from: datetime | None) -> bool:
    """Whether something that is not in a list would be, if it were there."""
    return listed_from is None or moved > listed_from


def _told(state: ProjectState, now: ProjectState, version_id: str) -> ProjectState:
    """With a version as it is now, or without it."""
    versions = {one: known for one, known in state.versions.items() if one != version_id}
    if version_id in now.versions:
        versions[version_id] = now.versions[version_id]
    return state.after(replace(state, versions=versions))


def _with_model(state: ProjectState, model_id: str, model: KnownModel) -> ProjectState:
    return replace(state, models={**state.models, model_id: model})


def _without_model(state: ProjectState, model_id: str) -> ProjectState:
    return replace(
        state,
        models={one: known for one, known in state.models.items() if one != model_id},
        versions={
            one: known for one, known in state.versions.items() if known.model_id != model_id
        },
    )


def _entry(
    action: str, thing_id: str, at: datetime, info: dict[str, Any], message: str = ""
) -> Activity:
    """Of whom it is, no list says."""
    return Activity(thing_id, action, thing_id, None, at, message, info)
