"""Linked Speckle accounts, and requests to link one; what is secret or personal is sealed."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update

from bot.db.confirming import confirm, count_unconfirmed, unconfirm_all
from bot.db.session import Session
from bot.db.tables import accounts, hooks, link_requests, notices, pending_commands, subscriptions
from bot.db.vault import Vault
from bot.errors import SealError
from bot.model import (
    CLAIM_HOLDS,
    LINK_VALID,
    NOBODY,
    TOLD_WITHIN,
    Account,
    Dependents,
    LinkDetails,
    LinkRequest,
    PauseReason,
    is_claimed,
)
from bot.speckle.tokens import Tokens, TokenScope

log = structlog.get_logger()

Row = Mapping[Any, Any]


class Accounts:
    """Reads and writes accounts; `forget_hooks` is called when hooks lost theirs."""

    def __init__(self, session: Session, vault: Vault, forget_hooks: Callable[[], None]) -> None:
        self._session = session
        self._vault = vault
        self._now = session.now
        self._forget_hooks = forget_hooks

    def get(self, account_id: int) -> Account | None:
        """The account with this id."""
        return next(iter(self._where(accounts.c.id == account_id)), None)

    def of_user(self, discord_user_id: int, server_url: str) -> Account | None:
        """The account that a person linked on a server."""
        found = self._where(
            accounts.c.discord_user_id == discord_user_id, accounts.c.server_url == server_url
        )
        return next(iter(found), None)

    def all_of_user(self, discord_user_id: int) -> list[Account]:
        """All accounts that a person linked, oldest first."""
        return self._where(accounts.c.discord_user_id == discord_user_id)

    def link(
        self,
        nonce: str,
        speckle_user_id: str,
        name: str | None,
        tokens: Tokens,
        scopes: frozenset[TokenScope],
        *,
        told: bool,
    ) -> Account | None:
        """Keep the account that a request brought, in place of the person's former one there.

        Whatever else of this person waits for an account on that server has one now. None if the
        request has run out, or has brought an account already.
        """
        digest = _digest(nonce)
        request = _locked_request(self._session, digest)
        if request is None or not _is_open(request, self._now()):
            return None
        account = self._put(
            discord_user_id=request["discord_user_id"],
            server_url=request["server_url"],
            speckle_user_id=speckle_user_id,
            scopes=sorted(scopes),
            sealed=lambda context: self._seal(context, name, tokens),
        )
        details = _opened(self._vault, request)
        left = replace(details, told=told, challenge=None, cookie_digest=None, tokens=None)
        sealed = _sealed(self._vault, request, left)
        _change(self._session, request, sealed=sealed, used_at=self._now())
        self._hand_out(account, digest)
        return account

    def replace_tokens(self, account: Account, tokens: Tokens) -> Account | None:
        """Keep renewed tokens if the account still has those that they were got with.

        Gives the account as it is then, which another process may have renewed; None if it is gone.
        """
        row = self._locked(account.id)
        if row is None:
            return None
        there = self._account(row)
        if there.tokens != account.tokens:
            return there
        values = {
            "tokens_sealed": self._seal(_context(row), there.name, tokens),
            "refused_at": None,
        }
        change = update(accounts).where(accounts.c.id == account.id).values(values)
        row = self._session.execute(change.returning(accounts)).mappings().one()
        return self._account(row)

    def mark_refused(self, account: Account) -> bool:
        """Note that the server no longer takes the account's tokens, unless it has others by now.

        True for the one caller who noted it first.
        """
        row = self._locked(account.id)
        if row is None or self._account(row).tokens != account.tokens:
            return False
        change = update(accounts).where(
            accounts.c.id == account.id, accounts.c.refused_at.is_(None)
        )
        result = self._session.execute(change.values(refused_at=self._now()))
        return result.rowcount == 1

    def mark_taken(self, account: Account) -> None:
        """Note that the server takes the account's tokens after all."""
        row = self._locked(account.id)
        if row is not None and self._account(row).tokens == account.tokens:
            this = accounts.c.id == account.id
            self._session.execute(update(accounts).where(this).values(refused_at=None))

    def unconfirm_all(self) -> int:
        """Use no account before its person confirms it; how many there are."""
        return unconfirm_all(self._session, self._now())

    def unconfirmed(self) -> int:
        """How many accounts wait for their person to confirm them."""
        return count_unconfirmed(self._session)

    def confirm(self, account_id: int) -> bool:
        """Let an account be used again, and resume what waited for that; False if it could be."""
        return confirm(self._session, account_id, self._now())

    def dependents(self, account_id: int) -> Dependents:
        """What the account holds up."""
        mine = and_(hooks.c.account_id == account_id, hooks.c.webhook_sealed.is_not(None))
        followed = or_(
            subscriptions.c.account_id == account_id,
            subscriptions.c.hook_id.in_(select(hooks.c.id).where(mine)),
        )
        channels = (
            select(subscriptions.c.guild_id, func.count(func.distinct(subscriptions.c.channel_id)))
            .where(followed)
            .group_by(subscriptions.c.guild_id)
            .order_by(subscriptions.c.guild_id)
        )
        webhooks = select(func.count()).select_from(hooks).where(mine)
        by_guild = {row[0]: row[1] for row in self._session.execute(channels)}
        return Dependents(by_guild, self._session.scalar(webhooks) or 0)

    def delete(self, account_id: int) -> bool:
        """Erase an account and detach what depends on it; False if it was gone already."""
        for table in (hooks, subscriptions):
            hanging = update(table).where(table.c.account_id == account_id)
            self._session.execute(hanging.values(account_id=None))
        gone = self._session.execute(delete(accounts).where(accounts.c.id == account_id))
        self._session.at_end(self._forget_hooks)
        return gone.rowcount == 1

    def erase_traces(self, discord_user_id: int) -> None:
        """Erase where else a person is named: what they have begun, notices to them, who made what.

        Their subscriptions and hooks stay, and so do answers that they gave; nobody in particular
        made and gave them then.
        """
        theirs = subscriptions.c.pause_detail == str(discord_user_id)
        mention = f"<@{discord_user_id}>"
        for table, column in (
            (link_requests, link_requests.c.discord_user_id),
            (pending_commands, pending_commands.c.discord_user_id),
            (notices, notices.c.user_id),
        ):
            self._session.execute(delete(table).where(column == discord_user_id))
        for made in (hooks, subscriptions):
            change = update(made).where(made.c.created_by == discord_user_id)
            self._session.execute(change.values(created_by=NOBODY))
        self._session.execute(
            update(subscriptions)
            .where(subscriptions.c.pause_reason == PauseReason.MEMBER, theirs)
            .values(pause_detail=None)
        )
        for detail in (subscriptions.c.pause_detail, notices.c.detail):
            unnamed = {detail.name: func.replace(detail, mention, "somebody")}
            named = update(detail.table).where(detail.contains(mention, autoescape=True))
            self._session.execute(named.values(unnamed))
        self._session.at_end(self._forget_hooks)

    def traces(self, discord_user_id: int) -> Mapping[str, int]:
        """How many rows name a person, by table, other than accounts."""
        counted: dict[str, int] = {}
        for column in (
            link_requests.c.discord_user_id,
            pending_commands.c.discord_user_id,
            notices.c.user_id,
            hooks.c.created_by,
            subscriptions.c.created_by,
        ):
            table = column.table
            rows = select(func.count()).select_from(table).where(column == discord_user_id)
            counted[table.name] = self._session.scalar(rows) or 0
        return counted

    def _put(
        self,
        *,
        discord_user_id: int,
        server_url: str,
        speckle_user_id: str,
        scopes: list[TokenScope],
        sealed: Callable[[str], str],
    ) -> Account:
        key = {"discord_user_id": discord_user_id, "server_url": server_url}
        values = {
            "speckle_user_id": speckle_user_id,
            "tokens_sealed": sealed(_context(key | {"speckle_user_id": speckle_user_id})),
            "scopes": scopes,
            "linked_at": self._now(),
            "refused_at": None,
        }
        statement = self._session.insert(accounts).values(**key, **values)
        unique = [accounts.c.discord_user_id, accounts.c.server_url]
        change = statement.on_conflict_do_update(index_elements=unique, set_=values)
        row = self._session.execute(change.returning(accounts)).mappings().one()
        # What the former account was seen to have access to says nothing of this one.
        hanging = update(subscriptions).where(subscriptions.c.account_id == row["id"])
        self._session.execute(hanging.values(access_ok_at=None))
        confirm(self._session, row["id"], self._now())
        return replace(self._account(row), unconfirmed_at=None)

    def _hand_out(self, account: Account, digest: str) -> None:
        """Give the account to the request and to whatever else the person has waiting for one."""
        now = self._now()
        self._session.execute(
            update(link_requests)
            .where(
                link_requests.c.discord_user_id == account.discord_user_id,
                link_requests.c.server_url == account.server_url,
                link_requests.c.account_id.is_(None),
                link_requests.c.expires_at > now,
                or_(_is_unclaimed(now), link_requests.c.nonce_digest == digest),
            )
            .values(account_id=account.id, expires_at=now + TOLD_WITHIN)
        )

    def _locked(self, account_id: int) -> Row | None:
        statement = select(accounts).where(accounts.c.id == account_id).with_for_update()
        return self._session.execute(statement).mappings().one_or_none()

    def _where(self, *conditions: Any) -> list[Account]:
        statement = select(accounts).where(*conditions).order_by(accounts.c.id)
        rows = self._session.execute(statement).mappings().all()
        return [self._account(row) for row in rows]

    def _seal(self, context: str, name: str | None, tokens: Tokens) -> str:
        content = {"name": name, "token": tokens.token, "refresh_token": tokens.refresh_token}
        return self._vault.seal(json.dumps(content), context)

    def _account(self, row: Row) -> Account:
        """The account; one that no key opens, or that was moved here, has no tokens.

        So its owner can still see it, link it again and unlink it.
        """
        unopenable = False
        try:
            content = json.loads(self._vault.open(row["tokens_sealed"], _context(row)))
        except SealError as error:
            log.error("accounts.unopenable", account_id=row["id"], reason=str(error))
            content = {"name": None, "token": "", "refresh_token": None}
            unopenable = True
        return Account(
            id=row["id"],
            discord_user_id=row["discord_user_id"],
            server_url=row["server_url"],
            speckle_user_id=row["speckle_user_id"],
            name=content["name"],
            tokens=Tokens(content["token"], content["refresh_token"]),
            scopes=frozenset(map(TokenScope, row["scopes"])),
            linked_at=row["linked_at"],
            refused_at=row["refused_at"],
            unconfirmed_at=row["unconfirmed_at"],
            unopenable=unopenable,
        )


