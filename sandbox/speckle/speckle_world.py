"""A Speckle server's world: what is in it, and how it changes. In memory, no I/O."""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.speckle.automations import AutomationRun, FunctionRun
from sandbox.speckle.documents import paragraph
from sandbox.speckle.entities import (
    BOT_SCOPES,
    OWNER,
    AccessCode,
    ActivityEntry,
    Comment,
    HistoryEntry,
    Model,
    ServerProject,
    SignInApp,
    Token,
    User,
    Version,
    Webhook,
)
from sandbox.speckle.event_data import commit_create_data, model_part, stream_part
from sandbox.speckle.live_record import LiveRecord
from sandbox.speckle.published_changes import (
    Kind,
    Publication,
    automation_ran,
    comment_changed,
    membership_changed,
    model_changed,
    preview_generated,
    project_changed,
    version_changed,
)

MILLISECOND = timedelta(milliseconds=1)
MICROSECOND = timedelta(microseconds=1)
MOST_OF_A_MESSAGE = 255  # characters, recorded


class SpeckleWorld:
    """Everything on one server. Ids may be given; otherwise they are made up."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.tokens: dict[str, Token] = {}
        self.projects: dict[str, ServerProject] = {}
        self.apps: dict[str, SignInApp] = {}
        self.codes: dict[str, AccessCode] = {}
        self.refreshable: dict[str, Token] = {}
        self.migration: dict[str, Any] | None = None  # movedTo, movedFrom
        self.has_bundles = False  # new versions have artifacts in place of an object tree
        self.draw: Callable[[Version], bytes] | None = None  # previews, in place of a recorded one
        self.subscribers: list[Callable[[Publication], None]] = []
        self.live_record = LiveRecord(lambda: datetime.now(UTC))
        self.runs_automations = True
        self._last = datetime(2020, 1, 1, tzinfo=UTC)
        self._is_standing = False

    def now(self) -> datetime:
        """The time, later at each call, in whole milliseconds as answers have it."""
        if self._is_standing:
            self._last += MICROSECOND
            return self._last
        now = datetime.now(UTC)
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        last = self._last.replace(microsecond=self._last.microsecond // 1000 * 1000)
        self._last = max(now, last + MILLISECOND)
        return self._last

    @contextmanager
    def one_millisecond(self) -> Iterator[None]:
        """All in the block happens in one millisecond; answers tell times no finer."""
        self.now()
        self._is_standing = True
        try:
            yield
        finally:
            self._is_standing = False

    def publish(self, change: Publication) -> None:
        """Tell those who subscribed; what changes something below does it itself."""
        for hear in self.subscribers:
            hear(change)

    # ── people ────────────────────────────────────────────────────────────────────────────────

    def add_user(self, name: str, *, id: str | None = None, avatar: str | None = None) -> User:
        """A person with an account."""
        user = User(id or _id(), name, f"{name.split()[0].lower()}@studio.test", avatar)
        self.users[user.id] = user
        return user

    def token(
        self,
        user: User,
        *,
        scopes: Sequence[str] = BOT_SCOPES,
        only: Sequence[ServerProject] | None = None,
        expires_at: datetime | None = None,
        text: str | None = None,
        name: str = "",
    ) -> str:
        """A personal access token; `only` limits it to projects."""
        limits = None if only is None else tuple(project.id for project in only)
        token = Token(
            text or secrets.token_hex(21), user, tuple(scopes), limits, expires_at, name=name
        )
        self.tokens[token.text] = token
        return token.text

    def revoke(self, token: str) -> None:
        """The token is no longer valid."""
        self.tokens[token].revoked = True

    def expire(self, token: str) -> None:
        """The token's time is over."""
        self.tokens[token].expires_at = datetime.now(UTC)

    def valid(self, token: str) -> Token | None:
        """The token with this text, if it may be used."""
        found = self.tokens.get(token)
        if found is None or found.revoked:
            return None
        if found.expires_at is not None and found.expires_at <= datetime.now(UTC):
            return None
        return found

    # ── projects ──────────────────────────────────────────────────────────────────────────────

    def add_project(
        self,
        name: str,
        *,
        owner: User,
        visibility: str = "PRIVATE",
        description: str | None = None,
        public_comments: bool = False,
        id: str | None = None,
    ) -> ServerProject:
        """A project; visibility PRIVATE, PUBLIC, UNLISTED or WORKSPACE."""
        now = self.now()
        project = ServerProject(id or _id(), name, description, visibility.upper(), now, now)
        project.public_comments = public_comments
        project.roles[owner.id] = OWNER
        self.projects[project.id] = project
        made = {key: one for key, one in stream_part(project, owner).items() if key != "role"}
        self.add_activity(
            project,
            "stream_create",
            project.id,
            "stream",
            owner,
            {"input": made},
            f"Stream {name} created",
        )
        self.publish(membership_changed(project, owner))
        return project

    def set_role(self, project: ServerProject, user: User, role: str | None) -> None:
        """Give a person a role such as "stream:contributor", or take it with None."""
        was = project.roles.pop(user.id, None)
        if role is not None:
            project.roles[user.id] = role
        self.publish(project_changed(project))
        if (was is None) != (role is None):
            self.publish(membership_changed(project, user))

    def remove_project(self, project: ServerProject) -> None:
        """The project is gone, with its webhooks and their histories."""
        del self.projects[project.id]

    def add_model(
        self,
        project: ServerProject,
        name: str,
        *,
        description: str | None = None,
        author: User | None = None,
        id: str | None = None,
        at: datetime | None = None,
        silently: bool = False,
    ) -> Model:
        """An empty model; `silently`, as one is made for versions that move to it."""
        now = at or self.now()
        model = Model(id or _id(), name.lower(), description, author, now, now, project)
        project.models.append(model)
        if silently:
            return model
        self.add_activity(
            project,
            "branch_create",
            model.id,
            "branch",
            author,
            {"branch": model_part(model)},
            f"Branch created: {model.name} ({model.id})",
            at=now,
        )
        self.publish(model_changed(Kind.CREATED, model))
        return model

    def add_version(
        self,
        project: ServerProject,
        model: Model,
        *,
        author: User | None = None,
        message: str | None = None,
        application: str | None = None,
        object_count: int = 12,
        data_chunks: int = 0,
        object_id: str | None = None,
        parents: Sequence[str] = (),
        at: datetime | None = None,
        id: str | None = None,
    ) -> Version:
        """A version whose root object has `object_count` objects below it, or is there already.

        `data_chunks` are as many more, which hold parts of lists.
        """
        now = at or self.now()
        version_id = id or _id()
        root_id = f"bundle.{project.id}.{model.id}.{version_id}" if self.has_bundles else None
        version = Version(
            id=version_id,
            model=model,
            author=author,
            message=message,
            application=application,
            object_id=object_id or root_id or secrets.token_hex(16),
            parents=tuple(parents),
            created_at=now,
        )
        if version.object_id != root_id and version.object_id not in project.objects:
            chunks = _object_ids("chunk", data_chunks)
            project.chunks.update(chunks)
            below = [*_object_ids("object", object_count), *chunks]
            project.objects[version.object_id] = _root_object(version.object_id, model, below)
        project.versions.append(version)
        model.updated_at = project.updated_at = now
        self.add_activity(
            project,
            "commit_create",
            version.id,
            "commit",
            author,
            commit_create_data(version),
            f"Commit created on branch {model.name}: {version.id} ({_as_javascript(message)})",
            at=now,
        )
        self.publish(version_changed(Kind.CREATED, version))
        return version

    def remove_version(self, version: Version) -> None:
        """The version is deleted."""
        version.model.project.versions.remove(version)

    def receive(
        self,
        version: Version,
        *,
        user: User,
        application: str = "Rhino",
        message: str | None = None,
        at: datetime | None = None,
    ) -> ActivityEntry:
        """Somebody loads a version into an application; gives the activity list's line."""
        return self.add_activity(
            version.model.project,
            "commit_receive",
            version.id,
            "commit",
            user,
            {"sourceApplication": application, "message": message},
            f"Commit $commitId}} was received by user {user.id}",
            at=at,
        )

    def render(self, version: Version) -> None:
        """The preview picture is ready; it is published once for a version."""
        if not version.rendered:
            version.rendered = True
            self.publish(preview_generated(version))

    def run_automation(
        self,
        version: Version,
        *functions: FunctionRun,
        name: str = "Clash check",
        run: AutomationRun | None = None,
        is_test: bool = False,
    ) -> AutomationRun:
        """An automation runs on a version, or `run` goes on; its functions are so by now."""
        now, is_new = self.now(), run is None
        if run is None:
            run = AutomationRun(_id(), name, functions, now, now, is_test, _id())
            version.automation_runs.append(run)
        run.functions, run.updated_at = functions, now
        if self.runs_automations:
            self.publish(automation_ran(version, run.answer(), is_new=is_new))
        return run

    # ── comments ──────────────────────────────────────────────────────────────────────────────

    def add_comment(
        self,
        project: ServerProject,
        versions: Sequence[Version],
        *,
        author: User,
        text: str | None = None,
        doc: dict[str, Any] | None = None,
        archived: bool = False,
        screenshot: str | None = None,
        id: str | None = None,
        at: datetime | None = None,
    ) -> Comment:
        """A thread on versions."""
        now = at or self.now()
        document = paragraph(text or "") if doc is None else doc
        comment = Comment(
            id or _id(), project, author, document, tuple(versions), now, now, archived=archived
        )
        comment.screenshot = screenshot
        project.comments.append(comment)
        self.add_activity(
            project,
            "comment_created",
            comment.id,
            "comment",
            author,
            {"input": _comment_input(comment)},
            f"Comment added: {comment.id} ([object Object])",
            at=now,
        )
        self.publish(comment_changed(Kind.CREATED, comment))
        return comment

    def add_reply(
        self,
        thread: Comment,
        *,
        author: User,
        text: str | None = None,
        doc: dict[str, Any] | None = None,
        id: str | None = None,
        at: datetime | None = None,
    ) -> Comment:
        """A reply; one to a reply is stored and shows up nowhere."""
        now = at or self.now()
        document = paragraph(text or "") if doc is None else doc
        project = thread.project
        reply = Comment(
            id or _id(), project, author, document, thread.versions, now, now, parent=thread
        )
        project.comments.append(reply)
        thread.updated_at = now
        self.add_activity(
            project,
            "comment_replied",
            thread.id,
            "comment",
            author,
            {"input": _reply_input(reply, thread)},
            f"Comment reply #{reply.id} created",
            at=now,
        )
        self.publish(comment_changed(Kind.CREATED, reply))
        return reply

    def archive(self, thread: Comment, *, by: User, archived: bool = True) -> dict[str, Any]:
        """A thread is resolved, or opened again; gives the event's data."""
        thread.archived = archived
        of = {"commentId": thread.id, "streamId": thread.project.id}
        data = {"input": {"archived": archived, **of}}
        self.add_activity(
            thread.project,
            "comment_archived",
            thread.id,
            "comment",
            by,
            data,
            f"Comment #{thread.id} archived",
        )
        self.publish(comment_changed(Kind.ARCHIVED if archived else Kind.CREATED, thread))
        return data

    # ── lists ─────────────────────────────────────────────────────────────────────────────────

    def add_activity(
        self,
        project: ServerProject,
        action: str,
        resource_id: str,
        resource_type: str,
        user: User | None,
        info: Mapping[str, Any],
        message: str,
        *,
        at: datetime | None = None,
    ) -> ActivityEntry:
        """A line in the project's activity list; what is added above writes its own."""
        line = ActivityEntry(
            secrets.token_hex(16),
            action,
            user,
            resource_id,
            resource_type,
            at or self.now(),
            dict(info),
            message[:MOST_OF_A_MESSAGE],
        )
        project.activity.append(line)
        return line

    def add_webhook(
        self,
        project: ServerProject,
        url: str,
        triggers: Sequence[str],
        *,
        secret: str | None = None,
        description: str | None = None,
        enabled: bool = True,
        id: str | None = None,
    ) -> Webhook:
        """A webhook, as if its owner had made it in the settings page."""
        now = self.now()
        hook = Webhook(
            id or _id(), project, url, description, list(triggers), secret, enabled, now, now
        )
        project.webhooks.append(hook)
        return hook

    def webhooks(self, project: ServerProject) -> list[Webhook]:
        """What was made, oldest first."""
        return list(project.webhooks)

    def new_entry(self, hook: Webhook, payload: Mapping[str, Any], status: int) -> HistoryEntry:
        """An entry in a webhook's history."""
        text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
        now = self.now()
        event_name = payload.get("event", {}).get("event_name", "")
        entry = HistoryEntry(secrets.token_hex(10), hook.id, status, text, now, now, event_name)
        hook.history.append(entry)
        return entry


def _comment_input(comment: Comment) -> dict[str, Any]:
    """What the list and the event have of a new thread, its screenshot too."""
    on = ",".join(f"{version.model.id}@{version.id}" for version in comment.versions)
    return {
        "projectId": comment.project.id,
        "content": {"doc": comment.doc, "blobIds": []},
        "viewerState": None,
        "resourceIdString": on,
        "screenshot": comment.screenshot,
    }


def _reply_input(reply: Comment, thread: Comment) -> dict[str, Any]:
    content = {"doc": reply.doc, "blobIds": []}
    return {"content": content, "threadId": thread.id, "projectId": reply.project.id}


def _as_javascript(text: str | None) -> str:
    return "null" if text is None else text


def _object_ids(kind: str, count: int) -> list[str]:
    return [hashlib.md5(f"{kind} {n}".encode()).hexdigest() for n in range(count)]  # noqa: S324  # ids, no secrets


def _root_object(object_id: str, model: Model, below: Sequence[str]) -> dict[str, Any]:
    return {
        "id": object_id,
        "name": model.name,
        "speckle_type": "Base",
        "__closure": dict.fromkeys(below, 1),
        "totalChildrenCount": 1,
    }


def _id() -> str:
    return secrets.token_hex(5)
