"""What people type into commands, read: a project, and options."""

from collections.abc import Sequence
from dataclasses import replace

from bot.errors import NotASpeckleLink
from bot.services.refusals import CommandRefused, NotAProject, ServerNotAllowed
from bot.services.subscribe_results import LinkedModels, SubscribeRequest
from bot.speckle.links import SpeckleLink, parse_link
from bot.speckle.subscription_options import (
    Entries,
    OptionError,
    SubscriptionOptions,
    TypedOptions,
)
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


def asks_for_models(
    request: SubscribeRequest, link: SpeckleLink, current: SubscriptionOptions
) -> bool:
    """Whether it is not clear what a link to models changes in a channel that shows some."""
    if not link.models or "models" in request.options:
        return False
    return request.linked_models is LinkedModels.ASK and _with_models(link) != current.models


def with_choice(
    request: SubscribeRequest, link: SpeckleLink, current: SubscriptionOptions
) -> SubscribeRequest:
    """The request as if what was chosen for the linked models had been typed."""
    choice = request.linked_models
    if not link.models or choice is LinkedModels.ASK or "models" in request.options:
        return request
    models = {
        LinkedModels.ADD: (*current.models, *link.models) if current.models else (),
        LinkedModels.REPLACE: link.models,
        LinkedModels.KEEP: current.models,
    }
    return replace(request, options={**request.options, "models": typed_list(models[choice])})


def options_from(
    typed: TypedOptions, link: SpeckleLink, current: SubscriptionOptions
) -> SubscriptionOptions:
    """The options to have: a link to models sets these unless models were typed.

    Errors: CommandRefused for what cannot be used, or can have no effect.
    """
    linked = {"models": typed_list(link.models)} if link.models else {}
    try:
        return current.changed_by({**linked, **typed}, link.project_id)
    except OptionError as error:
        raise CommandRefused(error.problem) from error


def _with_models(link: SpeckleLink) -> Entries:
    return options_from({}, link, SubscriptionOptions()).models
