"""What happens in the demo: a project on each kind of Speckle server, and a day in both.

Each `yield` of a day is a moment in which something has arrived.
"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from sandbox.speckle import (
    ServerProject,
    SpeckleServer,
    User,
    Version,
    commit_create_data,
)
from sandbox.speckle.documents import paragraph
from sandbox.speckle.drawing import draw_screenshot, draw_screenshot_png
from sandbox.speckle.model_content import USUAL, NextVersion

SAMPLES: Final = Path(__file__).parents[1] / "sample_events.json"
MAREN, ILSE, TOMAS = "a1f47c02d9", "c93e10b75a", "d20be64f18"
NAMES: Final = {MAREN: "Maren Oduya", ILSE: "Ilse Brandt", TOMAS: "Tomas Reyes"}


@dataclass(frozen=True, slots=True)
class DemoProject:
    """A project on a server, with the three people who work on it."""

    server: SpeckleServer
    project: ServerProject
    people: Mapping[str, User]

    @property
    def url(self) -> str:
        """What one pastes into `/subscribe`."""
        return f"{self.server.url}/projects/{self.project.id}"

    async def fire(
        self, by: str, event: str, data: Mapping[str, Any], message: str | None = None
    ) -> None:
        """Call the webhooks of an event that somebody causes."""
        await self.server.fire(self.project, event, data, user=self.people[by], message=message)

    async def send(
        self,
        by: str,
        model_name: str,
        message: str,
        application: str,
        elements: int,
        *,
        rendered: bool = True,
    ) -> Version:
        """Somebody sends a version to a model: the one before, changed, or so many elements."""
        model = next(one for one in self.project.models if one.name == model_name)
        sent = NextVersion.prepared(self.server, model, USUAL, elements)
        sent.complete(self.server, model)
        version = self.server.add_version(
            self.project,
            model,
            author=self.people[by],
            message=message,
            application=application,
            object_id=sent.content.put_into(self.project),
        )
        sent.content.give_to(self.server, version)
        if rendered:
            self.server.render(version)
        await self.fire(by, "commit_create", commit_create_data(version))
        return version


def open_project(
    server: SpeckleServer, name: str, description: str, visibility: str
) -> DemoProject:
    """Maren's project, with Ilse and Tomas in it."""
    people = {
        person: server.add_user(name_, id=person, avatar=_samples()[person]["user"]["avatar"])
        for person, name_ in NAMES.items()
    }
    project = server.add_project(
        name, owner=people[MAREN], description=description, visibility=visibility
    )
    server.set_role(project, people[ILSE], "stream:contributor")
    server.set_role(project, people[TOMAS], "stream:contributor")
    return DemoProject(server, project, people)


async def day_with_comments(tower: DemoProject) -> AsyncIterator[None]:
    """Harbour Tower, on a server with object trees and comments."""
    server, project = tower.server, tower.project
    maren, before = tower.people[MAREN], server.now() - timedelta(days=2)
    level = server.add_model(project, "structure/level 1", author=maren, at=before)
    server.add_version(project, level, author=maren, message="First frame", at=before)
    data = {"branch": {"id": level.id, "name": level.name, "description": "Frame up to +4.20"}}
    await tower.fire(MAREN, "branch_create", data)
    yield
    columns = await tower.send(
        MAREN, level.name, "Columns moved to grid C, 12 beams added", "Revit2025", 480
    )
    yield
    text = "Beam runs through the supply duct at grid C/4. "
    mention = {"type": "mention", "attrs": {"id": MAREN, "label": NAMES[MAREN]}}
    doc = paragraph(text)
    doc["content"][0]["content"].append(mention)
    thread = server.add_comment(project, [columns], author=tower.people[TOMAS], doc=doc)
    said = f"Comment added: {thread.id} ([object Object])"  # Speckle names the thread here alone
    await tower.fire(TOMAS, "comment_created", _comment_data(tower, columns, doc), said)
    yield
    await tower.send(MAREN, level.name, "Beam C/4 lowered by 150 mm", "Revit2025", 480)
    yield
    await tower.fire(TOMAS, "comment_archived", server.archive(thread, by=tower.people[TOMAS]))
    yield
    received = {"sourceApplication": "Grasshopper", "message": "for the facade brackets"}
    server.receive(columns, user=tower.people[ILSE], application="Grasshopper",
                   message="for the facade brackets")  # fmt: skip
    await tower.fire(ILSE, "commit_receive", received)
    yield


async def day_with_issues(house: DemoProject) -> AsyncIterator[None]:
    """Quay House, on a server with bundles and issues."""
    server, project, tomas = house.server, house.project, house.people[TOMAS]
    server.add_model(project, "facade/south", author=house.people[ILSE])
    south = await house.send(ILSE, "facade/south", "Brise-soleil, option B", "rhino8", 214)
    yield
    issue, data = server.add_issue(
        project,
        "Bracket clashes with the slab edge",
        author=tomas,
        text="At axis 7 the bracket is 40 mm inside the slab.",
        versions=[south],
        priority="high",
    )
    project.issue_pictures[issue.id] = draw_screenshot_png(south)
    await house.fire(TOMAS, "issue_created", data, f"Issue created: {issue.title}")
    yield
    data = server.reply_to_issue(issue, author=house.people[ILSE], text="Moved out by 50 mm.")
    await house.fire(ILSE, "issue_reply_created", data, f"Issue replied: {issue.title}")
    yield
    data = server.update_issue(issue, by=tomas, status="resolved")
    await house.fire(TOMAS, "issue_updated", data, f"Issue updated: {issue.title}")
    yield


def _comment_data(project: DemoProject, version: Version, doc: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "input": {
            "projectId": project.project.id,
            "content": {"doc": doc, "blobIds": []},
            "viewerState": None,
            "resourceIdString": f"{version.model.id}@{version.id}",
            "screenshot": draw_screenshot(version),
        }
    }


@cache
def _samples() -> Mapping[str, Mapping[str, Any]]:
    """A delivery of each person, for their pictures."""
    deliveries = json.loads(SAMPLES.read_text("utf-8"))
    return {one["userId"]: one for one in reversed(deliveries)}
