"""When the person who runs the bot is notified: once, and once when it is over."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import pytest

from bot.problems import ActiveTrouble, TroubleKind
from bot.services.operator_notices import RECORDS_KEY, NoticeBook, NoticeLimits
from bot.storage import Storage
from tests.services.conftest import CLOUD, OWN_SERVER, Clock

LIMITS: Final = NoticeLimits(
    sure=timedelta(seconds=20),
    sure_patient=timedelta(minutes=3),
    calm=timedelta(minutes=2),
    longest_calm=timedelta(minutes=10),
    remembered=timedelta(hours=1),
)
DISK: Final = ActiveTrouble(TroubleKind.DISK_LOW, {"free_bytes": 5, "margin_bytes": 9})
OUTLETS: Final = ("channel", "webhook")
LOOK_S: Final = 10


class Watch:
    """A book that is looked into every ten seconds, and what its outlets were given."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self.storage = storage
        self.clock = clock
        self.given: list[str] = []
        self.takes = set(OUTLETS)
        self.restart()

    def restart(self) -> None:
        self.book = NoticeBook(self.storage, OUTLETS, self.clock, LIMITS)

    async def passes(self, troubles: Sequence[ActiveTrouble], **time: float) -> list[str]:
        """Let time pass with these troubles; what was said meanwhile."""
        before = len(self.given)
        for _ in range(int(timedelta(**time).total_seconds()) // LOOK_S):
            self.clock.forward(seconds=LOOK_S)
            await self.book.look(troubles)
            await self.give()
        return self.given[before:]

    async def give(self) -> None:
        for outlet in sorted(self.takes):
            for notice in self.book.due_for(outlet):
                what = "over" if notice.is_over else "trouble"
                self.given.append(f"{outlet}: {what} {notice.record.subject}".strip())
                await self.book.given(outlet, notice)


@pytest.fixture
def watch(storage: Storage, clock: Clock) -> Watch:
    return Watch(storage, clock)


BEGUN: Final = ["channel: trouble", "webhook: trouble"]
ENDED: Final = ["channel: over", "webhook: over"]


async def test_a_trouble_is_said_once_and_once_when_it_is_over(watch: Watch) -> None:
    assert await watch.passes([DISK], seconds=20) == []
    assert await watch.passes([DISK], hours=1) == BEGUN
    assert await watch.passes([], seconds=110) == []
    assert await watch.passes([], hours=1) == ENDED


async def test_what_is_over_before_it_was_sure_is_never_said(watch: Watch) -> None:
    assert await watch.passes([DISK], seconds=10) == []
    assert await watch.passes([], hours=1) == []
    assert await watch.storage.read(lambda tx: tx.key_values.get(RECORDS_KEY)) == "[]"


async def test_what_comes_and_goes_by_itself_is_watched_for_longer(watch: Watch) -> None:
    silent = ActiveTrouble(TroubleKind.SPECKLE_NOT_ANSWERING, {}, CLOUD)
    assert await watch.passes([silent], seconds=170) == []
    assert await watch.passes([silent], minutes=1) == [f"{one} {CLOUD}" for one in BEGUN]


async def test_two_of_one_kind_are_two_troubles(watch: Watch) -> None:
    kind = TroubleKind.SPECKLE_NOT_ANSWERING
    both = [ActiveTrouble(kind, {}, server) for server in (CLOUD, OWN_SERVER)]
    assert len(await watch.passes(both, minutes=5)) == 4
    assert await watch.passes(both[:1], minutes=5) == [f"{one} {OWN_SERVER}" for one in ENDED]


async def test_after_a_restart_nothing_is_said_twice_and_the_end_still_is(watch: Watch) -> None:
    assert await watch.passes([DISK], minutes=1) == BEGUN
    watch.restart()
    assert await watch.passes([DISK], minutes=5) == []
    watch.restart()
    assert await watch.passes([], minutes=5) == ENDED
    watch.restart()
    assert await watch.passes([], minutes=5) == []


async def test_a_bot_that_was_killed_before_it_noted_a_notice_says_it_once_more(
    watch: Watch,
) -> None:
    await watch.passes([DISK], seconds=20)
    watch.clock.forward(seconds=LOOK_S)
    await watch.book.look([DISK])
    assert len(watch.book.due_for("channel")) == 1  # sent, and then killed
    watch.restart()
    assert await watch.passes([DISK], minutes=5) == BEGUN


async def test_an_outlet_that_was_away_hears_of_it_later(watch: Watch) -> None:
    watch.takes = {"webhook"}
    assert await watch.passes([DISK], minutes=5) == ["webhook: trouble"]
    watch.takes = {"channel", "webhook"}
    assert await watch.passes([DISK], minutes=5) == ["channel: trouble"]
    watch.takes = {"webhook"}
    assert await watch.passes([], minutes=5) == ["webhook: over"]
    watch.restart()
    watch.takes = {"channel"}
    assert await watch.passes([], hours=2) == ["channel: over"]


async def test_who_never_read_of_a_trouble_reads_when_it_is_over_from_when_to_when(
    watch: Watch,
) -> None:
    watch.takes = {"webhook"}
    began = watch.clock() + timedelta(seconds=LOOK_S)
    await watch.passes([DISK], minutes=5)
    await watch.passes([], minutes=5)
    (notice,) = watch.book.due_for("channel")
    assert (notice.is_over, notice.record.since) == (True, began)
    assert notice.record.over_at == began + timedelta(minutes=5)


async def test_what_flaps_is_no_storm_of_notices(watch: Watch) -> None:
    said = []
    for _ in range(30):
        said += await watch.passes([DISK], minutes=3)
        said += await watch.passes([], minutes=3)
    assert len(said) <= 4 * len(OUTLETS)
    said = await watch.passes([], hours=1)
    assert said == ENDED


async def test_a_trouble_that_comes_back_long_after_is_said_as_the_first_time(
    watch: Watch,
) -> None:
    for _ in range(3):
        assert await watch.passes([DISK], minutes=1) == BEGUN
        assert await watch.passes([], minutes=3) == ENDED
        await watch.passes([], hours=2)
    assert await watch.storage.read(lambda tx: tx.key_values.get(RECORDS_KEY)) == "[]"


async def test_what_was_stored_otherwise_is_found_once_more(watch: Watch) -> None:
    stored = '[{"kind": "a word of a newer release"}]'
    await watch.storage.write(lambda tx: tx.key_values.set(RECORDS_KEY, stored))
    assert await watch.passes([DISK], minutes=1) == BEGUN
