"""Commands that wait are claimed by their own caller, once at a time."""

import asyncio

import pytest

from bot.pending import LINK_VALID, NOTIFY_WITHIN, PendingSubscribe
from bot.services.pending_commands import PendingCommandService
from bot.services.refusals import CommandRefused
from bot.storage import Storage
from tests.services.conftest import CLOUD, KESTREL, MAREN, STRUCTURE, TOBIAS, TOWER, Clock

COMMAND = PendingSubscribe(MAREN, KESTREL, STRUCTURE, CLOUD, TOWER, {"events": "versions"})


@pytest.fixture
def pending(storage: Storage) -> PendingCommandService:
    return PendingCommandService(storage)


async def claim(
    pending: PendingCommandService, token: str, user_id: int = MAREN
) -> PendingSubscribe:
    async with pending.claim(user_id, token) as command:
        await asyncio.sleep(0)
        return command


async def test_a_command_is_done_once_however_often_it_is_pressed(
    pending: PendingCommandService,
) -> None:
    token = await pending.add(COMMAND)
    done = await asyncio.gather(*(claim(pending, token) for _ in range(3)), return_exceptions=True)
    assert done.count(COMMAND) == 1
    assert sum(isinstance(one, CommandRefused) for one in done) == 2
    with pytest.raises(CommandRefused):
        await claim(pending, token)


async def test_what_failed_or_was_not_shown_can_be_tried_again(
    pending: PendingCommandService,
) -> None:
    token = await pending.add(COMMAND)
    with pytest.raises(RuntimeError):
        async with pending.claim(MAREN, token):
            raise RuntimeError("a fault in what goes on")
    assert await claim(pending, token) == COMMAND
    await pending.release(token)
    assert await claim(pending, token) == COMMAND


async def test_nobody_else_gets_it(pending: PendingCommandService) -> None:
    token = await pending.add(COMMAND)
    with pytest.raises(CommandRefused):
        await claim(pending, token, TOBIAS)
    assert await claim(pending, token) == COMMAND


async def test_it_waits_a_quarter_of_an_hour(pending: PendingCommandService, clock: Clock) -> None:
    token = await pending.add(COMMAND)
    clock.forward(minutes=15)
    with pytest.raises(CommandRefused):
        await claim(pending, token)


async def test_one_that_waits_for_an_account_does_so_as_long_as_a_link_is_gone_on_with(
    pending: PendingCommandService, clock: Clock
) -> None:
    token = await pending.add_until_linked(COMMAND)
    clock.forward(seconds=(LINK_VALID + NOTIFY_WITHIN).total_seconds() - 1)
    assert await claim(pending, token) == COMMAND
