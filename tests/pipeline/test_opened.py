"""Issues and threads that are opened on a version, on its card: the whole bot at work."""

from dataclasses import replace

import pytest

from bot.app import Timings
from bot.cards.card import OpenedTopic
from bot.cards.opened import MOST_KEPT, opened_text, with_topic
from bot.speckle.subscription_options import SubscriptionOptions
from sandbox.discord import SandboxChannel
from sandbox.speckle import SPECKLE_2_31, SPECKLE_4, Release, ServerProject
from sandbox.speckle.people_at_work import PersonAtWork
from tests.pipeline.conftest import Studio
from tests.pipeline.world import OpenStage, stage
from tests.pipeline.world import timings as quick
from tests.waiting import until

__all__ = ["quick", "stage"]


@pytest.fixture(params=[SPECKLE_2_31, SPECKLE_4], ids=lambda release: release.name)
def release(request: pytest.FixtureRequest) -> Release:
    found: Release = request.param
    return found


@pytest.fixture
def timings(quick: Timings) -> Timings:
    return replace(quick, edits_apart_s=0.3)


def of_version(studio: Studio, channel: SandboxChannel) -> str:
    """The card of the version in a channel."""
    embeds = [one for message in studio.sandbox.messages(channel.id) for one in message.embeds]
    return str([one for one in embeds if "New version" in one["title"]])


def titles(studio: Studio, channel: SandboxChannel) -> str:
    """All that a channel shows."""
    return str([one.embeds for one in studio.sandbox.messages(channel.id)])


def tried(studio: Studio, channel: SandboxChannel) -> int:
    """How often an edit was tried in a channel."""
    path = f"/channels/{channel.id}/messages/"
    requests = studio.sandbox.requests
    return sum(one.method == "PATCH" and one.path.startswith(path) for one in requests)


class Talk:
    """What people say on a version: in issues, or in threads where the server has none."""

    def __init__(self, person: PersonAtWork, project: ServerProject, release: Release) -> None:
        self._person = person
        self._project = project
        self._has_issues = release is not SPECKLE_2_31
        self.noun = "issue" if self._has_issues else "thread"

    def open(self, title: str) -> None:
        version = self._project.versions[-1]
        if self._has_issues:
            self._person.open_issue(version, title, "See there")
        else:
            self._person.comment(version, title)

    def end(self, *, resolved: bool = True) -> None:
        if self._has_issues:
            issue = self._person.server.issues[self._project.id][0]
            self._person.update_issue(issue, status="resolved" if resolved else "open")
        else:
            self._person.resolve(self._project.comments[0], resolved=resolved)


async def test_what_is_opened_on_a_version_is_on_its_card_until_it_is_resolved(
    stage: OpenStage, studio: Studio, release: Release
) -> None:
    door = "Door *too* low @everyone"
    async with stage() as at:
        account = await at.link()
        await at.follow(studio.structure, account)
        only_versions = SubscriptionOptions(events=("versions",))
        await at.follow(studio.facade, account, options=only_versions)
        ilse = PersonAtWork(at.tower.server, at.tower.ilse)
        talk = Talk(ilse, at.tower.project, release)

        async def line(text: str) -> None:
            await until(lambda: text in of_version(studio, studio.structure), 20.0)

        ilse.publish(at.public, "slab", "Revit2026")
        await until(lambda: "slab" in of_version(studio, studio.facade), 20.0)
        await line("slab")
        talk.open(door)
        await line(f"1 {talk.noun} opened on it: [*Door")
        assert "\\\\*too\\\\* low \\\\@everyone" in of_version(studio, studio.structure)
        route = f"PATCH /channels/{studio.structure.id}/messages/*"
        studio.sandbox.faults.fail(route, 503, times=50)
        before = tried(studio, studio.structure)
        talk.open("Wall leans")
        await until(lambda: "Wall leans" in titles(studio, studio.structure), 20.0)
        await until(lambda: tried(studio, studio.structure) > before, 20.0)
    studio.sandbox.faults.heal()
    async with stage() as at:
        await line(f"2 {talk.noun}s opened on it: [*Door")
        assert of_version(studio, studio.structure).count("Wall leans") == 1
        talk.end()
        await line(f"1 {talk.noun} opened on it: [*Wall leans*]")
        talk.end(resolved=False)
        await line(f"2 {talk.noun}s opened on it: [*Wall leans*]")
        assert "opened on it" not in of_version(studio, studio.facade)


def test_a_card_names_a_few_and_counts_up_to_a_bound() -> None:
    topics: tuple[OpenedTopic, ...] = ()
    for number in range(2 * MOST_KEPT):
        topic = OpenedTopic(str(number), "issue", f"[*{number}*](https://a.b)")
        topics = with_topic(with_topic(topics, topic, is_open=True), topic, is_open=True)
        if number == 3:
            assert opened_text(topics).startswith("4 issues opened on it: [*0*]")
            assert opened_text(topics).endswith(" · 1 more")
    assert len(topics) == MOST_KEPT
    assert opened_text(topics).startswith("50+ issues opened on it: ")
    assert opened_text(with_topic(topics[:1], topics[0], is_open=False)) == ""
