"""All that goes wrong in a soak except the kills: faults of both servers, and channels that go."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Final

from sandbox.discord import Sandbox, SandboxChannel
from sandbox.soak.world import SoakWorld
from sandbox.speckle import SpeckleServer

# Three refusals in a row make the bot wait half a minute in that channel: with many more faults the
# channels would wait most of the time, and little would happen.
FAULT_EACH_S: Final = (0.2, 1.4)
SPECKLE_FAULT_EACH_S: Final = (0.5, 3.0)  # the bot waits for seconds after a refusal
SEND: Final = "POST /channels/{channel_id}/messages"
Fault = Callable[[Sandbox, Random], None]
Vanish = Callable[[SandboxChannel], Callable[[], None]]


def _server_error(sandbox: Sandbox, random: Random) -> None:
    sandbox.faults.fail(SEND, random.choice((500, 502, 503)), times=random.randint(1, 2))


def _reset_before(sandbox: Sandbox, random: Random) -> None:
    sandbox.faults.reset_before(SEND, times=random.randint(1, 2))


def _reset_after(sandbox: Sandbox, random: Random) -> None:
    sandbox.faults.reset_after(SEND, times=random.randint(1, 2))


def _rate_limit(sandbox: Sandbox, random: Random) -> None:
    sandbox.faults.rate_limit(SEND, random.uniform(0.1, 1.0), times=random.randint(1, 3))


def _global_rate_limit(sandbox: Sandbox, random: Random) -> None:
    sandbox.faults.rate_limit(SEND, random.uniform(0.1, 0.6), global_=True)


def _slow_before(sandbox: Sandbox, random: Random) -> None:
    sandbox.faults.slow(SEND, random.uniform(0.2, 1.5), times=random.randint(1, 4))


def _slow_after(sandbox: Sandbox, random: Random) -> None:
    sandbox.faults.slow(SEND, random.uniform(0.2, 1.5), times=random.randint(1, 4), after=True)


def _drop_gateway(sandbox: Sandbox, _random: Random) -> None:
    sandbox.faults.drop_gateway()


def _invalidate_session(sandbox: Sandbox, random: Random) -> None:
    sandbox.faults.invalidate_session(resumable=random.random() < 0.5)


def _op7(sandbox: Sandbox, _random: Random) -> None:
    sandbox.faults.op7()


def _refuse_gateway(sandbox: Sandbox, _random: Random) -> None:
    sandbox.faults.refuse_gateway()
    sandbox.faults.drop_gateway()


# Those of sending come more often: they are what may lose a card or show it twice.
FAULTS: Final[Mapping[Fault, int]] = {
    _server_error: 3,
    _reset_before: 3,
    _reset_after: 6,
    _rate_limit: 3,
    _global_rate_limit: 1,
    _slow_before: 3,
    _slow_after: 3,
    _drop_gateway: 1,
    _invalidate_session: 1,
    _op7: 1,
    _refuse_gateway: 1,
}


async def _lose_frames(server: SpeckleServer, random: Random) -> None:
    server.live.faults.lose_frames(random.randint(1, 20))


async def _cut_sockets(server: SpeckleServer, _random: Random) -> None:
    server.live.cut()


async def _close_sockets(server: SpeckleServer, _random: Random) -> None:
    await server.live.close()


async def _freeze_sockets(server: SpeckleServer, random: Random) -> None:
    server.live.freeze()
    await asyncio.sleep(random.uniform(0.2, 2.0))
    server.live.thaw()


async def _refuse_sockets(server: SpeckleServer, random: Random) -> None:
    server.live.faults.refuse = True
    server.live.cut()
    await asyncio.sleep(random.uniform(0.2, 2.0))
    server.live.faults.refuse = False


async def _server_away(server: SpeckleServer, random: Random) -> None:
    async with server.away():
        await asyncio.sleep(random.uniform(0.2, 2.0))


async def _no_answer(server: SpeckleServer, random: Random) -> None:
    server.faults.status, server.faults.times = 502, random.randint(1, 3)


async def _too_often(server: SpeckleServer, random: Random) -> None:
    server.faults.rate_limit(random.uniform(0.2, 1.0), random.randint(1, 2))


SPECKLE_FAULTS: Final[Mapping[Callable[[SpeckleServer, Random], Awaitable[None]], int]] = {
    _lose_frames: 6,
    _cut_sockets: 3,
    _close_sockets: 1,
    _freeze_sockets: 2,
    _refuse_sockets: 2,
    _server_away: 1,
    _no_answer: 1,
    _too_often: 1,
}


class Chaos:
    """Switches faults on and off, and lets channels vanish and return, at random until cancelled.

    `heal()` afterwards makes all well again. `faults`, `speckle_faults` and `vanishings` count.
    """

    def __init__(self, stage: SoakWorld, seed: int) -> None:
        self._stage = stage
        self._seed = seed
        self._bring_back: dict[str, Callable[[], None]] = {}
        self.touched: set[str] = set()  # channels that were gone, and may be paused
        self.faults = 0
        self.speckle_faults = 0
        self.vanishings = 0

    async def fail_often(self) -> None:
        """One fault after another; a refused gateway is let in again with the next."""
        random = _random(self._seed, "faults")
        sandbox = self._stage.sandbox
        while True:
            await asyncio.sleep(random.uniform(*FAULT_EACH_S))
            sandbox.faults.refuse_gateway(False)
            (fault,) = random.choices(list(FAULTS), list(FAULTS.values()))
            fault(sandbox, random)
            self.faults += 1

    async def fail_speckle_often(self) -> None:
        """One fault of the Speckle server after another; each is over before the next."""
        random, server = _random(self._seed, "speckle"), self._stage.server
        while True:
            await asyncio.sleep(random.uniform(*SPECKLE_FAULT_EACH_S))
            (fault,) = random.choices([*SPECKLE_FAULTS], [*SPECKLE_FAULTS.values()])
            await fault(server, random)
            self.speckle_faults += 1

    async def pace_at_times(self) -> None:
        """Let Discord's own rate limits count for some seconds, then not, and so on."""
        random = _random(self._seed, "pace")
        while True:
            await asyncio.sleep(random.uniform(4.0, 12.0))
            self._stage.sandbox.pace.enabled = True
            await asyncio.sleep(random.uniform(2.0, 6.0))
            self._stage.sandbox.pace.enabled = False

    async def vanish_often(self) -> None:
        """Let one channel after another vanish and return, and have a member resume it."""
        random = _random(self._seed, "vanishing")
        busy: set[str] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(random.uniform(1.0, 4.0))
                name = random.choice(list(self._stage.channels))
                vanish = random.choice((_delete, _hide))
                for_s = random.uniform(0.5, 2.5)
                if name not in busy:
                    busy.add(name)
                    task = group.create_task(self._vanish(name, vanish, for_s), name=name)
                    task.add_done_callback(lambda task: busy.discard(task.get_name()))

    async def _vanish(self, name: str, vanish: Vanish, for_s: float) -> None:
        self.touched.add(name)
        self.vanishings += 1
        self._bring_back[name] = vanish(self._stage.channels[name])
        await asyncio.sleep(for_s)
        self._bring_back.pop(name)()
        await self._stage.resume(name)

    def heal(self) -> None:
        """Switch everything off and bring back what is gone."""
        self._stage.sandbox.faults.heal()
        self._stage.sandbox.pace.enabled = False
        self._stage.server.faults.clear()
        self._stage.server.live.faults.clear()
        self._stage.server.live.thaw()
        while self._bring_back:
            self._bring_back.popitem()[1]()


def _delete(channel: SandboxChannel) -> Callable[[], None]:
    """Delete the channel; gives what brings it back, with its id and everything that was in it."""
    guild = channel.guild
    assert guild is not None, "no private conversation"  # noqa: S101
    channel.delete()
    return lambda: guild.keep(channel)


def _hide(channel: SandboxChannel) -> Callable[[], None]:
    """Hide the channel from all, the bot too; gives what shows it again."""
    channel.deny(None, "view_channel")
    return channel.clear_overwrites


def _random(seed: int, what: str) -> Random:
    """A generator of its own for each part, so that none depends on how fast the others are."""
    return Random(f"{seed} {what}")  # noqa: S311  # to repeat a run, not to keep a secret
