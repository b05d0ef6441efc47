"""The server itself: HTTP on 127.0.0.1, tokens, faults, and what was asked."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

from aiohttp import web

from sandbox.http_site import HttpSite, running
from sandbox.speckle import bundles, graphql_errors, objects
from sandbox.speckle.consent import ConsentPage
from sandbox.speckle.entities import HistoryEntry, ServerProject, SignInApp, Token, User, Version
from sandbox.speckle.faults import SpeckleFaults
from sandbox.speckle.graphql_executor import Answer, lists_asked, make_schema, run
from sandbox.speckle.issues import IssueWorld
from sandbox.speckle.oauth import OAuth
from sandbox.speckle.previews import answer as preview
from sandbox.speckle.release import SPECKLE_2_31, Release
from sandbox.speckle.request_context import Asking
from sandbox.speckle.subscription_hub import SubscriptionHub, wants_socket
from sandbox.speckle.webhook_caller import WebhookCaller

BAD_TOKEN = {"error": "Your token is not valid."}
RATE_LIMITED = {"error": {"message": graphql_errors.RATE_LIMITED, "code": "RATE_LIMIT_ERROR"}}
OPERATION = re.compile(r"\b(?:query|mutation)\s+(\w+)")
TOKEN: web.RequestKey[Token | None] = web.RequestKey("token")
CONSENT = "/authn/verify/{app}/{challenge}"
API = "/api/v2/projects/{project}"
MAX_BODY = 50 * 1024 * 1024
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON as JavaScript writes it: without spaces, its letters as they are."""
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return web.Response(body=body, status=status, headers={**kind, **(headers or {})})


class TokenNotValid(Exception):
    """The Authorization header holds something, and it is no token."""


@dataclass(frozen=True)
class AskedQuestion:
    """One request that came in; `operation` is the GraphQL operation's name, "" without one.

    `lists`: of how many projects it asks the activity list.
    """

    path: str
    operation: str
    authorization: str | None
    variables: Mapping[str, Any]
    headers: Mapping[str, str]
    lists: int = 0


