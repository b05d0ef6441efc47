"""/subscribe: what has to be known and agreed before a channel follows a project, and doing it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias
from weakref import WeakValueDictionary

from bot.audit import AuditActor, by_person
from bot.model import (
    AccessPause,
    Entitlement,
    Hook,
    HookKind,
    HookState,
    PauseReason,
    PauseWhy,
    Subscription,
    SubscriptionState,
)
from bot.services.access_rules import LiveFor
from bot.services.command_input import asks_for_models, options_from, with_choice
from bot.services.consent_check import ConsentCheck, ProjectAccess
from bot.services.known_names import KnownNames
from bot.services.listening import ListeningStart
from bot.services.project_followers import entry_of, followers_of, right_kind
from bot.services.quotas import QuotaService
from bot.services.subscribe_plan import Planner, SubscribePlan
from bot.services.subscribe_results import (
    Followed,
    NeedsAccount,
    NeedsChoice,
    NeedsConsent,
    SubscribeChange,
    Subscribed,
    SubscribeRequest,
)
from bot.services.webhook_page import WebhookPages
from bot.services.webhook_results import Ensured, EnsureFailed
from bot.services.webhook_setup import kinds_wanted
from bot.services.webhook_triggers import events_lacking
from bot.services.webhooks import WebhookService
from bot.speckle.events import EventKind
from bot.speckle.links import SpeckleLink
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage, Transaction

SubscribeOutcome: TypeAlias = Subscribed | NeedsAccount | NeedsConsent | NeedsChoice


class Subscribing:
    """Lets a channel follow a project, or says what the caller is to decide before.

    `changing` is held while something is changed, as by SubscriptionService, which owns this.
    Errors: CommandRefused.
    """

    def __init__(
        self,
        storage: Storage,
        webhooks: WebhookService,
        consent_check: ConsentCheck,
        quotas: QuotaService,
        pages: WebhookPages,
        known_names: KnownNames,
        *,
        changing: asyncio.Lock,
        served_guilds: frozenset[int],
        live_for: LiveFor,
        listening: ListeningStart,
        now: Callable[[], datetime],
    ) -> None:
        self._live_for = live_for
        self._listening = listening
        self._storage = storage
        self._webhooks = webhooks
        self._consent_check = consent_check
        self._quotas = quotas
        self._pages = pages
        self._known_names = known_names
        self._changing = changing
        self._served_guilds = served_guilds
        self._now = now
        # Two owners at once are to make one webhook. Speckle is asked while one of these is held,
        # so each project of a guild has its own.
        self._projects: WeakValueDictionary[tuple[int, str, str], asyncio.Lock] = (
            WeakValueDictionary()
        )

    async def subscribe(
        self, request: SubscribeRequest, server_url: str, link: SpeckleLink
    ) -> SubscribeOutcome:
        """Let the place follow the project of that server, or change what it follows of it."""
        # What was mistyped is said before anybody is asked.
        options_from(request.options, link, SubscriptionOptions())
        access = await self._consent_check.look(request.actor.id, server_url, link.project_id)
        async with self._one_at_a_time(request.guild_id, server_url, link.project_id):
            planner = await self._planner(request, server_url, link, access)
            if isinstance(planner, NeedsChoice):
                return planner
            plan = planner.plan()
            return await self._do(planner, plan) if isinstance(plan, SubscribePlan) else plan

    def _one_at_a_time(self, guild_id: int, server_url: str, project_id: str) -> asyncio.Lock:
        return self._projects.setdefault((guild_id, server_url, project_id), asyncio.Lock())

    async def _planner(
        self, request: SubscribeRequest, server_url: str, link: SpeckleLink, access: ProjectAccess
    ) -> Planner | NeedsChoice:
        there = await followers_of(self._storage, request.guild_id, server_url, link.project_id)
        here = there.at(request.channel.channel_id)
        if here is not None:
            hook = await right_kind(self._storage, here.hook, self._served_guilds)
            if hook != here.hook:
                return await self._planner(request, server_url, link, access)
        # What else is refused for want of room is known when there is a plan.
        if here is None:
            await self._quotas.require_room_for_subscription(request.guild_id)
            request = await self._with_defaults(request, link)
        current = SubscriptionOptions() if here is None else here.subscription.options
        if here is not None and asks_for_models(request, link, current):
            return NeedsChoice(request, server_url, here, link.models, current.models)
        request = with_choice(request, link, current)
        return Planner(
            request,
            server_url,
            link.project_id,
            options_from(request.options, link, current),
            access,
            there,
            request.guild_id in self._served_guilds,
            self._live_for,
            self._now(),
        )

    async def _with_defaults(
        self, request: SubscribeRequest, link: SpeckleLink
    ) -> SubscribeRequest:
        """The request with the server's default filters, as if they had been typed.

        What was typed, or linked, goes before them. Once somebody was asked who will see the
        project, what they read stays.
        """
        if request.agreed is not None:
            return request
        guild = await self._storage.read(lambda tx: tx.guilds.get(request.guild_id))
        defaults = None if guild is None else guild.default_options
        if defaults is None:
            return request
        chosen = {*request.options, *(("models",) if link.models else ())}
        plain = SubscriptionOptions().typed()
        added = {
            name: text
            for name, text in defaults.typed().items()
            if name not in chosen and text != plain[name]
        }
        options = {**request.options, **added}
        return replace(request, options=options, defaulted=request.defaulted | added.keys())

    # ── doing it ──────────────────────────────────────────────────────────────────────────────

    async def _do(self, planner: Planner, plan: SubscribePlan) -> Subscribed:
        request, here = planner.request, plan.here
        hook, before, new = await self._write(planner, plan)
        everyone = planner.access.everyone
        if (visibility := everyone.visibility) is not None:
            await self._storage.write(
                lambda tx: tx.hooks.record_project_visibility(hook.id, visibility, everyone.name)
            )
        resumes = plan.pause is None and new.state is SubscriptionState.PAUSED and request.resume
        if plan.pause is not None:
            await self._pause(new.id, plan.pause)
        by = by_person(request.actor.id)
        # Whose account is not to be heard is paused again as long as there is no webhook.
        after_webhook = plan.makes and hook.is_heard and not planner.may_listen
        kept = await self._resume(hook, new, by) if resumes and not after_webhook else 0
        if plan.listens:
            hook = await self._listen(hook, new)
        webhook = await self._ensure_webhook(hook, planner, plan)
        if resumes and after_webhook:
            resumes = isinstance(webhook, Ensured)
            kept = await self._resume(hook, new, by) if resumes else 0
        also, unanswered = await self._answer_others(hook, planner, plan, webhook)
        if also:
            webhook = _with_more(webhook, await self._webhooks.ensure(hook.id, by=by))
        await self._remove_unused_hook(hook, planner, plan)
        if new.account_id is not None:
            await self._known_names.refresh(new.account_id, planner.server_url, planner.project_id)
        entry = await entry_of(self._storage, request.guild_id, new.id)
        return Subscribed(
            entry=entry,
            change=_change(here, plan.options),
            old_options=here.subscription.options if here else None,
            resumed=resumes,
            setup=None,
            new_triggers=await self._new_triggers(entry.hook, before, plan.options),
            webhook=webhook,
            also=also,
            unanswered=unanswered,
            lacking=_lacking(entry, webhook),
            paused=plan.pause if entry.subscription.is_paused_for_rights else None,
            kept=kept,
            defaulted=request.defaulted if here is None else frozenset(),
            not_live=planner.not_live(entry.hook),
            begins_live=_begins_live(here, entry),
        )

    async def _write(
        self, planner: Planner, plan: SubscribePlan
    ) -> tuple[Hook, Sequence[Subscription], Subscription]:
        """Write the subscription: its hook, what that had before, and the subscription as it is."""
        request, here, consent = planner.request, plan.here, plan.consent
        async with self._changing:
            if plan.hook is None:
                await self._quotas.require_room_for_hook(request.guild_id)
            if here is None:
                await self._quotas.require_room_for_subscription(request.guild_id)
            hook = plan.hook or await self._new_hook(planner, plan)
            before = await self._storage.read(lambda tx: tx.subscriptions.of_hook(hook.id))
            if here is not None and here.hook.id != hook.id and consent is not None:
                moved = here.subscription.id
                await self._storage.write(
                    lambda tx: tx.subscriptions.answered(moved, consent, hook_id=hook.id),
                    by=by_person(request.actor.id),
                )
            return hook, before, await self._keep_subscription(hook, request, plan)

    async def _resume(self, hook: Hook, subscription: Subscription, by: AuditActor) -> int:
        """Resume it; how many events were kept."""
        this = subscription.id
        kept = await self._storage.read(lambda tx: tx.held_events.count([this]))
        await self._listening.resume(hook, subscription)
        await self._storage.write(
            lambda tx: tx.subscriptions.set_state(this, SubscriptionState.ACTIVE), by=by
        )
        return kept

    async def _new_hook(self, planner: Planner, plan: SubscribePlan) -> Hook:
        request = planner.request
        return await self._storage.write(
            lambda tx: tx.hooks.create(
                guild_id=request.guild_id,
                server_url=planner.server_url,
                project_id=planner.project_id,
                kind=plan.kind,
                created_by=request.actor.id,
                setup_channel_id=request.channel.channel_id,
                listens=plan.listens,
            )
        )

    async def _keep_subscription(
        self, hook: Hook, request: SubscribeRequest, plan: SubscribePlan
    ) -> Subscription:
        _, new = await self._storage.write(
            lambda tx: tx.subscriptions.upsert(
                hook.id,
                request.channel.channel_id,
                plan.options,
                request.actor.id,
                plan.account_id,
                plan.consent,
            ),
            by=by_person(request.actor.id),
        )
        return new

    async def _pause(self, subscription_id: int, why: PauseWhy) -> None:
        """Stop it, and notify the person who made it; what waits to be sent is kept as events."""
        pause = AccessPause(PauseReason.ASK_AGAIN, why)
        await self._storage.write(
            lambda tx: tx.held_events.hold_back(subscription_id, self._now(), pause)
        )

    async def _listen(self, hook: Hook, subscription: Subscription) -> Hook:
        """Have the subscription's account hear of the project from now on."""
        listens = await self._storage.write(lambda tx: tx.hooks.listen(hook.id))
        if subscription.account_id is not None and subscription.listened_until is None:
            await self._listening.begin(subscription.id, subscription.account_id, hook.project_id)
        return listens or hook

    async def _ensure_webhook(
        self, hook: Hook, planner: Planner, plan: SubscribePlan
    ) -> Ensured | EnsureFailed | None:
        """Have the webhook made, or follow what the channels want now, if it is the bot's."""
        access, by = planner.access, by_person(planner.request.actor.id)
        if hook.kind is HookKind.SHARED:
            return None
        if plan.makes and access.account is not None:
            if hook.listens and planner.may_listen:
                await self._listening.read_before_webhook(hook)
            ensured = await self._webhooks.ensure(hook.id, access.account.id, by=by)
            works_by_hand = hook.is_by_hand and hook.state is HookState.LIVE
            return None if works_by_hand and isinstance(ensured, EnsureFailed) else ensured
        if hook.listens:
            return None
        if not hook.is_by_hand:
            return await self._webhooks.ensure(hook.id, by=by)
        waits = hook.state is HookState.WAITING
        return access.cannot_make if waits and not planner.request.by_hand else None

    async def _answer_others(
        self,
        hook: Hook,
        planner: Planner,
        plan: SubscribePlan,
        webhook: Ensured | EnsureFailed | None,
    ) -> tuple[tuple[int, ...], int]:
        """Note the answer for the other channels that it covers, and stop those it does not.

        Gives the former, and how many the latter are. Without a webhook nothing changes for them.
        """
        account = planner.access.account
        if account is None or not isinstance(webhook, Ensured):
            return (), 0
        agreed = planner.request.agreed or {}

        def note(tx: Transaction) -> None:
            for one in plan.answers:
                consent = planner.consent(
                    Entitlement.OWNER, one.options, agreed.get(one.channel_id)
                )
                tx.subscriptions.answered(one.id, consent, hook_id=hook.id)
                if one.is_paused_for_rights:
                    tx.subscriptions.set_state(one.id, SubscriptionState.ACTIVE)

        await self._storage.write(note, by=by_person(planner.request.actor.id))
        unanswered = [one for one in plan.unanswered if one.hook_id == hook.id]
        for one in unanswered:
            await self._pause(one.id, PauseWhy.NOT_ANSWERED)
        return tuple(one.channel_id for one in plan.answers), len(unanswered)

    async def _new_triggers(
        self, hook: Hook, before: Sequence[Subscription], options: SubscriptionOptions
    ) -> tuple[str, ...]:
        """What must be chosen on Speckle's page for these, in addition to what there was.

        While the webhook waits, its set-up names all that there is to choose.
        """
        if not hook.is_by_hand or hook.state is not HookState.LIVE:
            return ()
        had = kinds_wanted(one.options for one in before)
        new = [kind for kind in kinds_wanted([options]) if kind not in had]
        if not new:
            return ()
        page = await self._pages.of(hook.server_url, hook.project_id)
        chosen = page.names(had)
        return tuple(name for name in page.names(new) if name not in chosen)

    async def _remove_unused_hook(self, hook: Hook, planner: Planner, plan: SubscribePlan) -> None:
        """Remove hooks by hand that this left without channels."""
        left = {one.hook_id for one in plan.answers}
        left |= set() if plan.here is None else {plan.here.hook.id}
        account = planner.access.account
        for emptied in await self._storage.read(lambda tx: tx.hooks.these(left - {hook.id})):
            await self._webhooks.remover.remove_unused(
                emptied,
                None if account is None else account.id,
                by=by_person(planner.request.actor.id),
            )


