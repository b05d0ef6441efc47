"""The columns that say whether a subscription shows events: they change together."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bot.model import PauseReason, SubscriptionState


def paused(reason: PauseReason, detail: str | None, now: datetime) -> Mapping[str, Any]:
    """Those of a subscription that is paused now."""
    return {
        "state": SubscriptionState.PAUSED,
        "pause_reason": reason,
        "pause_detail": detail,
        "updated_at": now,
    }


def active(now: datetime) -> Mapping[str, Any]:
    """Those of a subscription that shows events from now on."""
    return {
        "state": SubscriptionState.ACTIVE,
        "pause_reason": None,
        "pause_detail": None,
        "updated_at": now,
    }
