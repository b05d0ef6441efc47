"""All that a guild has of one project: its hooks, and which channels follow it through them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from bot.model import Hook, HookKind, HookState, Subscription
from bot.permissions import Actor
from bot.services.refusals import CommandRefused, RefusalReason
from bot.services.subscribe_results import Followed
from bot.speckle.events import ModelRef
from bot.speckle.filters import lets_in
from bot.speckle.links import ID
from bot.storage import Storage, Transaction

Fits: TypeAlias = Callable[[Hook], bool]


@dataclass(frozen=True, slots=True)
class ProjectFollowers:
    """The entries, oldest first; a channel has at most one."""

    entries: tuple[Followed, ...] = ()

    @property
    def made(self) -> Hook | None:
        """The hook whose webhook the bot made."""
        return self._first(lambda hook: hook.webhook_id is not None)

    @property
    def shared(self) -> Hook | None:
        """The hook that takes the project's events from the operator's webhook."""
        return self._first(lambda hook: hook.kind is HookKind.SHARED)

    @property
    def live_by_hand(self) -> Hook | None:
        """A hook that somebody set up by hand and that works."""
        return self._first(lambda hook: hook.is_by_hand and hook.state is HookState.LIVE)

    @property
    def listening(self) -> Hook | None:
        """The hook whose channels hear of the project through their accounts."""
        return self._first(lambda hook: hook.listens)

    def begun_by(self, actor: Actor) -> Hook | None:
        """A hook by hand that waits, and that this person began: one webhook is to be made for it.

        Nobody else's: who was shown its secret could make up events in all of its channels.
        """
        return self._first(
            lambda hook: (
                hook.is_by_hand
                and hook.state is HookState.WAITING
                and hook.created_by == actor.id
                and self.is_known(hook, actor)
            )
        )

    def unfinished(self, account_id: int) -> Hook | None:
        """A hook that waits, and that serves channels of one person's account alone."""
        return self._first(
            lambda hook: (
                hook.is_by_hand
                and hook.state is HookState.WAITING
                and all(one.account_id == account_id for one in self.through(hook))
            )
        )

    def is_known(self, hook: Hook, actor: Actor) -> bool:
        """Whether someone manages all channels of a hook, and so may know of it anyway."""
        return all(actor.manages(one.channel_id) for one in self.through(hook))

    def nobody_linked(self, hook: Hook, actor: Actor) -> bool:
        """Whether no account shows the project in the guild, as its managers ask for one hook.

        Of a hook that they know of anyway, what channels show that they do not see makes no
        difference, so that the answer does not reveal it.
        """
        known = self.is_known(hook, actor)
        return all(
            one.subscription.account_id is None and one.hook.account_id is None
            for one in self.entries
            if not known or actor.sees(one.subscription.channel_id)
        )

    def open_to_manager(self, actor: Actor) -> Hook | None:
        """The hook by hand that somebody may join who manages the server and has no account."""
        return self._first(
            lambda hook: (
                hook.is_by_hand and hook.state is HookState.LIVE and self.nobody_linked(hook, actor)
            )
        )

    def through(self, hook: Hook) -> list[Subscription]:
        """The subscriptions of a hook."""
        return [one.subscription for one in self.entries if one.hook.id == hook.id]

    def at(self, channel_id: int) -> Followed | None:
        """What a channel has of the project."""
        return next((o for o in self.entries if o.subscription.channel_id == channel_id), None)

    def _first(self, fits: Fits) -> Hook | None:
        return next((one.hook for one in self.entries if fits(one.hook)), None)


async def followers_of(
    storage: Storage, guild_id: int, server_url: str, project_id: str
) -> ProjectFollowers:
    """What a guild has of a project now."""

    def read(tx: Transaction) -> list[Followed]:
        return [
            Followed(hook, subscription, models=names_in_filters(tx, hook, subscription))
            for hook in tx.hooks.of_project(guild_id, server_url, project_id)
            for subscription in tx.subscriptions.of_hook(hook.id)
        ]

    return ProjectFollowers(tuple(await storage.read(read)))


async def right_kind(storage: Storage, hook: Hook, served_guilds: frozenset[int]) -> Hook:
    """A shared hook of a guild that the operator no longer serves becomes one of its own."""
    if hook.kind is HookKind.OWN or hook.guild_id in served_guilds:
        return hook
    return await storage.write(lambda tx: tx.hooks.convert(hook.id, HookKind.OWN)) or hook


def followed_entries(tx: Transaction, subscription_ids: Collection[int]) -> list[Followed]:
    """These subscriptions, each with its hook."""
    there = tx.hooks.followed_by(subscription_ids)
    return [Followed(of_hook.hook, one) for of_hook in there for one in of_hook.subscriptions]


async def entry_of(storage: Storage, guild_id: int, subscription_id: int) -> Followed:
    """A subscription with its hook.

    Errors: CommandRefused, the very same for another guild's subscription as for a removed one.
    """

    def read(tx: Transaction) -> Followed | None:
        subscription = tx.subscriptions.get(subscription_id)
        if subscription is None or subscription.guild_id != guild_id:
            return None
        hook = tx.hooks.get(subscription.hook_id)
        if hook is None:
            return None
        return Followed(hook, subscription, models=names_in_filters(tx, hook, subscription))

    entry = await storage.read(read)
    if entry is None:
        raise CommandRefused(RefusalReason.SUBSCRIPTION_GONE)
    return entry


def names_in_filters(tx: Transaction, hook: Hook, subscription: Subscription) -> Mapping[str, str]:
    """The names of models that a channel's filters let in by their ids, as it knows them."""
    ids = [one for one in subscription.options.models if ID.fullmatch(one)]
    if not ids:
        return {}
    names = model_names(tx, hook, subscription)
    return {
        one: names[one]
        for one in ids
        if one in names and shows_model(subscription, ModelRef(one, names[one]))
    }


def shows_model(subscription: Subscription, model: ModelRef) -> bool:
    """Whether a channel's filters let a model in, and those that somebody agreed to as well.

    Each member who manages the channel can set wider ones, which pause it, and name nothing more.
    """
    consent = subscription.consent
    agreed = () if consent is None else consent.options.models
    return lets_in(subscription.options.models, model) and lets_in(agreed, model)


def model_names(tx: Transaction, hook: Hook, subscription: Subscription) -> Mapping[str, str]:
    """Names of models by id, as a channel knows them: as its account read them, or its webhook's
    events said.
    """
    names = dict(tx.hooks.names(hook.id).models)
    account_id = None if subscription.is_paused_for_rights else subscription.account_id
    if account_id is not None and (read := tx.project_names.get(account_id, hook.project_id)):
        names |= read[0].models
    return names
