"""What goes wrong in the try-out when somebody wants it to, by switch."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from sandbox.demo.stage import Stage
from sandbox.discord import SandboxChannel

SEND: Final = "POST /channels/{channel_id}/messages"
EVERYTHING: Final = "/"
SLOW_S: Final = 2.0  # an interaction must be answered within 3 s
LIMITED_S: Final = 5.0


class Trouble(StrEnum):
    """The switches."""

    DISCORD_DOWN = "discord_down"
    DISCORD_SLOW = "discord_slow"
    RATE_LIMITED = "rate_limited"
    CHANNEL_DELETED = "channel_deleted"
    PERMISSION_TAKEN = "permission_taken"
    SPECKLE_DOWN = "speckle_down"
    SPECKLE_HANGS = "speckle_hangs"
    FRAMES_LOST = "frames_lost"
    SOCKETS_CUT = "sockets_cut"


IN_A_CHANNEL: Final = frozenset({Trouble.CHANNEL_DELETED, Trouble.PERMISSION_TAKEN})
Undo = Callable[[], None]


class Troubles:
    """Which troubles there are now; `channels` says where, for those in one channel."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._on: set[Trouble] = set()
        self._undo: dict[Trouble, tuple[str, Undo]] = {}

    @property
    def on(self) -> frozenset[Trouble]:
        """Those that are switched on."""
        return frozenset(self._on) | self._undo.keys()

    @property
    def channels(self) -> Mapping[Trouble, str]:
        """The name of the channel that each trouble of a channel is in."""
        return {trouble: name for trouble, (name, _) in self._undo.items()}

    def switch_on(self, trouble: Trouble) -> None:
        """Begin a trouble of a whole server; nothing if it is there."""
        self._on.add(trouble)
        self._apply()
        if trouble is Trouble.DISCORD_DOWN:
            self._stage.discord.faults.drop_gateway()
        if trouble in (Trouble.SPECKLE_DOWN, Trouble.SOCKETS_CUT):
            for one in self._stage.servers:
                one.server.live.cut()

    def switch_on_in(self, trouble: Trouble, channel: SandboxChannel) -> None:
        """Begin a trouble of one channel; nothing if it is in another one already."""
        if trouble in self._undo:
            return
        begin = self._delete if trouble is Trouble.CHANNEL_DELETED else self._take_permission
        self._undo[trouble] = channel.name, begin(channel)

    def switch_off(self, trouble: Trouble) -> None:
        """End it; nothing if it is not there."""
        self._on.discard(trouble)
        self._apply()
        if trouble in self._undo:
            _, undo = self._undo.pop(trouble)
            undo()

    def _apply(self) -> None:
        faults = self._stage.discord.faults
        faults.heal()
        if Trouble.DISCORD_DOWN in self._on:
            faults.fail(EVERYTHING, 503, times=None)
            faults.refuse_gateway()
        if Trouble.DISCORD_SLOW in self._on:
            faults.slow(EVERYTHING, SLOW_S)
        if Trouble.RATE_LIMITED in self._on:
            faults.rate_limit(SEND, LIMITED_S, times=None)
        for one in self._stage.servers:
            one.server.faults.clear()
            one.server.faults.hang = Trouble.SPECKLE_HANGS in self._on
            one.server.faults.status = 503 if Trouble.SPECKLE_DOWN in self._on else None
            one.server.live.faults.clear()
            one.server.live.faults.refuse = Trouble.SOCKETS_CUT in self._on
            if Trouble.FRAMES_LOST in self._on:
                one.server.live.faults.lose_frames()
            if Trouble.SPECKLE_HANGS in self._on:
                one.server.live.freeze()
            else:
                one.server.live.thaw()

    def _delete(self, channel: SandboxChannel) -> Undo:
        channel.delete()
        return lambda: self._stage.guild.keep(channel)

    def _take_permission(self, channel: SandboxChannel) -> Undo:
        role = self._stage.guild.bot.own_role
        channel.deny(role, "send_messages")

        def give_back() -> None:
            channel.overwrites.pop(role.id, None)
            channel.changed()

        return give_back
