"""What is said of a channel that is live, and that it is true: paused, barred, full, taken over."""

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import update

from bot.db.tables import subscriptions
from bot.model import PauseReason, PauseWhy
from bot.storage import Transaction
from sandbox.discord import SandboxMember
from tests.conftest import only_2_31
from tests.pipeline import test_live
from tests.pipeline.deliveries import wait_until_paused
from tests.pipeline.test_live import LIVE, Workshop, nothing_waits
from tests.pipeline.test_owner_end_to_end import text_of
from tests.waiting import until

timings, workshop = test_live.timings, test_live.workshop


async def _followed(workshop: Workshop) -> None:
    """Jonas, who may read the private tower, hears it for #structure by Juno's command."""
    workshop.tower.visibility = "PRIVATE"
    await workshop.link(workshop.juno, workshop.jonas)
    assert LIVE in await workshop.subscribe(workshop.juno)
    workshop.publish("slab poured")
    await workshop.shows("slab poured")
    assert "Kestrel Tower · " in workshop.shown()  # its cards name it, too
    assert f"Project {workshop.tower.id}" not in workshop.shown()


@only_2_31
async def test_a_day_that_is_full_is_notified_of_once_and_what_waited_comes(
    workshop: Workshop,
) -> None:
    studio = workshop.studio
    private = studio.sandbox.world.private_channel(studio.maren.id)
    async with workshop.start(quotas={"events_a_day": 4}) as app:  # a new model is an event, too
        await workshop.link(studio.maren, workshop.ilse)
        assert LIVE in await workshop.subscribe()
        for name in ("slab poured", "columns set", "roof on"):
            workshop.publish(name)
        [notice] = await studio.sandbox.wait_for_messages(private, 1, 15)
        await workshop.shows("slab poured", "columns set")
        assert "wait until tomorrow" in notice.content
        [embed] = notice.embeds
        assert "is not read until" in embed["description"]
        assert "webhook" not in str(embed)
        for command in ("events", "status"):
            answer = text_of(await workshop.type(command))
            assert "waits until then" in answer or "it waits" in answer
        assert "is read only from" in text_of(await workshop.type("doctor"))
        await nothing_waits(app)
        assert len(studio.sandbox.messages(private.id)) == 1
        assert "roof on" not in workshop.shown()
    async with workshop.start():
        await workshop.shows("slab poured", "columns set", "roof on")


@pytest.mark.parametrize("who", ["owners", "public"])
async def test_what_the_host_allows_no_more_is_paused_at_the_next_start(
    workshop: Workshop, who: str
) -> None:
    studio = workshop.studio
    async with workshop.start(who="readers"):
        await _followed(workshop)
    workshop.publish("columns set")
    asked = len(workshop.server.asked_lists("Activity"))
    async with workshop.start(who=who) as app:
        paused = await wait_until_paused(app, studio.structure, PauseReason.ACCESS_LOST)
        assert paused.pause_detail == PauseWhy.NOT_LIVE
        assert len(workshop.server.asked_lists("Activity")) == asked
        private = studio.sandbox.world.private_channel(workshop.juno.id)
        [notice] = await studio.sandbox.wait_for_messages(private, 1, 15)
        assert "is shown if it is live through an account again" in str(notice.embeds)
        assert "Nothing is lost" not in str(notice.embeds)  # a webhook tells nothing of before
        panel = text_of(await workshop.type("subscriptions", by=workshop.juno))
        assert "does not let it show this project live through the account" in panel
        assert "says what is possible instead" in text_of(
            await workshop.type("doctor", by=workshop.juno)
        )
        # Who may still not be heard is told what makes the channel live: no webhook could.
        by_hand = await workshop.subscribe(workshop.juno)
        assert "cannot be live through your account" in by_hand
        assert "Nothing arrives yet" in by_hand
        for what_is_not_so in ("active again", "waits", "by hand", "could not be created"):
            assert what_is_not_so not in by_hand
        assert ("Ask **Ilse Brandt** to link their account" in by_hand) == (who == "owners")
        assert ("Only the person who runs the bot can change that" in by_hand) == (who == "public")
        for command in ("subscriptions", "doctor", "events", "why"):
            answer = text_of(await workshop.type(command, by=workshop.juno))
            assert "othing arrives: the bot has no public address" in answer, command
            for what_is_not_so in ("waiting for the first", "live through the", "Show set-up"):
                assert what_is_not_so not in answer, command
    async with workshop.start(who=who) as app:
        await workshop.link(studio.maren, workshop.ilse)
        assert (LIVE in await workshop.subscribe()) == (who == "owners")
        workshop.publish("roof on")
        if who == "owners":
            await workshop.shows("slab poured", "roof on")
            await workshop.two_turns_more(app)
        assert "columns set" not in workshop.shown()  # it was left in between


async def test_an_owner_who_owns_it_no_more_is_heard_no_more(workshop: Workshop) -> None:
    workshop.tower.visibility = "PRIVATE"
    async with workshop.start(who="owners") as app:
        await workshop.link(workshop.studio.maren, workshop.ilse)
        assert LIVE in await workshop.subscribe()
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        workshop.server.set_role(workshop.tower, workshop.ilse, "stream:contributor")
        await app.storage.write(_as_ten_minutes_later)
        workshop.publish("columns set")
        paused = await wait_until_paused(app, workshop.studio.structure, PauseReason.ACCESS_LOST)
        assert paused.pause_detail == PauseWhy.NOT_LIVE
        assert "columns set" not in workshop.shown()


