"""What answers say, whatever people typed in Speckle."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import discord
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.cogs.notices import quota_texts
from bot.cogs.notices import texts as notice_texts
from bot.cogs.subscriptions import panel_texts, subscribe_texts
from bot.cogs.subscriptions.panel import PAGE_SIZE
from bot.model import (
    NOBODY,
    Consent,
    Entitlement,
    Hook,
    HookKind,
    HookState,
    PauseReason,
    PauseWhy,
    Subscription,
    SubscriptionState,
)
from bot.quota import QuotaUse
from bot.services.quotas import GuildLimits, Usage
from bot.services.subscribe_results import (
    Followed,
    NotFollowed,
    Resumed,
    SubscribeChange,
    Subscribed,
    Unsubscribed,
)
from bot.services.webhook_page import WebhookPage
from bot.services.webhook_results import Ensured, WebhookChange
from bot.services.webhook_setup import WebhookSetup, webhook_setup
from bot.speckle.subscription_options import MAX_ENTRIES, MAX_ENTRY_LENGTH, SubscriptionOptions
from tests.services.conftest import CLOUD, FACADE, KESTREL, MAREN, STRUCTURE, TOWER

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOOK = Hook(
    id=1,
    guild_id=KESTREL,
    server_url=CLOUD,
    project_id=TOWER,
    project_name="Harbour Tower",
    kind=HookKind.OWN,
    key="k" * 43,
    secrets=("s" * 43,),
    state=HookState.LIVE,
    setup_channel_id=STRUCTURE,
    created_by=MAREN,
    created_at=NOW,
    live_at=NOW,
    last_event_at=NOW,
)
SUBSCRIPTION = Subscription(
    id=7,
    hook_id=1,
    guild_id=KESTREL,
    channel_id=STRUCTURE,
    options=SubscriptionOptions(),
    state=SubscriptionState.ACTIVE,
    pause_reason=None,
    pause_detail=None,
    created_by=MAREN,
    created_at=NOW,
    updated_at=NOW,
    last_event_at=None,
)
ENTRY = Followed(HOOK, SUBSCRIPTION)
LARGEST = SubscriptionOptions(
    models=tuple(f"{n:02}" + "*" * (MAX_ENTRY_LENGTH - 2) for n in range(MAX_ENTRIES))
)


def _units(text: str | None) -> int:
    return len((text or "").encode("utf-16-le")) // 2


def _check(embed: discord.Embed) -> None:
    assert _units(embed.title) <= 256
    assert 1 <= _units(embed.description or "-") <= 4096
    assert all(1 <= _units(f.name) <= 256 and 1 <= _units(f.value) <= 1024 for f in embed.fields)
    texts = [embed.title, embed.description, embed.footer.text]
    texts += [text for field in embed.fields for text in (field.name, field.value)]
    assert sum(_units(text) for text in texts) <= 6000


def _entry(name: str | None = "Harbour Tower", **changes: object) -> Followed:
    return Followed(replace(HOOK, project_name=name), replace(SUBSCRIPTION, **changes))  # type: ignore[arg-type]  # by name


def _set_up(
    hook: Hook,
    options: SubscriptionOptions | None = None,
    public_url: str | None = None,
    *,
    label: str = "Harbour Tower",
    renewed: bool = False,
    old_secret_until: datetime | None = None,
) -> WebhookSetup:
    return webhook_setup(
        hook,
        [options or SubscriptionOptions()],
        public_url,
        label,
        WebhookPage(),
        renewed=renewed,
        old_secret_until=old_secret_until,
    )


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=600))
def test_every_answer_fits_discord_whatever_the_project_is_called(name: str) -> None:
    entry = _entry(name, options=LARGEST, state=SubscriptionState.PAUSED)
    waiting = Followed(replace(entry.hook, state=HookState.WAITING), entry.subscription)
    _check(panel_texts.list_embed([entry] * PAGE_SIZE, 0, 3, 30))
    _check(
        panel_texts.entry_embed(
            entry, subscribe_texts.options_changed(entry, SubscriptionOptions())
        )
    )
    _check(panel_texts.setup_embed(_set_up(waiting.hook, label=name)))
    for text in (
        subscribe_texts.public_line(waiting),
        subscribe_texts.unsubscribed(Unsubscribed(entry, True, CLOUD)),
        subscribe_texts.not_followed(
            NotFollowed(name, tuple(range(10**17, 10**17 + 200))), STRUCTURE
        ),
        subscribe_texts.options_changed(entry, SubscriptionOptions()),
    ):
        assert _units(text) <= 2000
    assert 1 <= _units(panel_texts.option_label(entry, 100)) <= 100


def test_names_from_speckle_can_neither_mention_nor_format_nor_link() -> None:
    entry = _entry("@everyone **x** [free](https://evil.example) `code`\u202e")
    line = subscribe_texts.public_line(entry)
    assert "@everyone" not in line.replace("\\@", "")
    assert "[free](" not in line
    assert "**x**" not in line
    assert "\u202e" not in line


def test_the_public_line_says_what_is_followed_by_whom_and_whether_it_waits() -> None:
    entry = _entry(options=SubscriptionOptions(events=("issues",), models=("struct/**",)))
    line = subscribe_texts.public_line(entry)
    for part in ("**Harbour Tower**", f"{CLOUD}/projects/{TOWER}", "issues", "struct/**"):
        assert part in line
    assert f"<@{MAREN}>" in line
    assert "first event" not in line
    waiting = Followed(replace(HOOK, state=HookState.WAITING, project_name=None), SUBSCRIPTION)
    assert "waits for the first event" in subscribe_texts.public_line(waiting)
    assert f"**{TOWER}**" in subscribe_texts.public_line(waiting)


def test_the_public_line_holds_neither_key_nor_secret() -> None:
    for entry in (ENTRY, Followed(replace(HOOK, state=HookState.WAITING), SUBSCRIPTION)):
        line = subscribe_texts.public_line(entry)
        assert (HOOK.key or "") not in line
        assert HOOK.secrets[0] not in line


def test_the_set_up_has_all_that_is_to_be_entered_in_order() -> None:
    waiting = replace(HOOK, state=HookState.WAITING)
    embed = panel_texts.setup_embed(
        _set_up(waiting, SubscriptionOptions(events=("versions",)), "https://bot.kestrel.example")
    )
    assert [field.name for field in embed.fields] == [
        "URL",
        "Secret",
        "Events to choose",
    ]
    values = [field.value or "" for field in embed.fields]
    assert values[0] == f"```\nhttps://bot.kestrel.example/webhooks/{HOOK.key}\n```"
    assert values[1] == f"```\n{HOOK.secrets[0]}\n```"
    assert values[2].splitlines() == [
        "`version_create`",
        "`version_update`",
        "`version_receive`",
        "`version_delete`",
    ]
    text = embed.description or ""
    assert "*New*" in text
    assert "*Create webhook*" in text
    assert [text.index(f"{n}. ") for n in (1, 2, 3)] == sorted(
        text.index(f"{n}. ") for n in (1, 2, 3)
    )
    assert f"{CLOUD}/projects/{TOWER}/settings/webhooks" in text
    assert "first event" in text
    assert "members who manage webhooks" in (embed.footer.text or "")


def test_events_that_speckles_page_lacks_leave_a_way_to_have_them() -> None:
    embed = panel_texts.setup_embed(_set_up(HOOK, SubscriptionOptions(events=("version_moved",))))
    chosen = embed.fields[2].value or ""
    assert "offers none" in chosen
    assert "/link" in chosen


def test_a_missing_public_url_is_said_with_who_has_to_do_what() -> None:
    embed = panel_texts.setup_embed(_set_up(HOOK))
    url = embed.fields[0].value or ""
    assert f"/webhooks/{HOOK.key}" in url
    assert "PUBLIC_URL" in url
    assert "the person who runs it" in url


def test_a_new_secret_says_until_when_the_old_one_works() -> None:
    until = NOW + timedelta(hours=24)
    embed = panel_texts.setup_embed(_set_up(HOOK, renewed=True, old_secret_until=until))
    assert f"<t:{int(until.timestamp())}:R>" in (embed.description or "")
    ended = panel_texts.setup_embed(_set_up(HOOK, renewed=True))
    assert "old secret is no longer valid" in (ended.description or "")


def test_a_new_secret_means_to_delete_the_webhook_and_make_it_again_or_to_link() -> None:
    text = panel_texts.setup_embed(_set_up(HOOK, renewed=True)).description or ""
    steps = ("cannot change a webhook's secret", "delete the webhook", "*New*", "*Create webhook*")
    assert [text.index(step) for step in steps] == sorted(text.index(step) for step in steps)
    assert "`/link`" in text


def test_each_reason_of_a_right_is_told_with_who_answered_and_what_to_do() -> None:
    consent = Consent(MAREN, NOW, Entitlement.READER, SubscriptionOptions())
    shown = set()
    for why in PauseWhy:
        entry = _entry(
            state=SubscriptionState.PAUSED,
            pause_reason=PauseReason.ASK_AGAIN,
            pause_detail=why.value,
            consent=consent,
        )
        state = (
            next(f.value for f in panel_texts.entry_embed(entry).fields if f.name == "State") or ""
        )
        assert "*Resume*" in state
        assert "{" not in state
        shown.add(state)
    assert len(shown) == len(PauseWhy)
    assert sum(f"<@{MAREN}>" in state for state in shown) >= 8


def test_whoever_had_their_traces_erased_is_somebody() -> None:
    consent = Consent(NOBODY, NOW, Entitlement.READER, SubscriptionOptions())
    entry = _entry(
        state=SubscriptionState.PAUSED,
        pause_reason=PauseReason.ACCESS_LOST,
        pause_detail=PauseWhy.FORBIDDEN.value,
        consent=consent,
    )
    assert "the Speckle account of someone" in panel_texts.state_text(entry)


@pytest.mark.parametrize("reason", PauseReason)
def test_each_pause_says_why_and_what_to_do(reason: PauseReason) -> None:
    entry = _entry(state=SubscriptionState.PAUSED, pause_reason=reason, pause_detail=str(MAREN))
    state = next(f.value for f in panel_texts.entry_embed(entry).fields if f.name == "State") or ""
    assert "paused" in state
    assert "press" in state.lower()


def test_a_changed_filter_is_told_from_what_to_what() -> None:
    entry = _entry(options=SubscriptionOptions(events=("issues",)))
    old = SubscriptionOptions(events=("versions",), models=("struct/**",))
    outcome = Subscribed(entry, SubscribeChange.CHANGED, old, False, None, ())
    text = subscribe_texts.subscribed(outcome).content or ""
    before, now = text.index("Before: versions"), text.index("Now: issues")
    assert before < now
    assert "struct/**" in text[before:now]


def test_nothing_changed_is_said() -> None:
    outcome = Subscribed(ENTRY, SubscribeChange.UNCHANGED, SUBSCRIPTION.options, False, None, ())
    assert (subscribe_texts.subscribed(outcome).content or "").startswith("Nothing changed")


@pytest.mark.parametrize(
    "besides",
    [
        {"webhook": Ensured(WebhookChange.MADE)},
        {"resumed": True},
        {"also": (FACADE,)},
        {"unanswered": 1},
    ],
)
def test_nothing_changed_is_not_said_where_something_else_did(besides: dict[str, Any]) -> None:
    outcome = Subscribed(ENTRY, SubscribeChange.UNCHANGED, SUBSCRIPTION.options, False, None, ())
    outcome = replace(outcome, **besides)
    assert "Nothing changed" not in (subscribe_texts.subscribed(outcome).content or "")
    assert "Nothing changed" not in subscribe_texts.edited(outcome)


def test_the_last_one_says_what_to_remove_in_speckle() -> None:
    settings_url = f"{CLOUD}/projects/{TOWER}/settings/webhooks"
    text = subscribe_texts.unsubscribed(Unsubscribed(ENTRY, True, settings_url))
    assert settings_url in text
    assert "delete the webhook" in text
    assert (HOOK.key or "") not in text
    assert "delete" not in subscribe_texts.unsubscribed(Unsubscribed(ENTRY, False, settings_url))


def test_the_last_one_of_a_webhook_that_sent_nothing_does_not_say_that_speckle_has_it() -> None:
    entry = replace(ENTRY, hook=replace(HOOK, state=HookState.WAITING))
    text = subscribe_texts.unsubscribed(Unsubscribed(entry, True, CLOUD))
    assert "If Speckle has that webhook already, delete it" in text


@pytest.mark.parametrize("state", HookState)
def test_the_last_one_of_a_webhook_says_nothing_of_other_webhooks(state: HookState) -> None:
    entry = replace(ENTRY, hook=replace(HOOK, state=state))
    text = subscribe_texts.unsubscribed(Unsubscribed(entry, True, CLOUD))
    assert "the last channel of its webhook" in text
    assert "this server" not in text


def test_nothing_to_unsubscribe_names_the_channels_that_do_follow() -> None:
    assert f"<#{FACADE}>" in subscribe_texts.not_followed(NotFollowed(TOWER, (FACADE,)), STRUCTURE)
    assert "Nothing to unsubscribe" in subscribe_texts.not_followed(
        NotFollowed(TOWER, ()), STRUCTURE
    )


def test_the_last_event_is_a_time_that_discord_counts() -> None:
    entry = _entry(last_event_at=NOW)
    assert f"<t:{int(NOW.timestamp())}:R>" in panel_texts.last_event_text(entry.subscription)


def test_the_panel_shows_the_last_event_as_a_time_that_discord_counts() -> None:
    fields = {f.name: f.value for f in panel_texts.entry_embed(_entry(last_event_at=NOW)).fields}
    assert fields["Last event"] == discord.utils.format_dt(NOW, "R")
    fields = {f.name: f.value for f in panel_texts.entry_embed(_entry()).fields}
    assert fields["Last event"] == "None yet"


def test_one_that_is_resumed_and_waits_for_a_webhook_is_not_said_to_show_anything() -> None:
    waiting = replace(ENTRY, hook=replace(HOOK, state=HookState.WAITING))
    resumed = Resumed(STRUCTURE, (waiting,), 0)
    embed = notice_texts.answered_embed(resumed, 1, NOW, read_by_others=False)
    assert "arrives yet" in (embed.description or "")
    assert "again" not in (embed.description or "")
    assert embed.title != "Resumed"
    both = replace(resumed, entries=(waiting, ENTRY))
    embed = notice_texts.answered_embed(both, 1, NOW, read_by_others=False)
    assert "again" in (embed.description or "")
    assert "arrives yet" in (embed.description or "")
    answered = Subscribed(waiting, SubscribeChange.UNCHANGED, None, True, None, ())
    assert "active again" not in subscribe_texts.edited(answered)
    assert "nothing new is shown until its webhook works" in subscribe_texts.edited(answered)


@pytest.mark.parametrize(
    ("cards", "said"),
    [
        (0, "No card was waiting."),
        (1, "1 card was kept and comes now."),
        (2, "2 cards were kept and come now."),
    ],
)
def test_what_was_kept_is_counted_in_whole_sentences(cards: int, said: str) -> None:
    resumed = Resumed(STRUCTURE, (ENTRY,), cards)
    embed = notice_texts.resumed_embed(resumed, 1, NOW, read_by_others=False)
    assert said in (embed.description or "")
    events = Subscribed(ENTRY, SubscribeChange.UNCHANGED, None, True, None, (), kept=cards)
    assert said.replace("card", "event") in subscribe_texts.edited(events) or not cards


def test_the_days_quota_ends_at_a_time_of_each_reader() -> None:
    usage = Usage(GuildLimits(20_000, 2 * 10**9, 100, 500, 5_000), QuotaUse(1, 10**6, 1, 1), NOW)
    assert quota_texts.in_all(usage) == (
        "Used today: 1 of 20,000 events, 1.0 MB of 2.0 GB; it counts from zero again at "
        f"<t:{int(NOW.timestamp())}:t>. In all: 1 of 100 webhooks and live projects, "
        "1 of 500 subscriptions."
    )
