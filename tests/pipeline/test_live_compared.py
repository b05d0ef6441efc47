"""Live on a Speckle 4, which has no activity list: what was remembered is compared."""

import asyncio
import random
import signal
from dataclasses import dataclass, replace
from functools import partial

import pytest
from sqlalchemy import select

from bot.app import App
from bot.db.tables import remembered_projects
from sandbox.speckle import SPECKLE_4, SPECKLE_4_AS_ANNOUNCED, Model, Version
from sandbox.speckle.people_at_work import PersonAtWork
from tests.conftest import name_of
from tests.pipeline import test_live
from tests.pipeline.test_live import BY_SOCKET, PACE, Workshop, handed_over, nothing_waits
from tests.pipeline.test_stopping import process
from tests.waiting import until

timings, workshop = test_live.timings, test_live.workshop
without_list = pytest.mark.parametrize(
    ("release", "kind"),
    [
        (SPECKLE_4, "sqlite"),
        (SPECKLE_4_AS_ANNOUNCED, "sqlite"),
        (SPECKLE_4_AS_ANNOUNCED, "postgresql"),
    ],
    indirect=["release"],
    ids=["4", "4 as announced", "4 over postgresql"],
)
by_one_release = pytest.mark.parametrize(
    "release", [SPECKLE_4_AS_ANNOUNCED], indirect=True, ids=name_of
)
LISTS = ("FirstPages", "Versions", "ModelsMade", "IssuesMoved", "IssuesThere")
NOT_KNOWN = "The time is when the bot noticed it"


@dataclass
class Week:
    """Models and versions of the tower, and Ilse, who goes on working on them."""

    workshop: Workshop
    at_work: PersonAtWork

    @classmethod
    def of(cls, workshop: Workshop) -> "Week":
        return cls(workshop, PersonAtWork(workshop.server, workshop.ilse))

    def model(self, name: str) -> Model:
        return self.workshop.server.add_model(self.workshop.tower, name, author=self.at_work.user)

    def version(self, model: Model, message: str) -> Version:
        return self.workshop.server.add_version(
            self.workshop.tower, model, author=self.at_work.user, message=message
        )


async def _remembered(app: App) -> bool:
    """Whether what is there has been looked at."""
    stored = await app.storage.read(
        lambda tx: [*tx.session.scalars(select(remembered_projects.c.state))]
    )
    return bool(stored)


async def _follow(workshop: Workshop, app: App) -> None:
    await workshop.link(workshop.studio.maren, workshop.ilse)
    await workshop.subscribe()
    await until(lambda: _remembered(app))


def _titles(workshop: Workshop) -> list[str]:
    messages = workshop.studio.sandbox.messages(workshop.studio.structure.id)
    return [embed.get("title", "") for one in messages for embed in one.embeds]


def _tells(workshop: Workshop, count: int) -> bool:
    return len(_titles(workshop)) == count


@without_list
async def test_what_was_edited_moved_renamed_and_deleted_is_told_once(workshop: Workshop) -> None:
    week = Week.of(workshop)
    slab, old, other, _ = map(week.model, ("slab", "old", "other", "roof"))
    edited, moved, gone = (week.version(slab, one) for one in ("typo", "stray", "wrong"))
    week.version(old, "inside the model that goes")
    issue, _ = workshop.server.add_issue(workshop.tower, "Clash", author=workshop.ilse)
    async with workshop.start() as app:
        await _follow(workshop, app)
        week.at_work.update_version(edited, "no typo any more")
        week.at_work.move_version(moved, "roof")
        week.at_work.delete_version(gone)
        week.at_work.update_model(other, name="another")
        week.at_work.delete_model(old)
        week.at_work.delete_issue(issue)
        await until(lambda: len(_titles(workshop)) >= 6)
        await workshop.two_turns_more(app)
    async with workshop.start() as app:
        await workshop.two_turns_more(app)
    titles, shown = _titles(workshop), workshop.shown()
    assert len(titles) == 6, titles
    assert shown.count(NOT_KNOWN) == 6
    assert "'Message before', 'value': 'typo'" in shown
    assert "no typo any more" in shown
    assert "Ilse" not in shown
    assert "inside the model that goes" not in shown


