"""Hooks: what ties a guild to a project, with the key and the secret of its webhook."""

import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.access import pause_rights
from bot.db.batcher import Batcher
from bot.db.engine import Database
from bot.db.failures import answered_within
from bot.db.guilds import add_guild
from bot.db.rows import Hook, HookKind, HookState, Paused, PauseReason
from bot.db.tables import accounts, hooks, models, subscriptions
from bot.db.vault import Vault
from bot.errors import SealError
from bot.model import Consent, PauseWhy, Standing
from bot.speckle.answers import PUBLIC

SECRET_BYTES = 32
LONGEST_KEY = 64  # our keys have 43 characters; longer ones need no look-up
# A look-up costs more than all else that a delivery needs. So a hook that was found is taken as
# found for this long: what another process changes shows so much later, what this one does at once.
KNOWN_S = 1.0
MOST_KNOWN = 10_000
LOOK_UP_WITHIN_S = 3.0  # with the write after it, less than the 10 s that Speckle waits
PREVIOUS_SECRET_VALID = timedelta(hours=24)  # promised by the button that makes a new secret

Row = Mapping[Any, Any]


class Hooks:
    """Reads and writes hooks; secrets are sealed in the database and open in `Hook`.

    A hook whose secret no key opens is given all the same, as `unopenable`.
    """

    def __init__(self, database: Database, vault: Vault, now: Callable[[], datetime]) -> None:
        self._database = database
        self._vault = vault
        self._now = now
        self._known: dict[str, tuple[float, Hook]] = {}  # by key, with the time.monotonic() it ends
        self._by_key = Batcher[str, Row | None]("hook look-ups", self._look_up)

    async def close(self) -> None:
        """Wait for the look-ups under way."""
        await self._by_key.close()

    async def by_key(self, key: str) -> Hook | None:
        """The hook whose address ends in `key`; those who ask at the same time share a query.

        Errors: StorageUnavailable, within LOOK_UP_WITHIN_S.
        """
        until, hook = self._known.get(key, (0.0, None))
        if hook is not None and time.monotonic() < until:
            return hook
        if len(key) > LONGEST_KEY:
            return None
        known = self._known
        async with answered_within(LOOK_UP_WITHIN_S):
            row = await self._by_key.submit(key)
        if row is None:
            return None
        hook = self._hook(row)
        if len(known) >= MOST_KNOWN:
            known.clear()
        known[key] = (time.monotonic() + KNOWN_S, hook)
        return hook

    def forget(self) -> None:
        """Look every hook up anew: something about hooks was changed.

        A new dictionary, as look-ups under way, which may have read the old state, end in theirs.
        """
        self._known = {}

    async def get(self, hook_id: int) -> Hook | None:
        """The hook with this id."""
        return next(iter(await self._where(hooks.c.id == hook_id)), None)

    async def these(self, hook_ids: Collection[int]) -> list[Hook]:
        """The hooks with these ids that are still there, oldest first."""
        return await self._where(hooks.c.id.in_(hook_ids))

    async def of_project(self, guild_id: int, server_url: str, project_id: str) -> list[Hook]:
        """A guild's hooks for a project, oldest first: one of the bot's making, several by hand."""
        return await self._where(
            hooks.c.guild_id == guild_id,
            hooks.c.server_url == server_url,
            hooks.c.project_id == project_id,
        )

    async def of_guild(self, guild_id: int) -> list[Hook]:
        """All hooks of a guild, oldest first."""
        return await self._where(hooks.c.guild_id == guild_id)

    async def shared_for(
        self, server_url: str, project_id: str, guild_ids: Collection[int]
    ) -> list[Hook]:
        """The hooks of these guilds that take a project's events from the operator's webhook."""
        return await self._where(
            hooks.c.project_id == project_id,
            hooks.c.server_url == server_url,
            hooks.c.guild_id.in_(guild_ids),
            hooks.c.kind == HookKind.SHARED,
            hooks.c.state != HookState.CLOSED,
        )

    async def model_names(self, hook_id: int) -> Mapping[str, str]:
        """The names of a hook's models by their ids, as far as its events have told them."""
        statement = select(models.c.model_id, models.c.name).where(models.c.hook_id == hook_id)
        async with self._database.reading() as connection:
            return {row.model_id: row.name for row in await connection.execute(statement)}

    async def create(
        self,
        guild_id: int,
        server_url: str,
        project_id: str,
        kind: HookKind,
        created_by: int,
        setup_channel_id: int | None,
    ) -> Hook:
        """Make a hook of a guild for a project.

        An own hook waits, with a new key and secret; a shared one is live at once.
        """
        now = self._now()
        async with self._database.writing() as connection:
            await add_guild(self._database, connection, guild_id, now)
            made = hooks.insert().values(
                guild_id=guild_id,
                server_url=server_url,
                project_id=project_id,
                setup_channel_id=setup_channel_id,
                created_by=created_by,
                created_at=now,
                **self._fresh(guild_id, kind, now),
            )
            row = (await connection.execute(made.returning(hooks))).mappings().one()
        return self._hook(row)

    async def convert(self, hook_id: int, kind: HookKind) -> Hook | None:
        """Make a shared hook an own one or back; None if there is no such hook.

        An own one starts anew, waiting, with a new key; a closed one stays closed.
        """
        async with self._changing() as connection:
            row = await self._locked(connection, hook_id)
            if row is None or row["kind"] == kind:
                return None if row is None else self._hook(row)
            values = self._fresh(row["guild_id"], kind, self._now())
            if row["state"] == HookState.CLOSED:
                values["state"] = HookState.CLOSED
            return await self._changed(connection, hook_id, values)

    async def mark_live(self, hook_id: int, project_name: str | None) -> bool:
        """Turn a waiting hook live; True for exactly one caller."""
        values: dict[str, Any] = {"state": HookState.LIVE, "live_at": self._now()}
        if project_name is not None:
            values["project_name"] = project_name
        waiting = (hooks.c.id == hook_id, hooks.c.state == HookState.WAITING)
        async with self._changing() as connection:
            result = await connection.execute(update(hooks).where(*waiting).values(values))
        return result.rowcount == 1

    async def made(
        self, hook_id: int, account_id: int, webhook_id: str, secret: str | None = None
    ) -> Hook | None:
        """Note the webhook that was made at Speckle with this account: the hook is live.

        With a secret, which it was made with or has just got, all earlier ones are void at once.
        None if there is no such own hook any more.
        """
        async with self._changing() as connection:
            row = await self._locked(connection, hook_id)
            if row is None or row["key"] is None:
                return None
            values: dict[str, Any] = {
                "account_id": account_id,
                "webhook_sealed": self._vault.seal(webhook_id, _webhook_context(row)),
            }
            if secret is not None:
                values |= self._only_secret(row, secret)
            if row["state"] == HookState.WAITING:
                values |= {"state": HookState.LIVE, "live_at": self._now()}
            return await self._changed(connection, hook_id, values)

    async def void_secrets(self, hook_id: int) -> Hook | None:
        """Give an own hook a secret that nobody knows; all earlier ones are void at once.

        None if there is no such own hook any more.
        """
        async with self._changing() as connection:
            row = await self._locked(connection, hook_id)
            if row is None or row["key"] is None:
                return None
            values = self._only_secret(row, fresh_secret())
            return await self._changed(connection, hook_id, values)

    async def saw_visibility(self, hook_id: int, visibility: str) -> None:
        """Remember how open a question without a token found the project."""
        values: dict[str, Any] = {"visibility": visibility}
        if visibility in PUBLIC:
            values["public_at"] = self._now()
        async with self._changing() as connection:
            await connection.execute(update(hooks).where(hooks.c.id == hook_id).values(values))

    async def with_webhooks(self) -> list[Hook]:
        """Hooks whose webhook the bot made, in guilds that it is in, oldest first."""
        return await self._where(
            hooks.c.webhook_sealed.is_not(None),
            hooks.c.account_id.is_not(None),
            hooks.c.state != HookState.CLOSED,
        )

    async def of_account(self, account_id: int) -> list[Hook]:
        """Hooks whose webhook this account made, oldest first."""
        return await self._where(hooks.c.account_id == account_id)

    async def let_go(self, account_id: int) -> list[int]:
        """Take an account off all that depends on it, before it is forgotten.

        Its subscriptions, and all of hooks whose webhook it made, are paused for lost access, with
        notices to those who made them. What is paused for another reason stays so, and resuming it
        is no answer: those that were given with the account are void. The hooks wait again, under
        the address that they have and with a secret that nobody knows. Gives the ids of the
        subscriptions that were paused.
        """
        now = self._now()
        async with self._changing() as connection:
            mine = select(hooks).where(hooks.c.account_id == account_id).order_by(hooks.c.id)
            rows = (await connection.execute(mine.with_for_update())).mappings().all()
            depending = or_(
                subscriptions.c.account_id == account_id,
                subscriptions.c.hook_id.in_([row["id"] for row in rows]),
            )
            unlinked = Paused(PauseReason.ACCESS_LOST, PauseWhy.UNLINKED)
            paused = await pause_rights(self._database, connection, depending, unlinked, now)
            await _void_answers(connection, account_id, depending)
            await connection.execute(
                update(subscriptions)
                .where(subscriptions.c.account_id == account_id)
                .values(account_id=None, access_ok_at=None)
            )
            for row in rows:
                await self._without_webhook(connection, row)
        return paused

    async def _without_webhook(self, connection: AsyncConnection, row: Row) -> None:
        values = self._only_secret(row, fresh_secret())
        if row["state"] == HookState.LIVE:
            values["state"] = HookState.WAITING
        values |= {"live_at": None, "account_id": None, "webhook_sealed": None}
        await connection.execute(update(hooks).where(hooks.c.id == row["id"]).values(values))

    async def touch(self, hook_id: int, project_name: str | None, at: datetime) -> None:
        """Remember when the last event came and what it called the project."""
        values: dict[str, Any] = {"last_event_at": at}
        if project_name is not None:
            values["project_name"] = project_name
        async with self._database.writing() as connection:
            await connection.execute(update(hooks).where(hooks.c.id == hook_id).values(values))

    async def new_secret(self, hook_id: int, *, overlap: bool) -> Hook | None:
        """Give an own hook a new secret; with `overlap` the one before is valid for 24 hours more.

        None if there is no such hook, or if it is a shared one, whose secret is not the guild's.
        """
        now = self._now()
        async with self._changing() as connection:
            row = await self._locked(connection, hook_id)
            if row is None or row["kind"] != HookKind.OWN:
                return None
            values = self._only_secret(row, fresh_secret())
            if overlap:
                values |= {
                    "previous_secret_sealed": row["secret_sealed"],
                    "previous_secret_until": now + PREVIOUS_SECRET_VALID,
                }
            return await self._changed(connection, hook_id, values)

    async def start_again(self, hook_id: int) -> Hook | None:
        """Let an own hook whose secret no key opens wait again, by hand and with a new secret.

        Its address stays, so a webhook at Speckle has one field to change. One that opens, perhaps
        because somebody else was quicker, stays as it is; None if there is no such own hook.
        """
        async with self._changing() as connection:
            row = await self._locked(connection, hook_id)
            if row is None or row["kind"] != HookKind.OWN:
                return None
            hook = self._hook(row)
            if not hook.unopenable:
                return hook
            await self._without_webhook(connection, row)
            return self._hook((await self._locked(connection, hook_id)) or row)

    async def delete(self, hook_id: int) -> bool:
        """Remove a hook with all that hangs on it; False if it was gone already."""
        async with self._changing() as connection:
            result = await connection.execute(hooks.delete().where(hooks.c.id == hook_id))
        return result.rowcount == 1

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._database.writing() as connection:
                yield connection
        finally:
            self.forget()

    async def _look_up(self, keys: Sequence[str]) -> Sequence[Row | None]:
        statement = select(hooks).where(hooks.c.key.in_(set(keys)))
        rows = await self._database.read_at_once(
            lambda connection: connection.execute(statement).mappings().all()
        )
        found = {row["key"]: row for row in rows}
        return [found.get(key) for key in keys]

    async def _where(self, *conditions: Any) -> list[Hook]:
        statement = select(hooks).where(*conditions).order_by(hooks.c.id)
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return [self._hook(row) for row in rows]

    async def _locked(self, connection: AsyncConnection, hook_id: int) -> Row | None:
        statement = select(hooks).where(hooks.c.id == hook_id).with_for_update()
        return (await connection.execute(statement)).mappings().one_or_none()

    async def _changed(
        self, connection: AsyncConnection, hook_id: int, values: Mapping[str, Any]
    ) -> Hook:
        statement = update(hooks).where(hooks.c.id == hook_id).values(values).returning(hooks)
        return self._hook((await connection.execute(statement)).mappings().one())

    def _fresh(self, guild_id: int, kind: HookKind, now: datetime) -> dict[str, Any]:
        """The columns that a new hook of this kind starts with."""
        values: dict[str, Any] = {
            "kind": kind,
            "previous_secret_sealed": None,
            "previous_secret_until": None,
            "webhook_sealed": None,
        }
        if kind is HookKind.SHARED:
            return values | {
                "key": None,
                "secret_sealed": None,
                "state": HookState.LIVE,
                "live_at": now,
            }
        key = secrets.token_urlsafe(SECRET_BYTES)
        return values | {
            "key": key,
            "secret_sealed": self._sealed(guild_id, key),
            "state": HookState.WAITING,
            "live_at": None,
        }

    def _only_secret(self, row: Row, secret: str) -> dict[str, Any]:
        return {
            "secret_sealed": self._vault.seal(secret, _context(row)),
            "previous_secret_sealed": None,
            "previous_secret_until": None,
        }

    def _sealed(self, guild_id: int, key: str) -> str:
        return self._vault.seal(fresh_secret(), _context({"guild_id": guild_id, "key": key}))

    def _secrets(self, row: Row) -> tuple[str, ...]:
        """The opened secrets; none if there is none, or if no key opens the current one."""
        current = self._opened(row, "secret_sealed", _context)
        if not current:
            return ()
        until = row["previous_secret_until"]
        valid = until is not None and until > self._now()
        previous = self._opened(row, "previous_secret_sealed", _context) if valid else None
        return (current, previous) if previous else (current,)

    def _opened(self, row: Row, column: str, context: Callable[[Row], str]) -> str | None:
        """What is sealed in a column: None if nothing is, "" if no key opens it."""
        if row[column] is None:
            return None
        try:
            return self._vault.open(row[column], context(row))
        except SealError:
            return ""

    def _hook(self, row: Row) -> Hook:
        opened = self._secrets(row)
        return Hook(
            id=row["id"],
            guild_id=row["guild_id"],
            server_url=row["server_url"],
            project_id=row["project_id"],
            project_name=row["project_name"],
            kind=HookKind(row["kind"]),
            key=row["key"],
            secrets=opened,
            state=HookState(row["state"]),
            setup_channel_id=row["setup_channel_id"],
            created_by=row["created_by"],
            created_at=row["created_at"],
            live_at=row["live_at"],
            last_event_at=row["last_event_at"],
            account_id=row["account_id"],
            webhook_id=self._opened(row, "webhook_sealed", _webhook_context),
            visibility=row["visibility"],
            public_at=row["public_at"],
            caught_up_at=row["caught_up_at"],
            unopenable=row["secret_sealed"] is not None and not opened,
        )


async def _void_answers(
    connection: AsyncConnection, account_id: int, depending: ColumnElement[bool]
) -> None:
    """Mark the answers that the account's person gave with it, for these subscriptions."""
    mine = select(accounts.c.discord_user_id).where(accounts.c.id == account_id)
    person = await connection.scalar(mine)
    these = select(subscriptions).where(depending, subscriptions.c.consent.is_not(None))
    for row in (await connection.execute(these)).mappings().all():
        consent = Consent.from_json(row["consent"])
        owner = consent.by == person and consent.standing is Standing.OWNER
        if row["account_id"] == account_id or owner:
            void = replace(consent, unlinked=True).to_json()
            this = subscriptions.c.id == row["id"]
            await connection.execute(update(subscriptions).where(this).values(consent=void))


def fresh_secret() -> str:
    """A secret that nobody knows."""
    return secrets.token_urlsafe(SECRET_BYTES)


def _webhook_context(row: Row) -> str:
    return f"webhook:{row['guild_id']}:{row['key']}"


def _context(row: Row) -> str:
    return f"hook:{row['guild_id']}:{row['key']}"
