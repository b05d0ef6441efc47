"""Rights that change while cards wait, and who cannot be asked: nothing is lost, nothing shown."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.cogs import watch
from bot.db.rows import Hook, HookKind, PauseReason, Subscription, SubscriptionState
from bot.model import Audience, PauseWhy, Standing
from bot.pipeline import access, fill_ins, routing
from bot.sandbox import SandboxChannel
from bot.sandbox.model import Kind
from bot.speckle.signature import sign
from tests.db.conftest import migrated_database, postgres, postgres_url
from tests.pipeline.conftest import Run, Studio, post
from tests.pipeline.deliveries import COMMIT, route_to, tries_in, until
from tests.pipeline.stage import OpenStage, Stage, stage_of
from tests.pipeline.tower import Tower, answer

__all__ = ["migrated_database", "postgres", "postgres_url"]

LONG_AGO = timedelta(hours=2)
BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "SILENT_FOR_S", 0.2)
    monkeypatch.setattr(access, "WAIT_S", (0.3,))
    monkeypatch.setattr(watch, "KNOWN_S", 0.0)
    monkeypatch.setattr(fill_ins, "QUESTION_S", 2.0)
    patience = {kind: fill_ins.Patience((0.1,), p.most) for kind, p in fill_ins.PATIENCE.items()}
    monkeypatch.setattr(fill_ins, "PATIENCE", patience)
    soon = dict.fromkeys(patience, timedelta(seconds=0.1))
    monkeypatch.setattr(routing, "FIRST_TRY_AFTER", soon)


@pytest.fixture
def kind() -> str:
    return "sqlite"


@pytest.fixture
def stage(
    run: Run,
    studio: Studio,
    tower: Tower,
    kind: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> OpenStage:
    opened = stage_of(run, studio, tower)
    if kind == "sqlite":
        return opened
    url = request.getfixturevalue("postgres_url")
    return lambda **more: opened(database_url=url, **more)


async def paused(at: Stage, subscription: Subscription, why: PauseWhy) -> Subscription:
    async def found() -> Subscription | None:
        now = await at.again(subscription)
        return now if now.state is SubscriptionState.PAUSED else None

    now = await until(found, 20.0)
    assert now.pause_detail == why
    return now


def ilse_is_out(tower: Tower) -> None:
    owner = tower.server.add_user("Ada Okafor")
    tower.server.set_role(tower.project, owner, "stream:owner")
    tower.server.set_role(tower.project, tower.ilse, None)


# ── access is lost while cards wait ───────────────────────────────────────────────────────────


@BOTH
async def test_cards_that_wait_are_taken_back_and_come_as_who_takes_over_may_see_them(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        studio.sandbox.faults.fail(route_to(studio.structure), 503, times=None)
        for number in range(3):
            await at.publish(f"version no {number}")

        async def all_wait() -> bool:
            return await at.app.storage.outbox.waiting_count() == 3

        await until(all_wait)
        ilse_is_out(tower)
        await at.the_last_yes_was(timedelta(minutes=11))
        await at.publish("version no 3")
        await paused(at, there, PauseWhy.FORBIDDEN)
        await at.holds(there, 4)
        studio.sandbox.faults.heal()
        assert at.messages(studio.structure) == []
        await at.taken_over(there, studio.guild.add_member("Tobias Lindqvist"), None)
        await at.shows(studio.structure, "version no 3")
        assert at.quotes(studio.structure) == [f"version no {n}" for n in range(4)]
        assert "214" not in at.shown(studio.structure)


async def test_a_message_that_got_through_without_our_hearing_of_it_is_not_shown_once_more(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        studio.sandbox.faults.reset_after(route_to(studio.structure), times=1)
        await at.publish("version no 0")
        await at.shows(studio.structure, "version no 0")
        studio.sandbox.faults.fail(route_to(studio.structure), 503, times=None)
        ilse_is_out(tower)
        await at.the_last_yes_was(timedelta(minutes=11))
        await at.publish("version no 1")
        await paused(at, there, PauseWhy.FORBIDDEN)
        await at.holds(there, 1)
        studio.sandbox.faults.heal()
        await at.taken_over(there, studio.guild.add_member("Tobias Lindqvist"), None)
        await at.shows(studio.structure, "version no 1")
        assert at.quotes(studio.structure) == ["version no 0", "version no 1"]


async def test_a_batch_of_two_projects_goes_on_for_the_one_that_may_be_shown(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        await at.follow(studio.structure, hook=await at.by_hand())
        studio.sandbox.faults.fail(route_to(studio.structure), 503, times=None)
        at.app.bot._pace.close_for(0.5, "a test wants both in one message")
        await at.publish("version no 0")

        async def both_wait() -> bool:
            return await at.app.storage.outbox.waiting_count() == 2

        await until(both_wait)
        await studio.sandbox.world.wait_until(lambda: None, 1.5)  # tried once, in one message
        ilse_is_out(tower)
        await at.the_last_yes_was(timedelta(minutes=11))
        studio.sandbox.faults.heal()
        await at.shows(studio.structure, "version no 0")
        await paused(at, there, PauseWhy.FORBIDDEN)
        await at.holds(there, 1)
        assert "214" not in at.shown(studio.structure)
        assert at.quotes(studio.structure) == ["version no 0"]


async def test_what_waits_over_a_restart_is_looked_at_again(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        studio.sandbox.faults.fail(route_to(studio.structure), 503, times=None)
        await at.publish("version no 0")

        async def waits() -> bool:
            return await at.app.storage.outbox.waiting_count() == 1

        await until(waits)
        ilse_is_out(tower)
        await at.the_last_yes_was(timedelta(minutes=11))
    studio.sandbox.faults.heal()
    async with stage() as at:
        await paused(at, there, PauseWhy.FORBIDDEN)
        await at.holds(there, 1)
        assert at.messages(studio.structure) == []
    async with stage() as at:
        await at.taken_over(there, studio.guild.add_member("Tobias Lindqvist"), None)
        await at.shows(studio.structure, "version no 0")
        assert "214" not in at.shown(studio.structure)


@pytest.mark.parametrize("unlinked", [True, False])
async def test_cards_of_an_account_are_not_sent_once_somebody_without_it_answers(
    stage: OpenStage, studio: Studio, tower: Tower, unlinked: bool
) -> None:
    """Nothing of Maren's comes to a channel that is Tobias's by now, however it became that."""
    async with stage() as at:
        account = await at.link()
        there = await at.follow(studio.structure, account)
        studio.sandbox.faults.fail(route_to(studio.structure), 503, times=None)
        for number in range(2):
            await at.publish(f"version no {number}")

        async def both_wait() -> bool:
            return await at.app.storage.outbox.waiting_count() == 2

        await until(both_wait)
        if unlinked:
            await at.app.storage.hooks.let_go(account.id)
        await at.taken_over(there, studio.guild.add_member("Tobias Lindqvist"), None)
        studio.sandbox.faults.heal()
        await at.shows(studio.structure, "version no 1")
        assert at.quotes(studio.structure) == ["version no 0", "version no 1"]
        assert "214" not in at.shown(studio.structure)


@pytest.mark.parametrize("answered", [True, False])
async def test_what_comes_late_is_not_added_for_who_lost_access_meanwhile(
    stage: OpenStage, studio: Studio, tower: Tower, answered: bool
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        version = await at.publish("version no 0")
        await at.shows(studio.structure, "214")
        if answered:
            await at.taken_over(there, studio.guild.add_member("Tobias Lindqvist"), None)
        else:
            ilse_is_out(tower)
            await at.the_last_yes_was(timedelta(minutes=11))
        tower.server.render(version)
        await at.settled()
        assert "image" not in at.shown(studio.structure)


async def test_an_edit_that_waits_is_dropped_and_comes_along_with_no_other(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    edits = f"PATCH /channels/{studio.structure.id}/messages/*"
    async with stage() as at:
        await at.follow(studio.structure, await at.link())
        await at.follow(studio.structure, hook=await at.by_hand())
        at.app.bot._pace.close_for(1.0, "a test wants both in one message")
        version = await at.publish("version no 0")
        await studio.sandbox.wait_for_messages(studio.structure.id, 1, 20)
        assert len(at.embeds(studio.structure)) == 2
        studio.sandbox.faults.fail(edits, 503, times=None)
        tower.server.render(version)

        async def tried() -> bool:
            return any(r.method == "PATCH" for r in studio.sandbox.requests)

        await until(tried)
        ilse_is_out(tower)
        await at.the_last_yes_was(timedelta(minutes=11))
        studio.sandbox.faults.heal()
        await at.settled()
        tower.project.visibility = "PUBLIC"  # the other one's next picture is everybody's
        await at.settled()
        assert "image" not in at.shown(studio.structure)


# ── the person, and who sees the channel ──────────────────────────────────────────────────────


@pytest.mark.parametrize("back", [True, False])
async def test_an_account_serves_only_while_its_person_is_in_the_server_and_sees_the_channel(
    stage: OpenStage, studio: Studio, back: bool
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        await at.publish("version no 0")
        await at.shows(studio.structure, "version no 0")
        if back:
            studio.guild.members.pop(studio.maren.id)
        else:
            studio.structure.deny(studio.maren, "view_channel")
        await at.publish("version no 1")
        why = PauseWhy.PERSON_LEFT if back else PauseWhy.PERSON_BLIND
        now = await paused(at, there, why)
        assert now.pause_reason is PauseReason.ACCESS_LOST
        await at.holds(there, 1)
        studio.guild.members[studio.maren.id] = studio.maren
        studio.structure.clear_overwrites()
        await at.taken_over(there, studio.maren, await at.link())
        await at.shows(studio.structure, "version no 1", "214")


async def test_who_comes_back_and_answers_is_not_taken_for_away_by_an_old_answer(
    stage: OpenStage, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "KNOWN_S", 600.0)
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        studio.guild.members.pop(studio.maren.id)
        await at.publish("version no 0")
        await paused(at, there, PauseWhy.PERSON_LEFT)
        studio.guild.members[studio.maren.id] = studio.maren
        await at.taken_over(there, studio.maren, await at.link())
        await at.shows(studio.structure, "version no 0")


def everybody(studio: Studio, channel: SandboxChannel) -> None:
    channel.allow(None, "view_channel")


def a_role(studio: Studio, channel: SandboxChannel) -> None:
    channel.allow(studio.guild.add_role("Contractors"), "view_channel")


def a_member(studio: Studio, channel: SandboxChannel) -> None:
    channel.allow(studio.guild.add_member("Tobias Lindqvist"), "view_channel")


def an_administrators_role(studio: Studio, channel: SandboxChannel) -> None:
    studio.guild.add_role("Directors", "administrator")


def announcements(studio: Studio, channel: SandboxChannel) -> None:
    channel.kind = Kind.ANNOUNCEMENT
    channel.changed()


Widen = Callable[[Studio, SandboxChannel], None]


@pytest.mark.parametrize(
    ("widen", "thread"),
    [
        (everybody, False),
        (a_role, False),
        (a_member, False),
        (an_administrators_role, False),
        (announcements, False),
        (everybody, True),
        (a_role, True),
    ],
)
async def test_a_channel_that_more_people_see_is_shown_nothing_before_somebody_agrees_to_that(
    stage: OpenStage, studio: Studio, widen: Widen, thread: bool
) -> None:
    closed = studio.facade
    async with stage() as at:
        closed.deny(None, "view_channel")
        closed.allow(studio.guild.bot, "view_channel")
        closed.allow(studio.maren, "view_channel")
        place = closed.add_thread("details", bot_joined=True) if thread else closed

        async def is_known() -> bool:
            return not (await at.audience(place)).everyone

        await until(is_known)
        agreed = await at.audience(place)
        there = await at.follow(place, await at.link())
        await at.publish("version no 0")
        await at.shows(place, "version no 0")
        widen(studio, closed)

        async def is_wider() -> bool:
            return (await at.audience(place)).goes_beyond(agreed)

        await until(is_wider)
        await at.publish("version no 1")
        now = await paused(at, there, PauseWhy.AUDIENCE_WIDER)
        assert now.pause_reason is PauseReason.ASK_AGAIN
        await at.holds(there, 1)
        assert at.quotes(place) == ["version no 0"]
        consent = answer(studio.maren.id, audience=await at.audience(place))
        await at.app.storage.subscriptions.answered(there.id, consent)
        await at.app.storage.subscriptions.set_state(there.id, SubscriptionState.ACTIVE)
        await at.shows(place, "version no 1")


async def test_cards_that_wait_are_not_shown_to_more_people_than_was_agreed_to(
    stage: OpenStage, studio: Studio
) -> None:
    async with stage() as at:
        nobody = Audience(everyone=False)
        consent = answer(studio.maren.id, audience=await at.audience(studio.structure))
        there = await at.follow(studio.structure, await at.link(), consent=consent)
        studio.sandbox.faults.fail(route_to(studio.structure), 503, times=None)
        await at.publish("version no 0")

        async def tried() -> bool:
            return bool(tries_in(studio, studio.structure))

        await until(tried)
        narrower = replace(consent, audience=nobody)
        await at.app.storage.subscriptions.answered(there.id, narrower)
        studio.sandbox.faults.heal()
        await paused(at, there, PauseWhy.AUDIENCE_WIDER)
        await at.holds(there, 1)
        assert at.messages(studio.structure) == []


# ── the project ───────────────────────────────────────────────────────────────────────────────


async def agreed_to_while_public(at: Stage) -> Subscription:
    maren = at.studio.maren.id
    public = replace(answer(maren, standing=Standing.ANYONE), visibility="public")
    return await at.follow(at.studio.structure, hook=at.hook, consent=public)


async def test_a_project_that_turns_private_is_shown_only_once_somebody_agrees(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    tower.project.visibility = "PUBLIC"
    async with stage() as at:
        there = await agreed_to_while_public(at)
        await at.publish("version no 0")
        await at.shows(studio.structure, "version no 0", "214")
        tower.project.visibility = "PRIVATE"
        await at.the_last_yes_was(timedelta(minutes=11))
        await at.publish("version no 1")
        await paused(at, there, PauseWhy.TURNED_PRIVATE)
        await at.holds(there, 1)
        assert at.quotes(studio.structure) == ["version no 0"]


async def test_an_event_that_says_made_public_loosens_nothing_and_asks_at_once(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    tower.project.visibility = "PUBLIC"
    async with stage() as at:
        there = await agreed_to_while_public(at)
        await at.publish("version no 0")
        await at.shows(studio.structure, "version no 0")
        tower.project.visibility = "PRIVATE"
        data = {"old": {"isPublic": False}, "new": {"isPublic": True, "visibility": "PUBLIC"}}
        await at.fire("stream_update", data)
        await paused(at, there, PauseWhy.TURNED_PRIVATE)
        await at.holds(there, 1)
        hook = await at.app.storage.hooks.get(at.hook.id)
        assert hook is not None
        assert hook.visibility == "private"


async def test_that_a_project_was_deleted_is_only_said_where_the_account_still_sees_it(
    stage: OpenStage, studio: Studio
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        await at.follow(studio.facade, hook=await at.by_hand())
        await at.fire("stream_delete", {})
        await at.publish("still here")
        await at.shows(studio.structure, "still here", "eleted")
        await at.shows(studio.facade, "still here")
        assert (await at.again(there)).state is SubscriptionState.ACTIVE


async def test_a_project_that_is_gone_for_its_account_ends_what_depends_on_it(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        tower.server.remove_project(tower.project)
        await at.fire("stream_delete", {}, user=None)
        await at.shows(studio.structure, "eleted")
        now = await at.again(there)
        assert now.pause_reason is PauseReason.PROJECT_DELETED


async def test_another_servers_address_in_an_event_changes_no_link(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage() as at:
        await at.follow(studio.structure, await at.link())
        payload = COMMIT.payload
        payload["streamId"] = tower.project.id
        payload["server"]["canonicalUrl"] = "https://evil.example"
        body = _json({"payload": payload})
        assert await post(at.app, at.hook, replace(COMMIT, body=body)) == 202
        await studio.sandbox.wait_for_messages(studio.structure.id, 1, 20)
        assert "evil.example" not in at.shown(studio.structure)
        there = await at.app.storage.hooks.get(at.hook.id)
        assert there is not None
        assert there.server_url == tower.server.url


# ── nobody can be asked ───────────────────────────────────────────────────────────────────────

Break = Callable[[Studio, Tower], Awaitable[None]]


async def speckle_is_away(studio: Studio, tower: Tower) -> None:
    tower.server.faults.when = lambda operation: operation == "Project"
    tower.server.faults.status = 502


async def discord_knows_nobody(studio: Studio, tower: Tower) -> None:
    route = "GET /guilds/{guild_id}/members/{user_id}"
    studio.sandbox.faults.fail(route, 503, times=None)


async def discord_hangs(studio: Studio, tower: Tower) -> None:
    route = "GET /guilds/{guild_id}/members/{user_id}"
    studio.sandbox.faults.slow(route, 60.0)


@pytest.mark.parametrize("broken", [speckle_is_away, discord_knows_nobody, discord_hangs])
async def test_where_nobody_can_be_asked_one_channel_waits_and_the_others_go_on(
    stage: OpenStage, studio: Studio, tower: Tower, broken: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access.AccessCheck.__init__, "__kwdefaults__", {"discord_within_s": 1.0})
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        covered = answer(studio.maren.id, audience=await at.audience(studio.facade))
        await at.follow(studio.facade, hook=at.hook, consent=covered)
        await at.the_last_yes_was(LONG_AGO)
        await broken(studio, tower)
        numbers = [f"version no {number}" for number in range(3)]
        for number in numbers:
            await at.publish(number)
        await at.shows(studio.facade, *numbers)
        assert at.quotes(studio.facade) == numbers
        assert at.messages(studio.structure) == []
        assert (await at.again(there)).state is SubscriptionState.ACTIVE
        tower.server.faults.clear()
        studio.sandbox.faults.heal()
        await at.publish("version no 3")
        await at.shows(studio.structure, "version no 3")
        assert at.quotes(studio.structure) == [*numbers, "version no 3"]
        assert at.quotes(studio.facade) == [*numbers, "version no 3"]


async def test_an_event_that_waits_for_long_does_not_fill_its_trace(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        await at.the_last_yes_was(LONG_AGO)
        await speckle_is_away(studio, tower)
        await at.publish("version no 0")
        await at.holds(there, 1)
        before = await at.app.storage.inbox.get(1)

        async def tried() -> bool:
            held = await at.app.storage.held.due(1)
            return bool(held) and held[0].attempts > 1

        await until(tried, 20.0)
        row = await at.app.storage.inbox.get(1)
        assert row is not None
        assert before is not None
        assert row.trace == before.trace
        tower.server.faults.clear()
        await at.shows(studio.structure, "version no 0")


# ── the operator's guilds ─────────────────────────────────────────────────────────────────────

SHARED_SECRET = "shared between the operator and the server"


async def shared_event(at: Stage, message: str) -> None:
    import aiohttp

    from tests.speckle_server import commit_create_data

    version = at.version(message=message)
    body = _json(
        {
            "payload": {
                "streamId": at.tower.project.id,
                "userId": at.tower.ilse.id,
                "event": {"event_name": "commit_create", "data": commit_create_data(version)},
                "server": {"canonicalUrl": at.tower.server.url},
                "stream": {"id": at.tower.project.id, "name": at.tower.project.name},
                "user": {"id": at.tower.ilse.id, "name": "Ilse Brandt"},
            }
        }
    )
    headers = {
        "Content-Type": "application/json",
        "X-WEBHOOK-SIGNATURE": sign(body, SHARED_SECRET),
    }
    url = f"http://127.0.0.1:{at.app.port}/webhook"
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=body, headers=headers) as answered,
    ):
        assert answered.status == 202


def _json(value: object) -> bytes:
    import json

    return json.dumps(value).encode()


def shared(studio: Studio, tower: Tower, *guilds: int) -> dict[str, object]:
    return {
        "organisation": {"guilds": guilds},
        "speckle_token": tower.token,
        "speckle_webhook_secret": SHARED_SECRET,
    }


async def shared_hook(at: Stage, guild_id: int) -> Hook:
    tower = at.tower
    return await at.app.storage.hooks.create(
        guild_id, tower.server.url, tower.project.id, HookKind.SHARED, at.studio.maren.id, None
    )


@pytest.mark.parametrize(
    ("standing", "adds"),
    [
        (Standing.MANAGER, True),
        (Standing.OWNER, True),
        (Standing.READER, True),
        (Standing.ANYONE, False),
    ],
)
async def test_the_operators_token_adds_only_where_somebody_who_may_has_answered(
    stage: OpenStage, studio: Studio, tower: Tower, standing: Standing, adds: bool
) -> None:
    async with stage(**shared(studio, tower, studio.guild.id)) as at:
        hook = await shared_hook(at, studio.guild.id)
        consent = answer(studio.maren.id, standing=standing)
        await at.follow(studio.facade, hook=hook, consent=consent)
        await shared_event(at, "version no 0")
        await at.shows(studio.facade, "version no 0", *(["214"] if adds else []))
        await shared_event(at, "version no 1")
        await at.shows(studio.facade, "version no 1")
        assert ("214" in at.shown(studio.facade)) is adds


async def test_nobody_has_answered_for_a_shared_hook_so_it_pauses(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage(**shared(studio, tower, studio.guild.id)) as at:
        hook = await shared_hook(at, studio.guild.id)
        there = await at.follow(studio.facade, hook=hook)
        await shared_event(at, "version no 0")
        await paused(at, there, PauseWhy.NOT_ANSWERED)
        assert at.messages(studio.facade) == []


async def test_another_guild_never_gets_what_the_shared_hook_brings(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    elsewhere = studio.sandbox.add_guild("Elsewhere")
    lobby = elsewhere.add_channel("lobby")
    consent = answer(studio.maren.id, standing=Standing.MANAGER)
    async with stage(**shared(studio, tower, studio.guild.id, elsewhere.id)) as at:
        mine = await shared_hook(at, studio.guild.id)
        await at.follow(studio.facade, hook=mine, consent=consent)
        theirs = await shared_hook(at, elsewhere.id)
        there = await at.follow(lobby, hook=theirs)
        await shared_event(at, "version no 0")
        await paused(at, there, PauseWhy.NOT_ANSWERED)
        await at.holds(there, 1)
    async with stage(**shared(studio, tower, studio.guild.id)) as at:
        await at.app.storage.subscriptions.answered(there.id, consent)
        await at.app.storage.subscriptions.set_state(there.id, SubscriptionState.ACTIVE)
        await shared_event(at, "version no 1")
        await at.shows(studio.facade, "version no 1")
        await at.holds(there, 0)
        assert at.messages(lobby) == []
