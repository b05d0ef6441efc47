"""Speckle accounts that people linked: linking, unlinking, and asking with them."""

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from typing import Final, TypeAlias, TypeVar
from weakref import WeakValueDictionary

import structlog

from bot.errors import (
    AccountUnconfirmed,
    AccountUnopenable,
    BotError,
    SpeckleError,
    SpeckleScopeMissing,
    SpeckleTokenRefused,
    SpeckleUnavailable,
    StorageUnavailable,
)
from bot.model import (
    Account,
    Dependents,
    Hook,
    LinkDetails,
    LinkRequest,
    RetentionPolicy,
    is_claimed,
)
from bot.services.access_rules import ReadPermit
from bot.speckle.links import Links
from bot.speckle.tokens import SpeckleApp, Tokens, TokenScope
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.sign_in import SpeckleSignIn, sign_in_url
from bot.speckle_api.types import Login
from bot.storage import Storage, Transaction

log = structlog.get_logger()

T = TypeVar("T")

NONCE_BYTES: Final = 32
MAX_TOKEN: Final = 200  # characters; Speckle's have 42
NEEDED: Final = frozenset({TokenScope.PROFILE_READ, TokenScope.STREAMS_READ})
# A token that the server refused may only have met a bad hour there, so it is tried now and then.
REFUSED_FOR: Final = timedelta(minutes=10)
LINK_PATH: Final = "/link/"

Question = Callable[[Login], Awaitable[T]]
AnswerTo: TypeAlias = Mapping[str, str] | None
Linked = Callable[[Account, str, AnswerTo], Awaitable[None]]
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


@dataclass(frozen=True, slots=True)
class SignInRedirect:
    """The way to Speckle's sign-in, and the cookie that its end is known by."""

    url: str = field(repr=False)
    cookie: str = field(repr=False)


class WhyNotLinked(StrEnum):
    """Why no account was linked."""

    EXPIRED = "expired"  # or never made: nobody can tell the two apart
    USED = "used"
    OTHER_BROWSER = "other_browser"
    OTHER_PERSON = "other_person"
    CODE_REFUSED = "code_refused"
    NOT_A_TOKEN = "not_a_token"  # noqa: S105
    TOKEN_REFUSED = "token_refused"  # noqa: S105
    SCOPES_MISSING = "scopes_missing"
    SERVER_AWAY = "server_away"
    SERVER_STRANGE = "server_strange"
    NO_APP = "no_app"


class LinkFailed(BotError):
    """No account was linked; `scopes` are those that the token lacks."""

    def __init__(
        self, why: WhyNotLinked, server_url: str = "", scopes: tuple[TokenScope, ...] = ()
    ) -> None:
        super().__init__(why)
        self.why = why
        self.server_url = server_url
        self.scopes = scopes


class TokenStatus(Enum):
    """Whether a server takes an account's token at this moment."""

    TAKEN = auto()
    REFUSED = auto()
    UNOPENABLE = auto()  # the bot's keys do not open it
    UNCONFIRMED = auto()  # the database was restored, and its person has yet to confirm it
    UNKNOWN = auto()  # it could not be asked


@dataclass(frozen=True, slots=True)
class PersonalData:
    """What is stored about a person: their accounts with what hangs on them, and other traces.

    `unfinished` counts requests to link and commands that wait.
    """

    accounts: tuple[tuple[Account, Dependents], ...]
    unfinished: int
    notices: int
    hooks: int
    subscriptions: int

    @property
    def is_nothing(self) -> bool:
        """Whether nothing at all is stored."""
        traces = self.unfinished + self.notices + self.hooks + self.subscriptions
        return not self.accounts and not traces


async def _nothing_pending(_account: Account, _pending: str, _answer_to: AnswerTo) -> None:
    return None


async def _no_dependents(_account: Account) -> None:
    return None


