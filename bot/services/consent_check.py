"""Answers to "who will see this project here": what entitles to one, and what it still covers."""

from dataclasses import dataclass, replace
from datetime import datetime

from bot.errors import SpeckleError
from bot.model import Account, Entitlement, Hook, InboxSource, PauseWhy, Subscription
from bot.permissions import Audience, MemberPresence
from bot.services.access_rules import (
    AccessAnswer,
    AccessAnswers,
    LastAnswer,
    Pause,
    decide,
    is_private,
)
from bot.services.public_access import PRIVATE, PublicAccess, PublicAnswer
from bot.services.token_lending import TokenLender
from bot.services.webhook_results import EnsureFailed, EnsureProblem, problem_of
from bot.services.webhooks import WebhookService
from bot.speckle_api.types import ProjectRights


@dataclass(frozen=True, slots=True)
class ProjectAccess:
    """What servers said of a project to one person, and to everybody.

    `account` and `project` are there if their linked account sees it; then `cannot_make` is why it
    makes no webhook there. Else `why` is what keeps the linked account from being used, None if
    there is none.
    """

    everyone: PublicAnswer
    account: Account | None = None
    project: ProjectRights | None = None
    cannot_make: EnsureFailed | None = None
    why: EnsureProblem | None = None
    detail: str = ""

    @property
    def sees(self) -> bool:
        """Whether the person's own account sees the project."""
        return self.project is not None

    @property
    def is_private(self) -> bool:
        """Whether people may see it here who may not at Speckle; what is not known counts so."""
        return not self.everyone.is_public

    @property
    def visibility(self) -> str | None:
        """What an answer is kept with: public as everyone was shown, else the account's word."""
        seen = None if self.project is None else self.project.visibility
        return seen if self.is_private and is_private(seen) and seen else self.everyone.visibility

    @property
    def entitlement(self) -> Entitlement | None:
        """What the person's own account entitles them to."""
        if self.project is None:
            return None
        return Entitlement.OWNER if self.project.may_webhooks else Entitlement.READER


class ConsentCheck:
    """Asks with the person's own account and without a token, and with nobody else's."""

    def __init__(
        self, lender: TokenLender, webhooks: WebhookService, public_access: PublicAccess
    ) -> None:
        self._lender = lender
        self._webhooks = webhooks
        self._public_access = public_access

    async def look(self, user_id: int, server_url: str, project_id: str) -> ProjectAccess:
        """What this person may see of a project, asked now."""
        account = await self._lender.of_user(user_id, server_url)
        if account is None:
            return ProjectAccess(await self._public_access.of(server_url, project_id))
        try:
            project = await self._webhooks.rights(account, project_id)
        except SpeckleError as error:
            everyone = await self._public_access.of(server_url, project_id)
            return ProjectAccess(everyone, why=problem_of(error), detail=error.reason)
        everyone = PublicAnswer(AccessAnswer.NO, project.visibility)
        if project.is_public:  # for loosening, only what everyone can read counts
            everyone = await self._public_access.of(server_url, project_id)
        cannot_make = await self._webhooks.why_not_made(account, project)
        return ProjectAccess(everyone, account, project, cannot_make)


def exceeds(
    subscription: Subscription,
    hook: Hook,
    everyone: PublicAnswer,
    audience: Audience | None,
    now: datetime,
) -> PauseWhy | None:
    """Why a subscription would stop at the next event; None if its answer covers what it shows.

    Nobody else's account is asked: the one that reads for it is taken to have access.
    """
    yes_at = now if everyone.is_public else None
    answers = AccessAnswers(LastAnswer(AccessAnswer.YES, now), LastAnswer(everyone.answer, yes_at))
    verdict = decide(
        subscription, hook, InboxSource.WEBHOOK, answers, MemberPresence.SEES, audience, now
    )
    return verdict.why if isinstance(verdict, Pause) else None


def needs_consent(
    subscription: Subscription, hook: Hook, everyone: PublicAnswer, now: datetime
) -> bool:
    """Whether a channel would see more once the bot has made the project's webhook.

    A channel with somebody's own account does not: it has an answer of its own.
    """
    if subscription.account_id is not None:
        return False
    made = replace(hook, webhook_id="made") if hook.is_by_hand else hook
    seen = everyone if everyone.is_public else PRIVATE
    return (
        subscription.is_paused_for_rights
        or exceeds(subscription, made, seen, None, now) is not None
    )
