"""A project that is followed through an account: no webhook, no public address."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import pytest

from bot.app import App, Timings
from bot.lookups import EventFilter
from bot.model import PauseReason, Subscription, SubscriptionState
from bot.pipeline.access import AccessTimings
from bot.pipeline.listening.pace import ListeningPace
from bot.speckle_api.circuit_breaker import BreakerLimits
from bot.storage import Transaction
from bot.timing import Backoff, utc_now
from bot.trace import TraceStep
from sandbox.discord import InteractionView, SandboxChannel, SandboxMember
from sandbox.speckle import (
    Release,
    ServerProject,
    SpeckleServer,
    User,
    Version,
    commit_create_data,
)
from tests.pipeline.conftest import QUICK_NOTICES, TIMINGS, StartBot, Studio
from tests.pipeline.test_owner_end_to_end import free_port, text_of
from tests.stored import new_count, waiting_count
from tests.waiting import until

PACE = ListeningPace(soonest_s=0.2, plan_s=0.2, s_a_project=0.0, retry=Backoff((0.2,)))
BY_SOCKET = replace(PACE, soonest_s=300.0, sockets_from=0)  # what comes soon came by a socket
QUICK = replace(
    TIMINGS,
    notifier=QUICK_NOTICES,
    access=AccessTimings(silent_for_s=0.2),
    speckle=BreakerLimits(rest_s=0.5),
)
LIVE = "Live through your account"


@dataclass(frozen=True)
class Workshop:
    """Ilse owns Kestrel Tower, Jonas works on it; Maren and Juno type in Discord."""

    studio: Studio
    server: SpeckleServer
    ilse: User
    jonas: User
    juno: SandboxMember
    tower: ServerProject
    port: int
    start: Callable[..., AbstractAsyncContextManager[App]]

    async def type(
        self,
        name: str,
        *,
        by: SandboxMember | None = None,
        where: SandboxChannel | None = None,
        **options: object,
    ) -> InteractionView:
        studio = self.studio
        answer = await studio.sandbox.command(
            studio.guild, where or studio.structure, by or studio.maren, name, **options
        )
        return await answer.settled()

    async def link(self, by: SandboxMember, user: User) -> str:
        """Link a member's account; its token."""
        offer = await self.type("link", by=by)
        form = await self.studio.sandbox.press(offer, "Paste it", by)
        token = self.server.token(user)
        linked = await self.studio.sandbox.submit_modal(form, {"Token": token}, by)
        await until(lambda: "is linked" in text_of(linked))
        return token

    async def subscribe(
        self,
        by: SandboxMember | None = None,
        where: SandboxChannel | None = None,
        **options: object,
    ) -> str:
        """What is answered in the end, to a yes where there was a question."""
        who, project = by or self.studio.maren, self.tower.id
        answer = await self.type("subscribe", by=who, where=where, stream_id=project, **options)
        if "Who will see" in text_of(answer):
            answer = await self.studio.sandbox.press(answer, "Show it there", who)
            answer = await answer.settled()
        return text_of(answer)

    def publish(self, message: str) -> None:
        model = self.server.add_model(self.tower, f"structure/{message}", author=self.ilse)
        self.server.add_version(self.tower, model, author=self.ilse, message=message)

    def listed(self, name: str) -> Version:
        """A version in the list, whose webhook is not called yet."""
        model = self.server.add_model(self.tower, f"structure/{name}")
        return self.server.add_version(self.tower, model, author=self.ilse, message=name)

    async def delivered(self, version: Version) -> None:
        """Its call of the project's webhooks, whatever becomes of that."""
        data = commit_create_data(version)
        await self.server.fire(self.tower, "commit_create", data, user=self.ilse)

    async def happens(self, name: str) -> None:
        """A version, as Speckle does it: an entry in the list, and a call of each webhook."""
        await self.delivered(self.listed(name))

    async def two_turns_more(self, app: App) -> None:
        """Wait until the account was asked again, and what that brought, if anything, was shown."""
        asked = self._asked()
        await until(lambda: self._asked() > asked + 2)  # one may have been under way
        await nothing_waits(app)

    async def starts_again(self) -> None:
        """Start once more: what webhooks could not deliver is looked for, and shown if any."""
        begun = utc_now()
        async with self.start(public=True) as app:

            async def looked() -> bool:
                found = await app.storage.read(lambda tx: tx.hooks.with_webhooks())
                return all(one.caught_up_at and one.caught_up_at > begun for one in found)

            await until(looked)
            await nothing_waits(app)

    def _asked(self) -> int:
        """How often it was asked what is new, where there are activity lists and where not."""
        return len(self.server.asked_lists("ActivityOfMany")) + len(self.server.asked("FirstPages"))

    def shown(self, channel: SandboxChannel | None = None) -> str:
        where = (channel or self.studio.structure).id
        return str([(m.content, m.embeds) for m in self.studio.sandbox.messages(where)])

    async def shows(self, *names: str, channel: SandboxChannel | None = None) -> None:
        """Wait for these versions: once each, in their order."""
        await until(
            lambda: all(f"New version: structure/{one}'" in self.shown(channel) for one in names)
        )
        shown = self.shown(channel)
        places = [shown.index(f"New version: structure/{one}'") for one in names]
        assert places == sorted(places)
        for one in names:
            assert shown.count(f"New version: structure/{one}'") == 1


