"""/subscribe: what has to be known and agreed before a channel follows a project, and doing it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias
from weakref import WeakValueDictionary

from bot.db.rows import (
    Hook,
    HookKind,
    HookState,
    Paused,
    PauseReason,
    Subscription,
    SubscriptionState,
)
from bot.model import PauseWhy, Standing
from bot.rights.decide import is_by_hand
from bot.services.consents import Look, Looking
from bot.services.errors import CommandRefused
from bot.services.followed import followed
from bot.services.names import is_paused_for_rights
from bot.services.outcomes import (
    AudienceOf,
    Change,
    Entry,
    LinkFirst,
    Resumed,
    ShowFirst,
    Subscribed,
    SubscribeRequest,
)
from bot.services.places import Caller, Place, check_caller, check_place
from bot.services.plans import Plan, Planner
from bot.services.quotas import QuotaService
from bot.services.setup import SetUp, kinds_wanted, triggers_to_tick
from bot.services.subscriptions import SubscriptionService, may_see_secret
from bot.services.triggers import events_lacking
from bot.services.typed import options_from, read_link
from bot.services.webhooks import Kept, NotKept
from bot.speckle.events import EventKind
from bot.speckle.links import Links, SpeckleLink
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage, Transaction

Outcome: TypeAlias = Subscribed | LinkFirst | ShowFirst


class Subscribing:
    """Lets a place follow a project; or says what the caller is to decide before.

    Errors: CommandRefused, ready for the caller.
    """

    def __init__(
        self,
        storage: Storage,
        subscriptions: SubscriptionService,
        looking: Looking,
        now: Callable[[], datetime],
        quotas: QuotaService | None = None,
    ) -> None:
        """Without `quotas` no guild has any."""
        self._storage = storage
        self._quotas = quotas or QuotaService(storage, None, now=now)
        self._subscriptions = subscriptions
        self._webhooks = subscriptions.webhooks
        self._servers = subscriptions.servers
        self._served_guilds = subscriptions.served_guilds
        self._looking = looking
        self._now = now
        # Two owners at once are to make one webhook. Speckle is asked while one of these is held,
        # so each project of a guild has its own.
        self._projects: WeakValueDictionary[tuple[int, str, str], asyncio.Lock] = (
            WeakValueDictionary()
        )

    async def subscribe(self, request: SubscribeRequest) -> Outcome:
        """Let the place follow the project, or change what it follows of it."""
        check_caller(request.caller, request.place.channel_id)
        check_place(request.place, "use `/subscribe` again")
        link = read_link(request.project, self._servers)
        server_url = link.server_url or await self._server_of(request, link.project_id)
        options_from(request, link)  # what was mistyped is said before anybody is asked
        look = await self._looking.look(request.caller.id, server_url, link.project_id)
        async with self._one_at_a_time(request.guild_id, server_url, link.project_id):
            planner = await self._planner(request, replace(link, server_url=server_url), look)
            plan = planner.plan()
            return await self._do(planner, plan) if isinstance(plan, Plan) else plan

    async def _server_of(self, request: SubscribeRequest, project_id: str) -> str:
        """The server that a bare id means: where the caller's channels follow it, or the first."""
        listed = await self._subscriptions.listing(request.guild_id, request.caller)
        there = {one.hook.server_url for one in listed if one.hook.project_id == project_id}
        return there.pop() if len(there) == 1 else self._servers[0]

    async def _planner(self, request: SubscribeRequest, link: SpeckleLink, look: Look) -> Planner:
        server_url = link.server_url or self._servers[0]
        there = await followed(self._storage, request.guild_id, server_url, link.project_id)
        here = there.at(request.place.channel_id)
        if here is not None and await self._subscriptions.right_kind(here.hook) != here.hook:
            return await self._planner(request, link, look)
        # What else is refused for want of room is known when there is a plan.
        await self._quotas.check_room(request.guild_id, subscription=here is None)
        return Planner(
            request,
            server_url,
            link.project_id,
            options_from(request, link, None if here is None else here.subscription.options),
            look,
            there,
            request.guild_id in self._served_guilds,
            self._now(),
        )

    def _one_at_a_time(self, guild_id: int, server_url: str, project_id: str) -> asyncio.Lock:
        return self._projects.setdefault((guild_id, server_url, project_id), asyncio.Lock())

    # ── doing it ──────────────────────────────────────────────────────────────────────────────

    async def _do(self, planner: Planner, plan: Plan) -> Subscribed:
        request, here = planner.request, plan.here
        async with self._subscriptions.changing:
            await self._quotas.check_room(
                request.guild_id, subscription=here is None, hook=plan.hook is None
            )
            hook = plan.hook or await self._new_hook(planner, plan.kind)
            before = await self._storage.read(lambda tx: tx.subscriptions.of_hook(hook.id))
            consent = plan.consent
            if here is not None and here.hook.id != hook.id and consent is not None:
                moved = here.subscription.id
                await self._storage.write(
                    lambda tx: tx.subscriptions.answered(moved, consent, hook_id=hook.id)
                )
            new = await self._keep_subscription(hook, request, plan)
        if (visibility := planner.look.everyone.visibility) is not None:
            await self._storage.write(lambda tx: tx.hooks.saw_visibility(hook.id, visibility))
        kept = 0
        resumed = False
        if plan.pause is not None:
            await self._pause(new.id, plan.pause)
        elif new.state is SubscriptionState.PAUSED and request.resume:
            kept = await self._storage.read(lambda tx: tx.held.count([new.id]))
            resumed = True
            await self._storage.write(
                lambda tx: tx.subscriptions.set_state(new.id, SubscriptionState.ACTIVE)
            )
        webhook = await self._see_to_webhook(hook, planner, plan)
        also, unanswered = await self._answer_others(hook, planner, plan, webhook)
        if also:
            webhook = _with_more(webhook, await self._webhooks.keep(hook.id))
        await self._clear_away(hook, planner, plan)
        entry = await self._subscriptions.entry_of(new.id, request.guild_id)
        entry, setup = await self._setup_for(entry, request.caller)
        return Subscribed(
            entry=entry,
            change=_change(here, plan.options),
            old_options=here.subscription.options if here else None,
            resumed=resumed,
            setup=setup,
            new_triggers=_new_triggers(before, plan.options),
            webhook=webhook,
            also=also,
            unanswered=unanswered,
            lacking=_lacking(entry, webhook),
            paused=plan.pause if is_paused_for_rights(entry.subscription) else None,
            kept=kept,
        )

    async def _new_hook(self, planner: Planner, kind: HookKind) -> Hook:
        request = planner.request
        return await self._storage.write(
            lambda tx: tx.hooks.create(
                guild_id=request.guild_id,
                server_url=planner.server_url,
                project_id=planner.project_id,
                kind=kind,
                created_by=request.caller.id,
                setup_channel_id=request.place.channel_id,
            )
        )

    async def _keep_subscription(
        self, hook: Hook, request: SubscribeRequest, plan: Plan
    ) -> Subscription:
        _, new = await self._storage.write(
            lambda tx: tx.subscriptions.upsert(
                hook.id,
                request.place.channel_id,
                plan.options,
                request.caller.id,
                plan.account_id,
                plan.consent,
            )
        )
        return new

    async def _pause(self, subscription_id: int, why: PauseWhy) -> None:
        """Stop it, with a notice to whoever made it; what waits to be sent is kept as events."""
        pause = Paused(PauseReason.ASK_AGAIN, why)
        await self._storage.write(lambda tx: tx.held.withdraw(subscription_id, self._now(), pause))

    async def _see_to_webhook(
        self, hook: Hook, planner: Planner, plan: Plan
    ) -> Kept | NotKept | None:
        """Have the webhook made, or follow what the channels want now, if it is the bot's."""
        look = planner.look
        if hook.kind is HookKind.SHARED:
            return None
        if plan.makes and look.account is not None:
            kept = await self._webhooks.keep(hook.id, look.account.id)
            works_by_hand = is_by_hand(hook) and hook.state is HookState.LIVE
            return None if works_by_hand and isinstance(kept, NotKept) else kept
        if not is_by_hand(hook):
            return await self._webhooks.keep(hook.id)
        waits = hook.state is HookState.WAITING
        return look.cannot_make if waits and not planner.request.by_hand else None

    async def _answer_others(
        self, hook: Hook, planner: Planner, plan: Plan, webhook: Kept | NotKept | None
    ) -> tuple[tuple[int, ...], int]:
        """Note the answer for the other channels that it covers, and stop those it does not.

        Gives the former, and how many the latter are. Without a webhook nothing changes for them.
        """
        account = planner.look.account
        if account is None or not isinstance(webhook, Kept):
            return (), 0
        agreed = planner.request.agreed or {}

        def note(tx: Transaction) -> None:
            for one in plan.answers:
                consent = planner.consent(Standing.OWNER, one.options, agreed.get(one.channel_id))
                tx.subscriptions.answered(one.id, consent, hook_id=hook.id)
                if is_paused_for_rights(one):
                    tx.subscriptions.set_state(one.id, SubscriptionState.ACTIVE)

        await self._storage.write(note)
        unanswered = [one for one in plan.unanswered if one.hook_id == hook.id]
        for one in unanswered:
            await self._pause(one.id, PauseWhy.NOT_ANSWERED)
        return tuple(one.channel_id for one in plan.answers), len(unanswered)

    async def _clear_away(self, hook: Hook, planner: Planner, plan: Plan) -> None:
        """Remove hooks by hand that this left without channels."""
        left = {one.hook_id for one in plan.answers}
        left |= set() if plan.here is None else {plan.here.hook.id}
        account = planner.look.account
        for emptied in await self._storage.read(lambda tx: tx.hooks.these(left - {hook.id})):
            await self._webhooks.clear_away(emptied, None if account is None else account.id)

    async def _setup_for(self, entry: Entry, caller: Caller) -> tuple[Entry, SetUp | None]:
        """What is left to do by hand, if the caller may see it; the entry as it is by then.

        A secret that no key opens makes way for a new one.
        """
        unopenable = entry.hook.unopenable
        waits = entry.hook.state is HookState.WAITING or unopenable
        if not is_by_hand(entry.hook) or not waits:
            return entry, None
        on_it = await self._storage.read(lambda tx: tx.subscriptions.of_hook(entry.hook.id))
        if not may_see_secret(entry.hook, on_it, caller):
            return entry, None
        if unopenable:
            entry = await self._subscriptions.started_again(entry)
        return entry, await self._subscriptions.set_up(entry, renewed=unopenable)

    # ── a channel that is paused because of who may see the project ───────────────────────────

    async def resume(
        self,
        guild_id: int,
        caller: Caller,
        subscription_id: int,
        place: Place,
        audience_of: AudienceOf,
    ) -> Outcome | Entry:
        """Show events again; the bot's permissions in the channel are looked at first.

        Where it was paused for who may see the project, the caller answers for that.
        """
        entry = await self._subscriptions.entry(guild_id, caller, subscription_id)
        check_place(place, "press *Resume* again")
        if not is_paused_for_rights(entry.subscription):
            return await self._subscriptions.resume(guild_id, caller, subscription_id, place)
        return await self.subscribe(_again(entry, caller, place, audience_of))

    async def take_over(
        self,
        guild_id: int,
        caller: Caller,
        place: Place,
        audience_of: AudienceOf,
    ) -> Resumed | LinkFirst | ShowFirst:
        """Let a channel go on wherever it was paused for who may see a project.

        Gives the first question that is to be answered before, if there is one. What the caller
        may not see stays paused. Errors: CommandRefused if that is all.
        """
        check_caller(caller, place.channel_id)
        check_place(place, "press the button again")
        there = await self._storage.read(lambda tx: tx.subscriptions.of_channel(place.channel_id))
        done: list[Subscribed] = []
        refused: CommandRefused | None = None
        for one in there:
            if one.guild_id != guild_id or not is_paused_for_rights(one):
                continue
            entry = await self._subscriptions.entry_of(one.id, guild_id)
            try:
                outcome = await self.subscribe(_again(entry, caller, place, audience_of))
            except CommandRefused as error:
                refused = error
                continue
            if not isinstance(outcome, Subscribed):
                return outcome
            done.append(outcome)
        if refused is not None and not done:
            raise refused
        entries = tuple(one.entry for one in done)
        return Resumed(place.channel_id, entries, sum(one.kept for one in done))


