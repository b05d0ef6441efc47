"""What the page of a project's webhooks offers on a Speckle server, found out by asking it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bot.speckle.event_subjects import is_of_issue
from bot.speckle.event_table import BY_KIND
from bot.speckle.events import EventKind
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.optional_questions import ANY_COMMENTS, ANY_ISSUES, PERMISSIONS

ASK_WITHIN_S: Final = 2.0  # somebody waits for the set-up; without an answer it is today's page


@dataclass(frozen=True, slots=True)
class WebhookPage:
    """Which names of events the page shows; of what nobody knows, today's."""

    old_names: bool = False
    issues: bool = True
    comments: bool = True

    def names(self, kinds: Iterable[EventKind]) -> tuple[str, ...]:
        """What to choose there so that these events come; nothing for those that it lacks."""
        rows = [BY_KIND[kind] for kind in kinds if BY_KIND[kind].page_names]
        names = (row.triggers if self.old_names else row.page_names for row in rows)
        return tuple(dict.fromkeys(name for each in names for name in each if self._has(name)))

    def _has(self, name: str) -> bool:
        if is_of_issue(name):
            return self.issues
        return self.comments or not name.startswith("comment_")


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
