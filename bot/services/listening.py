"""Hearing of a project through an account: from when on its lists are read."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from bot.errors import SpeckleError
from bot.model import Hook, PauseReason, Subscription
from bot.services.token_lending import TokenLender
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.types import Login
from bot.storage import Storage
from bot.work import LISTENED_AGAIN

log = structlog.get_logger()

ASK_WITHIN_S = 5.0
MILLISECOND = timedelta(milliseconds=1)  # to which the server cuts times
CLOCK_AHEAD = timedelta(minutes=10)  # of a server: more is a clock that was wrong for a while


class ListeningStart:
    """Notes from when on a subscription is to hear of its project: nothing from before is shown."""

    def __init__(
        self,
        storage: Storage,
        client: SpeckleClient,
        lender: TokenLender,
        *,
        on_changed: Callable[[], None],
        read: Callable[[Hook], Awaitable[None]],
        sure_now: Callable[[], datetime],
    ) -> None:
        """`on_changed` is called when somebody new is to be heard; `read` reads what a hook has not
        heard yet; `sure_now` is a time that does not go by this machine's clock.
        """
        self._storage = storage
        self._client = client
        self._lender = lender
        self._on_changed = on_changed
        self._read = read
        self._sure_now = sure_now

    async def read_before_webhook(self, hook: Hook) -> None:
        """Read what happened until now, so that it is shown before what a webhook sends.

        Where that takes too long it is read afterwards.
        """
        try:
            async with asyncio.timeout(ASK_WITHIN_S):
                await self._read(hook)
        except (SpeckleError, TimeoutError):
            log.info("listening.read_later", hook_id=hook.id)

    async def resume(self, hook: Hook, subscription: Subscription) -> None:
        """Listen on for one that is about to be resumed; what happened while a member had paused it
        is passed over.
        """
        if hook.listens and subscription.account_id is not None:
            if subscription.pause_reason is PauseReason.MEMBER:
                await self.begin(subscription.id, subscription.account_id, hook.project_id)
            self._on_changed()

    async def begin(self, subscription_id: int, account_id: int, project_id: str) -> None:
        """Listen from the newest entry of the project's list on, by the server's own clock.

        Where the server does not say, or says a time that is far off, from now on.
        """

        async def newest(login: Login) -> datetime | None:
            lines = await self._client.activity.since(
                login, project_id, after=None, limit=1, within_s=ASK_WITHIN_S
            )
            return lines[-1].at if lines else None

        try:
            last = await self._lender.as_account(account_id, newest)
        except SpeckleError as error:
            log.info("listening.start_unknown", project_id=project_id, reason=error.reason)
            last = None
        now = self._sure_now()
        begins = now if last is None or last > now + CLOCK_AHEAD else last + MILLISECOND
        at = begins + LISTENED_AGAIN
        await self._storage.write(lambda tx: tx.listening.begin(subscription_id, at))
        self._on_changed()
