"""/subscribe, as values."""

import asyncio
from dataclasses import replace

import pytest

from bot.model import HookKind, HookState, PauseReason, SubscriptionState
from bot.permissions import ChannelKind, ChannelPermission
from bot.services.channel_rules import NEEDED
from bot.services.refusals import (
    CannotPost,
    CommandRefused,
    NoProjectCalled,
    NotManager,
    Obstacle,
    Retry,
    ServerNotAllowed,
)
from bot.services.subscribe_results import SubscribeChange
from bot.services.webhook_page import WebhookPage
from bot.services.webhook_setup import WebhookSetup
from bot.speckle.event_table import EVENTS
from bot.speckle.subscription_options import OptionFault, OptionProblem, SubscriptionOptions
from tests.services.conftest import (
    CLOUD,
    FACADE,
    HERON,
    HERON_LOG,
    KESTREL,
    MAREN,
    OWN_SERVER,
    PAVILION,
    PUBLIC_URL,
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

# ── the first subscription ────────────────────────────────────────────────────────────────────


async def test_the_first_subscription_of_a_project_waits_and_shows_its_set_up(desk: Desk) -> None:
    outcome = await desk.subscribe(f"{CLOUD}/projects/{TOWER}")
    hook, setup = outcome.entry.hook, outcome.setup
    assert outcome.change is SubscribeChange.NEW
    assert (hook.state, hook.kind, hook.server_url) == (HookState.WAITING, HookKind.OWN, CLOUD)
    assert (hook.created_by, hook.setup_channel_id) == (MAREN, STRUCTURE)
    assert setup is not None
    assert setup.url == f"{PUBLIC_URL}/webhooks/{hook.key}"
    assert setup.secret == hook.secrets[0]
    assert setup.settings_url == f"{CLOUD}/projects/{TOWER}/settings/webhooks"
    assert set(setup.triggers) == set(WebhookPage().names(row.kind for row in EVENTS))


async def test_the_set_up_names_only_the_triggers_that_the_filters_need(desk: Desk) -> None:
    outcome = await desk.subscribe(events="comments, version_created, version_moved")
    assert outcome.setup is not None
    assert outcome.setup.triggers == (
        "version_create",
        "issue_created",
        "issue_updated",
        "issue_reply_created",
        "issue_deleted",
        "comment_created",
        "comment_replied",
        "comment_archived",
    )


async def test_neither_url_nor_secret_is_printed_by_accident(desk: Desk) -> None:
    outcome = await desk.subscribe()
    assert outcome.setup is not None
    for hidden in (outcome.setup.secret, outcome.entry.hook.key or ""):
        assert hidden not in repr(outcome)


async def test_without_a_public_url_the_end_of_the_address_is_there_all_the_same(
    make_desk: MakeDesk,
) -> None:
    outcome = await make_desk(public_url=None).subscribe()
    assert outcome.setup is not None
    assert outcome.setup.url is None
    assert outcome.setup.path == f"/webhooks/{outcome.entry.hook.key}"


async def test_a_public_url_with_a_path_keeps_it(make_desk: MakeDesk) -> None:
    outcome = await make_desk(public_url="https://kestrel.example/speckle").subscribe()
    assert outcome.setup is not None
    path = f"/webhooks/{outcome.entry.hook.key}"
    assert outcome.setup.url == f"https://kestrel.example/speckle{path}"


async def test_a_guild_served_by_the_operator_is_live_at_once(make_desk: MakeDesk) -> None:
    outcome = await make_desk(served=frozenset({KESTREL})).subscribe()
    assert outcome.setup is None
    assert outcome.entry.hook.kind is HookKind.SHARED
    assert outcome.entry.hook.state is HookState.LIVE


async def test_a_hook_follows_the_operators_list_of_guilds(make_desk: MakeDesk) -> None:
    served, unserved = make_desk(served=frozenset({KESTREL})), make_desk()
    await unserved.subscribe()
    assert (await served.subscribe()).entry.hook.kind is HookKind.SHARED
    again = await unserved.subscribe()
    assert again.entry.hook.kind is HookKind.OWN
    assert again.entry.hook.state is HookState.WAITING
    assert again.setup is not None


async def test_a_live_hook_of_a_guild_stays_when_the_operator_starts_to_serve_it(
    desk: Desk, make_desk: MakeDesk
) -> None:
    await desk.subscribed_live()
    outcome = await make_desk(served=frozenset({KESTREL})).subscribe(channel_id=FACADE)
    assert outcome.entry.hook.kind is HookKind.OWN
    assert outcome.entry.hook.state is HookState.LIVE


# ── further channels, the same channel ────────────────────────────────────────────────────────


async def test_a_further_channel_follows_through_the_same_hook_and_is_live_at_once(
    desk: Desk,
) -> None:
    first = await desk.subscribed_live()
    further = await desk.subscribe(channel_id=FACADE)
    assert further.change is SubscribeChange.NEW
    assert further.setup is None
    assert further.entry.hook.id == first.hook.id
    assert further.entry.hook.state is HookState.LIVE


async def test_a_further_channel_says_which_triggers_it_needs_besides(desk: Desk) -> None:
    first = await desk.subscribe(events="versions")
    await desk.storage.write(lambda tx: note_event(tx, first.entry.hook.id, "Harbour Tower"))
    outcome = await desk.subscribe(channel_id=FACADE, events="model_created, version_created")
    assert outcome.new_triggers == ("model_create",)


async def test_the_same_channel_again_changes_the_filters_and_knows_the_old_ones(
    desk: Desk,
) -> None:
    await desk.subscribe(events="versions", models="struct/**")
    outcome = await desk.subscribe(events="issues")
    assert outcome.change is SubscribeChange.CHANGED
    assert outcome.old_options == SubscriptionOptions(events=("versions",), models=("struct/**",))
    assert outcome.entry.subscription.options == SubscriptionOptions(
        events=("issues",), models=("struct/**",)
    )


async def test_the_same_again_changes_nothing_and_says_so(desk: Desk) -> None:
    await desk.subscribe(events="versions", models="struct/**")
    assert (await desk.subscribe()).change is SubscribeChange.UNCHANGED
    assert (await desk.subscribe(events="Versions")).change is SubscribeChange.UNCHANGED


@pytest.mark.parametrize("nothing", ["all", "ALL ", "Everything"])
async def test_all_takes_a_filter_off(desk: Desk, nothing: str) -> None:
    await desk.subscribe(events="versions", models="struct/**", ignore_authors="Tobias Lindqvist")
    outcome = await desk.subscribe(events=nothing, models=nothing, ignore_authors=nothing)
    assert outcome.entry.subscription.options == SubscriptionOptions()


async def test_subscribing_again_resumes_what_was_paused(desk: Desk) -> None:
    first = await desk.subscribe()
    await desk.service.pause(KESTREL, manager(), first.entry.subscription.id)
    outcome = await desk.subscribe()
    assert outcome.resumed
    assert outcome.entry.subscription.state is SubscriptionState.ACTIVE
    assert outcome.entry.subscription.pause_reason is None


async def test_each_who_sets_a_project_up_by_hand_gets_an_address_and_a_secret_of_their_own(
    desk: Desk,
) -> None:
    outcomes = await asyncio.gather(
        *(desk.subscribe(channel_id=STRUCTURE + n, caller=manager(MAREN + n)) for n in range(6))
    )
    assert len({outcome.entry.hook.key for outcome in outcomes}) == 6
    assert len({outcome.entry.hook.secrets for outcome in outcomes}) == 6


async def test_two_at_once_in_one_channel_make_one_subscription(desk: Desk) -> None:
    await asyncio.gather(*(desk.subscribe() for _ in range(6)))
    assert len(await desk.storage.read(lambda tx: tx.hooks.of_guild(KESTREL))) == 1
    assert len(await desk.storage.read(lambda tx: tx.subscriptions.of_channel(STRUCTURE))) == 1


async def test_two_guilds_that_follow_one_project_have_two_hooks(desk: Desk) -> None:
    ours = await desk.subscribe()
    theirs = await desk.subscribe(guild_id=HERON, channel_id=HERON_LOG)
    assert ours.entry.hook.key != theirs.entry.hook.key
    assert ours.entry.hook.secrets != theirs.entry.hook.secrets


# ── what was typed ────────────────────────────────────────────────────────────────────────────


async def test_a_bare_id_means_the_default_server(desk: Desk) -> None:
    assert (await desk.subscribe(TOWER)).entry.hook.server_url == CLOUD


async def test_a_bare_id_means_the_server_where_the_guild_follows_it_already(desk: Desk) -> None:
    first = await desk.subscribe(f"{OWN_SERVER}/projects/{TOWER}")
    assert (await desk.subscribe(TOWER)).entry.hook.id == first.entry.hook.id


async def test_a_link_to_a_server_that_is_not_allowed_names_those_that_are(desk: Desk) -> None:
    with pytest.raises(CommandRefused) as refused:
        await desk.subscribe(f"https://elsewhere.example/projects/{TOWER}")
    allowed = (CLOUD, OWN_SERVER)
    assert refused.value.refusal == ServerNotAllowed("https://elsewhere.example", allowed)
    assert await desk.storage.read(lambda tx: tx.hooks.of_guild(KESTREL)) == []


async def test_what_is_no_link_is_refused(desk: Desk) -> None:
    with pytest.raises(CommandRefused) as refused:
        await desk.subscribe("harbour tower")
    assert isinstance(refused.value.refusal, NoProjectCalled)


async def test_a_link_to_a_model_presets_the_model_filter(desk: Desk) -> None:
    today = await desk.subscribe(f"{CLOUD}/projects/{TOWER}/models/0123456789@abcdefabcd")
    assert today.entry.subscription.options.models == ("0123456789",)
    old = await desk.subscribe(f"{CLOUD}/streams/{PAVILION}/branches/struct/level%201")
    assert old.entry.subscription.options.models == ("struct/level 1",)


async def test_models_that_were_typed_win_over_the_links(desk: Desk) -> None:
    outcome = await desk.subscribe(
        f"{CLOUD}/projects/{TOWER}/models/0123456789", models="struct/**, !**/draft*"
    )
    assert outcome.entry.subscription.options.models == ("struct/**", "!**/draft*")


async def test_an_event_that_does_not_exist_leaves_nothing_behind(desk: Desk) -> None:
    with pytest.raises(CommandRefused) as refused:
        await desk.subscribe(events="verisons")
    problem = OptionProblem("events", OptionFault.NO_SUCH_EVENT, entry="verisons", near="versions")
    assert refused.value.refusal == problem
    assert await desk.storage.read(lambda tx: tx.hooks.of_guild(KESTREL)) == []


# ── who and where ─────────────────────────────────────────────────────────────────────────────


async def test_a_caller_who_may_not_manage_webhooks_there_is_refused(desk: Desk) -> None:
    with pytest.raises(CommandRefused) as refused:
        await desk.subscribe(caller=manager_of([FACADE]))
    assert refused.value.refusal == NotManager(STRUCTURE)
    assert await desk.storage.read(lambda tx: tx.hooks.of_guild(KESTREL)) == []


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        (ChannelKind.TEXT, ChannelPermission.EMBED_LINKS),
        (ChannelKind.TEXT, ChannelPermission.READ_HISTORY),
        (ChannelKind.ANNOUNCEMENT, ChannelPermission.SEND_MESSAGES),
        (ChannelKind.THREAD, ChannelPermission.SEND_IN_THREADS),
        (ChannelKind.VOICE, ChannelPermission.VIEW_CHANNEL),
        (ChannelKind.STAGE, ChannelPermission.ATTACH_FILES),
    ],
)
async def test_permissions_that_the_bot_lacks_are_named(
    desk: Desk, kind: ChannelKind, missing: ChannelPermission
) -> None:
    where = replace(place(kind=kind), bot_can=frozenset(ChannelPermission) - {missing})
    with pytest.raises(CommandRefused) as refused:
        await desk.subscribe(where=where)
    assert refused.value.refusal == CannotPost(
        STRUCTURE, kind, Obstacle.PERMISSIONS, (missing,), retry=Retry.SUBSCRIBE
    )


