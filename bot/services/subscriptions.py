"""Which channel follows which project: the rules behind /subscribe and its companions."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from bot.db.rows import (
    DELIVERY_PAUSES,
    NOBODY,
    Hook,
    HookKind,
    HookState,
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
    Edited,
    Entry,
    MadeSetUp,
    NothingThere,
    Removed,
    Resumed,
    SharedSetUp,
)
from bot.services.places import Caller, Place, check_caller, check_place
from bot.services.setup import SetUp, set_up_of
from bot.services.webhooks import (
    TakenOver,
    WebhookService,
    WhyNot,
    why_not,
)
from bot.speckle.filters import Filters
from bot.speckle.links import Links, SpeckleLink, parse_link
from bot.storage import Storage

TOKEN_BYTES = 16
NO_SERVER = ""  # of a request that no link of an account belongs to
OLD_SECRET_VALID = timedelta(hours=24)  # the storage keeps to it; a test holds the two together


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
        self.servers = tuple(speckle_servers)
        self._public_url = public_url
        self.served_guilds = served_guilds if shared_hook_enabled else frozenset()
        self._now = now
        # Two people may subscribe or remove the same project at once; one process answers all.
        # Nobody holds it while Speckle is asked.
        self.changing = asyncio.Lock()

    async def find_hook(self, guild_id: int, link: SpeckleLink) -> Hook | None:
        """The guild's hook for the project; a bare id finds it on whichever server it is known."""
        hooks = [
            hook
            for hook in await self._storage.hooks.of_guild(guild_id)
            if hook.project_id == link.project_id
        ]
        by_server = {hook.server_url: hook for hook in hooks}
        if link.server_url is not None:
            return by_server.get(link.server_url)
        return hooks[0] if len(hooks) == 1 else by_server.get(self.servers[0])

    async def right_kind(self, hook: Hook) -> Hook:
        """Follow the operator's list of served guilds, which may have changed since.

        An own hook that is live works, and stays as it is.
        """
        served = hook.guild_id in self.served_guilds
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
            return await self.find_hook(guild_id, parse_link(project))
        except NotASpeckleLink:
            return None

    async def _delete(self, entry: Entry) -> Removed:
        async with self.changing:
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
        entry = await self.entry_of(subscription_id, guild_id)
        check_caller(caller, entry.subscription.channel_id)
        return entry

    async def entry_of(self, subscription_id: int, guild_id: int) -> Entry:
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
        return await self.entry_of(subscription_id, guild_id)

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
            return await self.entry_of(subscription_id, guild_id)
        await self._storage.subscriptions.set_state(subscription_id, SubscriptionState.ACTIVE)
        return await self.entry_of(subscription_id, guild_id)

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
            hook = (await self.entry_of(one.id, guild_id)).hook
            try:
                await self._take_over(hook, caller, [one])
            except CommandRefused as error:
                refused = error
                continue
            taken.append(await self.entry_of(one.id, guild_id))
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
        async with self.changing:
            entry = await self.entry(guild_id, caller, subscription_id)
            subscription = entry.subscription
            await self._storage.subscriptions.upsert(
                subscription.hook_id, subscription.channel_id, filters, caller.id
            )
        webhook = await self.webhooks.keep(subscription.hook_id)
        entry = await self.entry_of(subscription_id, guild_id)
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
        async with self.changing:
            entry = await self.entry(guild_id, caller, subscription_id)
            hook = await self.right_kind(entry.hook)
        if hook.kind is HookKind.SHARED:
            return SharedSetUp(hook)
        if hook.webhook_id is not None and not by_hand:
            webhook = await self.webhooks.keep(hook.id, looking=True)
            return MadeSetUp(hook, await self._made_by(hook), webhook)
        _check_secret(hook, caller)
        return await self.set_up(hook)

    async def new_secret(
        self, guild_id: int, caller: Caller, subscription_id: int
    ) -> SetUp | SharedSetUp | MadeSetUp:
        """Make a new secret for the project's webhook; the old one works for 24 hours more.

        A webhook that the bot made gets it at once.
        """
        async with self.changing:
            hook = (await self.entry(guild_id, caller, subscription_id)).hook
            if hook.kind is HookKind.SHARED:
                return SharedSetUp(hook)
            _check_secret(hook, caller)
            until = self._now() + OLD_SECRET_VALID
            renewed = await self._storage.hooks.new_secret(hook.id) or hook
        if renewed.webhook_id is None:
            return await self.set_up(renewed, until)
        webhook = await self.webhooks.keep(hook.id, new_secret=True)
        return MadeSetUp(renewed, await self._made_by(renewed), webhook, renewed=True)

    async def _made_by(self, hook: Hook) -> int | None:
        if hook.account_id is None:
            return None
        account = await self._storage.accounts.get(hook.account_id)
        return None if account is None else account.discord_user_id

    async def set_up(self, hook: Hook, old_secret_until: datetime | None = None) -> SetUp:
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
        server_url = link.server_url or self.servers[0]
        return await self._browsing.models(user_id, server_url, link.project_id, typed)


def no_such_project(server_url: str) -> CommandRefused:
    """The same words whether there is none or the account may not see it."""
    return CommandRefused(
        f"There is no such project on {server_url}, or your linked account may not see it. Compare "
        "the address with the one in your browser; if it is right, ask an owner of the project to "
        "invite you, then use `/subscribe` again. `/account` shows which account is linked."
    )


def _not_taken(server_url: str, error: SpeckleError) -> CommandRefused:
    match why_not(error):
        case WhyNot.NOT_OWNER:
            return no_such_project(server_url)
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


def may_see_secret(hook: Hook, caller: Caller) -> bool:
    """Whoever has the secret can show made-up events in all channels of the hook."""
    return caller.manages_guild or caller.id == hook.created_by


def _check_secret(hook: Hook, caller: Caller) -> None:
    if not may_see_secret(hook, caller):
        starter = "" if hook.created_by == NOBODY else f"<@{hook.created_by}>, who started it, and "
        raise CommandRefused(
            f"The webhook of this project serves several channels, so its secret is shown only to "
            f"{starter}members with *Manage Webhooks* in the whole server. Ask one of them."
        )
