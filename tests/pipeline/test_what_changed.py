"""What changed since the version before, on the card: the whole bot between two real servers."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.app import Timings
from bot.db.tables import late_enrichment_jobs
from bot.lookups import EventFilter
from bot.pipeline.enrichment.timings import EnrichmentTimings, RetryPatience
from bot.timing import Backoff
from bot.trace_texts import trace_text
from bot.work import LateAddition
from sandbox.speckle import SPECKLE_2_31, Release, Version
from sandbox.speckle.made_models import MadeElement, each, made_model
from sandbox.speckle.made_trees import MadeTree, as_tree
from tests.pipeline.conftest import CHECKED_ONCE, TIMINGS, StartBot, Studio
from tests.pipeline.test_enrichment import Site, follow, site, start
from tests.waiting import until

__all__ = ["site", "start"]

ANY = EventFilter()
SOON = RetryPatience(timedelta(seconds=0.2), Backoff((0.2,)), timedelta(minutes=1))


@pytest.fixture
def release() -> Release:
    return SPECKLE_2_31


@pytest.fixture
def timings() -> Timings:
    enrichment = EnrichmentTimings(
        question_s=5.0, facts=SOON, picture=SOON, changes=SOON, checks=CHECKED_ONCE
    )
    return replace(TIMINGS, enrichment=enrichment)


class Models:
    """Versions of one model, a minute apart unless said otherwise."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._at = site.server.now() - timedelta(hours=1)

    def add(self, content: Sequence[MadeElement], *, after_s: float = 60.0) -> Version:
        """The next version."""
        tree = content if isinstance(content, MadeTree) else as_tree(content)
        self._site.tower.objects.update(tree.objects)
        self._at += timedelta(seconds=after_s)
        return self._site.version("Openings", object_id=tree.root, at=self._at)


def shown(studio: Studio) -> str:
    """All that the channel shows."""
    return str([one.embeds for one in studio.sandbox.messages(studio.structure.id)])


async def line_of(studio: Studio, text: str) -> None:
    await until(lambda: text in shown(studio), 20.0)


async def test_the_card_says_what_changed(studio: Studio, site: Site, start: StartBot) -> None:
    models, (before, after) = Models(site), made_model(1_000)
    models.add(before)
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        await site.publish(models.add(after))
        await line_of(
            studio,
            "**+12 −11 ~47** · Doors +1 −1 ~21 · Walls +5 −3 ~6 · Structural Framing +2 −2 ~4 · "
            "6 more. Changed: *Comments* (25) · moved (17) · category (5)",
        )
        assert shown(studio).count("+12") == 1
        traces = [
            trace_text(line)
            for row in await app.storage.read(lambda tx: tx.event_log.newest(ANY, 5))
            for line in row.trace
        ]
        assert any("what changed since the version before" in one for one in traces)
        await site.publish(models.add(after))
        await line_of(studio, "Identical to the version before")
        await site.publish(models.add(each(after, lambda one: replace(one, meshed=1))))
        await line_of(studio, "Re-exported; no element changed")


async def test_the_first_version_has_nothing_to_compare(
    studio: Studio, site: Site, start: StartBot
) -> None:
    models = Models(site)
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        await site.publish(models.add(made_model(200)[0]))
        await until(lambda: "New version" in shown(studio))
        # Its picture is still to come.
        jobs = await app.storage.read(
            lambda tx: [*tx.session.scalars(select(late_enrichment_jobs.c.kind))]
        )
        assert LateAddition.CHANGES not in jobs


async def test_of_a_burst_the_last_is_compared_with_what_was_there_before(
    studio: Studio, site: Site, start: StartBot
) -> None:
    models, (before, after) = Models(site), made_model(200)
    first = models.add(before)
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        burst = [
            models.add(after[:150], after_s=60.0),
            models.add(after[:170], after_s=1.0),
            models.add(after, after_s=1.0),
        ]
        for one in burst:
            await site.publish(one)
        await line_of(studio, f"Since [{first.id}]")
        await asyncio.sleep(1.0)
        assert shown(studio).count("**+2 −3 ~10**") == 1
        assert shown(studio).count("Changed:") == 1
        buttons = [
            (message, button["label"])
            for message in studio.sandbox.messages(studio.structure.id)
            for row in message.components
            for button in row["components"]
            if button.get("custom_id", "").endswith(f":{burst[2].id}:{first.id}")
        ]
        [(message, label)] = buttons
        member = studio.guild.add_member("Tobias Lindqvist")
        answer = await (await studio.sandbox.press(message, label, member)).settled(30.0)
        assert "**+2 −3 ~10**" in str(answer.embeds)
        assert f"{first.id})" in str(answer.embeds)


async def test_it_is_picked_up_after_a_restart_and_never_twice(
    studio: Studio, site: Site, start: StartBot
) -> None:
    models, (before, after) = Models(site), made_model(200)
    models.add(before)
    site.server.faults.path = "/api/v2/projects/"
    site.server.faults.hang = True
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        await site.publish(models.add(after))
        await line_of(studio, "New version")
        await until(lambda: any(o.path.endswith("object-stream") for o in site.server.requests))
    site.server.faults.clear()
    async with start():
        await line_of(studio, "**+2 −3 ~10**")
        await asyncio.sleep(1.0)
    assert shown(studio).count("**+2 −3 ~10**") == 1


async def test_who_may_not_see_the_project_any_more_is_told_nothing_new(
    studio: Studio, site: Site, start: StartBot
) -> None:
    models, (before, after) = Models(site), made_model(200)
    models.add(before)
    site.server.faults.path = "/api/v2/projects/"
    site.server.faults.status = 503
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        await site.publish(models.add(after))
        await line_of(studio, "New version")
        site.server.revoke(site.token)
        site.server.faults.clear()

        async def ended() -> bool:
            return not await app.storage.read(lambda tx: tx.late_enrichment.due_keys(5)) and (
                await app.storage.read(lambda tx: tx.late_enrichment.due_in()) is None
            )

        await until(ended, 20.0)
        assert "+2" not in shown(studio)
