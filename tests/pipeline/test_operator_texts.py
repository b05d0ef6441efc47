"""The operator's notices as they are read: what happened, why, and what to do next."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from bot.notifiers.operator_texts import TEXTS, notice_text
from bot.problems import NotReadyWhy, ProblemFacts, SendProblem, SendReason, TroubleKind
from bot.program import PROGRAM
from bot.services.operator_notices import OperatorNotice, TroubleRecord

AT: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SAID: Final[ProblemFacts] = {
    "status": 403,
    "code": 40006,
    "said": "Pour the slab @everyone",
}
FACTS: Final[dict[TroubleKind, ProblemFacts]] = {
    TroubleKind.SENDING_STOPPED: {
        "problem": NotReadyWhy.DISCORD_TAKES_NOTHING,
        **SendReason(SendProblem.REFUSED, SAID).to_facts(),
    },
    TroubleKind.TOKEN_REFUSED: {"problem": NotReadyWhy.DISCORD_TOKEN_REFUSED},
    TroubleKind.ADDRESS_BLOCKED: {"problem": NotReadyWhy.ADDRESS_BLOCKED},
    TroubleKind.GATEWAY_AWAY: {"problem": NotReadyWhy.GATEWAY_SILENT, "silence_s": 200.0},
    TroubleKind.KEYS_MISSING: {"problem": NotReadyWhy.KEYS_MISSING, "webhook secret": 2},
    TroubleKind.DATABASE_NOT_WRITABLE: {
        "problem": NotReadyWhy.NOT_WRITABLE,
        "reason": "the disk is full",
    },
    TroubleKind.DISK_LOW: {"free_bytes": 410_000_000, "margin_bytes": 10**9},
    TroubleKind.CATCH_UP_TOO_SHORT: {"webhooks": 2},
    TroubleKind.SPECKLE_NOT_ANSWERING: {
        "server": "https://speckle.kestrel.example",
        "reason": "it gave no answer in time",
    },
    TroubleKind.BACKUP_TOO_OLD: {"age_days": 9},
}


def said_of(kind: TroubleKind, over_after: timedelta | None = None) -> str:
    over_at = None if over_after is None else AT + over_after
    record = TroubleRecord(kind, "", FACTS[kind], AT, over_at=over_at)
    return notice_text(OperatorNotice(record))


@pytest.mark.parametrize("kind", TroubleKind)
def test_each_notice_says_what_happened_why_and_what_to_do(kind: TroubleKind) -> None:
    assert set(TEXTS) == set(FACTS) == set(TroubleKind)
    title, what, to_do = said_of(kind).split("\n")
    assert title.startswith("⚠ Trouble: ")
    assert what.endswith(".")
    assert to_do.startswith("Since 2026-03-02 09:00 UTC. What to do: ")
    assert f"`{PROGRAM} " in to_do or "`df -h`" in to_do
    assert "{" not in title + what + to_do
    assert "slab" not in what  # whoever answers may say anything
    over, lasted = said_of(kind, timedelta(minutes=14)).split("\n")
    assert over == title.replace("⚠ Trouble", "✔ Over")
    assert lasted.startswith(
        "It lasted 14 min, from 2026-03-02 09:00 UTC to 2026-03-02 09:14 UTC. "
    )
