"""What is said about linking an account, in each way and for each reason why it failed."""

from dataclasses import replace

import pytest

from bot.cogs.accounts.texts import account_not_linked, link_lead, not_signed_in
from bot.model import Account
from bot.services.linking import (
    LinkFailed,
    LinkWay,
    PasteCode,
    PasteToken,
    SignIn,
    WhyNotLinked,
)
from bot.speckle.tokens import SCOPES, Tokens, TokenScope
from tests.cogs.test_texts import NOW
from tests.services.conftest import MAREN

SERVER = f"https://{'s' * 60}.example.org"
TOKENS = f"{SERVER}/settings/user/developer"
ILSE = Account(
    1, MAREN, SERVER, "ilse", "*" * 400, Tokens("t"), frozenset(SCOPES), NOW, refused_at=None
)
WAYS = (
    SignIn(SERVER, "https://bot.example.org/link/n", "n"),
    PasteCode(SERVER, f"{SERVER}/authn/verify/a/c", TOKENS, "n"),
    PasteToken(SERVER, TOKENS, "n"),
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("makes_webhooks", [True, False])
def test_each_way_fits_into_a_message(way: LinkWay, makes_webhooks: bool) -> None:
    text = link_lead(way, ILSE, makes_webhooks=makes_webhooks)
    assert len(text) + len(TOKENS) + len(SERVER) + 200 <= 2000  # the addresses may be written out
    assert "replaces it" in text
    assert "15 minutes" in text
    without = "a token can do without this one"
    assert (without in text) == (not makes_webhooks and not isinstance(way, SignIn))


@pytest.mark.parametrize("why", WhyNotLinked)
@pytest.mark.parametrize("say", [account_not_linked, not_signed_in])
def test_each_reason_is_said_with_what_to_do(why: WhyNotLinked, say: object) -> None:
    assert callable(say)
    failed = LinkFailed(why, SERVER, (TokenScope.PROFILE_READ,))
    for one in (failed, replace_scopes(failed)):
        text = say(one, (SERVER,))
        assert text.endswith(".")
        assert not any(gap in text for gap in ("None", "``", "  ", "{"))
        next_step = ("`/link`", "once more", "Try the same again", "who runs the bot")
        assert any(words in text for words in next_step)


def replace_scopes(failed: LinkFailed) -> LinkFailed:
    """The same of a failure that names no scope, as only those of a scope do."""
    lacking = failed.why is WhyNotLinked.SCOPES_MISSING
    return LinkFailed(failed.why, failed.server_url, failed.scopes if lacking else ())


def test_a_lacking_scope_is_the_applications_where_one_signs_in() -> None:
    failed = LinkFailed(WhyNotLinked.SCOPES_MISSING, SERVER, (TokenScope.PROFILE_READ,))
    assert "application there lacks `profile:read`" in not_signed_in(failed, (SERVER,))
    assert "create a new token" in account_not_linked(failed, (SERVER,))


def test_a_person_without_a_linked_account_is_told_of_none() -> None:
    assert "replaces" not in link_lead(WAYS[1], None, makes_webhooks=False)
    nameless = replace(ILSE, name=None)
    assert "**ilse**" in link_lead(WAYS[1], nameless, makes_webhooks=False)
