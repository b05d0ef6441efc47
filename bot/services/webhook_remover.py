"""Webhooks that are no longer wanted, removed at Speckle; one that cannot be yet stays noted."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import structlog

from bot.audit import AuditActor, by_person
from bot.errors import (
    AccountUnconfirmed,
    AccountUnopenable,
    SpeckleError,
    SpeckleNotFound,
    SpeckleUnavailable,
)
from bot.model import Account, Hook, WebhookRemoval
from bot.services.token_lending import TokenLender
from bot.services.webhook_results import RemovalResult
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.types import SpeckleWebhook
from bot.storage import Storage
from bot.timing import Backoff

log = structlog.get_logger()

READ_WITHIN_S: Final = 6.0
REMOVAL_RETRY: Final = Backoff((300.0, 1800.0, 3600.0))
MOST_REMOVAL_TRIES: Final = 14 * 24


class ProjectWebhooks:
    """The webhooks that projects have at Speckle, as accounts may see and delete them."""

    def __init__(self, client: SpeckleClient, lender: TokenLender) -> None:
        self._client = client
        self._lender = lender
        # Only the process with Discord's connection gets here, so a lock of its own suffices.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def of(self, account_id: int, project_id: str) -> list[SpeckleWebhook]:
        """All webhooks of a project. Errors: SpeckleError."""
        return await self._lender.as_account(
            account_id,
            lambda login: self._client.webhooks(login, project_id, within_s=READ_WITHIN_S),
        )

    async def delete(self, account_id: int, project_id: str, webhook_id: str) -> None:
        """Delete one of them. Errors: SpeckleError."""
        await self._lender.as_account(
            account_id, lambda login: self._client.delete_webhook(login, project_id, webhook_id)
        )

    async def delete_of_hook(self, account_id: int, project_id: str, key: str) -> None:
        """Delete all that lead to the hook with this key. Errors: SpeckleError."""
        for webhook in await self.of(account_id, project_id):
            if leads_to(webhook.url, key):
                await self.delete(account_id, project_id, webhook.id)

    def locked(self, key: str) -> asyncio.Lock:
        """The lock under which the webhook of the hook with this key is changed."""
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock


class WebhookRemover:
    """Removes webhooks whose hook is gone, unused, or made with an account that is forgotten."""

    def __init__(
        self, storage: Storage, at_speckle: ProjectWebhooks, now: Callable[[], datetime]
    ) -> None:
        self._storage = storage
        self._at_speckle = at_speckle
        self._now = now

    async def remove(self, removal_id: int) -> RemovalResult:
        """Remove the webhook of a hook that is gone; if Speckle is away it is tried again."""
        removal = await self._storage.read(lambda tx: tx.webhook_removals.get(removal_id))
        return RemovalResult.REMOVED if removal is None else await self.remove_one(removal)

    async def remove_one(self, removal: WebhookRemoval) -> RemovalResult:
        """Remove what is noted to go; if Speckle is away it is tried again."""
        async with self._at_speckle.locked(removal.key):
            try:
                await self._at_speckle.delete_of_hook(
                    removal.account_id, removal.project_id, removal.key
                )
            except SpeckleNotFound:
                gone = RemovalResult.REMOVED  # with its project
            except (SpeckleUnavailable, AccountUnopenable, AccountUnconfirmed) as error:
                if await self._postpone(removal):
                    return _why_later(error)
                gone = RemovalResult.BY_HAND
            except SpeckleError as error:
                log.warning("webhooks.not_removed", project=removal.project_id, why=error.reason)
                gone = RemovalResult.BY_HAND
            else:
                gone = RemovalResult.REMOVED
            await self._storage.write(lambda tx: tx.webhook_removals.done(removal.id))
        log.info("webhooks.removed", project=removal.project_id, outcome=gone.value)
        return gone

    async def _postpone(self, removal: WebhookRemoval) -> bool:
        """Try it again later; False if it was tried often enough."""
        if removal.attempts >= MOST_REMOVAL_TRIES:
            return False
        wait_s = REMOVAL_RETRY.delay_s(removal.attempts)
        await self._storage.write(
            lambda tx: tx.webhook_removals.postpone(
                removal.id, self._now() + timedelta(seconds=wait_s)
            )
        )
        return True

    async def detach_account(self, account: Account) -> None:
        """Before an account is forgotten: remove its webhooks and pause what depends on it.

        Hooks keep their addresses, so that another linked member can take over. Errors: the first
        SpeckleError, after all was done that could be; webhooks may be left at Speckle then.
        """
        made = [
            (hook.project_id, hook.key)
            for hook in await self._storage.read(lambda tx: tx.hooks.of_account(account.id))
            if hook.webhook_id is not None and hook.key is not None
        ]
        removals = await self._storage.read(lambda tx: tx.webhook_removals.of_account(account.id))
        left = [(removal.project_id, removal.key) for removal in removals]
        failed: SpeckleError | None = None
        for project_id, key in [*made, *left]:
            try:
                async with self._at_speckle.locked(key):
                    await self._at_speckle.delete_of_hook(account.id, project_id, key)
            except SpeckleNotFound:  # with its project
                continue
            except SpeckleError as error:
                failed = failed or error
                if isinstance(error, SpeckleUnavailable):
                    break  # it will not answer for the others either
        paused = await self._storage.write(
            lambda tx: tx.hooks.detach_account(account.id), by=by_person(account.discord_user_id)
        )
        log.info("webhooks.detached", account_id=account.id, paused=len(paused))
        if failed is not None:
            raise failed

    async def remove_unused(self, hook: Hook, account_id: int | None, *, by: AuditActor) -> None:
        """Remove a hook that nothing goes through any more, and what leads to it at Speckle.

        Calls of what this account may not remove there fail from now on.
        """
        if await self._storage.read(lambda tx: tx.subscriptions.of_hook(hook.id)):
            return
        await self._storage.write(lambda tx: tx.hooks.delete(hook.id), by=by)
        if account_id is None:
            return
        try:
            await self._at_speckle.delete_of_hook(account_id, hook.project_id, hook.key or "")
        except SpeckleError as error:
            log.warning("webhooks.not_removed", project=hook.project_id, why=error.reason)


def leads_to(url: str, key: str) -> bool:
    """Whether a webhook leads to the hook with this key, whatever PUBLIC_URL was at the time."""
    try:
        return urlsplit(url).path.endswith(f"/webhooks/{key}")
    except ValueError:  # what somebody entered in Speckle may be no address at all
        return False


def _why_later(error: SpeckleUnavailable | AccountUnopenable | AccountUnconfirmed) -> RemovalResult:
    match error:
        case SpeckleUnavailable():
            return RemovalResult.LATER
        case AccountUnopenable():
            return RemovalResult.UNOPENABLE
        case AccountUnconfirmed():
            return RemovalResult.UNCONFIRMED
