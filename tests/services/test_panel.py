"""What /unsubscribe, /subscriptions and its buttons do, as values."""

from datetime import timedelta

import pytest

from bot.model import HookKind, PauseReason, SubscriptionState
from bot.permissions import ChannelKind, TargetChannel
from bot.services.refusals import CannotPost, CommandRefused, Obstacle, RefusalReason, Retry
from bot.services.subscribe_results import (
    Followed,
    NotFollowed,
    NothingToSetUp,
    Subscribed,
    Unsubscribed,
)
from bot.services.webhook_setup import WebhookSetup
from bot.speckle.subscription_options import SubscriptionOptions
from tests.services.conftest import (
    CLOUD,
    FACADE,
    HERON,
    HERON_LOG,
    KESTREL,
    MAREN,
    OWN_SERVER,
    PAVILION,
    STRUCTURE,
    TOWER,
    Clock,
    Desk,
    MakeDesk,
    manager,
    manager_of,
    place,
)
from tests.stored import note_event


def nobody_sees(_channel_id: int) -> None:
    return None


# ── /unsubscribe ──────────────────────────────────────────────────────────────────────────────


async def test_the_last_channel_of_a_project_takes_the_hook_along(desk: Desk) -> None:
    hook = (await desk.subscribe()).entry.hook
    outcome = await desk.service.unsubscribe(KESTREL, manager(), TOWER, STRUCTURE)
    assert isinstance(outcome, Unsubscribed)
    assert outcome.last
    assert outcome.settings_url == f"{CLOUD}/projects/{TOWER}/settings/webhooks"
    assert await desk.storage.read(lambda tx: tx.hooks.get(hook.id)) is None


async def test_the_hook_stays_while_another_channel_follows(desk: Desk) -> None:
    hook = (await desk.subscribed_live()).hook
    await desk.subscribe(channel_id=FACADE)
    outcome = await desk.service.unsubscribe(KESTREL, manager(), TOWER, STRUCTURE)
    assert isinstance(outcome, Unsubscribed)
    assert not outcome.last
    assert await desk.storage.read(lambda tx: tx.hooks.get(hook.id)) is not None


@pytest.mark.parametrize("text", [TOWER, "Harbour Tower", f"{CLOUD}/projects/{TOWER}/models/all"])
async def test_a_project_is_found_by_id_name_or_link(desk: Desk, text: str) -> None:
    await desk.subscribed_live()
    assert isinstance(
        await desk.service.unsubscribe(KESTREL, manager(), text, STRUCTURE), Unsubscribed
    )


async def test_nothing_to_unsubscribe_is_said_and_where_there_is_something(desk: Desk) -> None:
    await desk.subscribe(channel_id=FACADE)
    await desk.subscribe(channel_id=FACADE + 1)
    caller = manager_of([STRUCTURE, FACADE])
    outcome = await desk.service.unsubscribe(KESTREL, caller, TOWER, STRUCTURE)
    assert outcome == NotFollowed(TOWER, (FACADE,))
    for text in (PAVILION, "no such project", "https://elsewhere.example/projects/" + TOWER):
        assert await desk.service.unsubscribe(KESTREL, caller, text, STRUCTURE) == NotFollowed(
            text, ()
        )


async def test_unsubscribing_needs_manage_webhooks_in_that_channel(desk: Desk) -> None:
    await desk.subscribe()
    with pytest.raises(CommandRefused, match="NotManager"):
        await desk.service.unsubscribe(KESTREL, manager_of([FACADE]), TOWER, STRUCTURE)


async def test_the_same_id_on_two_servers_is_two_projects(desk: Desk) -> None:
    await desk.subscribe(f"{OWN_SERVER}/projects/{TOWER}")
    await desk.subscribe(f"{CLOUD}/projects/{TOWER}")
    outcome = await desk.service.unsubscribe(
        KESTREL, manager(), f"{OWN_SERVER}/projects/{TOWER}", STRUCTURE
    )
    assert isinstance(outcome, Unsubscribed)
    assert outcome.entry.hook.server_url == OWN_SERVER


# ── the list ──────────────────────────────────────────────────────────────────────────────────


async def test_the_list_holds_what_the_caller_may_manage_and_nothing_of_other_guilds(
    desk: Desk,
) -> None:
    await desk.subscribe()
    await desk.subscribe(PAVILION, channel_id=FACADE)
    await desk.subscribe(guild_id=HERON, channel_id=HERON_LOG)
    service = desk.service
    mine = await service.listing(KESTREL, manager())
    assert [entry.subscription.channel_id for entry in mine] == [STRUCTURE, FACADE]
    assert len(await service.listing(KESTREL, manager(), FACADE)) == 1
    assert len(await service.listing(KESTREL, manager_of([FACADE]))) == 1
    assert await service.listing(KESTREL, manager_of([])) == []