class SpeckleServer(IssueWorld):
    """A running server; what it holds is World's. Start it with `start()`."""

    def __init__(self, release: Release = SPECKLE_2_31, missing: Collection[str] = ()) -> None:
        super().__init__()
        self.release = release
        self.has_bundles = release.bundles
        self.url = ""
        self.faults = SpeckleFaults()
        self.requests: list[AskedQuestion] = []
        self.schema = make_schema(release, frozenset(missing))
        self.oauth = OAuth(self)
        self.consent = ConsentPage(
            self.oauth, release.version.partition(".")[0], lambda: self.release.pkce
        )
        self.front: str | None = None  # where people see what is in here: the try-out's page
        self._site: HttpSite | None = None
        self.store = bundles.BundleStore()
        self.webhook_service = WebhookCaller(self, "")
        self.live = SubscriptionHub(
            lambda token: self._asking(self.valid(token)),
            lambda: self.schema,
            introspection=release.introspection,
            record=self.live_record,
        )
        self.subscribers.append(self.live.publish)

    @classmethod
    @asynccontextmanager
    async def start(
        cls, port: int = 0, *, release: Release = SPECKLE_2_31, missing: Collection[str] = ()
    ) -> AsyncIterator[Self]:
        """A server on 127.0.0.1 for as long as the block lasts.

        `missing`: fields, such as "Stream.activity", that it has not got besides.
        """
        server = cls(release, missing)
        app = web.Application(client_max_size=MAX_BODY, middlewares=[server._middleware])
        app.router.add_route("*", "/graphql", server._graphql)
        app.router.add_get("/preview/{project}/commits/{version}", server._preview)
        app.router.add_get("/preview/{project}/commits/{version}/{angle}", server._preview)
        app.router.add_post("/auth/token", server.oauth.token)
        app.router.add_route("*", "/oauth/token", server._pkce)
        app.router.add_get(CONSENT, server.consent.show)
        app.router.add_post(CONSENT, server.consent.answered)
        for page in ("/projects/{rest:.*}", "/settings/{rest:.*}"):
            app.router.add_get(page, server._to_front)
        app.router.add_post(f"{API}/object-stream", server._object_stream)
        app.router.add_get(f"{API}/models/{{model}}/versions/{{version}}/artifacts", server._files)
        app.router.add_get("/api/stream/{project}/blob/{blob}", server._blob)
        app.router.add_get("/api/projects/{project}/issues/{issue}/preview", server._issue_picture)
        async with AsyncExitStack() as stack:
            if release.bundles:
                server.store = await stack.enter_async_context(bundles.BundleStore.start())
            stack.push_async_callback(server.webhook_service.stop)
            site = await stack.enter_async_context(running(app, port, shutdown_s=0.1))
            server._site, server.url = site, site.url
            server.webhook_service.url = server.url
            stack.callback(server.live.stop)
            yield server

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Nobody listens in the block, and what was connected is cut, as where the process was
        killed; then it is there again at the same address, with all that it held.
        """
        assert self._site is not None
        await self._site.shut()
        try:
            yield
        finally:
            await self._site.open()

    def asked(self, operation: str) -> list[AskedQuestion]:
        """The requests of one GraphQL operation."""
        return [asked for asked in self.requests if asked.operation == operation]

    def asked_lists(self, operation: str | None = None) -> list[AskedQuestion]:
        """The requests that asked for activity lists, of one operation or of any."""
        return [
            asked
            for asked in self.requests
            if asked.lists and (operation is None or asked.operation == operation)
        ]

    def lose(self, *fields: str) -> None:
        """The server becomes one of a release without these fields, such as "User.name"."""
        self.schema = make_schema(self.release, frozenset(fields))

    def put_artifact(self, version: Version, name: str, content: bytes) -> None:
        """Give a version that is a bundle a file, which the store has."""
        version.artifacts.append((name, self.store.put(content)))

    # ── webhooks and signing in ───────────────────────────────────────────────────────────────

    async def fire(
        self,
        project: ServerProject,
        event_name: str,
        data: Mapping[str, Any],
        *,
        user: User | None = None,
        message: str | None = None,
    ) -> list[HistoryEntry]:
        """Call the webhooks that have this trigger, as the webhook-service does."""
        return await self.webhook_service.fire(
            project, event_name, data, user=user, message=message
        )

    def fire_soon(
        self,
        project: ServerProject,
        event_name: str,
        data: Mapping[str, Any],
        *,
        user: User | None = None,
        message: str | None = None,
    ) -> list[HistoryEntry]:
        """As `fire`, and the calls are made after it has returned."""
        return self.webhook_service.fire_soon(project, event_name, data, user=user, message=message)

    def record(
        self,
        project: ServerProject,
        event_name: str,
        data: Mapping[str, Any],
        *,
        user: User | None = None,
        status: int = 3,
        message: str | None = None,
    ) -> list[HistoryEntry]:
        """As `fire`, but nobody is called: 3 failed, 1 stuck, 0 queued, 2 delivered."""
        return self.webhook_service.record(
            project, event_name, data, user=user, status=status, message=message
        )

    def register_app(self, redirect_url: str, **more: Any) -> SignInApp:
        """An app for signing in."""
        return self.oauth.register_app(redirect_url, **more)

    def approve(self, user: User, app: SignInApp, challenge: str) -> str:
        """A person says yes; gives the code."""
        return self.oauth.approve(user, app, challenge)

    # ── HTTP ──────────────────────────────────────────────────────────────────────────────────

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = await self._note(request)
        if request.path == "/graphql" and wants_socket(request):
            return await self._socket(request)
        struck = self.faults.strike(request.path, asked.operation)
        after = self.faults.after
        if struck and not after and (broken := await self._broken(request)) is not None:
            return broken
        try:
            request[TOKEN] = self._token(request.headers.get("Authorization"))
        except TokenNotValid:
            return _json(BAD_TOKEN, status=403)
        answer = await handler(request)
        if struck and after and (broken := await self._broken(request)) is not None:
            return broken
        return answer

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        """A handshake, whose Authorization header nobody reads."""
        faults = self.faults
        if not faults.handshake_passes() and faults.strike(request.path, ""):
            broken = await self._broken(request)
            if broken is not None:
                return broken
        return await self.live.serve(request)

    async def _note(self, request: web.Request) -> AskedQuestion:
        operation = ""
        variables: dict[str, Any] = {}
        lists = 0
        if request.path == "/graphql":
            try:
                asked = json.loads(await request.read() or b"{}")
            except ValueError:
                asked = {}
            if isinstance(asked, dict):
                found = OPERATION.search(asked.get("query") or "")
                operation = asked.get("operationName") or (found.group(1) if found else "")
                variables = asked.get("variables") or {}
                lists = lists_asked(str(asked.get("query") or ""))
        authorization = request.headers.get("Authorization")
        noted = AskedQuestion(
            request.path, operation, authorization, variables, dict(request.headers), lists
        )
        self.requests.append(noted)
        return noted

    async def _broken(self, request: web.Request) -> web.StreamResponse | None:
        faults = self.faults
        if faults.hang:
            faults.hanging += 1
            await asyncio.Event().wait()
        if faults.delay_s:
            await asyncio.sleep(faults.delay_s)
        if faults.cut:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if faults.retry_after_s is not None:
            headers = {
                "Retry-After": f"{faults.retry_after_s:g}",
                "X-Speckle-Meditation": "https://http.cat/429",
            }
            return _json(RATE_LIMITED, status=429, headers=headers)
        if faults.redirect_to is not None:
            return web.Response(status=307, headers={"Location": faults.redirect_to})
        if faults.status is not None:
            body = faults.body if isinstance(faults.body, bytes) else faults.body.encode()
            return await self._written(request, faults.status, body)
        return None

    async def _written(self, request: web.Request, status: int, body: bytes) -> web.StreamResponse:
        """The fault's body, at once or a byte at a time."""
        headers = {"Content-Type": self.faults.content_type}
        if self.faults.drip_s is None:
            return web.Response(status=status, body=body, headers=headers)
        answer = web.StreamResponse(status=status, headers=headers)
        await answer.prepare(request)
        for place in range(len(body)):
            await answer.write(body[place : place + 1])
            await asyncio.sleep(self.faults.drip_s)
        return answer

    def _token(self, authorization: str | None) -> Token | None:
        if not authorization:
            return None
        token = self.valid(authorization.removeprefix("Bearer "))
        if token is None:
            raise TokenNotValid
        return token

    async def _to_front(self, request: web.Request) -> web.StreamResponse:
        if self.front is None:
            return web.Response(status=404, text="<!DOCTYPE html>", content_type="text/html")
        wanted = quote(f"{self.url}{request.path_qs}", safe="")
        return web.Response(status=302, headers={"Location": f"{self.front}/?speckle={wanted}"})

    async def _preview(self, request: web.Request) -> web.StreamResponse:
        return preview(self, request[TOKEN], request)

    async def _pkce(self, request: web.Request) -> web.StreamResponse:
        if not self.release.pkce:
            return web.Response(status=404, text="<!DOCTYPE html>", content_type="text/html")
        if request.method == "GET":
            return web.Response(text="OK")
        return await self.oauth.token_by_verifier(request)

    async def _object_stream(self, request: web.Request) -> web.StreamResponse:
        return await objects.object_stream(self, request[TOKEN], request)

    async def _files(self, request: web.Request) -> web.StreamResponse:
        return bundles.artifacts(self, request[TOKEN], request)

    async def _issue_picture(self, request: web.Request) -> web.StreamResponse:
        return objects.issue_picture(self, request[TOKEN], request)

    async def _blob(self, request: web.Request) -> web.StreamResponse:
        return objects.blob(self, request[TOKEN], request)

    async def _graphql(self, request: web.Request) -> web.StreamResponse:
        if "json" not in request.content_type:
            errors = [{"message": graphql_errors.CSRF, "extensions": {"code": "BAD_REQUEST"}}]
            return _json({"errors": errors}, status=400)
        try:
            asked = json.loads(await request.read())
        except ValueError:
            message = "Invalid request body: Unexpected end of JSON input"
            error = {"error": {"message": message, "code": "USER_INPUT_ERROR"}}
            return _json(error, status=400)
        context = self._asking(request[TOKEN])
        if isinstance(asked, list):
            return _json([self._run(one, context)[1] for one in asked])
        status, answer = self._run(asked, context)
        if self.faults.lie is not None:
            answer = self.faults.lie(self.requests[-1].operation, answer)
            if isinstance(answer, bytes):
                return web.Response(body=answer, content_type="application/json")
        return _json(answer, status=status, headers={"Cache-Control": "no-store"})

    def _asking(self, token: Token | None) -> Asking:
        return Asking(self, token, self.url, self.release.version)

    def _run(self, asked: Any, context: Asking) -> Answer:
        return run(self.schema, asked, context, introspection=self.release.introspection)
