"""Signing in with Speckle: the address to send a person to, and tokens for what comes back.

Source: SERVER 2.31, packages/server/modules/auth; it knows neither `state` nor an expiry.
"""

from bot.speckle.answers import SpeckleApp, Tokens
from bot.speckle.http import SpeckleHttp


def sign_in_url(app: SpeckleApp, challenge: str) -> str:
    """Where a person approves that the app may act for them."""
    raise NotImplementedError


class SpeckleOAuth:
    """Trades codes and refresh tokens for tokens."""

    def __init__(self, http: SpeckleHttp) -> None:
        self._http = http

    async def exchange(self, app: SpeckleApp, code: str, challenge: str) -> Tokens:
        """Trade the code of an approval, which works once, within 10 minutes.

        Errors: SpeckleTokenRefused for a code that does not work; SpeckleUnavailable.
        """
        raise NotImplementedError

    async def refresh(self, app: SpeckleApp, refresh_token: str) -> Tokens:
        """Get new tokens.

        Errors: SpeckleTokenRefused for a refresh token that does not work; SpeckleUnavailable.
        """
        raise NotImplementedError
