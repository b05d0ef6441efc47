"""What deliveries carry of projects, people, models and versions, as a server writes it."""

from datetime import UTC, datetime
from typing import Any

from sandbox.speckle.entities import Model, ServerProject, User, Version


def iso(moment: datetime) -> str:
    """A time as JavaScript writes it."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def commit_create_data(version: Version) -> dict[str, Any]:
    """`event.data` of a new version."""
    return {
        "id": version.id,
        "commit": {
            "authorId": version.author.id if version.author else None,
            "streamId": version.model.project.id,
            "branchId": version.model.id,
            "message": version.message,
            "sourceApplication": version.application,
            "objectId": version.object_id,
            "parents": list(version.parents),
            "branchName": version.model.name,
            "projectId": version.model.project.id,
            "modelId": version.model.id,
            "versionId": version.id,
        },
    }


def model_part(model: Model) -> dict[str, Any]:
    """What a delivery has of a model."""
    return {
        "id": model.id,
        "streamId": model.project.id,
        "authorId": model.author.id if model.author else None,
        "name": model.name,
        "description": model.description,
        "createdAt": iso(model.created_at),
        "updatedAt": iso(model.updated_at),
    }


def version_part(version: Version) -> dict[str, Any]:
    """What a delivery has of a version."""
    return {
        "id": version.id,
        "referencedObject": version.object_id,
        "author": version.author.id if version.author else None,
        "message": version.message,
        "createdAt": iso(version.created_at),
        "sourceApplication": version.application,
        "totalChildrenCount": 1,  # in every recording
        "parents": list(version.parents),
        "streamId": version.model.project.id,
        "branchId": version.model.id,
        "branchName": version.model.name,
    }


def stream_part(project: ServerProject, user: User | None) -> dict[str, Any]:
    """What a delivery has of the project, and of the user's role in it."""
    return {
        "id": project.id,
        "name": project.name,
        "description": project.description,
        "clonedFrom": None,
        "createdAt": iso(project.created_at),
        "updatedAt": iso(project.updated_at),
        "allowPublicComments": project.public_comments,
        "workspaceId": None,
        "regionKey": None,
        "visibility": project.visibility.lower(),
        "role": project.role_of(user),
    }


def user_part(user: User, project: ServerProject) -> dict[str, Any]:
    """What a delivery says of the person who did it."""
    return {
        "id": user.id,
        "suuid": "ee812a88-c735-49e4-9274-70cd22a38022",
        "createdAt": iso(project.created_at),
        "name": user.name,
        "bio": None,
        "company": None,
        "avatar": user.avatar,
        "profiles": None,
        "ip": None,
        "verified": False,
    }
