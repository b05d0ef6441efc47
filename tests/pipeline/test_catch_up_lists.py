"""What was missed on a server without an activity list: read from versions, models and issues."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from bot.app import App, Timings
from bot.db.tables import hooks, inbox
from bot.model import Hook
from bot.pipeline.catch_up import from_lists
from bot.timing import utc_now
from bot.trace import TraceStep
from sandbox.speckle import SPECKLE_4, SPECKLE_4_AS_ANNOUNCED, Release, User
from sandbox.speckle.issues import IssueDataShape
from tests.pipeline import test_catch_up
from tests.pipeline.conftest import Run, Studio
from tests.pipeline.deliveries import numbers_in, wait_for_numbers
from tests.pipeline.test_catch_up import KEYS_AGO, QUICK, cards, done_trace, look
from tests.pipeline.tower import Tower
from tests.stored import new_count, waiting_count
from tests.waiting import until

HOUR = timedelta(hours=1)


@pytest.fixture
def timings() -> Timings:
    return QUICK


@pytest.fixture(params=[SPECKLE_4, SPECKLE_4_AS_ANNOUNCED], ids=lambda release: str(release.name))
def release(request: pytest.FixtureRequest) -> Release:
    found: Release = request.param
    return found


async def by_hand(app: App, studio: Studio, tower: Tower) -> Hook:
    """As there, and rows have had subjects as long as keys."""
    await app.storage.write(
        lambda tx: tx.key_values.set(from_lists.SUBJECTS_SINCE, (utc_now() - KEYS_AGO).isoformat())
    )
    hook = await test_catch_up.by_hand(app, studio, tower)
    assert tower.webhook is not None
    tower.webhook.triggers += ["branch_create", "issue_created", "issue_updated"]
    return hook


async def last_row(app: App) -> int:
    return await app.storage.read(lambda tx: tx.missed_events.last_id())


async def tell(app: App, tower: Tower, event_name: str, data: dict[str, Any]) -> None:
    """A webhook comes, and is dealt with."""
    await tower.server.fire(tower.project, event_name, data, user=tower.ilse)
    await done_trace(app, await last_row(app))


async def model_told(app: App, tower: Tower, name: str) -> dict[str, Any]:
    """A new model, which the webhook reports."""
    model = tower.server.add_model(tower.project, name, author=tower.ilse)
    data = {"branch": {"id": model.id, "name": model.name}}
    await tell(app, tower, "branch_create", data)
    return data


async def test_versions_and_models_of_an_outage_come_once_and_in_order(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await by_hand(app, studio, tower)
        await model_told(app, tower, "facade")
        begin = utc_now() - HOUR
        for number in range(1, 52):
            tower.version(number, at=begin + timedelta(seconds=number))
        tower.server.add_model(
            tower.project,
            "roof",
            author=tower.ilse,
            at=begin + timedelta(seconds=51, milliseconds=1),
        )
        tower.version(52)  # its webhook may still come
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(52))

        async def all_there() -> bool:
            return len(cards(studio)) == 54

        await until(all_there)
        last = cards(studio)[-1]
        assert last["title"] == "New model: roof"
        assert "Ilse" in last["author"]["name"]
        assert "no webhook reported it" in last["description"]
        await look(app)
    since = utc_now()
    async with run() as app:
        await test_catch_up.caught_up(app, since)
        assert await app.storage.read(waiting_count) == 0
    assert len(cards(studio)) == 54


async def test_nothing_is_fetched_from_before_the_first_event(
    studio: Studio, tower: Tower, run: Run
) -> None:
    for number in range(100, 172):
        tower.version(number, at=utc_now() - 2 * HOUR)
    async with run() as app:
        await by_hand(app, studio, tower)
        with app.storage._database.writing() as connection:
            connection.execute(update(hooks).values(live_at=utc_now() - HOUR))
        tower.version(1, at=utc_now() - HOUR / 2)
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(2))


async def test_a_webhook_that_comes_after_all_is_not_shown_again(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await by_hand(app, studio, tower)
        data = tower.version(1, at=utc_now() - HOUR)
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(2))
        lie = {**data, "commit": {**data["commit"], "message": "version no 66"}}
        for said in (lie, data):  # somebody who knows the secret does not make it come again
            await tower.server.fire(tower.project, "commit_create", said, user=tower.ilse)
            trace = await done_trace(app, await last_row(app))
            assert TraceStep.SHOWN_BEFORE in [line.step for line in trace]
        assert await tower.fire(range(2, 3)) == [2]
        await wait_for_numbers(studio, studio.structure, range(3))


async def test_what_was_edited_after_its_webhook_came_is_not_shown_again(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await by_hand(app, studio, tower)
        await model_told(app, tower, "facade")
        ago = utc_now() - timedelta(minutes=10)
        with app.storage._database.writing() as connection:
            connection.execute(update(inbox).values(received_at=ago + timedelta(minutes=1)))
        (version,), model = tower.project.versions, tower.project.models[-1]
        version.created_at = model.created_at = model.updated_at = ago
        version.message, model.name = "version no 66", "facade/north"
        tower.version(1, at=utc_now() - timedelta(minutes=3))
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(2))
        assert len(cards(studio)) == 3


async def test_a_webhook_that_came_an_hour_late_is_not_shown_again(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await by_hand(app, studio, tower)
        await tell(app, tower, "commit_create", tower.version(1, at=utc_now() - HOUR))
        tower.version(2, at=utc_now() - HOUR / 2)
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(3))


async def test_a_made_up_event_of_the_same_version_hides_nothing(
    studio: Studio, tower: Tower, run: Run
) -> None:
    """Somebody who knows the secret sends the version first, with another message."""
    async with run() as app:
        await by_hand(app, studio, tower)
        data = tower.version(1, at=utc_now() - HOUR)
        lie = {**data, "commit": {**data["commit"], "message": "version no 66"}}
        await tell(app, tower, "commit_create", lie)
        await look(app)
        await wait_for_numbers(studio, studio.structure, [0, 66, 1])


async def test_what_the_lists_do_not_tell_is_not_made_up(
    studio: Studio, tower: Tower, run: Run
) -> None:
    """An edit and a deletion: nobody can say who did it, and when."""
    async with run() as app:
        await by_hand(app, studio, tower)
        for number in (1, 2):
            tower.version(number, at=utc_now() - HOUR)
        await look(app)
        await wait_for_numbers(studio, studio.structure, range(3))
        tower.project.versions[1].message = "version no 1, checked"
        del tower.project.versions[2]
        await look(app)
        assert await app.storage.read(waiting_count) == 0
        assert numbers_in(studio, studio.structure) == [0, 1, 2]


async def test_of_a_long_time_the_newest_are_fetched_and_it_is_said(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await by_hand(app, studio, tower)
        begin = utc_now() - HOUR
        for number in range(1, from_lists.LISTED + 11):
            tower.version(number, at=begin + timedelta(seconds=number))
        await look(app)
        found = [0, *range(12, from_lists.LISTED + 11)]  # the first one is among the newest
        await wait_for_numbers(studio, studio.structure, found, 60)
        assert "More was missed" in cards(studio)[1]["description"]


# ── issues ────────────────────────────────────────────────────────────────────────────────────

ASKING = {"enrich_deadline_s": 5.0}
ISSUE_EVENTS = ("issue_created", "issue_updated", "issue_reply_created")


async def follow_issues(app: App, studio: Studio, tower: Tower) -> None:
    """As above; the webhook has brought an event of each kind about an issue of yesterday."""
    await by_hand(app, studio, tower)
    assert tower.webhook is not None
    tower.webhook.triggers = [*ISSUE_EVENTS]
    old, data = tower.server.add_issue(
        tower.project, "Old", author=tower.ilse, at=utc_now() - 2 * timedelta(days=1)
    )
    for event_name in ISSUE_EVENTS:
        await tell(app, tower, event_name, data)
    tower.server.delete_issue(old)
    with app.storage._database.writing() as connection:
        connection.execute(update(inbox).values(received_at=utc_now() - 2 * HOUR))


async def shown_after(app: App, studio: Studio, before: int) -> list[str]:
    """The titles of what the channel is shown after so many cards, once nothing waits any more."""
    await look(app)

    async def all_sent() -> bool:
        return await app.storage.read(lambda tx: new_count(tx) + waiting_count(tx)) == 0

    await until(all_sent)
    return [card["title"] for card in cards(studio)[before:]]


async def test_issues_of_an_outage_come_once_and_in_order(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run(speckle=ASKING) as app:
        await follow_issues(app, studio, tower)
        bruno = tower.server.add_user("Bruno Achterberg")
        server, begin = tower.server, utc_now() - HOUR
        issue, _ = server.add_issue(tower.project, "Beam clashes", author=tower.ilse, at=begin)
        changes: list[tuple[User, dict[str, Any]]] = [
            (tower.ilse, {"status": "readyForReview"}),
            (bruno, {"priority": "high"}),
            (tower.ilse, {"title": "Beams clash"}),
            (tower.ilse, {"status": "resolved"}),  # shown together with the one before
        ]
        for second, (who, change) in enumerate(changes, 1):
            server.update_issue(issue, by=who, at=begin + timedelta(seconds=second), **change)
        server.reply_to_issue(issue, author=bruno, text="Thanks", at=begin + timedelta(minutes=1))
        expected = [
            "New issue: KT-1 Beams clash",
            "Issue ready for review: KT-1 Beams clash",
            "Issue changed: KT-1 Beams clash",
            "Issue changed: KT-1 Beams clash",
            "Reply to an issue: KT-1 Beams clash",
        ]
        assert await shown_after(app, studio, 4) == expected
        assert await shown_after(app, studio, 4) == expected
        last = cards(studio)[-2]
        assert "Beam clashes" in str(last)
        assert "resolved" in str(last).lower()


@pytest.mark.parametrize("shape", [IssueDataShape.ISSUE_ID, IssueDataShape.NOTHING])
@pytest.mark.parametrize("asking", [True, False])
async def test_what_a_webhook_told_of_an_issue_is_not_fetched_again(
    studio: Studio, tower: Tower, run: Run, shape: IssueDataShape, asking: bool
) -> None:
    """The second change is the one that was missed."""
    async with run(**{"speckle": ASKING} if asking else {}) as app:
        await follow_issues(app, studio, tower)
        server, at = tower.server, utc_now() - timedelta(minutes=5)
        server.issue_data = shape
        issue, data = server.add_issue(tower.project, "Clash", author=tower.ilse, at=at)
        await tell(app, tower, "issue_created", data)
        at += timedelta(seconds=1)
        await tell(
            app,
            tower,
            "issue_updated",
            server.update_issue(issue, by=tower.ilse, at=at, status="resolved"),
        )
        with app.storage._database.writing() as connection:
            new = inbox.c.received_at > utc_now() - timedelta(minutes=1)
            connection.execute(update(inbox).where(new).values(received_at=at))
        at += timedelta(minutes=1, seconds=30)
        server.update_issue(issue, by=tower.ilse, at=at, priority="high")
        titles = await shown_after(app, studio, 4)
        assert len(titles) == 3
        if asking:
            assert [title.removesuffix(": KT-1 Clash") for title in titles] == [
                "New issue",
                "Issue resolved",
                "Issue changed",
            ]


async def test_a_change_that_was_missed_before_one_that_was_not_is_fetched(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run(speckle=ASKING) as app:
        await follow_issues(app, studio, tower)
        bruno = tower.server.add_user("Bruno Achterberg")
        server, begin = tower.server, utc_now() - timedelta(minutes=5)
        issue, data = server.add_issue(tower.project, "Clash", author=tower.ilse, at=begin)
        await tell(app, tower, "issue_created", data)
        server.update_issue(issue, by=bruno, at=begin + timedelta(seconds=10), priority="high")
        later = begin + timedelta(seconds=20)
        data = server.update_issue(issue, by=tower.ilse, at=later, status="resolved")
        await tell(app, tower, "issue_updated", data)
        titles = await shown_after(app, studio, 5)
        assert titles == ["Issue resolved: KT-1 Clash", "Issue changed: KT-1 Clash"]


async def test_the_webhook_of_an_issue_that_comes_after_all_is_not_shown_again(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run(speckle=ASKING) as app:
        await follow_issues(app, studio, tower)
        server, at = tower.server, utc_now() - timedelta(minutes=5)
        issue, made = server.add_issue(tower.project, "Clash", author=tower.ilse, at=at)
        at += timedelta(seconds=1)
        changed = server.update_issue(issue, by=tower.ilse, at=at, status="resolved")
        expected = ["New issue: KT-1 Clash", "Issue resolved: KT-1 Clash"]
        assert await shown_after(app, studio, 4) == expected
        await tell(app, tower, "issue_created", made)
        await tell(app, tower, "issue_updated", changed)
        assert await shown_after(app, studio, 4) == expected
