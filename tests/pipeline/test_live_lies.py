"""A server whose lists lie: nothing is lost, nothing is shown twice, and nobody is kept waiting."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.timing import utc_now
from sandbox.speckle.people_at_work import PersonAtWork
from sandbox.speckle.published_changes import Publication
from tests.conftest import only_2_31
from tests.pipeline.test_live import BY_SOCKET, LIVE, Workshop, is_paused, nothing_waits
from tests.pipeline.test_live import timings as timings  # a fixture
from tests.pipeline.test_live import workshop as workshop  # a fixture
from tests.waiting import until

pytestmark = only_2_31

FAILS = {
    "errors": [{"message": "boom", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}],
    "data": None,
}


async def follow(workshop: Workshop) -> None:
    await workshop.link(workshop.studio.maren, workshop.ilse)
    assert LIVE in await workshop.subscribe()
    workshop.publish("begin")
    await workshop.shows("begin")


def lists_in(operation: str, answer: Any) -> list[Any]:
    """The projects in an answer that has activity lists."""
    asked = operation in ("Activity", "ActivityOfMany")
    return [*answer["data"].values()] if asked else []


@pytest.mark.parametrize("ahead", [timedelta(minutes=10), timedelta(days=300_000)], ids=str)
@pytest.mark.parametrize("count", [1, 60])
async def test_entries_of_the_future_make_nobody_deaf(
    workshop: Workshop, ahead: timedelta, count: int
) -> None:
    async with workshop.start() as app:
        await follow(workshop)
        at = datetime.now(UTC) + ahead
        for number in range(count):
            workshop.listed(f"future {number}")
            for line in workshop.tower.activity[-2:]:
                line.time = at + timedelta(milliseconds=number)
        await until(lambda: f"version: structure/future {count - 1}'" in workshop.shown(), 40.0)
        workshop.publish("now")
        await workshop.shows("now")
        await workshop.two_turns_more(app)
        workshop.publish("later")
        await workshop.shows("now", "later")
        await workshop.two_turns_more(app)
        assert workshop.shown().count("New version: structure/future 0'") == 1


async def test_an_entry_of_the_future_that_was_there_before_makes_nobody_deaf(
    workshop: Workshop,
) -> None:
    async with workshop.start():
        workshop.listed("future")
        for line in workshop.tower.activity:
            line.time = datetime.now(UTC) + timedelta(days=300)
        await follow(workshop)


@pytest.mark.parametrize("wrong_by", [timedelta(days=400), timedelta(days=-400)], ids=str)
async def test_a_clock_that_is_wrong_keeps_nothing_from_being_heard(
    workshop: Workshop, wrong_by: timedelta
) -> None:
    async with workshop.start() as app:
        await follow(workshop)
    async with workshop.start(now=lambda: utc_now() + wrong_by) as app:
        workshop.publish("meanwhile")
        await workshop.shows("begin", "meanwhile")
        await workshop.two_turns_more(app)
        workshop.publish("then")
        await workshop.shows("begin", "meanwhile", "then")
    async with workshop.start() as app:
        workshop.publish("afterwards")
        await workshop.shows("begin", "meanwhile", "then", "afterwards")
        await workshop.two_turns_more(app)
        await workshop.shows("begin", "meanwhile", "then", "afterwards")


@pytest.mark.parametrize("bad", ["9999-12-31T23:59:59.999Z", None, 17, "soon"], ids=str)
async def test_an_entry_without_a_time_hides_none_of_those_before_it(
    workshop: Workshop, bad: Any
) -> None:
    def lie(operation: str, answer: Any) -> Any:
        for stream in lists_in(operation, answer):
            for line in stream["activity"]["items"]:
                if "broken" in line["message"]:
                    line["time"] = bad
        return answer

    async with workshop.start() as app:
        await follow(workshop)
        workshop.server.faults.lie = lie
        for number in range(120):
            workshop.publish(f"pour {number:03}")
        workshop.publish("broken")
        await until(lambda: "/pour 119'" in workshop.shown(), 40.0)
        await workshop.two_turns_more(app)
        shown = workshop.shown()
        assert [n for n in range(120) if f"/pour {n:03}'" not in shown] == []


@pytest.mark.parametrize("depth", [150, 900, 930, 960, 985, 5_000])
async def test_a_comment_that_is_nested_deeply_keeps_nobody_waiting(
    workshop: Workshop, depth: int
) -> None:
    """Anybody who may comment could write it."""

    def lie(operation: str, answer: Any) -> Any:
        text = json.dumps(answer)
        if "DEEP" in text:
            return text.replace('"DEEP"', "[" * depth + "]" * depth).encode()
        return answer

    async with workshop.start():
        await follow(workshop)
        workshop.server.faults.lie = lie
        at_work = PersonAtWork(workshop.server, workshop.ilse)
        at_work.comment(workshop.tower.versions[-1], "look here")
        workshop.tower.activity[-1].info["input"]["content"] = "DEEP"
        workshop.publish("now")
        await workshop.shows("now")
        assert "New comment" in workshop.shown()
        assert "too large to read" in workshop.shown()


async def test_an_entry_of_another_project_is_shown_nowhere(workshop: Workshop) -> None:
    secret = workshop.server.add_project("Secret", owner=workshop.jonas, visibility="PRIVATE")
    model = workshop.server.add_model(secret, "hidden/model", author=workshop.jonas)
    workshop.server.add_version(secret, model, author=workshop.jonas, message="privy words")

    def lie(operation: str, answer: Any) -> Any:
        for stream in lists_in(operation, answer):
            stream["activity"]["items"][:0] = [
                {
                    "id": line.id,
                    "actionType": line.action,
                    "userId": workshop.jonas.id,
                    "streamId": secret.id,
                    "resourceId": line.resource_id,
                    "time": datetime.now(UTC).isoformat(),
                    "info": line.info,
                    "message": line.message,
                }
                for line in secret.activity
            ]
        return answer

    async with workshop.start() as app:
        await follow(workshop)
        workshop.server.faults.lie = lie
        workshop.publish("now")
        await workshop.shows("now")
        await workshop.two_turns_more(app)
        assert "privy" not in workshop.shown()
        assert "hidden" not in workshop.shown()


async def test_a_list_that_lacks_for_a_moment_what_was_said_to_be_new(workshop: Workshop) -> None:
    hide = True

    def lie(operation: str, answer: Any) -> Any:
        if operation == "Activity" and hide:
            for stream in lists_in(operation, answer):
                stream["activity"]["items"] = []
        return answer

    async with workshop.start() as app:
        await follow(workshop)
        workshop.server.faults.lie = lie
        workshop.publish("now")
        await workshop.two_turns_more(app)
        hide = False
        await workshop.shows("now")


async def test_rings_without_end_at_a_slow_server_do_not_pile_up(workshop: Workshop) -> None:
    async with workshop.start(pace=BY_SOCKET) as app:
        await follow(workshop)
        await until(workshop.server.live.subscriptions)
        faults = workshop.server.faults
        faults.delay_s, faults.when = 1.0, lambda operation: operation == "ActivityOfMany"
        most = 0
        for number in range(60):
            workshop.publish(f"ring {number}")
            await asyncio.sleep(0.1)
            most = max(most, sum(one.get_name() == "ring" for one in asyncio.all_tasks()))
        assert most <= 2  # one at work, one that waits with all that rang since
        faults.clear()
        await workshop.shows("ring 0", "ring 30", "ring 59")
        await nothing_waits(app)


@pytest.mark.parametrize("lies", [None, "text", 7, {"id": "x"}], ids=str)
async def test_a_list_that_is_none_is_not_taken_for_an_empty_one(
    workshop: Workshop, lies: Any
) -> None:
    """What is new is read as soon as there is a list; the log says what was wrong."""
    lied = 0

    def lie(operation: str, answer: Any) -> Any:
        nonlocal lied
        for stream in lists_in(operation, answer):
            stream["activity"]["items"] = lies
            lied += 1
        return answer

    async with workshop.start() as app:
        await follow(workshop)
        workshop.server.faults.lie = lie
        workshop.publish("now")
        with capture_logs() as logs:
            await until(lambda: lied > 4)
        refused = [line for line in logs if line["event"] == "listening.refused"]
        assert refused[0]["reason"] == "its answer has an unknown shape"
        workshop.server.faults.clear()
        await workshop.shows("now")
        assert not await is_paused(app, workshop.studio.structure)


async def test_a_project_that_the_server_fails_at_keeps_no_other_waiting(
    workshop: Workshop,
) -> None:
    mill = workshop.server.add_project("Old Mill", owner=workshop.ilse, visibility="PUBLIC")
    at_the_mill = replace(workshop, tower=mill)

    def lie(operation: str, answer: Any) -> Any:
        fails = operation == "Activity" and "grinding" in json.dumps(answer)
        return FAILS if fails else answer

    async with workshop.start() as app:
        await workshop.link(workshop.studio.maren, workshop.ilse)
        assert LIVE in await at_the_mill.subscribe(where=workshop.studio.facade)
        assert LIVE in await workshop.subscribe()
        workshop.server.faults.lie = lie
        at_the_mill.publish("grinding")
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        workshop.server.faults.clear()
        await at_the_mill.shows("grinding", channel=workshop.studio.facade)
        await nothing_waits(app)


async def test_an_entry_that_the_server_fails_at_keeps_no_other_waiting(
    workshop: Workshop,
) -> None:
    def lie(operation: str, answer: Any) -> Any:
        for stream in lists_in(operation, answer):
            for line in stream["activity"]["items"]:
                if "structure/broken" in json.dumps(line.get("info")):
                    return FAILS
        return answer

    async with workshop.start():
        await follow(workshop)
        workshop.server.faults.lie = lie
        for name in ("one", "broken", "two"):
            workshop.publish(name)
        await until(lambda: "New version: structure/two'" in workshop.shown(), 60.0)
        await workshop.shows("one", "two")
        assert "too large to read" in workshop.shown()


async def test_a_server_that_rings_for_nothing_without_end_is_not_asked_without_end(
    workshop: Workshop,
) -> None:
    async with workshop.start(pace=replace(BY_SOCKET, debounce_s=0.01)):
        await follow(workshop)
        await until(workshop.server.live.subscriptions)
        await asyncio.sleep(0.5)
        rings: list[Publication] = []
        workshop.server.subscribers.append(rings.append)
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        asked = len(workshop.server.asked("ActivityOfMany"))
        for _ in range(300):
            for ring in rings:
                workshop.server.live.publish(ring)
            await asyncio.sleep(0.02)
        assert len(workshop.server.asked("ActivityOfMany")) - asked <= 25
