"""Signing in: the approval that a person gives, and /auth/token or /oauth/token."""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from sandbox.speckle.entities import AccessCode, SignInApp, Token, User
from sandbox.speckle.speckle_world import SpeckleWorld

CODE_LIFE = timedelta(minutes=10)
HASHED = ("code_challenge_method", "S256")
WANTED = "Invalid request, insufficient information provided. {} is required."


class Denied(Exception):
    """/auth/token's answer 401."""


@dataclass
class OAuth:
    """The apps of one server."""

    world: SpeckleWorld

    def register_app(
        self,
        redirect_url: str,
        *,
        scopes: tuple[str, ...] | None = None,
        author: User | None = None,
    ) -> SignInApp:
        """An app, as the operator registers it."""
        app = SignInApp(secrets.token_hex(5), secrets.token_hex(5), redirect_url, author)
        if scopes is not None:
            app.scopes = scopes
        self.world.apps[app.id] = app
        return app

    def remove_app(self, app: SignInApp) -> None:
        """Delete the app: its tokens and refresh tokens stop working."""
        del self.world.apps[app.id]
        self.world.refreshable = {
            text: token for text, token in self.world.refreshable.items() if token.app is not app
        }
        for token in self.world.tokens.values():
            token.revoked |= token.app is app

    def revoke_access(self, user: User, app: SignInApp) -> None:
        """A person takes back what they allowed: their tokens by the app stop working."""
        refreshable = self.world.refreshable
        for text, token in list(refreshable.items()):
            if token.app is app and token.user is user:
                del refreshable[text]
        for token in self.world.tokens.values():
            token.revoked |= token.app is app and token.user is user

    def approve(self, user: User, app: SignInApp, challenge: str) -> str:
        """A person says yes; gives the code that the redirect would carry.

        `challenge` is the end of the page's address, what follows a ? included.
        """
        challenge, _, asked = challenge.partition("?")
        is_hashed = HASHED in parse_qsl(asked)
        code = AccessCode(secrets.token_hex(21), app, user, challenge, datetime.now(UTC), is_hashed)
        self.world.codes[code.text] = code
        return code.text

    async def token(self, request: web.Request) -> web.Response:
        """Trade a code with its challenge, or a refresh token."""
        return await self._traded(request, "challenge", "Challenge")

    async def token_by_verifier(self, request: web.Request) -> web.Response:
        """Trade a code with its challenge's verifier, or a refresh token."""
        return await self._traded(request, "codeVerifier", "Code Verifier")

    async def _traded(self, request: web.Request, proof: str, proof_name: str) -> web.Response:
        if "json" in request.content_type:
            asked: dict[str, Any] = await request.json()
        else:
            asked = dict(await request.post())
        try:
            if "refreshToken" in asked:
                token = self._refreshed(asked)
            else:
                token = self._exchanged(asked, proof, proof_name)
        except Denied as denied:
            return web.json_response({"err": str(denied)}, status=401)
        headers = {"Cache-Control": "no-cache, no-store"} if "refreshToken" in asked else {}
        return web.json_response(
            {"token": token.text, "refreshToken": token.refresh}, headers=headers
        )

    def _refreshed(self, asked: dict[str, Any]) -> Token:
        if not asked["refreshToken"]:
            raise Denied(
                "Invalid request, insufficient information provided."
                " A valid refresh token is required."
            )
        app = self.world.apps.get(asked.get("appId", ""))
        known = self.world.refreshable.get(asked["refreshToken"])
        if app is None or known is None or known.app is not app:
            raise Denied("Invalid request")
        if asked.get("appSecret") != app.secret:
            raise Denied("Invalid request")
        return self._pair(app, known.user)  # the old pair keeps working

    def _exchanged(self, asked: dict[str, Any], proof: str, proof_name: str) -> Token:
        for key, name in (
            ("appId", "App Id"),
            ("appSecret", "App Secret"),
            ("accessCode", "Access Code"),
            (proof, proof_name),
        ):
            if not asked.get(key):
                raise Denied(WANTED.format(name))
        code = self.world.codes.pop(asked["accessCode"], None)  # whatever comes now, it is burnt
        if code is None or code.app.id != asked["appId"] or code.app.id not in self.world.apps:
            raise Denied("Access code not found.")
        if code.made_at + CODE_LIFE < datetime.now(UTC):
            raise Denied("Access code expired")
        hashed = proof == "codeVerifier"
        proven = _hash(asked[proof]) if hashed else asked[proof]
        if proven != code.challenge or (code.is_hashed and not hashed):
            raise Denied(
                "Code challenge mismatch. Ensure the same challenge is used for authentication"
                " and token exchange."
            )
        if asked["appSecret"] != code.app.secret:
            raise Denied("Invalid app secret. Ensure the app secret is correct.")
        return self._pair(code.app, code.user)

    def _pair(self, app: SignInApp, user: User) -> Token:
        token = Token(secrets.token_hex(21), user, app.scopes, app=app)
        token.refresh = secrets.token_hex(21)
        self.world.tokens[token.text] = token
        self.world.refreshable[token.refresh] = token
        return token


def _hash(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
