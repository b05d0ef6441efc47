"""What the sandbox's sockets do beside the recorded frames: handshakes, tokens that end, faults,
and what tests may look at.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass

import aiohttp
import pytest

from sandbox.speckle import (
    SPECKLE_4,
    SPECKLE_4_AS_ANNOUNCED,
    Model,
    Release,
    ServerProject,
    SpeckleServer,
    User,
)
from sandbox.speckle.automations import FunctionRun
from sandbox.speckle.people_at_work import PersonAtWork
from tests.sandbox.speckle.listener import Frame, Listener

VERSIONS = "subscription V($p:String!){projectVersionsUpdated(id:$p){type id}}"
PROJECT = "subscription P($p:String!){projectUpdated(id:$p){id}}"
WHO = "{activeUser{id}}"


@dataclass
class Site:
    """Ilse's project on one server, with her token."""

    server: SpeckleServer
    ilse: User
    token: str
    tower: ServerProject
    model: Model

    @property
    def owner(self) -> PersonAtWork:
        return PersonAtWork(self.server, self.ilse)

    def publish(self, message: str = "m") -> None:
        self.server.add_version(self.tower, self.model, author=self.ilse, message=message)

    def listener(self) -> AbstractAsyncContextManager[Listener]:
        return Listener.connect(self.server.url, self.token)


def a_site(server: SpeckleServer) -> Site:
    ilse = server.add_user("Ilse Brandt")
    tower = server.add_project("Kestrel Tower", owner=ilse)
    model = server.add_model(tower, "structure", author=ilse)
    return Site(server, ilse, server.token(ilse), tower, model)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with SpeckleServer.start() as server:
        yield a_site(server)


async def listening(site: Site, listener: Listener, query: str = VERSIONS) -> None:
    await listener.start("v", query, p=site.tower.id)
    await listener.are_started()


def ids(frames: list[Frame]) -> list[str]:
    return [frame["payload"]["data"]["projectVersionsUpdated"]["id"] for frame in frames]


# ── handshakes ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("offered", "taken", "is_spoken"),
    [
        (["graphql-ws"], "graphql-ws", True),
        (["graphql-subscriptions"], "graphql-subscriptions", True),
        (["graphql-ws", "graphql-transport-ws"], "graphql-ws", True),
        (["graphql-transport-ws", "graphql-ws"], "graphql-transport-ws", False),
        (["graphql-transport-ws"], "graphql-transport-ws", False),
        (["foo"], "foo", False),
        ([], None, False),
    ],
)
async def test_the_first_subprotocol_is_taken_and_one_alone_is_spoken(
    site: Site, offered: list[str], taken: str | None, is_spoken: bool
) -> None:
    async with Listener.connect(site.server.url, protocols=offered) as listener:
        assert listener.ws.protocol == taken
        init = {"type": "connection_init", "payload": {"Authorization": f"Bearer {site.token}"}}
        await listener.send(init)
        if not is_spoken:
            assert await listener.closed() == 1002
            assert listener.frames == []
            return
        await listener.wait_for(2)
        await listener.send({"type": "subscribe", "id": "2", "payload": {"query": VERSIONS}})
        await listener.wait_for(3)
        assert listener.frames == [
            {"type": "connection_ack"},
            {"type": "ka"},
            {"type": "error", "id": "2", "payload": {"message": "Invalid message type!"}},
        ]


async def test_the_header_of_a_handshake_is_not_read(site: Site) -> None:
    bad = {"Authorization": "Bearer nonsense"}
    async with Listener.connect(site.server.url, site.token, headers=bad) as listener:
        await listener.start("who", WHO)
        await listener.wait_for(4)
        answer = {"data": {"activeUser": {"id": site.ilse.id}}}
        assert listener.of("who")[0]["payload"] == answer


async def test_operations_are_not_limited_and_handshakes_are_not(site: Site) -> None:
    site.server.faults.rate_limit(1.5)
    async with site.listener() as listener:
        for number in range(20):
            await listener.start(f"q{number}", WHO)
        await listener.wait_for(2 + 2 * 20)


async def test_a_server_that_answers_503_opens_no_socket(site: Site) -> None:
    site.server.faults.status = 503
    with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
        async with site.listener():
            pass


# ── keep-alive, and operations ────────────────────────────────────────────────────────────────


async def test_a_sign_of_life_comes_in_the_interval(site: Site) -> None:
    site.server.live.keep_alive_s = 0.02
    async with site.listener() as listener:
        await listener.wait_for(5)
        assert [frame["type"] for frame in listener.frames[1:5]] == ["ka"] * 4


