"""What people type into commands, read: a project, and options."""

from collections.abc import Sequence

from bot.errors import NotASpeckleLink
from bot.services.errors import CommandRefused
from bot.services.outcomes import SubscribeRequest
from bot.speckle.links import SpeckleLink, parse_link
from bot.speckle.subscription_options import OptionError, SubscriptionOptions


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


def options_from(
    request: SubscribeRequest, link: SpeckleLink, current: SubscriptionOptions | None = None
) -> SubscriptionOptions:
    """The options to have: a link to a model sets the models unless they were typed.

    Errors: CommandRefused for an event that does not exist or a pattern that is none.
    """
    model = link.model_name if link.model_name is not None else link.model_id
    linked = {} if model is None else {"models": model}
    try:
        return (current or SubscriptionOptions()).changed_by({**linked, **request.options})
    except OptionError as error:
        raise CommandRefused(str(error)) from error
