"""What is wrong now, as /status, the operator's notices and the metrics read it."""

from collections.abc import Awaitable, Mapping, Sequence
from datetime import timedelta
from typing import Final

import pytest

from bot.db.channel_queues import make_due
from bot.db.key_values import LAST_BACKUP
from bot.errors import SpeckleUnavailable
from bot.model import HookKind
from bot.problems import (
    ActiveTrouble,
    NotReady,
    NotReadyWhy,
    SendProblem,
    SendReason,
    TroubleKind,
)
from bot.services.known_trouble import KINDS, KnownTrouble, TroubleLimits
from bot.services.readiness import Readiness
from bot.speckle_api.circuit_breaker import BreakerLimits, CircuitBreakers
from bot.storage import Storage, Transaction
from tests.services.conftest import (
    CLOUD,
    KESTREL,
    MAREN,
    OWN_SERVER,
    STRUCTURE,
    TOWER,
    Clock,
)

AMPLE: Final = TroubleLimits(free_disk_bytes=1)


def takes_nothing(problem: SendProblem) -> NotReady:
    return NotReady(NotReadyWhy.DISCORD_TAKES_NOTHING, SendReason(problem).to_facts())


async def found(
    storage: Storage,
    problems: Sequence[NotReady] = (),
    silent: Mapping[str, str] | None = None,
    limits: TroubleLimits = AMPLE,
    clock: Clock | None = None,
) -> Sequence[ActiveTrouble]:
    readiness = Readiness(storage, lambda: problems)
    known = KnownTrouble(storage, readiness, lambda: silent or {}, clock or Clock(), limits)
    return await known.now()


async def kinds(storage: Storage, *problems: NotReady) -> list[TroubleKind]:
    return [one.kind for one in await found(storage, problems)]


async def test_a_bot_that_is_well_knows_of_no_trouble(storage: Storage) -> None:
    assert await found(storage) == []


def test_each_reason_not_to_be_ready_is_a_kind_of_trouble() -> None:
    assert set(KINDS) == set(NotReadyWhy) - {NotReadyWhy.STANDS_BY}


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        (takes_nothing(SendProblem.REFUSED), TroubleKind.SENDING_STOPPED),
        (takes_nothing(SendProblem.TOKEN_REFUSED), TroubleKind.TOKEN_REFUSED),
        (takes_nothing(SendProblem.ADDRESS_BLOCKED), TroubleKind.ADDRESS_BLOCKED),
        (NotReady(NotReadyWhy.GATEWAY_SILENT, {"silence_s": 120.0}), TroubleKind.GATEWAY_AWAY),
    ],
)
async def test_why_nothing_is_sent_decides_what_the_trouble_is(
    storage: Storage, problem: NotReady, kind: TroubleKind
) -> None:
    facts = {"problem": problem.why, **problem.facts}
    assert await found(storage, [problem]) == [ActiveTrouble(kind, facts, not_ready=problem)]


async def test_a_trouble_that_several_parts_notice_is_one(storage: Storage) -> None:
    refused = NotReady(NotReadyWhy.DISCORD_TOKEN_REFUSED)
    again = NotReady(NotReadyWhy.LOGIN_REFUSED)
    assert await found(storage, [refused, again]) == [
        ActiveTrouble(TroubleKind.TOKEN_REFUSED, {"problem": refused.why}, not_ready=refused)
    ]


async def test_what_follows_from_a_refused_token_is_no_trouble_of_its_own(storage: Storage) -> None:
    gateway = NotReady(NotReadyWhy.GATEWAY_NEVER_HEARD)
    assert await kinds(storage, gateway) == [TroubleKind.GATEWAY_AWAY]
    refused = NotReady(NotReadyWhy.DISCORD_TOKEN_REFUSED)
    stopped = takes_nothing(SendProblem.REFUSED)
    assert await kinds(storage, gateway, refused, stopped) == [TroubleKind.TOKEN_REFUSED]


async def test_a_disk_with_less_room_than_the_margin_is_trouble(storage: Storage) -> None:
    limits = TroubleLimits(free_disk_bytes=10**18)
    (trouble,) = await found(storage, limits=limits)
    assert trouble.kind is TroubleKind.DISK_LOW
    assert trouble.facts["margin_bytes"] == 10**18
    assert trouble.not_ready is None