def of_channel(channel: SandboxChannel, tx: Transaction) -> list[Subscription]:
    return tx.subscriptions.of_channel(channel.id)


async def nothing_waits(app: App) -> None:
    """Wait until there is neither an event nor a card on its way."""

    async def nothing() -> bool:
        return not await app.storage.read(lambda tx: new_count(tx) + waiting_count(tx))

    await until(nothing)


async def handed_over(app: App) -> None:
    """Wait until webhooks bring all that accounts heard before, and that was shown."""

    async def over() -> bool:
        return not await app.storage.read(lambda tx: tx.listening.all())

    await until(over)
    await nothing_waits(app)


async def is_paused(app: App, channel: SandboxChannel) -> bool:
    (here,) = await app.storage.read(partial(of_channel, channel))
    return here.is_paused_for_rights


@pytest.fixture
def timings() -> Timings:
    return QUICK


@pytest.fixture
async def workshop(
    studio: Studio, start_bot: StartBot, release: Release, timings: Timings
) -> AsyncIterator[Workshop]:
    async with SpeckleServer.start(release=release) as server:
        ilse, jonas = server.add_user("Ilse Brandt"), server.add_user("Jonas Okafor")
        tower = server.add_project("Kestrel Tower", owner=ilse, visibility="PUBLIC")
        server.set_role(tower, jonas, "stream:contributor")
        port = free_port()

        @asynccontextmanager
        async def start(
            *,
            public: bool = False,
            quotas: Mapping[str, int] | None = None,
            pace: ListeningPace = PACE,
            ready: bool = True,
            servers: Sequence[str] = (server.url,),
            key: str | None = None,
            now: Callable[[], datetime] = utc_now,
            **live: object,
        ) -> AsyncIterator[App]:
            async with start_bot(
                ready=ready,
                now=now,
                timings=replace(timings, listening=pace),
                public_url=f"http://127.0.0.1:{port}" if public else None,
                webhook_port=port,
                speckle_servers=tuple(servers),
                speckle={"enrich_deadline_s": 3.0},
                live=live,
                quotas=quotas or {},
                **({} if key is None else {"encryption_keys": (key,)}),
            ) as app:
                yield app

        juno = studio.guild.add_member("Juno Ferreira", permissions="manage_webhooks")
        yield Workshop(studio, server, ilse, jonas, juno, tower, port, start)


async def test_a_project_is_followed_without_a_public_address(workshop: Workshop) -> None:
    workshop.publish("before anybody followed")
    async with workshop.start():
        await workshop.link(workshop.studio.maren, workshop.ilse)
        assert LIVE in await workshop.subscribe()
        through = f"ive through the account of <@{workshop.studio.maren.id}>"
        await until(lambda: through in workshop.shown())
        assert through in text_of(await workshop.type("subscriptions"))
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        workshop.publish("columns set")
        await workshop.shows("columns set")
        assert "No card was sent" not in text_of(await workshop.type("status"))
    workshop.publish("while the bot was off")
    async with workshop.start() as app:
        await workshop.shows("slab poured", "columns set", "while the bot was off")
        await workshop.two_turns_more(app)
    await workshop.shows("slab poured", "columns set", "while the bot was off")
    assert "before anybody followed" not in workshop.shown()
    assert "Ilse Brandt" in workshop.shown()


async def test_a_socket_rings(workshop: Workshop) -> None:
    """The turns are minutes apart, so that what comes soon came by the socket."""
    async with workshop.start(pace=BY_SOCKET):
        await workshop.link(workshop.studio.maren, workshop.ilse)
        await workshop.subscribe()
        await until(lambda: workshop.server.live.subscriptions())
        await asyncio.sleep(0.5)
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        workshop.server.live.cut()
        workshop.publish("columns set")  # nobody heard
        await workshop.shows("slab poured", "columns set")


async def test_a_socket_tells_of_issues_where_the_server_has_them(
    workshop: Workshop, release: Release
) -> None:
    """It may be opened before it is known that the server has no activity lists."""
    field = "projectIssuesUpdated" if release.bundles else "projectCommentsUpdated"
    async with workshop.start(pace=BY_SOCKET):
        await workshop.link(workshop.studio.maren, workshop.ilse)
        await workshop.subscribe()
        await until(lambda: workshop.server.live.subscriptions(field=field))


