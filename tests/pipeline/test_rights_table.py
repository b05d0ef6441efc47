"""Who gets what: guild × channel × source × token × every kind of addition, against a real server.

What is expected is written down a second time here, from the rule as people read it.
"""

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import update

from bot.db.tables import accounts as account_rows
from bot.model import (
    Consent,
    Entitlement,
    Hook,
    HookKind,
    HookState,
    InboxSource,
    PauseReason,
    Subscription,
    SubscriptionState,
)
from bot.permissions import Audience, MemberPresence
from bot.pipeline.access import AccessCheck, AccessTimings
from bot.pipeline.author_pictures import AuthorPictures
from bot.pipeline.enrichment.asking import Enrichment
from bot.pipeline.event_context import EventContext
from bot.pipeline.event_pictures import EventPictures
from bot.pipeline.picture_resizer import PictureResizer
from bot.pipeline.reader_cards import ReaderCards
from bot.pipeline.routing import Routing
from bot.pipeline.trace import Trace
from bot.services.known_names import KnownNames
from bot.services.token_lending import TokenLender
from bot.speckle.events import ProjectNames
from bot.speckle.payloads import parse_delivery, read_envelope
from bot.speckle.subscription_options import SubscriptionOptions
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.comparisons import Comparisons
from bot.speckle_api.files import ServerFiles
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.object_counts import ObjectCounts
from bot.speckle_api.previews import Previews
from bot.speckle_api.sign_in import SpeckleSignIn
from bot.speckle_api.version_pictures import VersionPictures
from bot.storage import Storage
from bot.timing import utc_now
from bot.vault import Vault
from bot.work import InboxEvent, InboxState, SubscriptionResult
from sandbox.speckle import (
    SPECKLE_2_31,
    SPECKLE_4_AS_ANNOUNCED,
    Release,
    ServerProject,
    SpeckleServer,
    User,
    commit_create_data,
)
from tests.pipeline.tower import Tower
from tests.speckle_api.tables import add_object_table

SERVED, STRANGE = 710_000_000_000_000_001, 710_000_000_000_000_002
CHANNEL, MAREN, BEA = 730_000_000_000_000_001, 720_000_000_000_000_001, 720_000_000_000_000_002
FEW = Audience(everyone=False, roles=(11,))

GUILDS = {"served": SERVED, "strange": STRANGE}
CHANNELS: Mapping[str, Audience | None] = {
    "as agreed": FEW,
    "wider": Audience(everyone=True),
    "unknown": None,
}
SOURCES = ("by hand", "made", "reader", "owner", "operator", "operator, by anyone")
TOKENS = ("works", "refused", "no access", "silent")
ADDITIONS = [
    (SPECKLE_2_31, "facts"),
    (SPECKLE_2_31, "picture"),
    (SPECKLE_2_31, "first line"),
    (SPECKLE_2_31, "received"),
    (SPECKLE_2_31, "name of a model"),
    (SPECKLE_2_31, "name of a person"),
    (SPECKLE_4_AS_ANNOUNCED, "facts"),
    (SPECKLE_4_AS_ANNOUNCED, "issue"),
    (SPECKLE_4_AS_ANNOUNCED, "name of a person"),
]


@dataclass
class Watch:
    """What Discord says, as a test wants it."""

    sees: Audience | None = FEW
    is_there: MemberPresence = MemberPresence.SEES

    async def audience(self, _guild_id: int, _channel_id: int) -> Audience | None:
        return self.sees

    async def person(self, _guild_id: int, _channel_id: int, _user_id: int) -> MemberPresence:
        return self.is_there


