"""Who is live in a project, and what its server saw of them, as JSON for the tab Live."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bot.pipeline.listening.ear import QUESTIONS_WITHOUT_LIST
from bot.pipeline.listening.pace import ListeningPace
from bot.storage import Transaction
from bot.work import Listened
from sandbox.demo.stage import EVERY_S, BotState, Stage
from sandbox.speckle import LiveNote, LiveNoteKind, ServerProject, SpeckleServer, User
from sandbox.speckle.event_data import iso
from sandbox.speckle.published_changes import (
    COMMENTS,
    ISSUES,
    MODELS,
    PROJECT,
    VERSIONS,
    Kind,
)

MOST_NOTES: Final = 14
PACE: Final = ListeningPace(soonest_s=EVERY_S)
WHAT: Final[Mapping[str, str]] = {
    VERSIONS: "version",
    MODELS: "model",
    PROJECT: "project",
    COMMENTS: "comment",
    ISSUES: "issue",
}
CHANGES: Final[Mapping[str, str]] = {
    Kind.CREATED: "made",
    Kind.UPDATED: "changed",
    Kind.DELETED: "deleted",
    Kind.ARCHIVED: "resolved",
}

Json = dict[str, Any]


async def live_state(stage: Stage, server: SpeckleServer, project: ServerProject) -> Json:
    """The accounts that listen to a project, and the last of what happened between them."""
    listened, people = await stage.storage.read(lambda tx: _listened(tx, server.url))
    names = {one.id: one.name for one in stage.guild.channels.values()}
    channels: defaultdict[int, list[str]] = defaultdict(list)
    for one, channel_id in listened:
        if one.project_id == project.id:
            channels[one.account_id].append(names.get(channel_id, "a channel that is gone"))
    every_s = PACE.every_s(_questions([one for one, _ in listened], lists=_has_lists(server)))
    notes = server.live_record.of(project)
    if not channels and all(one.kind is LiveNoteKind.READ for one in notes):
        notes = ()  # read for something else, such as a webhook's events
    runs = stage.bot.state is BotState.RUNNING
    return {
        "runs": runs,
        "everyS": every_s,
        "listeners": [
            _listener(server, project, server.users[people[account_id]], notes)
            | {
                "channels": sorted(there),
                "nextInS": PACE.next_turn(account_id, (now := time.monotonic()), every_s) - now,
            }
            for account_id, there in channels.items()
        ],
        "notes": [
            {"kind": one.kind, "at": iso(one.at), "text": note_text(one)}
            for one in notes[:MOST_NOTES]
        ],
    }


async def not_heard(stage: Stage) -> int:
    """How many entries of the projects that are live are still to be read."""
    listened = await stage.storage.read(lambda tx: tx.listening.all())
    until: dict[tuple[str, str], datetime] = {}
    for one in listened:
        if one.listened_until is not None:
            key = one.server_url, one.project_id
            until[key] = min(one.listened_until, until.get(key, one.listened_until))
    servers = {one.server.url: one.server for one in stage.servers}
    return sum(
        at > read_until
        for (server_url, project_id), read_until in until.items()
        for at in _entries(servers[server_url], project_id)
    )


def _entries(server: SpeckleServer, project_id: str) -> Sequence[datetime]:
    """When the entries of a project's list were made, or its versions where there is no list."""
    project = server.projects.get(project_id)
    if project is None:
        return ()
    if _has_lists(server):
        return [line.time for line in project.activity]
    return [version.created_at for version in project.versions]


def _listened(
    tx: Transaction, server_url: str
) -> tuple[Sequence[tuple[Listened, int]], Mapping[int, str]]:
    """What is listened to on a server, with its channel, and whose the accounts are there."""
    found = []
    people: dict[int, str] = {}
    for one in tx.listening.all():
        subscription = tx.subscriptions.get(one.subscription_id)
        account = tx.accounts.get(one.account_id)
        if one.server_url == server_url and subscription is not None and account is not None:
            found.append((one, subscription.channel_id))
            people[account.id] = account.speckle_user_id
    return found, people


def _has_lists(server: SpeckleServer) -> bool:
    return not server.release.bundles


def _questions(listened: Sequence[Listened], *, lists: bool) -> int:
    """How many questions' worth it is to look at all of it."""
    projects = len({(one.account_id, one.project_id) for one in listened})
    return projects * (1 if lists else QUESTIONS_WITHOUT_LIST)


def _listener(
    server: SpeckleServer, project: ServerProject, user: User, notes: Sequence[LiveNote]
) -> Json:
    read = next((one for one in notes if one.kind is LiveNoteKind.READ and one.user is user), None)
    return {
        "id": user.id,
        "name": user.name,
        "subscriptions": len(server.live.subscriptions(project=project, user=user)),
        "readAt": None if read is None else iso(read.at),
    }


def note_text(note: LiveNote) -> str:
    """What happened, as a sentence without its full stop."""
    who, times = note.user.name, f", {note.times} times" if note.times > 1 else ""
    rang = f"{WHAT.get(note.what, 'something')} {CHANGES.get(note.change, 'changed')}{times}"
    match note.kind:
        case LiveNoteKind.LISTENS:
            return f"{who}'s socket is open"
        case LiveNoteKind.ENDED:
            return f"{who}'s socket is gone"
        case LiveNoteKind.RANG:
            return f"Rang {who}: {rang}"
        case LiveNoteKind.LOST:
            return f"Lost on the way to {who}: {rang}"
        case LiveNoteKind.READ if note.new:
            entries = "1 new entry" if note.new == 1 else f"{note.new} new entries"
            return f"List read by {who}: {entries}"
        case LiveNoteKind.READ:
            return f"List read by {who}{times}: nothing new"
