"""An account that Speckle refused is linked again: what waited for it continues, the whole bot."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from bot.app import App, Timings
from bot.model import PauseReason, PauseWhy, Subscription, SubscriptionState
from bot.pipeline.access import AccessTimings
from bot.timing import Backoff
from tests.pipeline.conftest import TIMINGS, Run, Studio
from tests.pipeline.deliveries import numbers_in, wait_for_numbers, wait_until_paused
from tests.pipeline.tower import Tower
from tests.waiting import until


@pytest.fixture
def timings() -> Timings:
    # What is held is tried again by nothing but the link: not within this test's time.
    return replace(TIMINGS, access=AccessTimings(silent_for_s=0.2, retry=Backoff((600.0,))))


async def paused_by_a_refused_token(app: App, studio: Studio, tower: Tower) -> None:
    """#structure has shown version 0; versions 1 and 2 are held, as the token is void."""
    await tower.follow(app.storage, studio)
    await tower.fire(range(1))
    await wait_for_numbers(studio, studio.structure, range(1))
    tower.server.revoke(tower.token)
    the_last_yes = datetime.now(UTC) - timedelta(minutes=11)
    with app.storage._database.writing() as connection:
        connection.execute(
            text("UPDATE subscriptions SET access_ok_at = :at"),
            {"at": f"{the_last_yes:%Y-%m-%d %H:%M:%S.%f}"},
        )
    await tower.fire(range(1, 3))
    paused = await wait_until_paused(app, studio.structure, PauseReason.ACCESS_LOST)
    assert paused.pause_detail == PauseWhy.TOKEN_REFUSED


async def link(app: App, studio: Studio, tower: Tower, token: str) -> None:
    """Maren links an account once more, as /link does."""
    way = await app.linking.start_link(studio.maren.id, tower.server.url, person="Maren")
    await app.linking.link_by_token(studio.maren.id, way.nonce, token)


async def subscription(app: App, studio: Studio) -> Subscription:
    (one,) = await app.storage.read(lambda tx: tx.subscriptions.of_channel(studio.structure.id))
    return one


async def test_what_was_paused_for_the_token_continues_without_a_further_press(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await paused_by_a_refused_token(app, studio, tower)
        await link(app, studio, tower, tower.server.token(tower.ilse))
        await wait_for_numbers(studio, studio.structure, range(3))
        assert (await subscription(app, studio)).state is SubscriptionState.ACTIVE


async def test_an_account_of_somebody_else_shows_only_what_that_one_may_see(
    studio: Studio, tower: Tower, run: Run
) -> None:
    async with run() as app:
        await paused_by_a_refused_token(app, studio, tower)
        stranger = tower.server.add_user("Nadia Voss")
        await link(app, studio, tower, tower.server.token(stranger))

        async def forbidden() -> bool:
            return (await subscription(app, studio)).pause_detail == PauseWhy.FORBIDDEN

        await until(forbidden)
        assert numbers_in(studio, studio.structure) == [0]