@by_one_release
async def test_what_a_socket_loses_and_a_cut_hides_is_told_once(workshop: Workshop) -> None:
    """The turns are minutes apart; sockets are lost, and lose frames."""
    week = Week.of(workshop)
    slab = week.model("slab")
    first = week.version(slab, "as it was")
    async with workshop.start(pace=BY_SOCKET) as app:
        await _follow(workshop, app)
        await until(lambda: workshop.server.live.subscriptions())
        await asyncio.sleep(0.5)
        week.at_work.update_version(first, "rung")
        await until(lambda: "rung" in workshop.shown())
        workshop.server.live.faults.lose_frames()
        week.at_work.update_version(first, "lost frame")
        await asyncio.sleep(1.0)
        assert "lost frame" not in workshop.shown()
        workshop.server.live.faults.clear()
        workshop.server.live.cut()
        await until(lambda: "lost frame" in workshop.shown())
        await until(lambda: workshop.server.live.subscriptions())
        await asyncio.sleep(1.0)
        week.at_work.delete_version(first)
        await until(lambda: any("deleted" in one for one in _titles(workshop)))
    titles = _titles(workshop)
    assert titles == ["Version edited: slab", "Version edited: slab", "Version deleted: slab"]


@by_one_release
async def test_the_same_edit_made_again_is_told_again(workshop: Workshop) -> None:
    week = Week.of(workshop)
    version = week.version(week.model("slab"), "one")
    async with workshop.start() as app:
        await _follow(workshop, app)
        for count, message in enumerate(("two", "one", "two", "one"), start=1):
            week.at_work.update_version(version, message)
            await until(partial(_tells, workshop, count))


@by_one_release
async def test_a_full_day_tells_the_rest_on_another_day_and_nothing_twice(
    workshop: Workshop,
) -> None:
    week = Week.of(workshop)
    slab = week.model("slab")
    versions = [week.version(slab, f"version {number}") for number in range(5)]
    small = {"events_a_day": 3}
    async with workshop.start() as app:
        await _follow(workshop, app)
    for one in versions:
        week.at_work.update_version(one, f"{one.message} edited")
    async with workshop.start(quotas=small) as app:
        await until(lambda: len(_titles(workshop)) >= 3)
        await nothing_waits(app)
        assert len(_titles(workshop)) == 3
    async with workshop.start() as app:
        await until(lambda: len(_titles(workshop)) >= 5)
        await workshop.two_turns_more(app)
        assert len(_titles(workshop)) == 5
    shown = workshop.shown()
    for number in range(5):
        assert shown.count(f"'version {number} edited'") == 1


@by_one_release
async def test_edits_outlive_kills_at_any_moment(
    workshop: Workshop, database_url: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    when = random.Random(4)  # noqa: S311
    week = Week.of(workshop)
    slab = week.model("slab")
    versions = [week.version(slab, f"version {number:02}") for number in range(12)]
    async with workshop.start() as app:
        await _follow(workshop, app)
    monkeypatch.setenv("SPECKLE_SERVERS", workshop.server.url)
    for kill in range(4):
        for one in versions[3 * kill : 3 * kill + 3]:
            week.at_work.update_version(one, f"{one.message} edited")
        async with process(workshop.studio.sandbox, database_url, key) as bot:
            await asyncio.sleep(when.uniform(0.0, 1.5))
            bot.send_signal(signal.SIGKILL)
            await bot.wait()
    async with workshop.start() as app:
        await until(lambda: len(_titles(workshop)) >= 12)
        await workshop.two_turns_more(app)
    shown = workshop.shown()
    for number in range(12):
        assert shown.count(f"'version {number:02} edited'") == 1


@by_one_release
async def test_what_a_webhook_tells_too_is_shown_once(workshop: Workshop) -> None:
    """It takes over while what happens comes both ways."""
    week = Week.of(workshop)
    slab, old = map(week.model, ("slab", "old"))
    edited, moved, gone = (week.version(slab, one) for one in ("typo", "stray", "wrong"))
    issue, _ = workshop.server.add_issue(workshop.tower, "Clash", author=workshop.ilse)
    async with workshop.start() as app:
        await _follow(workshop, app)
    async with workshop.start(pace=replace(PACE, soonest_s=300.0), public=True):
        workshop.server.faults.when = lambda operation: operation in LISTS
        workshop.server.faults.status = 503
        await workshop.subscribe()
        assert workshop.server.webhooks(workshop.tower)
        week.at_work.update_version(edited, "no typo any more")
        week.at_work.move_version(moved, "old")
        week.at_work.delete_version(gone)
        week.at_work.update_model(old, name="another")
        week.at_work.delete_issue(issue)
        await until(lambda: len(_titles(workshop)) >= 5)
        workshop.server.faults.clear()
    async with workshop.start(public=True) as app:
        await handed_over(app)
        assert not await _remembered(app)
    assert len(_titles(workshop)) == 5, _titles(workshop)
