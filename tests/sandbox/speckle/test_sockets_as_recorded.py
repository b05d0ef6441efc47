"""The sandbox's sockets against those recorded from a 2.31: what the client sent and people did is
done again, and each operation gets the recorded frames.

Ids and times that a server makes up are compared by where they come again.
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox.speckle import ServerProject, SpeckleServer, User
from sandbox.speckle.entities import CONTRIBUTOR, REVIEWER, Comment, Model, Version
from sandbox.speckle.people_at_work import Fired, PersonAtWork
from tests.sandbox.speckle.listener import Frame, Listener

RECORDINGS = Path(__file__).parents[2] / "fixtures" / "speckle" / "sockets"
MADE_UP = re.compile(r"\b(?:[0-9a-f]{32}|[0-9a-f]{10})\b|\d{4}-\d\d-\d\dT[\d:.]+Z")
PROJECT = re.compile(r'"(?:projectId|p)": "([0-9a-f]{10})"')
# Subscriptions of the older kind, of file imports and of saved views, which the sandbox has not.
LEFT_OUT = re.compile(r"^(commit|branch|stream|userStream|commentActivity)[A-Z]?|^(fi|pm|pv|sv)$")
PUBLIC, PRIVATE = "6742d0c2ac", "b92b46ac57"
# What projects and their first two models were called.
NAMES = {
    PUBLIC: ("Rec public tower", "structure/level 1", "mep"),
    PRIVATE: ("Rec private tower", "structure/level 1", "mep"),
    "070e27b615": ("Revoke test", "one", "two"),
    "3111ced7d8": ("Goes private", "one", "two"),
}
NEW_NAMES = {PRIVATE: "ws/66e4d7", PUBLIC: "ws/346ce8"}
OTHER_NAMES = ("Kinds", "model 0", "model 1")
PUBLIC_ONES = (PUBLIC, "3111ced7d8")
# graphql-core words what is wrong with these otherwise than graphql-js.
OTHER_WORDS = ("novar", "notarget")
PAUSE_S = 0.3  # between two frames of the client
READER = ("streams:read", "streams:write", "profile:read", "profile:email", "users:read")
SCOPES = {
    "alice, scope profile": ("profile:read",),
    "alice, scope write": ("streams:write",),
}


class Scene:
    """The recorded server at the beginning of one recording, and what was done there."""

    def __init__(self, server: SpeckleServer, lines: list[dict[str, Any]]) -> None:
        self.server = server
        text = json.dumps(lines)
        names = ("Alice Archer", "Bob Baumeister")
        if "Alice Archer" not in text:
            names = ('Alice "Quotes" Müller 🏗️', "Bob Builder")
        self.alice = server.add_user(names[0])
        self.bob = server.add_user(names[1])
        self.carol = server.add_user("Carol")
        self.dave = server.add_user("Dave Nonmember")
        self.owner = PersonAtWork(server, self.alice)
        self.projects = {PUBLIC: self._project(PUBLIC), PRIVATE: self._project(PRIVATE)}
        for found in PROJECT.findall(text):
            if found not in self.projects and found != "ffffffffff":
                self.projects[found] = self._project(found)
        (self.watched, *_) = [*PROJECT.findall(text), PRIVATE]
        self.made: list[Version] = []
        self._tokens: dict[str, str] = {}

    def _project(self, project_id: str) -> ServerProject:
        name, *models = NAMES.get(project_id, OTHER_NAMES)
        project = self.server.add_project(name, owner=self.alice, id=project_id)
        project.visibility = "PUBLIC" if project_id in PUBLIC_ONES else "PRIVATE"
        self.server.set_role(project, self.bob, CONTRIBUTOR)
        is_private = project_id == PRIVATE
        ids = ("9540b089b3", "cd7024903b") if is_private else ("d271e24af8", "8112098b52")
        one, two = (
            self.server.add_model(project, model, author=self.alice, id=model_id)
            for model, model_id in zip(models, ids, strict=True)
        )
        first = "0e6deec485" if is_private else None
        for number in range(3):
            version_id = first if number == 0 else None
            self.server.add_version(project, one, author=self.alice, id=version_id)
        self.server.add_version(project, two, author=self.alice)
        return project

    @property
    def project(self) -> ServerProject:
        return self.projects.get(self.watched, self.projects[PRIVATE])

    @property
    def models(self) -> list[Model]:
        return self.project.models

    @property
    def thread(self) -> Comment:
        return next(one for one in self.project.comments if one.parent is None)

    def publish(self, message: str, application: str | None = "Revit2025") -> Version:
        """As PersonAtWork's, but its picture is not rendered at once."""
        made = self.server.add_version(
            self.project,
            self.models[0],
            author=self.alice,
            message=message,
            application=application,
        )
        self.made.append(made)
        return made

    def comment(self, text: str, model: int = 0, version: int = -1) -> Fired:
        there = [one for one in self.project.versions if one.model is self.models[model]]
        return self.owner.comment(there[version], text)

    def token(self, label: str) -> str:
        """The token that a recording calls so."""
        if label not in self._tokens:
            person: User = getattr(self, label.split(",")[0])
            only = [self.projects[PUBLIC]] if "limited" in label else None
            self._tokens[label] = self.server.token(
                person, scopes=SCOPES.get(label, READER), only=only
            )
        return self._tokens[label]

    def signed(self, frame: Frame | str) -> Frame | str:
        if isinstance(frame, str):
            return frame
        text = json.dumps(frame)
        for label in re.findall(r"<([a-z, 0-9]+)>", text):
            text = text.replace(f"<{label}>", self.token(label))
        read: Frame = json.loads(text)
        return read


