"""The activity list of the sandbox's 2.31: its lines say what webhooks say, it is asked for many
projects in one question, and its times are cut to milliseconds.
"""

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.speckle import ServerProject, SpeckleServer, User
from sandbox.speckle.entities import CONTRIBUTOR, REVIEWER, Comment, Version
from sandbox.speckle.people_at_work import PersonAtWork

RECORDINGS = Path(__file__).parents[2] / "fixtures" / "speckle" / "lists"
LIVE = (
    "query Live($p:String!,$after:DateTime,$before:DateTime,$cursor:DateTime,$limit:Int!){stream("
    "id:$p){activity(after:$after,before:$before,cursor:$cursor,limit:$limit){totalCount cursor "
    "items{id actionType userId resourceId resourceType time message info}}}}"
)
EVENTS = (
    "stream_update",
    "branch_create",
    "branch_update",
    "branch_delete",
    "commit_create",
    "commit_update",
    "commit_move",
    "commit_receive",
    "commit_delete",
    "comment_created",
    "comment_replied",
    "comment_archived",
    "comment_mention",
    "stream_invite_sent",
    "stream_invite_declined",
    "stream_permissions_invite_accepted",
    "stream_access_request_sent",
    "stream_access_request_declined",
)


@dataclass
class Site:
    """Ilse's project, with a webhook for all that there is."""

    server: SpeckleServer
    ilse: User
    tomas: User
    hana: User
    tower: ServerProject
    token: str

    @property
    def owner(self) -> PersonAtWork:
        return PersonAtWork(self.server, self.ilse)

    @property
    def version(self) -> Version:
        return self.tower.versions[-1]

    @property
    def thread(self) -> Comment:
        return next(one for one in self.tower.comments if one.parent is None)

    async def ask(self, query: str, **variables: Any) -> tuple[int, Any, Mapping[str, str]]:
        """Status, answer and headers."""
        headers = {"Authorization": f"Bearer {self.token}"}
        question = {"query": query, "variables": variables}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.server.url}/graphql", json=question, headers=headers) as answer,
        ):
            return answer.status, json.loads(await answer.text()), answer.headers

    async def lines(self, **arguments: Any) -> Any:
        """A page of the list."""
        _, answer, _ = await self.ask(LIVE, p=self.tower.id, **{"limit": 500, **arguments})
        return answer["data"]["stream"]["activity"]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with SpeckleServer.start() as server:
        ilse, tomas, hana = (server.add_user(name) for name in ("Ilse Brandt", "Tomas", "Hana"))
        tower = server.add_project("Kestrel Tower", owner=ilse, visibility="PUBLIC")
        server.set_role(tower, tomas, CONTRIBUTOR)
        server.add_webhook(tower, "http://127.0.0.1:9/", EVENTS)
        yield Site(server, ilse, tomas, hana, tower, server.token(ilse))


def work_a_day(on: Site) -> None:
    """Each thing once that has a line."""
    owner, hana = on.owner, PersonAtWork(on.server, on.hana)
    owner.create_model(on.tower, "structure/level 1", "d")
    (model,) = on.tower.models
    owner.update_model(model, name="structure/level 01")
    for message in ("one", ""):
        owner.publish(model, message, "Revit2025")
    owner.update_version(on.version, "e" * 300)
    owner.receive(on.version, "Rhino")
    owner.comment(on.version, "@Tomas, too low?")
    owner.reply(on.thread, "It is.")
    owner.resolve(on.thread, resolved=True)
    owner.resolve(on.thread, resolved=False)
    owner.move_version(on.version, "structure/level 2")
    owner.delete_version(on.version)
    owner.delete_model(model)
    owner.update_project(on.tower, name="Tower")
    owner.invite(on.tower, on.hana, REVIEWER)
    hana.answer_invitation(on.tower, accept=False)
    hana.ask_for_access(on.tower)
    owner.answer_request(on.tower, on.hana, None)
    owner.invite(on.tower, on.hana, REVIEWER)
    hana.answer_invitation(on.tower, accept=True)


