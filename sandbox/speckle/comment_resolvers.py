"""Comment threads: reading, writing, archiving."""

import base64
from typing import Any

from graphql import GraphQLResolveInfo

from sandbox.speckle import graphql_errors
from sandbox.speckle.documents import raw_text
from sandbox.speckle.entities import OWNER, Comment, ServerProject, Version
from sandbox.speckle.event_data import iso
from sandbox.speckle.request_context import Asking

Info = GraphQLResolveInfo[Any]


def is_on(comment: Comment, model_id: str | None, version_id: str | None) -> bool:
    """Whether a thread is on a model or a version."""
    return any(
        (model_id is None or version.model.id == model_id)
        and (version_id is None or version.id == version_id)
        for version in comment.versions
    )


def comment(project: ServerProject, info: Info, id: str) -> Comment:
    for found in project.comments:
        if found.id == id:
            return found
    raise graphql_errors.forbidden("You do not have access to this comment.")


def threads(
    project: ServerProject, info: Info, limit: int, cursor: str | None = None, filter: Any = None
) -> dict[str, Any]:
    wanted = filter or {}
    found = [c for c in project.comments if c.parent is None]
    if resources := wanted.get("resourceIdString"):
        pairs = [piece.partition("@") for piece in resources.split(",")]
        loaded = bool(wanted.get("loadedVersionsOnly"))
        found = [
            c
            for c in found
            if any(is_on(c, m, (v or None) if loaded else None) for m, _, v in pairs)
        ]
    archived = [c for c in found if c.archived]
    if not wanted.get("includeArchived"):
        found = [c for c in found if not c.archived]
    page, after = thread_page(found, limit, cursor)
    return {
        "totalCount": len(found),
        "totalArchivedCount": len(archived),
        "cursor": after,
        "items": page,
    }


def replies(thread: Comment, info: Info, limit: int, cursor: str | None = None) -> dict[str, Any]:
    found = _replies(thread)
    newest = sorted(found, key=lambda c: c.created_at, reverse=True)
    if cursor is not None:
        newest = [c for c in newest if iso(c.created_at) < cursor]
    page = newest[:limit]
    after = iso(page[-1].created_at) if page else None
    return {"totalCount": len(found), "cursor": after, "items": page}


def reply_authors(thread: Comment, info: Info, limit: int) -> dict[str, Any]:
    authors = list({c.author.id: c.author for c in _replies(thread)}.values())
    return {"totalCount": len(authors), "items": authors[:limit]}


def _replies(thread: Comment) -> list[Comment]:
    return [c for c in thread.project.comments if c.parent is thread]


def thread_page(
    found: list[Comment], limit: int, cursor: str | None
) -> tuple[list[Comment], str | None]:
    """Threads older than the cursor, newest first, and the next cursor."""
    newest = sorted(found, key=lambda c: c.created_at, reverse=True)
    if cursor is not None:
        before = base64.b64decode(cursor).decode()
        newest = [c for c in newest if iso(c.created_at) < before]
    page = newest[:limit]
    if not page:
        return [], None
    return page, base64.b64encode(iso(page[-1].created_at).encode()).decode()


# ── writing ──


def comment_mutations(_: None, info: Info) -> dict[str, Any]:
    info.context.need_user()
    info.context.need_scope("streams:write")
    return {}


def create(_: Any, info: Info, input: dict[str, Any]) -> Comment:
    asking: Asking = info.context
    project = _commentable(asking, input["projectId"])
    doc = _document(input["content"])
    versions = _versions(project, input["resourceIdString"])
    return asking.world.add_comment(
        project,
        versions,
        author=asking.need_user(),
        doc=doc,
        screenshot=input.get("screenshot"),
    )


def reply(_: Any, info: Info, input: dict[str, Any]) -> Comment:
    asking: Asking = info.context
    _commentable(asking, input["projectId"])
    doc = _document(input["content"])
    # The server looks for the thread everywhere: that it is of this project is not checked.
    for project in asking.world.projects.values():
        for thread in project.comments:
            if thread.id == input["threadId"]:
                return asking.world.add_reply(thread, author=asking.need_user(), doc=doc)
    message = "Reply creation failed due to nonexistant thread"
    raise graphql_errors.refused(message, "COMMENT_CREATE_ERROR", 500)


