"""What a server publishes of a change to those who subscribed, and of which changes it says less.

As recorded from a 2.31: a thread that is opened again is CREATED, a version that moves is UPDATED,
what is deleted or archived has its id alone, and nothing is published for received versions,
edited comments, requests for access and deleted projects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sandbox.speckle.entities import Comment, Model, ServerProject, User, Version

VERSIONS: Final = "projectVersionsUpdated"
MODELS: Final = "projectModelsUpdated"
PROJECT: Final = "projectUpdated"
COMMENTS: Final = "projectCommentsUpdated"
PREVIEWS: Final = "projectVersionsPreviewGenerated"
AUTOMATIONS: Final = "projectTriggeredAutomationsStatusUpdated"
ISSUES: Final = "projectIssuesUpdated"
OWN_PROJECTS: Final = "userProjectsUpdated"
EVERY_MODEL: Final = "all"  # a target: the newest version of each model


class Kind(StrEnum):
    """How something changed."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"
    ARCHIVED = "ARCHIVED"


@dataclass(frozen=True, slots=True)
class Publication:
    """One publication; `message` is the value of the subscription's field.

    `on` is what it is about, as targets name it. `user`: it is for this person alone.
    """

    field: str
    project: ServerProject
    message: Mapping[str, Any]
    on: frozenset[str] = frozenset()
    user: User | None = None


def version_changed(kind: Kind, version: Version) -> Publication:
    """A version was made, edited, moved or deleted."""
    message = {
        "type": kind,
        "id": version.id,
        "modelId": version.model.id,
        "version": None if kind is Kind.DELETED else version,
    }
    return Publication(VERSIONS, version.model.project, message)


def model_changed(kind: Kind, model: Model) -> Publication:
    """A model was made, edited or deleted: of its versions nothing is said."""
    shown = None if kind is Kind.DELETED else model
    message = {"type": kind, "id": model.id, "model": shown}
    return Publication(MODELS, model.project, message, frozenset({model.id}))


def project_changed(project: ServerProject) -> Publication:
    """A project was edited, or who is in it changed."""
    message = {"type": Kind.UPDATED, "id": project.id, "project": project}
    return Publication(PROJECT, project, message)


def comment_changed(kind: Kind, comment: Comment) -> Publication:
    """A thread or a reply was written; a thread was archived, or opened again as if written."""
    shown = None if kind is Kind.ARCHIVED else comment
    message = {"type": kind, "id": comment.id, "comment": shown}
    return Publication(COMMENTS, comment.project, message, _targets(comment.versions))


def preview_generated(version: Version) -> Publication:
    """A version's picture is ready."""
    project = version.model.project
    message = {"projectId": project.id, "versionId": version.id, "objectId": version.object_id}
    return Publication(PREVIEWS, project, message)


def automation_ran(version: Version, run: Mapping[str, Any], *, is_new: bool) -> Publication:
    """A run of an automation on a version began, or went on."""
    message = {
        "type": "RUN_CREATED" if is_new else "RUN_UPDATED",
        "project": version.model.project,
        "model": version.model,
        "version": version,
        "run": run,
    }
    return Publication(AUTOMATIONS, version.model.project, message)


def membership_changed(project: ServerProject, user: User) -> Publication:
    """Somebody was let in or removed: said to them alone."""
    is_in = project.role_of(user) is not None
    message = {
        "type": "ADDED" if is_in else "REMOVED",
        "id": project.id,
        "project": project if is_in else None,
    }
    return Publication(OWN_PROJECTS, project, message, user=user)


def _targets(versions: Sequence[Version]) -> frozenset[str]:
    """The names under which what is on these versions can be subscribed to."""
    names = {version.object_id for version in versions}
    for version in versions:
        model, there = version.model, version.model.project.versions
        names |= {model.id, f"{model.id}@{version.id}"}
        newest = max(
            (one for one in there if one.model is model),
            key=lambda one: one.created_at,
            default=None,
        )
        if newest is version:
            names.add(EVERY_MODEL)
    return frozenset(names)