async def test_a_thread_does_not_need_send_messages(desk: Desk) -> None:
    where = place(kind=ChannelKind.THREAD)
    where = replace(where, bot_can=where.bot_can - {ChannelPermission.SEND_MESSAGES})
    assert (await desk.subscribe(where=where)).change is SubscribeChange.NEW


@pytest.mark.parametrize("kind", [kind for kind in ChannelKind if kind not in NEEDED])
async def test_places_without_messages_are_refused(desk: Desk, kind: ChannelKind) -> None:
    with pytest.raises(CommandRefused) as refused:
        await desk.subscribe(where=place(kind=kind))
    assert refused.value.refusal == CannotPost(
        STRUCTURE, kind, Obstacle.WRONG_KIND, retry=Retry.SUBSCRIBE
    )


async def test_closed_threads_are_refused(desk: Desk) -> None:
    thread = place(kind=ChannelKind.THREAD)
    for where, obstacle in (
        (replace(thread, archived=True), Obstacle.ARCHIVED),
        (replace(thread, locked=True, archived=True), Obstacle.LOCKED),
        (
            replace(
                thread,
                bot_in_thread=False,
                bot_can=thread.bot_can - {ChannelPermission.MANAGE_THREADS},
            ),
            Obstacle.NOT_IN_THREAD,
        ),
    ):
        with pytest.raises(CommandRefused) as refused:
            await desk.subscribe(where=where)
        assert isinstance(refused.value.refusal, CannotPost)
        assert refused.value.refusal.obstacle is obstacle