class LinkRequests:
    """Requests to link an account: found by a nonce that only its digest is kept of."""

    def __init__(self, session: Session, vault: Vault) -> None:
        self._session = session
        self._vault = vault
        self._now = session.now

    def add(self, nonce: str, discord_user_id: int, server_url: str, details: LinkDetails) -> None:
        """Keep a request for 15 minutes."""
        row = {
            "nonce_digest": _digest(nonce),
            "discord_user_id": discord_user_id,
            "server_url": server_url,
        }
        values = row | {
            "sealed": _sealed(self._vault, row, details),
            "expires_at": self._now() + LINK_VALID,
        }
        self._session.execute(link_requests.insert().values(values))

    def get(self, nonce: str) -> LinkRequest | None:
        """The request with this nonce, used ones too; None once it has run out."""
        found = self._where(
            link_requests.c.nonce_digest == _digest(nonce),
            link_requests.c.expires_at > self._now(),
        )
        return next(iter(found), None)

    def begin(self, nonce: str, challenge: str, cookie_digest: str) -> bool:
        """Note the sign-in that starts now, in place of one before; False if it may not start."""
        row = _locked_request(self._session, _digest(nonce))
        now = self._now()
        if row is None or is_claimed(row["used_at"], now) or not _is_open(row, now):
            return False
        details = replace(
            _opened(self._vault, row),
            challenge=challenge,
            cookie_digest=cookie_digest,
            tokens=None,
        )
        _change(self._session, row, sealed=_sealed(self._vault, row, details))
        return True

    def claim(self, nonce: str) -> bool:
        """Take the request for its one use; True for exactly one caller."""
        change = update(link_requests).where(
            link_requests.c.nonce_digest == _digest(nonce),
            _is_unclaimed(self._now()),
            link_requests.c.account_id.is_(None),
            link_requests.c.expires_at > self._now(),
        )
        result = self._session.execute(change.values(used_at=self._now()))
        return result.rowcount == 1

    def got(self, nonce: str, tokens: Tokens) -> None:
        """Note what the request's code, which works once, was exchanged for."""
        row = _locked_request(self._session, _digest(nonce))
        if row is None or row["account_id"] is not None:
            return
        details = replace(_opened(self._vault, row), tokens=tokens)
        _change(self._session, row, sealed=_sealed(self._vault, row, details))

    def release(self, nonce: str, tokens: Tokens | None = None) -> None:
        """Give back a claim that led to nothing; `tokens` are what came of it so far."""
        row = _locked_request(self._session, _digest(nonce))
        if row is None or row["account_id"] is not None:
            return
        details = replace(_opened(self._vault, row), tokens=tokens)
        _change(self._session, row, used_at=None, sealed=_sealed(self._vault, row, details))

    def linked(self) -> list[LinkRequest]:
        """Requests that have an account and are not done with yet, the first to run out first."""
        return self._where(link_requests.c.account_id.is_not(None))

    def delete(self, nonce_digest: str) -> bool:
        """Erase a request that is done with; False if somebody else was quicker."""
        this = link_requests.c.nonce_digest == nonce_digest
        gone = self._session.execute(delete(link_requests).where(this))
        return gone.rowcount == 1

    def erase_expired(self) -> int:
        """Erase the requests that have run out; how many they were."""
        over = link_requests.c.expires_at <= self._now()
        return self._session.execute(delete(link_requests).where(over)).rowcount

    def _where(self, *conditions: ColumnElement[bool]) -> list[LinkRequest]:
        statement = select(link_requests).where(*conditions).order_by(link_requests.c.expires_at)
        rows = self._session.execute(statement).mappings().all()
        return [request for row in rows if (request := self._request(row)) is not None]

    def _request(self, row: Row) -> LinkRequest | None:
        """The request; one that no key opens is as good as none, and runs out soon."""
        try:
            details = _opened(self._vault, row)
        except SealError as error:
            log.error("link_requests.unopenable", reason=str(error))
            return None
        return LinkRequest(
            nonce_digest=row["nonce_digest"],
            discord_user_id=row["discord_user_id"],
            server_url=row["server_url"],
            details=details,
            expires_at=row["expires_at"],
            used_at=row["used_at"],
            account_id=row["account_id"],
        )


