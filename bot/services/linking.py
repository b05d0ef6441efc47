"""Linking a Speckle account, by signing in or by a token, and unlinking it."""

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

import structlog

from bot.audit import by_person
from bot.errors import (
    BotError,
    SpeckleError,
    SpeckleScopeMissing,
    SpeckleTokenRefused,
    SpeckleUnavailable,
    StorageUnavailable,
)
from bot.model import Account, Dependents
from bot.pending import LinkDetails, LinkRequest, is_claimed
from bot.speckle.links import Links
from bot.speckle.tokens import Challenge, SpeckleApp, Tokens, TokenScope
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.sign_in import SpeckleSignIn, sign_in_url
from bot.speckle_api.types import Login
from bot.storage import Storage, Transaction

log = structlog.get_logger()

NONCE_BYTES: Final = 32
MAX_TOKEN: Final = 200  # characters; Speckle's have 42
MAX_CODE: Final = 200  # characters; Speckle's have 42
MAX_TYPED_CODE: Final = 600  # characters: it may come as the address that it is in
NEEDED: Final = frozenset({TokenScope.PROFILE_READ, TokenScope.STREAMS_READ})
LINK_PATH: Final = "/link/"

AnswerTo: TypeAlias = Mapping[str, str] | None
ResumePending = Callable[[Account, str, AnswerTo], Awaitable[None]]
DetachAccount = Callable[[Account], Awaitable[None]]


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
class PasteCode:
    """Linking by signing in at `url`, a page of Speckle's that shows a code to paste into a form.

    `nonce` is as with a token, which works here too: not every server may show a code.
    """

    server_url: str
    url: str = field(repr=False)
    tokens_url: str
    nonce: str = field(repr=False)


LinkWay: TypeAlias = SignIn | PasteCode | PasteToken


@dataclass(frozen=True, slots=True)
class SignInRedirect:
    """The way to Speckle's sign-in, and the cookie that its callback is recognised by."""

    url: str = field(repr=False)
    cookie: str = field(repr=False)


class WhyNotLinked(StrEnum):
    """Why no account was linked."""

    EXPIRED = "expired"  # or never made: nobody can tell the two apart
    USED = "used"
    OTHER_BROWSER = "other_browser"
    OTHER_PERSON = "other_person"
    CODE_REFUSED = "code_refused"
    NOT_A_CODE = "not_a_code"
    NOT_A_TOKEN = "not_a_token"  # noqa: S105  # no token
    TOKEN_REFUSED = "token_refused"  # noqa: S105  # no token
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


