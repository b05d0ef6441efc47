"""What a Speckle server adds to cards, at once or later: the whole bot between two real servers."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.app import App, Timings
from bot.model import Hook, HookKind, Subscription, SubscriptionState
from bot.pipeline import event_pictures
from bot.pipeline.enrichment.timings import EnrichmentTimings, RetryPatience
from bot.services.linking import PasteToken
from bot.speckle.subscription_options import SubscriptionOptions
from bot.speckle_api.circuit_breaker import BreakerLimits
from bot.storage import Transaction
from bot.timing import Backoff
from bot.trace_texts import trace_text
from sandbox.discord import SandboxChannel, SandboxMessage
from sandbox.speckle import SPECKLE_2_31, Release, ServerProject, SpeckleServer, User, Version
from sandbox.speckle.entities import Comment
from sandbox.speckle.event_data import commit_create_data
from tests.conftest import only_2_31, over_postgresql
from tests.pipeline.conftest import CHECKED_ONCE, TIMINGS, StartBot, Studio
from tests.pipeline.tower import answer
from tests.speckle_api.tables import add_object_table
from tests.waiting import until

TRIGGERS = (
    "commit_create",
    "commit_receive",
    "comment_replied",
    "comment_archived",
    "comment_mention",
)


def soon(most: timedelta) -> RetryPatience:
    return RetryPatience(timedelta(seconds=0.1), Backoff((0.1,)), most)


@pytest.fixture
def timings() -> Timings:
    """Waits that are long on purpose are short in here."""
    late = EnrichmentTimings(
        question_s=5.0,
        facts=soon(timedelta(minutes=1)),
        picture=soon(timedelta(minutes=15)),
        changes=soon(timedelta(minutes=1)),
        checks=CHECKED_ONCE,
    )
    return replace(TIMINGS, speckle=BreakerLimits(rest_s=0.3), enrichment=late)


@dataclass(frozen=True)
class Site:
    """A project on a Speckle server, with its owner and their token."""

    server: SpeckleServer
    ilse: User
    token: str
    tower: ServerProject

    def version(self, message: str = "Ground floor", **more: Any) -> Version:
        model = self.tower.models[0]
        facts: dict[str, Any] = {"object_count": 214, "application": "Revit2025", **more}
        made = self.server.add_version(
            self.tower, model, author=self.ilse, message=message, **facts
        )
        return add_object_table(self.server, made, facts["object_count"])

    async def fire(self, trigger: str, data: Mapping[str, Any], message: str | None = None) -> None:
        """Deliver, and see that it was taken."""
        entries = await self.server.fire(self.tower, trigger, data, user=self.ilse, message=message)
        assert [entry.status for entry in entries] == [2] * len(entries)
        assert entries

    async def resolve(self, thread: Comment) -> None:
        await self.fire("comment_archived", self.server.archive(thread, by=self.ilse))

    async def publish(self, version: Version) -> Version:
        await self.fire("commit_create", commit_create_data(version))
        return version


@pytest.fixture
async def site(release: Release) -> AsyncIterator[Site]:
    async with SpeckleServer.start(release=release) as server:
        ilse = server.add_user("Ilse Brandt")
        tower = server.add_project("Kestrel Tower", owner=ilse)
        server.add_model(tower, "structure/level 1")
        yield Site(server, ilse, server.token(ilse), tower)


@pytest.fixture
def start(start_bot: StartBot, site: Site) -> StartBot:
    def started(**more: Any) -> Any:
        return start_bot(
            **{"speckle_servers": (site.server.url,), "speckle": {"enrich_deadline_s": 5.0}} | more
        )

    return started


async def follow(
    app: App, studio: Studio, site: Site, channel: SandboxChannel, *, linked: bool = True
) -> Hook:
    """A hook with its webhook, and with the owner's account unless it is for a stranger."""
    url = site.server.url
    hook = await app.storage.write(
        lambda tx: tx.hooks.create(
            studio.guild.id, url, site.tower.id, HookKind.OWN, studio.maren.id, channel.id
        )
    )
    account_id = await link(app, studio, site) if linked else None
    await app.storage.write(
        lambda tx: tx.subscriptions.upsert(
            hook.id,
            channel.id,
            SubscriptionOptions(),
            studio.maren.id,
            account_id,
            answer(studio.maren.id, site.tower.name) if linked else None,
        )
    )
    site.server.add_webhook(
        site.tower,
        f"http://127.0.0.1:{app.port}/webhooks/{hook.key}",
        TRIGGERS,
        secret=hook.secrets[0],
    )
    return hook


