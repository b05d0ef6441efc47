"""Tokens, what they allow, and the applications that people sign in with, as values. No I/O."""

from dataclasses import dataclass, field
from enum import StrEnum


class TokenScope(StrEnum):
    """What a token allows, in Speckle's own words."""

    PROFILE_READ = "profile:read"
    STREAMS_READ = "streams:read"
    STREAMS_WRITE = "streams:write"


SCOPES = (TokenScope.STREAMS_READ, TokenScope.STREAMS_WRITE, TokenScope.PROFILE_READ)
"""What the bot asks a person for; without `streams:write` it makes no webhooks."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What opens an account; with a refresh token it came by signing in, else by hand."""

    token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a sign-in is recognised by; with a verifier, `text` is the hash of it (RFC 7636)."""

    text: str = field(repr=False)
    verifier: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SpeckleApp:
    """The application that the operator registered on one server, for signing in."""

    server_url: str
    id: str
    secret: str = field(repr=False)
