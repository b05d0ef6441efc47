"""Hooks: what ties a guild to a project, with the key and the secret of its webhook."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    bindparam,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)

from bot.audit import AuditAction
from bot.db.access_pauses import pause_rights
from bot.db.audit_log import record, record_hooks
from bot.db.guilds import add_guild
from bot.db.rows import Row, value_of
from bot.db.session import Session
from bot.db.tables import accounts, hooks, models, people, subscriptions, threads
from bot.db.webhook_removals import audit_removal
from bot.errors import SealError
from bot.model import (
    PREVIOUS_SECRET_VALID,
    AccessPause,
    Consent,
    Entitlement,
    Hook,
    HookKind,
    HookState,
    HookTrouble,
    PauseReason,
    PauseWhy,
    Subscription,
)
from bot.speckle.events import KnownThread, ProjectNames, ResourceRef
from bot.speckle.visibility import PUBLIC
from bot.vault import Vault, fresh_secret
from bot.work import HookFollowers

IS_NOT_CLOSED = hooks.c.state != HookState.CLOSED
WITH_FOLLOWERS = (
    select(hooks, subscriptions)
    .join(subscriptions, subscriptions.c.hook_id == hooks.c.id, isouter=True)
    .order_by(hooks.c.id, subscriptions.c.id)
)
# Built once, as each event needs them: that takes longer than to carry them out.
FOLLOWED = WITH_FOLLOWERS.where(hooks.c.id == bindparam("hook_id"), IS_NOT_CLOSED)
FOLLOWED_BY = WITH_FOLLOWERS.where(
    subscriptions.c.id.in_(bindparam("subscription_ids", expanding=True))
)
SHARED_FOR = WITH_FOLLOWERS.where(
    hooks.c.project_id == bindparam("project_id"),
    hooks.c.server_url == bindparam("server_url"),
    hooks.c.guild_id.in_(bindparam("guild_ids", expanding=True)),
    hooks.c.kind == HookKind.SHARED,
    IS_NOT_CLOSED,
)
HOOK_IDS: BindParameter[Any] = bindparam("hook_ids", expanding=True)
NAMES_OF = union_all(
    select(models.c.hook_id, literal(True), models.c.model_id, models.c.name).where(
        models.c.hook_id.in_(HOOK_IDS)
    ),
    select(people.c.hook_id, literal(False), people.c.person_id, people.c.name).where(
        people.c.hook_id.in_(HOOK_IDS)
    ),
)
THREADS_OF = select(threads).where(
    threads.c.hook_id.in_(HOOK_IDS),
    threads.c.thread_id.in_(bindparam("thread_ids", expanding=True)),
)


class Hooks:
    """Reads and writes hooks; secrets are sealed in the database and open in `Hook`.

    A hook whose secret no key opens is given all the same, as `unopenable`.
    """

    def __init__(self, session: Session, vault: Vault, forget: Callable[[], None]) -> None:
        self._session = session
        self._vault = vault
        self._now = session.now
        self._forget = forget

    def get(self, hook_id: int) -> Hook | None:
        """The hook with this id."""
        return next(iter(self._where(hooks.c.id == hook_id)), None)

    def these(self, hook_ids: Collection[int]) -> list[Hook]:
        """The hooks with these ids that are still there, oldest first."""
        return self._where(hooks.c.id.in_(hook_ids))

    def of_project(self, guild_id: int, server_url: str, project_id: str) -> list[Hook]:
        """A guild's hooks for a project, oldest first: one of the bot's making, several by hand."""
        return self._where(
            hooks.c.guild_id == guild_id,
            hooks.c.server_url == server_url,
            hooks.c.project_id == project_id,
        )

    def of_guild(self, guild_id: int) -> list[Hook]:
        """All hooks of a guild, oldest first."""
        return self._where(hooks.c.guild_id == guild_id)

    def followed(self, hook_id: int) -> list[HookFollowers]:
        """A hook that takes events, with its subscriptions; nothing if it is closed or gone."""
        return self._followed(FOLLOWED, hook_id=hook_id)

    def followed_by(self, subscription_ids: Collection[int]) -> list[HookFollowers]:
        """The hooks that these subscriptions follow, with these alone."""
        return self._followed(FOLLOWED_BY, subscription_ids=list(subscription_ids))

    def shared_for(
        self, server_url: str, project_id: str, guild_ids: Collection[int]
    ) -> list[HookFollowers]:
        """The hooks of these guilds that take a project's events from the operator's webhook."""
        return self._followed(
            SHARED_FOR, server_url=server_url, project_id=project_id, guild_ids=list(guild_ids)
        )

    def names(self, hook_id: int) -> ProjectNames:
        """The names of models and people that a hook's own events said."""
        return self.names_of([hook_id])[hook_id]

    def names_of(self, hook_ids: Sequence[int]) -> Mapping[int, ProjectNames]:
        """The same for several hooks, by their ids."""
        of_models: dict[int, dict[str, str]] = {hook_id: {} for hook_id in hook_ids}
        of_people: dict[int, dict[str, str]] = {hook_id: {} for hook_id in hook_ids}
        found = self._session.execute(NAMES_OF, {"hook_ids": hook_ids})
        for hook_id, is_model, named_id, name in found:
            (of_models if is_model else of_people)[hook_id][named_id] = name
        return {one: ProjectNames(of_models[one], of_people[one]) for one in hook_ids}

    def threads_of(
        self, hook_ids: Sequence[int], thread_ids: Collection[str]
    ) -> Mapping[int, Mapping[str, KnownThread]]:
        """Those of these threads that the hooks' own events spoke of, by hook and id."""
        found: dict[int, dict[str, KnownThread]] = {hook_id: {} for hook_id in hook_ids}
        if not thread_ids:
            return found
        values = {"hook_ids": hook_ids, "thread_ids": sorted(thread_ids)}
        for row in self._session.execute(THREADS_OF, values).mappings():
            resources = tuple(ResourceRef(**one) for one in row["resources"])
            thread = KnownThread(row["first_line"], resources)
            found[row["hook_id"]][row["thread_id"]] = thread
        return found

    def create(
        self,
        guild_id: int,
        server_url: str,
        project_id: str,
        kind: HookKind,
        created_by: int,
        setup_channel_id: int | None,
        *,
        listens: bool = False,
    ) -> Hook:
        """Make a hook of a guild for a project.

        An own hook waits, with a new key and secret; a shared one, and one that listens, is live
        at once.
        """
        now = self._now()
        add_guild(self._session, guild_id, now)
        begins = {"state": HookState.LIVE, "live_at": now, "listens": True} if listens else {}
        made = hooks.insert().values(
            guild_id=guild_id,
            server_url=server_url,
            project_id=project_id,
            setup_channel_id=setup_channel_id,
            created_by=created_by,
            created_at=now,
            **(self._fresh(guild_id, kind, now) | begins),
        )
        row = self._session.execute(made.returning(hooks)).mappings().one()
        return self._hook(row)

    def convert(self, hook_id: int, kind: HookKind) -> Hook | None:
        """Make a shared hook an own one or back; None if there is no such hook.

        An own one starts from the beginning, waiting, with a new key; a closed one stays closed.
        """
        self._session.at_end(self._forget)
        row = self._locked(hook_id)
        if row is None or row["kind"] == kind:
            return None if row is None else self._hook(row)
        record_hooks(self._session, AuditAction.WEBHOOK_CONVERTED, [row], to=kind)
        values = self._fresh(row["guild_id"], kind, self._now())
        if row["state"] == HookState.CLOSED:
            values["state"] = HookState.CLOSED
        return self._changed(hook_id, values)

    def listen(self, hook_id: int) -> Hook | None:
        """Read the lists of an own hook's project all the time from now on; None if it is gone."""
        self._session.at_end(self._forget)
        row = self._locked(hook_id)
        if row is None or row["kind"] != HookKind.OWN:
            return None
        values: dict[str, Any] = {"listens": True}
        if row["state"] == HookState.WAITING:
            values |= {"state": HookState.LIVE, "live_at": self._now()}
        return self._changed(hook_id, values)

    def record_webhook(
        self, hook_id: int, account_id: int, webhook_id: str, secret: str | None = None
    ) -> Hook | None:
        """Note the webhook that was made at Speckle with this account: the hook is live.

        With a secret, which it was made with or has just got, all earlier ones are void at once.
        None if there is no such own hook any more.
        """
        self._session.at_end(self._forget)
        row = self._locked(hook_id)
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
        self._audit_webhook(row, webhook_id, renewed=secret is not None)
        return self._changed(hook_id, values)

    def _audit_webhook(self, row: Row, webhook_id: str, *, renewed: bool) -> None:
        known = self._opened(row, "webhook_sealed", _webhook_context)
        if known is None:
            record_hooks(self._session, AuditAction.WEBHOOK_CREATED, [row])
        elif known != webhook_id:
            record_hooks(self._session, AuditAction.WEBHOOK_REPAIRED, [row], what=["webhook"])
        elif renewed:
            record_hooks(self._session, AuditAction.SECRET_RENEWED, [row])

    def record_repair(self, hook_id: int, what: Sequence[str]) -> None:
        """Note in the audit log what was set right at Speckle, where a webhook differed."""
        row = self._locked(hook_id)
        if row is not None:
            record_hooks(self._session, AuditAction.WEBHOOK_REPAIRED, [row], what=[*what])

    def record_project_visibility(
        self, hook_id: int, visibility: str, name: str | None = None
    ) -> None:
        """Remember how open a question without a token found the project.

        `name` is what everybody can read; what the webhook's events call it stays.
        """
        self._session.at_end(self._forget)
        write_visibility(self._session, hook_id, visibility, self._now())
        if name is not None:
            nameless = (hooks.c.id == hook_id, hooks.c.project_name.is_(None))
            self._session.execute(update(hooks).where(*nameless).values(project_name=name))

    def record_trouble(self, hook_id: int, trouble: HookTrouble | None) -> None:
        """Note why a webhook cannot be looked after, None if it can.

        The same as before keeps its time, and nobody is notified of it again.
        """
        row = self._locked(hook_id)
        if row is None or row["trouble"] == trouble:
            return
        self._session.at_end(self._forget)
        since = None if trouble is None else self._now()
        values = {"trouble": trouble, "trouble_since": since, "trouble_told_at": None}
        self._session.execute(update(hooks).where(hooks.c.id == hook_id).values(values))

    def with_unreported_trouble(self) -> list[Hook]:
        """Hooks with a trouble that nobody was notified of, in guilds that the bot is in."""
        return self._where(
            hooks.c.trouble.is_not(None),
            hooks.c.trouble_told_at.is_(None),
            hooks.c.state != HookState.CLOSED,
        )

    def mark_trouble_reported(self, hook_id: int, trouble: HookTrouble | None) -> None:
        """Note that somebody was notified of this trouble."""
        this = (hooks.c.id == hook_id, hooks.c.trouble == trouble)
        self._session.execute(update(hooks).where(*this).values(trouble_told_at=self._now()))

    def waiting(self, after: datetime, before: datetime) -> list[Hook]:
        """Hooks by hand that were made then and never had an event, oldest first.

        Without those that somebody was reminded of.
        """
        return self._where(
            hooks.c.kind == HookKind.OWN,
            hooks.c.webhook_sealed.is_(None),
            hooks.c.state == HookState.WAITING,
            hooks.c.last_event_at.is_(None),
            hooks.c.created_at.between(after, before),
            hooks.c.waiting_told_at.is_(None),
        )

    def mark_reminded(self, hook_id: int) -> None:
        """Note that somebody was reminded of a webhook that waits for its first event."""
        this = hooks.c.id == hook_id
        self._session.execute(update(hooks).where(this).values(waiting_told_at=self._now()))

    def with_webhooks(self, account_id: int | None = None) -> list[Hook]:
        """Hooks whose webhook the bot made, in guilds that it is in, oldest first.

        With an account, those that it made. Without those whose project is gone: the next signed
        event, or /subscribe, shows that it is back.
        """
        return self._where(
            hooks.c.webhook_sealed.is_not(None),
            hooks.c.account_id.is_not(None)
            if account_id is None
            else hooks.c.account_id == account_id,
            hooks.c.state != HookState.CLOSED,
            hooks.c.trouble.is_distinct_from(HookTrouble.PROJECT_GONE),
        )

    def of_account(self, account_id: int) -> list[Hook]:
        """Hooks whose webhook this account made, oldest first."""
        return self._where(hooks.c.account_id == account_id)

    def detach_account(self, account_id: int) -> list[int]:
        """Take an account off all that depends on it, before it is forgotten.

        Its subscriptions, and all of hooks whose webhook it made, are paused for lost access, with
        notices to those who made them. What is paused for another reason stays so, and resuming it
        is no answer: those that were given with the account are void. The hooks wait again, under
        the address that they have and with a secret that nobody knows. Gives the ids of the
        subscriptions that were paused.
        """
        self._session.at_end(self._forget)
        now = self._now()
        mine = select(hooks).where(hooks.c.account_id == account_id).order_by(hooks.c.id)
        rows = self._session.execute(mine.with_for_update()).mappings().all()
        depending = or_(
            subscriptions.c.account_id == account_id,
            subscriptions.c.hook_id.in_([row["id"] for row in rows]),
        )
        unlinked = AccessPause(PauseReason.ACCESS_LOST, PauseWhy.UNLINKED)
        self._audit_unlinked(depending)
        paused = pause_rights(self._session, depending, unlinked, now, audited=True)
        _void_answers(self._session, account_id, depending)
        self._session.execute(
            update(subscriptions)
            .where(subscriptions.c.account_id == account_id)
            .values(account_id=None, access_ok_at=None)
        )
        for row in rows:
            self._without_webhook(row)
        return paused

    def _audit_unlinked(self, depending: ColumnElement[bool]) -> None:
        """Note it where channels depended on the account: it concerns nobody else."""
        channels = func.count(func.distinct(subscriptions.c.channel_id))
        of_guilds = select(subscriptions.c.guild_id, channels).where(depending)
        grouped = of_guilds.group_by(subscriptions.c.guild_id).order_by(subscriptions.c.guild_id)
        for guild_id, count in self._session.execute(grouped).all():
            record(self._session, AuditAction.UNLINKED, guild_id, channels=count)

    def _without_webhook(self, row: Row) -> None:
        record_hooks(self._session, AuditAction.WEBHOOK_RESET, [row])
        values = self._only_secret(row, fresh_secret())
        if row["state"] == HookState.LIVE:
            values["state"] = HookState.WAITING
        values |= {"live_at": None, "account_id": None, "webhook_sealed": None}
        values |= {"trouble": None, "trouble_since": None, "trouble_told_at": None}
        self._session.execute(update(hooks).where(hooks.c.id == row["id"]).values(values))

    def new_secret(self, hook_id: int, *, overlap: bool) -> Hook | None:
        """Give an own hook a new secret; with `overlap` the one before is valid for 24 hours more.

        None if there is no such hook, or if it is a shared one, whose secret is not the guild's.
        """
        self._session.at_end(self._forget)
        now = self._now()
        row = self._locked(hook_id)
        if row is None or row["kind"] != HookKind.OWN:
            return None
        values = self._only_secret(row, fresh_secret())
        if overlap:
            values |= {
                "previous_secret_sealed": row["secret_sealed"],
                "previous_secret_until": now + PREVIOUS_SECRET_VALID,
            }
        record_hooks(self._session, AuditAction.SECRET_RENEWED, [row])
        return self._changed(hook_id, values)

    def reset_webhook(self, hook_id: int) -> Hook | None:
        """Let an own hook whose secret no key opens wait again, by hand and with a new secret.

        Its address stays. One that opens, perhaps because somebody else was quicker, stays as it
        is; None if there is no such own hook.
        """
        self._session.at_end(self._forget)
        row = self._locked(hook_id)
        if row is None or row["kind"] != HookKind.OWN:
            return None
        hook = self._hook(row)
        if not hook.unopenable:
            return hook
        self._without_webhook(row)
        return self._hook((self._locked(hook_id)) or row)

    def delete(self, hook_id: int) -> bool:
        """Remove a hook with everything that depends on it; False if it was gone already."""
        self._session.at_end(self._forget)
        audit_removal(self._session, hooks.c.id == hook_id)
        result = self._session.execute(hooks.delete().where(hooks.c.id == hook_id))
        return result.rowcount == 1

    def by_keys(self, keys: Collection[str]) -> Mapping[str, Hook]:
        """The hooks whose addresses end in these keys, by key."""
        found = self._where(hooks.c.key.in_(keys))
        return {hook.key: hook for hook in found if hook.key is not None}

    def _where(self, *conditions: Any) -> list[Hook]:
        statement = select(hooks).where(*conditions).order_by(hooks.c.id)
        rows = self._session.execute(statement).mappings().all()
        return [self._hook(row) for row in rows]

    def _locked(self, hook_id: int) -> Row | None:
        statement = select(hooks).where(hooks.c.id == hook_id).with_for_update()
        return self._session.execute(statement).mappings().one_or_none()

    def _changed(self, hook_id: int, values: Mapping[str, Any]) -> Hook:
        statement = update(hooks).where(hooks.c.id == hook_id).values(values).returning(hooks)
        return self._hook(self._session.execute(statement).mappings().one())

    def _followed(self, statement: Select[Any], **values: Any) -> list[HookFollowers]:
        found: dict[int, Hook] = {}
        followers: defaultdict[int, list[Subscription]] = defaultdict(list)
        for row in self._session.execute(statement, values).mappings():
            hook_id = row[hooks.c.id]
            if hook_id not in found:
                found[hook_id] = self._hook({column.name: row[column] for column in hooks.c})
            if row[subscriptions.c.id] is not None:
                values = {column.name: row[column] for column in subscriptions.c}
                followers[hook_id].append(value_of(Subscription, values))
        return [HookFollowers(hook, followers[hook_id]) for hook_id, hook in found.items()]

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
        key = fresh_secret()
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
        return value_of(
            Hook,
            row,
            secrets=opened,
            webhook_id=self._opened(row, "webhook_sealed", _webhook_context),
            unopenable=row["secret_sealed"] is not None and not opened,
        )


def _void_answers(session: Session, account_id: int, depending: ColumnElement[bool]) -> None:
    """Mark the answers that the account's person gave with it, for these subscriptions."""
    mine = select(accounts.c.discord_user_id).where(accounts.c.id == account_id)
    person = session.scalar(mine)
    these = select(subscriptions).where(depending, subscriptions.c.consent.is_not(None))
    for row in session.execute(these).mappings().all():
        consent: Consent = row["consent"]
        owner = consent.by == person and consent.entitlement is Entitlement.OWNER
        if row["account_id"] == account_id or owner:
            void = replace(consent, unlinked=True)
            this = subscriptions.c.id == row["id"]
            session.execute(update(subscriptions).where(this).values(consent=void))


def write_visibility(session: Session, hook_id: int, visibility: str, now: datetime) -> None:
    """Write how open a question without a token found a hook's project."""
    values: dict[str, Any] = {"visibility": visibility}
    if visibility in PUBLIC:
        values["public_at"] = now
    session.execute(update(hooks).where(hooks.c.id == hook_id).values(values))


def _webhook_context(row: Row) -> str:
    return f"webhook:{row['guild_id']}:{row['key']}"


def _context(row: Row) -> str:
    return f"hook:{row['guild_id']}:{row['key']}"