class AccountService:
    """Links and unlinks accounts, and lends them out for questions.

    `on_linked` is called for each command that waited for an account, in the process that Discord
    is connected to: with the account, the token that was passed to `start_link` as `pending`, and
    where its person is told how it went. `on_before_unlink` is called before an account's rows go,
    to remove what it made at Speckle and pause what depends on it. app.py sets both.
    """

    on_linked: Linked
    on_before_unlink: BeforeUnlink

    def __init__(
        self,
        storage: Storage,
        client: SpeckleClient,
        sign_in: SpeckleSignIn,
        *,
        speckle_servers: tuple[str, ...],
        apps: Mapping[str, SpeckleApp],
        public_url: str | None,
        operator_token: str | None,
        served_guilds: Collection[int],
        now: Callable[[], datetime],
        retention: RetentionPolicy | None = None,
    ) -> None:
        self._storage = storage
        self._client = client
        self._sign_in = sign_in
        self.servers = speckle_servers
        self._apps = apps
        self._public_url = public_url
        self._operator_token = operator_token
        self._served_guilds = frozenset(served_guilds)
        self._now = now
        self.retention = retention  # for what is said about retention
        self._renewing: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self.on_linked = _nothing_pending
        self.on_before_unlink = _no_dependents
        self.link_completed = asyncio.Event()  # something may be in `completed_links`

    # ── linking ───────────────────────────────────────────────────────────────────────────────

    async def start_link(
        self,
        discord_user_id: int,
        server_url: str,
        pending: str | None = None,
        *,
        person: str = "",
        answer_to: AnswerTo = None,
    ) -> SignIn | PasteToken:
        """Begin to link; `bot.cogs.accounts.cog.link_response` shows what comes back.

        `person` is the Discord name that the page shows; `answer_to` is where the person is told
        how it went (`bot.cogs.followups.followup_address(interaction)`), else it is a direct
        message.
        """
        nonce = secrets.token_urlsafe(NONCE_BYTES)
        details = LinkDetails(person=person, pending=pending, answer_to=answer_to)
        await self._storage.write(
            lambda tx: tx.link_requests.add(nonce, discord_user_id, server_url, details)
        )
        if server_url in self._apps and self._public_url is not None:
            return SignIn(server_url, f"{self._public_url}{LINK_PATH}{nonce}", nonce)
        return PasteToken(server_url, Links(server_url).token_settings(), nonce)

    async def request(self, nonce: str) -> LinkRequest:
        """The request with this nonce, as long as it can still bring an account.

        Errors: LinkFailed.
        """
        request = await self._storage.read(lambda tx: tx.link_requests.get(nonce))
        if request is None or request.server_url not in self.servers:
            raise LinkFailed(WhyNotLinked.EXPIRED)
        if is_claimed(request.used_at, self._now()) or request.account_id is not None:
            raise LinkFailed(WhyNotLinked.USED, request.server_url)
        return request

    async def begin_sign_in(self, nonce: str) -> SignInRedirect:
        """Start a sign-in in one browser, which the cookie is for; one before is void.

        Errors: LinkFailed.
        """
        request = await self.request(nonce)
        app = self._app(request.server_url)
        challenge, secret = secrets.token_urlsafe(NONCE_BYTES), secrets.token_urlsafe(NONCE_BYTES)
        if not await self._storage.write(
            lambda tx: tx.link_requests.begin(nonce, challenge, _digest(secret))
        ):
            raise LinkFailed(WhyNotLinked.USED, request.server_url)
        return SignInRedirect(sign_in_url(app, challenge), f"{nonce}.{secret}")

    async def signing_in(self, cookie: str) -> tuple[str, LinkRequest]:
        """The nonce and the request of the sign-in that this cookie was made for.

        Errors: LinkFailed.
        """
        nonce, _, secret = cookie.partition(".")
        request = await self.request(nonce)
        digest = request.details.cookie_digest
        if digest is None or not hmac.compare_digest(digest, _digest(secret)):
            raise LinkFailed(WhyNotLinked.OTHER_BROWSER, request.server_url)
        return nonce, request

    async def link_by_code(self, cookie: str, code: str) -> Account:
        """Link the account that an approval's code stands for; at most once a request.

        While the server is away nothing is lost: the same call can be made again.

        Errors: LinkFailed.
        """
        nonce, request = await self.signing_in(cookie)
        app, challenge = self._app(request.server_url), request.details.challenge or ""
        if not await self._storage.write(lambda tx: tx.link_requests.claim(nonce)):
            raise LinkFailed(WhyNotLinked.USED, request.server_url)
        tokens = request.details.tokens
        try:
            if tokens is None:
                tokens = await self._exchanged(app, code, challenge)
                await self._storage.write(lambda tx: tx.link_requests.got(nonce, tokens))
            account = await self._store(nonce, request, tokens, told=False)
        except LinkFailed as failed:
            away = failed.why is WhyNotLinked.SERVER_AWAY
            await self._storage.write(
                lambda tx: tx.link_requests.release(nonce, tokens if away else None)
            )
            raise
        return account

    async def link_by_token(self, discord_user_id: int, nonce: str, token: str) -> Account:
        """Link the account of a token that a person made by hand; a wrong one can be tried again.

        Errors: LinkFailed.
        """
        request = await self.request(nonce)
        if request.discord_user_id != discord_user_id:
            raise LinkFailed(WhyNotLinked.OTHER_PERSON, request.server_url)
        token = token.strip().removeprefix("Bearer ").strip()
        if not re.fullmatch(r"[!-~]+", token) or len(token) > MAX_TOKEN:
            raise LinkFailed(WhyNotLinked.NOT_A_TOKEN, request.server_url)
        return await self._store(nonce, request, Tokens(token), told=True)

    async def _exchanged(self, app: SpeckleApp, code: str, challenge: str) -> Tokens:
        try:
            return await self._sign_in.exchange(app, code, challenge)
        except SpeckleTokenRefused:
            raise LinkFailed(WhyNotLinked.CODE_REFUSED, app.server_url) from None
        except SpeckleError as error:
            raise _failed(error) from error

    async def _store(
        self, nonce: str, request: LinkRequest, tokens: Tokens, *, told: bool
    ) -> Account:
        """Ask whose tokens these are and what they allow, then keep them."""
        server_url = request.server_url
        login = Login(server_url, tokens.token)
        try:
            scopes = await self._client.scopes(login)
            if lacking := NEEDED - scopes:
                missing = tuple(scope for scope in TokenScope if scope in lacking)
                raise LinkFailed(WhyNotLinked.SCOPES_MISSING, server_url, missing)
            me = await self._client.me(login)
        except SpeckleError as error:
            raise _failed(error) from error
        account = await self._storage.write(
            lambda tx: tx.accounts.link(nonce, me.user_id, me.name, tokens, scopes, told=told)
        )
        if account is None:
            raise LinkFailed(WhyNotLinked.USED, server_url)
        log.info("accounts.linked", account_id=account.id, server_url=server_url)
        self.link_completed.set()
        return account

    def _app(self, server_url: str) -> SpeckleApp:
        app = self._apps.get(server_url)
        if app is None:  # taken out of the settings since the link was made
            raise LinkFailed(WhyNotLinked.NO_APP, server_url)
        return app

    async def completed_links(self) -> list[tuple[LinkRequest, Account]]:
        """Requests that have an account, and are yet to be told and gone on with."""

        def read(tx: Transaction) -> list[tuple[LinkRequest, Account]]:
            linked = [
                (one, tx.accounts.get(one.account_id or 0)) for one in tx.link_requests.linked()
            ]
            return [(one, account) for one, account in linked if account is not None]

        return await self._storage.read(read)

    async def resume_pending(self, request: LinkRequest, account: Account) -> None:
        """Let what waited go on, and be done with the request.

        Errors: StorageUnavailable, with the request as it was; call it again later.
        """
        if (pending := request.details.pending) is not None:
            try:
                await self.on_linked(account, pending, request.details.answer_to)
            except StorageUnavailable:
                raise
            except Exception:  # whoever waits tells of what they expect themselves
                log.exception("pending_commands.failed", account_id=account.id)
        await self._storage.write(lambda tx: tx.link_requests.delete(request.nonce_digest))

    # ── what is linked, and forgetting it ─────────────────────────────────────────────────────

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
        except SpeckleError:
            return TokenStatus.UNKNOWN
        return TokenStatus.TAKEN

    async def confirm(self, account: Account) -> None:
        """Use an account again that its person confirms, after the database was restored."""
        if await self._storage.write(lambda tx: tx.accounts.confirm(account.id)):
            log.info("accounts.confirmed", account_id=account.id)

    async def dependents(self, account: Account) -> Dependents:
        """What stops when the account is unlinked."""
        return await self._storage.read(lambda tx: tx.accounts.dependents(account.id))

    async def unlink(self, account: Account) -> bool:
        """Forget an account, after what hangs on it is seen to; False if that did not go well.

        Then webhooks that the bot made may be left at Speckle, where they call in vain.
        """
        tidy = True
        try:
            await self.on_before_unlink(account)
        except SpeckleError as error:
            log.warning("accounts.webhooks_left", account_id=account.id, reason=str(error))
            tidy = False
        await self._storage.write(lambda tx: tx.accounts.delete(account.id))
        log.info("accounts.unlinked", account_id=account.id)
        return tidy

    async def personal_data(self, discord_user_id: int) -> PersonalData:
        """What is stored about a person."""
        accounts = await self.all_of_user(discord_user_id)
        traces = await self._storage.read(lambda tx: tx.accounts.traces(discord_user_id))
        return PersonalData(
            accounts=tuple([(account, await self.dependents(account)) for account in accounts]),
            unfinished=traces["link_requests"] + traces["pending_commands"],
            notices=traces["notices"],
            hooks=traces["hooks"],
            subscriptions=traces["subscriptions"],
        )

    async def erase_personal_data(self, discord_user_id: int) -> bool:
        """Forget all that is stored about a person; False as for `unlink`."""
        tidy = [await self.unlink(one) for one in await self.all_of_user(discord_user_id)]
        await self._storage.erase_traces(discord_user_id)
        return all(tidy)

    # ── asking with them ──────────────────────────────────────────────────────────────────────

    async def as_account(self, account_id: int, question: Question[T]) -> T:
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
        first = hook.server_url == self.servers[0]
        return self._operator_token is not None and first and hook.guild_id in self._served_guilds

    async def with_permit(self, permit: ReadPermit, question: Question[T]) -> T:
        """Ask as a pass allows: with its account, with the operator's token, or without a token.

        Errors: those of the question, and of `as_account`.
        """
        if permit.account_id is not None:
            return await self.as_account(permit.account_id, question)
        return await question(
            Login(permit.server_url, self._operator_token if permit.as_operator else None)
        )

    async def _once_more(self, account: Account, question: Question[T]) -> T:
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
                # It was linked anew meanwhile, or is gone.
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
        """Mark it unless it has other tokens by now; whether it is refused, as far as known."""
        if await self._storage.write(lambda tx: tx.accounts.mark_refused(account)):
            log.warning(
                "accounts.token_refused", account_id=account.id, server_url=account.server_url
            )
        now = await self._storage.read(lambda tx: tx.accounts.get(account.id))
        return now is not None and now.tokens == account.tokens


def _failed(error: SpeckleError) -> LinkFailed:
    match error:
        case SpeckleTokenRefused():
            return LinkFailed(WhyNotLinked.TOKEN_REFUSED, error.server_url)
        case SpeckleScopeMissing() if error.scope in tuple(TokenScope):
            scopes = (TokenScope(error.scope),)
            return LinkFailed(WhyNotLinked.SCOPES_MISSING, error.server_url, scopes)
        case SpeckleUnavailable():
            return LinkFailed(WhyNotLinked.SERVER_AWAY, error.server_url)
        case _:
            return LinkFailed(WhyNotLinked.SERVER_STRANGE, error.server_url)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
