"""The first line of the log: how projects are followed and accounts linked."""

import pytest
from pydantic import SecretStr

from bot.app.from_settings import ways_of
from bot.settings import LiveSettings, Settings

APPS = (SecretStr("4a8173073e:app-secret"),)
AT = "https://bot.kestrel.example"


@pytest.mark.parametrize("who", ["public", "owners", "readers"])
@pytest.mark.parametrize(
    ("url", "apps", "projects", "accounts"),
    [
        (None, (), "live", "pasted tokens"),
        (None, APPS, "live", "pasted codes or tokens"),
        (AT, (), "webhooks, or live", "pasted tokens"),
        (AT, APPS, "webhooks, or live", "sign-in pages"),
    ],
)
def test_what_works_is_said_at_the_start(
    who: str, url: str | None, apps: tuple[SecretStr, ...], projects: str, accounts: str
) -> None:
    live = LiveSettings.model_validate({"who": who})
    ways = ways_of(Settings(public_url=url, speckle_apps=apps, live=live))
    assert ways["projects"] == f"{projects} through accounts ({who})"
    assert ways["accounts"] == accounts
    assert ("no webhooks" in ways.get("why", "")) == (url is None)
    assert AT not in str(ways)
