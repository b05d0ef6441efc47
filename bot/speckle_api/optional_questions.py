"""What not every Speckle server has: asked in questions of their own, as one unknown field fails a
whole question. Which server has what is found out by asking, never by its name or version.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cachetools import TTLCache

DAY_S: Final = 24 * 60 * 60.0  # a server may be updated, or put back
MOST_KNOWN: Final = 10_000


@dataclass(frozen=True, slots=True)
class OptionalQuestion:
    """A question that a server without `field` does not understand, such as "Stream.activity"."""

    field: str
    text: str


class MissingFields:
    """What each server was found to lack; kept for a day, then tried again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._missing: TTLCache[tuple[str, str], bool] = TTLCache(MOST_KNOWN, DAY_S, clock)

    def note(self, server_url: str, question: OptionalQuestion) -> None:
        """A server did not understand a question."""
        self._missing[server_url, question.text] = True

    def lacks(self, server_url: str, question: OptionalQuestion) -> bool:
        """Whether it is known that a server does not understand a question."""
        return (server_url, question.text) in self._missing


MIGRATION: Final = OptionalQuestion(
    "ServerInfo.migration",
    """
query Migration { serverInfo { migration { movedFrom } } }
""",
)
# What is asked only to know whether a server has it: see `SpeckleClient.has`.
PERMISSIONS: Final = OptionalQuestion(
    "Project.permissions",  # since spring 2025, as are today's names on the webhook page
    """
query HasPermissions($project: String!) {
  project(id: $project) { permissions { canReadWebhooks { authorized } } }
}
""",
)
ANY_ISSUES: Final = OptionalQuestion(
    "Project.issues",
    """
query HasIssues($project: String!) {
  project(id: $project) { issues(input: {limit: 1}) { totalCount } }
}
""",
)
ANY_COMMENTS: Final = OptionalQuestion(
    "Project.commentThreads",
    """
query HasComments($project: String!) {
  project(id: $project) { commentThreads(limit: 0) { totalCount } }
}
""",
)
