"""What can be done on the page's Speckle: one model of a request's body for each action."""

from itertools import cycle
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, PrivateAttr, StringConstraints
from yarl import URL

from sandbox.demo.page.actions import CannotDo
from sandbox.demo.page.speckle_state import token_id
from sandbox.demo.page.workplace import (
    ProjectAction,
    SpeckleAction,
    Workplace,
    found,
    project_of,
    user_of,
)
from sandbox.http_site import HOST
from sandbox.speckle import (
    BOT_SCOPES,
    Comment,
    Model,
    ServerIssue,
    Version,
    Webhook,
)
from sandbox.speckle.model_content import USUAL, NextVersion, known_change
from sandbox.speckle.people_at_work import Fired

Line = Annotated[str, StringConstraints(max_length=512)]
Text = Annotated[str, StringConstraints(max_length=5_000)]
Role = Literal["stream:owner", "stream:contributor", "stream:reviewer"]
Visibility = Literal["PRIVATE", "UNLISTED", "PUBLIC"]
Status = Literal["open", "readyForReview", "resolved"]
Priority = Literal["none", "low", "medium", "high"]
Change = Annotated[str, AfterValidator(known_change)]
MOST_ELEMENTS: Final = 13_500
MOST_CHECKS: Final = 20
MOST_ERRORS: Final = 1_000
BURST: Final = 200
# What people write who publish often.
WORK: Final = (
    ("Columns on grid C moved by 200 mm", "Revit2025"),
    ("Openings for the ducts", "Tekla Structures"),
    ("Brackets as agreed on Tuesday", "rhino8"),
    ("Slab edge trimmed at the lift", "Revit2025"),
    ("Clashes of last week resolved", "Navisworks"),
    ("Bracing for the wind load", "ETABS"),
    ("Panels numbered for the workshop", "Grasshopper"),
)


# ── projects and people ───────────────────────────────────────────────────────────────────────────


class CreateProject(SpeckleAction):
    """A new project of one's own."""

    name: Line
    description: Text = ""
    visibility: Visibility = "PRIVATE"

    def act(self, there: Workplace) -> Fired:
        return there.person.create_project(self.name, self.description, self.visibility)


class UpdateProject(ProjectAction):
    """Change what is given of a project."""

    name: Line | None = None
    description: Text | None = None
    visibility: Visibility | None = None
    public_comments: bool | None = None

    def act(self, there: Workplace) -> Fired:
        return there.person.update_project(
            self.in_project(there),
            name=self.name,
            description=self.description,
            visibility=self.visibility,
            public_comments=self.public_comments,
        )


class DeleteProject(ProjectAction):
    """Delete a project with all that is in it."""

    def act(self, there: Workplace) -> Fired:
        return there.person.delete_project(self.in_project(there))


class Invite(ProjectAction):
    """Offer somebody a role."""

    user: str
    role: Role

    def act(self, there: Workplace) -> Fired:
        user = user_of(there.server, self.user)
        return there.person.invite(self.in_project(there), user, self.role)


class AnswerInvitation(ProjectAction):
    """Take the role that one was offered, or not."""

    accept: bool

    def act(self, there: Workplace) -> Fired:
        return there.person.answer_invitation(self.in_project(there), accept=self.accept)


class AskForAccess(ProjectAction):
    """Ask a project's owners to be let in."""

    def act(self, there: Workplace) -> Fired:
        # Who has the address may ask, also to see a private project.
        return there.person.ask_for_access(project_of(there.server, self.project))


class AnswerRequest(ProjectAction):
    """Let somebody in who asked; without a role, do not."""

    user: str
    role: Role | None

    def act(self, there: Workplace) -> Fired:
        user = user_of(there.server, self.user)
        return there.person.answer_request(self.in_project(there), user, self.role)


class SetRole(ProjectAction):
    """Give a member another role; without one, take it."""

    user: str
    role: Role | None

    def act(self, there: Workplace) -> Fired:
        user = user_of(there.server, self.user)
        return there.person.set_role(self.in_project(there), user, self.role)


# ── models and versions ───────────────────────────────────────────────────────────────────────────


class CreateModel(ProjectAction):
    """A new, empty model."""

    name: Line
    description: Text = ""

    def act(self, there: Workplace) -> Fired:
        return there.person.create_model(self.in_project(there), self.name, self.description)


class ModelAction(ProjectAction):
    """An action on a model."""

    model: str

    def of_model(self, there: Workplace) -> Model:
        """The model. Errors: CannotDo."""
        return found(self.in_project(there).models, self.model, "model")


class UpdateModel(ModelAction):
    """Rename or describe a model."""

    name: Line | None = None
    description: Text | None = None

    def act(self, there: Workplace) -> Fired:
        model = self.of_model(there)
        return there.person.update_model(model, name=self.name, description=self.description)