async def test_a_question_after_all_starts_is_answered_when_all_run(site: Site) -> None:
    async with site.listener() as listener:
        for number in range(200):
            await listener.start(f"s{number}", VERSIONS, p=site.tower.id)
        await listener.are_started()
        site.publish()
        await listener.wait_for(2 + 2 + 200)


async def test_a_stopped_subscription_is_complete_and_hears_nothing(site: Site) -> None:
    async with site.listener() as listener:
        await listening(site, listener)
        await listener.send({"type": "stop", "id": "v"})
        await listener.quiet()
        site.publish()
        await listener.quiet()
        assert listener.of("v") == [{"type": "complete", "id": "v", "payload": None}]
        assert site.server.live.subscriptions() == []


async def test_a_model_that_goes_is_one_frame_and_its_versions_none(site: Site) -> None:
    for _ in range(3):
        site.publish()
    async with site.listener() as listener:
        await listening(site, listener)
        models = "subscription($p:String!){projectModelsUpdated(id:$p){type id model{id}}}"
        await listener.start("m", models, p=site.tower.id)
        await listener.are_started()
        site.owner.delete_model(site.model)
        await listener.quiet()
        message = {"type": "DELETED", "id": site.model.id, "model": None}
        assert [frame["payload"]["data"] for frame in listener.of("m")] == [
            {"projectModelsUpdated": message}
        ]
        assert listener.of("v") == []


async def test_people_who_write_over_http_are_heard(site: Site) -> None:
    site.publish()
    (version,) = site.tower.versions
    async with site.listener() as listener:
        query = (
            "subscription($t:ViewerUpdateTrackingTarget!){projectCommentsUpdated(target:$t)"
            "{type id comment{rawText author{name}}}}"
        )
        target = {"projectId": site.tower.id, "resourceIdString": ""}
        await listener.start("c", query, t=target)
        await listener.are_started()
        create = (
            "mutation($i:CreateCommentInput!){commentMutations{create(input:$i){id}}}",
            {
                "projectId": site.tower.id,
                "resourceIdString": f"{site.model.id}@{version.id}",
                "content": {
                    "doc": {"type": "doc", "content": [{"type": "text", "text": "Is it so?"}]}
                },
            },
        )
        await listener.start("write", create[0], i=create[1])
        await listener.quiet()
        (frame,) = listener.of("c")
        said = frame["payload"]["data"]["projectCommentsUpdated"]
        assert (said["type"], said["comment"]["rawText"]) == ("CREATED", "Is it so?")
        (line,) = [one for one in site.tower.activity if one.action == "comment_created"]
        assert line.resource_id == said["id"]


# ── rights ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("end", ["revoke", "expire"])
async def test_a_token_that_ends_goes_on_where_it_was_and_is_nobody_s_elsewhere(
    site: Site, end: str
) -> None:
    async with site.listener() as listener:
        await listening(site, listener)
        getattr(site.server, end)(site.token)
        site.publish()
        await listener.start("who", WHO)
        await listener.quiet()
        assert len(listener.of("v")) == 1
        assert listener.of("who")[0]["payload"]["data"] == {"activeUser": {"id": site.ilse.id}}
    headers = {"Authorization": f"Bearer {site.token}"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{site.server.url}/graphql", json={"query": WHO}, headers=headers) as answer,
    ):
        assert answer.status == 403
    async with site.listener() as listener:
        await listening(site, listener)
        await listener.start("who", WHO)
        site.publish()
        await listener.quiet()
        assert listener.of("v") == []
        assert listener.of("who")[0]["payload"] == {"data": {"activeUser": None}}


async def test_somebody_hears_that_they_were_let_in_or_removed(site: Site) -> None:
    tomas = site.server.add_user("Tomas")
    query = "subscription{userProjectsUpdated{type id project{name}}}"
    async with Listener.connect(site.server.url, site.server.token(tomas)) as listener:
        await listener.start("u", query)
        await listener.are_started()
        site.server.set_role(site.tower, tomas, "stream:contributor")
        site.server.set_role(site.tower, tomas, "stream:reviewer")
        site.server.set_role(site.tower, tomas, None)
        await listener.quiet()
        said = [frame["payload"]["data"]["userProjectsUpdated"] for frame in listener.of("u")]
        assert said == [
            {"type": "ADDED", "id": site.tower.id, "project": {"name": "Kestrel Tower"}},
            {"type": "REMOVED", "id": site.tower.id, "project": None},
        ]


# ── what goes wrong ───────────────────────────────────────────────────────────────────────────