async def test_the_trace_says_what_led_to_an_event(workshop: Workshop) -> None:
    async with workshop.start(pace=BY_SOCKET) as app:
        await workshop.link(workshop.studio.maren, workshop.ilse)
        await workshop.subscribe()
        await until(lambda: workshop.server.live.subscriptions())
        await asyncio.sleep(0.5)
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        assert await heard(app, "slab poured") == {"heard": "ring"}
    workshop.server.live.faults.lose_frames()
    async with workshop.start(pace=replace(PACE, soonest_s=1.0, sockets_from=0)) as app:
        await workshop.two_turns_more(app)
        workshop.publish("columns set")
        await workshop.shows("slab poured", "columns set")
        assert await heard(app, "columns set") == {"heard": "turn", "every_s": 1}
        workshop.server.live.faults.clear()
        workshop.server.faults.rate_limit(60.0)  # longer than a question may take
        workshop.publish("while speckle refused")
        await asyncio.sleep(1.0)
        workshop.server.faults.clear()
        workshop.publish("rebar tied")
        await workshop.shows("while speckle refused", "rebar tied")
        assert await heard(app, "while speckle refused") == {"heard": "later"}
    workshop.publish("while the bot was off")
    async with workshop.start(pace=BY_SOCKET) as app:
        await workshop.shows("rebar tied", "while the bot was off")
        assert await heard(app, "while the bot was off") == {"heard": "later"}
        why = text_of(await workshop.type("why"))
        assert "could not look when it happened" in why
        await until(lambda: workshop.server.live.subscriptions())
        await asyncio.sleep(0.5)
        workshop.publish("roof on")
        await workshop.shows("while the bot was off", "roof on")
        assert await heard(app, "roof on") == {"heard": "ring"}


async def heard(app: App, name: str, channel: SandboxChannel | None = None) -> object:
    """What the trace of a version says of how it was heard."""

    def there(tx: Transaction) -> object:
        (facts,) = [
            line.facts
            for event in tx.event_log.newest(EventFilter(), 100)
            for line in event.trace
            for card in event.cards
            if line.step == TraceStep.HEARD and name in str(card.title)
            if card.title and "version" in card.title
            if channel is None or card.channel_id == channel.id
        ]
        return facts

    return await app.storage.read(there)


@pytest.mark.parametrize("who", ["public", "owners", "readers"])
async def test_who_may_be_heard_is_the_hosts_to_say(workshop: Workshop, who: str) -> None:
    workshop.tower.visibility = "PRIVATE"
    async with workshop.start(who=who):
        await workshop.link(workshop.juno, workshop.jonas)
        of_reader = await workshop.subscribe(workshop.juno)
        assert (LIVE in of_reader) == (who == "readers")
        assert ("cannot be live through your account" in of_reader) == (who != "readers")
        assert ("has no public address" in of_reader) == (who != "readers")
        assert "/webhooks/" not in of_reader  # nobody could reach it
        await workshop.link(workshop.studio.maren, workshop.ilse)
        of_owner = await workshop.subscribe(where=workshop.studio.facade)
        assert (LIVE in of_owner) == (who != "public")


async def test_what_an_account_hears_is_shown_in_its_persons_channels_alone(
    workshop: Workshop,
) -> None:
    workshop.tower.visibility = "PRIVATE"
    facade = workshop.studio.facade
    async with workshop.start(who="readers") as app:
        await workshop.link(workshop.studio.maren, workshop.ilse)
        jonas_token = await workshop.link(workshop.juno, workshop.jonas)
        assert LIVE in await workshop.subscribe()
        assert LIVE in await workshop.subscribe(workshop.juno, facade)
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        await workshop.shows("slab poured", channel=facade)
        workshop.server.revoke(jonas_token)
        await until(partial(is_paused, app, facade))
        workshop.publish("columns set")
        await workshop.shows("slab poured", "columns set")
        assert "columns set" not in workshop.shown(facade)
        # Somebody else answers for it, and is shown what happened meanwhile.
        taken = await workshop.subscribe(workshop.studio.maren, facade)
        assert "active again" in taken, taken
        await workshop.shows("slab poured", "columns set", channel=facade)
        assert await heard(app, "columns set", facade) == {"heard": "later"}


async def test_a_members_pause_is_passed_over(workshop: Workshop) -> None:
    async with workshop.start() as app:
        await workshop.link(workshop.studio.maren, workshop.ilse)
        await workshop.subscribe()
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        (here,) = await app.storage.read(partial(of_channel, workshop.studio.structure))
        paused = (SubscriptionState.PAUSED, PauseReason.MEMBER)
        await app.storage.write(lambda tx: tx.subscriptions.set_state(here.id, *paused))
        workshop.publish("while it was paused")
        assert "active again" in await workshop.subscribe()
        workshop.publish("columns set")
        await workshop.shows("slab poured", "columns set")
        assert "while it was paused" not in workshop.shown()


async def test_a_webhook_takes_over_and_each_event_is_shown_once(workshop: Workshop) -> None:
    async with workshop.start():
        await workshop.link(workshop.studio.maren, workshop.ilse)
        assert LIVE in await workshop.subscribe()
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
    workshop.publish("while the bot was off")
    async with workshop.start(public=True) as app:
        assert "in Speckle for you" in await workshop.subscribe()
        assert len(workshop.server.webhooks(workshop.tower)) == 1
        await workshop.happens("columns set")
        await workshop.shows("slab poured", "while the bot was off", "columns set")
        await handed_over(app)
        await workshop.happens("roof on")
        names = ("slab poured", "while the bot was off", "columns set", "roof on")
        await workshop.shows(*names)
    await workshop.starts_again()
    await workshop.shows(*names)