class AccountLinking:
    """Links and unlinks accounts.

    `detach` is called before an account's rows go, to remove what it made at Speckle and pause
    what depends on it.
    """

    def __init__(
        self,
        storage: Storage,
        client: SpeckleClient,
        sign_in: SpeckleSignIn,
        detach: DetachAccount,
        *,
        speckle_servers: tuple[str, ...],
        apps: Mapping[str, SpeckleApp],
        public_url: str | None,
        now: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._client = client
        self._sign_in = sign_in
        self._detach = detach
        self.servers = speckle_servers
        self._apps = apps
        self._public_url = public_url
        self.has_public_url = public_url is not None  # else no webhook reaches the bot
        self._now = now
        self.link_completed = asyncio.Event()  # something may be in `completed_links`

    async def start_link(
        self,
        discord_user_id: int,
        server_url: str,
        pending: str | None = None,
        *,
        person: str = "",
        answer_to: AnswerTo = None,
    ) -> LinkWay:
        """Begin to link, in the way that this bot and the server have.

        `person` is the Discord name that the page shows; `pending` is the token of a command that
        waits for the account; `answer_to` is where the person is notified of how it went, else it
        is a direct message.
        """
        nonce = secrets.token_urlsafe(NONCE_BYTES)
        details = LinkDetails(person=person, pending=pending, answer_to=answer_to)
        tokens_url = Links(server_url).token_settings()
        way: LinkWay = PasteToken(server_url, tokens_url, nonce)
        app = self._apps.get(server_url)
        if app is not None and self._public_url is not None:
            way = SignIn(server_url, f"{self._public_url}{LINK_PATH}{nonce}", nonce)
        elif app is not None:
            challenge = await self._sign_in.begin(app)
            if challenge.verifier is not None:  # only then can the server show a code
                url = sign_in_url(app, challenge, shows_code=True)
                way = PasteCode(server_url, url, tokens_url, nonce)
                details = replace(details, challenge=challenge.text, verifier=challenge.verifier)
        await self._storage.write(
            lambda tx: tx.link_requests.add(nonce, discord_user_id, server_url, details)
        )
        return way

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
        challenge, secret = await self._sign_in.begin(app), secrets.token_urlsafe(NONCE_BYTES)
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
        """Link the account that an approval's code is for; at most once a request.

        While the server is away nothing is lost: the same call can be made again.

        Errors: LinkFailed.
        """
        nonce, request = await self.signing_in(cookie)
        return await self._link_by_code(nonce, request, code, notified=False)

    async def link_by_pasted_code(self, discord_user_id: int, nonce: str, typed: str) -> Account:
        """Link the account that a code is for which Speckle showed and a person pasted.

        As `link_by_code` otherwise; a wrong code can be tried again. Errors: LinkFailed.
        """
        request = await self._own_request(discord_user_id, nonce)
        code = _code_in(typed)
        if code is None:
            raise LinkFailed(WhyNotLinked.NOT_A_CODE, request.server_url)
        details = request.details
        if details.verifier is None or details.cookie_digest is not None:
            raise LinkFailed(WhyNotLinked.EXPIRED)  # it never was for this way
        return await self._link_by_code(nonce, request, code, notified=True)

    async def _link_by_code(
        self, nonce: str, request: LinkRequest, code: str, *, notified: bool
    ) -> Account:
        app, details = self._app(request.server_url), request.details
        challenge = Challenge(details.challenge or "", details.verifier)
        if not await self._storage.write(lambda tx: tx.link_requests.claim(nonce)):
            raise LinkFailed(WhyNotLinked.USED, request.server_url)
        tokens = details.tokens
        try:
            if tokens is None:
                tokens = await self._exchanged(app, code, challenge)
                await self._storage.write(lambda tx: tx.link_requests.record_tokens(nonce, tokens))
            account = await self._store(nonce, request, tokens, notified=notified)
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
        request = await self._own_request(discord_user_id, nonce)
        token = token.strip().removeprefix("Bearer ").strip()
        if not re.fullmatch(r"[!-~]+", token) or len(token) > MAX_TOKEN:
            raise LinkFailed(WhyNotLinked.NOT_A_TOKEN, request.server_url)
        return await self._store(nonce, request, Tokens(token), notified=True)

    async def _own_request(self, discord_user_id: int, nonce: str) -> LinkRequest:
        request = await self.request(nonce)
        if request.discord_user_id != discord_user_id:
            raise LinkFailed(WhyNotLinked.OTHER_PERSON, request.server_url)
        return request

    async def _exchanged(self, app: SpeckleApp, code: str, challenge: Challenge) -> Tokens:
        try:
            return await self._sign_in.exchange(app, code, challenge)
        except SpeckleTokenRefused as error:
            log.info("accounts.code_refused", server_url=app.server_url, reason=error.reason)
            raise LinkFailed(WhyNotLinked.CODE_REFUSED, app.server_url) from None
        except SpeckleError as error:
            raise _failed(error) from error

    async def _store(
        self, nonce: str, request: LinkRequest, tokens: Tokens, *, notified: bool
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
            lambda tx: tx.accounts.link(
                nonce, me.user_id, me.name, tokens, scopes, notified=notified
            ),
            by=by_person(request.discord_user_id),
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
        """Requests that have an account, and whose person is not notified yet."""

        def read(tx: Transaction) -> list[tuple[LinkRequest, Account]]:
            linked = [
                (one, tx.accounts.get(one.account_id or 0)) for one in tx.link_requests.linked()
            ]
            return [(one, account) for one, account in linked if account is not None]

        return await self._storage.read(read)

    async def resume_pending(
        self, request: LinkRequest, account: Account, resume: ResumePending
    ) -> None:
        """Continue the command that waited for the account, if one did; then drop the request.

        `resume` gets the account, the token that was passed to `start_link` as `pending`, and where
        the person is notified of how it went.

        Errors: StorageUnavailable, with the request as it was; call it again later.
        """
        if (pending := request.details.pending) is not None:
            try:
                await resume(account, pending, request.details.answer_to)
            except StorageUnavailable:
                raise
            except Exception:  # `resume` reports what it expects itself
                log.exception("pending_commands.failed", account_id=account.id)
        await self._storage.write(lambda tx: tx.link_requests.delete(request.nonce_digest))

    # ── unlinking ─────────────────────────────────────────────────────────────────────────────────

    async def confirm(self, account: Account) -> None:
        """Use an account again that its person confirms, after the database was restored."""
        by = by_person(account.discord_user_id)
        if await self._storage.write(lambda tx: tx.accounts.confirm(account.id), by=by):
            log.info("accounts.confirmed", account_id=account.id)

    async def dependents(self, account: Account) -> Dependents:
        """What stops when the account is unlinked."""
        return await self._storage.read(lambda tx: tx.accounts.dependents(account.id))

    async def unlink(self, account: Account) -> bool:
        """Forget an account, after what depends on it is detached; False if that failed.

        Then webhooks that the bot made may be left at Speckle, whose calls nothing answers.
        """
        tidy = True
        try:
            await self._detach(account)
        except SpeckleError as error:
            log.warning("accounts.webhooks_left", account_id=account.id, reason=str(error))
            tidy = False
        await self._storage.write(lambda tx: tx.accounts.delete(account.id))
        log.info("accounts.unlinked", account_id=account.id)
        return tidy


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


def _code_in(typed: str) -> str | None:
    """The code that was pasted, alone or in the address of a page that a person was sent on to."""
    found = re.search(r"[?&]access_code=([^&#\s]+)", typed)
    code = typed.strip() if found is None else found[1]
    return code if re.fullmatch(r"[!-~]+", code) and len(code) <= MAX_CODE else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
