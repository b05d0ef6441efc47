"""/doctor: all that has to be right so that a project's events are shown, looked at now.

Nothing is changed by looking. What is right is for the rules that the bot works by: those of
webhooks, of channels, of who may see what.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bot.errors import SpeckleError
from bot.model import Hook, HookKind
from bot.permissions import Actor, TargetChannel
from bot.problems import NotReady
from bot.services.channel_rules import what_blocks
from bot.services.project_followers import followers_of
from bot.services.public_url import ProbeResult
from bot.services.quotas import QuotaService, Usage
from bot.services.refusals import CannotPost, CommandRefused, NotOneProject
from bot.services.refused_deliveries import RefusedDeliveries, RefusedDelivery
from bot.services.subscribe_results import Followed
from bot.services.subscriptions import SubscriptionService
from bot.services.webhook_looks import WebhookLooks
from bot.services.webhook_page import WebhookPage, WebhookPages
from bot.services.webhook_results import EnsureFailed, EnsureProblem, WebhookLook, problem_of
from bot.services.webhook_triggers import events_lacking
from bot.services.webhooks import WebhookService
from bot.speckle.event_table import BY_KIND
from bot.speckle.events import EventKind
from bot.storage import Storage

MOST_CHANNELS: Final = 25  # of which one is asked, where the bot has not heard of it
FindChannel = Callable[[int], Awaitable[TargetChannel]]


@dataclass(frozen=True, slots=True)
class AccountLook:
    """A linked account that a channel depends on: it `makes` the webhook, or reads for the channel.

    `problem` keeps it from that; None if nothing does.
    """

    user_id: int
    makes: bool
    problem: EnsureProblem | None = None


@dataclass(frozen=True, slots=True)
class ChannelLook:
    """A channel that follows the project; `blocked` keeps the bot from posting there."""

    entry: Followed
    blocked: CannotPost | None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found for one project of a guild, for a member who manages some of its channels.

    `not_ready` is what keeps the bot itself from its work. `webhook` and `address` are None where
    the operator's webhook, or an account, brings the events, `webhook` also where no account may
    look at it, and else a failure why the first could not. `lacking` are events that channels want
    and the webhook does not send. `others` counts channels that were not looked at: too many, or
    not managed by the member. `held` counts events that wait until somebody can be asked.
    `over_quota` is there if events were refused today. `refused` is a delivery that no secret of
    the hook signed, with none accepted since.
    """

    entry: Followed
    not_ready: Sequence[NotReady]
    address: ProbeResult | None
    webhook: WebhookLook | EnsureFailed | None
    lacking: tuple[EventKind, ...]
    accounts: tuple[AccountLook, ...]
    channels: tuple[ChannelLook, ...]
    others: int
    held: int
    over_quota: Usage | None = None
    refused: RefusedDelivery | None = None

    @property
    def hook(self) -> Hook:
        """The hook that brings the events."""
        return self.entry.hook