@dataclass
class Bench:
    """A Speckle server with one event of each kind, and two people's accounts in a real storage."""

    server: SpeckleServer
    storage: Storage
    previews: Previews
    project: ServerProject
    ilse: User
    bea: User
    tokens: Mapping[str, str]
    accounts: Mapping[str, int]
    watch: Watch = field(default_factory=Watch)

    def routing(self, *, answer_within_s: float = 10.0) -> Routing:
        """New each time, so that no earlier answer is remembered."""
        gateway = SpeckleClient(servers=(self.server.url,), deadline_s=5.0)
        lender = TokenLender(
            self.storage,
            gateway,
            SpeckleSignIn(self.previews._http),
            apps={},
            first_server=self.server.url,
            operator_token=self.tokens["owner"],
            served_guilds=(SERVED,),
            now=utc_now,
        )
        counts = ObjectCounts(self.previews._http)
        pictures = EventPictures(
            VersionPictures(self.previews), ServerFiles(self.previews._http), lender
        )
        comparisons = Comparisons(self.previews._http)
        enrichment = Enrichment(
            gateway,
            pictures,
            lender,
            counts,
            comparisons,
            servers=(self.server.url,),
            deadline_s=5.0,
        )
        timings = AccessTimings(answer_within_s=answer_within_s)
        access = AccessCheck(self.storage, gateway, lender, self.watch, utc_now, timings)
        names = KnownNames(self.storage, gateway, lender, now=utc_now)
        servers = (self.server.url,)
        resizer = PictureResizer()
        authors = AuthorPictures(gateway, lender, resizer)
        cards = ReaderCards(enrichment, names, authors, speckle_servers=servers, now=utc_now)
        return Routing(enrichment, access, resizer, cards, now=utc_now)

    def hook(self, source: str, guild_id: int) -> Hook:
        shared = source.startswith("operator")
        return Hook(
            id=1,
            guild_id=guild_id,
            server_url=self.server.url,
            project_id=self.project.id,
            project_name=None,
            kind=HookKind.SHARED if shared else HookKind.OWN,
            key=None if shared else "key",
            secrets=(),
            state=HookState.LIVE,
            setup_channel_id=None,
            created_by=MAREN,
            created_at=utc_now(),
            live_at=utc_now(),
            last_event_at=None,
            webhook_id="webhook001" if source in ("made", "reader", "owner") else None,
        )

    def subscription(self, source: str, guild_id: int, yes_at: datetime | None) -> Subscription:
        standing = {
            "made": Entitlement.OWNER,
            "reader": Entitlement.READER,
            "owner": Entitlement.OWNER,
            "operator": Entitlement.MANAGER,
            "operator, by anyone": Entitlement.ANYONE,
        }.get(source)
        now = utc_now() - timedelta(days=1)
        consent = standing and Consent(MAREN, now, standing, SubscriptionOptions(), "private", FEW)
        return Subscription(
            id=1,
            hook_id=1,
            guild_id=guild_id,
            channel_id=CHANNEL,
            options=SubscriptionOptions(),
            state=SubscriptionState.ACTIVE,
            pause_reason=None,
            pause_detail=None,
            created_by=MAREN,
            created_at=now,
            updated_at=now,
            last_event_at=None,
            account_id=self.accounts.get(source),
            access_ok_at=yes_at,
            consent=consent or None,
        )

    async def route(
        self, source: str, guild: str, body: bytes, *, silent: bool
    ) -> SubscriptionResult:
        guild_id = GUILDS[guild]
        hook = self.hook(source, guild_id)
        shared = hook.kind is HookKind.SHARED
        now = utc_now()
        row = InboxEvent(
            id=1,
            hook_id=None if shared else 1,
            ordering_key="a lane",
            project_id=self.project.id,
            server_url=self.server.url,
            digest="",
            body=body,
            received_at=now,
            state=InboxState.NEW,
            finished_at=None,
            event_name=None,
            trace=(),
            source=InboxSource.OPERATOR if shared else InboxSource.WEBHOOK,
        )
        delivery = parse_delivery(read_envelope(body))
        occasion = EventContext(hook, row, delivery, ProjectNames(), Trace(utc_now, row))
        yes_at = now - timedelta(hours=2) if silent else None
        routing = self.routing(answer_within_s=0.1 if silent else 10.0)
        subscriptions = [self.subscription(source, guild_id, yes_at)]
        (way,) = await routing.route([(occasion, subscriptions)])
        (routed,) = way.results
        return routed

    async def set_token(self, source: str, token: str) -> None:
        """Let the token that would read for this source be in this state."""
        with self.storage._database.writing() as connection:
            connection.execute(update(account_rows).values(refused_at=None))
        name = source if source in self.accounts else "owner"
        user = self.bea if name == "reader" else self.ilse
        text = self.tokens[name]
        self.server.tokens[text].revoked = token == "refused"
        role = "stream:reviewer" if name == "reader" else "stream:owner"
        self.server.set_role(self.project, user, None if token == "no access" else role)
        self.server.faults.clear()
        if token == "silent":
            self.server.faults.status = 502
            self.server.faults.when = lambda operation: operation == "Project"


