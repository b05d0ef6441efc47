"""What sockets and lists do not say, or say wrongly: nothing is lost, nothing is shown twice."""

import asyncio
import re
from dataclasses import replace
from functools import partial

import pytest

from bot.app import App, Timings
from bot.model import PauseReason, PauseWhy
from bot.pipeline.access import AccessTimings
from bot.pipeline.listening.pace import ListeningPace
from sandbox.speckle.people_at_work import PersonAtWork
from tests.conftest import only_2_31
from tests.pipeline.deliveries import wait_until_paused
from tests.pipeline.test_access import said
from tests.pipeline.test_live import BY_SOCKET, LIVE, PACE, QUICK, Workshop, is_paused
from tests.pipeline.test_live import workshop as workshop  # a fixture
from tests.waiting import until

SOCKETS = replace(PACE, sockets_from=0)

pytestmark = only_2_31


@pytest.fixture
def timings() -> Timings:
    return replace(QUICK, access=AccessTimings(silent_for_s=0.2, member_known_s=0.2))


async def follow(workshop: Workshop) -> str:
    """Ilse's account is linked, and heard in #structure; her token."""
    token = await workshop.link(workshop.studio.maren, workshop.ilse)
    assert LIVE in await workshop.subscribe()
    return token


async def socket_is_ready(workshop: Workshop) -> None:
    await until(lambda: workshop.server.live.subscriptions())
    await asyncio.sleep(0.5)


def numbers(workshop: Workshop, word: str) -> list[int]:
    return [int(one) for one in re.findall(rf"{word} no (\d+)", workshop.shown())]


async def poured(workshop: Workshop, app: App, count: int) -> None:
    """Wait for so many, and for what may come beyond that; they are shown once each, in order."""
    await until(lambda: len(numbers(workshop, "pour")) >= count, within_s=60.0)
    await workshop.two_turns_more(app)
    assert numbers(workshop, "pour") == list(range(count))


async def test_frames_that_were_lost_are_found_by_the_timer(workshop: Workshop) -> None:
    async with workshop.start(pace=SOCKETS):
        await follow(workshop)
        await socket_is_ready(workshop)
        workshop.server.live.faults.lose_frames()
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        assert workshop.server.live.frames_lost


async def test_a_frozen_socket_and_one_that_is_refused_keep_nobody_waiting(
    workshop: Workshop,
) -> None:
    async with workshop.start(pace=SOCKETS):
        await follow(workshop)
        await socket_is_ready(workshop)
        workshop.server.live.freeze()
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        workshop.server.live.thaw()
        workshop.server.live.faults.refuse = True
        workshop.server.live.cut()
        workshop.publish("columns set")
        await workshop.shows("slab poured", "columns set")
        workshop.server.live.faults.clear()
        await until(lambda: workshop.server.live.subscriptions())


async def test_what_frames_say_is_not_believed(workshop: Workshop) -> None:
    """Reopened comes as CREATED, moved as UPDATED."""
    at_work = PersonAtWork(workshop.server, workshop.ilse)
    async with workshop.start(pace=BY_SOCKET):
        await follow(workshop)
        await socket_is_ready(workshop)
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        version = workshop.tower.versions[-1]
        at_work.comment(version, "is it dry?")
        await until(lambda: "is it dry?" in workshop.shown())
        thread = workshop.tower.comments[-1]
        at_work.resolve(thread, resolved=True)
        await until(lambda: "esolved" in workshop.shown())
        at_work.resolve(thread, resolved=False)
        await until(lambda: "eopened" in workshop.shown())
        at_work.move_version(version, "archive")
        await until(lambda: "oved" in workshop.shown())
        assert workshop.shown().count("is it dry?") >= 1


async def test_what_rings_for_nothing_is_found_by_the_timer(workshop: Workshop) -> None:
    at_work = PersonAtWork(workshop.server, workshop.ilse)
    stranger = PersonAtWork(workshop.server, workshop.server.add_user("Kofi Mensah"))
    async with workshop.start(pace=SOCKETS):
        await follow(workshop)
        await socket_is_ready(workshop)
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        await workshop.type("subscribe", stream_id=workshop.tower.id, events="all")
        at_work.receive(workshop.tower.versions[-1], "revit", "loaded")
        await until(lambda: "eceived" in workshop.shown())
        stranger.ask_for_access(workshop.tower)
        await until(lambda: "Access requested" in workshop.shown())


async def test_equal_milliseconds(workshop: Workshop) -> None:
    async with workshop.start() as app:
        await follow(workshop)
        model = workshop.server.add_model(workshop.tower, "structure/slab", author=workshop.ilse)
        with workshop.server.one_millisecond():
            for number in range(70):
                workshop.server.add_version(
                    workshop.tower, model, author=workshop.ilse, message=f"pour no {number}"
                )
        await poured(workshop, app, 70)


async def test_many_at_once(workshop: Workshop) -> None:
    async with workshop.start() as app:
        await follow(workshop)
        model = workshop.server.add_model(workshop.tower, "structure/slab", author=workshop.ilse)
        for number in range(200):
            workshop.server.add_version(
                workshop.tower, model, author=workshop.ilse, message=f"pour no {number}"
            )
        await poured(workshop, app, 200)


