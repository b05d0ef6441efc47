"""The webhook of a guild's own hook, made and kept right at Speckle with a linked account.

The database is changed first and Speckle is made to follow, so a kill in between leaves something
that the next check repairs: a webhook is found by its URL before one is made, and one that is to go
stays noted until it is gone.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

import structlog

from bot.audit import BY_BOT, AuditActor
from bot.errors import (
    ACCOUNT_REFUSED,
    SpeckleError,
    SpeckleNotFound,
    SpeckleRejected,
    SpeckleScopeMissing,
)
from bot.model import Account, Hook, HookKind, HookState, HookTrouble
from bot.services.public_url import ProbeResult, PublicUrlProbe
from bot.services.token_lending import SpeckleCall, TokenLender
from bot.services.webhook_remover import READ_WITHIN_S, ProjectWebhooks, WebhookRemover, leads_to
from bot.services.webhook_results import (
    TROUBLES,
    Ensured,
    EnsureFailed,
    EnsureProblem,
    WebhookChange,
    WebhookLook,
    problem_of,
)
from bot.services.webhook_triggers import triggers_for
from bot.speckle.event_subjects import is_of_issue
from bot.speckle.tokens import TokenScope
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.types import CallStatus, ProjectRights, SpeckleWebhook, WebhookHistory
from bot.storage import Storage
from bot.vault import fresh_secret

log = structlog.get_logger()

T = TypeVar("T")

CALLS_LOOKED_AT = 100  # of a webhook's history, without what was sent: 120 bytes each
MOST_WEBHOOKS = 100  # of one project; a Speckle Server 2.31 refuses the next


class WebhookService:
    """Makes, changes and repairs webhooks at Speckle; its `remover` removes them.

    `describe_webhook` gives what a webhook says of itself, by guild id.
    """

    def __init__(
        self,
        storage: Storage,
        client: SpeckleClient,
        lender: TokenLender,
        probe: PublicUrlProbe,
        *,
        describe_webhook: Callable[[int], str],
        now: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._client = client
        self._lender = lender
        self._probe = probe
        self._describe_webhook = describe_webhook
        self._at_speckle = ProjectWebhooks(client, lender)
        self.remover = WebhookRemover(storage, self._at_speckle, now)

    # ── rights ────────────────────────────────────────────────────────────────────────────────

    async def rights(self, account: Account, project_id: str) -> ProjectRights:
        """What a person may do in a project, asked now. Errors: SpeckleError."""
        return await self._lender.as_account(
            account.id,
            lambda login: self._client.project(login, project_id, within_s=READ_WITHIN_S),
        )

    async def why_not_made(self, account: Account, rights: ProjectRights) -> EnsureFailed | None:
        """Why this account cannot make the project's webhook; None if it can."""
        if not rights.may_webhooks:
            owners = await self._owners(account, rights.id)
            return EnsureFailed(EnsureProblem.NOT_OWNER, rights.why_not or "", owners)
        if TokenScope.STREAMS_WRITE not in account.scopes:
            return EnsureFailed(EnsureProblem.NO_SCOPE, TokenScope.STREAMS_WRITE)
        result = await self._probe.check(account.server_url)
        return (
            None
            if result.problem is None
            else EnsureFailed(EnsureProblem.UNREACHABLE, result=result)
        )

    async def _owners(self, account: Account, project_id: str) -> tuple[str, ...]:
        try:
            return await self._lender.as_account(
                account.id,
                lambda login: self._client.owners(login, project_id, within_s=READ_WITHIN_S),
            )
        except SpeckleError:
            return ()

    # ── looking ───────────────────────────────────────────────────────────────────────────────

    async def look(
        self, hook: Hook, account_ids: Iterable[int]
    ) -> WebhookLook | EnsureFailed | None:
        """What the hook's webhook is like at Speckle, with the first account that may see that.

        Nothing is changed. Without one it is why the first may not, None if there is none.
        """
        failed: EnsureFailed | None = None
        for account_id in dict.fromkeys(account_ids):
            try:
                return await self._look(hook, account_id)
            except SpeckleError as error:
                failed = failed or _ensure_failed(error, hook)
        return failed

    async def _look(self, hook: Hook, account_id: int) -> WebhookLook:
        mine = _mine(await self._at_speckle.of(account_id, hook.project_id), hook)
        if not mine:
            return WebhookLook(there=False)
        there, *duplicates = mine
        history = await self._history(hook, account_id, there.id, CALLS_LOOKED_AT)
        return WebhookLook(
            there=True,
            enabled=there.enabled,
            right_address=self._probe.public_url is None or there.url == self._url(hook),
            has_secret=there.has_secret,
            triggers=there.triggers,
            duplicates=len(duplicates),
            calls=history.calls,
            total=history.total,
        )

    async def reachable(self, server_url: str) -> ProbeResult:
        """Whether a Speckle server's webhooks would reach this bot."""
        return await self._probe.check(server_url)

    # ── make, change, repair ──────────────────────────────────────────────────────────────────

    async def ensure(
        self,
        hook_id: int,
        account_id: int | None = None,
        *,
        new_secret: bool = False,
        reconciling: bool = False,
        by: AuditActor = BY_BOT,
    ) -> Ensured | EnsureFailed | None:
        """Have the hook's webhook as its channels want it now; `by` is who wants that.

        With an account, one is made if there is none; without, only what the bot made before is
        looked after. None if there is nothing of the bot's to look after. One that is made or
        found gets a secret that nobody has seen, as with `new_secret`; earlier ones are void as
        soon as Speckle has it. `reconciling`: nothing was changed on this side, so what differs was
        done there.
        """
        hook = await self._storage.read(lambda tx: tx.hooks.get(hook_id))
        if hook is None or hook.key is None:
            return None
        async with self._at_speckle.locked(hook.key):
            hook = await self._storage.read(lambda tx: tx.hooks.get(hook_id))
            if hook is None or hook.kind is not HookKind.OWN or hook.state is HookState.CLOSED:
                return None
            made_with = hook.account_id if hook.webhook_id is not None else None
            candidates = [one for one in dict.fromkeys((made_with, account_id)) if one is not None]
            ensured = await self._ensure_with_any(candidates, hook, new_secret, reconciling, by)
            # What somebody else's account cannot do says nothing of the one that made it.
            if isinstance(ensured, Ensured) or account_id is None:
                await self._note_trouble(hook, ensured)
            return ensured

    async def _note_trouble(self, hook: Hook, ensured: Ensured | EnsureFailed | None) -> None:
        """Keep whether the webhook can be looked after, where that was found out now."""
        match ensured:
            case Ensured():
                trouble = HookTrouble.SWITCHED_OFF if ensured.switched_off else None
            case EnsureFailed() if ensured.why in TROUBLES:
                trouble = TROUBLES[ensured.why]
            case _:
                return
        if trouble is not hook.trouble:
            log.info("webhooks.trouble", hook_id=hook.id, trouble=trouble and trouble.value)
            await self._storage.write(lambda tx: tx.hooks.record_trouble(hook.id, trouble))

    async def _ensure_with_any(
        self,
        account_ids: Sequence[int],
        hook: Hook,
        new_secret: bool,
        reconciling: bool,
        by: AuditActor,
    ) -> Ensured | EnsureFailed | None:
        failed: EnsureFailed | None = None
        for account_id in account_ids:
            try:
                return await self._ensure(hook, account_id, new_secret, reconciling, by)
            except ACCOUNT_REFUSED as error:
                failed = _ensure_failed(error, hook)
            except SpeckleError as error:
                failed = _ensure_failed(error, hook)
                break
        if failed is not None:
            log.warning(
                "webhooks.not_ensured",
                hook_id=hook.id,
                why=failed.why.value,
                detail=failed.detail,
            )
        return failed

    async def _ensure(
        self, hook: Hook, account_id: int, new_secret: bool, reconciling: bool, by: AuditActor
    ) -> Ensured | EnsureFailed | None:
        subscriptions = await self._storage.read(lambda tx: tx.subscriptions.of_hook(hook.id))
        if not subscriptions:
            return None
        try:
            found = await self._at_speckle.of(account_id, hook.project_id)
        except SpeckleNotFound as error:
            made = hook.webhook_id is not None
            return EnsureFailed(EnsureProblem.PROJECT_GONE, error.reason, made=made)
        mine = _mine(found, hook)
        triggers = triggers_for(subscriptions, mine[0].triggers if mine else ())
        if not mine:
            return await self._create(hook, account_id, triggers, len(found), by)
        there, *duplicates = mine
        for duplicate in duplicates:
            await self._at_speckle.delete(account_id, hook.project_id, duplicate.id)
        adopted = there.id != hook.webhook_id
        # The person who entered the secret by hand knows it, and may have no access.
        secret = fresh_secret() if new_secret or adopted or hook.unopenable else None
        if secret is None and await self._speckle_lacks_it(hook, account_id, there, reconciling):
            secret = hook.secrets[0]
        ensured = await self._repair(hook, account_id, there, triggers, secret, reconciling)
        if isinstance(ensured, EnsureFailed):
            return ensured
        await self._note(hook, account_id, there.id, secret, by)
        if ensured.repaired:
            what = ensured.repaired
            await self._storage.write(lambda tx: tx.hooks.record_repair(hook.id, what), by=by)
        return replace(
            ensured,
            change=WebhookChange.FOUND if adopted and hook.webhook_id is None else ensured.change,
            switched_off=not there.enabled,
            duplicates=len(duplicates),
        )

    async def _speckle_lacks_it(
        self, hook: Hook, account_id: int, there: SpeckleWebhook, reconciling: bool
    ) -> bool:
        """Whether Speckle seems to sign with no secret, or with another than we know."""
        if not there.has_secret:
            return True
        return reconciling and await self._last_call_failed(hook, account_id, there.id)

    async def _create(
        self, hook: Hook, account_id: int, triggers: Sequence[str], there: int, by: AuditActor
    ) -> Ensured | EnsureFailed | None:
        made_before = hook.webhook_id is not None
        if not triggers:  # nobody who owns the project has answered for a channel any more
            return None
        if there >= MOST_WEBHOOKS:
            return EnsureFailed(EnsureProblem.FULL, str(there), made=made_before)
        result = await self._probe.check(hook.server_url)
        if result.problem is not None:
            return EnsureFailed(EnsureProblem.UNREACHABLE, result=result, made=made_before)
        secret = fresh_secret()

        async def create(triggers: Sequence[str]) -> str:
            return await self._ask(
                account_id,
                lambda login: self._client.create_webhook(
                    login,
                    hook.project_id,
                    url=self._url(hook),
                    description=self._describe_webhook(hook.guild_id),
                    triggers=triggers,
                    secret=secret,
                ),
            )

        webhook_id, taken = await _with_triggers(create, triggers)
        if (
            await self._storage.write(
                lambda tx: tx.hooks.record_webhook(hook.id, account_id, webhook_id, secret), by=by
            )
            is None
        ):
            # The hook went while Speckle was asked, and nobody else knows of this webhook.
            await self._at_speckle.delete(account_id, hook.project_id, webhook_id)
            return None
        log.info("webhooks.created", hook_id=hook.id, again=made_before)
        done = WebhookChange.MADE_AGAIN if made_before else WebhookChange.MADE
        local = result.local_speckle and result.local_bot
        refused = _refused(triggers, taken)
        return Ensured(done, local_network=local, triggers=taken, refused=refused)

    async def _repair(
        self,
        hook: Hook,
        account_id: int,
        there: SpeckleWebhook,
        triggers: Sequence[str],
        secret: str | None,
        reconciling: bool,
    ) -> Ensured | EnsureFailed:
        """Set right what differs, with this secret if any; whether it is switched on is left."""
        url = self._url(hook) if self._probe.public_url is not None else there.url
        repaired: list[str] = []
        if there.url != url:
            result = await self._probe.check(hook.server_url)
            if result.problem is not None:
                return EnsureFailed(EnsureProblem.UNREACHABLE, result=result, made=True)
            repaired.append("address")
        if not there.has_secret:
            repaired.append("secret")
        differing = set(there.triggers) ^ set(triggers)
        # Those of issues an earlier release of the bot did not ask for, or the server refused.
        if reconciling and not all(map(is_of_issue, differing)):
            repaired.append("events")
        if not (differing or repaired or secret):
            return Ensured(WebhookChange.NOTHING, triggers=tuple(triggers))

        async def change(triggers: Sequence[str]) -> None:
            await self._ask(
                account_id,
                lambda login: self._client.update_webhook(
                    login,
                    hook.project_id,
                    there.id,
                    url=url,
                    description=there.description or self._describe_webhook(hook.guild_id),
                    triggers=triggers,
                    secret=secret,
                    enabled=there.enabled,
                ),
            )

        _, taken = await _with_triggers(change, triggers)
        done = (
            WebhookChange.REPAIRED
            if repaired
            else WebhookChange.CHANGED
            if set(there.triggers) != set(taken)
            else WebhookChange.NOTHING
        )
        log.info("webhooks.changed", hook_id=hook.id, change=done.value, repaired=repaired)
        refused = _refused(triggers, taken)
        return Ensured(done, repaired=tuple(repaired), triggers=taken, refused=refused)

    async def _last_call_failed(self, hook: Hook, account_id: int, webhook_id: str) -> bool:
        """Whether Speckle's last call failed, as all do while it has another secret than we."""
        history = await self._history(hook, account_id, webhook_id, 1)
        return any(call.status is CallStatus.FAILED for call in history.calls)

    async def _history(
        self, hook: Hook, account_id: int, webhook_id: str, limit: int
    ) -> WebhookHistory:
        return await self._ask(
            account_id,
            lambda login: self._client.history(
                login, hook.project_id, webhook_id, limit, bodies=False, within_s=READ_WITHIN_S
            ),
        )

    async def _note(
        self, hook: Hook, account_id: int, webhook_id: str, secret: str | None, by: AuditActor
    ) -> None:
        known = (hook.webhook_id, hook.account_id, hook.state)
        is_new = secret is not None and secret not in hook.secrets[:1]
        if is_new or known != (webhook_id, account_id, HookState.LIVE):
            await self._storage.write(
                lambda tx: tx.hooks.record_webhook(hook.id, account_id, webhook_id, secret), by=by
            )

    async def reconcile_all(
        self, account_id: int | None = None
    ) -> AsyncIterator[tuple[Hook, Ensured | EnsureFailed]]:
        """Look at each webhook that the bot made, or at those of one account.

        Gives those where something was found.
        """
        for removal in await self._storage.read(lambda tx: tx.webhook_removals.due()):
            await self.remover.remove_one(removal)
        for hook in await self._storage.read(lambda tx: tx.hooks.with_webhooks(account_id)):
            ensured = await self.ensure(hook.id, reconciling=True)
            if ensured is not None and ensured != Ensured(WebhookChange.NOTHING):
                yield hook, ensured

    async def note_silent_webhooks(self) -> None:
        """Note which webhooks by hand send nothing, although there was something to send."""
        for hook_id in await self._storage.write(lambda tx: tx.silent_webhooks.note()):
            trouble = HookTrouble.NOT_ARRIVING.value
            log.warning("webhooks.trouble", hook_id=hook_id, trouble=trouble)

    # ── asking ────────────────────────────────────────────────────────────────────────────────

    def _url(self, hook: Hook) -> str:
        return f"{self._probe.public_url}/webhooks/{hook.key}"

    async def _ask(self, account_id: int, question: SpeckleCall[T]) -> T:
        return await self._lender.as_account(account_id, question)