Does = Callable[[Scene], object]


def all_three(text: str) -> Does:
    """A version, a comment and the project edited."""

    def do(on: Scene) -> None:
        on.publish(text)
        on.comment(text)
        on.owner.update_project(on.project, description=text)

    return do


def let_in(on: Scene, user: User, role: str) -> None:
    on.owner.invite(on.project, user, role)
    PersonAtWork(on.server, user).answer_invitation(on.project, accept=True)


def new_model(on: Scene, name: str, description: str = "") -> None:
    on.owner.create_model(on.project, name, description)


def edit_newest_model(on: Scene, **changes: str) -> None:
    on.owner.update_model(on.models[-1], **changes)


def edit_both(on: Scene) -> None:
    for project in (PRIVATE, PUBLIC):
        on.owner.update_project(on.projects[project], description="again")


def version_and_comment(text: str) -> Does:
    def do(on: Scene) -> None:
        on.publish(text)
        on.comment(text)

    return do


EVERYTHING: Mapping[str, Does] = {
    "versionMutations.create": lambda on: on.publish("from the ws recording"),
    "versionMutations.update": lambda on: on.owner.update_version(on.made[-1], "edited"),
    "modelMutations.create": lambda on: new_model(on, NEW_NAMES[on.watched]),
    "modelMutations.update": lambda on: edit_newest_model(on, description="new"),
    "commentMutations.create on model 1": lambda on: on.comment("ws comment"),
    "commentMutations.create on model 2": lambda on: on.comment("ws comment on model 2", 1),
    "commentMutations.reply": lambda on: on.owner.reply(on.thread, "ws reply"),
    "commentMutations.edit": lambda on: None,  # nobody edits comments here: nothing tells of it
    "commentMutations.archive": lambda on: on.owner.resolve(on.thread, resolved=True),
    "versionMutations.markReceived": lambda on: on.owner.receive(on.made[-1], "Rhino"),
    "versionMutations.delete": lambda on: on.owner.delete_version(on.made[-1]),
    "modelMutations.delete": lambda on: on.owner.delete_model(on.models[-1]),
    "projectMutations.update (description)": lambda on: on.owner.update_project(
        on.project, description="new"
    ),
    'versionMutations.create after stop of "versions"': lambda on: on.publish("after stop"),
    "preview-service result pushed into the response queue for version 2": lambda on: (
        on.server.render(on.project.versions[1])
    ),
    "preview result pushed": lambda on: on.server.render(on.project.versions[1]),
}
KINDS: Mapping[str, Does] = {
    "version created (alice)": lambda on: on.publish("one"),
    "version created (bob)": lambda on: on.made.append(
        on.server.add_version(
            on.project,
            on.models[0],
            author=on.bob,
            message="two",
            object_id=on.made[-1].object_id,
        )
    ),
    "version of bob's edited by alice": lambda on: on.owner.update_version(
        on.made[-1], "two edited"
    ),
    "version edited to the same": lambda on: on.owner.update_version(on.made[-1], "two edited"),
    "version of bob's moved by alice": lambda on: on.owner.move_version(on.made[-1], "model 1"),
    "version moved to a new model": lambda on: on.owner.move_version(on.made[-1], "brand new"),
    "version received": lambda on: on.owner.receive(on.made[-1], "Rhino"),
    "version of bob's deleted by alice": lambda on: on.owner.delete_version(on.made[-1]),
    "model created": lambda on: new_model(on, "to go", "d"),
    "model updated": lambda on: edit_newest_model(on, name="to go 2"),
    "model deleted": lambda on: on.owner.delete_model(on.models[-1]),
    "project updated": lambda on: on.owner.update_project(
        on.project, name="Kinds 2", description="dd"
    ),
    "thread created": lambda on: on.comment("thread"),
    "reply by bob": lambda on: PersonAtWork(on.server, on.bob).reply(on.thread, "reply"),
    "reply edited by bob": lambda on: None,
    "thread archived by bob": lambda on: on.owner.resolve(on.thread, resolved=True),
    "thread re-opened": lambda on: on.owner.resolve(on.thread, resolved=False),
    "carol invited": lambda on: on.owner.invite(on.project, on.carol, CONTRIBUTOR),
    "carol accepts": lambda on: PersonAtWork(on.server, on.carol).answer_invitation(
        on.project, accept=True
    ),
    "carol made reviewer": lambda on: on.owner.set_role(on.project, on.carol, REVIEWER),
    "carol removed": lambda on: on.owner.set_role(on.project, on.carol, None),
    "dave asks for access": lambda on: PersonAtWork(on.server, on.dave).ask_for_access(on.project),
    "file uploaded": lambda on: None,
    "bob's role removed": lambda on: on.owner.set_role(on.project, on.bob, None),
    "project deleted": lambda on: on.owner.delete_project(on.project),
}
PUBLIC_AGAIN: Mapping[str, Does] = {
    "projectMutations.update": lambda on: on.owner.update_project(on.project, description="x"),
    "commentMutations.create": lambda on: on.comment("anon ws comment"),
}
DONE: Mapping[str, Mapping[str, Does]] = {
    "access_revoked_midway": {
        "before: version + comment + project update": all_three("before"),
        "role of bob set to null": lambda on: on.owner.set_role(on.project, on.bob, None),
        "while revoked: version + comment + project update": all_three("while revoked"),
        "while revoked 2: version + comment + project update": all_three("while revoked 2"),
        "bob invited and accepted again": lambda on: let_in(on, on.bob, CONTRIBUTOR),
        "after re-add: version + comment + project update": all_three("after re-add"),
        "project deleted": lambda on: on.owner.delete_project(on.project),
    },
    "bad_token": PUBLIC_AGAIN,
    "bearer_null": PUBLIC_AGAIN,
    "comment_archive_unarchive": {
        "archive by its author (contributor)": lambda on: on.owner.resolve(
            on.thread, resolved=True
        ),
        "un-archive": lambda on: on.owner.resolve(on.thread, resolved=False),
        "archive by its author (reviewer)": lambda on: on.owner.resolve(
            on.project.comments[-1], resolved=True
        ),
    },
    "dup_id_sequential": {"both projects updated": edit_both},
    "header_only_token": {},
    "invalid_operations": {
        'both projects updated (id "dup" was started twice back to back: both stay alive under'
        " one id)": edit_both
    },
    "live_all_kinds_new_and_old_subscriptions": KINDS,
    "live_project_deleted_all_subscriptions": {
        "project deleted": lambda on: (
            on.publish("x", None),
            on.owner.delete_project(on.project),
        )
    },
    "missing_project": {},
    "models_filter_and_comment_targets": {
        "comment on model1@version1": lambda on: on.comment("comment on model1@version1", 0, 0),
        # The newest of model 1 was a fourth one.
        "comment on model1@version3": lambda on: (
            on.publish("fourth"),
            on.comment("comment on model1@version3", 0, 2),
        ),
        "comment on model2": lambda on: on.comment("comment on model2", 1),
        "model1 updated": lambda on: on.owner.update_model(on.models[0], description="x"),
        "model2 updated": lambda on: on.owner.update_model(on.models[1], description="x"),
    },
    "no_init": {},
    "no_payload": {},
    "private_member": EVERYTHING,
    "private_nonmember": EVERYTHING,
    "project_deleted": {
        "rename": lambda on: on.owner.update_project(on.project, name="Delete test 2"),
        "delete": lambda on: on.owner.delete_project(on.project),
    },
    "public_anonymous": {},
    "public_authenticated": EVERYTHING,
    "public_goes_private_midway": {
        "version": lambda on: on.publish("while public"),
        "visibility PRIVATE": lambda on: on.owner.update_project(on.project, visibility="PRIVATE"),
    },
    "resource_limited_other_project": {"version + comment": version_and_comment("limit test")},
    "revoked_token_public_project": {
        "two versions": lambda on: (on.publish("one"), on.publish("two"))
    },
    "scope_profile_only": {"version + comment": version_and_comment("scope test")},
    "scope_write_only": {"version + comment": version_and_comment("scope test")},
    "token_check_over_ws": {},
    "token_in_headers_object": {},
    "token_lowercase_key": {},
    "token_revoked_midway": {
        "apiTokenRevoke": lambda on: on.server.revoke(on.token("alice, to be revoked")),
        "version": lambda on: on.publish("after token revoke"),
    },
    "token_without_bearer": {},
}
# What was there already.
BEFORE: Mapping[str, Does] = {
    "comment_archive_unarchive": lambda on: (
        PersonAtWork(on.server, on.bob).comment(on.project.versions[0], "own thread of bob"),
        on.comment("another", 1),
    ),
}