async def test_another_guilds_subscription_reads_like_one_that_is_gone(desk: Desk) -> None:
    theirs = (await desk.subscribe(guild_id=HERON, channel_id=HERON_LOG)).entry.subscription.id
    service, caller = desk.service, manager()
    refusals = set()
    for subscription_id in (theirs, 4711):
        for work in (
            service.entry(KESTREL, caller, subscription_id),
            service.pause(KESTREL, caller, subscription_id),
            desk.service.resume(KESTREL, caller, subscription_id, place(), nobody_sees),
            service.remove(KESTREL, caller, subscription_id),
            service.setups.show(KESTREL, caller, subscription_id),
            service.setups.new_secret(KESTREL, caller, subscription_id, overlap=True),
        ):
            with pytest.raises(CommandRefused) as refused:
                await work
            refusals.add(refused.value.refusal)
    assert refusals == {RefusalReason.SUBSCRIPTION_GONE}
    assert (await desk.storage.read(lambda tx: tx.subscriptions.get(theirs))) is not None


async def test_each_button_needs_manage_webhooks_in_the_subscriptions_channel(desk: Desk) -> None:
    ours = (await desk.subscribe()).entry.subscription.id
    service, caller = desk.service, manager_of([FACADE])
    for work in (
        service.entry(KESTREL, caller, ours),
        service.pause(KESTREL, caller, ours),
        desk.service.resume(KESTREL, caller, ours, place(), nobody_sees),
        service.remove(KESTREL, caller, ours),
        service.setups.show(KESTREL, caller, ours),
        service.setups.new_secret(KESTREL, caller, ours, overlap=True),
    ):
        with pytest.raises(CommandRefused, match="NotManager"):
            await work


# ── the buttons ───────────────────────────────────────────────────────────────────────────────


async def test_pausing_remembers_who_did_it_and_resuming_forgets_it(desk: Desk) -> None:
    subscription_id = (await desk.subscribe()).entry.subscription.id
    paused = (await desk.service.pause(KESTREL, manager(), subscription_id)).subscription
    assert (paused.state, paused.pause_reason) == (SubscriptionState.PAUSED, PauseReason.MEMBER)
    assert paused.pause_detail == str(MAREN)
    resumed = await desk.service.resume(KESTREL, manager(), subscription_id, place(), nobody_sees)
    assert isinstance(resumed, Followed)
    resumed_now = resumed.subscription
    assert (resumed_now.state, resumed_now.pause_reason) == (SubscriptionState.ACTIVE, None)


async def test_a_pause_of_the_bot_keeps_its_reason(desk: Desk) -> None:
    subscription_id = (await desk.subscribe()).entry.subscription.id
    await desk.storage.write(
        lambda tx: tx.subscriptions.set_state(
            subscription_id, SubscriptionState.PAUSED, PauseReason.NO_PERMISSION
        )
    )
    entry = await desk.service.pause(KESTREL, manager(), subscription_id)
    assert entry.subscription.pause_reason is PauseReason.NO_PERMISSION


async def test_resuming_looks_at_the_channel_first(desk: Desk) -> None:
    subscription_id = (await desk.subscribe()).entry.subscription.id
    await desk.service.pause(KESTREL, manager(), subscription_id)
    gone = TargetChannel(STRUCTURE, ChannelKind.GONE, frozenset())
    with pytest.raises(CommandRefused) as refused:
        await desk.service.resume(KESTREL, manager(), subscription_id, gone, nobody_sees)
    assert refused.value.refusal == CannotPost(
        STRUCTURE, ChannelKind.GONE, Obstacle.WRONG_KIND, retry=Retry.RESUME
    )
    entry = await desk.service.entry(KESTREL, manager(), subscription_id)
    assert entry.subscription.state is SubscriptionState.PAUSED


async def test_editing_replaces_the_filters_and_gives_the_old_ones(desk: Desk) -> None:
    there = (await desk.subscribe(events="versions")).entry
    new = SubscriptionOptions(models=("struct/**",))
    edited = await desk.edit(manager(), there, new)
    assert isinstance(edited, Subscribed)
    assert edited.old_options == SubscriptionOptions(events=("versions",))
    assert edited.entry.subscription.options == new