def _again(entry: Entry, caller: Caller, place: Place, audience_of: AudienceOf) -> SubscribeRequest:
    """The same that the channel follows already, to be answered for."""
    project = Links(entry.hook.server_url).project(entry.hook.project_id)
    guild_id = entry.subscription.guild_id
    return SubscribeRequest(guild_id, caller, place, project, audience_of=audience_of)


def _with_more(
    webhook: Kept | NotKept | None, again: Kept | NotKept | None
) -> Kept | NotKept | None:
    """What was done to a webhook, with what it sends since other channels joined."""
    if isinstance(webhook, Kept) and isinstance(again, Kept):
        return replace(webhook, triggers=again.triggers)
    return again or webhook


def _lacking(entry: Entry, webhook: Kept | NotKept | None) -> tuple[EventKind, ...]:
    if not isinstance(webhook, Kept) or is_paused_for_rights(entry.subscription):
        return ()
    return events_lacking(entry.subscription.options, webhook.triggers)


def _new_triggers(before: Sequence[Subscription], options: SubscriptionOptions) -> tuple[str, ...]:
    """What has to be ticked on Speckle's page for these options, besides what there was."""
    had = triggers_to_tick(kinds_wanted(one.options for one in before))
    return tuple(name for name in triggers_to_tick(kinds_wanted([options])) if name not in had)


def _change(here: Entry | None, options: SubscriptionOptions) -> Change:
    if here is None:
        return Change.NEW
    return Change.UNCHANGED if here.subscription.options == options else Change.CHANGED
