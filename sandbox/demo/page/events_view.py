"""The way of each event: what the bot keeps of it, and deliveries that it did not take."""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web

from bot.lookups import EventFilter, LoggedEvent
from bot.storage import Transaction
from bot.timing import utc_now
from sandbox.demo.curl_line import new_delivery
from sandbox.demo.event_way import EventWay, Tone, WayLine, WayNames, WayStage, way_of
from sandbox.demo.page.actions import Action, CannotDo, read_action
from sandbox.demo.page.changes import Changes
from sandbox.demo.stage import Stage
from sandbox.speckle import HistoryEntry, ServerProject
from sandbox.speckle.entities import CallAnswer

MOST_EVENTS: Final = 80
LOOK_S: Final = 0.2
FAILED: Final = 3  # a webhook call's status in Speckle
ANSWERS_WITHIN_S: Final = 10.0
WRONG_SIGNATURE: Final = "0" * 64
NO_WEBHOOK: Final = (
    "Harbour Tower has no webhook now. Type /subscribe in a channel first, with Harbour Tower."
)
BOT_IS_DOWN: Final = "The bot does not run, so nobody took the delivery. Start it under Trouble."


class Deliver(Action):
    """Send a delivery as curl would; one that is not `signed` has a wrong signature."""

    signed: bool


def routes(stage: Stage, changes: Changes) -> Sequence[web.RouteDef]:
    """GET and POST below /api/events."""
    view = EventsView(stage)

    async def listed(_: web.Request) -> web.Response:
        return web.json_response({"events": [one.as_row() for one in await view.newest()]})

    async def detail(request: web.Request) -> web.Response:
        wanted = request.match_info["id"]
        found = next((one for one in await view.newest() if one.id == wanted), None)
        if found is None:
            raise CannotDo("This event is not among the newest any more.")
        return web.json_response(found.as_detail())

    async def curl(request: web.Request) -> web.Response:
        await read_action(request, Action)
        delivery = new_delivery(stage)
        if delivery is None:
            raise CannotDo(NO_WEBHOOK)
        return web.json_response({"line": delivery.curl_line})

    async def deliver(request: web.Request) -> web.Response:
        wanted = await read_action(request, Deliver)
        answer = await view.deliver(signed=wanted.signed)
        changes.mark("events")
        return web.json_response({"answer": answer})

    return (
        web.get("/api/events", listed),
        web.get("/api/events/{id}", detail),
        web.post("/api/events/curl", curl),
        web.post("/api/events/deliver", deliver),
    )


async def watch(stage: Stage, changes: Changes) -> None:
    """Mark "events" when the bot has committed something, or a delivery did not arrive."""
    before: object = None
    while True:
        now = _committed(stage), sum(1 for _ in _not_arrived(stage))
        if now != before:
            before = now
            changes.mark("events")
        await asyncio.sleep(LOOK_S)


def _committed(stage: Stage) -> object:
    """Another value after each commit: SQLite writes into one of these files."""
    path = Path(stage.database_url.removeprefix("sqlite:///"))
    files = [path, path.with_name(f"{path.name}-wal")]
    return [file.stat().st_mtime_ns for file in files if file.exists()]


def _not_arrived(stage: Stage) -> Iterator[tuple[ServerProject, HistoryEntry]]:
    """The calls of webhooks that failed, according to Speckle."""
    for one in stage.servers:
        for project in one.server.projects.values():
            for hook in project.webhooks:
                yield from ((project, entry) for entry in hook.history if entry.status == FAILED)


class EventsView:
    """The newest events, whether the bot took them in or not."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._last_id = 0
        self._digests: set[str] = set()  # of all bodies that the bot took in
        self._channels: dict[int, str] = {}  # those that are gone too
        self._refused: list[EventWay] = []

    async def newest(self) -> Sequence[EventWay]:
        """The newest events, the newest first."""
        events, names = await self._stage.storage.read(self._read)
        now = utc_now()
        ways = [way_of(event, names, now) for event in events]
        ways += [_lost(*call) for call in _not_arrived(self._stage) if self._is_unknown(call[1])]
        ways += self._refused
        return sorted(ways, key=lambda one: one.at, reverse=True)[:MOST_EVENTS]

    async def not_taken_in(self) -> int:
        """How many deliveries Speckle keeps, as they did not arrive and were not fetched yet."""
        await self._stage.storage.read(self._note_digests)
        return sum(self._is_unknown(entry) for _, entry in _not_arrived(self._stage))

    def _note_digests(self, tx: Transaction) -> None:
        while (row := tx.inbox.get(self._last_id + 1)) is not None:
            self._last_id = row.id
            self._digests.add(row.digest)

    def _read(self, tx: Transaction) -> tuple[Sequence[LoggedEvent], WayNames]:
        self._note_digests(tx)
        self._channels |= {one.id: one.name for one in self._stage.guild.channels.values()}
        servers = (one.server for one in self._stage.servers)
        projects = {p.id: p.name for server in servers for p in server.projects.values()}
        subscriptions = tx.subscriptions.of_guild(self._stage.guild.id)
        subscribed = {one.id: one.channel_id for one in subscriptions}
        names = WayNames(dict(self._channels), subscribed, projects)
        return tx.event_log.newest(EventFilter(), MOST_EVENTS), names

    def _is_unknown(self, entry: HistoryEntry) -> bool:
        return hashlib.sha256(entry.body).hexdigest() not in self._digests

    async def deliver(self, *, signed: bool) -> str:
        """Send a new delivery, and give the bot's answer. Errors: CannotDo."""
        delivery = new_delivery(self._stage)
        if delivery is None:
            raise CannotDo(NO_WEBHOOK)
        headers = dict(delivery.headers)
        if not signed:
            headers["X-WEBHOOK-SIGNATURE"] = WRONG_SIGNATURE
        timeout = aiohttp.ClientTimeout(total=ANSWERS_WITHIN_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.post(delivery.url, data=delivery.body, headers=headers) as answer,
            ):
                text = f"{answer.status} {answer.reason}: {await answer.text()}"
        except (aiohttp.ClientError, TimeoutError) as error:
            raise CannotDo(BOT_IS_DOWN) from error
        if not signed:
            self._refused.append(_forged(len(self._refused), text, utc_now()))
        return text


def _lost(project: ServerProject, entry: HistoryEntry) -> EventWay:
    """A delivery that did not arrive; the bot fetches it from Speckle's history."""
    why = _why(entry.answer)
    text = f"Speckle called the bot's webhook. {why} Speckle's history keeps it for the bot."
    line = WayLine(WayStage.RECEIVED, Tone.FAILED, text, entry.last_update)
    return EventWay(
        f"call-{entry.id}",
        "A delivery did not arrive",
        "delivery",
        project.name,
        entry.last_update,
        Tone.WAITING,
        "Kept by Speckle",
        [line],
    )


def _why(answer: CallAnswer | None) -> str:
    if answer is None:
        return "It got no good answer."
    if answer.status is None:
        return answer.text
    return f"The answer was {answer.status}: {answer.text.rstrip('.')}."


def _forged(number: int, answer: str, at: datetime) -> EventWay:
    """A delivery whose signature was wrong."""
    came = WayLine(WayStage.RECEIVED, Tone.OK, "Somebody called the webhook's address.", at)
    text = f"The signature does not fit the body. The bot answered {answer} Nothing was kept."
    return EventWay(
        f"forged-{number}",
        "A delivery with a wrong signature",
        "delivery",
        "From nobody known",
        at,
        Tone.FAILED,
        "Refused",
        [came, WayLine(WayStage.SIGNATURE, Tone.FAILED, text, at)],
    )
