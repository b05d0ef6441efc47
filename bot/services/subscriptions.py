"""Which channel follows which project: the rules behind /subscribe and its companions."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from bot.audit import by_person
from bot.model import (
    AccessPause,
    PauseReason,
    PauseWhy,
    SubscriptionState,
)
from bot.permissions import Actor, TargetChannel
from bot.services.access_rules import LiveFor
from bot.services.autocomplete import Autocomplete, project_of
from bot.services.channel_rules import require_manager, require_posting
from bot.services.consent_check import ConsentCheck
from bot.services.former_addresses import FormerAddresses
from bot.services.known_names import KnownNames
from bot.services.listening import ListeningStart
from bot.services.managed_entries import (
    managed_entries,
    managed_entry,
    with_what_is_not_heard,
)
from bot.services.options_form import OptionsForm, options_form
from bot.services.project_followers import entry_of
from bot.services.project_input import ProjectInput, may_be_name
from bot.services.quotas import QuotaService
from bot.services.refusals import CommandRefused, Retry
from bot.services.search import Search
from bot.services.setup_service import SetUpService
from bot.services.subscribe_results import (
    AudienceOf,
    CommandCaller,
    Followed,
    NeedsAccount,
    NeedsChoice,
    NeedsConsent,
    NotFollowed,
    Resumed,
    Subscribed,
    SubscribeRequest,
    Unsubscribed,
)
from bot.services.subscribing import SubscribeOutcome, Subscribing
from bot.services.webhook_page import WebhookPages
from bot.services.webhooks import WebhookService
from bot.speckle.events import ProjectNames
from bot.speckle.filter_hints import FilterHint, NoEffect, hints_for, names_issues, server_hints
from bot.speckle.links import Links, SpeckleLink
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
        self._servers = frozenset(speckle_servers)
        self._input = ProjectInput(search, former_addresses, speckle_servers)
        self.autocomplete = Autocomplete(storage, search, self._input, speckle_servers)
        self.setups = SetUpService(
            storage,
            webhooks,
            pages,
            changing=self._changing,
            public_url=public_url,
            served_guilds=served_guilds,
            now=now,
        )
        self.has_public_url = public_url is not None
        self.live_for = live_for
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
        (entry,) = await self._looked_at([outcome.entry])
        entry, setup = await self.setups.of_new(entry, request.actor)
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
        return [entry for entry in listed if len(meant) == 1 and project_of(entry) in meant]

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
        entries = await managed_entries(self._storage, guild_id, actor, channel_id)
        return await self._looked_at(entries)

    async def entry(self, guild_id: int, actor: Actor, subscription_id: int) -> Followed:
        """One subscription of this guild that the caller may manage."""
        entry = await managed_entry(self._storage, guild_id, actor, subscription_id)
        (looked_at,) = await self._looked_at([entry])
        return looked_at

    async def _looked_at(self, entries: Sequence[Followed]) -> list[Followed]:
        return await with_what_is_not_heard(
            self._storage, entries, self._servers, has_address=self.has_public_url
        )

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
        names = await self._search.names(caller, *project_of(entry), entry, within_s=FORM_WITHIN_S)
        return options_form(entry.subscription.options, names, typed)


def _again(
    entry: Followed, actor: Actor, target: TargetChannel, audience_of: AudienceOf
) -> SubscribeRequest:
    """The same that the channel follows already, to be answered for."""
    project = Links(entry.hook.server_url).project(entry.hook.project_id)
    guild_id = entry.subscription.guild_id
    return SubscribeRequest(guild_id, actor, target, project, audience_of=audience_of)