async def test_editing_does_not_resume_what_is_paused(desk: Desk) -> None:
    there = (await desk.subscribe(events="versions")).entry
    await desk.service.pause(KESTREL, manager(), there.subscription.id)
    edited = await desk.edit(manager(), there, SubscriptionOptions())
    assert isinstance(edited, Subscribed)
    assert edited.entry.subscription.state is SubscriptionState.PAUSED


async def test_removing_by_button_is_the_same_as_unsubscribing(desk: Desk) -> None:
    subscription_id = (await desk.subscribe()).entry.subscription.id
    assert (await desk.service.remove(KESTREL, manager(), subscription_id)).last
    with pytest.raises(CommandRefused, match="SUBSCRIPTION_GONE"):
        await desk.service.remove(KESTREL, manager(), subscription_id)


async def test_the_set_up_can_be_shown_again_and_covers_all_channels(desk: Desk) -> None:
    first = await desk.subscribe(events="versions")
    await desk.storage.write(lambda tx: note_event(tx, first.entry.hook.id, "Harbour Tower"))
    await desk.subscribe(channel_id=FACADE, events="models")
    setup = await desk.service.setups.show(KESTREL, manager(), first.entry.subscription.id)
    assert isinstance(setup, WebhookSetup)
    assert setup.secret == first.entry.hook.secrets[0]
    assert {"version_create", "model_create"} < set(setup.triggers)
    assert "comment_created" not in setup.triggers


async def test_the_old_secret_works_for_24_hours_more_or_ends_now_as_one_likes(
    desk: Desk, clock: Clock
) -> None:
    first = (await desk.subscribe()).entry
    old = first.hook.secrets[0]
    renew = desk.service.setups.new_secret
    setup = await renew(KESTREL, manager(), first.subscription.id, overlap=True)
    assert isinstance(setup, WebhookSetup)
    assert setup.renewed
    assert setup.secret != old
    assert setup.old_secret_until == clock() + timedelta(hours=24)
    assert await secrets_of(desk, first) == (setup.secret, old)
    clock.time = setup.old_secret_until + timedelta(seconds=1)
    assert await secrets_of(desk, first) == (setup.secret,)
    now = await renew(KESTREL, manager(), first.subscription.id, overlap=False)
    assert isinstance(now, WebhookSetup)
    assert (now.renewed, now.old_secret_until) == (True, None)
    assert await secrets_of(desk, first) == (now.secret,)


async def test_a_secret_that_ends_now_takes_along_one_that_was_to_work_on(desk: Desk) -> None:
    first = (await desk.subscribe()).entry
    await desk.service.setups.new_secret(KESTREL, manager(), first.subscription.id, overlap=True)
    now = await desk.service.setups.new_secret(
        KESTREL, manager(), first.subscription.id, overlap=False
    )
    assert isinstance(now, WebhookSetup)
    assert await secrets_of(desk, first) == (now.secret,)


async def secrets_of(desk: Desk, entry: Followed) -> tuple[str, ...]:
    hook = await desk.storage.read(lambda tx: tx.hooks.get(entry.hook.id))
    assert hook is not None
    return hook.secrets


async def test_a_shared_hook_has_no_secret_to_show_or_renew(make_desk: MakeDesk) -> None:
    desk = make_desk(served=frozenset({KESTREL}))
    subscription_id = (await desk.subscribe()).entry.subscription.id
    service, caller = desk.service, manager()
    for work in (
        service.setups.show(KESTREL, caller, subscription_id),
        service.setups.new_secret(KESTREL, caller, subscription_id, overlap=False),
    ):
        shown = await work
        assert isinstance(shown, NothingToSetUp)
        assert shown.entry.hook.kind is HookKind.SHARED


# ── autocomplete ──────────────────────────────────────────────────────────────────────────────


async def test_only_projects_of_the_guild_are_offered_and_the_choice_leads_back(
    desk: Desk,
) -> None:
    await desk.subscribed_live()
    await desk.subscribe(channel_id=FACADE)
    await desk.subscribe(PAVILION, guild_id=HERON, channel_id=HERON_LOG)
    choices = await desk.service.autocomplete.followed_projects(KESTREL, manager(), "harb")
    assert [choice.name for choice in choices] == ["Harbour Tower"]
    outcome = await desk.service.unsubscribe(KESTREL, manager(), choices[0].value, FACADE)
    assert isinstance(outcome, Unsubscribed)
    assert await desk.service.autocomplete.followed_projects(KESTREL, manager(), PAVILION) == []
    assert (
        await desk.service.autocomplete.followed_projects(KESTREL, manager_of([FACADE + 1]), "")
        == []
    )
