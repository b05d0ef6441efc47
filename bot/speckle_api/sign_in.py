"""Signing in with Speckle: the address to send a person to, and tokens for what comes back.

Source: SERVER 2.31, packages/server/modules/auth; it has no `state` and no expiry.
"""

from urllib.parse import quote

from bot.errors import SpeckleTokenRefused, SpeckleUnavailable
from bot.speckle.tokens import SpeckleApp, Tokens
from bot.speckle_api.error_answers import from_status, is_token
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.types import Login

WITHIN_S = 15.0
MAX_ANSWER_BYTES = 64 * 1024
# What the server says about a code or a refresh token, in its words → in ours.
REFUSALS = {
    "Access code not found.": "the code was used before, or is unknown",
    "Access code expired": "the code is older than 10 minutes",
    "Invalid app secret. Ensure the app secret is correct.": "the application's secret is wrong",
}


def sign_in_url(app: SpeckleApp, challenge: str) -> str:
    """Where a person approves that the app may act for them."""
    return f"{app.server_url}/authn/verify/{quote(app.id, safe='')}/{quote(challenge, safe='')}"


class SpeckleSignIn:
    """Trades codes and refresh tokens for tokens."""

    def __init__(self, http: SpeckleHttp) -> None:
        self._http = http

    async def exchange(self, app: SpeckleApp, code: str, challenge: str) -> Tokens:
        """Trade the code of an approval, which works once, within 10 minutes.

        Errors: SpeckleTokenRefused for a code that does not work; SpeckleUnavailable.
        """
        return await self._traded(app, {"accessCode": code, "challenge": challenge})

    async def refresh(self, app: SpeckleApp, refresh_token: str) -> Tokens:
        """Get new tokens; the old ones keep working.

        Errors: SpeckleTokenRefused for a refresh token that does not work, or with a wrong app;
        SpeckleUnavailable.
        """
        return await self._traded(app, {"refreshToken": refresh_token})

    async def _traded(self, app: SpeckleApp, what: dict[str, str]) -> Tokens:
        # Once: a code that may have reached the server is used up, whatever came back.
        answer = await self._http.post(
            Login(app.server_url, None),
            "/auth/token",
            {"appId": app.id, "appSecret": app.secret, **what},
            max_bytes=MAX_ANSWER_BYTES,
            within_s=WITHIN_S,
        )
        body = answer.json if isinstance(answer.json, dict) else {}
        if answer.status == 401 and isinstance(body.get("err"), str):
            reason = REFUSALS.get(body["err"], "it is not valid for this application")
            raise SpeckleTokenRefused(app.server_url, reason)
        if answer.status != 200:
            after = answer.headers.get("Retry-After")
            raise from_status(app.server_url, answer.status, body, after, with_token=False)
        token, refresh_token = body.get("token"), body.get("refreshToken")
        if not is_token(token) or not is_token(refresh_token):
            raise SpeckleUnavailable(app.server_url, "its answer holds no tokens")
        return Tokens(token, refresh_token)