async def _with_triggers(
    send: Callable[[Sequence[str]], Awaitable[T]], triggers: Sequence[str]
) -> tuple[T, tuple[str, ...]]:
    """Send a webhook's triggers, without those of issues to a server that refuses them.

    Nobody knows whether each older release takes the name of an event that it has not got. Gives
    the server's answer, and the triggers that it took.
    """
    others = tuple(name for name in triggers if not is_of_issue(name))
    try:
        return await send(triggers), tuple(triggers)
    except SpeckleRejected:
        if not others or len(others) == len(triggers):
            raise
        return await send(others), others


def _refused(wanted: Sequence[str], taken: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in wanted if name not in taken)


def _mine(found: Iterable[SpeckleWebhook], hook: Hook) -> list[SpeckleWebhook]:
    """Those that lead to the hook, the one that the bot knows first."""
    mine = (one for one in found if _is_ours(one, hook))
    return sorted(mine, key=lambda one: one.id != hook.webhook_id)


def _is_ours(webhook: SpeckleWebhook, hook: Hook) -> bool:
    return webhook.id == hook.webhook_id or leads_to(webhook.url, hook.key or "")


def _ensure_failed(error: SpeckleError, hook: Hook) -> EnsureFailed:
    detail = error.scope if isinstance(error, SpeckleScopeMissing) else error.reason
    return EnsureFailed(problem_of(error), detail, made=hook.webhook_id is not None)
