"""What stays in databases and in Discord when the code changes: to change it needs a migration.

Written out here, and found by what it is rather than by the names that the code has for it.
"""

import inspect
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from bot import audit, model, problems, trace, work
from bot.cogs.components import ComponentsCog
from bot.model import Consent, Entitlement, Hook, HookKind, HookState
from bot.permissions import Audience
from bot.services import refusals
from bot.speckle import events, filters, tokens
from bot.speckle.subscription_options import SubscriptionOptions
from bot.speckle_api import types as api_types
from bot.vault import Vault
from bot.webhook_listener import OperatorsHook, OwnHook, SharedHook, Signed
from tests.cogs.conftest import client_over
from tests.services.conftest import Clock, services_over

BUTTONS = {
    (
        "audit:page:([0-9]{1,18}|[1-8][0-9]{18}):([0-9]{1,18}|[1-8][0-9]{18})"
        ":([0-9]{1,18}|[1-8][0-9]{18}):([0-9]{1,10})"
    ),
    "card:pick:(ignore_authors|models):([0-9]{1,20})",
    "card:undo:(ignore_authors|models):([A-Za-z0-9_-]{16,64})",
    "check:(look|repair|link|test):([0-9]{1,18})",
    "events:list:([0-9]{1,20})",
    "events:why:([0-9]{1,20})",
    "account:(unlink|erase|erase-sure|keep|confirm):([0-9]{1,18})",
    "link:paste:([A-Za-z0-9_-]{43})",
    "link:paste-code:([A-Za-z0-9_-]{43})",
    "notice:access:(resume|take):([0-9]{1,20})",
    "notice:resume:([0-9]{1,20})",
    "notice:setup:([0-9]{1,18}):([0-9]{1,20})",
    (
        "sub:(show|pause|resume|edit|remove|remove-sure|setup|setup-again|renew|renew-sure|renew-now)"
        ":([0-9]{1,18}):([0-9]{1,20}):([0-9]{1,6})"
    ),
    "subs:page:([0-9]{1,20}):([0-9]{1,6})",
    "subs:pick:([0-9]{1,20}):([0-9]{1,6})",
    "wait:(link|hand|show|cancel|add|replace|keep|nearest|all-models|no-models):([A-Za-z0-9_-]{16,64})",
    "compare:with:([0-9a-f]{8}):([0-9A-Za-z]{10}):([0-9A-Za-z]{10})",
    "compare:with:([0-9a-f]{8}):([0-9A-Za-z]{10}):([0-9A-Za-z]{10}):([0-9A-Za-z]{10})",
    (
        "compare:page:([0-9a-f]{8}):([0-9A-Za-z]{10}):([0-9A-Za-z]{10}):([0-9A-Za-z]{10})"
        ":([0-9]{1,2})"
    ),
    "compare:table:([0-9a-f]{8}):([0-9A-Za-z]{10}):([0-9A-Za-z]{10}):([0-9A-Za-z]{10})",
    "versions:list:([0-9a-f]{8}):([0-9A-Za-z]{10}):([0-9A-Za-z]{10}):([0-9]{1,2})",
    "versions:pick:([0-9a-f]{8}):([0-9A-Za-z]{10})",
    "wait:pick:([A-Za-z0-9_-]{16,64})",
    "settings:(notices-off|audit-off|edit|clear)",
    "settings:(notices|audit)",
    "settings:again:([A-Za-z0-9_-]{16,64})",
    "sub:again:([0-9]{1,18}):([A-Za-z0-9_-]{16,64}):([0-9]{1,20}):([0-9]{1,6})",
}
FORMS_SENT_OFF = {
    "settings:filters",
    "sub:filters:([0-9]{1,18}):([0-9]{1,20}):([0-9]{1,6})",
    "link:token:([A-Za-z0-9_-]{43})",
    "link:code:([A-Za-z0-9_-]{43})",
}
STORED_WORDS = {
    "active,paused",
    "facts,picture,object_count,changes,checks,opened",
    "full,bare,plain",
    "member,project_deleted,channel_gone,no_permission,thread_closed,silenced,access_lost,ask_again",
    "new,done,failed",
    "open,closed",
    "own,shared",
    "waiting,live,closed",
    "token_refused,no_right,switched_off,unopenable,not_restored,project_gone,not_arriving",
    "waiting,sent,undeliverable",
    "webhook,operator,history,activity,live,test,checks",
    "owner,reader,manager,anyone",
    (
        "token_refused,scope_missing,forbidden,not_found,unlinked,unconfirmed,not_live,"
        "person_left,person_blind,not_answered,filters_wider,audience_wider,turned_private"
    ),
    (
        "version_created,version_updated,version_received,version_deleted,version_moved,"
        "automation_failed,model_created,"
        "model_updated,model_deleted,issue_created,issue_updated,issue_replied,issue_deleted,"
        "comment_created,comment_replied,comment_resolved,"
        "comment_reopened,comment_mentioned,project_updated,project_deleted,permission_granted,"
        "permission_revoked,invitation_sent,invitation_accepted,invitation_declined,"
        "access_requested,access_declined,unknown"
    ),
    "versions,models,issues,project,people,other",
    "profile:read,streams:read,streams:write",
    "queued,calling,delivered,failed",
    (  # what happened to an event, in its trace; then why
        "not_a_delivery,read,not_followed,not_followed_here,shown_before,subscription_paused,"
        "before_following,filtered,filtered_as_confirmed,wanted,held_for_consent,access_granted,"
        "access_by_last_yes,access_unknown,access_paused,hook_not_served,body_erased,facts_late,"
        "facts_missing,no_facts,facts_added,picture_not_yet,picture_late,picture_missing,"
        "picture_blank,no_picture,picture_added,nothing_changed,filled_in,not_filled_in,"
        "from_history,from_activity,heard,in_activity_too"
    ),
    "account,operator,no_token",
    "ring,turn,later",
    (
        "token_refused,scope_missing,forbidden,not_found,unconfirmed,unreadable,other,"
        "nothing_more,contradicted,filtered,no_consent,no_access,blank,too_late,shown_already,"
        "overtaken,not_compared,no_checks"
    ),
    (
        "no_filter,all_passed,event_not_wanted,author_ignored,pattern_fits,no_pattern_fits,"
        "pattern_excludes,models_nameless,comes_with_comment"
    ),
    (  # why a card was not sent, and what keeps the bot from posting
        "slower,slower_in_channel,address_blocked,token_refused,answered,refused,not_discord,"
        "no_answer,not_reached,not_secure,unreadable,failed,cannot_post,time_out,person_erased,"
        "person_left,as_written"
    ),
    "wrong_kind,permissions,not_in_thread,locked,archived,time_out",
    "person,bot,host",
    (  # what was changed, in the audit log
        "subscribed,unsubscribed,filters_changed,paused,resumed,consented,webhook_created,"
        "webhook_repaired,webhook_reset,webhook_converted,webhook_removed,secret_renewed,"
        "guild_joined,guild_left,notice_channel_changed,audit_channel_changed,"
        "audit_channel_paused,defaults_changed,linked,confirmed,unlinked,erased,cards_retried,"
        "cards_dropped,keys_rotated"
    ),
}


