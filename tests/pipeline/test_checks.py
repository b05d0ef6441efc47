"""What automations found out about a version, on its card: the whole bot between two servers."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot.app import App, Timings
from bot.db.tables import late_enrichment_jobs
from bot.lookups import EventFilter
from bot.pipeline.enrichment.timings import AskedAt, EnrichmentTimings, RetryPatience
from bot.speckle.subscription_options import SubscriptionOptions
from bot.timing import Backoff
from bot.trace_texts import trace_text
from bot.work import LateAddition, RungVersion
from sandbox.speckle import SPECKLE_2_31, SPECKLE_4, FunctionRun, Release
from sandbox.speckle.event_data import iso
from sandbox.speckle.graphql_executor import make_schema
from tests.pipeline.conftest import TIMINGS, StartBot, Studio
from tests.pipeline.test_enrichment import Site, follow, link, site, start
from tests.pipeline.tower import answer
from tests.waiting import until

__all__ = ["site", "start"]

SOON = RetryPatience(timedelta(seconds=0.2), Backoff((0.2,)), timedelta(minutes=1))
ASKED = "VersionChecks"


def asked_at(*seconds: float) -> AskedAt:
    moments = tuple(timedelta(seconds=one) for one in seconds)
    return AskedAt(moments, retry_s=0.3, most=timedelta(minutes=1))


@pytest.fixture
def release(request: pytest.FixtureRequest) -> Release:
    found: Release = getattr(request, "param", SPECKLE_2_31)
    return found


@pytest.fixture
def timings() -> Timings:
    enrichment = EnrichmentTimings(
        question_s=5.0, facts=SOON, picture=SOON, changes=SOON, checks=asked_at(0.5, 1.5, 3.0, 5.0)
    )
    return replace(TIMINGS, enrichment=enrichment)


def shown(studio: Studio) -> str:
    """All that the channel shows."""
    return str([one.embeds for one in studio.sandbox.messages(studio.structure.id)])


async def line_of(studio: Studio, text: str) -> None:
    await until(lambda: text in shown(studio), 20.0)


def times_asked(site: Site) -> int:
    return sum(one.operation == ASKED for one in site.server.requests)


async def nothing_is_to_be_asked(app: App) -> None:
    of_checks = late_enrichment_jobs.c.kind == LateAddition.CHECKS

    async def ended() -> bool:
        with app.storage._database.reading() as connection:
            return connection.scalar(select(late_enrichment_jobs.c.id).where(of_checks)) is None

    await until(ended, 20.0)


async def traces(app: App) -> str:
    rows = await app.storage.read(lambda tx: tx.event_log.newest(EventFilter(), 5))
    return "\n".join(trace_text(line) for row in rows for line in row.trace)


@pytest.mark.parametrize("release", [SPECKLE_2_31, SPECKLE_4], indirect=True)
async def test_the_card_says_what_the_checks_found_as_they_go_on(
    studio: Studio, site: Site, start: StartBot
) -> None:
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        version = site.version()
        site.server.run_automation(version, FunctionRun("FAILED"), name="Trial", is_test=True)
        doors = site.server.run_automation(
            version, FunctionRun(), FunctionRun("RUNNING"), name="Doors"
        )
        clashes = site.server.run_automation(version, FunctionRun("PENDING"))
        await site.publish(version)
        await line_of(studio, "1 check passed · 2 still running")
        site.server.run_automation(version, FunctionRun(), FunctionRun(), run=doors)
        site.server.run_automation(version, FunctionRun("FAILED", errors=12), run=clashes)
        url = f"{site.server.url}/projects/{site.tower.id}/automations/{clashes.automation_id}"
        await line_of(studio, f"2 checks passed, 1 failed: [*Clash check*]({url}) (12 errors)")
        assert "running" not in shown(studio)
        assert "Trial" not in shown(studio)
        await nothing_is_to_be_asked(app)
        assert 2 <= times_asked(site) <= 4
        assert "its checks found" in await traces(app)


async def test_where_nothing_runs_nothing_is_said(
    studio: Studio, site: Site, start: StartBot
) -> None:
    site.server.runs_automations = False
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        version = await site.publish(site.version())
        site.server.run_automation(version, FunctionRun("FAILED"))
        await line_of(studio, "New version")
        await nothing_is_to_be_asked(app)
        assert 1 < times_asked(site) <= 4
        assert "check" not in shown(studio)
        assert "knows of no automation that ran" in await traces(app)


async def test_what_still_runs_in_the_end_is_said_and_an_addition_outlives_a_kill(
    studio: Studio, site: Site, start: StartBot, timings: Timings
) -> None:
    soon = replace(timings.enrichment, checks=asked_at(0.2, 1.5))
    route = f"PATCH /channels/{studio.structure.id}/messages/*"
    async with start(timings=replace(timings, enrichment=soon)) as app:
        await follow(app, studio, site, studio.structure)
        version = site.version()
        site.server.run_automation(version, FunctionRun("TIMEOUT"), FunctionRun("RUNNING"))
        studio.sandbox.faults.fail(route, 503, times=50)
        await site.publish(version)
        await line_of(studio, "New version")
        await nothing_is_to_be_asked(app)
    studio.sandbox.faults.heal()
    async with start() as app:
        await line_of(studio, "1 check could not run: [*Clash check*]")
        assert "1 still running" in shown(studio)
        assert shown(studio).count("still running") == 1
        assert 1 <= times_asked(site) <= 2


async def test_who_may_not_see_the_project_any_more_is_told_nothing_of_checks(
    studio: Studio, site: Site, start: StartBot
) -> None:
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        version = await site.publish(site.version())
        await line_of(studio, "New version")
        site.server.run_automation(version, FunctionRun("FAILED"))
        site.server.revoke(site.token)
        await nothing_is_to_be_asked(app)
        assert "failed" not in shown(studio)


async def test_a_server_without_the_field_is_asked_once(
    studio: Studio, site: Site, start: StartBot
) -> None:
    server = site.server
    server.schema = make_schema(server.release, frozenset({"Version.automationsStatus"}))
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        for message in ("one", "two"):
            await site.publish(site.version(message))
            await line_of(studio, message)
        await nothing_is_to_be_asked(app)
        assert times_asked(site) == 1


async def test_failed_checks_are_an_event_of_their_own_for_channels_that_name_it(
    studio: Studio, site: Site, start: StartBot
) -> None:
    async with start() as app:
        hook = await follow(app, studio, site, studio.structure)
        account_id = await link(app, studio, site)
        only = SubscriptionOptions(events=("automation_failed",))
        await app.storage.write(
            lambda tx: tx.subscriptions.upsert(
                hook.id,
                studio.facade.id,
                only,
                studio.maren.id,
                account_id,
                answer(studio.maren.id, site.tower.name, options=only),
            )
        )
        version = site.version()
        run = site.server.run_automation(version, FunctionRun("RUNNING"), FunctionRun())
        await site.publish(version)
        await line_of(studio, "1 check passed · 1 still running")
        failed = FunctionRun("FAILED", errors=3)
        site.server.run_automation(version, failed, FunctionRun(), run=run)

        def of_facade() -> str:
            return str([one.embeds for one in studio.sandbox.messages(studio.facade.id)])

        await until(lambda: "Checks failed: structure/level 1" in of_facade(), 20.0)
        assert "1 check passed, 1 failed: [*Clash check*]" in of_facade()
        assert "(3 errors)" in of_facade()
        assert "New version" not in of_facade()
        await line_of(studio, "1 check passed, 1 failed")
        await nothing_is_to_be_asked(app)
        # Once: also where it rings again, and nobody but the bot may say so.
        rung = RungVersion(site.server.url, site.tower.id, version.id)
        await app.storage.write(lambda tx: tx.late_enrichment.ask_now(LateAddition.CHECKS, [rung]))
        await site.publish(site.version("Wakes who asks"))
        await nothing_is_to_be_asked(app)
        site.server.add_webhook(
            site.tower,
            f"http://127.0.0.1:{app.port}/webhooks/{hook.key}",
            ("automation_failed",),
            secret=hook.secrets[0],
        )
        await site.fire("automation_failed", {"id": version.id, "checks": {"failures": 9}})
        await line_of(studio, "this bot does not know")
        assert of_facade().count("Checks failed") == 1
        assert "9 checks failed" not in shown(studio) + of_facade()
        assert "Checks failed" not in shown(studio)


async def test_a_server_that_lies_gets_a_plain_line(
    studio: Studio, site: Site, start: StartBot
) -> None:
    run: dict[str, Any] = {"status": "FAILED", "contextView": "https://elsewhere.example/projects/"}
    runs = [run | {"id": f"{number:010x}"} for number in range(20_000)]
    lies = [run | {"id": "f" * 10, "status": status} for status in ("SPLENDID", None, ["FAILED"])]
    automation = {"id": "a" * 10, "name": "**[x](https://a.b)** @everyone\n# y"}
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        version = site.version()
        model = {"id": version.model.id, "name": version.model.name}
        said = {
            "createdAt": iso(version.created_at),
            "authorUser": {"id": site.ilse.id, "name": site.ilse.name},
            "model": model,
            "automationsStatus": {
                "automationRuns": [{"automation": automation, "functionRuns": [*runs, *lies]}]
            },
        }
        faults = site.server.faults
        faults.when = lambda operation: operation == ASKED
        faults.status, faults.content_type = 200, "application/json"
        faults.body = json.dumps({"data": {"project": {"version": said}}})
        await site.publish(version)
        await line_of(studio, "20,000 checks failed: [*")
        assert ", 19,997 more · 3 still running" in shown(studio)
        assert "elsewhere" not in shown(studio)
        assert "](https://a.b)" not in shown(studio)
        assert "\\\\@everyone" in shown(studio)
