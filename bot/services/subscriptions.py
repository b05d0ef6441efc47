"""Which channel follows which project: the rules behind /subscribe and its companions."""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.db.rows import (
    DELIVERY_PAUSES,
    NOBODY,
    Account,
    Hook,
    HookKind,
    HookState,
    LinkDetails,
    PauseReason,
    Subscription,
    SubscriptionState,
)
from bot.errors import NotASpeckleLink, SpeckleError
from bot.services.accounts import AccountService
from bot.services.browsing import Browsing
from bot.services.completion import Choice, complete_projects, merged
from bot.services.errors import CommandRefused
from bot.services.outcomes import (
    Change,
    Edited,
    Entry,
    LinkFirst,
    MadeSetUp,
    NothingThere,
    Removed,
    Resumed,
    SharedSetUp,
    ShowFirst,
    Subscribed,
    SubscribeRequest,
)
from bot.services.places import Caller, Place, check_caller, check_place
from bot.services.setup import SetUp, kinds_wanted, set_up_of, triggers_to_tick
from bot.services.webhooks import (
    Kept,
    NotKept,
    TakenOver,
    WebhookService,
    WhyNot,
    why_not,
)
from bot.speckle.answers import PUBLIC, ProjectRights
from bot.speckle.filters import FilterError, Filters, parse_filters
from bot.speckle.links import Links, SpeckleLink, parse_link
from bot.storage import Storage

TOKEN_BYTES = 16
NO_SERVER = ""  # of a request that no link of an account belongs to
OLD_SECRET_VALID = timedelta(hours=24)  # the storage keeps to it; a test holds the two together


@dataclass(frozen=True, slots=True)
class _Seen:
    """The project as the caller's linked account has just seen it."""

    account: Account
    project: ProjectRights


