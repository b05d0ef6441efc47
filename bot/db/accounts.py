"""Linked Speckle accounts; what is secret or personal is sealed.

After a restored backup no account is used before its person confirms it: the copy may hold an
account that was unlinked since, or an answer that was taken back.
"""

import json
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import structlog
from sqlalchemy import and_, bindparam, delete, func, or_, select, update

from bot.audit import AuditAction
from bot.db.audit_log import record, record_subscriptions
from bot.db.held_events import make_held_due
from bot.db.link_requests import LinkRequests
from bot.db.rows import Row, value_of
from bot.db.session import Session
from bot.db.subscription_states import active
from bot.db.tables import accounts, hooks, project_names, subscriptions
from bot.errors import SealError
from bot.model import Account, Dependents, PauseReason, PauseWhy, SubscriptionState
from bot.speckle.tokens import Tokens, TokenScope
from bot.vault import Vault

log = structlog.get_logger()


# Why a channel stopped that linking the account again puts an end to.
ENDED_BY_LINKING = frozenset({PauseWhy.TOKEN_REFUSED, PauseWhy.SCOPE_MISSING})
IS_UNCONFIRMED = accounts.c.unconfirmed_at.is_not(None)
# What each question to a server needs is built once: that takes longer than to carry it out.
OF_ID = select(accounts).where(accounts.c.id == bindparam("account"))


class Accounts:
    """Reads and writes accounts; `forget_hooks` is called when hooks lost theirs."""

    def __init__(
        self,
        session: Session,
        vault: Vault,
        requests: LinkRequests,
        forget_hooks: Callable[[], None],
    ) -> None:
        self._session = session
        self._vault = vault
        self._requests = requests
        self._now = session.now
        self._forget_hooks = forget_hooks

    def get(self, account_id: int) -> Account | None:
        """The account with this id."""
        row = self._session.execute(OF_ID, {"account": account_id}).mappings().one_or_none()
        return None if row is None else self._account(row)

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
        notified: bool,
    ) -> Account | None:
        """Keep the account that a request brought, in place of the person's former one there.

        Whatever else of this person waits for an account on that server has one now. None if the
        request has run out, or has brought an account already.
        """
        request = self._requests.locked(nonce)
        if request is None:
            return None
        account = self._put(
            discord_user_id=request.discord_user_id,
            server_url=request.server_url,
            speckle_user_id=speckle_user_id,
            scopes=sorted(scopes),
            sealed=lambda context: self._seal(context, name, tokens),
        )
        self._requests.complete(request, account, notified=notified)
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
        """Let no account be used before it is confirmed, whatever it was seen to have access to.

        Gives how many are not confirmed now.
        """
        confirmed = update(accounts).where(accounts.c.unconfirmed_at.is_(None))
        self._session.execute(confirmed.values(unconfirmed_at=self._now()))
        self._session.execute(update(subscriptions).values(access_ok_at=None))
        return self.unconfirmed()

    def unconfirmed(self) -> int:
        """How many accounts wait for their person to confirm them."""
        statement = select(func.count()).select_from(accounts).where(IS_UNCONFIRMED)
        return self._session.scalar(statement) or 0

    def confirm(self, account_id: int) -> bool:
        """Let an account be used again, and what was paused for that alone continue.

        False if the account could be used already.
        """
        this = and_(accounts.c.id == account_id, IS_UNCONFIRMED)
        result = self._session.execute(update(accounts).where(this).values(unconfirmed_at=None))
        if result.rowcount:
            self._audit(AuditAction.CONFIRMED, account_id)
        self._resume(account_id, {PauseWhy.UNCONFIRMED})
        return result.rowcount == 1

    def _audit(self, action: AuditAction, account_id: int) -> None:
        """Note it where channels depend on the account: it concerns nobody else."""
        for guild_id, channels in self.dependents(account_id).channels.items():
            record(self._session, action, guild_id, channels=channels)

    def _resume(self, account_id: int, whys: Collection[PauseWhy]) -> None:
        """Let what was paused for these continue, and look at all that the account holds up now.

        The rule is asked again for each event before it is shown.
        """
        mine = subscriptions.c.account_id == account_id
        paused = and_(
            mine,
            subscriptions.c.state == SubscriptionState.PAUSED,
            subscriptions.c.pause_reason == PauseReason.ACCESS_LOST,
            subscriptions.c.pause_detail.in_(whys),
        )
        change = update(subscriptions).where(paused).values(active(self._now()))
        resumed = self._session.scalars(change.returning(subscriptions.c.id))
        record_subscriptions(self._session, AuditAction.RESUMED, resumed)
        make_held_due(self._session, mine, self._now())

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
            dependents = update(table).where(table.c.account_id == account_id)
            self._session.execute(dependents.values(account_id=None))
        gone = self._session.execute(delete(accounts).where(accounts.c.id == account_id))
        self._session.at_end(self._forget_hooks)
        return gone.rowcount == 1

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
        former = self.of_user(discord_user_id, server_url)
        statement = self._session.insert(accounts).values(**key, **values)
        unique = [accounts.c.discord_user_id, accounts.c.server_url]
        change = statement.on_conflict_do_update(index_elements=unique, set_=values)
        row = self._session.execute(change.returning(accounts)).mappings().one()
        if former is not None and former.speckle_user_id != speckle_user_id:
            # What the former account was seen to have access to says nothing of this one.
            dependents = update(subscriptions).where(subscriptions.c.account_id == row["id"])
            self._session.execute(dependents.values(access_ok_at=None))
            read = project_names.c.account_id == row["id"]
            self._session.execute(delete(project_names).where(read))
        self._audit(AuditAction.LINKED, row["id"])
        self.confirm(row["id"])
        self._resume(row["id"], ENDED_BY_LINKING)
        return replace(self._account(row), unconfirmed_at=None)

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
        return value_of(
            Account,
            row,
            name=content["name"],
            tokens=Tokens(content["token"], content["refresh_token"]),
            scopes=frozenset(map(TokenScope, row["scopes"])),
            unopenable=unopenable,
        )


def _context(row: Row) -> str:
    return f"account:{row['discord_user_id']}:{row['server_url']}:{row['speckle_user_id']}"