@pytest.mark.parametrize("end", ["revoke", "expire"])
@pytest.mark.parametrize("pace", [SOCKETS, PACE], ids=["socket", "timer"])
async def test_a_token_that_ended_is_noticed_within_one_turn(
    workshop: Workshop, end: str, pace: ListeningPace
) -> None:
    async with workshop.start(pace=pace) as app:
        token = await follow(workshop)
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        getattr(workshop.server, end)(token)
        workshop.publish("columns set")
        structure = workshop.studio.structure
        paused = await wait_until_paused(app, structure, PauseReason.ACCESS_LOST)
        assert paused.pause_detail == PauseWhy.TOKEN_REFUSED
        assert "columns set" not in workshop.shown()
        await until(lambda: not workshop.server.live.sockets)
        assert "no longer accepts" in str((await said(workshop.studio)).embeds)


async def test_one_that_is_not_readable_keeps_no_other_waiting(workshop: Workshop) -> None:
    studio = workshop.studio
    other = workshop.server.add_project("Old Mill", owner=workshop.ilse, visibility="PRIVATE")
    workshop.server.set_role(other, workshop.jonas, "stream:contributor")
    async with workshop.start(who="readers") as app:
        await workshop.link(studio.maren, workshop.jonas)
        assert LIVE in await workshop.subscribe()
        answer = await workshop.type("subscribe", where=studio.facade, stream_id=other.id)
        answer = await studio.sandbox.press(answer, "Show it there", studio.maren)
        await answer.settled()
        workshop.server.set_role(other, workshop.jonas, None)
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        await until(partial(is_paused, app, studio.facade))
        assert not await is_paused(app, studio.structure)
        workshop.publish("columns set")
        await workshop.shows("slab poured", "columns set")


async def test_what_is_too_large_alone_is_shown_without_its_content(workshop: Workshop) -> None:
    tower, ilse = workshop.tower, workshop.ilse
    async with workshop.start():
        await follow(workshop)
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        at_work = PersonAtWork(workshop.server, ilse)
        at_work.comment(tower.versions[-1], "too large a picture")
        tower.activity[-1].info["input"]["screenshot"] = "x" * 40_000_000
        workshop.publish("columns set")
        await workshop.shows("slab poured", "columns set")
        messages = workshop.studio.sandbox.messages(workshop.studio.structure.id)
        (comment,) = [o for m in messages for o in m.embeds if "comment" in o["title"]]
        assert "too large a picture" not in str(comment)
        assert "New comment" in workshop.shown()


async def test_a_project_that_turns_private_pauses(workshop: Workshop) -> None:
    at_work = PersonAtWork(workshop.server, workshop.ilse)
    async with workshop.start() as app:
        await follow(workshop)
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        at_work.update_project(workshop.tower, visibility="PRIVATE")
        workshop.publish("columns set")
        paused = await wait_until_paused(app, workshop.studio.structure, PauseReason.ASK_AGAIN)
        assert paused.pause_detail == PauseWhy.TURNED_PRIVATE
        assert "columns set" not in workshop.shown()
        assert "active again" in await workshop.subscribe()
        await workshop.shows("slab poured", "columns set")


async def test_a_person_who_leaves_pauses(workshop: Workshop) -> None:
    async with workshop.start(who="readers") as app:
        await workshop.link(workshop.juno, workshop.jonas)
        assert LIVE in await workshop.subscribe(workshop.juno)
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        workshop.studio.guild.members.pop(workshop.juno.id)
        await asyncio.sleep(0.5)
        workshop.publish("columns set")
        paused = await wait_until_paused(app, workshop.studio.structure, PauseReason.ACCESS_LOST)
        assert paused.pause_detail == PauseWhy.PERSON_LEFT
        assert "columns set" not in workshop.shown()
        await workshop.link(workshop.studio.maren, workshop.ilse)
        assert "active again" in await workshop.subscribe()
        await workshop.shows("slab poured", "columns set")


async def test_an_account_that_is_unlinked_pauses(workshop: Workshop) -> None:
    async with workshop.start(who="readers") as app:
        await workshop.link(workshop.juno, workshop.jonas)
        assert LIVE in await workshop.subscribe(workshop.juno)
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        question = await workshop.type("unlink", by=workshop.juno)
        await workshop.studio.sandbox.press(question, "Yes, unlink it", workshop.juno)
        paused = await wait_until_paused(app, workshop.studio.structure, PauseReason.ACCESS_LOST)
        assert paused.pause_detail == PauseWhy.UNLINKED
        workshop.publish("columns set")
        await workshop.link(workshop.studio.maren, workshop.ilse)
        assert "active again" in await workshop.subscribe()
        await workshop.shows("slab poured", "columns set")


async def test_a_project_that_is_deleted_keeps_no_other_waiting(workshop: Workshop) -> None:
    """Nothing rings for it, and it has no list any more."""
    studio, server = workshop.studio, workshop.server
    mill = server.add_project("Old Mill", owner=workshop.ilse, visibility="PUBLIC")
    at_the_mill = replace(workshop, tower=mill)
    async with workshop.start(pace=SOCKETS) as app:
        await follow(workshop)
        assert LIVE in await at_the_mill.subscribe(where=studio.facade)
        await socket_is_ready(workshop)
        PersonAtWork(server, workshop.ilse).delete_project(mill)
        await until(partial(is_paused, app, studio.facade))
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        assert not await is_paused(app, studio.structure)
