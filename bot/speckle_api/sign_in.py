"""Signing in with Speckle: the address to send a person to, and tokens for what comes back.

Source: SERVER 2.31, packages/server/modules/auth; it has no `state` and no expiry. Servers of 2026
also take RFC 7636 (PKCE) at /oauth/token: of a sign-in, they see the hash of a verifier first and
the verifier itself only when the code is traded.
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlencode

from cachetools import TTLCache

from bot.errors import SpeckleTokenRefused, SpeckleUnavailable
from bot.speckle.tokens import Challenge, SpeckleApp, Tokens
from bot.speckle_api.error_answers import from_status, is_token
from bot.speckle_api.http import HttpAnswer, SpeckleHttp
from bot.speckle_api.types import Login

WITHIN_S = 15.0
LOOK_WITHIN_S: Final = 5.0  # a person waits for the page
DAY_S: Final = 86_400.0
MAX_SERVERS: Final = 64
MAX_ANSWER_BYTES = 64 * 1024
CHALLENGE_BYTES: Final = 32
BY_CHALLENGE: Final = "/auth/token"
BY_VERIFIER: Final = "/oauth/token"
# What the server says about a code or a refresh token, in its words → in ours.
REFUSALS = {
    "Access code not found.": "the code was used before, or is unknown",
    "Access code expired": "the code is older than 10 minutes",
    "Invalid app secret. Ensure the app secret is correct.": "the application's secret is wrong",
}


def sign_in_url(app: SpeckleApp, challenge: Challenge, *, shows_code: bool = False) -> str:
    """Where a person approves that the app may act for them.

    `shows_code`: the page then shows a code to copy, instead of sending the person back. Only
    servers with verifiers can do that, and nobody has said whether for every application.
    """
    page = f"{app.server_url}/authn/verify/{quote(app.id, safe='')}"
    page = f"{page}/{quote(challenge.text, safe='')}"
    asked = {} if challenge.verifier is None else {"code_challenge_method": "S256"}
    if shows_code:
        asked["returnExchangeToken"] = "true"
    return f"{page}?{urlencode(asked)}" if asked else page


def has_verifiers(status: int, body: bytes) -> bool:
    """Whether a server takes verifiers, by what it answers to GET of `BY_VERIFIER`.

    Some servers show a page of their web application for whatever they do not know.
    """
    return status == 200 and not body.lstrip().startswith(b"<")


class SpeckleSignIn:
    """Trades codes and refresh tokens for tokens; which way a server has is known for a day."""

    def __init__(self, http: SpeckleHttp, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._takes_verifiers = TTLCache[str, bool](MAX_SERVERS, ttl=DAY_S, timer=clock)

    async def begin(self, app: SpeckleApp) -> Challenge:
        """What a new sign-in is recognised by, in the way that the server has."""
        secret = secrets.token_urlsafe(CHALLENGE_BYTES)
        if not await self._has_verifiers(app.server_url):
            return Challenge(secret)
        return Challenge(_hash(secret), verifier=secret)

    async def exchange(self, app: SpeckleApp, code: str, challenge: Challenge) -> Tokens:
        """Trade the code of an approval, which works once, within 10 minutes.

        The challenge decides how, whatever the server has become since. Errors:
        SpeckleTokenRefused for a code that does not work; SpeckleUnavailable.
        """
        # Once: a code that may have reached the server is used up, whatever came back.
        if challenge.verifier is None:
            proof = {"accessCode": code, "challenge": challenge.text}
            answer = await self._posted(app, BY_CHALLENGE, proof)
        else:
            proof = {"accessCode": code, "codeVerifier": challenge.verifier}
            answer = await self._posted(app, BY_VERIFIER, proof)
        if answer.status == 404:
            self._takes_verifiers.pop(app.server_url, None)
        return _tokens(app, answer)

    async def refresh(self, app: SpeckleApp, refresh_token: str) -> Tokens:
        """Get new tokens; the old ones keep working.

        Errors: SpeckleTokenRefused for a refresh token that does not work, or with a wrong app;
        SpeckleUnavailable.
        """
        what = {"refreshToken": refresh_token}
        answer = await self._posted(app, BY_CHALLENGE, what)
        if answer.status == 404:  # nobody has said which of the two newer servers keep
            answer = await self._posted(app, BY_VERIFIER, what)
        return _tokens(app, answer)

    async def _has_verifiers(self, server_url: str) -> bool:
        """Whether a server takes verifiers; False while it cannot be asked."""
        known = self._takes_verifiers.get(server_url)
        if known is not None:
            return known
        try:
            answer = await self._http.get(
                Login(server_url), BY_VERIFIER, max_bytes=MAX_ANSWER_BYTES, within_s=LOOK_WITHIN_S
            )
        except SpeckleUnavailable:
            return False
        has = has_verifiers(answer.status, answer.body)
        if answer.status < 500 and answer.status != 429:
            self._takes_verifiers[server_url] = has
        return has

    async def _posted(self, app: SpeckleApp, path: str, what: dict[str, str]) -> HttpAnswer:
        return await self._http.post(
            Login(app.server_url),
            path,
            {"appId": app.id, "appSecret": app.secret, **what},
            max_bytes=MAX_ANSWER_BYTES,
            within_s=WITHIN_S,
        )


def _hash(verifier: str) -> str:
    """RFC 7636's S256."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def _tokens(app: SpeckleApp, answer: HttpAnswer) -> Tokens:
    body = answer.json if isinstance(answer.json, dict) else {}
    said = body.get("err", body.get("error"))
    if answer.status in (400, 401) and isinstance(said, str):
        reason = REFUSALS.get(said, "it is not valid for this application")
        raise SpeckleTokenRefused(app.server_url, reason)
    if answer.status != 200:
        after = answer.headers.get("Retry-After")
        raise from_status(app.server_url, answer.status, body, after, with_token=False)
    token, refresh_token = body.get("token"), body.get("refreshToken")
    if not is_token(token) or not is_token(refresh_token):
        raise SpeckleUnavailable(app.server_url, "its answer holds no tokens")
    return Tokens(token, refresh_token)