@pytest.fixture
async def bench(database_url: str, release: Release) -> AsyncIterator[Bench]:
    vault = Vault([Fernet.generate_key().decode()])
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(SpeckleServer.start(release=release))
        storage = await stack.enter_async_context(Storage.open(database_url, vault))
        http = await stack.enter_async_context(SpeckleHttp.open((server.url,)))
        ilse, bea = server.add_user("Ilse Brandt"), server.add_user("Bea Halloran")
        project = server.add_project("Kestrel Tower", owner=ilse)
        model = server.add_model(project, "structure/level 1")
        tower = Tower(server, ilse, server.token(ilse), project, model, 0)
        tokens = {"owner": tower.token, "reader": server.token(bea)}
        accounts = {}
        for source, person, user in (("owner", MAREN, ilse), ("reader", BEA, bea)):
            member: Any = SimpleNamespace(id=person)
            linked = await tower.link(storage, member, user, tokens[source])
            accounts[source] = linked.id
        yield Bench(server, storage, Previews(http), project, ilse, bea, tokens, accounts)


def event(bench: Bench, addition: str) -> tuple[bytes, str]:
    """An event that lacks something, and how one knows on its card that it was added."""
    server, project, ilse = bench.server, bench.project, bench.ilse
    version = server.add_version(project, project.models[0], author=ilse, object_count=214)
    add_object_table(server, version, 214)
    trigger, data, message = "commit_create", commit_create_data(version), None
    sign = '"214"'
    match addition:
        case "picture":
            server.render(version)
            sign = "attachment://"
        case "first line":
            thread = server.add_comment(project, [version], author=ilse, text="Clash at C4")
            reply = server.add_reply(thread, author=ilse, text="Seen")
            data = {"input": {"threadId": thread.id, "content": {"doc": {}}}}
            trigger, message = "comment_replied", f"Comment reply #{reply.id} created"
            sign = "Clash at C4"
        case "issue":
            _, data = server.add_issue(project, "Clash at C4", author=ilse, versions=[version])
            trigger, sign = "issue_created", "Clash at C4"
        case "received":
            server.receive(version, user=ilse)
            trigger, data = "commit_receive", {"sourceApplication": "Rhino", "message": None}
            sign = version.id
        case "name of a model":
            annex = server.add_model(project, "secret/annex")
            trigger, sign = "commit_move", annex.name
            data = {"originalBranchId": version.model.id, "newBranchId": annex.id}
        case "name of a person":
            cleo = server.add_user("Cleo Ravn")
            server.set_role(project, cleo, "stream:reviewer")
            trigger, sign = "stream_permissions_add", cleo.name
            data = {"targetUser": cleo.id, "role": "stream:reviewer"}
    hook = server.add_webhook(project, "http://127.0.0.1:9/", [trigger])
    (entry,) = server.record(project, trigger, data, user=ilse, message=message)
    project.webhooks.remove(hook)
    return entry.body, sign


# ── what is expected ──────────────────────────────────────────────────────────────────────────

SHOWN, WAITS = "shown", "waits"


