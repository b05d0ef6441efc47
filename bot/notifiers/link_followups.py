"""Goes on where an account was linked: tells its person, and lets what waited for it go on."""

import structlog

from bot.cogs.accounts import texts as wording
from bot.cogs.followups import send_followup
from bot.cogs.responses import Response
from bot.discord_api.client import SpeckleBot
from bot.model import Account, LinkRequest
from bot.services.accounts import AccountService
from bot.timing import periodic

log = structlog.get_logger()

# The sign-in's last page may come to a process that has no connection to Discord: this one looks.
POLL_S = 3.0


class LinkFollowUps:
    """Works in the process that Discord is connected to; each link is told once, at once."""

    def __init__(self, bot: SpeckleBot, accounts: AccountService) -> None:
        self._bot = bot
        self._accounts = accounts
        self._told: set[str] = set()  # while what waits cannot go on yet

    async def run(self) -> None:
        """Go on with links until cancelled, from the moment that Discord is there."""
        await self._bot.ready_once.wait()
        await periodic(
            "link_followups", self._round, every_s=POLL_S, wake=self._accounts.link_completed
        )

    async def _round(self) -> None:
        for request, account in await self._accounts.completed_links():
            await self._follow_up(request, account)

    async def _follow_up(self, request: LinkRequest, account: Account) -> None:
        digest, details = request.nonce_digest, request.details
        if request.used_at is not None and not details.told and digest not in self._told:
            self._told.add(digest)
            try:
                told = Response(wording.linked_notice(account))
                where = details.answer_to
                await send_followup(self._bot, where, account.discord_user_id, told)
            except Exception:  # the page has said it too, and /account shows it
                log.exception("link_followups.not_sent", account_id=account.id)
        await self._accounts.resume_pending(request, account)
        self._told.discard(digest)
