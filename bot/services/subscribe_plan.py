"""What /subscribe is going to do, decided out of what is known, before anything is changed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from bot.model import Consent, Entitlement, Hook, HookKind, HookState, PauseWhy, Subscription
from bot.permissions import Audience
from bot.services.access_rules import LiveFor
from bot.services.consent_check import ProjectAccess, exceeds, needs_consent
from bot.services.project_followers import ProjectFollowers
from bot.services.refusals import CommandRefused, ProjectNotPublic, ProjectNotSeen
from bot.services.subscribe_results import Followed, NeedsAccount, NeedsConsent, SubscribeRequest
from bot.services.webhook_results import EnsureProblem
from bot.speckle.subscription_options import SubscriptionOptions

MOST_NAMED = 25  # other channels in one question: Discord's limit for a select


@dataclass(frozen=True, slots=True)
class SubscribePlan:
    """What is to be done for a channel.

    `hook` is None for a new one of `kind`. `consent` is a new answer, None if there is to be none
    or an earlier one stays; with it, `account_id` reads for the channel. `pause`: the change goes
    beyond what was agreed to. `makes`: the caller's account makes the webhook, or looks after it.
    `listens`: the caller's account hears of the project. `answers` are other subscriptions that the
    consent is about, `unanswered` those that it is not and that would see more, too.
    """

    options: SubscriptionOptions
    here: Followed | None
    hook: Hook | None
    kind: HookKind = HookKind.OWN
    consent: Consent | None = None
    account_id: int | None = None
    pause: PauseWhy | None = None
    makes: bool = False
    answers: tuple[Subscription, ...] = ()
    unanswered: tuple[Subscription, ...] = ()
    listens: bool = False


Planned = SubscribePlan | NeedsAccount | NeedsConsent


@dataclass(frozen=True, slots=True)
class Planner:
    """Decides for one request; `served`: the guild has the operator's shared webhook."""

    request: SubscribeRequest
    server_url: str
    project_id: str
    options: SubscriptionOptions
    access: ProjectAccess
    followed: ProjectFollowers
    served: bool
    live_for: LiveFor
    now: datetime

    def plan(self) -> Planned:
        """What to do, or what has to be known first. Errors: CommandRefused."""
        here = self.followed.at(self.request.channel.channel_id)
        return self._new() if here is None else self._change(here)

    # ── a channel that does not follow the project yet ────────────────────────────────────────

    def _new(self) -> Planned:
        self._check_seen()
        entitlement = self._entitlement(None)
        hook = self._to_join(entitlement)
        if hook is not None or self.access.sees or (self.served and entitlement is not None):
            return self._answer(entitlement, None, hook)
        if self.served:
            raise CommandRefused(ProjectNotPublic(self.server_url))
        if not self.request.by_hand:
            return self._needs_account()
        actor = self.request.actor
        return SubscribePlan(
            self.options, None, self.followed.begun_by(actor) if actor.manages_guild else None
        )

    def _to_join(self, entitlement: Entitlement | None) -> Hook | None:
        """The hook that a further channel follows the project through; None for a new one."""
        all_there = self.followed
        if entitlement is None:
            return None
        if (self.access.sees or not self.access.is_private) and all_there.made:
            return all_there.made
        if self.served and all_there.shared:
            return all_there.shared
        account = self.access.account
        mine = None if account is None else all_there.unfinished(account.id)
        listening = all_there.listening if self.may_listen else None
        if self._can_make and not self.served:
            return mine or all_there.listening
        if self.access.sees or not self.access.is_private:
            return all_there.live_by_hand or listening or mine
        return all_there.open_to_manager(self.request.actor)

    # ── a channel that follows it already ─────────────────────────────────────────────────────

    def _change(self, here: Followed) -> Planned:
        request, subscription = self.request, here.subscription
        blocked = request.resume and (subscription.is_paused_for_rights or here.is_unread)
        if blocked:
            self._check_seen(here=True)
        wanted = replace(subscription, options=self.options)
        why = self._exceeds(wanted, here.hook)
        by_hand = here.hook.is_by_hand
        more = request.resume and (self._adds_an_account(subscription) or self._gets_shared(here))
        unowned = by_hand or (here.hook.is_heard and not _owner_answered(subscription))
        makes_it = request.resume and unowned and self._makes(here.hook)
        hears_it = request.resume and self._hears_instead(here.hook)
        plain = SubscribePlan(
            self.options, here, here.hook, makes=not by_hand and self._makes(here.hook)
        )
        renewed = None if blocked else self._renewed(here, why)
        if renewed is not None:
            return replace(plain, consent=renewed)
        entitlement = self._entitlement(here)
        owns = self._can_make and not by_hand and self._widens(subscription)
        changes = more or makes_it or hears_it or owns or why is not None
        if here.hook.is_heard and not self._brings(here.hook):
            # Whose account is not to be heard does not answer in place of one that is, and may
            # have a webhook set up instead.
            changes = False
            entitlement = entitlement if self.access.sees else None
        if entitlement is not None and (blocked or changes):
            return self._answer(entitlement, here, self._home(here))
        if blocked:
            return replace(self._needs_account(), paused=True)
        return replace(plain, pause=None if subscription.is_paused_for_rights else why)

    def _exceeds(self, subscription: Subscription, hook: Hook) -> PauseWhy | None:
        audience = self.request.channel.audience
        return exceeds(subscription, hook, self.access.everyone, audience, self.now)

    def _adds_an_account(self, subscription: Subscription) -> bool:
        return self.access.sees and subscription.account_id is None and not self.request.by_hand

    def _gets_shared(self, here: Followed) -> bool:
        """Whether it waits for a webhook by hand, while the operator's brings the events now."""
        return self.served and here.hook.is_by_hand and here.hook.state is HookState.WAITING

    def _home(self, here: Followed) -> Hook | None:
        """The hook that it continues with; None for a new one."""
        if here.hook.is_by_hand and self.access.sees and self.followed.made is not None:
            return self.followed.made
        if self._gets_shared(here):
            return self.followed.shared
        if here.hook.is_heard and not self._brings(here.hook):
            account = self.access.account
            mine = None if account is None else self.followed.unfinished(account.id)
            return self.followed.live_by_hand or mine
        if self._hears_instead(here.hook) and not self._is_mine(here.hook):
            return self.followed.listening
        return here.hook

    def _hears_instead(self, hook: Hook) -> bool:
        """Whether the caller's account hears of it, while a webhook by hand is waited for."""
        waits = hook.is_by_hand and hook.state is HookState.WAITING
        return waits and self.may_listen and not self._can_make and not self.served

    def _brings(self, hook: Hook) -> bool:
        """Whether the caller's account hears of it through this hook, or makes its webhook."""
        return self._listens(hook) or self._makes(hook)

    def _is_mine(self, hook: Hook) -> bool:
        """Whether a hook has no other channels than those of the caller's account, and this one."""
        account, here = self.access.account, self.request.channel.channel_id
        return all(
            one.channel_id == here or (account is not None and one.account_id == account.id)
            for one in self.followed.through(hook)
        )

    def _renewed(self, here: Followed, why: PauseWhy | None) -> Consent | None:
        """The answer with wider options, if the caller gave it and may still; else None."""
        subscription, consent = here.subscription, here.subscription.consent
        if why not in (None, PauseWhy.FILTERS_WIDER) or consent is None:
            return None
        if not self._widens(subscription):
            return None
        if consent.by != self.request.actor.id or not self._may_still(subscription, consent):
            return None
        wider = replace(consent, options=self.options)
        wanted = replace(subscription, options=self.options, consent=wider)
        if self._exceeds(wanted, here.hook) is not None:  # there is more to be agreed to
            return None
        return replace(
            wider,
            at=self.now,
            entitlement=self.access.entitlement or consent.entitlement,
            audience=self.request.channel.audience or consent.audience,
        )

    def _widens(self, subscription: Subscription) -> bool:
        """Whether the filters let through more than was agreed to; matters for public ones, too.

        By what its answers cover it is known which events a webhook of the bot's making sends.
        """
        consent = subscription.consent
        return consent is None or self.options.widens(consent.options)

    def _may_still(self, subscription: Subscription, consent: Consent) -> bool:
        if consent.entitlement in (Entitlement.OWNER, Entitlement.READER):
            account_id = None if self.access.account is None else self.access.account.id
            return self.access.sees and subscription.account_id in (None, account_id)
        return consent.entitlement is Entitlement.ANYONE or self.request.actor.manages_guild

    # ── the answer ────────────────────────────────────────────────────────────────────────────

    def _entitlement(self, here: Followed | None) -> Entitlement | None:
        """What the caller may answer as; None if they may not."""
        if self.access.entitlement is not None:
            return self.access.entitlement
        public = not self.access.is_private
        if self.request.actor.manages_guild and (public or self._manager_may(here)):
            return Entitlement.MANAGER
        return Entitlement.ANYONE if public else None

    def _manager_may(self, here: Followed | None) -> bool:
        """Whether it is up to those who manage the server: nobody linked an account."""
        actor = self.request.actor
        if here is None:
            return self.served or self.followed.open_to_manager(actor) is not None
        alone = self.served or self.followed.nobody_linked(here.hook, actor)
        return alone and here.subscription.account_id is None

    def _answer(
        self, entitlement: Entitlement | None, here: Followed | None, hook: Hook | None
    ) -> Planned:
        assert entitlement is not None, "only who may answer is asked"  # noqa: S101
        new_shared = hook is None and self.served
        kind = HookKind.SHARED if new_shared else HookKind.OWN
        makes = not new_shared and self._makes(hook)
        uncovered = self._uncovered(hook) if makes else []
        named = self._named(uncovered)
        agreed = self.request.agreed
        if self.access.is_private and agreed is None:
            name = None if self.access.project is None else self.access.project.name
            others = len(uncovered) - len(named)
            return NeedsConsent(self.request, self.server_url, self.project_id, name, named, others)
        answers = [one for one in uncovered if agreed is not None and one.channel_id in agreed]
        return SubscribePlan(
            self.options,
            here,
            hook,
            kind,
            self.consent(entitlement, self.options, self._audience(agreed)),
            None if self.access.account is None else self.access.account.id,
            makes=makes,
            listens=not makes and not new_shared and self._listens(hook),
            answers=tuple(answers),
            unanswered=tuple(one for one in uncovered if one not in answers),
        )

    def _audience(self, agreed: Mapping[int, Audience | None] | None) -> Audience | None:
        target = self.request.channel
        return target.audience if agreed is None else agreed.get(target.channel_id)

    def consent(
        self, entitlement: Entitlement, options: SubscriptionOptions, audience: Audience | None
    ) -> Consent:
        """The caller's answer for one channel."""
        here = self.request.channel.audience
        if audience is not None and here is not None:
            audience = replace(audience, people=here.people)  # in the server, at this moment
        return Consent(
            self.request.actor.id,
            self.now,
            entitlement,
            options,
            self.access.visibility,
            audience,
            None if self.access.project is None else self.access.project.name,
        )

    def _uncovered(self, hook: Hook | None) -> list[Subscription]:
        """Other channels that would see more once the caller's account has made the webhook."""
        if not self.access.is_private or not (hook is None or hook.is_by_hand):
            return []
        return [
            one.subscription
            for one in self.followed.entries
            if one.subscription.channel_id != self.request.channel.channel_id
            and one.hook.is_by_hand
            and needs_consent(one.subscription, one.hook, self.access.everyone, self.now)
        ]

    def _named(self, uncovered: list[Subscription]) -> dict[int, Audience]:
        """Those that the caller sees: nobody answers for a channel that they cannot look into."""
        named: dict[int, Audience] = {}
        for one in uncovered:
            audience = self.request.audience_of(one.channel_id)
            seen = audience is not None and self.request.actor.sees(one.channel_id)
            if audience is not None and seen and len(named) < MOST_NAMED:
                named[one.channel_id] = audience
        return named

    # ── who may ───────────────────────────────────────────────────────────────────────────────

    @property
    def _can_make(self) -> bool:
        can = self.access.sees and self.access.cannot_make is None
        return can and not self.request.by_hand

    @property
    def may_listen(self) -> bool:
        """Whether the operator lets the caller's account hear of the project."""
        owner = self.access.entitlement is Entitlement.OWNER
        allowed = self.live_for.allows(private=self.access.is_private, owner=owner)
        return self.access.sees and allowed and not self.request.by_hand

    def not_live(self, hook: Hook) -> LiveFor | None:
        """Of which projects accounts may hear, where that is why this hook waits for a webhook."""
        waits = hook.is_by_hand and hook.state is HookState.WAITING
        asks = waits and self.access.sees and not self.request.by_hand
        return self.live_for if asks and not self.may_listen else None

    def _listens(self, hook: Hook | None) -> bool:
        """Whether the caller's account hears of it through this hook, or a new one."""
        fits = hook is None or hook.listens or self._hears_instead(hook)
        return fits and self.may_listen

    def _makes(self, hook: Hook | None) -> bool:
        return self._can_make and (hook is None or hook.kind is HookKind.OWN)

    def _check_seen(self, *, here: bool = False) -> None:
        """Refuse a member whose linked account may not see the project."""
        manages = self.served and self.request.actor.manages_guild
        if self.access.why is EnsureProblem.NOT_OWNER and self.access.is_private and not manages:
            raise CommandRefused(ProjectNotSeen(self.server_url, here))

    def _needs_account(self) -> NeedsAccount:
        return NeedsAccount(self.request, self.server_url, self.access.why, self.access.detail)


def _owner_answered(subscription: Subscription) -> bool:
    """Whether an owner of the project answered for it, so that a webhook sends what it wants."""
    consent = subscription.consent
    return consent is not None and consent.entitlement is Entitlement.OWNER