async def test_frames_are_lost_without_a_sign(site: Site) -> None:
    live = site.server.live
    async with site.listener() as listener:
        await listening(site, listener)
        live.faults.lose_frames(2)
        for _ in range(3):
            site.publish()
        await listener.quiet()
        assert ids(listener.of("v")) == [site.tower.versions[-1].id]
        live.faults.lose_frames()
        site.publish()
        live.faults.clear()
        site.publish()
        await listener.quiet()
        assert ids(listener.of("v"))[1:] == [site.tower.versions[-1].id]
        assert not listener.is_closed.is_set()
    assert (live.frames_sent, live.frames_lost) == (2 + 1, 3)


async def test_sockets_are_cut_and_new_ones_refused(site: Site) -> None:
    live = site.server.live
    tomas = site.server.add_user("Tomas")
    async with (
        site.listener() as ilses,
        Listener.connect(site.server.url, site.server.token(tomas)) as his,
    ):
        assert live.cut(tomas) == 1
        assert await his.closed() == 1006
        assert not ilses.is_closed.is_set()
        live.faults.refuse = True
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            async with site.listener():
                pass
        assert live.cut() == 1
        assert await ilses.closed() == 1006
    assert live.sockets == []


async def test_sockets_are_closed_in_good_order_where_a_proxy_ends(site: Site) -> None:
    async with site.listener() as listener:
        await site.server.live.close()
        assert await listener.closed() == 1001


async def test_a_server_that_stops_cuts_its_sockets_at_once() -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(SpeckleServer.start())
        site = a_site(server)
        async with site.listener() as listener:
            server.live.freeze()
            begun = time.monotonic()
            await stack.aclose()
            assert await listener.closed() == 1006
            assert time.monotonic() - begun < 1


async def test_a_server_that_was_away_is_back_with_all_it_held_and_replays_nothing(
    site: Site,
) -> None:
    async with site.listener() as listener:
        await listening(site, listener)
        async with site.server.away():
            assert await listener.closed() == 1006
            with pytest.raises(aiohttp.ClientConnectorError):
                async with site.listener():
                    pass
            site.publish()
    async with site.listener() as listener:
        await listening(site, listener)
        site.publish()
        await listener.quiet()
        assert ids(listener.of("v")) == [site.tower.versions[-1].id]


async def test_a_frozen_server_answers_nothing_and_sends_all_when_it_goes_on(site: Site) -> None:
    live = site.server.live
    live.keep_alive_s = 0.02
    async with site.listener() as listener:
        await listening(site, listener)
        live.freeze()
        await listener.quiet()
        there = len(listener.frames)
        for _ in range(3):
            site.publish()
        await listener.start("who", WHO)
        await asyncio.sleep(0.1)
        assert len(listener.frames) == there
        assert not listener.is_closed.is_set()
        fresh = asyncio.create_task(_connects(site))
        await asyncio.sleep(0.1)
        assert not fresh.done()
        live.thaw()
        await listener.wait_for(there + 3 + 2)
        assert len(listener.of("v")) == 3
        assert len(listener.of("who")) == 2
        await fresh


async def _connects(site: Site) -> None:
    async with site.listener():
        pass


async def test_a_frozen_server_is_found_by_pings(site: Site) -> None:
    async with Listener.connect(site.server.url, site.token, heartbeat=0.1) as listener:
        await asyncio.sleep(0.3)
        assert not listener.is_closed.is_set()
        site.server.live.freeze()
        assert await listener.closed() == 1006
        site.server.live.thaw()


@pytest.mark.parametrize("error", [None, "Something went wrong"])
async def test_the_server_ends_one_subscription(site: Site, error: str | None) -> None:
    live = site.server.live
    async with site.listener() as listener:
        await listening(site, listener)
        await listener.start("p", PROJECT, p=site.tower.id)
        await listener.are_started()
        live.end(live.subscriptions(field="projectVersionsUpdated"), error=error)
        site.publish()
        site.owner.update_project(site.tower, name="Tower")
        await listener.quiet()
        (last,) = listener.of("v")
        assert last["type"] == ("complete" if error is None else "error")
        assert last["payload"] == (None if error is None else {"message": error})
        assert len(listener.of("p")) == 1


# ── what tests may look at ────────────────────────────────────────────────────────────────────


