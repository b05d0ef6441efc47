"""What people do on a server's pages: who may, what changes, and which events the server fires.

Events, their data and their messages are those of the recorded deliveries, and what is published
to subscriptions is as in the recorded frames. Where a real server fires nothing (a role that is
changed or taken, a comment that is edited), nothing is fired here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sandbox.speckle.automations import FunctionRun
from sandbox.speckle.documents import mentioned, paragraph, with_mentions
from sandbox.speckle.drawing import draw_screenshot, draw_screenshot_png
from sandbox.speckle.entities import (
    CONTRIBUTOR,
    OWNER,
    REVIEWER,
    Comment,
    Invitation,
    Model,
    ServerProject,
    User,
    Version,
    Webhook,
)
from sandbox.speckle.event_data import commit_create_data, model_part, stream_part, version_part
from sandbox.speckle.http_api import SpeckleServer
from sandbox.speckle.issues import ServerIssue
from sandbox.speckle.model_content import Content
from sandbox.speckle.published_changes import (
    Kind,
    model_changed,
    project_changed,
    version_changed,
)

ROLE_NAMES: Final = {OWNER: "owner", CONTRIBUTOR: "contributor", REVIEWER: "reviewer"}

CHECKS: Final = ("Clash check", "Door widths", "Fire ratings", "Names of levels", "Rooms enclosed")


class NotPossible(Exception):
    """The server does not do it; the text is a whole sentence. Nothing has changed."""


class Right(StrEnum):
    """What a role allows; the text completes "only … may do this"."""

    OWN = "an owner of the project"
    WRITE = "an owner or a contributor of the project"
    SAY = "a member of the project"


ALLOWED: Final[Mapping[Right, Sequence[str]]] = {
    Right.OWN: (OWNER,),
    Right.WRITE: (OWNER, CONTRIBUTOR),
    Right.SAY: (OWNER, CONTRIBUTOR, REVIEWER),
}


@dataclass(frozen=True, slots=True)
class Fired:
    """What an action made the server fire: the events, and how many calls of webhooks they mean.

    `made` is the id of what is new.
    """

    events: tuple[str, ...] = ()
    calls: int = 0
    made: str | None = None

    def __add__(self, other: "Fired") -> "Fired":
        return Fired(self.events + other.events, self.calls + other.calls, self.made or other.made)


def may(project: ServerProject, user: User, right: Right) -> bool:
    """Whether somebody has a right in a project."""
    if right is Right.SAY and project.is_public and project.public_comments:
        return True
    return project.role_of(user) in ALLOWED[right]


def may_see(project: ServerProject, user: User) -> bool:
    """Whether somebody may read a project."""
    return project.is_public or project.role_of(user) is not None


@dataclass(frozen=True, slots=True)
class PersonAtWork:
    """One person on one server. Each method does one thing, as this person.

    Webhooks are called after the method has returned. Errors: NotPossible.
    """

    server: SpeckleServer
    user: User

    # ── projects ──────────────────────────────────────────────────────────────────────────────

    def create_project(self, name: str, description: str, visibility: str) -> Fired:
        """A new project, owned by this person."""
        project = self.server.add_project(
            _name(name), owner=self.user, description=description, visibility=visibility
        )
        return Fired(made=project.id)

    def update_project(
        self,
        project: ServerProject,
        *,
        name: str | None = None,
        description: str | None = None,
        visibility: str | None = None,
        public_comments: bool | None = None,
    ) -> Fired:
        """Change what is given. A project that turns private takes no comments from outside."""
        self._need(project, Right.OWN)
        old = stream_part(project, self.user)
        given = {
            "name": None if name is None else _name(name),
            "description": description,
            "visibility": visibility,
            "allowPublicComments": public_comments,
        }
        new: dict[str, Any] = {"id": project.id}
        new |= {key: one for key, one in given.items() if one is not None}
        project.name = new.get("name", project.name)
        project.description = new.get("description", project.description)
        project.visibility = new.get("visibility", project.visibility)
        project.public_comments = new.get("allowPublicComments", project.public_comments)
        project.public_comments &= project.is_public
        project.updated_at = self.server.now()
        said = "Stream metadata changed"
        fired = self._fire(
            project, "stream_update", {"old": old, "new": new}, project.id, "stream", said
        )
        self.server.publish(project_changed(project))
        return fired

    def delete_project(self, project: ServerProject) -> Fired:
        """Gone, with all that is in it; of that nothing is fired."""
        self._need(project, Right.OWN)
        fired = self._fire(project, "stream_delete", {}, project.id, "stream", "Stream deleted")
        self.server.remove_project(project)
        return fired

    # ── models ────────────────────────────────────────────────────────────────────────────────

    def create_model(self, project: ServerProject, name: str, description: str = "") -> Fired:
        """An empty model."""
        self._need(project, Right.WRITE)
        model = self._add_model(project, name, description)
        said = f"Branch created: {model.name} ({model.id})"
        return self._call(project, "branch_create", {"branch": model_part(model)}, model.id, said)

    def update_model(
        self, model: Model, *, name: str | None = None, description: str | None = None
    ) -> Fired:
        """Rename it, or describe it otherwise."""
        project = model.project
        self._need(project, Right.WRITE)
        old = model_part(model)
        new = {"projectId": project.id, "id": model.id}
        if name is not None:
            new["name"] = _model_name(project, name, model)
            model.name = new["name"].lower()
        if description is not None:
            new["description"] = model.description = description
        model.updated_at = self.server.now()
        said = f"Branch metadata changed for branch {model.id}"
        data = {"old": old, "new": new}
        fired = self._fire(project, "branch_update", data, model.id, "branch", said)
        self.server.publish(model_changed(Kind.UPDATED, model))
        return fired

    def delete_model(self, model: Model) -> Fired:
        """Gone, with its versions; of those nothing is fired."""
        project = model.project
        self._need(project, Right.WRITE)
        project.models.remove(model)
        for version in [one for one in project.versions if one.model is model]:
            self._drop(version)
        data = {"branch": {"projectId": project.id, "id": model.id, "name": model.name}}
        project.updated_at = self.server.now()
        said = f"Branch deleted: '{model.name}' ({model.id})"
        fired = self._fire(project, "branch_delete", data, model.id, "branch", said)
        self.server.publish(model_changed(Kind.DELETED, model))
        return fired

    # ── versions ──────────────────────────────────────────────────────────────────────────────

    def publish(
        self,
        model: Model,
        message: str,
        application: str,
        object_count: int = 12,
        content: Content | None = None,
    ) -> Fired:
        """Send a version, of so many objects of which nothing is known or of this content."""
        project = model.project
        self._need(project, Right.WRITE)
        version = self.server.add_version(
            project,
            model,
            author=self.user,
            message=message or None,
            application=application or None,
            object_count=object_count,
            object_id=None if content is None else content.put_into(project),
        )
        if content is not None:
            content.give_to(self.server, version)
        self.server.render(version)
        return self._call(project, "commit_create", commit_create_data(version), version.id)

    def update_version(self, version: Version, message: str) -> Fired:
        """Another message."""
        project = version.model.project
        self._need(project, Right.WRITE)
        old = version_part(version)
        version.message = message
        new = {"projectId": project.id, "versionId": version.id, "message": message}
        project.updated_at = self.server.now()
        said = f"Commit updated: {version.id}"
        data = {"old": old, "new": new}
        fired = self._fire(project, "commit_update", data, version.id, "commit", said)
        self.server.publish(version_changed(Kind.UPDATED, version))
        return fired

    def move_version(self, version: Version, model_name: str) -> Fired:
        """To another model, which is made if there is none of this name: without an event."""
        project, left = version.model.project, version.model
        self._need(project, Right.WRITE)
        wanted = model_name.strip().lower()
        target = next((one for one in project.models if one.name == wanted), None)
        if target is left:
            raise NotPossible(f"The version is in {left.name} already.")
        version.model = target or self._add_model(project, model_name, "", silently=True)
        version.model.updated_at = self.server.now()
        data = {"originalBranchId": left.id, "newBranchId": version.model.id}
        said = f"Commit moved: {version.id}"
        fired = self._fire(project, "commit_move", data, version.id, "commit", said)
        self.server.publish(version_changed(Kind.UPDATED, version))
        return fired

    def receive(self, version: Version, application: str, message: str = "") -> Fired:
        """Load it into an application."""
        project = version.model.project
        self._need(project, Right.WRITE)
        said = message or version.message
        line = self.server.receive(version, user=self.user, application=application, message=said)
        return self._call(project, "commit_receive", line.info, None, line.message)

    def run_checks(self, version: Version, passed: int, failed: int, errors: int) -> Fired:
        """Have automations look at it. Of those that fail the first finds so many errors."""
        project = version.model.project
        self._need(project, Right.WRITE)
        states = [*(["FAILED"] * failed), *(["SUCCEEDED"] * passed)]
        for number, state in enumerate(states):
            found = FunctionRun(state, errors=0 if number else errors * bool(failed))
            name = CHECKS[number % len(CHECKS)]
            self.server.run_automation(version, found, name=name)
        return Fired()

    def delete_version(self, version: Version) -> Fired:
        """Gone."""
        project = version.model.project
        self._need(project, Right.WRITE)
        data = {"commit": version_part(version)}
        self._drop(version)
        project.updated_at = self.server.now()
        said = f"Commit deleted: {version.id}"
        fired = self._fire(project, "commit_delete", data, version.id, "commit", said)
        self.server.publish(version_changed(Kind.DELETED, version))
        return fired

    # ── comments, on servers up to 2.31 ───────────────────────────────────────────────────────

    def comment(self, version: Version, text: str) -> Fired:
        """Open a thread on a version; @Name mentions a member."""
        project = version.model.project
        self._need(project, Right.SAY)
        doc = self._doc(project, text)
        thread = self.server.add_comment(
            project, [version], author=self.user, doc=doc, screenshot=draw_screenshot(version)
        )
        line = project.activity[-1]  # only its message has the id
        fired = self._call(project, "comment_created", line.info, thread.id, line.message)
        return fired + self._mention(thread, thread)

    def reply(self, thread: Comment, text: str) -> Fired:
        """Answer in a thread."""
        project = thread.project
        self._need(project, Right.SAY)
        doc = self._doc(project, text)
        reply = self.server.add_reply(thread, author=self.user, doc=doc)
        line = project.activity[-1]
        fired = self._call(project, "comment_replied", line.info, reply.id, line.message)
        return fired + self._mention(reply, thread)

    def resolve(self, thread: Comment, *, resolved: bool) -> Fired:
        """Archive a thread, or open it again; the event and its message are the same for both."""
        project = thread.project
        if project.role_of(self.user) != OWNER and thread.author is not self.user:
            raise NotPossible("Only an owner of the project or who began the thread may do this.")
        data = self.server.archive(thread, by=self.user, archived=resolved)
        return self._call(project, "comment_archived", data, None)

    def _mention(self, comment: Comment, thread: Comment) -> Fired:
        fired = Fired()
        for user_id in dict.fromkeys(mentioned(comment.doc)):
            data = {
                "mentionAuthorId": self.user.id,
                "mentionTargetId": user_id,
                "commentId": comment.id,
                "threadId": thread.id,
            }
            said = f"User {self.user.id} mentioned user {user_id} in comment {comment.id}"
            event = "comment_mention"
            fired += self._fire(comment.project, event, data, comment.id, "comment", said)
        return fired

    # ── issues, on newer servers ──────────────────────────────────────────────────────────────

    def open_issue(
        self,
        version: Version,
        title: str,
        text: str,
        *,
        priority: str = "none",
        assignee: User | None = None,
    ) -> Fired:
        """Open an issue on a version."""
        project = version.model.project
        self._need(project, Right.SAY)
        issue, data = self.server.add_issue(
            project,
            _name(title),
            author=self.user,
            text=text,
            versions=[version],
            priority=priority,
            assignee=assignee,
        )
        project.issue_pictures[issue.id] = draw_screenshot_png(version)
        return self._call(project, "issue_created", data, issue.id, f"Issue created: {issue.title}")

    def update_issue(self, issue: ServerIssue, **changes: Any) -> Fired:
        """Title, text, status, priority or assignee."""
        self._need(issue.project, Right.SAY)
        data = self.server.update_issue(issue, by=self.user, **changes)
        said = f"Issue updated: {issue.title}"
        return self._call(issue.project, "issue_updated", data, None, said)

    def reply_to_issue(self, issue: ServerIssue, text: str) -> Fired:
        """Answer."""
        self._need(issue.project, Right.SAY)
        data = self.server.reply_to_issue(issue, author=self.user, text=_words(text))
        said = f"Issue replied: {issue.title}"
        return self._call(issue.project, "issue_reply_created", data, issue.replies[-1].id, said)

    def delete_issue(self, issue: ServerIssue) -> Fired:
        """Gone."""
        project = issue.project
        if project.role_of(self.user) != OWNER and issue.author is not self.user:
            raise NotPossible("Only an owner of the project or who opened the issue may do this.")
        data = self.server.delete_issue(issue)
        return self._call(project, "issue_deleted", data, None, f"Issue deleted: {issue.title}")

    # ── who may what ──────────────────────────────────────────────────────────────────────────

    def invite(self, project: ServerProject, user: User, role: str) -> Fired:
        """Offer a role to somebody who has none."""
        self._need(project, Right.OWN)
        if project.role_of(user) is not None:
            raise NotPossible(f"{user.name} is in the project already.")
        project.invitations[user.id] = Invitation(role, self.user)
        data = {"targetId": user.id, "targetEmail": None}
        said = f"User {self.user.id} has invited {user.id} to stream {project.id}"
        fired = self._fire(project, "stream_invite_sent", data, project.id, "stream", said)
        self.server.publish(project_changed(project))
        return fired

    def answer_invitation(self, project: ServerProject, *, accept: bool) -> Fired:
        """Say yes or no to the role that this person was offered."""
        offer = project.invitations.pop(self.user.id, None)
        if offer is None:
            raise NotPossible("There is no invitation to answer any more.")
        if not accept:
            target = {"userEmail": None, "userId": self.user.id}
            data: dict[str, Any] = {"targetId": target, "inviterId": offer.by.id}
            said = f"User {self.user.id} declined to join the stream {project.id}"
            event = "stream_invite_declined"
            return self._fire(project, event, data, project.id, "stream", said)
        self._let_in(project, self.user, offer.role)
        data = {"inviterUser": offer.by.id, "role": offer.role, "targetUserId": self.user.id}
        said = f"User {self.user.id} has accepted an invitation to become a {offer.role}"
        event = "stream_permissions_invite_accepted"
        fired = self._fire(project, event, data, project.id, "stream", said)
        self.server.publish(project_changed(project))  # once more, recorded
        return fired

    def ask_for_access(self, project: ServerProject) -> Fired:
        """Ask the owners to be let in."""
        if project.role_of(self.user) is not None or self.user.id in project.access_requests:
            raise NotPossible("You are in the project, or asked already.")
        project.access_requests.append(self.user.id)
        data = {"requesterId": self.user.id}
        said = f"User {self.user.id} has requested access to stream {project.id}"
        event = "stream_access_request_sent"
        return self._fire(project, event, data, project.id, "stream", said)

    def answer_request(self, project: ServerProject, user: User, role: str | None) -> Fired:
        """Let somebody in who asked, of which nothing is fired; or, without a role, say no."""
        self._need(project, Right.OWN)
        if user.id not in project.access_requests:
            raise NotPossible(f"{user.name} does not ask for access any more.")
        if role is not None:
            self._let_in(project, user, role)
            return Fired()
        project.access_requests.remove(user.id)
        data = {"requesterId": user.id, "declinerId": self.user.id}
        said = f"User {self.user.id} declined access to stream {project.id} for user {user.id}"
        event = "stream_access_request_declined"
        return self._fire(project, event, data, project.id, "stream", said)

    def set_role(self, project: ServerProject, user: User, role: str | None) -> Fired:
        """Give a member another role, or take it: today's servers fire nothing."""
        if user is not self.user:
            self._need(project, Right.OWN)
        now = project.role_of(user)
        if now is None:
            raise NotPossible(f"{user.name} is not in the project: invite them.")
        if now == OWNER and role != OWNER and list(project.roles.values()).count(OWNER) == 1:
            raise NotPossible("A project needs an owner: make somebody else one first.")
        if role is not None and project.role_of(self.user) != OWNER:
            raise NotPossible(f"Only {Right.OWN} may do this.")
        self.server.set_role(project, user, role)
        return Fired()

    def _let_in(self, project: ServerProject, user: User, role: str) -> None:
        self.server.set_role(project, user, role)
        project.invitations.pop(user.id, None)
        if user.id in project.access_requests:
            project.access_requests.remove(user.id)

    # ── webhooks ──────────────────────────────────────────────────────────────────────────────

    def create_webhook(
        self, project: ServerProject, url: str, secret: str, description: str, events: Sequence[str]
    ) -> Fired:
        """A webhook, as by hand in the project's settings."""
        self._need(project, Right.OWN)
        hook = self.server.add_webhook(
            project, url.strip(), events, secret=secret.strip() or None, description=description
        )
        return Fired(made=hook.id)

    def update_webhook(
        self, hook: Webhook, *, enabled: bool | None = None, events: Sequence[str] | None = None
    ) -> Fired:
        """Switch it, or let it send other events."""
        self._need(hook.project, Right.OWN)
        hook.enabled = hook.enabled if enabled is None else enabled
        hook.triggers = hook.triggers if events is None else list(events)
        hook.updated_at = self.server.now()
        return Fired()

    def delete_webhook(self, hook: Webhook) -> Fired:
        """Gone, with its history."""
        self._need(hook.project, Right.OWN)
        hook.project.webhooks.remove(hook)
        return Fired()

    # ── the parts ─────────────────────────────────────────────────────────────────────────────

    def _need(self, project: ServerProject, right: Right) -> None:
        if not may(project, self.user, right):
            role = ROLE_NAMES.get(project.role_of(self.user) or "", "not a member")
            raise NotPossible(f"Only {right} may do this, and {self.user.name} is {_a(role)}.")

    def _add_model(
        self, project: ServerProject, name: str, description: str, *, silently: bool = False
    ) -> Model:
        wanted = _model_name(project, name)
        return self.server.add_model(
            project, wanted, description=description or None, author=self.user, silently=silently
        )

    def _drop(self, version: Version) -> None:
        """The version, and threads that were on nothing else."""
        project = version.model.project
        self.server.remove_version(version)
        project.comments[:] = [one for one in project.comments if one.versions != (version,)]

    def _doc(self, project: ServerProject, text: str) -> dict[str, Any]:
        """A comment's document, in which @Name of a member is a mention."""
        members = [self.server.users[one] for one in project.roles]
        doc = paragraph(_words(text))
        for one in doc["content"]:
            one["content"] = list(with_mentions(one["content"][0]["text"], members))
        return doc

    def _fire(
        self,
        project: ServerProject,
        event: str,
        data: Mapping[str, Any],
        resource_id: str,
        kind: str,
        said: str,
    ) -> Fired:
        """A line in the activity list, and the calls."""
        self.server.add_activity(project, event, resource_id, kind, self.user, data, said)
        return self._call(project, event, data, None, said)

    def _call(
        self,
        project: ServerProject,
        event: str,
        data: Mapping[str, Any],
        made: str | None,
        said: str | None = None,
    ) -> Fired:
        entries = self.server.fire_soon(project, event, data, user=self.user, message=said)
        return Fired((event,), len(entries), made)


def _model_name(project: ServerProject, name: str, itself: Model | None = None) -> str:
    """A name that the server takes: doubled slashes are one, the ends trimmed."""
    wanted = re.sub("/{2,}", "/", _name(name)).strip("/ ")
    if not wanted:
        raise NotPossible("A model needs a name.")
    if any(one.name == wanted.lower() and one is not itself for one in project.models):
        raise NotPossible(f"There is a model of the name {wanted.lower()} already.")
    return wanted


def _name(text: str) -> str:
    if not text.strip():
        raise NotPossible("It needs a name.")
    return text.strip()


def _words(text: str) -> str:
    if not text.strip():
        raise NotPossible("Write something first.")
    return text.strip()


def _a(role: str) -> str:
    if role.startswith("not"):
        return role
    return f"an {role}" if role[0] in "aeiou" else f"a {role}"