class SubscriptionService:
    """Makes, changes, lists and ends subscriptions.

    `speckle_servers` are origins, the first is the default. `served_guilds` get the operator's
    shared hook while `shared_hook_enabled`. Errors: CommandRefused, ready for the caller.
    """

    def __init__(
        self,
        storage: Storage,
        accounts: AccountService,
        webhooks: WebhookService,
        browsing: Browsing,
        *,
        speckle_servers: Sequence[str],
        public_url: str | None,
        served_guilds: frozenset[int],
        shared_hook_enabled: bool,
        now: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._accounts = accounts
        self.webhooks = webhooks
        self._browsing = browsing
        self._servers = tuple(speckle_servers)
        self._public_url = public_url
        self._served_guilds = served_guilds if shared_hook_enabled else frozenset()
        self._now = now
        # Two people may subscribe or remove the same project at once; one process answers all.
        # Nobody holds it while Speckle is asked.
        self._changing = asyncio.Lock()

    # ── /subscribe ────────────────────────────────────────────────────────────────────────────

    async def subscribe(self, request: SubscribeRequest) -> Subscribed | LinkFirst | ShowFirst:
        """Let the place follow the project, or change what it follows of it."""
        check_caller(request.caller, request.place.channel_id)
        check_place(request.place, "use `/subscribe` again")
        link = self._read_link(request.project)
        hook = await self._find_hook(request.guild_id, link)
        others = await self._storage.subscriptions.of_hook(hook.id) if hook else ()
        here = _in(others, request.place)
        _filters(request, link, here.filters if here else Filters())
        if self._is_served(request.guild_id, hook):
            return await self._subscribe(request, link, None)
        server_url = link.server_url or (hook.server_url if hook else self._servers[0])
        seen = await self._look(request, server_url, link.project_id, hook, here)
        if isinstance(seen, LinkFirst):
            return seen
        private = _private_name(seen, hook)
        if private is not None and here is None and not request.shown:
            return ShowFirst(request, server_url, link.project_id, private)
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
            return _Seen(account, await self.webhooks.rights(account, project_id))
        except SpeckleError as error:
            if agreed:
                return None
            why = why_not(error)
            if why is WhyNot.NOT_OWNER:
                raise _no_such_project(server_url) from error
            if request.by_hand and not lost:
                return None
            return LinkFirst(request, server_url, why, error.reason, lost)

    async def _subscribe(
        self, request: SubscribeRequest, link: SpeckleLink, seen: _Seen | None
    ) -> Subscribed:
        async with self._changing:
            hook = await self._find_hook(request.guild_id, link)
            before = await self._storage.subscriptions.of_hook(hook.id) if hook else ()
            here = _in(before, request.place)
            filters = _filters(request, link, here.filters if here else Filters())
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
        entry = await self._entry(new.id, request.guild_id)
        setup = None
        if entry.hook.state is HookState.WAITING and _may_see_secret(entry.hook, request.caller):
            setup = await self._set_up(entry.hook)
        return Subscribed(
            entry=entry,
            change=_change(old, filters),
            old_filters=old.filters if old else None,
            resumed=resumed,
            setup=setup,
            new_triggers=_new_triggers(before, filters),
            webhook=webhook,
        )

    async def _see_to_webhook(
        self, hook: Hook, seen: _Seen | None, by_hand: bool
    ) -> Kept | NotKept | None:
        """Have the webhook made, or follow what the channels want now, if it is the bot's."""
        if hook.kind is HookKind.SHARED:
            return None
        if seen is None:
            return await self.webhooks.keep(hook.id)
        project = seen.project
        await self._storage.hooks.saw(hook.id, project.name, project.visibility, seen.account.id)
        if by_hand:
            return await self.webhooks.keep(hook.id)
        why_not_made = await self.webhooks.why_not_made(seen.account, project)
        if why_not_made is None:
            kept = await self.webhooks.keep(hook.id, seen.account.id)
            works_by_hand = hook.state is HookState.LIVE and hook.webhook_id is None
            return None if works_by_hand and isinstance(kept, NotKept) else kept
        if hook.state is HookState.LIVE:  # somebody else made it, by hand or with their account
            return await self.webhooks.keep(hook.id)
        return why_not_made

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
            raise CommandRefused(
                "That was more than 15 minutes ago, or it is done already, so the bot no longer "
                "knows what you had typed. Type `/subscribe` again."
            )
        if request.discord_user_id != user_id:
            raise CommandRefused(
                "Only whoever typed the command can go on with it. Type `/subscribe` yourself."
            )
        await self._storage.link_requests.delete(request.nonce_digest)
        return request.details.waiting

    # ── /unsubscribe ──────────────────────────────────────────────────────────────────────────

    async def unsubscribe(
        self, guild_id: int, caller: Caller, project: str, channel_id: int
    ) -> Removed | NothingThere:
        """End what the channel follows of the project, if it does."""
        check_caller(caller, channel_id)
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
        async with self._changing:
            deleted = await self._storage.subscriptions.delete(entry.subscription.id)
        hook = entry.hook
        last = deleted is not None and deleted.last_of_hook
        gone = None
        if deleted is not None and deleted.removal_id is not None:
            gone = await self.webhooks.remove(deleted.removal_id)
        webhook = None if last else await self.webhooks.keep(hook.id)
        settings_url = Links(hook.server_url).webhook_settings(hook.project_id)
        return Removed(entry, last, settings_url, gone, webhook)

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
        """Show events again; the bot's permissions in the channel are looked at first.

        Where access to the project was lost, the caller's own account has to have it.
        """
        entry = await self.entry(guild_id, caller, subscription_id)
        check_place(place, "press *Resume* again")
        if entry.subscription.pause_reason is PauseReason.ACCESS_LOST:
            await self._take_over(entry.hook, caller, [entry.subscription])
            return await self._entry(subscription_id, guild_id)
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

    async def take_over_channel(self, guild_id: int, caller: Caller, place: Place) -> Resumed:
        """Go on with the caller's account in all that a channel lost access to.

        What the caller may not see either stays paused. Errors: CommandRefused if that is all.
        """
        check_caller(caller, place.channel_id)
        check_place(place, "press the button again")
        there = await self._storage.subscriptions.of_channel(place.channel_id)
        lost = [one for one in there if one.guild_id == guild_id and has_lost_access(one)]
        taken: list[Entry] = []
        cards = 0
        refused: CommandRefused | None = None
        for one in lost:
            kept = await self._storage.notices.cards_kept(place.channel_id, [one.id])
            hook = (await self._entry(one.id, guild_id)).hook
            try:
                await self._take_over(hook, caller, [one])
            except CommandRefused as error:
                refused = error
                continue
            taken.append(await self._entry(one.id, guild_id))
            cards += kept
        if refused is not None and not taken:
            raise refused
        return Resumed(place.channel_id, tuple(taken), cards)

    async def _take_over(
        self, hook: Hook, caller: Caller, subscriptions: Sequence[Subscription]
    ) -> TakenOver:
        account = await self._accounts.of_user(caller.id, hook.server_url)
        if account is None:
            raise CommandRefused(
                "It is paused because access to the Speckle project was lost, so somebody with "
                f"access has to take over. You have no account of {hook.server_url} linked: type "
                "`/link` first, then press the button again."
            )
        try:
            return await self.webhooks.take_over(hook, account, subscriptions)
        except SpeckleError as error:
            raise _not_taken(hook.server_url, error) from error

    async def edit(
        self, guild_id: int, caller: Caller, subscription_id: int, filters: Filters
    ) -> Edited:
        """Replace the filters; gives the old ones and what is there now."""
        async with self._changing:
            entry = await self.entry(guild_id, caller, subscription_id)
            subscription = entry.subscription
            await self._storage.subscriptions.upsert(
                subscription.hook_id, subscription.channel_id, filters, caller.id
            )
        webhook = await self.webhooks.keep(subscription.hook_id)
        entry = await self._entry(subscription_id, guild_id)
        return Edited(subscription.filters, entry, webhook)

    async def remove(self, guild_id: int, caller: Caller, subscription_id: int) -> Removed:
        """End a subscription for good."""
        return await self._delete(await self.entry(guild_id, caller, subscription_id))

    # ── the webhook on the Speckle side ───────────────────────────────────────────────────────

    async def show_setup(
        self, guild_id: int, caller: Caller, subscription_id: int, *, by_hand: bool = False
    ) -> SetUp | SharedSetUp | MadeSetUp:
        """What to enter in Speckle for the subscription's project.

        Where the bot made the webhook that is nothing, unless it is wanted `by_hand`.
        """
        async with self._changing:
            entry = await self.entry(guild_id, caller, subscription_id)
            hook = await self._right_kind(entry.hook)
        if hook.kind is HookKind.SHARED:
            return SharedSetUp(hook)
        if hook.webhook_id is not None and not by_hand:
            webhook = await self.webhooks.keep(hook.id, looking=True)
            return MadeSetUp(hook, await self._made_by(hook), webhook)
        _check_secret(hook, caller)
        return await self._set_up(hook)

    async def new_secret(
        self, guild_id: int, caller: Caller, subscription_id: int
    ) -> SetUp | SharedSetUp | MadeSetUp:
        """Make a new secret for the project's webhook; the old one works for 24 hours more.

        A webhook that the bot made gets it at once.
        """
        async with self._changing:
            hook = (await self.entry(guild_id, caller, subscription_id)).hook
            if hook.kind is HookKind.SHARED:
                return SharedSetUp(hook)
            _check_secret(hook, caller)
            until = self._now() + OLD_SECRET_VALID
            renewed = await self._storage.hooks.new_secret(hook.id) or hook
        if renewed.webhook_id is None:
            return await self._set_up(renewed, until)
        webhook = await self.webhooks.keep(hook.id, new_secret=True)
        return MadeSetUp(renewed, await self._made_by(renewed), webhook, renewed=True)

    async def _made_by(self, hook: Hook) -> int | None:
        if hook.account_id is None:
            return None
        account = await self._storage.accounts.get(hook.account_id)
        return None if account is None else account.discord_user_id

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

    async def projects(self, guild_id: int, caller: Caller, typed: str) -> list[Choice]:
        """What is followed here, then the caller's own projects on the servers they linked."""
        followed, own = await asyncio.gather(
            self.followed_projects(guild_id, caller, typed),
            self._browsing.projects(caller.id, typed),
        )
        return merged(followed, own)

    async def models(self, user_id: int, project: str, typed: str) -> list[Choice]:
        """The project's models, for someone who linked an account on its server."""
        try:
            link = parse_link(project)
        except NotASpeckleLink:
            return []
        server_url = link.server_url or self._servers[0]
        return await self._browsing.models(user_id, server_url, link.project_id, typed)


def _private_name(seen: _Seen | None, hook: Hook | None) -> str | None:
    """The name of a project that is private, as far as anybody's account has told; else None."""
    if seen is not None:
        return None if seen.project.is_public else seen.project.name
    if hook is None or hook.visibility in (None, *PUBLIC):
        return None
    return hook.project_name or hook.project_id


def _in(subscriptions: Iterable[Subscription], place: Place) -> Subscription | None:
    return next((one for one in subscriptions if one.channel_id == place.channel_id), None)


def _new_triggers(before: Iterable[Subscription], filters: Filters) -> tuple[str, ...]:
    """What has to be ticked on Speckle's page for these filters, besides what there was."""
    had = triggers_to_tick(kinds_wanted(one.filters for one in before))
    return tuple(name for name in triggers_to_tick(kinds_wanted([filters])) if name not in had)


def _no_such_project(server_url: str) -> CommandRefused:
    """The same words whether there is none or the account may not see it."""
    return CommandRefused(
        f"There is no such project on {server_url}, or your linked account may not see it. Compare "
        "the address with the one in your browser; if it is right, ask an owner of the project to "
        "invite you, then use `/subscribe` again. `/account` shows which account is linked."
    )


def _not_taken(server_url: str, error: SpeckleError) -> CommandRefused:
    match why_not(error):
        case WhyNot.NOT_OWNER:
            return _no_such_project(server_url)
        case WhyNot.SPECKLE_AWAY:
            return CommandRefused(
                f"{server_url} does not answer at the moment ({error.reason}), so nothing was "
                "changed. Try again in a minute; events are kept meanwhile."
            )
        case _:
            return CommandRefused(
                f"{server_url} does not take your linked account for this ({error.reason}), so "
                "nothing was changed. Type `/link` to link it anew, then press the button again."
            )


def is_blocked(subscription: Subscription) -> bool:
    """Whether the bot paused it because Discord did not take its cards."""
    paused = subscription.state is SubscriptionState.PAUSED
    return paused and subscription.pause_reason in DELIVERY_PAUSES


def has_lost_access(subscription: Subscription) -> bool:
    """Whether the bot paused it because an account that it hung on lost access."""
    paused = subscription.state is SubscriptionState.PAUSED
    return paused and subscription.pause_reason is PauseReason.ACCESS_LOST


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
        starter = "" if hook.created_by == NOBODY else f"<@{hook.created_by}>, who started it, and "
        raise CommandRefused(
            f"The webhook of this project serves several channels, so its secret is shown only to "
            f"{starter}members with *Manage Webhooks* in the whole server. Ask one of them."
        )
