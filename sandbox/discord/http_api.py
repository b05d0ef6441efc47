"""The HTTP side: reads requests, records them, applies faults, token and pace, and answers."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Final

from aiohttp import BodyPartReader, web

from sandbox.discord import (
    rest_account,
    rest_channels,
    rest_commands,
    rest_emojis,
    rest_guilds,
    rest_interactions,
    rest_messages,
    rest_polls,
)
from sandbox.discord.faults import DiscordFaults, Fail, RateLimit, Reset, Slow
from sandbox.discord.gateway_server import GatewayServer
from sandbox.discord.message_rules import MAX_REQUEST_BYTES, Upload
from sandbox.discord.rate_limits import RateLimitBuckets, TooFast
from sandbox.discord.refusals import INVALID_JSON, NOT_FOUND, TOO_LARGE, UNAUTHORIZED, Refusal
from sandbox.discord.rest import Call, RecordedRequest, RestResponse, Route
from sandbox.discord.shapes import check_shapes
from sandbox.discord.world import DiscordWorld

API: Final = "/api/v10"
MAX_RECORDED: Final = 5_000
ROUTES: Final = (
    *rest_account.ROUTES,
    *rest_guilds.ROUTES,
    *rest_channels.ROUTES,
    *rest_messages.ROUTES,
    *rest_polls.ROUTES,
    *rest_commands.ROUTES,
    *rest_emojis.ROUTES,
    *rest_interactions.ROUTES,
)
FILE_FIELD = re.compile(r"^files\[(\d{1,4})\]$")
BANNED: Final = Refusal(429, 0, "You are being blocked from accessing our API")
NO_HEADERS: Mapping[str, str] = {}


@dataclass(slots=True, eq=False)
class Server:
    """Answers what comes over HTTP; `requests` are the latest, the oldest first."""

    world: DiscordWorld
    gateway: GatewayServer
    faults: DiscordFaults
    pace: RateLimitBuckets
    requests: list[RecordedRequest] = field(default_factory=list)

    def application(self) -> web.Application:
        """All routes in an aiohttp application."""
        app = web.Application(client_max_size=MAX_REQUEST_BYTES * 2)
        for route in ROUTES:
            app.router.add_route(route.method, API + route.template, self._handler(route))
        app.router.add_route("*", API + "/{rest:.*}", self._nothing_there)
        app.router.add_get("/gateway", self.gateway.serve)
        app.router.add_get("/gateway/", self.gateway.serve)
        app.router.add_get("/attachments/{channel_id}/{file_id}/{name}", self._attachment)
        app.router.add_get("/emojis/{file}", self._emoji)
        app.on_response_prepare.append(self._date)
        app.on_shutdown.append(self._stop)
        return app

    async def _stop(self, _: web.Application) -> None:
        await self.gateway.stop()

    async def _date(self, _: web.Request, answer: web.StreamResponse) -> None:
        answer.headers["Date"] = formatdate(self.world.ids.wall_clock(), usegmt=True)

    async def _nothing_there(self, request: web.Request) -> web.Response:
        record = RecordedRequest(request.method, "", request.path, request.headers, None, ())
        self._record(record)
        record.status = 404
        return _refused(NOT_FOUND)

    async def _attachment(self, request: web.Request) -> web.Response:
        file_id = request.match_info["file_id"]
        file = self.world.attachments.get(int(file_id) if file_id.isdecimal() else 0)
        if file is None:
            return web.Response(status=404)
        return web.Response(body=file.content, content_type=file.media_type)

    async def _emoji(self, request: web.Request) -> web.Response:
        """An emoji's picture, as `discord.Asset.BASE` names it: /emojis/ID.png."""
        emoji_id = request.match_info["file"].split(".")[0]
        emoji = self.world.emojis.get(int(emoji_id) if emoji_id.isdecimal() else 0)
        if emoji is None:
            return web.Response(status=404)
        return web.Response(body=emoji.image, content_type=emoji.media_type)

    def _record(self, record: RecordedRequest) -> None:
        self.requests.append(record)
        del self.requests[:-MAX_RECORDED]

    # ── one request ───────────────────────────────────────────────────────────────────────────

    def _handler(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            return await self._serve(route, request)

        return serve

    async def _serve(self, route: Route, request: web.Request) -> web.StreamResponse:
        place = request.path.removeprefix(API)
        record = RecordedRequest(
            route.method, route.template, place, request.headers, None, (),
            query=dict(request.query), unread=True,
        )  # fmt: skip
        self._record(record)
        with self.world.told_afterwards():
            try:
                answer = await self._with_faults(route, request, record)
            except ConnectionResetError:  # the client has gone before it had said all
                answer = None
        if answer is None:
            _cut(request)
            return web.Response()
        record.status = answer.status
        self.pace.note(answer.status, answer.headers)
        return answer

    async def _with_faults(
        self, route: Route, request: web.Request, record: RecordedRequest
    ) -> web.Response | None:
        """The answer, or None where the connection is to be cut."""
        named = (route.method, route.template, record.path)
        take = self.faults.take
        if self.pace.banned:
            await _read_quietly(request)
            return _failed(BANNED, None)
        if take(Reset, *named, lambda fault: not fault.after):
            return None
        if slow := take(Slow, *named, lambda fault: not fault.after):
            await asyncio.sleep(slow.seconds)
        if limit := take(RateLimit, *named, lambda _: True):
            await _read_quietly(request)
            return _told_to_wait(limit.answer)
        if failure := take(Fail, *named, lambda _: True):
            await _read_quietly(request)
            return _failed(failure.refusal, failure.page)
        answer = await self._answer(route, request, record)
        if slow := take(Slow, *named, lambda fault: fault.after):
            await asyncio.sleep(slow.seconds)
        return None if take(Reset, *named, lambda fault: fault.after) else answer

    async def _answer(
        self, route: Route, request: web.Request, record: RecordedRequest
    ) -> web.Response:
        headers = NO_HEADERS
        try:
            record.json, record.files = await _read(request)
            record.unread = False
            if not route.open and not self._is_bot(request):
                raise UNAUTHORIZED
            paced = self.pace.check(route.name, _counted_apart(request), exempt=route.exempt)
            if isinstance(paced, TooFast):
                return _told_to_wait(paced)
            headers = paced
            check_shapes(record.json)
            reply = await route.handler(self._call(request, record))
        except Refusal as refusal:
            record.answer = refusal.to_json()
            refusal.forget_its_way()
            return _refused(refusal, headers)
        record.answer = reply.body
        return _answered(reply, headers)

    def _is_bot(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bot {self.world.token}"

    def _call(self, request: web.Request, record: RecordedRequest) -> Call:
        return Call(
            self.world, self.gateway, request.match_info, request.query, record.json, record.files
        )


def _counted_apart(request: web.Request) -> str:
    """What Discord calls the major parameters: each value of them has a bucket of its own."""
    majors = ("channel_id", "guild_id", "webhook_id", "webhook_token", "interaction_token")
    return ":".join(request.match_info.get(name, "") for name in majors)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


# ── bodies ────────────────────────────────────────────────────────────────────────────────────


async def _read_quietly(request: web.Request) -> None:
    """Take the body in before an answer that does not look at it, so that the line stays whole."""
    async for _ in request.content.iter_chunked(1 << 16):
        pass


async def _read(request: web.Request) -> tuple[Any, tuple[Upload, ...]]:
    if request.content_type.startswith("multipart/"):
        return await _read_multipart(request)
    text = await request.read()
    if len(text) > MAX_REQUEST_BYTES:
        raise TOO_LARGE
    return (_parsed(text) if text else None), ()


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise INVALID_JSON from None


async def _read_multipart(request: web.Request) -> tuple[Any, tuple[Upload, ...]]:
    """The body from `payload_json`, and the files; raises 40005 above 25 MiB."""
    body: Any = None
    uploads: list[Upload] = []
    total = 0
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader):
            raise INVALID_JSON
        content = bytes(await part.read())
        total += len(content)
        if part.name == "payload_json":
            body = _parsed(content)
        elif found := FILE_FIELD.match(part.name or ""):
            media_type = part.headers.get("Content-Type", "application/octet-stream")
            uploads.append(Upload(int(found[1]), part.filename or "file", media_type, content))
    if total > MAX_REQUEST_BYTES:
        raise TOO_LARGE
    return body, tuple(uploads)


def _answered(reply: RestResponse, headers: Mapping[str, str]) -> web.Response:
    if reply.body is None:
        return web.Response(status=204, headers=headers)
    return _json(reply.body, reply.status, headers)


def _json(body: Any, status: int, headers: Mapping[str, str]) -> web.Response:
    """discord.py reads as JSON only what is exactly `application/json`, with no charset."""
    text = json.dumps(body, separators=(",", ":")).encode()
    return web.Response(body=text, status=status, headers=headers, content_type="application/json")


def _refused(refusal: Refusal, headers: Mapping[str, str] = NO_HEADERS) -> web.Response:
    return _json(refusal.to_json(), refusal.status, headers)


def _failed(refusal: Refusal, page: str | None) -> web.Response:
    """An error by a switch, or a ban: above 500 as a proxy writes it, unless a code was given."""
    if page is None and (refusal is BANNED or (refusal.status >= 500 and not refusal.code)):
        page = f"<html><title>{refusal.status}</title>{refusal.message}</html>"
    if page is None:
        return _refused(refusal)
    return web.Response(text=page, status=refusal.status, content_type="text/html")


def _told_to_wait(answer: TooFast) -> web.Response:
    body = {
        "message": "You are being rate limited.",
        "retry_after": round(answer.retry_after_s, 3),
        "global": answer.is_global,
    }
    return _json(body, 429, answer.headers)
