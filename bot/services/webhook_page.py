"""What the page of a project's webhooks offers on a Speckle server, found out by asking it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bot.speckle.event_table import BY_KIND
from bot.speckle.events import EventKind
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.optional_questions import ANY_COMMENTS, ANY_ISSUES, PERMISSIONS

ASK_WITHIN_S: Final = 2.0  # somebody waits for the set-up; without an answer it is today's page
# The page's words since Speckle 2.23.9, by those of the wire, which it showed before.
WORDS: Final = {"stream": "project", "branch": "model", "commit": "version"}


@dataclass(frozen=True, slots=True)
class WebhookPage:
    """Which names of events the page shows; of what nobody knows, today's."""

    old_names: bool = False
    issues: bool = True
    comments: bool = True

    def names(self, kinds: Iterable[EventKind]) -> tuple[str, ...]:
        """What to choose there so that these events come; nothing for those that it lacks."""
        listed = (BY_KIND[kind].triggers for kind in kinds if BY_KIND[kind].listed)
        triggers = (name for names in listed for name in names if self._has(name))
        return tuple(dict.fromkeys(name if self.old_names else _renamed(name) for name in triggers))

    def _has(self, trigger: str) -> bool:
        if is_of_issues(trigger):
            return self.issues
        return self.comments or not trigger.startswith("comment_")


class WebhookPages:
    """Asks Speckle servers as a stranger; not at all where the operator wants nobody asked."""

    def __init__(self, client: SpeckleClient, *, asks: bool = True) -> None:
        self._client = client
        self._asks = asks

    async def of(self, server_url: str, project_id: str) -> WebhookPage:
        """The page of a project's webhooks."""
        if not self._asks:
            return WebhookPage()
        current, issues, comments = await asyncio.gather(
            *(
                self._client.has(server_url, one, project_id, within_s=ASK_WITHIN_S)
                for one in (PERMISSIONS, ANY_ISSUES, ANY_COMMENTS)
            )
        )
        return WebhookPage(current is False, issues is not False, comments is not False)


def is_of_issues(trigger: str) -> bool:
    """Whether a trigger is one of those that Speckle got with issues.

    Nobody knows whether each older release takes the name of an event that it has not got.
    """
    return trigger.startswith("issue_")


def _renamed(trigger: str) -> str:
    word, rest = trigger.split("_", 1)
    return f"{WORDS.get(word, word)}_{rest}"