async def link(app: App, studio: Studio, site: Site) -> int:
    """The owner's account, linked by Maren."""
    there = await app.lender.of_user(studio.maren.id, site.server.url)
    if there is not None:
        return there.id
    request = await app.linking.start_link(studio.maren.id, site.server.url)
    assert isinstance(request, PasteToken)
    account = await app.linking.link_by_token(studio.maren.id, request.nonce, site.token)
    return account.id


async def cards(studio: Studio, channel: SandboxChannel, count: int = 1) -> list[SandboxMessage]:
    async def there() -> list[SandboxMessage] | None:
        found = [m for m in studio.sandbox.messages(channel.id) if m.embeds]
        return found if sum(len(m.embeds) for m in found) >= count else None

    return await until(there)


async def card_with(studio: Studio, channel: SandboxChannel, *parts: str) -> dict[str, Any]:
    """The first card in the channel, as soon as it shows all this."""

    async def there() -> dict[str, Any] | None:
        found = [e for m in studio.sandbox.messages(channel.id) for e in m.embeds]
        shown = found[0] if found else {}
        return shown if all(part in str(shown) for part in parts) else None

    return await until(there)


def labels_of(message: SandboxMessage) -> list[str]:
    return [button["label"] for row in message.components for button in row["components"]]


BUTTONS = ["Open in Speckle", "Compare"]


def fields(embed: Mapping[str, Any]) -> dict[str, str]:
    return {field["name"]: field["value"] for field in embed.get("fields", ())}


async def trace_of(app: App, inbox_id: int = 1) -> str:
    row = await app.storage.read(lambda tx: tx.inbox.get(inbox_id))
    assert row is not None
    return "\n".join(map(trace_text, row.trace))


def patches(studio: Studio) -> list[Any]:
    return [r for r in studio.sandbox.requests if r.method == "PATCH" and "/messages/" in r.path]