def unnamed(pattern: str) -> str:
    """The pattern without the names of its groups, which are the code's own."""
    parts = pattern.split("(?P<")
    return parts[0] + "".join(f"({part.split('>', 1)[1]}" for part in parts[1:])


async def test_the_buttons_below_old_messages_and_forms_that_are_open_are_still_known() -> None:
    storage: Any = None  # nothing is asked of it
    client = await client_over(storage, Clock(), services_over(storage, Clock()))
    cog = client.get_cog("components")
    assert isinstance(cog, ComponentsCog)
    assert {unnamed(pattern.pattern) for pattern in cog.handlers} == BUTTONS | FORMS_SENT_OFF


def test_the_words_that_are_stored_are_still_read() -> None:
    found = set()
    for module in (
        audit,
        model,
        problems,
        trace,
        work,
        refusals,
        events,
        filters,
        tokens,
        api_types,
    ):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, StrEnum) and kind is not StrEnum:
                found.add(",".join(word.value for word in kind))
    assert found >= STORED_WORDS


def test_events_that_wait_are_still_in_the_same_queue() -> None:
    signed = Signed("a1b2c3d4e5", "https://speckle.kestrel.example", "digest")
    at = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    shared = "shared:https://speckle.kestrel.example:a1b2c3d4e5"
    hooks = {
        kind: Hook(
            id=7,
            guild_id=1,
            server_url="https://speckle.kestrel.example",
            project_id="a1b2c3d4e5",
            project_name=None,
            kind=kind,
            key="key",
            secrets=("secret",),
            state=HookState.LIVE,
            setup_channel_id=None,
            created_by=2,
            created_at=at,
            live_at=at,
            last_event_at=None,
        )
        for kind in HookKind
    }
    assert OwnHook(hooks[HookKind.OWN]).ordering_key(signed) == "hook:7"
    operators = SharedHook("secret", frozenset({"https://speckle.kestrel.example"}))
    assert OperatorsHook(operators).ordering_key(signed) == shared
    assert hooks[HookKind.OWN].ordering_key == "hook:7"
    assert hooks[HookKind.SHARED].ordering_key == shared


def test_an_answer_that_is_stored_is_still_read() -> None:
    stored = {
        "by": 2,
        "at": "2026-03-02T09:00:00+00:00",
        "standing": "owner",
        "events": ["versions"],
        "models": ["structure/**"],
        "ignore_authors": ["ci"],
        "visibility": "private",
        "audience": {
            "everyone": False,
            "roles": [3],
            "members": [4],
            "in_thread": False,
            "announcement": False,
        },
        "project_name": "Harbour Tower",
        "unlinked": False,
    }
    answer = Consent.from_json(stored)
    assert answer == Consent(
        2,
        datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
        Entitlement.OWNER,
        SubscriptionOptions(("versions",), ("structure/**",), ("ci",)),
        "private",
        Audience(everyone=False, roles=(3,), members=(4,), in_thread=False, announcement=False),
        "Harbour Tower",
    )
    assert answer.to_json() == stored


def test_an_answer_about_comments_is_one_about_issues() -> None:
    stored = {
        "by": 2,
        "at": "2026-03-02T09:00:00+00:00",
        "standing": "reader",
        "events": ["comments", "versions"],
        "visibility": "private",
        "audience": {
            "everyone": False,
            "roles": [],
            "members": [],
            "in_thread": False,
            "announcement": False,
        },
        "project_name": None,
        "unlinked": False,
    }
    answer = Consent.from_json(stored)
    assert answer.options == SubscriptionOptions(("issues", "versions"))
    assert not SubscriptionOptions(("issues",)).widens(answer.options)


KEY = "c2l4dGVlbiBieXRlcyB0d2ljZSwgYW5kIG5vdCBhbnk="  # nobody's
SEALED = (
    "gAAAAABrB8LuPiEuateaGSsrp-nHinDGTtt3qgfwqVbUIY1daE8MKwH4EY9ztzOsTYsFOGufXXK8JBXr"
    "aFtdu8ehxMr3XLEt61I4WPmqC6pE3ojoQeRLZGw="
)


def test_what_is_sealed_is_still_opened() -> None:
    assert Vault([KEY]).open(SEALED, "hook:1:key") == "swordfish"
