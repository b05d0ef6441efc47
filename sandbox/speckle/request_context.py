"""Who asks, and what they may: the order of the checks is the recorded server's."""

from dataclasses import dataclass

from sandbox.speckle import graphql_errors
from sandbox.speckle.entities import CONTRIBUTOR, OWNER, ServerProject, Token, User
from sandbox.speckle.speckle_world import SpeckleWorld


@dataclass(frozen=True)
class Asking:
    """One question's asker; without a token a stranger."""

    world: SpeckleWorld
    token: Token | None
    url: str
    version: str

    @property
    def user(self) -> User | None:
        """The person behind the token."""
        return None if self.token is None else self.token.user

    def need_user(self) -> User:
        """The person; a refusal for a stranger."""
        if self.token is None:
            raise graphql_errors.no_token()
        return self.token.user

    def need_scope(self, scope: str) -> None:
        """A refusal for a token without the scope; strangers are judged elsewhere."""
        if self.token is not None and scope not in self.token.scopes:
            raise graphql_errors.no_scope(scope)

    def limited_away(self, project_id: str) -> bool:
        """Whether the token is limited to other projects."""
        only = None if self.token is None else self.token.only
        return only is not None and project_id not in only

    def readable(self, project_id: str) -> ServerProject:
        """The project, if it may be read."""
        if self.limited_away(project_id):
            raise graphql_errors.forbidden(graphql_errors.NOT_THIS_RESOURCE)
        project = self.world.projects.get(project_id)
        if project is None:
            raise graphql_errors.refused("Project not found", "STREAM_NOT_FOUND", 404)
        if not project.is_public and project.role_of(self.user) is None:
            reason = graphql_errors.NO_SESSION if self.user is None else graphql_errors.NO_ACCESS
            raise graphql_errors.forbidden(reason)
        self.need_scope("streams:read")
        return project

    def need_owner(self, project: ServerProject) -> None:
        """A refusal for a person who does not own the project, in the words of newer fields."""
        role = project.role_of(self.need_user())
        if role is None:
            raise graphql_errors.forbidden(graphql_errors.NO_ACCESS)
        if role != OWNER:
            raise graphql_errors.forbidden(graphql_errors.NOT_ENOUGH)

    def owned(self, stream_id: str) -> ServerProject:
        """The project of a webhook mutation, in the words of older fields."""
        self.need_user()
        self.need_scope("streams:write")
        project = self.world.projects.get(stream_id)
        if project is None:
            raise graphql_errors.forbidden(f"Resource of type streams with {stream_id} not found")
        role = project.role_of(self.user)
        if role is None or self.limited_away(stream_id):
            raise graphql_errors.forbidden(graphql_errors.NOT_THIS_RESOURCE)
        if role != OWNER:
            raise graphql_errors.forbidden(graphql_errors.NOT_AUTHORIZED)
        return project

    def may(self, project: ServerProject, what: str) -> dict[str, object]:
        """One of `permissions{…}`: it looks at the person, not at the token."""
        if what == "canRead":
            return _check(None)
        role = project.role_of(self.user)
        if self.user is None:
            return _check(("ServerNoSession", graphql_errors.NO_SESSION))
        if what == "canCreateComment" and project.public_comments:
            return _check(None)
        if what == "canLeave":
            return _check(_why_not_leave(project, role))
        if role is None:
            return _check(("ProjectNoAccess", graphql_errors.NO_ACCESS))
        enough = {
            "canReadSettings": True,
            "canPublish": role in (OWNER, CONTRIBUTOR),
            "canLoad": role in (OWNER, CONTRIBUTOR),
            "canCreateModel": role in (OWNER, CONTRIBUTOR),
            "canCreateComment": True,
            "canRequestRender": True,
        }.get(what, role == OWNER)
        reason = graphql_errors.NOT_ENOUGH_FOR.get(what, graphql_errors.NOT_ENOUGH)
        return _check(None if enough else ("ProjectNotEnoughPermissions", reason))


def _why_not_leave(project: ServerProject, role: str | None) -> tuple[str, str] | None:
    if role is None:
        return "ProjectNoAccess", "You must be a project member to leave"
    if role == OWNER and list(project.roles.values()).count(OWNER) == 1:
        return "ProjectLastOwner", "As the last owner of the project, you cannot leave"
    return None


def _check(why_not: tuple[str, str] | None) -> dict[str, object]:
    code, message = why_not or ("OK", "OK")
    return {"authorized": why_not is None, "code": code, "message": message}
