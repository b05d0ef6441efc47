"""Where something is done on the page's Speckle: the server, who acts, and what is meant there."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pydantic import Field

from sandbox.demo.page.actions import Action, CannotDo
from sandbox.demo.stage import Stage
from sandbox.speckle import ServerProject, SpeckleServer, User
from sandbox.speckle.people_at_work import Fired, PersonAtWork, may_see


class HasId(Protocol):
    """What has an id."""

    id: str


Thing = TypeVar("Thing", bound=HasId)


@dataclass(frozen=True, slots=True)
class Workplace:
    """One server, and who acts there."""

    server: SpeckleServer
    person: PersonAtWork

    @property
    def user(self) -> User:
        """Who acts."""
        return self.person.user


class SpeckleAction(Action, ABC):
    """An action of a person (`by`) on a server."""

    server: int = Field(ge=0)
    by: str

    def at(self, stage: Stage) -> Workplace:
        """Where and by whom. Errors: CannotDo."""
        if self.server >= len(stage.servers):
            raise CannotDo("There is no such Speckle server here.")
        server = stage.servers[self.server].server
        return Workplace(server, PersonAtWork(server, user_of(server, self.by)))

    def prepare(self, there: Workplace) -> None:  # most actions take no time
        """What takes time and changes nothing, done in a thread. Errors: CannotDo."""

    @abstractmethod
    def act(self, there: Workplace) -> Fired:
        """Do it. Errors: CannotDo, NotPossible."""


class ProjectAction(SpeckleAction):
    """An action in a project."""

    project: str

    def in_project(self, there: Workplace) -> ServerProject:
        """The project, if the person may see it, or is asked into it. Errors: CannotDo."""
        project = project_of(there.server, self.project)
        if not may_see(project, there.user) and there.user.id not in project.invitations:
            raise CannotDo(f"{there.user.name} does not have access to this project.")
        return project


def found(there: Sequence[Thing], wanted: str, what: str) -> Thing:
    """The thing with this id. Errors: CannotDo."""
    for one in there:
        if one.id == wanted:
            return one
    raise CannotDo(f"This {what} is not there any more.")


def user_of(server: SpeckleServer, user_id: str) -> User:
    """A person. Errors: CannotDo."""
    return found(list(server.users.values()), user_id, "person")


def project_of(server: SpeckleServer, project_id: str) -> ServerProject:
    """A project. Errors: CannotDo."""
    return found(list(server.projects.values()), project_id, "project")
