"""Speckle accounts that people linked, and questions to Speckle that are asked with them."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final, TypeVar
from weakref import WeakValueDictionary

import structlog

from bot.errors import (
    AccountUnconfirmed,
    AccountUnopenable,
    SpeckleError,
    SpeckleServerLeftOut,
    SpeckleTokenRefused,
    SpeckleUnavailable,
)
from bot.model import Account, Hook
from bot.services.access_rules import ReadPermit
from bot.speckle.tokens import SpeckleApp, Tokens
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.sign_in import SpeckleSignIn
from bot.speckle_api.types import Login
from bot.storage import Storage

log = structlog.get_logger()

T = TypeVar("T")

# A server may refuse a token by mistake, so a refused one is tried again after this time.
REFUSED_FOR: Final = timedelta(minutes=10)

SpeckleCall = Callable[[Login], Awaitable[T]]


class TokenStatus(Enum):
    """Whether a server takes an account's token at this moment."""

    TAKEN = auto()
    REFUSED = auto()
    UNOPENABLE = auto()  # the bot's keys do not open it
    UNCONFIRMED = auto()  # the database was restored, and its person has not confirmed it yet
    LEFT_OUT = auto()  # the bot's settings do not name the server any more
    UNKNOWN = auto()  # it could not be asked


class TokenLender:
    """Knows the accounts that people linked, and asks with their tokens and the operator's."""

    def __init__(
        self,
        storage: Storage,
        client: SpeckleClient,
        sign_in: SpeckleSignIn,
        *,
        apps: Mapping[str, SpeckleApp],
        first_server: str,
        operator_token: str | None,
        served_guilds: Collection[int],
        now: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._client = client
        self._sign_in = sign_in
        self._apps = apps
        self._first_server = first_server  # which the operator's token is for
        self._operator_token = operator_token
        self._served_guilds = frozenset(served_guilds)
        self._now = now
        self._renewing: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def of_user(self, discord_user_id: int, server_url: str) -> Account | None:
        """The account that a person linked on a server."""
        return await self._storage.read(lambda tx: tx.accounts.of_user(discord_user_id, server_url))

    async def all_of_user(self, discord_user_id: int) -> list[Account]:
        """All accounts of a person, oldest first."""
        return await self._storage.read(lambda tx: tx.accounts.all_of_user(discord_user_id))

    async def token_status(self, account: Account) -> TokenStatus:
        """Ask the server whether it takes the account's token."""
        try:
            await self.as_account(account.id, self._client.me)
        except AccountUnopenable:
            return TokenStatus.UNOPENABLE
        except AccountUnconfirmed:
            return TokenStatus.UNCONFIRMED
        except SpeckleTokenRefused:
            return TokenStatus.REFUSED
        except SpeckleServerLeftOut:
            return TokenStatus.LEFT_OUT
        except SpeckleError:
            return TokenStatus.UNKNOWN
        return TokenStatus.TAKEN

    async def as_account(self, account_id: int, question: SpeckleCall[T]) -> T:
        """Ask with a linked account; a token that has run out is renewed once, where it can be.

        Errors: those of the question; SpeckleTokenRefused, with the account marked so, if the
        server no longer takes the token or the account is gone; AccountUnopenable;
        AccountUnconfirmed.
        """
        account = await self._storage.read(lambda tx: tx.accounts.get(account_id))
        if account is None:
            raise SpeckleTokenRefused("", "the account has been unlinked")
        if account.unopenable:
            raise AccountUnopenable(account.server_url)
        if account.unconfirmed_at is not None:
            raise AccountUnconfirmed(account.server_url)
        refused_at = account.refused_at
        if refused_at is not None and self._now() - refused_at < REFUSED_FOR:
            raise SpeckleTokenRefused(account.server_url, "the token was refused before")
        try:
            answer = await question(Login(account.server_url, account.tokens.token))
        except SpeckleTokenRefused:
            account = await self._renewed(account)
            answer = await self._once_more(account, question)
        if account.refused_at is not None:
            await self._storage.write(lambda tx: tx.accounts.mark_taken(account))
        return answer

    def serves_as_operator(self, hook: Hook) -> bool:
        """Whether the operator's token may be used for a hook: in the operator's own guilds, on the
        first server, which the token is for.
        """
        first = hook.server_url == self._first_server
        return self._operator_token is not None and first and hook.guild_id in self._served_guilds

    async def with_permit(self, permit: ReadPermit, question: SpeckleCall[T]) -> T:
        """Ask as a permit allows: with its account, with the operator's token, or without a token.

        Errors: those of the question, and of `as_account`.
        """
        if permit.account_id is not None:
            return await self.as_account(permit.account_id, question)
        return await question(
            Login(permit.server_url, self._operator_token if permit.as_operator else None)
        )

    async def _once_more(self, account: Account, question: SpeckleCall[T]) -> T:
        try:
            return await question(Login(account.server_url, account.tokens.token))
        except SpeckleTokenRefused:
            await self._mark_refused(account)
            raise

    async def _renewed(self, account: Account) -> Account:
        """The account with tokens that are newer than these, which the server refused.

        Errors: SpeckleTokenRefused, with the account marked so; SpeckleUnavailable.
        """
        lock = self._renewing.setdefault(account.id, asyncio.Lock())
        async with lock:
            there = await self._storage.read(lambda tx: tx.accounts.get(account.id))
            if there is None:
                raise SpeckleTokenRefused(account.server_url, "the account has been unlinked")
            if there.tokens != account.tokens:  # somebody else has renewed them
                return there
            try:
                tokens = await self._refreshed(there)
            except SpeckleTokenRefused:
                if await self._mark_refused(there):
                    raise
                # It was linked again meanwhile, or is gone.
                renewed = await self._storage.read(lambda tx: tx.accounts.get(account.id))
            else:
                renewed = await self._storage.write(
                    lambda tx: tx.accounts.replace_tokens(there, tokens)
                )
        if renewed is None:
            raise SpeckleTokenRefused(account.server_url, "the account has been unlinked")
        log.info("accounts.token_renewed", account_id=account.id)
        return renewed

    async def _refreshed(self, account: Account) -> Tokens:
        app, refresh_token = self._apps.get(account.server_url), account.tokens.refresh_token
        if app is None or refresh_token is None:
            raise SpeckleTokenRefused(account.server_url, "the token cannot be renewed")
        try:
            return await self._sign_in.refresh(app, refresh_token)
        except (SpeckleTokenRefused, SpeckleUnavailable):
            raise
        except SpeckleError as error:
            raise SpeckleUnavailable(account.server_url, error.reason) from error

    async def _mark_refused(self, account: Account) -> bool:
        """Mark it unless it has other tokens now; whether these are still the refused ones."""
        if await self._storage.write(lambda tx: tx.accounts.mark_refused(account)):
            log.warning(
                "accounts.token_refused", account_id=account.id, server_url=account.server_url
            )
        now = await self._storage.read(lambda tx: tx.accounts.get(account.id))
        return now is not None and now.tokens == account.tokens
