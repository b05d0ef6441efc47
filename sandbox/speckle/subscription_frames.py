"""Which of the changes that a server publishes a subscription wants, and their frames."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from graphql import FieldNode
from graphql.execution.values import get_argument_values, get_variable_values

from sandbox.speckle.graphql_executor import Question
from sandbox.speckle.published_changes import (
    AUTOMATIONS,
    COMMENTS,
    ISSUES,
    MODELS,
    OWN_PROJECTS,
    PREVIEWS,
    PROJECT,
    VERSIONS,
    Publication,
)
from sandbox.speckle.request_context import Asking

# The argument that names the project.
PROJECT_ARGUMENT: Final[Mapping[str, str]] = {
    VERSIONS: "id",
    MODELS: "id",
    PROJECT: "id",
    PREVIEWS: "id",
    AUTOMATIONS: "projectId",
    ISSUES: "projectId",
}
# The recorded server looked neither at scopes nor at a token's limits for these.
UNCHECKED: Final = frozenset({COMMENTS})


@dataclass(frozen=True, slots=True)
class ServerSubscription:
    """One that was understood: its only field, that field's arguments, and who asks.

    `project_id` is "" for what is of no project.
    """

    question: Question
    field: str
    arguments: Mapping[str, Any]
    asking: Asking
    project_id: str

    @classmethod
    def of(cls, question: Question, asking: Asking) -> Self:
        """Read a subscription, which was checked to have one field."""
        assert question.operation is not None
        (node,) = question.operation.selection_set.selections
        assert isinstance(node, FieldNode)
        schema = question.schema
        assert schema.subscription_type is not None
        variables = get_variable_values(
            schema, question.operation.variable_definitions or (), dict(question.variables)
        )
        assert not isinstance(variables, list)
        name = node.name.value
        arguments = get_argument_values(schema.subscription_type.fields[name], node, variables)
        target = arguments.get("target") or arguments
        argument = "projectId" if name == COMMENTS else PROJECT_ARGUMENT.get(name)
        return cls(question, name, arguments, asking, target[argument] if argument else "")

    def wants(self, change: Publication) -> bool:
        """Whether a change is for it: who may not read the project hears nothing, no error."""
        if change.field != self.field or not self._may_hear(change):
            return False
        if self.field == OWN_PROJECTS:
            return change.user is self.asking.user
        if change.project.id != self.project_id:
            return False
        if wanted := self.arguments.get("modelIds"):
            return bool(change.on & set(wanted))
        target = self.arguments.get("target") or self.arguments
        return _is_on(
            target.get("resourceIdString"),
            change.on,
            exactly=bool(target.get("loadedVersionsOnly")),
        )

    def frame(self, change: Publication) -> dict[str, Any]:
        """The payload of its `data` frame; errors are without the codes that HTTP answers have."""
        answer = self.question.answer(self.asking, {change.field: change.message})
        for error in answer.get("errors", ()):
            error.pop("extensions", None)
        return answer

    def _may_hear(self, change: Publication) -> bool:
        """Whether the person may read the project now; a revoked token is still the person's."""
        project, asking = change.project, self.asking
        if self.field == OWN_PROJECTS:
            return True
        if self.field not in UNCHECKED and asking.limited_away(project.id):
            return False
        return project.is_public or project.role_of(asking.user) is not None


def _is_on(resources: str | None, on: frozenset[str], *, exactly: bool) -> bool:
    """Whether a change is on one of these; a version stands for its model unless `exactly`."""
    if not resources:
        return True
    return any(
        (piece if exactly else piece.partition("@")[0]) in on for piece in resources.split(",")
    )
