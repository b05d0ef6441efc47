"""Writes what events told of their hooks: when, and names, threads and visibility."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from functools import cache

from sqlalchemy import Table, bindparam, case, delete, func, or_, select, update

from bot.db.column_types import CleanText, UtcDateTime
from bot.db.hooks import write_visibility
from bot.db.session import Insert, NewInsert, Session
from bot.db.tables import hooks, models, people, threads
from bot.model import ENDED_BY_EVENT, HookState
from bot.work import HookResult, NameChanges

MOST_THREADS = 5_000  # of a hook, those that were heard of last
# What each event needs is built once: that takes longer than to carry it out.
IS_WAITING_FOR_FIRST = hooks.c.state == HookState.WAITING
NOTE_HOOK = (
    update(hooks)
    .where(hooks.c.id == bindparam("hook_id"))
    .values(
        last_event_at=bindparam("at"),
        project_name=func.coalesce(bindparam("name", type_=CleanText()), hooks.c.project_name),
        state=case((IS_WAITING_FOR_FIRST, HookState.LIVE), else_=hooks.c.state),
        live_at=case(
            (IS_WAITING_FOR_FIRST, bindparam("now", type_=UtcDateTime())), else_=hooks.c.live_at
        ),
        # Not in_(): that cannot be carried out for several rows at once.
        trouble=case(
            (or_(*(hooks.c.trouble == one for one in ENDED_BY_EVENT)), None),
            else_=hooks.c.trouble,
        ),
    )
)


def write_hook_results(session: Session, results: Sequence[HookResult], now: datetime) -> None:
    """Write what events said of their hooks and of what is in their projects, in their order."""
    own = [one for one in results if one.by_webhook]
    _note_hooks(session, own, now)
    _write_names(session, models, [(one.hook_id, one.models) for one in own])
    _write_names(session, people, [(one.hook_id, one.people) for one in own])
    _write_threads(session, own, now)
    _note_visibility(session, results, now)


def _note_hooks(session: Session, results: Sequence[HookResult], now: datetime) -> None:
    """What the hooks' own webhooks said of them, the last word of each."""
    last = {one.hook_id: one for one in results}
    names = {one.hook_id: one.project_name for one in results if one.project_name is not None}
    rows = [
        {
            "hook_id": hook_id,
            "at": last[hook_id].at,
            "name": names.get(hook_id),
            "now": now,
        }
        for hook_id in sorted(last)
    ]
    if rows:
        session.execute(NOTE_HOOK, rows)


def _note_visibility(session: Session, results: Sequence[HookResult], now: datetime) -> None:
    found = {one.hook_id: one.visibility for one in results if one.visibility is not None}
    for hook_id, visibility in sorted(found.items()):
        write_visibility(session, hook_id, visibility, now)


def _write_names(
    session: Session, table: Table, changes: Sequence[tuple[int, NameChanges]]
) -> None:
    """Write what models or people are called, by hook and id; what was said last counts."""
    hook_column, id_column, _ = table.c
    named: dict[tuple[int, str], str] = {}
    forgotten: dict[tuple[int, str], None] = {}
    for hook_id, change in changes:
        for id_ in change.forgotten:
            named.pop((hook_id, id_), None)
            forgotten[hook_id, id_] = None
        named |= {(hook_id, id_): name for id_, name in change.kept.items()}
    for hook_id, id_ in forgotten:
        session.execute(delete(table).where(hook_column == hook_id, id_column == id_))
    if not named:
        return
    rows = [
        {hook_column.name: hook_id, id_column.name: id_, "name": name}
        for (hook_id, id_), name in named.items()
    ]
    session.execute(_put_names(session.insert, table), rows)


@cache
def _put_names(insert: NewInsert, table: Table) -> Insert:
    hook_column, id_column, name_column = table.c
    statement = insert(table)
    return statement.on_conflict_do_update(
        index_elements=[hook_column, id_column],
        set_={name_column.name: statement.excluded.name},
    )


def _write_threads(session: Session, results: Sequence[HookResult], now: datetime) -> None:
    """Keep the threads that were seen; a thread's first line is what came first."""
    seen = {(one.hook_id, id_): thread for one in results for id_, thread in one.threads.items()}
    if not seen:
        return
    rows = [
        {
            "hook_id": hook_id,
            "thread_id": thread_id,
            "first_line": thread.first_line,
            "resources": [asdict(one) for one in thread.resources],
            "seen_at": now,
        }
        for (hook_id, thread_id), thread in seen.items()
    ]
    statement = session.insert(threads).on_conflict_do_update(
        index_elements=[threads.c.hook_id, threads.c.thread_id], set_={"seen_at": now}
    )
    session.execute(statement, rows)
    for hook_id in sorted({hook_id for hook_id, _ in seen}):
        newest_first = (
            select(threads.c.thread_id)
            .where(threads.c.hook_id == hook_id)
            .order_by(threads.c.seen_at.desc(), threads.c.thread_id)
        )
        over = threads.c.thread_id.in_(newest_first.offset(MOST_THREADS))
        session.execute(delete(threads).where(threads.c.hook_id == hook_id, over))
