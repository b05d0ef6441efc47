"""Who did it has a picture on cards of what lists tell of, which name people by their ids alone."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.app import Timings
from bot.pipeline.enrichment.timings import EnrichmentTimings
from bot.speckle_api.avatars import MAX_ANSWER_BYTES
from bot.timing import utc_now
from sandbox.speckle import SpeckleServer, User
from sandbox.speckle.drawing import draw_avatar
from tests.pipeline import test_catch_up
from tests.pipeline.conftest import Run, Studio
from tests.pipeline.deliveries import wait_for_numbers
from tests.pipeline.test_catch_up import cards, look
from tests.pipeline.test_catch_up_lists import by_hand
from tests.pipeline.test_large_pictures import data_url, noise
from tests.pipeline.test_live import LIVE, QUICK, Workshop
from tests.pipeline.test_live import workshop as workshop  # a fixture
from tests.pipeline.tower import Tower
from tests.waiting import until

SLOW_S = 2.0  # a moment is 1 s
ADDRESS = "https://avatars.example.com/u/1?s=96"
Expected = Callable[[str], bool]


# For a busy machine.
PATIENT = replace(QUICK, enrichment=EnrichmentTimings(moment_s=10.0))


@pytest.fixture
def timings() -> Timings:
    return PATIENT


def publish(workshop: Workshop, name: str, author: User) -> None:
    model = workshop.server.add_model(workshop.tower, name, author=workshop.ilse)
    workshop.server.add_version(workshop.tower, model, author=author)


async def author_of(workshop: Workshop, name: str) -> dict[str, Any]:
    """The author as the card of a model's version shows them."""
    sandbox, channel = workshop.studio.sandbox, workshop.studio.structure.id

    def found() -> list[dict[str, Any]]:
        embeds = [one for message in sandbox.messages(channel) for one in message.embeds]
        return [one["author"] for one in embeds if one["title"] == f"New version: {name}"]

    await until(lambda: bool(found()))
    (author,) = found()
    return author


def asked_for_avatars(server: SpeckleServer) -> int:
    return len([one for one in server.requests if one.operation.startswith("Avatar")])


async def test_a_picture_is_asked_for_once_and_shown_as_a_webhook_s_would_be(
    workshop: Workshop,
) -> None:
    server = workshop.server
    async with SpeckleServer.start() as elsewhere:
        given: Mapping[str, tuple[str | None, Expected]] = {
            "Ada Small": (draw_avatar("Ada Small"), lambda icon: icon.endswith(".png")),
            "Bo Large": (data_url(noise(350)), lambda icon: icon.endswith(".jpg")),
            "Cy Address": (ADDRESS, lambda icon: icon == ADDRESS),
            "Di None": (None, lambda icon: icon == ""),
            "Ed Private": (f"{elsewhere.url}/ed.png", lambda icon: icon == ""),
            "Flo Page": ("data:text/html;base64,PGI+", lambda icon: icon == ""),
            "Gus Broken": (data_url(b"\x89PNG" + bytes(90_000)), lambda icon: icon == ""),
            "Hal Huge": (data_url(bytes(MAX_ANSWER_BYTES)), lambda icon: icon == ""),
        }
        people = {name: server.add_user(name) for name in given}
        for name, (avatar, _) in given.items():
            people[name].avatar = avatar
        async with workshop.start():
            await workshop.link(workshop.studio.maren, workshop.ilse)
            assert LIVE in await workshop.subscribe(events="version_created")
            for turn in ("first", "second"):
                for person in people.values():
                    publish(workshop, f"{turn}/{person.id}", person)
                for name, (_, expected) in given.items():
                    author = await author_of(workshop, f"{turn}/{people[name].id}")
                    assert expected(author.get("icon_url", "").partition("?ex=")[0]), author
            assert asked_for_avatars(server) == len(people)
        assert not elsewhere.requests


@pytest.mark.parametrize("timings", [QUICK])
async def test_a_picture_that_is_late_holds_up_nothing_and_is_there_for_the_next_card(
    workshop: Workshop,
) -> None:
    server, faults = workshop.server, workshop.server.faults
    workshop.ilse.avatar = draw_avatar("Ilse Brandt")
    async with workshop.start():
        await workshop.link(workshop.studio.maren, workshop.ilse)
        assert LIVE in await workshop.subscribe(events="version_created")
        faults.delay_s, faults.when = SLOW_S, lambda operation: operation.startswith("Avatar")
        publish(workshop, "slab", workshop.ilse)
        assert "icon_url" not in await author_of(workshop, "slab")
        await asyncio.sleep(SLOW_S)
        publish(workshop, "roof", workshop.ilse)
        assert "icon_url" in await author_of(workshop, "roof")
        assert asked_for_avatars(server) == 1


async def test_what_is_fetched_from_lists_has_it_too(
    studio: Studio, tower: Tower, run: Run
) -> None:
    avatar = draw_avatar("Ilse Brandt")
    timings = replace(test_catch_up.QUICK, enrichment=PATIENT.enrichment)
    async with run(speckle={"enrich_deadline_s": 10.0}, timings=timings) as app:
        await by_hand(app, studio, tower)
        assert "icon_url" not in cards(studio)[0]["author"]  # as the webhook says
        tower.ilse.avatar = avatar
        tower.version(1, at=utc_now() - timedelta(hours=1))
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(2))
        assert "icon_url" in cards(studio)[1]["author"]
    assert asked_for_avatars(tower.server) == 1
