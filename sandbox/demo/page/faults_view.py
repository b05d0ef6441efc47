"""Trouble by switch: what is wrong now, what the bot says of it, and that nothing is lost."""

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from itertools import count
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import Field

from bot.lookups import CardFilter
from bot.storage import Transaction
from bot.work import OutboxState
from sandbox.bot_process import Broken
from sandbox.demo.curl_line import MODEL
from sandbox.demo.days import MAREN
from sandbox.demo.log_texts import log_text
from sandbox.demo.opening import work_in_the_library
from sandbox.demo.page.actions import Action, CannotDo, read_action
from sandbox.demo.page.changes import Changes
from sandbox.demo.page.events_view import EventsView
from sandbox.demo.page.live_state import not_heard
from sandbox.demo.stage import LogLine, Stage
from sandbox.demo.studio import LIBRARY
from sandbox.demo.troubles import IN_A_CHANNEL, Trouble, Troubles
from sandbox.discord import ChannelType, SandboxChannel

LOOK_S: Final = 0.3
MOST_LINES: Final = 60
MOST_WAITING: Final = 1_000
MOST_SENT: Final = 20
OBJECTS: Final = 1_482


class Switch(Action):
    """Switch a trouble on or off; `channel` is the id of the one that it is to be in."""

    trouble: Trouble
    on: bool
    channel: str = ""


class BotDo(StrEnum):
    """What is done to the bot's process."""

    START = "start"
    KILL = "kill"


class BotAction(Action):
    """Kill the bot, or start it."""

    do: BotDo


class Send(Action):
    """Publish some versions in Harbour Tower, or in what is `live`, to see what becomes of them."""

    count: Annotated[int, Field(ge=1, le=MOST_SENT)]
    live: bool = False


def routes(stage: Stage, changes: Changes) -> Sequence[web.RouteDef]:
    """GET and POST below /api/faults."""
    view = _FaultsView(stage)

    async def state(_: web.Request) -> web.Response:
        return web.json_response(await view.state())

    async def switch(request: web.Request) -> web.Response:
        wanted = await read_action(request, Switch)
        view.switch(wanted)
        return done()

    async def bot(request: web.Request) -> web.Response:
        wanted = await read_action(request, BotAction)
        changes.mark("faults")
        await view.do_to_bot(wanted.do)
        return done()

    async def send(request: web.Request) -> web.Response:
        wanted = await read_action(request, Send)
        if wanted.live:
            view.send_live(wanted.count)
        else:
            await view.send(wanted.count)
        return done()

    async def retry(request: web.Request) -> web.Response:
        await read_action(request, Action)
        await view.retry()
        return done()

    def done() -> web.Response:
        for topic in ("faults", "discord", "speckle"):
            changes.mark(topic)
        return web.json_response({})

    return (
        web.get("/api/faults", state),
        web.post("/api/faults/switch", switch),
        web.post("/api/faults/bot", bot),
        web.post("/api/faults/send", send),
        web.post("/api/faults/retry", retry),
    )


async def watch(stage: Stage, changes: Changes) -> None:
    """Mark "faults" when the bot has written into its log, or is another process now."""
    before: object = None
    while True:
        now = stage.bot.state, stage.bot.log_size
        if now != before:
            before = now
            changes.mark("faults")
        await asyncio.sleep(LOOK_S)


class _FaultsView:
    """The switches, the bot's process, and what came of both."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._troubles = Troubles(stage)
        self._events = EventsView(stage)
        self._numbers, self._shelves = count(1), count(1)
        self._names: dict[int, str] = {}  # of channels that are gone too

    async def state(self) -> dict[str, Any]:
        """All that the view shows."""
        self._names |= {one.id: one.name for one in self._stage.guild.channels.values()}
        channels = [one for one in self._stage.guild.channels.values() if _takes_cards(one)]
        return {
            "bot": self._stage.bot.state,
            "on": sorted(self._troubles.on),
            "where": self._troubles.channels,
            "channels": [{"id": str(one.id), "name": one.name} for one in channels],
            "counts": await self._counts(),
            "log": [self._line(one) for one in self._stage.bot.log_lines(MOST_LINES)],
        }

    async def _counts(self) -> dict[str, int]:
        def read(tx: Transaction) -> dict[str, int]:
            states = {state.value: CardFilter(states=(state,)) for state in OutboxState}
            return {name: tx.outbox_admin.count(wanted) for name, wanted in states.items()}

        cards = await self._stage.storage.read(read)
        kept = await self._events.not_taken_in() + await not_heard(self._stage)
        return cards | {"at_speckle": kept}

    def _line(self, line: LogLine) -> dict[str, Any]:
        facts = " ".join(f"{name}={value}" for name, value in line.facts.items())
        return {
            "at": line.at,
            "level": line.level,
            "text": log_text(line.event, line.facts, self._names),
            "raw": f"{line.event} {facts}".strip(),
        }

    def switch(self, wanted: Switch) -> None:
        """Begin or end a trouble. Errors: CannotDo."""
        if not wanted.on:
            self._troubles.switch_off(wanted.trouble)
        elif wanted.trouble not in IN_A_CHANNEL:
            self._troubles.switch_on(wanted.trouble)
        else:
            channels = self._stage.guild.channels.values()
            found = next((one for one in channels if str(one.id) == wanted.channel), None)
            if found is None:
                raise CannotDo("This channel is not there. Choose another one.")
            self._troubles.switch_on_in(wanted.trouble, found)

    async def do_to_bot(self, do: BotDo) -> None:
        """Kill or start the bot; nothing if that is done already. Errors: CannotDo."""
        if do is BotDo.KILL:
            await self._stage.bot.kill()
            return
        try:
            await self._stage.bot.start()
        except Broken as problem:
            raise CannotDo(str(problem)) from problem

    async def send(self, how_many: int) -> None:
        """Publish versions, one after another."""
        main = self._stage.servers[0].main
        model = next((one for one in main.project.models if one.name == MODEL), None)
        if model is None:
            raise CannotDo("Harbour Tower has no model yet. It gets one within a few seconds.")
        for _ in range(how_many):
            number = next(self._numbers)
            message = f"Openings moved on axis {number}"
            await main.send(MAREN, model.name, message, "Revit2025", OBJECTS + number)

    def send_live(self, how_many: int) -> None:
        """The same where no webhook is called. Errors: CannotDo."""
        for _ in range(how_many):
            if not work_in_the_library(self._stage, f"Shelves moved, no. {next(self._shelves)}"):
                raise CannotDo(f"Ilse Brandt can publish nothing in {LIBRARY} any more.")

    async def retry(self) -> None:
        """Try what waits now, as `outbox retry` does."""
        wanted = CardFilter(states=(OutboxState.WAITING,))
        storage = self._stage.storage
        waiting = await storage.read(lambda tx: tx.outbox_admin.newest(wanted, MOST_WAITING))
        await storage.retry_cards([card.id for card in waiting])


def _takes_cards(channel: SandboxChannel) -> bool:
    return channel.kind in (ChannelType.TEXT, ChannelType.ANNOUNCEMENT)
