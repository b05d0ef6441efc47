"""Links to the address that a Speckle server had before it moved."""

from collections.abc import AsyncIterator

import pytest

from bot.services.refusals import CommandRefused, ServerNotAllowed
from bot.storage import Storage
from sandbox.speckle import Release
from tests.services.conftest import Clock
from tests.services.speckle import MAREN, Office, open_office

FORMER = "https://speckle.kestrel.example"


@pytest.fixture
async def office(storage: Storage, clock: Clock, release: Release) -> AsyncIterator[Office]:
    async with open_office(storage, clock, release) as opened:
        yield opened


async def test_a_link_to_where_a_server_was_is_read_as_one_to_it(office: Office) -> None:
    office.server.migration = {"movedFrom": f"{FORMER}/", "movedTo": None}
    account = await office.linked(MAREN, office.ilse)
    outcome = await office.ask(project=f"{FORMER}/projects/{office.tower.id}/models/all")
    (hook,) = office.made
    assert (await office.hook()).server_url == office.server.url
    assert hook.enabled
    assert outcome
    assert account.server_url == office.server.url
    assert {one.authorization for one in office.server.asked("Migration")} == {None}


@pytest.mark.parametrize("moved_from", [None, "", "no address", "https://other.example", 7])
async def test_any_other_server_stays_refused(office: Office, moved_from: object) -> None:
    office.server.migration = {"movedFrom": moved_from, "movedTo": None}
    with pytest.raises(CommandRefused) as refused:
        await office.ask(project=f"{FORMER}/projects/{office.tower.id}")
    assert isinstance(refused.value.refusal, ServerNotAllowed)
