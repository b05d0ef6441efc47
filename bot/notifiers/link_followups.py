"""Follows up on a linked account: notifies its person and continues what waited for it."""

from collections.abc import Awaitable, Callable

import structlog

from bot.cogs.accounts import texts as account_texts
from bot.cogs.followups import send_followup
from bot.cogs.responses import Response
from bot.discord_api.client import SpeckleBot
from bot.model import Account
from bot.pending import LinkRequest
from bot.services.linking import AccountLinking, ResumePending
from bot.timing import periodic

log = structlog.get_logger()


class LinkFollowUps:
    """Works in the process that Discord is connected to; each person is notified once, at once.

    `resume` continues a command that waited for the account; `look_after` has the webhooks checked
    that were made with it, by its id: it may have been refused until now.
    """

    def __init__(
        self,
        bot: SpeckleBot,
        linking: AccountLinking,
        resume: ResumePending,
        look_after: Callable[[int], Awaitable[None]],
        poll_s: float,
    ) -> None:
        """`poll_s`: seconds between two looks, as the sign-in's last page may come to a process
        that has no connection to Discord.
        """
        self._bot = bot
        self._linking = linking
        self._resume = resume
        self._look_after = look_after
        self._poll_s = poll_s
        self._notified: set[str] = set()  # while what waits cannot continue yet

    async def run(self) -> None:
        """Follow up on links until cancelled, from the moment that Discord is there."""
        await self._bot.ready_once.wait()
        await periodic(
            "link_followups", self._round, every_s=self._poll_s, wake=self._linking.link_completed
        )

    async def _round(self) -> None:
        for request, account in await self._linking.completed_links():
            await self._follow_up(request, account)

    async def _follow_up(self, request: LinkRequest, account: Account) -> None:
        digest, details = request.nonce_digest, request.details
        if request.used_at is not None and not details.notified and digest not in self._notified:
            self._notified.add(digest)
            try:
                notice = Response(account_texts.linked_notice(account))
                where = details.answer_to
                await send_followup(self._bot, where, account.discord_user_id, notice)
            except Exception:  # a fault of ours: the page has said it too
                log.exception("link_followups.not_sent", account_id=account.id)
        await self._linking.resume_pending(request, account, self._resume)
        self._notified.discard(digest)
        await self._look_after(account.id)
