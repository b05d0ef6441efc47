"""Requests to link an account: found by a nonce of which only the digest is kept."""

import hashlib
import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import ColumnElement, delete, or_, select, update

from bot.db.rows import Row, value_of
from bot.db.session import Session
from bot.db.tables import link_requests
from bot.errors import SealError
from bot.model import Account
from bot.pending import CLAIM_HOLDS, LINK_VALID, NOTIFY_WITHIN, LinkDetails, LinkRequest, is_claimed
from bot.speckle.tokens import Challenge, Tokens
from bot.vault import Vault

log = structlog.get_logger()


class LinkRequests:
    """Reads and writes requests to link an account; what is secret in them is sealed."""

    def __init__(self, session: Session, vault: Vault) -> None:
        self._session = session
        self._vault = vault
        self._now = session.now

    def add(self, nonce: str, discord_user_id: int, server_url: str, details: LinkDetails) -> None:
        """Keep a request for 15 minutes."""
        row = _key(_digest(nonce), discord_user_id, server_url)
        sealed, expires_at = self._seal(row, details), self._now() + LINK_VALID
        values = {**row, "sealed": sealed, "expires_at": expires_at}
        self._session.execute(link_requests.insert().values(values))

    def get(self, nonce: str) -> LinkRequest | None:
        """The request with this nonce, used ones too; None once it has run out."""
        found = self._where(
            link_requests.c.nonce_digest == _digest(nonce),
            link_requests.c.expires_at > self._now(),
        )
        return next(iter(found), None)

    def locked(self, nonce: str) -> LinkRequest | None:
        """The request with this nonce, locked until the transaction ends.

        None if it has run out or has brought an account already.
        """
        row = self._open_row(nonce)
        return None if row is None else self._request(row)

    def begin(self, nonce: str, challenge: Challenge, cookie_digest: str) -> bool:
        """Note the sign-in that starts now, in place of one before; False if it may not start."""
        row = self._open_row(nonce)
        if row is None or is_claimed(row["used_at"], self._now()):
            return False
        before = self._details(row)
        details = replace(
            before,
            challenge=challenge.text,
            verifier=challenge.verifier,
            cookie_digest=cookie_digest,
            tokens=None,
        )
        self._change(row, sealed=self._seal(row, details))
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

    def record_tokens(self, nonce: str, tokens: Tokens) -> None:
        """Note what the request's code, which works once, was exchanged for."""
        if (row := self._open_row(nonce)) is not None:
            details = replace(self._details(row), tokens=tokens)
            self._change(row, sealed=self._seal(row, details))

    def release(self, nonce: str, tokens: Tokens | None = None) -> None:
        """Give back a claim that led to nothing; `tokens` are what came of it so far."""
        if (row := self._open_row(nonce)) is not None:
            details = replace(self._details(row), tokens=tokens)
            self._change(row, used_at=None, sealed=self._seal(row, details))

    def complete(self, request: LinkRequest, account: Account, *, notified: bool) -> None:
        """Note the account that a request brought.

        Whatever else of this person waits for an account on that server has one now.
        """
        row = _key(request.nonce_digest, request.discord_user_id, request.server_url)
        details = replace(
            request.details,
            notified=notified,
            challenge=None,
            verifier=None,
            cookie_digest=None,
            tokens=None,
        )
        now = self._now()
        self._change(row, sealed=self._seal(row, details), used_at=now)
        self._session.execute(
            update(link_requests)
            .where(
                link_requests.c.discord_user_id == account.discord_user_id,
                link_requests.c.server_url == account.server_url,
                link_requests.c.account_id.is_(None),
                link_requests.c.expires_at > now,
                or_(_is_unclaimed(now), link_requests.c.nonce_digest == request.nonce_digest),
            )
            .values(account_id=account.id, expires_at=now + NOTIFY_WITHIN)
        )

    def linked(self) -> list[LinkRequest]:
        """Requests that have an account and are not done with, the first to run out first."""
        return self._where(link_requests.c.account_id.is_not(None))

    def delete(self, nonce_digest: str) -> bool:
        """Erase a request that is done with; False if somebody else was quicker."""
        this = link_requests.c.nonce_digest == nonce_digest
        return self._session.execute(delete(link_requests).where(this)).rowcount == 1

    def erase_expired(self) -> int:
        """Erase the requests that have run out; how many they were."""
        over = link_requests.c.expires_at <= self._now()
        return self._session.execute(delete(link_requests).where(over)).rowcount

    def _open_row(self, nonce: str) -> Row | None:
        """The request's row, locked; None if it has run out or has brought an account already."""
        statement = select(link_requests).where(
            link_requests.c.nonce_digest == _digest(nonce),
            link_requests.c.account_id.is_(None),
            link_requests.c.expires_at > self._now(),
        )
        return self._session.execute(statement.with_for_update()).mappings().one_or_none()

    def _change(self, row: Row, **values: Any) -> None:
        this = link_requests.c.nonce_digest == row["nonce_digest"]
        self._session.execute(update(link_requests).where(this).values(values))

    def _where(self, *conditions: ColumnElement[bool]) -> list[LinkRequest]:
        statement = select(link_requests).where(*conditions).order_by(link_requests.c.expires_at)
        rows = self._session.execute(statement).mappings().all()
        return [request for row in rows if (request := self._request(row)) is not None]

    def _request(self, row: Row) -> LinkRequest | None:
        """The request; one that no key opens is as good as none, and runs out soon."""
        try:
            details = self._details(row)
        except SealError as error:
            log.error("link_requests.unopenable", reason=str(error))
            return None
        return value_of(LinkRequest, row, details=details)

    def _seal(self, row: Row, details: LinkDetails) -> str:
        tokens = details.tokens
        content = {
            "person": details.person,
            "pending": details.pending,
            "answer_to": None if details.answer_to is None else dict(details.answer_to),
            "challenge": details.challenge,
            "verifier": details.verifier,
            "cookie_digest": details.cookie_digest,
            "tokens": None if tokens is None else [tokens.token, tokens.refresh_token],
            "told": details.notified,
        }
        return self._vault.seal(json.dumps(content), _context(row))

    def _details(self, row: Row) -> LinkDetails:
        content = json.loads(self._vault.open(row["sealed"], _context(row)))
        notified, tokens = content.pop("told"), content.pop("tokens")
        return LinkDetails(
            **content,
            notified=notified,
            tokens=None if tokens is None else Tokens(*tokens),
        )


def _key(nonce_digest: str, discord_user_id: int, server_url: str) -> Row:
    """What a request is sealed for: with one of these changed in its row, it cannot be opened."""
    return {
        "nonce_digest": nonce_digest,
        "discord_user_id": discord_user_id,
        "server_url": server_url,
    }


def _context(row: Row) -> str:
    return f"link:{row['discord_user_id']}:{row['server_url']}:{row['nonce_digest']}"


def _is_unclaimed(now: datetime) -> ColumnElement[bool]:
    used_at = link_requests.c.used_at
    return or_(used_at.is_(None), used_at <= now - CLAIM_HOLDS)


def _digest(nonce: str) -> str:
    return hashlib.sha256(nonce.encode()).hexdigest()