async def test_each_speckle_server_that_does_not_answer_is_a_trouble(storage: Storage) -> None:
    breakers = CircuitBreakers(BreakerLimits(failures=2))
    for server in (CLOUD, OWN_SERVER, CLOUD):
        breakers.failed(server, "it did not answer in time")
    assert breakers.silent() == {CLOUD: "it did not answer in time"}
    (trouble,) = await found(storage, silent=breakers.silent())
    assert trouble.key == (TroubleKind.SPECKLE_NOT_ANSWERING, CLOUD)
    assert trouble.facts == {"server": CLOUD, "reason": "it did not answer in time"}
    breakers.answered(CLOUD)
    assert breakers.silent() == {}


def test_a_server_for_which_a_proxy_answers_is_silent_and_asked_on() -> None:
    breakers = CircuitBreakers(BreakerLimits(failures=2))
    breakers.out_of_order(CLOUD, "it answers HTTP 502")
    assert breakers.silent() == {}
    for _ in range(2):
        breakers.failed(CLOUD, "it did not answer in time")
    with pytest.raises(SpeckleUnavailable):
        breakers.check(CLOUD)
    breakers.out_of_order(CLOUD, "it answers HTTP 502")
    breakers.check(CLOUD)
    assert breakers.silent() == {CLOUD: "it answers HTTP 502"}
    breakers.answered(CLOUD)
    assert breakers.silent() == {}


@pytest.mark.parametrize("ever", [False, True])
async def test_days_without_a_backup_count_from_the_last_one_or_from_the_first_start(
    storage: Storage, ever: bool
) -> None:
    clock = Clock()
    assert await found(storage, clock=clock) == []
    if ever:
        clock.forward(days=3)
        at = clock().isoformat()
        await storage.write(lambda tx: tx.key_values.set(LAST_BACKUP, at))
    clock.forward(days=7)
    assert await found(storage, clock=clock) == []
    clock.forward(hours=1)
    (trouble,) = await found(storage, clock=clock)
    assert trouble == ActiveTrouble(TroubleKind.BACKUP_TOO_OLD, {"age_days": 7})
    never = TroubleLimits(free_disk_bytes=1, backup_age=None)
    assert await found(storage, clock=clock, limits=never) == []
    longer = TroubleLimits(free_disk_bytes=1, backup_age=timedelta(days=8))
    assert await found(storage, clock=clock, limits=longer) == []


def away(storage: Storage, clock: Clock, problems: Mapping[int, SendProblem]) -> Awaitable[None]:
    """Channels that cannot be sent to, each for a reason."""

    def fail(tx: Transaction) -> None:
        make_due(tx.session, dict.fromkeys(problems, KESTREL), clock())
        for channel_id, problem in problems.items():
            facts = {"status": 503} if problem is SendProblem.ANSWERED else {"error": "OSError"}
            reason = SendReason(problem, facts).to_stored()
            tx.outbox.postpone(channel_id, clock() + timedelta(minutes=1), reason)

    return storage.write(fail)


@pytest.mark.parametrize(
    ("problems", "are_trouble"),
    [
        ({1: SendProblem.ANSWERED, 2: SendProblem.ANSWERED}, True),
        ({1: SendProblem.NOT_REACHED}, True),
        ({1: SendProblem.ANSWERED}, False),  # it may be this channel's
        ({1: SendProblem.ANSWERED, 2: SendProblem.REFUSED, 3: SendProblem.FAILED}, False),
    ],
)
async def test_discord_is_away_if_several_channels_get_nothing_for_minutes(
    storage: Storage, clock: Clock, problems: Mapping[int, SendProblem], are_trouble: bool
) -> None:
    await away(storage, clock, problems)
    clock.forward(minutes=4)
    assert await found(storage, clock=clock) == []
    clock.forward(minutes=2)
    kinds = [one.kind for one in await found(storage, clock=clock)]
    assert kinds == ([TroubleKind.SENDING_STOPPED] if are_trouble else [])


async def test_a_history_that_began_too_late_is_trouble_until_the_next_look_is_done(
    storage: Storage, clock: Clock
) -> None:
    hook = await storage.write(
        lambda tx: tx.hooks.create(KESTREL, CLOUD, TOWER, HookKind.OWN, MAREN, STRUCTURE)
    )
    looked_at = clock()
    clock.forward(seconds=1)
    await storage.write(lambda tx: tx.missed_events.note_gap(hook.id))
    await storage.write(lambda tx: tx.missed_events.note_look(hook.id, looked_at))
    trouble = ActiveTrouble(TroubleKind.CATCH_UP_TOO_SHORT, {"webhooks": 1})
    assert await found(storage, clock=clock) == [trouble]
    clock.forward(minutes=6)
    await storage.write(lambda tx: tx.missed_events.note_look(hook.id, clock()))
    assert await found(storage, clock=clock) == []