def archive(_: Any, info: Info, input: dict[str, Any]) -> bool:
    asking: Asking = info.context
    project = asking.world.projects.get(input["projectId"])
    if project is None:
        raise graphql_errors.refused("Project not found", "STREAM_NOT_FOUND", 404)
    role = project.role_of(asking.need_user())
    if role is None:
        raise graphql_errors.forbidden(graphql_errors.NO_ACCESS)
    for thread in project.comments:
        if thread.id == input["commentId"]:
            if role != OWNER and thread.author is not asking.user:
                raise graphql_errors.forbidden(graphql_errors.NOT_ENOUGH)
            asking.world.archive(thread, by=asking.need_user(), archived=input["archived"])
            return True
    raise graphql_errors.refused("Comment not found", "NOT_FOUND_ERROR", 404)


def _commentable(asking: Asking, project_id: str) -> ServerProject:
    project = asking.world.projects.get(project_id)
    if project is None:
        raise graphql_errors.refused("Project not found", "STREAM_NOT_FOUND", 404)
    if not asking.may(project, "canCreateComment")["authorized"]:
        raise graphql_errors.forbidden(graphql_errors.NO_ACCESS)
    return project


def _document(content: dict[str, Any]) -> dict[str, Any]:
    doc = content.get("doc")
    if content.get("blobIds"):
        message = "Attempting to attach invalid blobs to comment"
        raise graphql_errors.refused(message, "INVALID_ATTACHMENTS", 400)
    if not isinstance(doc, dict) or doc.get("type") != "doc" or not raw_text(doc).strip():
        raise graphql_errors.refused(
            graphql_errors.NO_DOCUMENT, "RICH_TEXT_PARSE_ERROR", 400, doc=doc, blobIds=[]
        )
    return doc


def _versions(project: ServerProject, resources: str) -> list[Version]:
    found = []
    for piece in resources.split(","):
        model_id, _, version_id = piece.partition("@")
        fitting = [
            v
            for v in project.versions
            if (v.model.id == model_id and version_id in ("", v.id)) or v.object_id == piece
        ]
        found += fitting[-1:]
    if not found:
        raise graphql_errors.refused(graphql_errors.NO_RESOURCES, "COMMENT_CREATE_ERROR", 500)
    return found


# ── versions are received, not written, by a mutation of their own ──


def mark_received(_: Any, info: Info, input: dict[str, Any]) -> bool:
    asking: Asking = info.context
    project = asking.readable(input["projectId"])
    for version in project.versions:
        if version.id == input["versionId"]:
            asking.world.receive(
                version,
                user=asking.need_user(),
                application=input["sourceApplication"],
                message=input.get("message"),
            )
            return True
    raise graphql_errors.refused("Version not found", "COMMIT_NOT_FOUND", 404)


def _viewer_resources(found: Comment, info: Info) -> list[dict[str, Any]]:
    return [
        {"modelId": v.model.id, "versionId": v.id, "objectId": v.object_id} for v in found.versions
    ]


def _resources(found: Comment, info: Info) -> list[dict[str, str]]:
    if found.parent is not None:
        return [{"resourceId": found.parent.id, "resourceType": "comment"}]
    return [{"resourceId": v.id, "resourceType": "commit"} for v in found.versions]


def _can_archive(found: Comment, info: Info) -> dict[str, object]:
    asking: Asking = info.context
    if asking.user is found.author:
        return {"authorized": True, "code": "OK", "message": "OK"}
    return asking.may(found.project, "canUpdate")


COMMENTS: dict[str, Any] = {
    "Project.comment": comment,
    "Project.commentThreads": threads,
    "Comment.rawText": lambda found, info: raw_text(found.doc),
    "Comment.text": lambda found, info: {
        "doc": found.doc,
        "type": "stream_comment",
        "version": "1.0.0",
        "attachments": [],
    },
    "Comment.hasParent": lambda found, info: found.parent is not None,
    "Comment.authorId": lambda found, info: found.author.id,
    "Comment.resources": _resources,
    "Comment.viewerResources": _viewer_resources,
    "Comment.permissions": lambda found, info: found,
    "CommentPermissionChecks.canArchive": _can_archive,
    "Comment.replies": replies,
    "Comment.replyAuthors": reply_authors,
    "Mutation.commentMutations": comment_mutations,
    "CommentMutations.create": create,
    "CommentMutations.reply": reply,
    "CommentMutations.archive": archive,
    "Mutation.versionMutations": lambda _, info: comment_mutations(_, info),
    "VersionMutations.markReceived": mark_received,
}
