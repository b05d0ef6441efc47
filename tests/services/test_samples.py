"""How often a server may ask for samples."""

import pytest

from bot.services.refusals import CommandRefused, RefusalReason
from bot.services.samples import SampleLimits, SampleService
from tests.services.conftest import KESTREL, STRUCTURE, TOWER, Clock, Desk, manager, place


async def test_a_server_can_ask_for_so_many_tests_an_hour_whatever_it_subscribes_again(
    desk: Desk, clock: Clock
) -> None:
    limits = SampleLimits(wait_s=0.0, an_hour=2)
    samples = SampleService(desk.storage, desk.service, lambda: None, limits)
    for expected in (None, None, RefusalReason.TEST_TOO_OFTEN):
        entry = (await desk.subscribe(TOWER)).entry
        where = (KESTREL, manager(), place(STRUCTURE), entry.subscription.id)
        if expected is None:
            assert (await samples.test(*where)).results
        else:
            with pytest.raises(CommandRefused) as refused:
                await samples.test(*where)
            assert refused.value.refusal is expected
        clock.forward(minutes=2)
        await desk.service.unsubscribe(KESTREL, manager(), TOWER, STRUCTURE)