def _with_more(
    webhook: Ensured | EnsureFailed | None, again: Ensured | EnsureFailed | None
) -> Ensured | EnsureFailed | None:
    """What was done to a webhook, with what it sends since other channels joined."""
    if isinstance(webhook, Ensured) and isinstance(again, Ensured):
        return replace(webhook, triggers=again.triggers, refused=again.refused)
    return again or webhook


def _lacking(entry: Followed, webhook: Ensured | EnsureFailed | None) -> tuple[EventKind, ...]:
    if not isinstance(webhook, Ensured) or entry.subscription.is_paused_for_rights:
        return ()
    not_lacking = (*webhook.triggers, *webhook.refused)
    return events_lacking(entry.subscription.options, not_lacking)


def _begins_live(here: Followed | None, now: Followed) -> bool:
    """Whether it is live through another account than before, or was not live before."""
    if not now.hook.is_heard or now.is_unread:
        return False
    before = here is not None and here.hook.is_heard and here.subscription.account_id
    return before != now.subscription.account_id


def _change(here: Followed | None, options: SubscriptionOptions) -> SubscribeChange:
    if here is None:
        return SubscribeChange.NEW
    return (
        SubscribeChange.UNCHANGED
        if here.subscription.options == options
        else SubscribeChange.CHANGED
    )
