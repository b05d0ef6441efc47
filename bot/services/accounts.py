"""Speckle accounts that people linked: whose they are, what they open, and asking with them."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from bot.db.rows import Account, Hook
from bot.speckle.answers import Login

T = TypeVar("T")

Question = Callable[[Login], Awaitable[T]]


class AccountService:
    """Links and unlinks accounts, and lends them out for questions."""

    async def of_user(self, discord_user_id: int, server_url: str) -> Account | None:
        """The account that a person linked on a server."""
        raise NotImplementedError

    async def as_account(self, account_id: int, question: Question[T]) -> T:
        """Ask with a linked account; a token that has run out is renewed once, where it can be.

        Errors: those of the question; SpeckleTokenRefused, with the account marked so, if the
        server no longer takes the token or the account is gone.
        """
        raise NotImplementedError

    async def as_hook(self, hook: Hook, question: Question[T]) -> T:
        """Ask with what a hook may ask with: its own account's token; else, in the operator's own
        guilds and on the first server, the operator's token; else as a stranger.
        """
        raise NotImplementedError