async def test_a_secret_is_shown_to_who_manages_all_its_channels_or_the_whole_server(
    desk: Desk,
) -> None:
    """Whoever began the set-up has no more rights by that."""
    here_only, there_only = manager_of([STRUCTURE]), manager_of([FACADE], MAREN)
    entry = (await desk.subscribe(caller=here_only)).entry
    show = desk.service.setups.show
    assert isinstance(await show(KESTREL, here_only, entry.subscription.id), WebhookSetup)
    await desk.storage.write(lambda tx: note_event(tx, entry.hook.id, "Harbour Tower"))
    further = (await desk.subscribe(channel_id=FACADE, caller=manager())).entry
    assert further.hook.id == entry.hook.id
    for caller, one in ((here_only, entry), (there_only, further)):
        with pytest.raises(CommandRefused, match="SECRET_OF_OTHERS"):
            await show(KESTREL, caller, one.subscription.id)
        with pytest.raises(CommandRefused, match="SECRET_OF_OTHERS"):
            await desk.service.setups.new_secret(
                KESTREL, caller, one.subscription.id, overlap=False
            )
    for caller in (manager(), manager_of([STRUCTURE, FACADE])):
        assert isinstance(await show(KESTREL, caller, entry.subscription.id), WebhookSetup)


async def test_a_project_that_was_deleted_can_be_resumed_by_hand(desk: Desk, clock: Clock) -> None:
    first = await desk.subscribe()
    await desk.storage.write(
        lambda tx: tx.subscriptions.set_state(
            first.entry.subscription.id, SubscriptionState.PAUSED, PauseReason.PROJECT_DELETED
        )
    )
    clock.forward(minutes=1)
    assert (await desk.subscribe()).resumed
