"""Speckle accounts that people linked: linking, unlinking, and asking with them."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from bot.db.rows import Account, Hook
from bot.speckle.answers import Login, SpeckleApp
from bot.speckle.gateway import SpeckleGateway
from bot.speckle.oauth import SpeckleOAuth
from bot.storage import Storage

T = TypeVar("T")

Question = Callable[[Login], Awaitable[T]]
Waiting: TypeAlias = Mapping[str, Any]
"""JSON of whoever waits for an account; nothing here looks into it."""
Linked = Callable[[Account, Waiting], Awaitable[None]]
BeforeUnlink = Callable[[Account], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class SignIn:
    """Linking by signing in: `url` is a page of our own, for this one person, for 15 minutes."""

    server_url: str
    url: str = field(repr=False)
    nonce: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PasteToken:
    """Linking by a token that the person makes at `tokens_url` and pastes into a form.

    `nonce` names the request for 15 minutes; the button that opens the form carries it.
    """

    server_url: str
    tokens_url: str
    nonce: str = field(repr=False)


async def _nothing_waits(_account: Account, _waiting: Waiting) -> None:
    return None


async def _nothing_hangs(_account: Account) -> None:
    return None


class AccountService:
    """Links and unlinks accounts, and lends them out for questions.

    `linked` is called once for each link, in the process that Discord is connected to: with the
    account and what waited for it, which may be empty. `before_unlink` is called before an
    account's rows go, to remove what it made at Speckle and pause what hangs on it. app.py sets
    both. Whoever waits passes `waiting` to `start_link` and gets it back in `linked`.
    """

    linked: Linked
    before_unlink: BeforeUnlink

    def __init__(
        self,
        storage: Storage,
        gateway: SpeckleGateway,
        oauth: SpeckleOAuth,
        *,
        speckle_servers: tuple[str, ...],
        apps: Mapping[str, SpeckleApp],
        public_url: str | None,
        operator_token: str | None,
        served_guilds: Collection[int],
        now: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._gateway = gateway
        self._oauth = oauth
        self._servers = speckle_servers
        self._apps = apps
        self._public_url = public_url
        self._operator_token = operator_token
        self._served_guilds = frozenset(served_guilds)
        self._now = now
        self.linked = _nothing_waits
        self.before_unlink = _nothing_hangs

    async def start_link(
        self,
        discord_user_id: int,
        server_url: str,
        waiting: Waiting,
        *,
        person: str = "",
        answer_to: Mapping[str, str] | None = None,
    ) -> SignIn | PasteToken:
        """Begin to link; `bot.cogs.accounts.link_reply` shows what comes back.

        `person` is the Discord name that the page shows; `answer_to` is where the person is told
        how it went (`bot.cogs.accounts.answer_to(interaction)`), else it is a direct message.
        """
        raise NotImplementedError

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