class DoctorService:
    """Looks at everything; `not_ready` says what keeps the bot itself from its work."""

    def __init__(
        self,
        storage: Storage,
        subscriptions: SubscriptionService,
        webhooks: WebhookService,
        webhook_looks: WebhookLooks,
        pages: WebhookPages,
        quotas: QuotaService,
        refused: RefusedDeliveries,
        not_ready: Callable[[], Awaitable[Sequence[NotReady]]],
    ) -> None:
        self._storage = storage
        self._subscriptions = subscriptions
        self._webhooks = webhooks
        self._webhook_looks = webhook_looks
        self._pages = pages
        self._quotas = quotas
        self._refused = refused
        self._not_ready = not_ready

    async def entry_to_examine(
        self, guild_id: int, actor: Actor, channel_id: int, project: str | None
    ) -> Followed:
        """Which project is meant: that of the channel, where it follows one, or the server's only.

        Errors: CommandRefused.
        """
        listed = (
            await self._subscriptions.listing(guild_id, actor)
            if project is None
            else await self._subscriptions.meant(guild_id, actor, project)
        )
        here = [one for one in listed if one.subscription.channel_id == channel_id]
        meant = here or listed
        if len({(one.hook.server_url, one.hook.project_id) for one in meant}) != 1:
            labels = tuple(one.label for one in here)
            raise CommandRefused(NotOneProject(channel_id, labels, named=project is not None))
        return meant[0]

    async def examine(
        self, guild_id: int, actor: Actor, subscription_id: int, find: FindChannel
    ) -> Diagnosis:
        """Look at everything for the project of a subscription. Errors: CommandRefused."""
        entry = await self._subscriptions.entry(guild_id, actor, subscription_id)
        hook, subscription = entry.hook, entry.subscription
        there = await followers_of(self._storage, guild_id, hook.server_url, hook.project_id)
        managed = [one for one in there.entries if actor.manages(one.subscription.channel_id)]
        looked_at = managed[:MOST_CHANNELS]
        held = await self._storage.read(lambda tx: tx.held_events.count([subscription.id]))
        not_ready, address, webhook, accounts, channels, page = await asyncio.gather(
            self._not_ready(),
            self._address(hook),
            self._webhook_looks.of(entry, actor),
            self._accounts(entry),
            asyncio.gather(*(_channel_look(one, find) for one in looked_at)),
            self._pages.of(hook.server_url, hook.project_id),
        )
        through = [one for one in managed if one.hook.id == hook.id]
        return Diagnosis(
            entry,
            not_ready,
            address,
            webhook,
            _lacking(hook, through, webhook, page),
            accounts,
            tuple(channels),
            len(there.entries) - len(looked_at),
            held,
            await self._quotas.over_quota_today(hook),
            self._refused.last(hook.id, hook.last_event_at),
        )

    async def _address(self, hook: Hook) -> ProbeResult | None:
        own = hook.kind is HookKind.OWN and not hook.is_heard
        return await self._webhooks.reachable(hook.server_url) if own else None

    async def _accounts(self, entry: Followed) -> tuple[AccountLook, ...]:
        """The account that made the webhook, and the one that reads for the channel."""
        hook, reads = entry.hook, entry.subscription.account_id
        looks = [
            self._account(account_id, hook.project_id, makes=makes)
            for account_id, makes in ((hook.account_id, True), (reads, False))
            if account_id is not None and (makes or account_id != hook.account_id)
        ]
        return tuple(one for one in await asyncio.gather(*looks) if one is not None)

    async def _account(
        self, account_id: int, project_id: str, *, makes: bool
    ) -> AccountLook | None:
        account = await self._storage.read(lambda tx: tx.accounts.get(account_id))
        if account is None:
            return None
        look = AccountLook(account.discord_user_id, makes)
        try:
            rights = await self._webhooks.rights(account, project_id)
        except SpeckleError as error:
            return AccountLook(look.user_id, makes, problem_of(error))
        failed = await self._webhooks.why_not_made(account, rights) if makes else None
        if failed is None or failed.why is EnsureProblem.UNREACHABLE:  # the address has its own
            return look
        return AccountLook(look.user_id, makes, failed.why)


async def _channel_look(entry: Followed, find: FindChannel) -> ChannelLook:
    return ChannelLook(entry, what_blocks(await find(entry.subscription.channel_id)))


def _lacking(
    hook: Hook,
    entries: Sequence[Followed],
    webhook: WebhookLook | EnsureFailed | None,
    page: WebhookPage,
) -> tuple[EventKind, ...]:
    """The events that these channels want and the webhook does not send, although it could."""
    if not isinstance(webhook, WebhookLook) or not webhook.there:
        return ()
    wanted = {
        kind
        for one in entries
        for kind in events_lacking(one.subscription.options, webhook.triggers)
    }
    made = not hook.is_by_hand
    could = {one for one in wanted if page.names([one]) or (made and not BY_KIND[one].page_names)}
    return tuple(kind for kind in EventKind if kind in could)
