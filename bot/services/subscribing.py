"""/subscribe: what has to be known and agreed before a channel follows a project, and doing it."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.db.rows import (
    Account,
    Hook,
    HookKind,
    HookState,
    LinkDetails,
    PauseReason,
    Subscription,
    SubscriptionState,
)
from bot.errors import SpeckleError
from bot.services.accounts import AccountService
from bot.services.errors import CommandRefused
from bot.services.outcomes import Change, LinkFirst, ShowFirst, Subscribed, SubscribeRequest
from bot.services.places import Place, check_caller, check_place
from bot.services.quotas import QuotaService
from bot.services.setup import kinds_wanted, triggers_to_tick
from bot.services.subscriptions import SubscriptionService, may_see_secret, no_such_project
from bot.services.typed import filters_of, read_link
from bot.services.webhooks import Kept, NotKept, WhyNot, why_not
from bot.speckle.answers import PUBLIC, ProjectRights
from bot.speckle.filters import Filters
from bot.speckle.links import SpeckleLink
from bot.storage import Storage

TOKEN_BYTES = 16
NO_SERVER = ""  # of a request that no link of an account belongs to


@dataclass(frozen=True, slots=True)
class _Seen:
    """The project as the caller's linked account has just seen it."""

    account: Account
    project: ProjectRights


