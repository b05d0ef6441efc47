"""What people do on the sandbox's Speckle fires what a real server fires, as recorded."""

import base64
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.speckle import SPECKLE_4_AS_ANNOUNCED, ServerProject, SpeckleServer, User, Version
from sandbox.speckle.entities import CONTRIBUTOR, OWNER, REVIEWER, Comment, Webhook
from sandbox.speckle.people_at_work import Fired, NotPossible, PersonAtWork, may_see

DELIVERIES = Path(__file__).parents[2] / "fixtures" / "deliveries"
ID = re.compile(r"\b[0-9a-f]{10}\b")
ANY_EVENT = tuple(
    json.loads(path.read_text())["event"] for path in sorted(DELIVERIES.glob("[!lo]*.json"))
)


@dataclass
class Site:
    """Ilse's project, with Tomas as contributor; Hana has no part in it."""

    server: SpeckleServer
    ilse: User
    tomas: User
    hana: User
    tower: ServerProject
    version: Version
    hook: Webhook

    def as_(self, user: User) -> PersonAtWork:
        return PersonAtWork(self.server, user)

    @property
    def owner(self) -> PersonAtWork:
        return self.as_(self.ilse)

    @property
    def thread(self) -> Comment:
        return next(one for one in self.tower.comments if one.parent is None)

    def sent(self) -> Mapping[str, Any]:
        """The payload of the last call."""
        payload: Mapping[str, Any] = json.loads(self.hook.history[-1].payload)
        return payload


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with SpeckleServer.start() as server:
        ilse, tomas, hana = (server.add_user(name) for name in ("Ilse Brandt", "Tomas", "Hana"))
        tower = server.add_project("Kestrel Tower", owner=ilse, visibility="PUBLIC")
        server.set_role(tower, tomas, CONTRIBUTOR)
        model = server.add_model(tower, "structure/level 1", author=ilse)
        version = server.add_version(tower, model, author=ilse, message="first")
        server.add_comment(tower, [version], author=ilse, text="Too low?")
        hook = server.add_webhook(tower, "http://127.0.0.1:9/", ANY_EVENT)
        yield Site(server, ilse, tomas, hana, tower, version, hook)


def is_like(sent: Any, was: Any) -> bool:
    """Whether both have the same keys in the same order, and values of the same kinds or none."""
    if isinstance(sent, dict) and isinstance(was, dict):
        return list(sent) == list(was) and all(is_like(sent[key], was[key]) for key in was)
    return sent is None or was is None or type(sent) is type(was)


def beginning(message: str) -> str:
    """What a message says before what people named."""
    return ID.sub("ID", re.split("[:(']| on branch ", message)[0])


def recorded(name: str) -> Mapping[str, Any]:
    read = json.loads((DELIVERIES / f"{name}.json").read_text())
    payload: Mapping[str, Any] = json.loads(base64.b64decode(read["body_b64"]))["payload"]
    return payload


ACTIONS: Mapping[str, Callable[[Site], Fired]] = {
    "stream_update": lambda on: on.owner.update_project(
        on.tower, name="Tower", description="taller", visibility="PRIVATE"
    ),
    "stream_update_visibility_only": lambda on: on.owner.update_project(
        on.tower, visibility="PRIVATE"
    ),
    "stream_delete": lambda on: on.owner.delete_project(on.tower),
    "branch_create": lambda on: on.owner.create_model(on.tower, "facade//East ", "all of it"),
    "branch_update": lambda on: on.owner.update_model(
        on.version.model, name="Structure/Level 01", description="new"
    ),
    "branch_delete": lambda on: on.owner.delete_model(on.version.model),
    "commit_create": lambda on: on.owner.publish(on.version.model, "two beams more", "Revit2025"),
    "commit_create_no_message": lambda on: on.owner.publish(on.version.model, "", ""),
    "commit_update": lambda on: on.owner.update_version(on.version, "edited"),
    "commit_move": lambda on: on.owner.move_version(on.version, "structure/level 2"),
    "commit_receive": lambda on: on.owner.receive(on.version, "Rhino"),
    "commit_delete": lambda on: on.owner.delete_version(on.version),
    "comment_created": lambda on: on.owner.comment(on.version, "Is this right?"),
    "comment_replied": lambda on: on.owner.reply(on.thread, "It is."),
    "comment_archived": lambda on: on.owner.resolve(on.thread, resolved=True),
    "comment_unarchived": lambda on: on.owner.resolve(on.thread, resolved=False),
    "hidden_stream_invite_sent": lambda on: on.owner.invite(on.tower, on.hana, REVIEWER),
    "hidden_access_request_sent": lambda on: on.as_(on.hana).ask_for_access(on.tower),
}


@pytest.mark.parametrize("name", ACTIONS)
async def test_an_action_fires_what_was_recorded(site: Site, name: str) -> None:
    fired = ACTIONS[name](site)
    sent, was = site.sent(), recorded(name)
    assert (fired.events, fired.calls) == ((was["event"]["event_name"],), 1)
    assert is_like(sent["event"], was["event"])
    assert beginning(sent["activityMessage"]) == beginning(was["activityMessage"])


