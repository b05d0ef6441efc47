"""What is entered in Speckle for a webhook by hand: who may see it, and how its secret changes."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from bot.audit import by_person
from bot.model import PREVIOUS_SECRET_VALID, Hook, HookKind, HookState, Subscription
from bot.permissions import Actor
from bot.services.managed_entries import managed_entry
from bot.services.project_followers import right_kind
from bot.services.refusals import CommandRefused, RefusalReason
from bot.services.subscribe_results import Followed, MadeSetUp, NothingToSetUp
from bot.services.webhook_page import WebhookPages
from bot.services.webhook_results import Ensured
from bot.services.webhook_setup import WebhookSetup, webhook_setup
from bot.services.webhooks import WebhookService
from bot.storage import Storage


class SetUpService:
    """Shows set-ups and makes secrets.

    `changing` is held while something is changed, as by SubscriptionService, which owns this.
    Errors: CommandRefused.
    """

    def __init__(
        self,
        storage: Storage,
        webhooks: WebhookService,
        pages: WebhookPages,
        *,
        changing: asyncio.Lock,
        public_url: str | None,
        served_guilds: frozenset[int],
        now: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._webhooks = webhooks
        self._pages = pages
        self._changing = changing
        self._public_url = public_url
        self._served_guilds = served_guilds
        self._now = now

    async def of_new(self, entry: Followed, actor: Actor) -> tuple[Followed, WebhookSetup | None]:
        """What is left to do by hand, if the caller may see it; the entry as it is then.

        A secret that no key opens makes way for a new one.
        """
        unopenable = entry.hook.unopenable
        waits = entry.hook.state is HookState.WAITING or unopenable
        if not entry.hook.is_by_hand or not waits:
            return entry, None
        if not await self._may_see_secret(entry.hook, actor):
            return entry, None
        if unopenable:
            entry = await self._started_again(entry, actor)
        return entry, await self._set_up(entry, renewed=unopenable)

    async def show(
        self, guild_id: int, actor: Actor, subscription_id: int
    ) -> WebhookSetup | NothingToSetUp | MadeSetUp:
        """What to enter in Speckle for the subscription's project.

        Where the bot made the webhook that is nothing, and nobody is shown its secret.
        """
        async with self._changing:
            entry = await managed_entry(self._storage, guild_id, actor, subscription_id)
            hook = await right_kind(self._storage, entry.hook, self._served_guilds)
            entry = replace(entry, hook=hook)
        if entry.hook.kind is HookKind.SHARED or entry.hook.is_heard:
            return NothingToSetUp(entry)
        if not entry.hook.is_by_hand:
            webhook = await self._webhooks.ensure(entry.hook.id, reconciling=True)
            return MadeSetUp(entry, await self._made_by(entry.hook), webhook)
        await self._check_secret(entry.hook, actor)
        if entry.hook.unopenable:
            raise CommandRefused(RefusalReason.SECRET_UNOPENABLE)
        return await self._set_up(entry)

    async def set_up_again(
        self, guild_id: int, actor: Actor, subscription_id: int
    ) -> WebhookSetup | NothingToSetUp | MadeSetUp:
        """Give the project's webhook a new secret where no key opens the one it has.

        A webhook that the bot made gets it at once, if the account can still be used; else it is
        one by hand from now on. A secret that opens stays.
        """
        entry = await managed_entry(self._storage, guild_id, actor, subscription_id)
        hook = entry.hook
        if not hook.unopenable:
            return await self.show(guild_id, actor, subscription_id)
        webhook = await self._webhooks.ensure(hook.id, by=by_person(actor.id))
        if isinstance(webhook, Ensured):
            return MadeSetUp(entry, await self._made_by(hook), webhook, renewed=True)
        await self._check_secret(replace(hook, webhook_id=None), actor)
        return await self._set_up(await self._started_again(entry, actor), renewed=True)

    async def _started_again(self, entry: Followed, actor: Actor) -> Followed:
        """The entry, its hook by hand and with a secret that opens."""
        async with self._changing:
            hook = await self._storage.write(
                lambda tx: tx.hooks.reset_webhook(entry.hook.id), by=by_person(actor.id)
            )
        return replace(entry, hook=hook or entry.hook)

    async def new_secret(
        self, guild_id: int, actor: Actor, subscription_id: int, *, overlap: bool
    ) -> WebhookSetup | NothingToSetUp | MadeSetUp:
        """Make a new secret for the project's webhook.

        One by hand has to be entered in Speckle; with `overlap` the old one works for 24 hours
        more. A webhook that the bot made gets it at once, and the old one is void then.
        """
        entry = await managed_entry(self._storage, guild_id, actor, subscription_id)
        if entry.hook.kind is HookKind.SHARED or entry.hook.is_heard:
            return NothingToSetUp(entry)
        if not entry.hook.is_by_hand:
            webhook = await self._webhooks.ensure(
                entry.hook.id, new_secret=True, by=by_person(actor.id)
            )
            return MadeSetUp(entry, await self._made_by(entry.hook), webhook, renewed=True)
        async with self._changing:
            await self._check_secret(entry.hook, actor)
            if entry.hook.unopenable:
                raise CommandRefused(RefusalReason.SECRET_UNOPENABLE)
            until = self._now() + PREVIOUS_SECRET_VALID if overlap else None
            hook = await self._storage.write(
                lambda tx: tx.hooks.new_secret(entry.hook.id, overlap=overlap),
                by=by_person(actor.id),
            )
        return await self._set_up(replace(entry, hook=hook or entry.hook), until, renewed=True)

    async def _made_by(self, hook: Hook) -> int | None:
        if (account_id := hook.account_id) is None:
            return None
        account = await self._storage.read(lambda tx: tx.accounts.get(account_id))
        return None if account is None else account.discord_user_id

    async def _check_secret(self, hook: Hook, actor: Actor) -> None:
        if not await self._may_see_secret(hook, actor):
            raise CommandRefused(RefusalReason.SECRET_OF_OTHERS)

    async def _may_see_secret(self, hook: Hook, actor: Actor) -> bool:
        on_it = await self._storage.read(lambda tx: tx.subscriptions.of_hook(hook.id))
        return may_see_secret(hook, on_it, actor)

    async def _set_up(
        self, entry: Followed, old_secret_until: datetime | None = None, *, renewed: bool = False
    ) -> WebhookSetup:
        """The set-up of a hook by hand. Whether somebody may see it is not asked here."""
        subscriptions = await self._storage.read(lambda tx: tx.subscriptions.of_hook(entry.hook.id))
        return webhook_setup(
            entry.hook,
            [subscription.options for subscription in subscriptions],
            self._public_url,
            entry.label,
            await self._pages.of(entry.hook.server_url, entry.hook.project_id),
            renewed=renewed,
            old_secret_until=old_secret_until,
        )


def may_see_secret(hook: Hook, on_it: Iterable[Subscription], actor: Actor) -> bool:
    """Whether somebody may see a hook's secret: with it anybody can make up events in all channels.

    Of a webhook that the bot made, nobody may.
    """
    managed = actor.manages_guild or all(actor.manages(one.channel_id) for one in on_it)
    return hook.is_by_hand and managed