def expected(guild: str, channel: str, source: str, token: str) -> tuple[str, bool]:
    """What becomes of an event in a channel that follows a private project, and what is added."""
    adds = False
    match source:
        case "by hand":  # what its webhook sends, to whoever sees the channel
            return SHOWN, False
        case "reader" | "owner":
            if token == "silent":
                return WAITS, False
            if token != "works":
                return PauseReason.ACCESS_LOST, False
            adds = True
        case "made" | "operator":  # somebody who may has answered, in the operator's own guild
            adds = guild == "served" and token in ("works", "silent")  # nobody asks before
    if channel == "wider":
        return PauseReason.ASK_AGAIN, False
    if channel == "unknown":
        return WAITS, False
    return SHOWN, adds


def found(routed: SubscriptionResult, sign: str) -> tuple[str, bool]:
    if routed.card is None:
        assert routed.held_until is not None
        return (routed.pause.reason if routed.pause is not None else WAITS), False
    return SHOWN, sign in str(routed.card.card).replace("'", '"')


@pytest.mark.parametrize(("release", "addition"), ADDITIONS, indirect=["release"])
async def test_of_a_private_project_each_channel_is_shown_what_it_may_see_and_nothing_else(
    bench: Bench, addition: str
) -> None:
    body, sign = event(bench, addition)
    wrong = []
    for guild, channel, source, token in itertools.product(GUILDS, CHANNELS, SOURCES, TOKENS):
        bench.watch.sees = CHANNELS[channel]
        await bench.set_token(source, token)
        routed = await bench.route(source, guild, body, silent=token == "silent")
        case = (guild, channel, source, token)
        if found(routed, sign) != expected(*case):
            wrong.append((case, found(routed, sign), expected(*case)))
        await bench.set_token(source, "works")
    assert wrong == []


@pytest.mark.parametrize(
    "person", [MemberPresence.LEFT, MemberPresence.BLIND, MemberPresence.UNKNOWN]
)
@pytest.mark.parametrize("source", ["reader", "owner"])
async def test_an_account_whose_person_is_away_adds_nothing_and_shows_nothing(
    bench: Bench, person: MemberPresence, source: str
) -> None:
    body, sign = event(bench, "facts")
    bench.watch.is_there = person
    routed = await bench.route(source, "served", body, silent=False)
    outcome = WAITS if person is MemberPresence.UNKNOWN else PauseReason.ACCESS_LOST
    assert found(routed, sign) == (outcome, False)


async def test_what_everybody_may_read_is_added_everywhere(bench: Bench) -> None:
    bench.project.visibility = "PUBLIC"
    body, sign = event(bench, "facts")
    for guild, source in itertools.product(GUILDS, SOURCES):
        routed = await bench.route(source, guild, body, silent=False)
        assert found(routed, sign) == (SHOWN, True), (guild, source)


async def test_a_project_that_was_agreed_to_while_public_depends_on_that(bench: Bench) -> None:
    body, _ = event(bench, "facts")
    routing, agreed = bench.routing(), bench.subscription("made", SERVED, None)
    assert agreed.consent is not None
    public = replace(agreed, consent=replace(agreed.consent, visibility="public"))
    lately = datetime.now(UTC) - timedelta(minutes=5)
    for public_at, last, held in (
        (None, "public", True),
        (lately, "public", False),
        (lately, "private", True),  # a no since then ends the last yes
    ):
        hook = replace(bench.hook("made", SERVED), public_at=public_at, visibility=last)
        row = InboxEvent(
            1, 1, "", bench.project.id, bench.server.url, "", body, utc_now(),
            InboxState.NEW, None, None, (),
        )  # fmt: skip
        delivery = parse_delivery(read_envelope(body))
        occasion = EventContext(hook, row, delivery, ProjectNames(), Trace(utc_now, row))
        (way,) = await routing.route([(occasion, [public])])
        (routed,) = way.results
        assert (routed.held_until is not None) is held
