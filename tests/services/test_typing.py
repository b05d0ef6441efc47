"""What people type into /subscribe, against a Speckle server that answers."""

from collections.abc import AsyncIterator

import pytest

from bot.permissions import Actor
from bot.services.refusals import CommandRefused, NoProjectCalled, NotAProject
from bot.services.subscribe_results import (
    CommandCaller,
    LinkedModels,
    NeedsAccount,
    NeedsChoice,
    SubscribeChange,
    Subscribed,
    SubscribeRequest,
)
from bot.speckle.filter_hints import FilterHint, NoEffect
from bot.speckle.links import LinkTarget
from bot.storage import Storage
from tests.services.conftest import (
    FACADE,
    KESTREL,
    MAREN,
    STRUCTURE,
    TEAM,
    TOBIAS,
    Clock,
    agreed,
    manager,
    manager_of,
    place,
)
from tests.services.speckle import Office, open_office

ROOF = 730_000_000_000_000_003


@pytest.fixture
async def office(storage: Storage, clock: Clock) -> AsyncIterator[Office]:
    async with open_office(storage, clock) as opened:
        for name in ("architecture/facade", "structure/level 1", "mep/ducts, east"):
            opened.server.add_model(opened.tower, name)
        yield opened


def caller_of(
    user_id: int = MAREN, channel_id: int = STRUCTURE, actor: Actor | None = None
) -> CommandCaller:
    return CommandCaller(KESTREL, actor or manager(user_id), channel_id, TEAM)


async def refusal(office: Office, project: str, caller: Actor | None = None) -> object:
    with pytest.raises(CommandRefused) as refused:
        await office.ask(project=project, caller=caller)
    return refused.value.refusal


# ── the project ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("typed", ["Kestrel Tower", '"kestrel  tower"', "kestrel\u00a0TOWER\u200b"])
async def test_a_name_is_enough_if_one_project_that_the_caller_sees_has_it(
    office: Office, typed: str
) -> None:
    await office.linked(MAREN, office.ilse)
    outcome = await office.ask(project=typed)
    assert isinstance(outcome, Subscribed)
    assert outcome.entry.hook.project_id == office.tower.id
    gone = await office.services.subscriptions.unsubscribe(
        KESTREL, manager(MAREN), typed, STRUCTURE
    )
    assert type(gone).__name__ == "Unsubscribed"


async def test_a_name_that_nobody_or_several_have_is_refused_with_what_is_near(
    office: Office,
) -> None:
    await office.linked(MAREN, office.ilse)
    office.server.add_project("Heron Bridge", owner=office.ilse)
    office.server.add_project("Heron Hidden", owner=office.nadia)
    near = await refusal(office, "Kestrel Towr")
    assert near == NoProjectCalled("Kestrel Towr", near=("Kestrel Tower",))
    assert await refusal(office, "Heron") == NoProjectCalled("Heron", near=("Heron Bridge",))
    assert await refusal(office, "Heron Hidden") == NoProjectCalled(
        "Heron Hidden", near=("Heron Bridge",)
    )
    office.server.add_project("Kestrel tower", owner=office.ilse)
    assert await refusal(office, "Kestrel Tower") == NoProjectCalled("Kestrel Tower", several=True)
    assert isinstance(await refusal(office, " "), NotAProject)