@pytest.fixture
async def server() -> AsyncIterator[SpeckleServer]:
    async with SpeckleServer.start() as server:
        yield server


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (RECORDINGS / f"{name}.jsonl").read_text().splitlines()]


def connections(lines: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The lines of each socket of a recording."""
    found: list[list[dict[str, Any]]] = []
    for line in lines:
        if line.get("event") == "handshake_request":
            found.append([])
        if found:
            found[-1].append(line)
    return found


def comparable(frames: list[Frame]) -> dict[str | None, list[Any]]:
    """Frames by operation; each thing that was made up is called by its number there."""
    by_id: dict[str | None, list[Frame]] = {}
    for frame in frames:
        if not LEFT_OUT.match(str(frame.get("id") or "")) and frame["type"] != "ka":
            said = _without_words(frame) if frame.get("id") in OTHER_WORDS else frame
            by_id.setdefault(frame.get("id"), []).append(said)
    return {name: _numbered(there) for name, there in by_id.items()}


def _without_words(frame: Frame) -> Frame:
    errors = (frame["payload"] or {}).get("errors", ())
    return {**frame, "payload": [error["locations"] for error in errors]}


def _numbered(frames: list[Frame]) -> list[Any]:
    numbers: dict[str, str] = {}

    def name(match: re.Match[str]) -> str:
        if "T" in match.group():
            return "a time"
        return numbers.setdefault(match.group(), f"#{len(numbers)}")

    text = MADE_UP.sub(name, json.dumps(frames, sort_keys=True, ensure_ascii=False))
    text = text.replace('"dev"', '"2.31.14"')
    numbered: list[Any] = json.loads(text)
    return numbered


@pytest.mark.parametrize("name", DONE)
async def test_what_is_sent_and_done_again_gets_the_recorded_frames(
    server: SpeckleServer, name: str
) -> None:
    lines = read(name)
    scene = Scene(server, lines)
    if name in BEFORE:
        BEFORE[name](scene)
    for connection in connections(lines):
        said = connection[0]["sec_websocket_protocol"]
        headers = {
            key: value.replace("<alice>", scene.token("alice"))
            for key, value in connection[0]["headers"].items()
        }
        last = 0.0
        async with Listener.connect(server.url, protocols=(said,), headers=headers) as listener:
            for line in connection:
                if line.get("dir") == "client":
                    if line["t"] > last + PAUSE_S:
                        await listener.quiet()
                    last = line["t"]
                    if not listener.is_closed.is_set():
                        await listener.send(scene.signed(line["frame"]))
                elif line.get("event") == "action":
                    await listener.quiet()
                    DONE[name][line["text"]](scene)
                elif line.get("dir") == "server":
                    await listener.quiet()
            await listener.quiet()
            recorded = [line["frame"] for line in connection if line.get("dir") == "server"]
            assert comparable(listener.frames) == comparable(recorded)
            (closed,) = [line for line in connection if line.get("event") == "closed"]
            if closed["close_code"] is not None:
                assert await listener.closed() == closed["close_code"]


def test_no_recording_is_left_out() -> None:
    assert {path.stem for path in RECORDINGS.glob("*.jsonl")} == set(DONE)
