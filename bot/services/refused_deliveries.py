"""What was refused at the addresses of webhooks because of its signature, since the start."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cachetools import LRUCache

MOST_HOOKS: Final = 10_000


@dataclass(frozen=True, slots=True)
class RefusedDelivery:
    """The last request that was refused at a hook's address; without a signature, or with another.

    It says that somebody who knows the address has another secret, or none.
    """

    at: datetime
    signed: bool


class RefusedDeliveries:
    """Keeps the last one of each hook, in memory."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._last = LRUCache[int, RefusedDelivery](MOST_HOOKS)

    def note(self, hook_id: int, *, signed: bool) -> None:
        """One was refused."""
        self._last[hook_id] = RefusedDelivery(self._now(), signed)

    def last(self, hook_id: int, since: datetime | None) -> RefusedDelivery | None:
        """The last one of a hook, if nothing was taken since."""
        found = self._last.get(hook_id)
        return None if found is None or (since is not None and since >= found.at) else found