async def test_the_name_of_a_project_that_the_caller_cannot_see_is_nobodys(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe(channel_id=ROOF)
    stranger = manager_of([STRUCTURE])  # sees and manages another channel
    unknown = await refusal(office, "Heron Hidden", stranger)
    hidden = await refusal(office, "Kestrel Tower", stranger)
    assert unknown == NoProjectCalled("Heron Hidden")
    assert hidden == NoProjectCalled("Kestrel Tower")


async def test_a_name_of_ten_letters_is_no_id_where_a_project_has_it(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    house = office.server.add_project("Greenhouse", owner=office.ilse)
    outcome = await office.ask(project="Greenhouse")
    assert isinstance(outcome, Subscribed)
    assert outcome.entry.hook.project_id == house.id
    assert isinstance(await office.ask(project="Greenhaus1", caller=manager(TOBIAS)), NeedsAccount)


# ── a link to models ──────────────────────────────────────────────────────────────────────────


async def test_a_link_to_a_model_asks_where_the_channel_follows_the_project(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    facade, level, _ = (model.id for model in office.tower.models[-3:])
    link = f"see [it]({office.link}/models/{facade})."
    await office.subscribe()
    question = await office.ask(project=link)
    assert isinstance(question, NeedsChoice)
    assert (question.linked, question.shown) == ((facade,), ())
    assert question.entry.models == {facade: office.tower.models[-3].name}
    missing = await office.ask(project=f"{office.link}/models/0123456789")
    assert isinstance(missing, NeedsChoice)
    assert missing.hints == (FilterHint("models", NoEffect.NO_MODEL_FITS, "0123456789"),)

    async def choose(choice: LinkedModels, project: str = link) -> Subscribed:
        request = SubscribeRequest(
            KESTREL, manager(MAREN), place(), project, audience_of=lambda _: TEAM,
            linked_models=choice,
        )  # fmt: skip
        outcome = await agreed(office.services.subscriptions, request)
        assert isinstance(outcome, Subscribed)
        return outcome

    assert (await choose(LinkedModels.KEEP)).change is SubscribeChange.UNCHANGED
    assert (await choose(LinkedModels.ADD)).change is SubscribeChange.UNCHANGED
    only = await choose(LinkedModels.REPLACE)
    assert only.entry.subscription.options.models == (facade,)
    assert isinstance(await office.ask(project=link), Subscribed)  # it shows that already
    second = f"{office.link}/models/{level}"
    both = await choose(LinkedModels.ADD, second)
    assert both.entry.subscription.options.models == (facade, level)
    assert (await choose(LinkedModels.KEEP, second)).change is SubscribeChange.UNCHANGED
    named = await office.ask(project=link, models="structure/")
    assert isinstance(named, Subscribed)
    assert named.entry.models[facade] == office.tower.models[-3].name  # of what was shown before
    assert named.entry.subscription.options.models == ("structure/**",)
    assert named.hints == (FilterHint("models", NoEffect.LINK_UNUSED),)


async def test_several_models_and_versions_are_taken_and_said(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    facade, level, _ = office.tower.models[-3:]
    version = office.server.add_version(office.tower, facade, author=office.ilse)
    several = await office.ask(
        project=f"{office.link}/models/{facade.id},{level.id}", channel_id=FACADE
    )
    assert isinstance(several, Subscribed)
    assert several.entry.subscription.options.models == (facade.id, level.id)
    old = f"{office.server.url}/streams/{office.tower.id}/commits/{version.id}"
    for channel_id, link in (
        (STRUCTURE, f"{office.link}/models/{facade.id}@{version.id}"),
        (ROOF, old),
        (ROOF + 1, f"{office.server.url}/embed?stream={office.tower.id}&commit={version.id}"),
    ):
        outcome = await office.ask(project=link, channel_id=channel_id)
        assert isinstance(outcome, Subscribed)
        assert outcome.entry.subscription.options.models == (facade.id,)
        assert outcome.target is LinkTarget.VERSION


# ── filters without effect ────────────────────────────────────────────────────────────────────


async def test_filters_that_fit_nothing_now_come_with_the_nearest_that_does(
    office: Office,
) -> None:
    await office.linked(MAREN, office.ilse)
    outcome = await office.subscribe(models="facade, structure/", ignore_authors="ilse, Bob C")
    assert outcome.hints == (
        FilterHint("models", NoEffect.NO_MODEL_FITS, "facade", "architecture/facade"),
        FilterHint("ignore_authors", NoEffect.NOBODY_FITS, "ilse", "Ilse Brandt"),
        FilterHint("ignore_authors", NoEffect.NOBODY_FITS, "Bob C", "Bob Castellan"),
    )
    assert (await office.subscribe(models="facade ")).hints[0].near == "architecture/facade"
    fine = await office.subscribe(models="Architecture/**", ignore_authors="bob castellan")
    assert fine.hints == ()


async def test_an_event_that_the_server_never_sends_is_told_of(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    outcome = await office.subscribe(events="issue_created, comment_created, versions")
    assert outcome.hints == (
        FilterHint("events", NoEffect.NOT_SENT, "issue_created", "comment_created"),
    )


async def test_who_may_not_see_the_project_reads_nothing_of_its_models(office: Office) -> None:
    outcome = await office.subscribe(by_hand=True, models="facade", ignore_authors="ilse")
    assert outcome.hints == ()
    await office.linked(TOBIAS, office.nadia)
    here = caller_of(TOBIAS)
    service = office.services.subscriptions
    assert await service.autocomplete.models(here, office.link, "") == []
    assert await service.autocomplete.authors(here, office.link, "") == []


async def test_a_public_projects_models_are_everybodys(office: Office) -> None:
    office.tower.visibility = "PUBLIC"
    outcome = await office.subscribe(by_hand=True, models="facade")
    assert [hint.near for hint in outcome.hints] == ["architecture/facade"]
    offered = await office.services.subscriptions.autocomplete.models(
        caller_of(TOBIAS), office.link, "FACADE"
    )
    assert [choice.value for choice in offered] == ["architecture/facade"]


async def test_a_channel_offers_what_it_shows_by_the_account_that_subscribed_it(
    office: Office,
) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe(models="structure/**")
    service, tobias = office.services.subscriptions, manager_of([STRUCTURE])
    here = caller_of(actor=tobias)
    for project in (office.link, "Kestrel Tower"):
        offered = await service.autocomplete.models(here, project, "")
        assert [choice.value for choice in offered] == ["structure/level 1"]
    people = await service.autocomplete.authors(here, office.link, "b")
    assert [choice.value for choice in people] == ["Bob Castellan", "Ilse Brandt"]
    elsewhere = caller_of(channel_id=ROOF, actor=manager_of([ROOF]))
    assert await service.autocomplete.models(elsewhere, office.link, "") == []
    assert await service.autocomplete.authors(elsewhere, office.link, "") == []
    changed = await office.ask(caller=tobias, models="structure/**, !fasade")
    assert isinstance(changed, Subscribed)
    assert changed.hints == ()  # what the channel does not show is not hinted at


async def test_names_with_commas_are_offered_in_quotes(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    offered = await office.services.subscriptions.autocomplete.models(
        caller_of(), office.link, "facade; !ducts"
    )
    assert [choice.value for choice in offered] == ['facade, !"mep/ducts, east"']
    taken = await office.subscribe(models=offered[0].value)
    assert taken.entry.subscription.options.models == ("facade", "!mep/ducts, east")