def _locked_request(session: Session, digest: str) -> Row | None:
    this = link_requests.c.nonce_digest == digest
    statement = select(link_requests).where(this).with_for_update()
    return session.execute(statement).mappings().one_or_none()


def _change(session: Session, row: Row, **values: Any) -> None:
    this = link_requests.c.nonce_digest == row["nonce_digest"]
    session.execute(update(link_requests).where(this).values(values))


def _is_unclaimed(now: datetime) -> ColumnElement[bool]:
    used_at = link_requests.c.used_at
    return or_(used_at.is_(None), used_at <= now - CLAIM_HOLDS)


def _is_open(row: Row, now: datetime) -> bool:
    return bool(row["account_id"] is None and row["expires_at"] > now)


def _digest(nonce: str) -> str:
    return hashlib.sha256(nonce.encode()).hexdigest()


def _context(row: Row) -> str:
    return f"account:{row['discord_user_id']}:{row['server_url']}:{row['speckle_user_id']}"


def _request_context(row: Row) -> str:
    return f"link:{row['discord_user_id']}:{row['server_url']}:{row['nonce_digest']}"


def _sealed(vault: Vault, row: Row, details: LinkDetails) -> str:
    tokens = details.tokens
    content = {
        "person": details.person,
        "pending": details.pending,
        "answer_to": None if details.answer_to is None else dict(details.answer_to),
        "challenge": details.challenge,
        "cookie_digest": details.cookie_digest,
        "tokens": None if tokens is None else [tokens.token, tokens.refresh_token],
        "told": details.told,
    }
    return vault.seal(json.dumps(content), _request_context(row))


def _opened(vault: Vault, row: Row) -> LinkDetails:
    content = json.loads(vault.open(row["sealed"], _request_context(row)))
    tokens = content.pop("tokens")
    return LinkDetails(**content, tokens=None if tokens is None else Tokens(*tokens))