async def test_who_is_mentioned_in_a_comment_is_fired_too(site: Site) -> None:
    fired = site.owner.comment(site.version, "@Tomas, is this right?")
    assert fired.events == ("comment_created", "comment_mention")
    assert is_like(site.sent()["event"], recorded("hidden_comment_mention")["event"])
    assert site.sent()["event"]["data"]["mentionTargetId"] == site.tomas.id


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        (True, "hidden_stream_invite_accepted_permissions_add"),
        (False, "hidden_stream_invite_declined"),
    ],
)
async def test_an_invitation_is_answered_once(site: Site, accept: bool, name: str) -> None:
    site.owner.invite(site.tower, site.hana, CONTRIBUTOR)
    site.as_(site.hana).answer_invitation(site.tower, accept=accept)
    assert is_like(site.sent()["event"], recorded(name)["event"])
    assert site.tower.role_of(site.hana) == (CONTRIBUTOR if accept else None)
    with pytest.raises(NotPossible):
        site.as_(site.hana).answer_invitation(site.tower, accept=accept)


async def test_of_roles_and_webhooks_nothing_is_fired(site: Site) -> None:
    site.as_(site.hana).ask_for_access(site.tower)
    assert site.owner.answer_request(site.tower, site.hana, REVIEWER) == Fired()
    assert site.owner.set_role(site.tower, site.hana, CONTRIBUTOR) == Fired()
    assert site.owner.set_role(site.tower, site.hana, None) == Fired()
    assert site.owner.update_webhook(site.hook, enabled=False) == Fired()
    assert site.owner.publish(site.version.model, "nobody hears it", "").calls == 0


REFUSED: Mapping[str, Callable[[Site], Fired]] = {
    "a contributor changes the project": lambda on: on.as_(on.tomas).update_project(
        on.tower, visibility="PRIVATE"
    ),
    "a stranger publishes": lambda on: on.as_(on.hana).publish(on.version.model, "x", ""),
    "a stranger comments": lambda on: on.as_(on.hana).comment(on.version, "x"),
    "a contributor takes roles": lambda on: on.as_(on.tomas).set_role(on.tower, on.ilse, None),
    "a contributor makes himself owner": lambda on: on.as_(on.tomas).set_role(
        on.tower, on.tomas, OWNER
    ),
    "the last owner leaves": lambda on: on.owner.set_role(on.tower, on.ilse, None),
    "a contributor reads webhooks": lambda on: on.as_(on.tomas).update_webhook(on.hook),
    "somebody resolves another's thread": lambda on: on.as_(on.tomas).resolve(
        on.thread, resolved=True
    ),
    "a model has the name of another": lambda on: on.owner.create_model(
        on.tower, "Structure/Level 1"
    ),
    "a version is moved to where it is": lambda on: on.owner.move_version(
        on.version, "structure/level 1"
    ),
    "a comment is empty": lambda on: on.owner.comment(on.version, " "),
    "a member is invited": lambda on: on.owner.invite(on.tower, on.tomas, REVIEWER),
}


@pytest.mark.parametrize("action", REFUSED.values(), ids=REFUSED)
async def test_what_is_refused_changes_and_fires_nothing(
    site: Site, action: Callable[[Site], Fired]
) -> None:
    before = (dict(site.tower.roles), len(site.tower.models), site.version.model.name)
    with pytest.raises(NotPossible, match=r"^[A-Z@].+\.$"):
        action(site)
    assert (dict(site.tower.roles), len(site.tower.models), site.version.model.name) == before
    assert site.hook.history == []


async def test_a_project_that_turns_private_takes_no_comments_from_outside(site: Site) -> None:
    site.owner.update_project(site.tower, public_comments=True)
    site.as_(site.hana).comment(site.version, "From outside")
    site.owner.update_project(site.tower, visibility="PRIVATE")
    assert not site.tower.public_comments
    assert not may_see(site.tower, site.hana)


async def test_calls_keep_their_order_and_say_what_was_answered(site: Site) -> None:
    for number in range(20):
        site.owner.publish(site.version.model, f"number {number}", "")
    await site.server.fire(site.tower, "branch_create", {}, user=site.ilse)
    called = [entry.called_at for entry in site.hook.history if entry.called_at is not None]
    assert called == sorted(called)
    assert len(called) == 21
    assert {entry.status for entry in site.hook.history} == {3}
    assert site.hook.history[0].answer is not None
    assert site.hook.history[0].answer.status is None
    assert "127.0.0.1:9" in site.hook.history[0].answer.text


async def test_issues_are_opened_changed_answered_and_deleted() -> None:
    async with SpeckleServer.start(release=SPECKLE_4_AS_ANNOUNCED) as server:
        ilse = server.add_user("Ilse Brandt")
        house = server.add_project("Quay House", owner=ilse)
        model = server.add_model(house, "facade/south", author=ilse)
        version = server.add_version(house, model, author=ilse)
        owner = PersonAtWork(server, ilse)
        opened = owner.open_issue(version, "Bracket clashes", "At axis 7", priority="high")
        (issue,) = server.issues[house.id]
        assert (opened.events, opened.made) == (("issue_created",), issue.id)
        assert owner.update_issue(issue, status="resolved").events == ("issue_updated",)
        assert owner.reply_to_issue(issue, "Done").events == ("issue_reply_created",)
        assert owner.delete_issue(issue).events == ("issue_deleted",)
        assert server.issues[house.id] == []