async def test_each_line_says_what_the_webhook_said(site: Site) -> None:
    work_a_day(site)
    (hook,) = site.tower.webhooks
    calls = [json.loads(entry.payload) for entry in hook.history]
    said = [(call["event"]["event_name"], call["userId"], call["event"]["data"]) for call in calls]
    page = await site.lines()
    lines = [line for line in reversed(page["items"]) if line["actionType"] != "stream_create"]
    assert [(one["actionType"], one["userId"], one["info"]) for one in lines] == said
    messages = [call["activityMessage"][:255] for call in calls]
    assert [line["message"] for line in lines] == messages
    assert {name for name, *_ in said} == set(EVENTS)


async def test_what_is_received_has_its_version_and_a_new_model_of_a_move_no_line(
    site: Site,
) -> None:
    work_a_day(site)
    items = (await site.lines())["items"]
    (received,) = [line for line in items if line["actionType"] == "commit_receive"]
    (edited,) = [line for line in items if line["actionType"] == "commit_update"]
    assert received["resourceId"] == edited["resourceId"]
    assert [line["actionType"] for line in items].count("branch_create") == 1


def test_lines_are_like_the_recorded_ones_of_their_kind() -> None:
    read = json.loads((RECORDINGS / "activity_all.json").read_text())
    server = SpeckleServer()
    ilse, tomas, hana = (server.add_user(name) for name in ("Ilse Brandt", "Tomas", "Hana"))
    tower = server.add_project("Kestrel Tower", owner=ilse, visibility="PUBLIC")
    server.set_role(tower, tomas, CONTRIBUTOR)
    on = Site(server, ilse, tomas, hana, tower, "")
    on.server.fire_soon = lambda *_, **__: []  # type: ignore[method-assign]  # nobody is called
    work_a_day(on)
    ours = {line.action: line for line in reversed(tower.activity)}
    recorded = read["response"]["data"]["stream"]["activity"]["items"]
    for line in recorded:
        mine = ours[line["actionType"]]
        assert mine.resource_type == line["resourceType"]
        assert _form(line["info"]) <= _form(mine.info), line["actionType"]
    assert len({line["actionType"] for line in recorded}) > 7


def _form(value: Any, at: str = "") -> set[str]:
    """The keys of an object and of those in it; documents and what was edited are free."""
    if not isinstance(value, dict) or at.endswith((".doc", ".viewerState", "new")):
        return {at}
    return {name for key, one in value.items() for name in _form(one, f"{at}.{key}")}


async def test_what_cannot_be_read_is_null_by_its_alias_and_the_others_answer(site: Site) -> None:
    read = json.loads((RECORDINGS / "live_poll_5_projects_2_not_readable.json").read_text())
    others = {
        "1bfd240c40": site.ilse,
        "3f8b70711f": site.ilse,
        "05ec835fd7": site.tomas,  # a private one of somebody else
        "1daaf5ca8c": site.ilse,
    }
    for project_id, owner in others.items():
        site.server.add_project("P", owner=owner, id=project_id)
    status, answer, _ = await site.ask(read["query"], after="2020-01-01T00:00:00.000Z")
    recorded = read["response"]
    assert status == read["http_status"]
    by_alias = {error["path"][0]: error for error in answer["errors"]}
    assert by_alias == {error["path"][0]: error for error in recorded["errors"]}
    assert {alias: one is None for alias, one in answer["data"].items()} == {
        alias: one is None for alias, one in recorded["data"].items()
    }
    (line,) = answer["data"]["p0"]["activity"]["items"]
    assert set(line) == set(recorded["data"]["p0"]["activity"]["items"][0])


async def test_one_project_that_cannot_be_read_makes_all_null(site: Site) -> None:
    read = json.loads((RECORDINGS / "live_poll_project_one_forbidden.json").read_text())
    site.server.add_project("P", owner=site.ilse, id="1bfd240c40")
    site.server.add_project("P", owner=site.tomas, id="05ec835fd7")
    status, answer, _ = await site.ask(read["query"])
    assert (status, answer) == (read["http_status"], read["response"])