@over_postgresql
async def test_a_new_version_shows_what_the_server_knows_and_its_picture(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        before = site.version("Foundation")
        version = site.version()
        site.server.render(version)
        site.server.add_comment(site.tower, [version], author=site.ilse, text="Clash at C4")
        site.server.add_issue(site.tower, "Clash at C4", author=site.ilse, versions=[version])
        await site.publish(version)
        (message,) = await cards(studio, studio.structure)
        (embed,) = message.embeds
        assert embed["title"] == "New version: structure/level 1"
        shown = fields(embed)
        assert shown["Application"].startswith("Rev")
        assert labels_of(message) == BUTTONS
        assert shown["Objects"] == "214"
        assert shown["Version before"].startswith(f"[{before.id}](")
        assert re.search(r"\) · <t:\d+:R>$", shown["Version before"])
        what = "Open threads" if site.server.release is SPECKLE_2_31 else "Open issues"
        assert shown[what] == "1"
        (file,) = message.files
        assert embed["image"]["url"] == file.url
        assert file.content.startswith(b"\x89PNG")
        assert patches(studio) == []
        assert "added it" in await trace_of(app)
        assert_token_stays_here(studio, site)


def assert_token_stays_here(studio: Studio, site: Site) -> None:
    assert site.token not in str([(r.path, r.json) for r in studio.sandbox.requests])
    assert all(site.token not in asked.path for asked in site.server.requests)


@over_postgresql
async def test_a_private_picture_that_is_made_later_is_attached_by_an_edit(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        version = await site.publish(site.version())
        (message,) = await cards(studio, studio.structure)
        assert message.files == []
        site.server.render(version)
        embed = await card_with(studio, studio.structure, "'image'")
        (file,) = message.files
        assert embed["image"]["url"] == file.url
        assert fields(embed)["Objects"] == "214"
        assert_token_stays_here(studio, site)
        trace = await trace_of(app)
        assert "Speckle is making it" in trace
        assert "Added its picture" in trace


@only_2_31
async def test_pictures_of_cards_that_share_a_message_come_one_by_one(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        app.bot._rate_limiter.block_for(1.0, "a test wants all in one message")
        versions = [await site.publish(site.version(f"number {n}")) for n in range(3)]
        (message,) = await cards(studio, studio.structure, 3)
        for shown, version in enumerate(reversed(versions), 1):
            site.server.render(version)

            async def all_there(count: int = shown) -> bool:
                return sum("image" in embed for embed in message.embeds) == count

            await until(all_there)
        assert len(message.files) == 1  # one recorded picture stands for all
        for number, embed in enumerate(message.embeds):
            assert f"> number {number}" in embed["description"]


async def test_a_hanging_server_gives_a_plain_card_that_is_filled_in_when_it_answers(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start(speckle={"enrich_deadline_s": 0.3}) as app:
        await follow(app, studio, site, studio.structure)
        site.version("Foundation")
        site.server.faults.hang = True
        version = site.version()
        site.server.render(version)
        await site.publish(version)
        (message,) = await cards(studio, studio.structure)
        assert labels_of(message) == ["Open in Speckle"]
        assert "Objects" not in fields(message.embeds[0])
        assert "first event" in message.embeds[0]["description"]
        assert patches(studio) == []
        site.server.faults.clear()
        embed = await card_with(studio, studio.structure, "Objects", "'image'")
        (message,) = await cards(studio, studio.structure)
        assert labels_of(message) == BUTTONS
        assert "first event" in embed["description"]  # the note stays
        assert "did not answer in time" in await trace_of(app)


async def test_what_comes_late_is_not_added_where_the_channel_no_longer_wants_the_event(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start(speckle={"enrich_deadline_s": 0.3}) as app:
        await follow(app, studio, site, studio.structure)
        site.server.faults.hang = True
        await site.publish(site.version())
        await cards(studio, studio.structure)
        comments = SubscriptionOptions(events=("issues",))

        def narrow(tx: Transaction) -> None:
            (there,) = tx.subscriptions.of_channel(studio.structure.id)
            tx.subscriptions.upsert(there.hook_id, there.channel_id, comments, there.created_by)

        await app.storage.write(narrow)
        site.server.faults.clear()

        async def given_up() -> bool:
            # Facts and picture are two jobs, which are given up one after the other.
            waits = await app.storage.read(lambda tx: tx.late_enrichment.due_in()) is not None
            trace = await trace_of(app)
            return not waits and "follows issues, and this is version_created" in trace

        await until(given_up)
        assert patches(studio) == []


async def test_a_picture_that_never_comes_is_given_up_and_the_trace_says_so(
    studio: Studio, start: StartBot, site: Site, timings: Timings
) -> None:
    late = replace(timings.enrichment, picture=soon(timedelta(seconds=1)))
    async with start(timings=replace(timings, enrichment=late)) as app:
        await follow(app, studio, site, studio.structure)
        await site.publish(site.version())
        await cards(studio, studio.structure)

        async def given_up() -> bool:
            return "stays without its picture" in await trace_of(app)

        await until(given_up)
        assert await app.storage.read(lambda tx: tx.late_enrichment.due_in()) is None
        assert patches(studio) == []


@over_postgresql
async def test_what_is_missing_is_filled_in_after_a_restart(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start(speckle={"enrich_deadline_s": 0.3}) as app:
        await follow(app, studio, site, studio.structure)
        site.server.faults.hang = True
        version = site.version()
        site.server.render(version)
        await site.publish(version)
        await cards(studio, studio.structure)
    site.server.faults.clear()
    async with start():
        await card_with(studio, studio.structure, "Objects", "'image'")


async def test_events_of_one_project_wait_for_a_hanging_server_once_and_not_each(
    studio: Studio, start: StartBot, site: Site, timings: Timings
) -> None:
    hurried = replace(
        timings,
        enrichment=replace(timings.enrichment, moment_s=0.1),
        speckle=BreakerLimits(failures=1_000),  # what holds without it, too
    )
    async with start(timings=hurried, speckle={"enrich_deadline_s": 4.0}) as app:
        await follow(app, studio, site, studio.structure, linked=False)
        site.server.faults.hang = True
        for number in range(4):
            await site.publish(site.version(f"number {number}"))
        async with asyncio.timeout(8):  # and not 16
            await cards(studio, studio.structure, 4)


async def test_a_hanging_server_delays_no_other_servers_events_and_no_stop(
    studio: Studio, start: StartBot, site: Site, timings: Timings
) -> None:
    hurried = replace(timings, enrichment=replace(timings.enrichment, moment_s=0.2))
    async with SpeckleServer.start() as other:
        nadia = other.add_user("Nadia Voss")
        pier = other.add_project("Harbour Pier", owner=nadia, visibility="PUBLIC")
        other.add_model(pier, "pier")
        quick = Site(other, nadia, other.token(nadia), pier)
        servers = (site.server.url, other.url)
        async with start(
            timings=hurried, speckle_servers=servers, speckle={"enrich_deadline_s": 20.0}
        ) as app:
            sites = []
            for number in range(20):
                tower = site.server.add_project(f"Tower {number}", owner=site.ilse)
                site.server.add_model(tower, "structure")
                sites.append(Site(site.server, site.ilse, site.token, tower))
            for one in sites:
                await follow(app, studio, one, studio.structure, linked=False)
            await follow(app, studio, quick, studio.facade, linked=False)
            site.server.faults.hang = True
            for one in sites:
                await one.publish(one.version())
            await quick.publish(quick.version())
            # All of the hanging server's projects could hold up ingest for 20 s, and do not.
            async with asyncio.timeout(10):
                await card_with(studio, studio.facade, "Objects")
            stopped_at = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - stopped_at < 10


@over_postgresql
async def test_a_token_that_is_refused_pauses_at_once_and_keeps_the_event(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start() as app:
        hook = await follow(app, studio, site, studio.structure)
        await site.publish(site.version())
        await cards(studio, studio.structure)
        site.server.revoke(site.token)
        await site.publish(site.version("First floor"))
        paused = await until(lambda: _paused(app, hook))
        assert (paused.pause_reason, paused.pause_detail) == ("access_lost", "token_refused")

        async def written() -> bool:
            # The second where what is added late to the first card found it out before.
            trace = await trace_of(app, 2)
            found = ("no longer accepts the token", "Kept until someone confirms")
            return any(one in trace for one in found)

        await until(written)
        assert site.token not in await trace_of(app, 2)
        assert len(await cards(studio, studio.structure)) == 1
        again = replace(site, token=site.server.token(site.ilse))
        request = await app.linking.start_link(studio.maren.id, site.server.url)
        assert isinstance(request, PasteToken)
        await app.linking.link_by_token(studio.maren.id, request.nonce, again.token)
        await app.storage.write(
            lambda tx: tx.subscriptions.set_state(paused.id, SubscriptionState.ACTIVE)
        )
        shown = await cards(studio, studio.structure, 2)
        assert "First floor" in str(shown[-1].embeds[-1])
        assert fields(shown[-1].embeds[-1])["Objects"] == "214"


async def _paused(app: App, hook: Hook) -> Subscription | None:
    (one,) = await app.storage.read(lambda tx: tx.subscriptions.of_hook(hook.id))
    return one if one.state is SubscriptionState.PAUSED else None


async def test_who_lost_the_project_is_shown_nothing_more_of_it_at_once(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start() as app:
        hook = await follow(app, studio, site, studio.structure)
        await site.publish(site.version())
        await cards(studio, studio.structure)
        site.server.set_role(site.tower, site.ilse, None)
        await site.publish(site.version("First floor"))
        paused = await until(lambda: _paused(app, hook))
        assert (paused.pause_reason, paused.pause_detail) == ("access_lost", "forbidden")
        assert len(await cards(studio, studio.structure)) == 1


@over_postgresql
async def test_with_a_token_that_is_refused_a_public_project_is_read_as_a_stranger(
    studio: Studio, start: StartBot, site: Site
) -> None:
    site.tower.visibility = "PUBLIC"
    async with start() as app:
        hook = await follow(app, studio, site, studio.structure)
        await site.publish(site.version())
        await cards(studio, studio.structure)
        await app.storage.write(lambda tx: tx.hooks.record_project_visibility(hook.id, "public"))
        site.server.revoke(site.token)
        for number in (2, 3):
            await site.publish(site.version(f"Floor {number}"))
            shown = await cards(studio, studio.structure, number)
            assert fields(shown[-1].embeds[-1])["Objects"] == "214"
        assert await _paused(app, hook) is None


async def test_a_stranger_gets_nothing_of_a_private_project(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start() as app:
        await follow(app, studio, site, studio.structure, linked=False)
        version = site.version()
        site.server.render(version)
        await site.publish(version)
        (message,) = await cards(studio, studio.structure)
        assert "Objects" not in fields(message.embeds[0])
        assert message.files == []
        assert "image" not in message.embeds[0]
        assert "the account cannot see the project, or none is linked" in await trace_of(app)


@pytest.mark.parametrize("reachable", [True, False])
async def test_a_public_picture_goes_by_its_address_where_discord_can_reach_it(
    studio: Studio, start: StartBot, site: Site, monkeypatch: pytest.MonkeyPatch, reachable: bool
) -> None:
    site.tower.visibility = "PUBLIC"
    public = "https://speckle.studio-kestrel.example/preview/p/commits/v"
    if reachable:
        monkeypatch.setattr(event_pictures, "preview_url", lambda *_: public)
    async with start() as app:
        await follow(app, studio, site, studio.structure, linked=False)
        version = site.version()
        site.server.render(version)
        await site.publish(version)
        embed = await card_with(studio, studio.structure, "'image'", "Objects")
        (message,) = await cards(studio, studio.structure)
        assert fields(embed)["Objects"] == "214"
        if reachable:
            assert message.embeds[0]["image"]["url"] == public
            assert message.files == []
        else:
            assert message.embeds[0]["image"]["url"] == message.files[0].url


async def test_a_project_that_has_turned_private_is_not_shown_by_an_address(
    studio: Studio, start: StartBot, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_pictures, "preview_url", lambda *_: "https://kestrel.example/p")
    site.tower.visibility = "PUBLIC"
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        version = await site.publish(site.version())
        (message,) = await cards(studio, studio.structure)
        site.tower.visibility = "PRIVATE"
        site.server.render(version)
        embed = await card_with(studio, studio.structure, "'image'")
        assert embed["image"]["url"] == message.files[0].url


async def test_one_question_serves_all_channels_and_hooks_that_may_see_the_same(
    studio: Studio, start: StartBot, site: Site
) -> None:
    site.tower.visibility = "PUBLIC"
    elsewhere = studio.sandbox.add_guild("Elsewhere")
    lobby = elsewhere.add_channel("lobby")
    async with start() as app:
        hook = await follow(app, studio, site, studio.structure, linked=False)
        await app.storage.write(
            lambda tx: tx.subscriptions.upsert(
                hook.id, studio.facade.id, SubscriptionOptions(), studio.maren.id
            )
        )
        other = await app.storage.write(
            lambda tx: tx.hooks.create(
                elsewhere.id, site.server.url, site.tower.id, HookKind.OWN, 1, lobby.id
            )
        )
        await app.storage.write(
            lambda tx: tx.subscriptions.upsert(other.id, lobby.id, SubscriptionOptions(), 1)
        )
        url = f"http://127.0.0.1:{app.port}/webhooks/{other.key}"
        site.server.add_webhook(site.tower, url, TRIGGERS, secret=other.secrets[0])
        await site.publish(site.version())
        for channel in (studio.structure, studio.facade, lobby):
            await card_with(studio, channel, "Objects")
        assert len(site.server.asked("VersionFacts")) == 1


@only_2_31
async def test_a_reply_and_a_resolved_thread_tell_which_thread_it_is(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        version = await site.publish(site.version())
        thread = site.server.add_comment(
            site.tower, [version], author=site.ilse, text="Clash at grid C4\nsecond line"
        )
        reply = site.server.add_reply(thread, author=site.ilse, text="Seen")
        await site.fire(
            "comment_replied",
            {"input": {"threadId": thread.id, "projectId": site.tower.id, "content": {"doc": {}}}},
            message=f"Comment reply #{reply.id} created",
        )
        await site.resolve(thread)
        await cards(studio, studio.structure, 3)
        embeds = [e for m in studio.sandbox.messages(studio.structure.id) for e in m.embeds]
        for embed in embeds[1:3]:
            assert fields(embed)["On"].startswith("[structure/level 1](")
            assert embed["description"].endswith("-# Thread: Clash at grid C4")


async def test_a_made_up_event_shows_nothing_of_a_version_from_long_ago(
    studio: Studio, start: StartBot, site: Site
) -> None:
    """Whoever knows the secret could leaf through a project with somebody else's account."""
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        before = site.version("Foundation", at=datetime.now(UTC) - timedelta(days=9))
        old = site.version("Confidential", at=datetime.now(UTC) - timedelta(days=2))
        site.server.render(old)
        data = commit_create_data(old)
        data["commit"] = {**data["commit"], "message": "made up"}
        await site.fire("commit_create", data)
        (message,) = await cards(studio, studio.structure)
        assert (message.embeds[0].get("image"), message.files) == (None, [])
        assert "Objects" not in fields(message.embeds[0])
        assert before.id not in str(message.embeds)
        assert "nothing like it that is as new as the event says" in await trace_of(app)
        assert await app.storage.read(lambda tx: tx.late_enrichment.due_in()) is None


@only_2_31
async def test_that_nobody_received_something_tells_not_what_others_received(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        version = site.version()
        site.server.receive(version, user=site.ilse)
        data = {"sourceApplication": "Rhino", "message": None}
        assert await site.server.fire(site.tower, "commit_receive", data, user=None)
        (message,) = await cards(studio, studio.structure)
        assert version.id not in str(message.embeds)


@only_2_31
async def test_a_received_version_is_named(studio: Studio, start: StartBot, site: Site) -> None:
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        version = site.version()
        site.server.receive(version, user=site.ilse)
        await site.fire("commit_receive", {"sourceApplication": "Rhino", "message": None})
        embed = await card_with(studio, studio.structure, "structure/level 1")
        assert embed["title"].startswith("Version received")
        assert embed["url"].endswith(f"@{version.id}")


async def test_nobody_is_asked_where_that_is_switched_off(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start(speckle={"enrich_deadline_s": 0.0}) as app:
        await follow(app, studio, site, studio.structure, linked=False)
        asked = len(site.server.requests)
        await site.publish(site.version())
        await cards(studio, studio.structure)
        assert len(site.server.requests) == asked
        assert await app.storage.read(lambda tx: tx.late_enrichment.due_in()) is None
