"""Which channel follows which project: the rules behind /subscribe and its companions."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from bot.audit import by_person
from bot.model import (
    PREVIOUS_SECRET_VALID,
    AccessPause,
    Hook,
    HookKind,
    HookState,
    PauseReason,
    PauseWhy,
    Subscription,
    SubscriptionState,
)
from bot.permissions import Actor, TargetChannel
from bot.services.access_rules import LiveFor
from bot.services.channel_rules import require_manager, require_posting
from bot.services.completion import (
    Choice,
    complete_projects,
    last_typed,
    merged,
    offer_names,
    with_folders,
)
from bot.services.consent_check import ConsentCheck
from bot.services.former_addresses import FormerAddresses
from bot.services.known_names import KnownNames
from bot.services.listening import ListeningStart
from bot.services.options_form import OptionsForm, options_form
from bot.services.project_followers import entry_of, names_in_filters, right_kind
from bot.services.project_input import ProjectInput, may_be_name
from bot.services.quotas import QuotaService
from bot.services.refusals import CommandRefused, RefusalReason, Retry
from bot.services.search import Search
from bot.services.subscribe_results import (
    AudienceOf,
    CommandCaller,
    Followed,
    MadeSetUp,
    NeedsAccount,
    NeedsChoice,
    NeedsConsent,
    NotFollowed,
    NothingToSetUp,
    Resumed,
    Subscribed,
    SubscribeRequest,
    Unsubscribed,
)
from bot.services.subscribing import SubscribeOutcome, Subscribing
from bot.services.webhook_page import WebhookPages
from bot.services.webhook_results import Ensured
from bot.services.webhook_setup import WebhookSetup, webhook_setup
from bot.services.webhooks import WebhookService
from bot.speckle.events import ProjectNames
from bot.speckle.filter_hints import FilterHint, NoEffect, hints_for, names_issues, server_hints
from bot.speckle.links import Links, SpeckleLink
from bot.speckle.seen_text import as_seen
from bot.speckle.subscription_options import SubscriptionOptions, TypedOptions
from bot.storage import Storage, Transaction

FORM_WITHIN_S = 1.0  # a form has to be the first answer, and Discord waits 3 s for that


class SubscriptionService:
    """Makes, changes, lists and ends subscriptions.

    `speckle_servers` are origins, the first is the default. `served_guilds` get the operator's
    shared hook. Without a public URL no webhook reaches the bot; `live_for` says of which projects
    accounts may hear.
    Errors: CommandRefused.
    """

    def __init__(
        self,
        storage: Storage,
        webhooks: WebhookService,
        search: Search,
        consent_check: ConsentCheck,
        quotas: QuotaService,
        pages: WebhookPages,
        known_names: KnownNames,
        former_addresses: FormerAddresses,
        *,
        speckle_servers: Sequence[str],
        public_url: str | None,
        served_guilds: frozenset[int],
        live_for: LiveFor,
        listening: ListeningStart,
        now: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._webhooks = webhooks
        self._listening = listening
        self._search = search
        # Two people may change the same project at once, and one process answers all: it is held
        # while something is changed, and never while Speckle is asked.
        self._changing = asyncio.Lock()
        self._subscribing = Subscribing(
            storage,
            webhooks,
            consent_check,
            quotas,
            pages,
            known_names,
            changing=self._changing,
            served_guilds=served_guilds,
            live_for=live_for,
            listening=listening,
            now=now,
        )
        self._pages = pages
        self._input = ProjectInput(search, former_addresses, speckle_servers)
        self._servers = tuple(speckle_servers)
        self._public_url = public_url
        self.has_public_url = public_url is not None
        self.live_for = live_for
        self._served_guilds = served_guilds
        self._now = now

    # ── /subscribe ────────────────────────────────────────────────────────────────────────────

    async def subscribe(self, request: SubscribeRequest) -> SubscribeOutcome:
        """Let the place follow the project, or change what it follows of it."""
        require_manager(request.actor, request.channel.channel_id)
        require_posting(request.channel, Retry.SUBSCRIBE)
        followed = await self.listing(request.guild_id, request.actor)
        server_url, link = await self._input.link_of(request.project, request.actor.id, followed)
        if may_be_name(request.project):
            request = replace(request, project=Links(server_url).project(link.project_id))
        link = await self._input.with_its_model(request.caller, server_url, link)
        outcome = await self._subscribing.subscribe(request, server_url, link)
        if isinstance(outcome, NeedsChoice):
            return await self._with_names(outcome)
        if not isinstance(outcome, Subscribed):
            return outcome
        names = await self._names(request, link, outcome)
        entry, setup = await self._setup_for(outcome.entry, request.actor)
        options, before = entry.subscription.options, outcome.old_options or SubscriptionOptions()
        shown = {*options.models, *before.models} & names.models.keys()
        known = {**entry.models, **{one: names.models[one] for one in shown}}
        return replace(
            outcome,
            entry=replace(entry, models=known),
            setup=setup,
            target=link.target,
            hints=await self._hints(request, server_url, link, options, names),
            asked_by=request.actor.id,
        )

    async def _hints(
        self,
        request: SubscribeRequest,
        server_url: str,
        link: SpeckleLink,
        options: SubscriptionOptions,
        names: ProjectNames,
    ) -> tuple[FilterHint, ...]:
        """What of that which was typed has no effect now."""
        typed = {*request.options, *(("models",) if link.models else ())} - request.defaulted
        # In a thread, as a project may have thousands of names.
        found = await asyncio.to_thread(hints_for, options, names)
        hints = [hint for hint in found if hint.is_about(typed)]
        if "models" in request.options and link.models and not {*link.models} & {*options.models}:
            hints.append(FilterHint("models", NoEffect.LINK_UNUSED))
        if "events" in typed and names_issues(options):
            page = await self._pages.of(server_url, link.project_id)
            hints += server_hints(options, issues=page.issues, comments=page.comments)
        return tuple(hints)

    async def _with_names(self, question: NeedsChoice) -> NeedsChoice:
        """The question with what the caller may know of the models that it is about."""
        entry, hook = question.entry, question.entry.hook
        caller = question.request.caller
        names = await self._search.names(caller, hook.server_url, hook.project_id, entry)
        asked = {*question.linked, *question.shown} & names.models.keys()
        known = {**entry.models, **{one: names.models[one] for one in asked}}
        hints = hints_for(SubscriptionOptions(models=question.linked), names)
        return replace(question, entry=replace(entry, models=known), hints=hints)

    async def _names(
        self, request: SubscribeRequest, link: SpeckleLink, outcome: Subscribed
    ) -> ProjectNames:
        """What the caller may know of the project, if that is to be compared with the filters."""
        subscription, hook = outcome.entry.subscription, outcome.entry.hook
        options, before = subscription.options, outcome.old_options or SubscriptionOptions()
        has_names = bool(options.models or options.ignore_authors or before.models)
        if not (request.options or link.models) or not has_names:
            return ProjectNames()
        here = replace(outcome.entry, subscription=replace(subscription, options=before))
        return await self._search.names(request.caller, hook.server_url, hook.project_id, here)

    async def _setup_for(
        self, entry: Followed, actor: Actor
    ) -> tuple[Followed, WebhookSetup | None]:
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

    # ── /unsubscribe ──────────────────────────────────────────────────────────────────────────

    async def unsubscribe(
        self, guild_id: int, actor: Actor, project: str, channel_id: int
    ) -> Unsubscribed | NotFollowed:
        """End what the channel follows of the project, if it does."""
        require_manager(actor, channel_id)
        meant = await self.meant(guild_id, actor, project)
        for entry in meant:
            if entry.subscription.channel_id == channel_id:
                return await self._delete(entry, actor)
        return NotFollowed(project, tuple(one.subscription.channel_id for one in meant))

    async def meant(self, guild_id: int, actor: Actor, project: str) -> list[Followed]:
        """What a link, an id or a name means, out of what the caller manages.

        A name has to be that of one project alone.
        """
        listed = await self.listing(guild_id, actor)
        meant = self._input.offline(project, listed)
        return [entry for entry in listed if len(meant) == 1 and _project_of(entry) in meant]

    async def _delete(self, entry: Followed, actor: Actor) -> Unsubscribed:
        async with self._changing:
            deleted = await self._storage.write(
                lambda tx: tx.subscriptions.delete(entry.subscription.id), by=by_person(actor.id)
            )
        hook = entry.hook
        last = deleted is not None and deleted.last_of_hook
        removal = None
        if deleted is not None and deleted.removal_id is not None:
            removal = await self._webhooks.remover.remove(deleted.removal_id)
        webhook = None if last else await self._webhooks.ensure(hook.id)
        settings_url = Links(hook.server_url).webhook_settings(hook.project_id)
        return Unsubscribed(entry, last, settings_url, removal, webhook)

    # ── /subscriptions and its buttons ────────────────────────────────────────────────────────

    async def listing(
        self, guild_id: int, actor: Actor, channel_id: int | None = None
    ) -> list[Followed]:
        """Subscriptions of the guild, or of one channel, that the caller may manage."""

        def read(tx: Transaction) -> list[Followed]:
            hooks = {hook.id: hook for hook in tx.hooks.of_guild(guild_id)}
            return [
                Followed(
                    hooks[one.hook_id], one, True, names_in_filters(tx, hooks[one.hook_id], one)
                )
                for one in tx.subscriptions.of_guild(guild_id)
                if channel_id in (None, one.channel_id)
                and one.hook_id in hooks
                and actor.manages(one.channel_id)
            ]

        entries = [_as_seen(entry, actor) for entry in await self._storage.read(read)]
        entries.sort(key=lambda entry: (entry.label, entry.subscription.id))
        return entries

    async def entry(self, guild_id: int, actor: Actor, subscription_id: int) -> Followed:
        """One subscription of this guild that the caller may manage."""
        entry = await entry_of(self._storage, guild_id, subscription_id)
        require_manager(actor, entry.subscription.channel_id)
        return _as_seen(entry, actor)

    async def pause(self, guild_id: int, actor: Actor, subscription_id: int) -> Followed:
        """Stop showing events in the channel until somebody resumes."""
        entry = await self.entry(guild_id, actor, subscription_id)
        if entry.subscription.state is SubscriptionState.ACTIVE:
            await self._storage.write(
                lambda tx: tx.subscriptions.set_state(
                    subscription_id, SubscriptionState.PAUSED, PauseReason.MEMBER, str(actor.id)
                ),
                by=by_person(actor.id),
            )
        return await self.entry(guild_id, actor, subscription_id)

    async def resume(
        self,
        guild_id: int,
        actor: Actor,
        subscription_id: int,
        target: TargetChannel,
        audience_of: AudienceOf,
    ) -> SubscribeOutcome | Followed:
        """Show events again; the bot's permissions in the channel are looked at first.

        Where it was paused for who may see the project, the caller answers for that.
        """
        entry = await self.entry(guild_id, actor, subscription_id)
        require_posting(target, Retry.RESUME)
        if entry.subscription.is_paused_for_rights or entry.is_unread:
            return await self.subscribe(_again(entry, actor, target, audience_of))
        return await self._resumed(guild_id, actor, subscription_id)

    async def _resumed(self, guild_id: int, actor: Actor, subscription_id: int) -> Followed:
        entry = await self.entry(guild_id, actor, subscription_id)
        await self._listening.resume(entry.hook, entry.subscription)

        def write(tx: Transaction) -> None:
            tx.subscriptions.set_state(subscription_id, SubscriptionState.ACTIVE)
            if entry.is_unread:  # its account was unlinked during the pause
                unlinked = AccessPause(PauseReason.ACCESS_LOST, PauseWhy.UNLINKED)
                tx.held_events.hold_back(subscription_id, self._now(), unlinked)

        await self._storage.write(write, by=by_person(actor.id))
        return await self.entry(guild_id, actor, subscription_id)

    async def guild_of(self, channel_id: int) -> int | None:
        """The guild of a channel that follows something."""
        subscriptions = await self._storage.read(lambda tx: tx.subscriptions.of_channel(channel_id))
        return next((subscription.guild_id for subscription in subscriptions), None)

    async def resume_channel(self, guild_id: int, actor: Actor, target: TargetChannel) -> Resumed:
        """Resume all that the bot paused in a channel because it could not post there."""
        require_manager(actor, target.channel_id)
        there = await self._storage.read(lambda tx: tx.subscriptions.of_channel(target.channel_id))
        paused = [one for one in there if one.guild_id == guild_id and one.is_paused_by_discord]
        if paused:
            require_posting(target, Retry.RESUME)
        cards = await self._storage.read(lambda tx: tx.pause_notices.cards_kept(target.channel_id))
        entries = [await self._resumed(guild_id, actor, one.id) for one in paused]
        return Resumed(target.channel_id, tuple(entries), cards if entries else 0)

    async def take_over(
        self, guild_id: int, actor: Actor, target: TargetChannel, audience_of: AudienceOf
    ) -> Resumed | NeedsAccount | NeedsConsent:
        """Resume a channel wherever it was paused for who may see a project.

        Gives the first question that is to be answered before, if there is one. What the caller
        may not see stays paused. Errors: CommandRefused if that is all.
        """
        require_manager(actor, target.channel_id)
        require_posting(target, Retry.BUTTON)
        there = await self._storage.read(lambda tx: tx.subscriptions.of_channel(target.channel_id))
        done: list[Subscribed] = []
        refused: CommandRefused | None = None
        for one in there:
            if one.guild_id != guild_id or not one.is_paused_for_rights:
                continue
            entry = await entry_of(self._storage, guild_id, one.id)
            try:
                outcome = await self.subscribe(_again(entry, actor, target, audience_of))
            except CommandRefused as error:
                refused = error
                continue
            if isinstance(outcome, NeedsAccount | NeedsConsent):
                return outcome
            if isinstance(outcome, Subscribed):
                done.append(outcome)
        if refused is not None and not done:
            raise refused
        entries = tuple(one.entry for one in done)
        return Resumed(target.channel_id, entries, sum(one.kept for one in done))

    async def remove(self, guild_id: int, actor: Actor, subscription_id: int) -> Unsubscribed:
        """End a subscription."""
        return await self._delete(await self.entry(guild_id, actor, subscription_id), actor)

    # ── the form of *Edit* ────────────────────────────────────────────────────────────────────

    async def form(
        self,
        guild_id: int,
        actor: Actor,
        subscription_id: int,
        audience_of: AudienceOf,
        typed: TypedOptions | None = None,
    ) -> OptionsForm:
        """What the form shows, or shows again after what was typed into it was refused."""
        entry = await self.entry(guild_id, actor, subscription_id)
        channel_id = entry.subscription.channel_id
        caller = CommandCaller(guild_id, actor, channel_id, audience_of(channel_id))
        names = await self._search.names(caller, *_project_of(entry), entry, within_s=FORM_WITHIN_S)
        return options_form(entry.subscription.options, names, typed)

    # ── the webhook on the Speckle side ───────────────────────────────────────────────────────

    async def show_setup(
        self, guild_id: int, actor: Actor, subscription_id: int
    ) -> WebhookSetup | NothingToSetUp | MadeSetUp:
        """What to enter in Speckle for the subscription's project.

        Where the bot made the webhook that is nothing, and nobody is shown its secret.
        """
        async with self._changing:
            entry = await self.entry(guild_id, actor, subscription_id)
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
        entry = await self.entry(guild_id, actor, subscription_id)
        hook = entry.hook
        if not hook.unopenable:
            return await self.show_setup(guild_id, actor, subscription_id)
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
        entry = await self.entry(guild_id, actor, subscription_id)
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

    # ── autocomplete ──────────────────────────────────────────────────────────────────────────

    async def followed_projects(self, guild_id: int, actor: Actor, typed: str) -> list[Choice]:
        """Projects that the guild follows where the caller may manage."""
        entries = await self.listing(guild_id, actor)
        named = {_project_of(entry): entry.label for entry in entries}
        return complete_projects(named, typed)

    async def projects(self, guild_id: int, actor: Actor, typed: str) -> list[Choice]:
        """What is followed here, then the caller's own projects on the servers they linked."""
        followed, own = await asyncio.gather(
            self.followed_projects(guild_id, actor, typed),
            self._search.projects(actor.id, typed),
        )
        return merged(followed, own)

    async def models(self, caller: CommandCaller, project: str, typed: str) -> list[Choice]:
        """The project's models, as long as the caller may know them, or the channel shows them."""
        here, meant = await self._meant_while_typing(caller, project)
        if meant is None:
            return []
        part = last_typed(typed)
        found = await self._search.model_names(caller, *meant, part, here)
        return offer_names(typed, with_folders(found, part))

    async def authors(self, caller: CommandCaller, project: str, typed: str) -> list[Choice]:
        """The project's people, in the same way."""
        here, meant = await self._meant_while_typing(caller, project)
        if meant is None:
            return []
        names, part = await self._search.names(caller, *meant, here), as_seen(last_typed(typed))
        people = sorted(name for name in names.people.values() if part in as_seen(name))
        return offer_names(typed, people, excluding=False)

    async def _meant_while_typing(
        self, caller: CommandCaller, project: str
    ) -> tuple[Followed | None, tuple[str, str] | None]:
        """The project in another field, and what the channel has of it."""
        followed = await self.listing(caller.guild_id, caller.actor)
        meant = self._input.offline(project, followed)
        if len(meant) != 1 or meant[0][0] not in self._servers:
            return None, None
        there = (one for one in followed if one.subscription.channel_id == caller.channel_id)
        return next((one for one in there if _project_of(one) == meant[0]), None), meant[0]


def _as_seen(entry: Followed, actor: Actor) -> Followed:
    """The entry as the caller may read it: the bot may not know whether they see the channel."""
    return entry if actor.sees(entry.subscription.channel_id) else entry.for_others()


def may_see_secret(hook: Hook, on_it: Iterable[Subscription], actor: Actor) -> bool:
    """Whether somebody may see a hook's secret: with it anybody can make up events in all channels.

    Of a webhook that the bot made, nobody may.
    """
    managed = actor.manages_guild or all(actor.manages(one.channel_id) for one in on_it)
    return hook.is_by_hand and managed


def _project_of(entry: Followed) -> tuple[str, str]:
    return entry.hook.server_url, entry.hook.project_id


def _again(
    entry: Followed, actor: Actor, target: TargetChannel, audience_of: AudienceOf
) -> SubscribeRequest:
    """The same that the channel follows already, to be answered for."""
    project = Links(entry.hook.server_url).project(entry.hook.project_id)
    guild_id = entry.subscription.guild_id
    return SubscribeRequest(guild_id, actor, target, project, audience_of=audience_of)