async def test_who_has_which_sockets_and_subscriptions_is_told(site: Site) -> None:
    live = site.server.live
    assert live.sockets == []
    async with site.listener() as listener:
        await listening(site, listener)
        await listener.start("p", PROJECT, p=site.tower.id)
        await listener.are_started()
        (socket,) = live.sockets_of(site.ilse)
        assert (socket.user, socket.token) == (site.ilse, site.token)
        assert set(socket.operations) == {"v", "p"}
        (one,) = live.subscriptions(project=site.tower, field="projectVersionsUpdated")
        assert (one.id, one.socket, one.subscription.project_id) == ("v", socket, site.tower.id)
    await asyncio.sleep(0.1)
    assert live.sockets == []
    assert (live.opened, live.subscriptions()) == (1, [])


# ── Speckle 4 ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("release", [SPECKLE_4, SPECKLE_4_AS_ANNOUNCED], ids=lambda one: one.name)
async def test_issues_and_versions_tell_all_that_the_schema_has(release: Release) -> None:
    query = (
        "subscription($p:ID!){projectIssuesUpdated(projectId:$p){type id project{id} reply{id "
        "author{user{name}} description{doc}} issue{id identifier title status assignee{user"
        "{name}} activities(input:{limit:1,sortDirection:desc}){items{eventType actor{user{name}}"
        " payload{... on IssueUpdatedActivityPayload{statusBefore statusAfter}}}}}}}"
    )
    async with SpeckleServer.start(release=release) as server:
        site = a_site(server)
        site.publish("two beams more")
        async with site.listener() as listener:
            await listener.start("i", query, p=site.tower.id)
            versions = (
                "subscription($p:String!){projectVersionsUpdated(id:$p){type id modelId version"
                "{message sourceApplication referencedObject authorUser{name} model{name}}}}"
            )
            await listener.start("v", versions, p=site.tower.id)
            await listener.are_started()
            site.owner.open_issue(site.tower.versions[0], "Bracket clashes", "At axis 7")
            (issue,) = server.issues[site.tower.id]
            site.owner.update_issue(issue, status="resolved")
            site.owner.reply_to_issue(issue, "Done")
            site.owner.delete_issue(issue)
            site.publish("one beam less")
            await listener.quiet()
    said = [frame["payload"]["data"]["projectIssuesUpdated"] for frame in listener.of("i")]
    assert [one["type"] for one in said] == ["created", "updated", "replyCreated", "deleted"]
    assert {one["id"] for one in said} == {issue.id}
    changed = said[1]["issue"]
    assert (changed["title"], changed["status"]) == ("Bracket clashes", "resolved")
    assert changed["activities"]["items"] == [
        {
            "eventType": "updated",
            "actor": {"user": {"name": "Ilse Brandt"}},
            "payload": {"statusBefore": "open", "statusAfter": "resolved"},
        }
    ]
    assert said[2]["reply"]["author"] == {"user": {"name": "Ilse Brandt"}}
    assert said[3]["issue"] is None
    (frame,) = listener.of("v")
    made = frame["payload"]["data"]["projectVersionsUpdated"]["version"]
    assert (made["message"], made["authorUser"]) == ("one beam less", {"name": "Ilse Brandt"})


async def test_what_is_to_be_removed_cannot_be_subscribed_to_where_it_was() -> None:
    query = "subscription($t:ViewerUpdateTrackingTarget!){projectCommentsUpdated(target:$t){id}}"
    async with SpeckleServer.start(release=SPECKLE_4_AS_ANNOUNCED) as server:
        site = a_site(server)
        async with site.listener() as listener:
            target = {"projectId": site.tower.id, "resourceIdString": ""}
            await listener.start("c", query, t=target)
            await listener.quiet()
            data, complete = listener.of("c")
    assert "Cannot query field" in data["payload"]["errors"][0]["message"]
    assert complete["type"] == "complete"


async def test_a_run_of_an_automation_is_told() -> None:
    query = (
        "subscription($p:String!){projectTriggeredAutomationsStatusUpdated(projectId:$p){type "
        "version{id} model{id} run{id status automation{name}}}}"
    )
    async with SpeckleServer.start(release=SPECKLE_4_AS_ANNOUNCED) as server:
        site = a_site(server)
        site.publish()
        (version,) = site.tower.versions
        async with site.listener() as listener:
            await listener.start("a", query, p=site.tower.id)
            await listener.are_started()
            run = server.run_automation(version, FunctionRun("RUNNING"))
            server.run_automation(version, FunctionRun("FAILED"), run=run)
            await listener.quiet()
    field = "projectTriggeredAutomationsStatusUpdated"
    said = [frame["payload"]["data"][field] for frame in listener.of("a")]
    assert [(one["type"], one["run"]["status"]) for one in said] == [
        ("RUN_CREATED", "RUNNING"),
        ("RUN_UPDATED", "FAILED"),
    ]
    assert {one["version"]["id"] for one in said} == {version.id}
