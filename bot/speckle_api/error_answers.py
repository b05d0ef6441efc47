"""What a Speckle server says instead of an answer → our errors. No I/O.

Source for messages and codes: answers recorded from a Speckle Server 2.31.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from bot.errors import (
    SpeckleError,
    SpeckleFault,
    SpeckleForbidden,
    SpeckleNotFound,
    SpeckleOutOfOrder,
    SpeckleRejected,
    SpeckleScopeMissing,
    SpeckleTokenRefused,
    SpeckleUnavailable,
    SpeckleUnknownQuestion,
)
from bot.speckle_api.circuit_breaker import OUT_OF_ORDER
from bot.speckle_api.types import Login

SCOPE = re.compile(r"[a-z]{1,40}:[a-z]{1,40}")
SCOPE_IN_MESSAGE = re.compile(r"does not have the required scope: ([a-z]{1,40}:[a-z]{1,40})")
TOKEN = re.compile(r"[\x21-\x7e]{1,512}")  # what fits into a header; today 42 hex digits
MAX_RETRY_AFTER_S = 3600.0

NOT_FOUND = {
    "STREAM_NOT_FOUND": "there is no such project",
    "BRANCH_NOT_FOUND": "there is no such model",
    "COMMIT_NOT_FOUND": "there is no such version",
    "NOT_FOUND_ERROR": "there is no such thing",
}
# Said with the code FORBIDDEN, and meaning that something is not there.
FORBIDDEN_NOT_FOUND = {
    "You do not have access to this comment.": "there is no such comment in this project",
    "The webhook id and stream id do not match. Please check your inputs.": "there is no such"
    " webhook in this project",
}
NO_SUCH_PROJECT = re.compile(r"Resource of type streams with .{1,200} not found")
FORBIDDEN = {
    "You do not have access to the project": "this account may not see the project",
    "You are not logged in to this server": "only an account may see this",
    "You do not have enough permissions in the project to perform this action": "this account's"
    " role in the project is too low",
}
REJECTED = frozenset({"GRAPHQL_PARSE_FAILED", "BAD_USER_INPUT", "BAD_REQUEST"})
NOT_UNDERSTOOD = "it does not understand this question"
TOO_MANY = "it is asked too often"


def is_token(value: object) -> TypeGuard[str]:
    """Whether a value can be a token at all."""
    return isinstance(value, str) and TOKEN.fullmatch(value) is not None


def check_token(login: Login) -> None:
    """Raise SpeckleTokenRefused for a token that no server can have issued, and none is asked."""
    if login.token is not None and not is_token(login.token):
        raise SpeckleTokenRefused(login.server_url, "the token holds what no token holds")


def from_errors(
    server_url: str, errors: Sequence[Mapping[str, Any]], retry_in_s: float | None = None
) -> SpeckleError:
    """The error for a GraphQL answer's `errors`, which are not empty; the first one decides."""
    extensions = errors[0].get("extensions")
    extensions = extensions if isinstance(extensions, Mapping) else {}
    message, code = errors[0].get("message"), extensions.get("code")
    message = message if isinstance(message, str) else ""
    if (scope := missing_scope(errors[0])) is not None:
        return SpeckleScopeMissing(server_url, scope)
    match code:
        case "UNAUTHORIZED":
            return SpeckleForbidden(server_url, "only an account may do this")
        case "FORBIDDEN":
            return _forbidden(server_url, message)
        case "RATE_LIMIT_ERROR":
            return SpeckleUnavailable(server_url, TOO_MANY, retry_in_s)
        case str() if code in NOT_FOUND or code.endswith("_NOT_FOUND"):
            return SpeckleNotFound(server_url, NOT_FOUND.get(code, NOT_FOUND["NOT_FOUND_ERROR"]))
        case "GRAPHQL_VALIDATION_FAILED":
            return SpeckleUnknownQuestion(server_url, NOT_UNDERSTOOD)
        case str() if code in REJECTED:
            return SpeckleRejected(server_url, NOT_UNDERSTOOD)
        case _:
            return SpeckleFault(server_url, "something went wrong inside the server")


def missing_scope(error: Mapping[str, Any]) -> str | None:
    """The scope that an error says is missing from the token."""
    extensions = error.get("extensions")
    scope = extensions.get("scope") if isinstance(extensions, Mapping) else None
    if isinstance(scope, str) and SCOPE.fullmatch(scope):
        return scope
    message = error.get("message")
    found = SCOPE_IN_MESSAGE.search(message) if isinstance(message, str) else None
    return None if found is None else found.group(1)


def _forbidden(server_url: str, message: str) -> SpeckleError:
    if message in FORBIDDEN_NOT_FOUND:
        return SpeckleNotFound(server_url, FORBIDDEN_NOT_FOUND[message])
    if NO_SUCH_PROJECT.fullmatch(message):
        return SpeckleNotFound(server_url, NOT_FOUND["STREAM_NOT_FOUND"])
    return SpeckleForbidden(server_url, FORBIDDEN.get(message, "this account may not do that"))


def from_status(
    server_url: str, status: int, body: Any, retry_after: str | None, *, with_token: bool
) -> SpeckleError:
    """The error for an answer outside GraphQL; `body` is its JSON, None for anything else.

    A 403 without Speckle's own words comes from something in between, which knows no tokens.
    """
    if status == 403 and with_token and _is_bad_token(body):
        return SpeckleTokenRefused(server_url, "the token is not valid")
    if status == 429:
        return SpeckleUnavailable(server_url, TOO_MANY, seconds(retry_after))
    if 300 <= status < 400:
        return SpeckleUnavailable(server_url, "it points to another address, which is not asked")
    if status in OUT_OF_ORDER:
        return SpeckleOutOfOrder(server_url, f"it answers HTTP {status}", seconds(retry_after))
    if status >= 400:
        return SpeckleUnavailable(server_url, f"it answers HTTP {status}", seconds(retry_after))
    return SpeckleUnavailable(server_url, "its answer is not that of a Speckle server")


def _is_bad_token(body: Any) -> bool:
    # {"error": "Your token is not valid."}
    message = body.get("error") if isinstance(body, dict) else None
    return isinstance(message, str) and "token" in message.lower()


def seconds(retry_after: str | None) -> float | None:
    """A Retry-After header in seconds, fractions included; None for none, a date, or nonsense."""
    try:
        found = float(retry_after or "")
    except ValueError:
        return None
    return min(found, MAX_RETRY_AFTER_S) if math.isfinite(found) and found >= 0 else None
