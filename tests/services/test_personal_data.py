"""What is stored about a person is shown to them, and erased."""

from collections.abc import AsyncIterator

import pytest

from bot.model import HookKind
from bot.storage import Storage
from sandbox.speckle import Release
from tests.services.accounts_setup import Office, open_office
from tests.services.conftest import KESTREL, MAREN, TOBIAS, TOWER, Clock, place


@pytest.fixture
async def office(storage: Storage, clock: Clock, release: Release) -> AsyncIterator[Office]:
    async with open_office(storage, clock, release=release) as opened:
        yield opened


async def test_what_is_stored_about_a_person_is_shown_and_erased(office: Office) -> None:
    assert (await office.personal_data.of_user(MAREN)).is_nothing
    account = await office.linked()
    await office.start()
    hook = await office.storage.write(
        lambda tx: tx.hooks.create(
            KESTREL, office.server.url, TOWER, HookKind.OWN, MAREN, place().channel_id
        )
    )
    stored = await office.personal_data.of_user(MAREN)
    assert [one.id for one, _ in stored.accounts] == [account.id]
    assert (stored.unfinished, stored.hooks) == (1, 1)
    assert (await office.personal_data.of_user(TOBIAS)).is_nothing
    assert await office.personal_data.erase(MAREN)
    assert (await office.personal_data.of_user(MAREN)).is_nothing
    assert await office.storage.read(lambda tx: tx.hooks.get(hook.id)) is not None
