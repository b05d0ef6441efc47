"""What people type into commands, read: a project, and filters."""

from collections.abc import Sequence

from bot.errors import NotASpeckleLink
from bot.services.errors import CommandRefused
from bot.services.outcomes import SubscribeRequest
from bot.speckle.filters import FilterError, Filters, parse_filters
from bot.speckle.links import SpeckleLink, parse_link


def read_link(text: str, servers: Sequence[str]) -> SpeckleLink:
    """Read a project's id or a link to it, on one of these servers.

    Errors: CommandRefused for anything else.
    """
    try:
        link = parse_link(text)
    except NotASpeckleLink as error:
        raise CommandRefused(
            f"That is neither a project's id nor a Speckle link: {error.why}\nOpen the project "
            "in Speckle, copy the address from the browser and paste it as `stream_id`."
        ) from error
    if link.server_url is not None and link.server_url not in servers:
        allowed = ", ".join(servers)
        raise CommandRefused(
            f"That link leads to {link.server_url}, and this bot deals only with {allowed}. "
            "Use a link to a project there, or ask the person who runs the bot to add the "
            "server to `SPECKLE_SERVERS`."
        )
    return link


def read_filters(
    events: str | None, models: str | None, ignore_authors: str | None, current: Filters
) -> Filters:
    """Filters as typed; an option that was left out stays as it is, `all` takes it off.

    Errors: CommandRefused for an event that does not exist or a pattern that is none.
    """
    try:
        typed = parse_filters(_unless_all(events), _unless_all(models), _unless_all(ignore_authors))
    except FilterError as error:
        raise CommandRefused(str(error)) from error
    return Filters(
        events=current.events if events is None else typed.events,
        models=current.models if models is None else typed.models,
        ignore_authors=current.ignore_authors if ignore_authors is None else typed.ignore_authors,
    )


def _unless_all(text: str | None) -> str | None:
    """None for what means no filter; `nobody` is how people take ignored authors off."""
    return None if text is None or text.strip().lower() in ("", "all", "none", "nobody") else text


def filters_of(request: SubscribeRequest, link: SpeckleLink, current: Filters) -> Filters:
    """The filters to have: a link to a model sets the model filter unless `models` does."""
    models = request.models
    if models is None:
        models = _models_of(link)
    return read_filters(request.events, models, request.ignore_authors, current)


def _models_of(link: SpeckleLink) -> str | None:
    if link.model_name is not None:
        return link.model_name
    return link.model_id
