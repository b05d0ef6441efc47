"""What is live is shown as what a webhook brings: the same cards, kind by kind."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from bot.app import Timings
from bot.speckle.event_table import OWN_KINDS
from bot.speckle.events import EventKind
from sandbox.discord import SandboxChannel
from sandbox.speckle import SPECKLE_4_AS_ANNOUNCED, Comment, Model, Version
from sandbox.speckle.drawing import draw_avatar
from sandbox.speckle.entities import Invitation
from sandbox.speckle.issues import ServerIssue
from sandbox.speckle.people_at_work import Fired, PersonAtWork
from tests.conftest import name_of, only_2_31
from tests.pipeline.test_author_pictures import PATIENT, asked_for_avatars
from tests.pipeline.test_live import LIVE, Workshop
from tests.pipeline.test_live import workshop as workshop  # a fixture
from tests.waiting import until

only_4 = pytest.mark.parametrize("release", [SPECKLE_4_AS_ANNOUNCED], indirect=True, ids=name_of)
WITHIN_S = 15.0
Card = dict[str, Any]
Part = Callable[[Card], Card]
MANAGES = "manage_webhooks"


@pytest.fixture
def timings() -> Timings:
    return PATIENT


@dataclass(frozen=True)
class Both:
    """A channel that is live, one of another server that a webhook serves, and people at work.

    `mentions` are two more, which show nothing but those.
    """

    workshop: Workshop
    live: SandboxChannel
    by_webhook: SandboxChannel
    mentions: tuple[SandboxChannel, SandboxChannel]
    ilse: PersonAtWork
    kofi: PersonAtWork
    lena: PersonAtWork

    @property
    def model(self) -> Model:
        return self.workshop.tower.models[0]

    @property
    def version(self) -> Version:
        return self.workshop.tower.versions[-1]

    @property
    def thread(self) -> Comment:
        return next(one for one in self.workshop.tower.comments if one.parent is None)

    @property
    def issue(self) -> ServerIssue:
        return self.workshop.server.issues[self.workshop.tower.id][0]

    def cards(self, channel: SandboxChannel) -> list[Card]:
        """Without their time, which is when it happened, or when the webhook came, and of the
        addresses that Discord gives to pictures the file's name alone.
        """
        return [
            {
                name: _with_names(value) if name in ("image", "author") else value
                for name, value in embed.items()
                if name != "timestamp"
            }
            for message in self.workshop.studio.sandbox.messages(channel.id)
            for embed in message.embeds
        ]

    def are_alike(self, count: int, part: Part) -> bool:
        """Whether there are so many cards in both, and the last ones are the same in this part."""
        live, by_webhook = self.cards(self.live), self.cards(self.by_webhook)
        return len(live) == len(by_webhook) == count and part(live[-1]) == part(by_webhook[-1])


def _with_names(part: dict[str, str]) -> dict[str, str]:
    return {name: urlsplit(value).path.rpartition("/")[2] for name, value in part.items()}


def as_it_is(card: Card) -> Card:
    return card


def without_person(card: Card) -> Card:
    """Without who did it, and to whom."""
    fields = [one for one in card.get("fields", ()) if one["name"] != "Person"]
    return {name: value for name, value in card.items() if name != "author"} | {"fields": fields}


# A list has the ids of people, and the account knows the names of those in the project, of who is
# new there after a minute.
ABOUT_STRANGERS = (
    "invitation_declined",
    "access_requested",
    "access_declined",
    "invitation_accepted",
)
NOT_IN_LISTS = {
    *(EventKind.ISSUE_CREATED, EventKind.ISSUE_UPDATED),  # of newer servers, see below
    *(EventKind.ISSUE_REPLIED, EventKind.ISSUE_DELETED),
    *(EventKind.PERMISSION_GRANTED, EventKind.PERMISSION_REVOKED),  # of older servers
    EventKind.PROJECT_DELETED,  # with its list
    EventKind.UNKNOWN,
}
ONE_AFTER_THE_OTHER: dict[str, Callable[[Both], Fired]] = {
    "model_created": lambda at: at.ilse.create_model(
        at.workshop.tower, "Structure/Roof", "Level 38"
    ),
    "version_created": lambda at: at.ilse.publish(at.model, "slab poured", "Rhino"),
    "version_updated": lambda at: at.ilse.update_version(at.version, "slab poured again"),
    "comment_mentioned": lambda at: at.ilse.comment(at.version, "look, @Jonas Okafor"),
    "version_received": lambda at: at.ilse.receive(at.version, "Revit"),
    "version_moved": lambda at: at.ilse.move_version(at.version, "archive"),
    "comment_created": lambda at: at.ilse.comment(at.version, "is it dry?"),
    "comment_replied": lambda at: at.ilse.reply(at.thread, "not yet"),
    "comment_resolved": lambda at: at.ilse.resolve(at.thread, resolved=True),
    "comment_reopened": lambda at: at.ilse.resolve(at.thread, resolved=False),
    "model_updated": lambda at: at.ilse.update_model(at.model, name="slabs"),
    "version_deleted": lambda at: at.ilse.delete_version(at.version),
    "model_deleted": lambda at: at.ilse.delete_model(at.model),
    "project_updated": lambda at: at.ilse.update_project(
        at.workshop.tower, description="38 floors"
    ),
    "invitation_sent": lambda at: at.ilse.invite(
        at.workshop.tower, at.kofi.user, "stream:reviewer"
    ),
    "invitation_declined": lambda at: at.kofi.answer_invitation(at.workshop.tower, accept=False),
    "access_requested": lambda at: at.kofi.ask_for_access(at.workshop.tower),
    "access_declined": lambda at: at.ilse.answer_request(at.workshop.tower, at.kofi.user, None),
    "invitation_accepted": lambda at: at.lena.answer_invitation(at.workshop.tower, accept=True),
}


@pytest.fixture
async def both(workshop: Workshop) -> AsyncIterator[Both]:
    """Jonas is heard in #structure; Ilse had a webhook made for #yard of another server."""
    studio, server, tower = workshop.studio, workshop.server, workshop.tower
    guild = studio.sandbox.add_guild("Site Office")
    yard, crane = guild.add_channel("yard"), guild.add_channel("crane")
    tove = guild.add_member("Tove Lind", permissions=MANAGES)
    office = replace(workshop, studio=replace(studio, guild=guild, structure=yard, maren=tove))
    workshop.ilse.avatar = draw_avatar(workshop.ilse.name)
    kofi, lena = server.add_user("Kofi Mensah"), server.add_user("Lena Vogel")
    # Names of models are asked for once a minute at most: these are known from the beginning.
    for name in ("Structure/Slab", "Archive"):
        server.add_model(tower, name, author=workshop.ilse)
    tower.invitations[lena.id] = Invitation("stream:reviewer", workshop.ilse)
    at_work = [PersonAtWork(server, one) for one in (workshop.ilse, kofi, lena)]
    async with workshop.start(public=True):
        await workshop.link(workshop.juno, workshop.jonas)
        assert LIVE in await workshop.subscribe(workshop.juno, events="all")
        await office.link(tove, workshop.ilse)
        assert "in Speckle for you" in await office.subscribe(events="all")
        await workshop.subscribe(workshop.juno, studio.facade, events="comment_mentioned")
        await office.subscribe(where=crane, events="comment_mentioned")
        yield Both(workshop, studio.structure, yard, (studio.facade, crane), *at_work)


