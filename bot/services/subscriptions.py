"""Which channel follows which project: the rules behind /subscribe and its companions."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from bot.db.hooks import PREVIOUS_SECRET_VALID
from bot.db.rows import (
    DELIVERY_PAUSES,
    Hook,
    HookKind,
    PauseReason,
    Subscription,
    SubscriptionState,
)
from bot.errors import NotASpeckleLink
from bot.rights.decide import is_by_hand
from bot.services.browsing import Browsing
from bot.services.completion import Choice, complete_projects, merged
from bot.services.errors import CommandRefused
from bot.services.names import is_paused_for_rights
from bot.services.outcomes import (
    Entry,
    MadeSetUp,
    NothingThere,
    Removed,
    Resumed,
    SharedSetUp,
)
from bot.services.places import Caller, Place, check_caller, check_place
from bot.services.setup import SetUp, set_up_of
from bot.services.webhooks import Kept, WebhookService
from bot.speckle.links import Links, parse_link
from bot.storage import Storage


class SubscriptionService:
    """Makes, changes, lists and ends subscriptions.

    `speckle_servers` are origins, the first is the default. `served_guilds` get the operator's
    shared hook while `shared_hook_enabled`. Errors: CommandRefused, ready for the caller.
    """

    def __init__(
        self,
        storage: Storage,
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
        self.webhooks = webhooks
        self._browsing = browsing
        self.servers = tuple(speckle_servers)
        self._public_url = public_url
        self.served_guilds = served_guilds if shared_hook_enabled else frozenset()
        self._now = now
        # Two people may subscribe or remove the same project at once; one process answers all.
        # Nobody holds it while Speckle is asked.
        self.changing = asyncio.Lock()

    async def right_kind(self, hook: Hook) -> Hook:
        """A shared hook of a guild that the operator no longer serves becomes one of its own."""
        if hook.kind is HookKind.OWN or hook.guild_id in self.served_guilds:
            return hook
        return await self._storage.write(lambda tx: tx.hooks.convert(hook.id, HookKind.OWN)) or hook

    # ── /unsubscribe ──────────────────────────────────────────────────────────────────────────

    async def unsubscribe(
        self, guild_id: int, caller: Caller, project: str, channel_id: int
    ) -> Removed | NothingThere:
        """End what the channel follows of the project, if it does."""
        check_caller(caller, channel_id)
        meant = await self._meant(guild_id, caller, project)
        for entry in meant:
            if entry.subscription.channel_id == channel_id:
                return await self._delete(entry)
        return NothingThere(project, tuple(one.subscription.channel_id for one in meant))

    async def _meant(self, guild_id: int, caller: Caller, project: str) -> list[Entry]:
        """What a link, an id or a name means, out of what the caller manages.

        A name has to be that of one project alone.
        """
        listed = await self.listing(guild_id, caller)
        named = [entry for entry in listed if entry.label == project.strip()]
        if named and len({_project_of(entry) for entry in named}) == 1:
            return named
        try:
            link = parse_link(project)
        except NotASpeckleLink:
            return []
        there = [entry for entry in listed if entry.hook.project_id == link.project_id]
        servers = {entry.hook.server_url for entry in there}
        server_url = link.server_url
        if server_url is None:
            server_url = servers.pop() if len(servers) == 1 else self.servers[0]
        return [entry for entry in there if entry.hook.server_url == server_url]

    async def _delete(self, entry: Entry) -> Removed:
        async with self.changing:
            deleted = await self._storage.write(
                lambda tx: tx.subscriptions.delete(entry.subscription.id)
            )
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
        hooks = {
            hook.id: hook
            for hook in await self._storage.read(lambda tx: tx.hooks.of_guild(guild_id))
        }
        entries = [
            _as_seen(Entry(hooks[subscription.hook_id], subscription), caller)
            for subscription in await self._storage.read(
                lambda tx: tx.subscriptions.of_guild(guild_id)
            )
            if channel_id in (None, subscription.channel_id)
            and subscription.hook_id in hooks
            and caller.manages(subscription.channel_id)
        ]
        entries.sort(key=lambda entry: (entry.label, entry.subscription.id))
        return entries

    async def entry(self, guild_id: int, caller: Caller, subscription_id: int) -> Entry:
        """One subscription of this guild that the caller may manage."""
        entry = await self.entry_of(subscription_id, guild_id)
        check_caller(caller, entry.subscription.channel_id)
        return _as_seen(entry, caller)

    async def entry_of(self, subscription_id: int, guild_id: int) -> Entry:
        subscription = await self._storage.read(lambda tx: tx.subscriptions.get(subscription_id))
        hook = (
            None
            if subscription is None
            else await self._storage.read(lambda tx: tx.hooks.get(subscription.hook_id))
        )
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
            await self._storage.write(
                lambda tx: tx.subscriptions.set_state(
                    subscription_id, SubscriptionState.PAUSED, PauseReason.MEMBER, str(caller.id)
                )
            )
        return await self.entry(guild_id, caller, subscription_id)

    async def resume(
        self, guild_id: int, caller: Caller, subscription_id: int, place: Place
    ) -> Entry:
        """Show events again; the bot's permissions in the channel are looked at first.

        Not for what is paused because of who may see the project: `Subscribing` resumes that.
        """
        entry = await self.entry(guild_id, caller, subscription_id)
        check_place(place, "press *Resume* again")
        assert not is_paused_for_rights(entry.subscription), "nobody has answered"  # noqa: S101
        await self._storage.write(
            lambda tx: tx.subscriptions.set_state(subscription_id, SubscriptionState.ACTIVE)
        )
        return await self.entry(guild_id, caller, subscription_id)

    async def guild_of(self, channel_id: int) -> int | None:
        """The guild of a channel that follows something."""
        subscriptions = await self._storage.read(lambda tx: tx.subscriptions.of_channel(channel_id))
        return next((subscription.guild_id for subscription in subscriptions), None)

    async def resume_channel(self, guild_id: int, caller: Caller, place: Place) -> Resumed:
        """Resume all that the bot paused in a channel because it could not post there."""
        check_caller(caller, place.channel_id)
        there = await self._storage.read(lambda tx: tx.subscriptions.of_channel(place.channel_id))
        paused = [one for one in there if one.guild_id == guild_id and is_blocked(one)]
        cards = await self._storage.read(lambda tx: tx.notices.cards_kept(place.channel_id))
        entries = [await self.resume(guild_id, caller, one.id, place) for one in paused]
        return Resumed(place.channel_id, tuple(entries), cards if entries else 0)

    async def remove(self, guild_id: int, caller: Caller, subscription_id: int) -> Removed:
        """End a subscription for good."""
        return await self._delete(await self.entry(guild_id, caller, subscription_id))

    # ── the webhook on the Speckle side ───────────────────────────────────────────────────────

    async def show_setup(
        self, guild_id: int, caller: Caller, subscription_id: int
    ) -> SetUp | SharedSetUp | MadeSetUp:
        """What to enter in Speckle for the subscription's project.

        Where the bot made the webhook that is nothing, and nobody is shown its secret.
        """
        async with self.changing:
            entry = await self.entry(guild_id, caller, subscription_id)
            entry = replace(entry, hook=await self.right_kind(entry.hook))
        if entry.hook.kind is HookKind.SHARED:
            return SharedSetUp(entry)
        if not is_by_hand(entry.hook):
            webhook = await self.webhooks.keep(entry.hook.id, looking=True)
            return MadeSetUp(entry, await self._made_by(entry.hook), webhook)
        await self._check_secret(entry.hook, caller)
        if entry.hook.unopenable:
            raise _unopenable()
        return await self.set_up(entry)

    async def set_up_again(
        self, guild_id: int, caller: Caller, subscription_id: int
    ) -> SetUp | SharedSetUp | MadeSetUp:
        """Give the project's webhook a new secret where no key opens the one it has.

        A webhook that the bot made gets it at once, if the account can still be used; else it is
        one by hand from now on. A secret that opens stays.
        """
        entry = await self.entry(guild_id, caller, subscription_id)
        hook = entry.hook
        if not hook.unopenable:
            return await self.show_setup(guild_id, caller, subscription_id)
        if isinstance(webhook := await self.webhooks.keep(hook.id), Kept):
            return MadeSetUp(entry, await self._made_by(hook), webhook, renewed=True)
        await self._check_secret(replace(hook, webhook_id=None), caller)
        return await self.set_up(await self.started_again(entry), renewed=True)

    async def started_again(self, entry: Entry) -> Entry:
        """The entry, its hook by hand and with a secret that opens."""
        async with self.changing:
            hook = await self._storage.write(lambda tx: tx.hooks.start_again(entry.hook.id))
        return replace(entry, hook=hook or entry.hook)

    async def new_secret(
        self, guild_id: int, caller: Caller, subscription_id: int, *, overlap: bool
    ) -> SetUp | SharedSetUp | MadeSetUp:
        """Make a new secret for the project's webhook.

        One by hand has to be entered in Speckle; with `overlap` the old one works for 24 hours
        more. A webhook that the bot made gets it at once, and the old one is void then.
        """
        entry = await self.entry(guild_id, caller, subscription_id)
        if entry.hook.kind is HookKind.SHARED:
            return SharedSetUp(entry)
        if not is_by_hand(entry.hook):
            webhook = await self.webhooks.keep(entry.hook.id, new_secret=True)
            return MadeSetUp(entry, await self._made_by(entry.hook), webhook, renewed=True)
        async with self.changing:
            await self._check_secret(entry.hook, caller)
            if entry.hook.unopenable:
                raise _unopenable()
            until = self._now() + PREVIOUS_SECRET_VALID if overlap else None
            hook = await self._storage.write(
                lambda tx: tx.hooks.new_secret(entry.hook.id, overlap=overlap)
            )
        return await self.set_up(replace(entry, hook=hook or entry.hook), until, renewed=True)

    async def _made_by(self, hook: Hook) -> int | None:
        if (account_id := hook.account_id) is None:
            return None
        account = await self._storage.read(lambda tx: tx.accounts.get(account_id))
        return None if account is None else account.discord_user_id

    async def _check_secret(self, hook: Hook, caller: Caller) -> None:
        if not may_see_secret(
            hook, await self._storage.read(lambda tx: tx.subscriptions.of_hook(hook.id)), caller
        ):
            raise CommandRefused(
                "This webhook serves other channels, too, so its secret is shown only to members "
                "who have *Manage Webhooks* in all of them, or in the whole server. Ask one of "
                "them."
            )

    async def set_up(
        self, entry: Entry, old_secret_until: datetime | None = None, *, renewed: bool = False
    ) -> SetUp:
        """The set-up of a hook by hand. Whether somebody may see it is not asked here."""
        subscriptions = await self._storage.read(lambda tx: tx.subscriptions.of_hook(entry.hook.id))
        return set_up_of(
            entry.hook,
            [subscription.options for subscription in subscriptions],
            self._public_url,
            entry.label,
            renewed=renewed,
            old_secret_until=old_secret_until,
        )

    # ── autocomplete ──────────────────────────────────────────────────────────────────────────

    async def followed_projects(
        self, guild_id: int, caller: Caller, typed: str, channel_id: int | None = None
    ) -> list[Choice]:
        """Projects that the guild, or one channel of it, follows where the caller may manage."""
        entries = await self.listing(guild_id, caller, channel_id)
        named = {_project_of(entry): entry.label for entry in entries}
        return complete_projects(named, typed)

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


def _as_seen(entry: Entry, caller: Caller) -> Entry:
    """The entry as the caller may read it: the bot may not know whether they see the channel."""
    return entry if caller.sees(entry.subscription.channel_id) else entry.for_others()


def _unopenable() -> CommandRefused:
    return CommandRefused(
        "The secret of this project's webhook cannot be used: the bot's encryption keys no longer "
        "open it. Ask the person who runs the bot whether they still have the old key; if not, "
        "press *Set up again* under `/subscriptions`."
    )


def is_blocked(subscription: Subscription) -> bool:
    """Whether the bot paused it because Discord did not take its cards."""
    paused = subscription.state is SubscriptionState.PAUSED
    return paused and subscription.pause_reason in DELIVERY_PAUSES


def may_see_secret(hook: Hook, on_it: Iterable[Subscription], caller: Caller) -> bool:
    """Whether somebody may see a hook's secret: whoever has it can make events up in all channels.

    Of a webhook that the bot made, nobody may.
    """
    managed = caller.manages_guild or all(caller.manages(one.channel_id) for one in on_it)
    return is_by_hand(hook) and managed


def _project_of(entry: Entry) -> tuple[str, str]:
    return entry.hook.server_url, entry.hook.project_id
