"""Which channel follows which project: the rules behind /subscribe and its companions."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from bot.db.rows import (
    DELIVERY_PAUSES,
    Hook,
    HookKind,
    HookState,
    PauseReason,
    Subscription,
    SubscriptionState,
)
from bot.errors import NotASpeckleLink
from bot.services.completion import Choice, complete_projects
from bot.services.errors import CommandRefused
from bot.services.outcomes import (
    Change,
    Entry,
    NothingThere,
    Removed,
    Resumed,
    SharedSetUp,
    Subscribed,
    SubscribeRequest,
)
from bot.services.places import Caller, Place, check_caller, check_place
from bot.services.setup import SetUp, kinds_wanted, set_up_of, triggers_to_tick
from bot.speckle.filters import FilterError, Filters, parse_filters
from bot.speckle.links import Links, SpeckleLink, parse_link
from bot.storage import Storage

OLD_SECRET_VALID = timedelta(hours=24)  # the storage keeps to it; a test holds the two together


class SubscriptionService:
    """Makes, changes, lists and ends subscriptions.

    `speckle_servers` are origins, the first is the default. `served_guilds` get the operator's
    shared hook while `shared_hook_enabled`. Errors: CommandRefused, ready for the caller.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        speckle_servers: Sequence[str],
        public_url: str | None,
        served_guilds: frozenset[int],
        shared_hook_enabled: bool,
        now: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._servers = tuple(speckle_servers)
        self._public_url = public_url
        self._served_guilds = served_guilds if shared_hook_enabled else frozenset()
        self._now = now
        # Two people may subscribe or remove the same project at once; one process answers all.
        self._changing = asyncio.Lock()

    # ── /subscribe ────────────────────────────────────────────────────────────────────────────

    async def subscribe(self, request: SubscribeRequest) -> Subscribed:
        """Let the place follow the project, or change what it follows of it."""
        check_caller(request.caller, request.place.channel_id)
        check_place(request.place, "use `/subscribe` again")
        link = self._read_link(request.project)
        async with self._changing:
            hook = await self._find_hook(request.guild_id, link)
            others = await self._storage.subscriptions.of_hook(hook.id) if hook else ()
            here = next((s for s in others if s.channel_id == request.place.channel_id), None)
            filters = _filters(request, link, here.filters if here else Filters())
            hook = await self._ready_hook(hook, request, link)
            return await self._tie(hook, request, filters, others)

    async def _tie(
        self,
        hook: Hook,
        request: SubscribeRequest,
        filters: Filters,
        before: Sequence[Subscription],
    ) -> Subscribed:
        subscriptions = self._storage.subscriptions
        old, new = await subscriptions.upsert(
            hook.id, request.place.channel_id, filters, request.caller.id
        )
        resumed = new.state is SubscriptionState.PAUSED
        if resumed:
            await subscriptions.set_state(new.id, SubscriptionState.ACTIVE)
        entry = await self._entry(new.id, request.guild_id)
        setup = None
        if hook.state is HookState.WAITING and _may_see_secret(hook, request.caller):
            setup = await self._set_up(hook)
        needed_before = triggers_to_tick(kinds_wanted(s.filters for s in before))
        return Subscribed(
            entry=entry,
            change=_change(old, filters),
            old_filters=old.filters if old else None,
            resumed=resumed,
            setup=setup,
            new_triggers=tuple(
                name
                for name in triggers_to_tick(kinds_wanted([filters]))
                if name not in needed_before
            ),
        )

    def _read_link(self, text: str) -> SpeckleLink:
        try:
            link = parse_link(text)
        except NotASpeckleLink as error:
            raise CommandRefused(
                f"That is neither a project's id nor a Speckle link: {error.why}\nOpen the project "
                "in Speckle, copy the address from the browser and paste it as `stream_id`."
            ) from error
        if link.server_url is not None and link.server_url not in self._servers:
            allowed = ", ".join(self._servers)
            raise CommandRefused(
                f"That link leads to {link.server_url}, and this bot deals only with {allowed}. "
                "Use a link to a project there, or ask the person who runs the bot to add the "
                "server to `SPECKLE_SERVERS`."
            )
        return link

    async def _find_hook(self, guild_id: int, link: SpeckleLink) -> Hook | None:
        """The guild's hook for the project; a bare id finds it on whichever server it is known."""
        hooks = [
            hook
            for hook in await self._storage.hooks.of_guild(guild_id)
            if hook.project_id == link.project_id
        ]
        by_server = {hook.server_url: hook for hook in hooks}
        if link.server_url is not None:
            return by_server.get(link.server_url)
        return hooks[0] if len(hooks) == 1 else by_server.get(self._servers[0])

    async def _ready_hook(
        self, hook: Hook | None, request: SubscribeRequest, link: SpeckleLink
    ) -> Hook:
        if hook is not None:
            return await self._right_kind(hook)
        served = request.guild_id in self._served_guilds
        return await self._storage.hooks.create(
            guild_id=request.guild_id,
            server_url=link.server_url or self._servers[0],
            project_id=link.project_id,
            kind=HookKind.SHARED if served else HookKind.OWN,
            created_by=request.caller.id,
            setup_channel_id=request.place.channel_id,
        )

    async def _right_kind(self, hook: Hook) -> Hook:
        """Follow the operator's list of served guilds, which may have changed since.

        An own hook that is live works, and stays as it is.
        """
        served = hook.guild_id in self._served_guilds
        kind = hook.kind
        if kind is HookKind.SHARED and not served:
            kind = HookKind.OWN
        elif kind is HookKind.OWN and served and hook.state is HookState.WAITING:
            kind = HookKind.SHARED
        return (
            hook if kind is hook.kind else await self._storage.hooks.convert(hook.id, kind) or hook
        )

    # ── /unsubscribe ──────────────────────────────────────────────────────────────────────────

    async def unsubscribe(
        self, guild_id: int, caller: Caller, project: str, channel_id: int
    ) -> Removed | NothingThere:
        """End what the channel follows of the project, if it does."""
        check_caller(caller, channel_id)
        async with self._changing:
            hook = await self._named_hook(guild_id, project)
            subscriptions = await self._storage.subscriptions.of_hook(hook.id) if hook else ()
            for subscription in subscriptions:
                if hook is not None and subscription.channel_id == channel_id:
                    return await self._delete(Entry(hook, subscription))
        elsewhere = tuple(s.channel_id for s in subscriptions if caller.manages(s.channel_id))
        return NothingThere(project, elsewhere)

    async def _named_hook(self, guild_id: int, project: str) -> Hook | None:
        """The hook that a link, an id or a name means; names must be the only one of their kind."""
        hooks = await self._storage.hooks.of_guild(guild_id)
        named = [hook for hook in hooks if hook.project_name == project.strip()]
        if len(named) == 1:
            return named[0]
        try:
            return await self._find_hook(guild_id, parse_link(project))
        except NotASpeckleLink:
            return None

    async def _delete(self, entry: Entry) -> Removed:
        deleted = await self._storage.subscriptions.delete(entry.subscription.id)
        hook = entry.hook
        last = deleted is not None and deleted.last_of_hook
        return Removed(entry, last, Links(hook.server_url).webhook_settings(hook.project_id))

    # ── /subscriptions and its buttons ────────────────────────────────────────────────────────

    async def listing(
        self, guild_id: int, caller: Caller, channel_id: int | None = None
    ) -> list[Entry]:
        """Subscriptions of the guild, or of one channel, that the caller may manage."""
        hooks = {hook.id: hook for hook in await self._storage.hooks.of_guild(guild_id)}
        entries = [
            Entry(hooks[subscription.hook_id], subscription)
            for subscription in await self._storage.subscriptions.of_guild(guild_id)
            if channel_id in (None, subscription.channel_id)
            and subscription.hook_id in hooks
            and caller.manages(subscription.channel_id)
        ]
        entries.sort(key=lambda e: (e.hook.project_name or e.hook.project_id, e.subscription.id))
        return entries

    async def entry(self, guild_id: int, caller: Caller, subscription_id: int) -> Entry:
        """One subscription of this guild that the caller may manage."""
        entry = await self._entry(subscription_id, guild_id)
        check_caller(caller, entry.subscription.channel_id)
        return entry

    async def _entry(self, subscription_id: int, guild_id: int) -> Entry:
        subscription = await self._storage.subscriptions.get(subscription_id)
        hook = None if subscription is None else await self._storage.hooks.get(subscription.hook_id)
        # Another guild's subscription gets the very answer that a removed one gets.
        if subscription is None or hook is None or subscription.guild_id != guild_id:
            raise CommandRefused(
                "That subscription is not there any more: somebody removed it meanwhile. "
                "`/subscriptions` shows what is there now."
            )
        return Entry(hook, subscription)

    async def pause(self, guild_id: int, caller: Caller, subscription_id: int) -> Entry:
        """Stop showing events in the channel until somebody resumes."""
        entry = await self.entry(guild_id, caller, subscription_id)
        if entry.subscription.state is SubscriptionState.ACTIVE:
            await self._storage.subscriptions.set_state(
                subscription_id, SubscriptionState.PAUSED, PauseReason.MEMBER, str(caller.id)
            )
        return await self._entry(subscription_id, guild_id)

    async def resume(
        self, guild_id: int, caller: Caller, subscription_id: int, place: Place
    ) -> Entry:
        """Show events again; the bot's permissions in the channel are looked at first."""
        await self.entry(guild_id, caller, subscription_id)
        check_place(place, "press *Resume* again")
        await self._storage.subscriptions.set_state(subscription_id, SubscriptionState.ACTIVE)
        return await self._entry(subscription_id, guild_id)

    async def guild_of(self, channel_id: int) -> int | None:
        """The guild of a channel that follows something."""
        subscriptions = await self._storage.subscriptions.of_channel(channel_id)
        return next((subscription.guild_id for subscription in subscriptions), None)

    async def resume_channel(self, guild_id: int, caller: Caller, place: Place) -> Resumed:
        """Resume all that the bot paused in a channel because it could not post there."""
        check_caller(caller, place.channel_id)
        there = await self._storage.subscriptions.of_channel(place.channel_id)
        paused = [one for one in there if one.guild_id == guild_id and is_blocked(one)]
        cards = await self._storage.notices.cards_kept(place.channel_id)
        entries = [await self.resume(guild_id, caller, one.id, place) for one in paused]
        return Resumed(place.channel_id, tuple(entries), cards if entries else 0)

    async def edit(
        self, guild_id: int, caller: Caller, subscription_id: int, filters: Filters
    ) -> tuple[Filters, Entry]:
        """Replace the filters; gives the old ones and what is there now."""
        async with self._changing:
            entry = await self.entry(guild_id, caller, subscription_id)
            subscription = entry.subscription
            await self._storage.subscriptions.upsert(
                subscription.hook_id, subscription.channel_id, filters, caller.id
            )
        return subscription.filters, await self._entry(subscription_id, guild_id)

    async def remove(self, guild_id: int, caller: Caller, subscription_id: int) -> Removed:
        """End a subscription for good."""
        async with self._changing:
            return await self._delete(await self.entry(guild_id, caller, subscription_id))

    # ── the webhook on the Speckle side ───────────────────────────────────────────────────────

    async def show_setup(
        self, guild_id: int, caller: Caller, subscription_id: int
    ) -> SetUp | SharedSetUp:
        """What to enter in Speckle for the subscription's project."""
        async with self._changing:
            entry = await self.entry(guild_id, caller, subscription_id)
            hook = await self._right_kind(entry.hook)
        if hook.kind is HookKind.SHARED:
            return SharedSetUp(hook)
        _check_secret(hook, caller)
        return await self._set_up(hook)

    async def new_secret(
        self, guild_id: int, caller: Caller, subscription_id: int
    ) -> SetUp | SharedSetUp:
        """Make a new secret for the project's webhook; the old one works for 24 hours more."""
        async with self._changing:
            hook = (await self.entry(guild_id, caller, subscription_id)).hook
            if hook.kind is HookKind.SHARED:
                return SharedSetUp(hook)
            _check_secret(hook, caller)
            until = self._now() + OLD_SECRET_VALID
            renewed = await self._storage.hooks.new_secret(hook.id)
            return await self._set_up(renewed or hook, until)

    async def _set_up(self, hook: Hook, old_secret_until: datetime | None = None) -> SetUp:
        subscriptions = await self._storage.subscriptions.of_hook(hook.id)
        filters = [subscription.filters for subscription in subscriptions]
        return set_up_of(hook, filters, self._public_url, old_secret_until)

    # ── autocomplete ──────────────────────────────────────────────────────────────────────────

    async def followed_projects(
        self, guild_id: int, caller: Caller, typed: str, channel_id: int | None = None
    ) -> list[Choice]:
        """Projects that the guild, or one channel of it, follows where the caller may manage."""
        entries = await self.listing(guild_id, caller, channel_id)
        return complete_projects({e.hook.id: e.hook for e in entries}.values(), typed)


