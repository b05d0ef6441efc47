"""Whether the linked accounts that subscriptions hang on may still see the project.

No pauses, and says who lost access and why; could not ask lets cards go out for an hour after the
last yes, and then makes the event wait.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog

from bot.db.rows import AccessSeen, Hook, HookKind, Subscription, SubscriptionState
from bot.errors import (
    SpeckleError,
    SpeckleForbidden,
    SpeckleNotFound,
    SpeckleScopeMissing,
    SpeckleTokenRefused,
    SpeckleUnavailable,
)
from bot.pipeline.answers import Answers
from bot.services.accounts import AccountService
from bot.speckle.answers import Login, ProjectRights
from bot.speckle.gateway import SpeckleGateway
from bot.storage import Storage

log = structlog.get_logger()

ASK_AGAIN_AFTER = timedelta(minutes=10)
A_YES_COUNTS = timedelta(hours=1)
ANSWER_WITHIN_S = 4.0  # renewing a token included; below the deadline of enrichment, beside it
# An answer that comes later is good for the next event, or for this one when it is tried again.
LATE_WITHIN_S = 10.0
LATE_FOR_S = 400.0
MOST_LATE = 1000
# A server that did not answer is not asked for so long: each event would wait for it.
SILENT_FOR_S = 15.0
WAIT_S = (15.0, 60.0, 300.0)  # an event that waits is tried again after so long, then every 5 min

NO = (SpeckleForbidden, SpeckleNotFound, SpeckleTokenRefused, SpeckleScopeMissing)


@dataclass(frozen=True, slots=True)
class Access:
    """What came of asking: what is to be written, and why the event has to wait, if it has to.

    `silence` is why a server could not be asked, whether or not the event waits for it.
    """

    seen: AccessSeen = field(default_factory=AccessSeen)
    silence: str | None = None
    waits: bool = False


class AccessCheck:
    """Asks at most every ten minutes, once for all subscriptions of one account and project."""

    def __init__(
        self,
        storage: Storage,
        gateway: SpeckleGateway,
        accounts: AccountService,
        now: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._gateway = gateway
        self._accounts = accounts
        self._now = now
        self._late = Answers[ProjectRights | SpeckleError](most=MOST_LATE, keep_s=LATE_FOR_S)
        self._silent: dict[str, tuple[float, str]] = {}  # until time.monotonic(), and why

    async def of(self, hook: Hook, subscriptions: Sequence[Subscription]) -> Access:
        """What the accounts of these subscriptions of the hook may see now.

        The operator's shared hook needs no account, so it hangs on none.
        """
        if hook.kind is not HookKind.OWN:
            return Access()
        by_account: dict[int, list[Subscription]] = {}
        for subscription in subscriptions:
            if subscription.account_id is not None and self._is_to_be_asked(subscription):
                by_account.setdefault(subscription.account_id, []).append(subscription)
        if not by_account:
            return Access()
        answers = await asyncio.gather(*(self._ask(hook, one) for one in by_account))
        return await self._weigh(hook, dict(zip(by_account, answers, strict=True)), by_account)

    def _is_to_be_asked(self, subscription: Subscription) -> bool:
        if subscription.state is not SubscriptionState.ACTIVE:
            return False
        return not self._is_fresh(subscription, ASK_AGAIN_AFTER)

    def _is_fresh(self, subscription: Subscription, how_long: timedelta) -> bool:
        yes = subscription.access_ok_at
        return yes is not None and self._now() - yes < how_long

    async def _ask(self, hook: Hook, account_id: int) -> ProjectRights | SpeckleError:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await self._accounts.as_account(
                    account_id, partial(self._answer, hook.project_id)
                )
        except TimeoutError:
            error: SpeckleError = SpeckleUnavailable(hook.server_url, "no answer in time")
        except SpeckleError as told:
            error = told
        if isinstance(error, SpeckleUnavailable) and self._silence(hook.server_url) is None:
            self._silent[hook.server_url] = (time.monotonic() + SILENT_FOR_S, error.reason)
        return error

    def _silence(self, server_url: str) -> str | None:
        """Why a server is not asked at the moment; None if it is."""
        until, reason = self._silent.get(server_url, (0.0, ""))
        return reason if time.monotonic() < until else None

    async def _answer(self, project_id: str, login: Login) -> ProjectRights | SpeckleError:
        """What the server says, or has said since nobody waited for it any more; used once."""
        key = (login, project_id)
        silence = self._silence(login.server_url)
        if silence is not None and not self._late.has(key):
            raise SpeckleUnavailable(login.server_url, silence)
        answer = await self._late.get(key, partial(self._project, project_id, login))
        self._late.forget(key)
        return answer

    async def _project(self, project_id: str, login: Login) -> ProjectRights | SpeckleError:
        try:
            return await self._gateway.project(login, project_id, within_s=LATE_WITHIN_S)
        except (SpeckleForbidden, SpeckleNotFound, SpeckleScopeMissing) as no:
            return no  # an answer like another, which may come late, too

    async def _weigh(
        self,
        hook: Hook,
        answers: Mapping[int, ProjectRights | SpeckleError],
        by_account: Mapping[int, Sequence[Subscription]],
    ) -> Access:
        good: list[int] = []
        lost: dict[int, str] = {}
        visibility: str | None = None
        silence: str | None = None
        waits = False
        for account_id, answer in answers.items():
            theirs = by_account[account_id]
            if isinstance(answer, ProjectRights):
                good.append(account_id)
                visibility = answer.visibility
            elif isinstance(answer, NO):
                lost[account_id] = await self._why(account_id, theirs[0], answer)
                log.warning("access.lost", hook_id=hook.id, reason=answer.reason)
            else:
                silence = answer.reason
                waits |= not all(self._is_fresh(one, A_YES_COUNTS) for one in theirs)
        return Access(AccessSeen(good, lost, visibility), silence, waits)

    async def _why(self, account_id: int, subscription: Subscription, error: SpeckleError) -> str:
        """Who lost access, and how, as half a sentence for people."""
        account = await self._storage.accounts.get(account_id)
        person = subscription.created_by if account is None else account.discord_user_id
        who = f"<@{person}>"
        match error:
            case SpeckleTokenRefused():
                return f"Speckle no longer takes the sign-in of {who}"
            case SpeckleScopeMissing(scope=scope):
                return f"the Speckle token of {who} lacks the scope `{scope}`"
            case SpeckleNotFound():
                return f"the project is not there any more, as far as {who}'s account may know"
            case _:
                return f"{who}'s Speckle account may not see the project any more"


def wait_s(attempts: int) -> float:
    """Seconds until an event that waits is tried again."""
    return WAIT_S[min(attempts, len(WAIT_S) - 1)]