class DeleteModel(ModelAction):
    """Delete a model with its versions."""

    def act(self, there: Workplace) -> Fired:
        return there.person.delete_model(self.of_model(there))


class Publish(ModelAction):
    """Send a version to a model: the newest one, changed.

    `elements` are those of a model in which there are none yet.
    """

    message: Text = ""
    application: Line = ""
    change: Change = USUAL
    elements: int = Field(default=200, ge=1, le=MOST_ELEMENTS)
    _next: NextVersion | None = PrivateAttr(default=None)

    def prepare(self, there: Workplace) -> None:
        """Write what is published, which takes a while for a large model."""
        model = self.of_model(there)
        self._next = NextVersion.prepared(there.server, model, self.change, self.elements)

    def act(self, there: Workplace) -> Fired:
        model = self.of_model(there)
        sent = self._next or NextVersion.prepared(there.server, model, self.change, self.elements)
        sent.complete(there.server, model)
        return there.person.publish(model, self.message, self.application, content=sent.content)


class Burst(ProjectAction):
    """Many versions at once, turn by turn over the project's models."""

    count: int = Field(default=BURST, ge=1, le=BURST)

    def act(self, there: Workplace) -> Fired:
        project = self.in_project(there)
        if not project.models:
            raise CannotDo("The project has no model yet: create one first.")
        fired = Fired()
        turns = zip(range(self.count), cycle(project.models), cycle(WORK), strict=False)
        for number, model, (message, application) in turns:
            said = f"{message} ({number + 1} of {self.count})"
            fired += there.person.publish(model, said, application, 40 + number)
        return fired


class VersionAction(ProjectAction):
    """An action on a version."""

    version: str

    def of_version(self, there: Workplace) -> Version:
        """The version. Errors: CannotDo."""
        return found(self.in_project(there).versions, self.version, "version")


class UpdateVersion(VersionAction):
    """Give a version another message."""

    message: Text

    def act(self, there: Workplace) -> Fired:
        return there.person.update_version(self.of_version(there), self.message)


class MoveVersion(VersionAction):
    """Move a version to a model of this name, new or not."""

    model_name: Line

    def act(self, there: Workplace) -> Fired:
        return there.person.move_version(self.of_version(there), self.model_name)


class Receive(VersionAction):
    """Load a version into an application."""

    application: Line = "Rhino"

    def act(self, there: Workplace) -> Fired:
        return there.person.receive(self.of_version(there), self.application)


class RunChecks(VersionAction):
    """Have automations look at a version."""

    passed: int = Field(default=3, ge=0, le=MOST_CHECKS)
    failed: int = Field(default=1, ge=0, le=MOST_CHECKS)
    errors: int = Field(default=12, ge=0, le=MOST_ERRORS)

    def act(self, there: Workplace) -> Fired:
        version = self.of_version(there)
        return there.person.run_checks(version, self.passed, self.failed, self.errors)


class DeleteVersion(VersionAction):
    """Delete a version."""

    def act(self, there: Workplace) -> Fired:
        return there.person.delete_version(self.of_version(there))


# ── comments and issues ───────────────────────────────────────────────────────────────────────────


class WriteComment(VersionAction):
    """Begin a thread on a version."""

    text: Text

    def act(self, there: Workplace) -> Fired:
        return there.person.comment(self.of_version(there), self.text)


class ThreadAction(ProjectAction):
    """An action in a thread of comments."""

    thread: str

    def of_thread(self, there: Workplace) -> Comment:
        """The thread. Errors: CannotDo."""
        return found(self.in_project(there).comments, self.thread, "comment")


class ReplyToComment(ThreadAction):
    """Answer in a thread."""

    text: Text

    def act(self, there: Workplace) -> Fired:
        return there.person.reply(self.of_thread(there), self.text)


class ResolveThread(ThreadAction):
    """Resolve a thread, or open it again."""

    resolved: bool

    def act(self, there: Workplace) -> Fired:
        return there.person.resolve(self.of_thread(there), resolved=self.resolved)


class OpenIssue(VersionAction):
    """Open an issue on a version."""

    title: Line
    text: Text = ""
    priority: Priority = "none"
    assignee: str | None = None

    def act(self, there: Workplace) -> Fired:
        assignee = None if self.assignee is None else user_of(there.server, self.assignee)
        return there.person.open_issue(
            self.of_version(there),
            self.title,
            self.text,
            priority=self.priority,
            assignee=assignee,
        )


class IssueAction(ProjectAction):
    """An action on an issue."""

    issue: str

    def of_issue(self, there: Workplace) -> ServerIssue:
        """The issue. Errors: CannotDo."""
        issues = there.server.issues.get(self.in_project(there).id, [])
        return found(issues, self.issue, "issue")