class Subscribing:
    """Lets a place follow a project; what waits for the caller's decision is kept meanwhile.

    Errors: CommandRefused, ready for the caller.
    """

    def __init__(
        self,
        storage: Storage,
        accounts: AccountService,
        subscriptions: SubscriptionService,
        quotas: QuotaService | None = None,
    ) -> None:
        """Without `quotas` no guild has any."""
        self._quotas = quotas
        self._storage = storage
        self._accounts = accounts
        self._subscriptions = subscriptions
        self._webhooks = subscriptions.webhooks
        self._servers = subscriptions.servers
        self._served_guilds = subscriptions.served_guilds

    async def subscribe(self, request: SubscribeRequest) -> Subscribed | LinkFirst | ShowFirst:
        """Let the place follow the project, or change what it follows of it."""
        check_caller(request.caller, request.place.channel_id)
        check_place(request.place, "use `/subscribe` again")
        link = read_link(request.project, self._servers)
        hook = await self._subscriptions.find_hook(request.guild_id, link)
        others = await self._storage.subscriptions.of_hook(hook.id) if hook else ()
        here = _in(others, request.place)
        filters_of(request, link, here.filters if here else Filters())
        await self._check_room(request.guild_id, hook, here)
        if self._is_served(request.guild_id, hook):
            return await self._subscribe(request, link, None)
        server_url = link.server_url or (hook.server_url if hook else self._servers[0])
        seen = await self._look(request, server_url, link.project_id, hook, here)
        if isinstance(seen, LinkFirst):
            return seen
        private = _private_name(seen, hook)
        waiting = hook is None or hook.state is not HookState.LIVE
        if private is not None and not request.shown and (waiting or here is None):
            also = _others(others, request.place) if waiting else ()
            return ShowFirst(request, server_url, link.project_id, private, also)
        return await self._subscribe(request, link, seen)

    def _is_served(self, guild_id: int, hook: Hook | None) -> bool:
        live = hook is not None and hook.kind is HookKind.OWN and hook.state is HookState.LIVE
        return guild_id in self._served_guilds and not live

    async def _look(
        self,
        request: SubscribeRequest,
        server_url: str,
        project_id: str,
        hook: Hook | None,
        here: Subscription | None,
    ) -> _Seen | LinkFirst | None:
        """Look at the project with the caller's account; None to go on without one.

        That is so where the project's owner agreed already, and where the caller wants to ask the
        owner themselves.
        """
        lost = here is not None and here.pause_reason is PauseReason.ACCESS_LOST
        state = hook.state if hook is not None and hook.kind is HookKind.OWN else None
        agreed = state is HookState.LIVE and not lost
        account = await self._accounts.of_user(request.caller.id, server_url)
        if account is None:
            if agreed or (not lost and (request.by_hand or state is not None)):
                return None
            return LinkFirst(request, server_url, paused=lost)
        try:
            return _Seen(account, await self._webhooks.rights(account, project_id))
        except SpeckleError as error:
            if agreed:
                return None
            why = why_not(error)
            if why is WhyNot.NOT_OWNER:
                raise no_such_project(server_url) from error
            if request.by_hand and not lost:
                return None
            return LinkFirst(request, server_url, why, error.reason, lost)

    async def _subscribe(
        self, request: SubscribeRequest, link: SpeckleLink, seen: _Seen | None
    ) -> Subscribed:
        async with self._subscriptions.changing:
            hook = await self._subscriptions.find_hook(request.guild_id, link)
            before = await self._storage.subscriptions.of_hook(hook.id) if hook else ()
            here = _in(before, request.place)
            filters = filters_of(request, link, here.filters if here else Filters())
            await self._check_room(request.guild_id, hook, here)
            hook = await self._ready_hook(hook, request, link)
            old, new = await self._storage.subscriptions.upsert(
                hook.id,
                request.place.channel_id,
                filters,
                request.caller.id,
                None if seen is None else seen.account.id,
            )
            resumed = new.state is SubscriptionState.PAUSED
            if resumed:
                await self._storage.subscriptions.set_state(new.id, SubscriptionState.ACTIVE)
        webhook = await self._see_to_webhook(hook, seen, request.by_hand)
        entry = await self._subscriptions.entry_of(new.id, request.guild_id)
        setup = None
        if entry.hook.state is HookState.WAITING and may_see_secret(entry.hook, request.caller):
            setup = await self._subscriptions.set_up(entry.hook)
        return Subscribed(
            entry=entry,
            change=_change(old, filters),
            old_filters=old.filters if old else None,
            resumed=resumed,
            setup=setup,
            new_triggers=_new_triggers(before, filters),
            webhook=webhook,
            also=_others(before, request.place) if hook.state is HookState.WAITING else (),
        )

    async def _check_room(
        self, guild_id: int, hook: Hook | None, here: Subscription | None
    ) -> None:
        """Refuse what would be more than the guild may have; what is there can be changed."""
        if self._quotas is not None and here is None:
            await self._quotas.check_room(guild_id, new_hook=hook is None)

    async def _see_to_webhook(
        self, hook: Hook, seen: _Seen | None, by_hand: bool
    ) -> Kept | NotKept | None:
        """Have the webhook made, or follow what the channels want now, if it is the bot's."""
        if hook.kind is HookKind.SHARED:
            return None
        if seen is None:
            return await self._webhooks.keep(hook.id)
        project = seen.project
        await self._storage.hooks.saw(hook.id, project.name, project.visibility, seen.account.id)
        if by_hand:
            return await self._webhooks.keep(hook.id)
        why_not_made = await self._webhooks.why_not_made(seen.account, project)
        if why_not_made is None:
            kept = await self._webhooks.keep(hook.id, seen.account.id)
            works_by_hand = hook.state is HookState.LIVE and hook.webhook_id is None
            return None if works_by_hand and isinstance(kept, NotKept) else kept
        if hook.state is HookState.LIVE:  # somebody else made it, by hand or with their account
            return await self._webhooks.keep(hook.id)
        return why_not_made

    async def _ready_hook(
        self, hook: Hook | None, request: SubscribeRequest, link: SpeckleLink
    ) -> Hook:
        if hook is not None:
            return await self._subscriptions.right_kind(hook)
        served = request.guild_id in self._served_guilds
        return await self._storage.hooks.create(
            guild_id=request.guild_id,
            server_url=link.server_url or self._servers[0],
            project_id=link.project_id,
            kind=HookKind.SHARED if served else HookKind.OWN,
            created_by=request.caller.id,
            setup_channel_id=request.place.channel_id,
        )

    # ── what waits for a decision ─────────────────────────────────────────────────────────────

    async def put_aside(self, user_id: int, command: Mapping[str, Any]) -> str:
        """Keep a command for 15 minutes, sealed, while its caller decides; gives its token."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        details = LinkDetails(waiting=command)
        await self._storage.link_requests.add(token, user_id, NO_SERVER, details)
        return token

    async def take_up(self, user_id: int, token: str) -> Mapping[str, Any]:
        """The command that this person put aside; it can be taken up once.

        Errors: CommandRefused for one that is over, or another person's.
        """
        request = await self._storage.link_requests.get(token)
        if request is None or request.server_url != NO_SERVER:
            raise _over()
        if request.discord_user_id != user_id:
            raise CommandRefused(
                "Only whoever typed the command can go on with it. Type `/subscribe` yourself."
            )
        if not await self._storage.link_requests.delete(request.nonce_digest):
            raise _over()  # pressed twice
        return request.details.waiting


def _over() -> CommandRefused:
    return CommandRefused(
        "That was more than 15 minutes ago, or it is done already, so the bot no longer knows what "
        "you had typed. Type `/subscribe` again."
    )


def _private_name(seen: _Seen | None, hook: Hook | None) -> str | None:
    """The name of a project that is private, as far as anybody's account has told; else None."""
    if seen is not None:
        return None if seen.project.is_public else seen.project.name
    if hook is None or hook.visibility in (None, *PUBLIC):
        return None
    return hook.project_name or hook.project_id


def _in(subscriptions: Iterable[Subscription], place: Place) -> Subscription | None:
    return next((one for one in subscriptions if one.channel_id == place.channel_id), None)


def _others(subscriptions: Iterable[Subscription], place: Place) -> tuple[int, ...]:
    return tuple(one.channel_id for one in subscriptions if one.channel_id != place.channel_id)


def _new_triggers(before: Iterable[Subscription], filters: Filters) -> tuple[str, ...]:
    """What has to be ticked on Speckle's page for these filters, besides what there was."""
    had = triggers_to_tick(kinds_wanted(one.filters for one in before))
    return tuple(name for name in triggers_to_tick(kinds_wanted([filters])) if name not in had)


def _change(old: Subscription | None, filters: Filters) -> Change:
    if old is None:
        return Change.NEW
    return Change.UNCHANGED if old.filters == filters else Change.CHANGED
