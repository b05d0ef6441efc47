"""What people read of webhooks at Speckle, whatever was typed there."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.cogs.subscriptions import panel_texts, subscribe_texts
from bot.cogs.subscriptions.subscribe_texts import subscribed, unsubscribed
from bot.cogs.webhooks import texts as wording
from bot.model import HookState, HookTrouble, PauseReason, SubscriptionState
from bot.permissions import Audience
from bot.services.access_rules import LiveFor
from bot.services.public_url import ProbeProblem, ProbeResult
from bot.services.subscribe_results import (
    Followed,
    MadeSetUp,
    NeedsAccount,
    NeedsConsent,
    SubscribeChange,
    Subscribed,
    SubscribeRequest,
    Unsubscribed,
)
from bot.services.webhook_page import WebhookPage
from bot.services.webhook_results import (
    Ensured,
    EnsureFailed,
    EnsureProblem,
    RemovalResult,
    WebhookChange,
)
from bot.services.webhook_setup import webhook_setup
from bot.speckle.events import EventKind
from bot.speckle.subscription_options import SubscriptionOptions
from tests.cogs.test_texts import HOOK, LARGEST, SUBSCRIPTION
from tests.services.conftest import CLOUD, FACADE, KESTREL, MAREN, STRUCTURE, TOWER, manager, place

MADE = replace(HOOK, webhook_id="51f7627c97", account_id=1)
SETTINGS = f"{CLOUD}/projects/{TOWER}/settings/webhooks"
HOSTILE = "@everyone **x** [free](https://evil.example) `code`\u202e"
REQUEST = SubscribeRequest(KESTREL, manager(), place(), TOWER)


def _subscribed(
    webhook: Ensured | EnsureFailed, change: SubscribeChange = SubscribeChange.NEW
) -> str:
    waits = isinstance(webhook, EnsureFailed)
    hook = replace(HOOK, state=HookState.WAITING) if waits else MADE
    setup = (
        webhook_setup(hook, [SubscriptionOptions()], "https://bot.example", "x", WebhookPage())
        if waits
        else None
    )
    outcome = Subscribed(Followed(hook, SUBSCRIPTION), change, None, False, setup, (), webhook)
    reply = subscribed(outcome)
    assert (reply.embed is not None) is waits
    return reply.content or ""


def test_a_webhook_that_was_made_leaves_nothing_to_do_and_shows_no_secret() -> None:
    text = _subscribed(Ensured(WebhookChange.MADE))
    assert "nothing left to do" in text
    assert HOOK.secrets[0] not in text
    assert "51f7627c97" not in text


@pytest.mark.parametrize("done", WebhookChange)
def test_a_webhook_that_is_switched_off_is_told_with_where_to_switch_it_on(
    done: WebhookChange,
) -> None:
    text = _subscribed(Ensured(done, switched_off=True, repaired=("secret",)))
    assert "switched off" in text
    assert SETTINGS in text


def test_a_private_network_names_the_setting_of_speckles_webhook_service() -> None:
    assert "ALLOW_LOCAL_NETWORK=true" in _subscribed(
        Ensured(WebhookChange.MADE, local_network=True)
    )


@pytest.mark.parametrize("why", EnsureProblem)
@pytest.mark.parametrize("made", [False, True])
def test_each_reason_says_what_to_do_and_leaves_the_way_by_hand(
    why: EnsureProblem, made: bool
) -> None:
    reached = ProbeResult(ProbeProblem.NO_ANSWER, "no answer within 5 s")
    text = _subscribed(EnsureFailed(why, HOSTILE, (HOSTILE,), reached, made))
    assert "could not be" in text
    assert "To set it up by hand:" in text
    assert "[free](" not in text
    assert "@everyone" not in text.replace("\\@", "")


@pytest.mark.parametrize("problem", ProbeProblem)
def test_each_fault_of_public_url_is_told_with_its_mend(problem: ProbeProblem) -> None:
    text = wording.probe_text(ProbeResult(problem, "10.0.0.7"), CLOUD)
    assert "PUBLIC_URL" in text
    assert "The person who runs the bot must" in text


def test_who_is_no_owner_reads_whom_to_ask_or_where_to_look() -> None:
    named = _subscribed(
        EnsureFailed(EnsureProblem.NOT_OWNER, owners=("Ilse Brandt", "Bob Castellan"))
    )
    assert "**Ilse Brandt** and **Bob Castellan**" in named
    assert f"{CLOUD}/projects/{TOWER}" in _subscribed(EnsureFailed(EnsureProblem.NOT_OWNER))


@pytest.mark.parametrize("gone", RemovalResult)
def test_the_last_channel_says_what_became_of_the_webhook(gone: RemovalResult) -> None:
    text = unsubscribed(Unsubscribed(Followed(MADE, SUBSCRIPTION), True, SETTINGS, gone))
    assert "last channel" in text
    assert ("delete the one" in text) is (gone is RemovalResult.BY_HAND)


def test_a_made_webhook_has_nothing_to_set_up_and_says_by_whom_it_was_made() -> None:
    entry = Followed(MADE, SUBSCRIPTION)
    text = panel_texts.made_setup(MadeSetUp(entry, MAREN, Ensured(WebhookChange.NOTHING)))
    assert f"<@{MAREN}>" in text
    assert "nothing to set up" in text
    renewed = panel_texts.made_setup(MadeSetUp(entry, MAREN, Ensured(WebhookChange.NOTHING), True))
    assert "the old one is no longer valid" in renewed
    late = EnsureFailed(EnsureProblem.SPECKLE_AWAY, "no answer", made=True)
    assert "stays valid" in panel_texts.made_setup(MadeSetUp(entry, None, late, True))


def test_only_what_somebody_did_at_speckle_is_told_in_the_channel() -> None:
    shown = {
        done: wording.repaired_line(Ensured(done, repaired=("secret",)), "x")
        for done in WebhookChange
    }
    assert {done for done, line in shown.items() if line} == {
        WebhookChange.MADE_AGAIN,
        WebhookChange.REPAIRED,
    }
    assert "/unsubscribe" in shown[WebhookChange.MADE_AGAIN]


@pytest.mark.parametrize("trouble", HookTrouble)
def test_a_webhook_in_trouble_is_never_live_and_says_what_to_do(trouble: HookTrouble) -> None:
    entry = Followed(replace(MADE, trouble=trouble), SUBSCRIPTION)
    state = panel_texts.state_text(entry)
    assert state.startswith("🔴 ")
    assert "live" not in state
    line = wording.trouble_line(entry.hook, panel_texts.project_name(entry))
    assert state.removeprefix("🔴 ") in line
    panel = panel_texts.entry_embed(entry).to_dict()
    for said in (line, str(panel)):
        assert any(way in said for way in ("/subscribe", "/link", "/unsubscribe", SETTINGS))
        assert "{settings}" not in said


def test_a_paused_channel_says_what_is_wrong_with_its_webhook_too() -> None:
    paused = replace(SUBSCRIPTION, state=SubscriptionState.PAUSED, pause_reason=PauseReason.MEMBER)
    state = panel_texts.state_text(
        Followed(replace(MADE, trouble=HookTrouble.SWITCHED_OFF), paused)
    )
    assert state.startswith("⏸ paused by")
    assert "\n🔴 nothing arrives" in state
    gone = replace(paused, pause_reason=PauseReason.PROJECT_DELETED)
    assert "🔴" not in panel_texts.state_text(
        Followed(replace(MADE, trouble=HookTrouble.PROJECT_GONE), gone)
    )


@pytest.mark.parametrize("why", [None, *EnsureProblem])
def test_the_ways_to_go_on_are_named(why: EnsureProblem | None) -> None:
    needs = NeedsAccount(REQUEST, CLOUD, why, "no answer within 5 s")
    for live_for in LiveFor:
        text = subscribe_texts.needs_account_text(needs, live_for, by_hand=True)
        assert "othing was changed" in text
        assert "by hand" in text
        at_home = subscribe_texts.needs_account_text(needs, live_for, by_hand=False)
        assert "othing was changed" in at_home
        assert "by hand" not in at_home
        away = why is EnsureProblem.SPECKLE_AWAY
        assert away or subscribe_texts.MAY_BE_LIVE[live_for] in at_home
    paused = replace(needs, paused=True)
    lost = subscribe_texts.needs_account_text(paused, LiveFor.OWNERS, by_hand=True)
    assert "by hand" not in lost
    assert "paused" in lost


def test_everyone_is_named_as_everyone() -> None:
    assert "**Everyone in this server** (214 members)" in subscribe_texts.audience_text(
        Audience(True, (1,), (2,), people=214), STRUCTURE
    )
    assert "<#5>" in subscribe_texts.audience_text(Audience(True, parent_id=5), STRUCTURE)


def test_roles_members_and_threads_are_named() -> None:
    text = subscribe_texts.audience_text(Audience(False, (11, 12), (21,)), STRUCTURE)
    assert "<@&11> and <@&12>" in text
    assert "<@21>" in text
    thread = subscribe_texts.audience_text(
        Audience(False, (11,), parent_id=5, in_thread=True), STRUCTURE
    )
    assert "private thread" in thread
    assert "*Manage Threads* in <#5>" in thread
    assert f"<#{STRUCTURE}>" in subscribe_texts.audience_text(None, STRUCTURE)


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=600), st.integers(0, 250))
def test_every_answer_fits_discord(name: str, many: int) -> None:
    everyone = tuple(range(10**18, 10**18 + many))
    here = replace(place(), audience=Audience(False, everyone, everyone, 10**18, people=10**6))
    request = replace(REQUEST, channel=here)
    also = {10**18 + n: Audience(False, everyone) for n in range(min(many, 25))}
    for known in (name, None):
        embed = subscribe_texts.needs_consent_text(
            NeedsConsent(request, CLOUD, TOWER, known, also, many)
        )
        assert len(embed) <= 6000
        assert all(1 <= _units(field.value) <= 1024 for field in embed.fields)
    entry = Followed(replace(HOOK, project_name=name), replace(SUBSCRIPTION, options=LARGEST))
    reached = ProbeResult(ProbeProblem.NOT_THIS_BOT, name)
    for why in EnsureProblem:
        webhook = EnsureFailed(why, name, (name,) * 20, reached)
        outcome = Subscribed(entry, SubscribeChange.CHANGED, LARGEST, True, None, (), webhook)
        assert _units(subscribed(outcome).content) <= 2000


def _units(text: str | None) -> int:
    return len((text or "").encode("utf-16-le")) // 2


def test_the_question_names_each_channel_that_will_see_it_and_counts_the_others() -> None:
    also = {FACADE: Audience(True), FACADE + 1: Audience(False, (11,))}
    request = replace(REQUEST, left_out=frozenset({FACADE + 1}))
    embed = subscribe_texts.needs_consent_text(
        NeedsConsent(request, CLOUD, TOWER, "Harbour Tower", also, 2)
    )
    fields = {field.name: field.value or "" for field in embed.fields}
    assert f"<#{FACADE}>: everyone in this server" in fields["These channels will see it, too"]
    assert f"<#{FACADE + 1}>" not in str(fields)
    assert fields["Left out"].startswith("2 more channels")


def test_the_question_to_who_has_no_account_holds_no_name() -> None:
    text = (
        subscribe_texts.needs_consent_text(NeedsConsent(REQUEST, CLOUD, TOWER, None)).description
        or ""
    )
    assert "seems to be private in Speckle" in text
    assert "*Manage Webhooks* in the whole server" in text


def test_events_that_a_made_webhook_does_not_send_are_named_with_who_can_add_them() -> None:
    lacking = (EventKind.COMMENT_CREATED, EventKind.MODEL_CREATED)
    outcome = Subscribed(
        Followed(MADE, SUBSCRIPTION), SubscribeChange.NEW, None, False, None, (), lacking=lacking
    )
    text = subscribed(outcome).content or ""
    assert "comment created, model created" in text
    assert "an owner of the project" in text
