"""What a Speckle server refuses with: messages and codes as recorded."""

from typing import Any

from graphql import GraphQLError


def refused(message: str, code: str, status: int | None, **more: Any) -> GraphQLError:
    """An error inside an answer whose HTTP status is 200."""
    extensions = {"code": code, **more}
    if status is not None:
        extensions["statusCode"] = status
    return GraphQLError(message, extensions=extensions)


def no_token() -> GraphQLError:
    """Nobody is signed in."""
    return refused("Must provide an auth token", "UNAUTHORIZED", 401)


def no_scope(scope: str) -> GraphQLError:
    """The token lacks a scope."""
    message = f"Your auth token does not have the required scope: {scope}."
    return refused(message, "FORBIDDEN", 403, scope=scope)


def forbidden(message: str) -> GraphQLError:
    """Not allowed, for one of many reasons."""
    return refused(message, "FORBIDDEN", 403)


NO_SESSION = "You are not logged in to this server"
NO_ACCESS = "You do not have access to the project"
NOT_ENOUGH = "You do not have enough permissions in the project to perform this action"
NOT_ENOUGH_FOR = {
    "canPublish": "Your role on this project doesn't give you permission to publish.",
    "canLoad": "Your role on this project doesn't give you permission to load.",
}
NOT_THIS_RESOURCE = "You are not authorized to access this resource."
NOT_AUTHORIZED = "You are not authorized."
WRONG_WEBHOOK = "The webhook id and stream id do not match. Please check your inputs."
NO_DOCUMENT = "Attempting to build comment text without document & attachments!"
NO_RESOURCES = (
    "Resource ID string doesn't resolve to any valid resources for the specified project/stream"
)
RATE_LIMITED = (
    "You have sent too many requests. You are being rate limited. Please try again later."
)
CSRF = (
    "This operation has been blocked as a potential Cross-Site Request Forgery (CSRF). Please "
    "either specify a 'content-type' header (with a type that is not one of "
    "application/x-www-form-urlencoded, multipart/form-data, text/plain) or provide a non-empty "
    "value for one of the following headers: x-apollo-operation-name, apollo-require-preflight\n"
)
