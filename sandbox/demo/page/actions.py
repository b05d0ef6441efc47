"""What a browser asks the page to do; what cannot be done is said in a sentence."""

from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ConfigDict, ValidationError

Body = TypeVar("Body", bound="Action")


class Action(BaseModel):
    """The JSON body of a POST; what is not named in it is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CannotDo(Exception):
    """What was asked cannot be done now; the text is a whole sentence for the person."""


async def read_action(request: web.Request, kind: type[Body]) -> Body:
    """The body of the request; a malformed one becomes an answer 400."""
    return kind.model_validate_json(await request.read())


@web.middleware
async def say_what_is_wrong(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 409 where something cannot be done, 400 where the request is malformed."""
    try:
        return await handler(request)
    except CannotDo as problem:
        return web.json_response({"error": str(problem)}, status=409)
    except ValidationError as error:
        return web.json_response({"error": _sentence(error)}, status=400)


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(map(str, first["loc"])) or "the body"
    return f"The request is malformed at {place}: {first['msg'].lower()}."
