"""What people type into commands, read: a project, and options."""

from collections.abc import Sequence

from bot.errors import NotASpeckleLink
from bot.services.refusals import CommandRefused, NotAProject, ServerNotAllowed
from bot.speckle.links import SpeckleLink, parse_link
from bot.speckle.subscription_options import OptionError, SubscriptionOptions, TypedOptions
from bot.speckle.typed_lists import typed_list


def parse_project(text: str, servers: Sequence[str]) -> SpeckleLink:
    """Read a project's id or a link to it, on one of these servers.

    Errors: CommandRefused for anything else.
    """
    try:
        link = parse_link(text, servers)
    except NotASpeckleLink as error:
        raise CommandRefused(NotAProject(error.why)) from error
    if link.server_url is not None and link.server_url not in servers:
        raise CommandRefused(ServerNotAllowed(link.server_url, tuple(servers)))
    return link


def options_from(
    typed: TypedOptions, link: SpeckleLink, current: SubscriptionOptions
) -> SubscriptionOptions:
    """The options to have: a link to a model sets the models unless they were typed.

    Errors: CommandRefused for an event that does not exist or a pattern that is none.
    """
    linked = {"models": typed_list(link.models)} if link.models else {}
    try:
        return current.changed_by({**linked, **typed}, link.project_id)
    except OptionError as error:
        raise CommandRefused(error.problem) from error
