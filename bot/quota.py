"""What a Discord server may send in a day, and has sent."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Self


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """What a guild has sent today, and how many hooks and subscriptions it has."""

    events: int
    bytes: int
    hooks: int
    subscriptions: int


@dataclass(frozen=True, slots=True)
class DayQuota:
    """How many events a guild may send in a day (UTC), and how many bytes their bodies may have."""

    guild_id: int
    events: int
    bytes: int

    def halved(self) -> Self:
        """Half of it."""
        return replace(self, events=self.events // 2, bytes=self.bytes // 2)


@dataclass(frozen=True, slots=True)
class QuotaNotice:
    """A guild to notify that one of its hooks sent more than its quota on a day."""

    day: date
    guild_id: int
    hook_id: int
    nonce: str