class ChangeIssue(IssueAction):
    """Change what is given of an issue."""

    title: Line | None = None
    text: Text | None = None
    status: Status | None = None
    priority: Priority | None = None
    assignee: str | None = None  # "" for nobody

    def act(self, there: Workplace) -> Fired:
        changes = self.model_dump(
            include={"title", "text", "status", "priority"}, exclude_none=True
        )
        if self.assignee is not None:
            changes["assignee"] = user_of(there.server, self.assignee) if self.assignee else None
        return there.person.update_issue(self.of_issue(there), **changes)


class ReplyToIssue(IssueAction):
    """Answer to an issue."""

    text: Text

    def act(self, there: Workplace) -> Fired:
        return there.person.reply_to_issue(self.of_issue(there), self.text)


class DeleteIssue(IssueAction):
    """Delete an issue."""

    def act(self, there: Workplace) -> Fired:
        return there.person.delete_issue(self.of_issue(there))


# ── webhooks ──────────────────────────────────────────────────────────────────────────────────────


class CreateWebhook(ProjectAction):
    """A webhook by hand, as the settings page makes it."""

    url: Line
    secret: Line = ""
    description: Line = ""
    events: Annotated[list[Line], Field(max_length=50)]

    def act(self, there: Workplace) -> Fired:
        if not _is_on_this_machine(self.url.strip()):
            raise CannotDo(
                "The try-out calls addresses on this computer alone: paste the one that the bot "
                "shows in Discord."
            )
        return there.person.create_webhook(
            self.in_project(there), self.url, self.secret, self.description, self.events
        )


def _is_on_this_machine(address: str) -> bool:
    try:
        url = URL(address)
    except ValueError:
        return False
    return url.scheme == "http" and url.host in (HOST, "localhost")


class WebhookAction(ProjectAction):
    """An action on a webhook."""

    webhook: str

    def of_webhook(self, there: Workplace) -> Webhook:
        """The webhook. Errors: CannotDo."""
        return found(self.in_project(there).webhooks, self.webhook, "webhook")


class UpdateWebhook(WebhookAction):
    """Switch a webhook, or choose its events."""

    enabled: bool | None = None
    events: Annotated[list[Line], Field(max_length=50)] | None = None

    def act(self, there: Workplace) -> Fired:
        hook = self.of_webhook(there)
        return there.person.update_webhook(hook, enabled=self.enabled, events=self.events)


class DeleteWebhook(WebhookAction):
    """Delete a webhook with its history."""

    def act(self, there: Workplace) -> Fired:
        return there.person.delete_webhook(self.of_webhook(there))


# ── a person's access ─────────────────────────────────────────────────────────────────────────────


class CreateToken(SpeckleAction):
    """A personal token; its text is the answer's `made`."""

    name: Line
    scopes: Annotated[tuple[Line, ...], Field(max_length=20)] = BOT_SCOPES

    def act(self, there: Workplace) -> Fired:
        if not self.name.strip():
            raise CannotDo("The token needs a name.")
        name = self.name.strip()
        return Fired(made=there.server.token(there.user, scopes=self.scopes, name=name))


class RevokeToken(SpeckleAction):
    """Make a personal token invalid."""

    token: str

    def act(self, there: Workplace) -> Fired:
        for one in there.server.tokens.values():
            if one.user is there.user and token_id(one) == self.token:
                one.revoked = True
                return Fired()
        raise CannotDo("This token is not there any more.")


class RevokeApp(SpeckleAction):
    """Take back what one allowed an application."""

    app: str

    def act(self, there: Workplace) -> Fired:
        app = found(list(there.server.apps.values()), self.app, "application")
        there.server.oauth.revoke_access(there.user, app)
        return Fired()


ACTIONS: Final[dict[str, type[SpeckleAction]]] = {
    "create-project": CreateProject,
    "update-project": UpdateProject,
    "delete-project": DeleteProject,
    "invite": Invite,
    "answer-invitation": AnswerInvitation,
    "ask-for-access": AskForAccess,
    "answer-request": AnswerRequest,
    "set-role": SetRole,
    "create-model": CreateModel,
    "update-model": UpdateModel,
    "delete-model": DeleteModel,
    "publish": Publish,
    "burst": Burst,
    "update-version": UpdateVersion,
    "move-version": MoveVersion,
    "receive": Receive,
    "run-checks": RunChecks,
    "delete-version": DeleteVersion,
    "comment": WriteComment,
    "reply": ReplyToComment,
    "resolve": ResolveThread,
    "open-issue": OpenIssue,
    "change-issue": ChangeIssue,
    "reply-to-issue": ReplyToIssue,
    "delete-issue": DeleteIssue,
    "create-webhook": CreateWebhook,
    "update-webhook": UpdateWebhook,
    "delete-webhook": DeleteWebhook,
    "create-token": CreateToken,
    "revoke-token": RevokeToken,
    "revoke-app": RevokeApp,
}
