"""What a project's webhook is like at Speckle, for somebody who asks in Discord."""

from bot.model import HookKind, InboxSource
from bot.permissions import Actor
from bot.services.access_rules import DecideAccess, Show
from bot.services.subscribe_results import Followed
from bot.services.token_lending import TokenLender
from bot.services.webhook_results import EnsureFailed, WebhookLook
from bot.services.webhooks import WebhookService


class WebhookLooks:
    """Chooses whose account looks. `decide_access` is the one rule of who may see what."""

    def __init__(
        self, webhooks: WebhookService, lender: TokenLender, decide_access: DecideAccess
    ) -> None:
        self._webhooks = webhooks
        self._lender = lender
        self._decide_access = decide_access

    async def of(self, entry: Followed, actor: Actor) -> WebhookLook | EnsureFailed | None:
        """The webhook that brings an entry's events, seen with the first account that may see it.

        That is the one that made it, for who manages the channel; the actor's own; the channel's,
        where the rule gives leave to read with it. A failure says why the first may not; None
        where there is none, or where no webhook of the guild's own brings the events.
        """
        if entry.hook.kind is not HookKind.OWN or entry.hook.is_heard:
            return None
        manages = actor.manages(entry.subscription.channel_id)
        own = await self._lender.of_user(actor.id, entry.hook.server_url)
        ids = (
            entry.hook.account_id if manages else None,
            None if own is None else own.id,
            await self._account_that_reads(entry),
        )
        return await self._webhooks.look(entry.hook, [one for one in ids if one is not None])

    async def _account_that_reads(self, entry: Followed) -> int | None:
        subscription = entry.subscription
        if subscription.is_paused_for_rights:  # until somebody has answered for the channel again
            return None
        decisions = await self._decide_access(entry.hook, [subscription], InboxSource.WEBHOOK)
        decision = decisions.get(subscription.id)
        permit = decision.permit if isinstance(decision, Show) else None
        return None if permit is None else permit.account_id