def _as_ten_minutes_later(tx: Transaction) -> None:
    """The last yes counts no more."""
    tx.session.execute(update(subscriptions).values(access_ok_at=None))


@pytest.mark.parametrize("loss", ["role", "private", "deleted"])
async def test_lost_access_pauses_at_once_though_nothing_is_read(
    workshop: Workshop, loss: str
) -> None:
    """No entry comes of it, and the last yes of the server was seconds ago."""
    server, tower = workshop.server, workshop.tower
    tower.visibility = "PRIVATE" if loss == "role" else "PUBLIC"
    async with workshop.start(who="readers") as app:
        await workshop.link(workshop.juno, workshop.jonas)
        assert LIVE in await workshop.subscribe(workshop.juno)
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        if loss == "deleted":
            server.remove_project(tower)
        else:
            tower.visibility = "PRIVATE"
            server.set_role(tower, workshop.jonas, None)
        paused = await wait_until_paused(app, workshop.studio.structure, PauseReason.ACCESS_LOST)
        lost = PauseWhy.NOT_FOUND if loss == "deleted" else PauseWhy.FORBIDDEN
        assert paused.pause_detail == lost
        doctor = text_of(await workshop.type("doctor", by=workshop.juno))
        assert "is live through the account" not in doctor
        assert ("If the project was deleted" in doctor) == (loss == "deleted")
        again = await workshop.subscribe(workshop.juno)
        assert "stays paused. If it was deleted, use `/unsubscribe`" in again


async def test_a_server_that_does_not_answer_is_no_channel_without_trouble(
    workshop: Workshop,
) -> None:
    async with workshop.start() as app:
        await workshop.link(workshop.studio.maren, workshop.ilse)
        assert LIVE in await workshop.subscribe()
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        workshop.server.faults.status = 503
        doctor = text_of(await workshop.type("doctor"))
        assert "is read and shown once it answers again" in doctor
        assert "Nothing is wrong" not in doctor
        assert "does not answer at the moment" in text_of(await workshop.type("latest"))
        workshop.publish("columns set")

        await until(app.known_trouble.now)  # /status tells what the last look found
        status = text_of(await workshop.type("status"))
        assert "does not answer the bot" in status
        assert "what is live through an account comes afterwards" in status
        workshop.server.faults.clear()
        await workshop.shows("slab poured", "columns set")
        assert "Nothing is wrong" in text_of(await workshop.type("doctor"))
        assert not await app.known_trouble.now()


async def test_who_looks_at_what_was_shown_reads_that_it_is_paused_now(workshop: Workshop) -> None:
    """Nothing is read during the pause of a channel that is live, so no event says it."""
    async with workshop.start() as app:
        token = await workshop.link(workshop.studio.maren, workshop.ilse)
        assert LIVE in await workshop.subscribe()
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        for command in ("events", "why"):
            assert "paused: " not in text_of(await workshop.type(command))
        workshop.server.revoke(token)
        await wait_until_paused(app, workshop.studio.structure, PauseReason.ACCESS_LOST)
        for command in ("events", "why"):
            answer = text_of(await workshop.type(command))
            assert "paused: Speckle no longer accepts the sign-in of" in answer, command
            assert "New version: structure/slab poured" in answer, command


@only_2_31
async def test_one_that_was_paused_while_its_account_was_unlinked_asks_for_an_account(
    workshop: Workshop,
) -> None:
    """Nobody is there to hear it: it must not look live."""
    sandbox, maren = workshop.studio.sandbox, workshop.studio.maren

    async def pressed(label: str, by: SandboxMember) -> str:
        listed = await workshop.type("subscriptions", by=by)
        (choice,) = listed.components[0]["components"][0]["options"]
        page = await sandbox.select(listed, "", [choice["value"]], by)
        answer = await sandbox.press(await page.settled(), label, by)
        return text_of(await answer.settled())

    async with workshop.start():
        await workshop.link(maren, workshop.ilse)
        assert LIVE in await workshop.subscribe()
        assert "Paused." in await pressed("Pause", maren)
        question = await workshop.type("unlink")
        await sandbox.press(question, "Yes, unlink it", maren)
        assert "Link my account" in await pressed("Resume", maren)
        await workshop.link(workshop.juno, workshop.jonas)
        assert LIVE in await pressed("Resume", workshop.juno)
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        ended = text_of(await workshop.type("unsubscribe", project=workshop.tower.id))
        assert "webhook" not in ended
        audit = text_of(await workshop.type("audit", by=workshop.studio.guild.owner))
        assert "unsubscribed" in audit
        assert "webhook" not in audit


@only_2_31
async def test_a_server_that_is_left_out_and_a_key_that_is_lost_are_said_of_what_is_live(
    workshop: Workshop,
) -> None:
    async with workshop.start(who="readers"):
        await _followed(workshop)
    async with workshop.start(servers=("https://app.speckle.systems",), who="readers"):
        for command in ("subscriptions", "doctor", "latest", "account"):
            answer = text_of(await workshop.type(command, by=workshop.juno))
            assert "no longer works with" in answer, command
            assert "🟢 live" not in answer
    key = Fernet.generate_key().decode()
    async with workshop.start(key=key, ready=False, who="readers") as app:
        await app.bot.ready_once.wait()
        listed = text_of(await workshop.type("subscriptions", by=workshop.juno))
        assert "can no longer decrypt the linked account of <@" in listed
        assert "webhook's secret" not in listed
    async with workshop.start(who="readers"):
        assert "🟢 live" in text_of(await workshop.type("subscriptions", by=workshop.juno))