async def test_lines_of_one_millisecond_repeat_after_it_and_are_lost_at_a_cursor(
    site: Site,
) -> None:
    model = site.server.add_model(site.tower, "structure")
    with site.server.one_millisecond():
        made = [site.server.add_version(site.tower, model).id for _ in range(3)]
    later = site.server.add_version(site.tower, model)
    newest = [later.id, *reversed(made)]
    everything = await site.lines()
    assert [line["resourceId"] for line in everything["items"][:4]] == newest
    (moment,) = {line["time"] for line in everything["items"][1:4]}
    again = await site.lines(after=moment)
    assert [line["resourceId"] for line in again["items"]] == newest
    assert later.id not in [
        line["resourceId"] for line in (await site.lines(before=moment))["items"]
    ]
    page = await site.lines(limit=2)
    assert page["cursor"] == moment
    rest = (await site.lines(cursor=moment))["items"]
    assert not set(made) & {line["resourceId"] for line in rest}
    one_more = f"{moment[:-4]}{int(moment[-4:-1]) + 1:03}Z"
    repaired = (await site.lines(cursor=one_more))["items"]
    assert [line["resourceId"] for line in repaired[:3]] == newest[1:]


async def test_one_line_is_found_by_its_time(site: Site) -> None:
    model = site.server.add_model(site.tower, "structure")
    site.server.add_version(site.tower, model)
    (line, *_) = (await site.lines())["items"]
    at = line["time"]
    around = [f"{at[:-4]}{int(at[-4:-1]) + step:03}Z" for step in (-1, 1)]
    page = await site.lines(after=around[0], before=around[1], limit=5)
    assert line in page["items"]
    assert page["totalCount"] == len(page["items"]) <= 2  # the model's may be a millisecond before


async def test_two_hundred_lines_come_at_once(site: Site) -> None:
    model = site.server.add_model(site.tower, "structure")
    since = (await site.lines(limit=1))["cursor"]
    for _ in range(250):
        site.server.add_version(site.tower, model)
    page = await site.lines(after=since, limit=200)
    assert (len(page["items"]), page["totalCount"]) == (200, 251)


@pytest.mark.parametrize(
    "disturb",
    [
        lambda faults: faults.rate_limit(0.866, times=1),
        lambda faults: setattr(faults, "delay_s", 0.2),
    ],
    ids=["limited", "slow"],
)
async def test_lists_alone_are_disturbed(site: Site, disturb: Callable[[Any], None]) -> None:
    faults = site.server.faults
    faults.when = lambda operation: operation == "Live"
    disturb(faults)
    begun = time.monotonic()
    assert (await site.ask("query Other{activeUser{id}}"))[0] == 200
    assert time.monotonic() - begun < 0.2
    status, _, headers = await site.ask(LIVE, p=site.tower.id, limit=1)
    if faults.delay_s:
        assert time.monotonic() - begun > 0.2
    else:
        assert (status, headers["Retry-After"]) == (429, "0.866")
        assert (await site.ask(LIVE, p=site.tower.id, limit=1))[0] == 200


async def test_how_many_lists_were_asked_is_counted(site: Site) -> None:
    await site.ask(LIVE, p=site.tower.id, limit=1)
    aliases = " ".join(
        f'p{n}:stream(id:"{site.tower.id}"){{activity(limit:1){{items{{id}}}}}}' for n in range(50)
    )
    await site.ask(f"query Poll{{{aliases}}}")
    spread = f'a:stream(id:"{site.tower.id}"){{...Lines}}'
    lines = "fragment Lines on Stream{activity(limit:1){items{id}}}"
    await site.ask(f"query Spread{{{spread}}} {lines}")
    await site.ask("query Names($p:String!){stream(id:$p){collaborators{id}}}", p=site.tower.id)
    server = site.server
    assert [(one.operation, one.lists) for one in server.asked_lists()] == [
        ("Live", 1),
        ("Poll", 50),
        ("Spread", 1),
    ]
    assert [one.lists for one in server.asked_lists("Poll")] == [50]