def is_blocked(subscription: Subscription) -> bool:
    """Whether the bot paused it because Discord did not take its cards."""
    paused = subscription.state is SubscriptionState.PAUSED
    return paused and subscription.pause_reason in DELIVERY_PAUSES


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


def _filters(request: SubscribeRequest, link: SpeckleLink, current: Filters) -> Filters:
    """The filters to have: a link to a model sets the model filter unless `models` does."""
    models = request.models
    if models is None:
        models = _models_of(link)
    return read_filters(request.events, models, request.ignore_authors, current)


def _models_of(link: SpeckleLink) -> str | None:
    if link.model_name is not None:
        return link.model_name
    return link.model_id


def _change(old: Subscription | None, filters: Filters) -> Change:
    if old is None:
        return Change.NEW
    return Change.UNCHANGED if old.filters == filters else Change.CHANGED


def _may_see_secret(hook: Hook, caller: Caller) -> bool:
    """Whoever has the secret can show made-up events in all channels of the hook."""
    return caller.manages_guild or caller.id == hook.created_by


def _check_secret(hook: Hook, caller: Caller) -> None:
    if not _may_see_secret(hook, caller):
        raise CommandRefused(
            f"The webhook of this project serves several channels, so its secret is shown only to "
            f"<@{hook.created_by}>, who started it, and to members with *Manage Webhooks* in the "
            "whole server. Ask one of them."
        )