@only_2_31
async def test_each_kind_is_the_same_card_as_by_a_webhook(both: Both) -> None:
    for kind, happens in ONE_AFTER_THE_OTHER.items():
        there = len(both.cards(both.by_webhook))
        happens(both)
        part = without_person if kind in ABOUT_STRANGERS else as_it_is
        with suppress(TimeoutError):
            await until(partial(both.are_alike, there + 1, part), WITHIN_S)
        (live,), (by_webhook,) = (both.cards(one)[there:] for one in (both.live, both.by_webhook))
        assert part(live) == part(by_webhook), kind
        if kind in ABOUT_STRANGERS:
            stranger = (both.lena if kind == "invitation_accepted" else both.kofi).user
            assert stranger.id in str(live)
            assert stranger.name in str(by_webhook)
    of_live, of_webhook = map(both.cards, both.mentions)
    assert of_live == of_webhook
    assert len(of_live) == 1
    assert set(EventKind) - OWN_KINDS == ONE_AFTER_THE_OTHER.keys() | NOT_IN_LISTS
    assert asked_for_avatars(both.workshop.server) == 1


WITHOUT_LIST: dict[str, Callable[[Both], Fired]] = {
    "model_created": lambda at: at.ilse.create_model(
        at.workshop.tower, "Structure/Roof", "Level 38"
    ),
    "version_created": lambda at: at.ilse.publish(at.model, "slab poured", "Rhino"),
    "issue_created": lambda at: at.ilse.open_issue(at.version, "Clash", "a beam in a duct"),
    "issue_updated": lambda at: at.ilse.update_issue(at.issue, status="resolved"),
    "issue_replied": lambda at: at.ilse.reply_to_issue(at.issue, "moved it"),
}
COMPARED: dict[str, Callable[[Both], Fired]] = {
    "version_updated": lambda at: at.ilse.update_version(at.version, "slab poured again"),
    "version_moved": lambda at: at.ilse.move_version(at.version, "archive"),
    "model_updated": lambda at: at.ilse.update_model(at.model, name="slabs"),
    "issue_deleted": lambda at: at.ilse.delete_issue(at.issue),
    "version_deleted": lambda at: at.ilse.delete_version(at.version),
    "model_deleted": lambda at: at.ilse.delete_model(at.model),
}


UNKNOWN = "The time is when the bot noticed it: this Speckle server says neither when it happened"


def known_of(card: Card) -> Card:
    """What of a webhook's card can be found by comparing: not by whom, nor what is not kept."""
    kept = {name: value for name, value in card.items() if name not in ("author", "description")}
    fields = [one for one in card.get("fields", ()) if one["name"] != "Application"]
    return kept | ({"fields": fields} if fields else {})


@only_4
async def test_where_there_is_no_list_what_was_made_is_the_same_and_the_rest_says_what_is_not_known(
    both: Both,
) -> None:
    for kind, happens in (WITHOUT_LIST | COMPARED).items():
        there = len(both.cards(both.by_webhook))
        happens(both)
        alike = partial(both.are_alike, there + 1, known_of if kind in COMPARED else as_it_is)
        with suppress(TimeoutError):
            await until(alike, WITHIN_S)
        (live,), (by_webhook,) = (both.cards(one)[there:] for one in (both.live, both.by_webhook))
        if kind in WITHOUT_LIST:
            assert live == by_webhook, kind
        else:
            assert known_of(live) == known_of(by_webhook), kind
            assert "author" not in live
            assert UNKNOWN in live["description"]
