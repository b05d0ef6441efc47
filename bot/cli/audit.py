"""`python -m bot audit list`: who changed what, in all Discord servers."""

import json
from collections.abc import Mapping
from typing import Any

from bot.audit import AuditEntry, AuditFilter
from bot.audit_texts import AuditNames, entry_text
from bot.cli.stored import Printable, opened
from bot.cli.terminal import print_line
from bot.settings import Settings
from bot.speckle.links import Links

Places = Mapping[int, str]


async def list_all(settings: Settings, wanted: AuditFilter, limit: int, *, as_json: bool) -> bool:
    """Print the newest changes, the newest first; whether there were any. Errors: of `opened`."""
    async with opened(settings) as storage:
        entries = await storage.read(lambda tx: tx.audit_log.newest(wanted, limit))
        ids = {id_ for one in entries for id_ in (one.guild_id, one.channel_id) if id_ is not None}
        places = await storage.read(lambda tx: tx.discord_names.of(ids))
    printable = Printable(settings)
    names = _names(printable, places)
    if as_json:
        print_line(json.dumps([_facts(one, names) for one in entries], indent=2))
    elif not entries:
        print_line("Nothing was changed that fits.")
    else:
        for one in entries:
            print_line(
                f"{one.at:%Y-%m-%d %H:%M:%S}  {_where(one, printable, places)}"
                f"{entry_text(one, names, shown=True)}"
            )
    return bool(entries)


def _names(printable: Printable, places: Places) -> AuditNames:
    """By ids, with names where the bot knows them: people's it does not keep."""

    def channel(channel_id: int) -> str:
        return f"channel {printable.place(channel_id, places.get(channel_id), '#')}"

    return AuditNames(
        person=lambda user_id: f"Discord user {user_id}",
        channel=channel,
        hidden="no channel",
        project=lambda server, project: printable.text(Links(server).project(project)),
        typed=lambda text: f'"{printable.text(text)}"',
    )


def _where(entry: AuditEntry, printable: Printable, places: Places) -> str:
    if entry.guild_id is None:
        return ""
    return f"server {printable.place(entry.guild_id, places.get(entry.guild_id))}: "


def _facts(entry: AuditEntry, names: AuditNames) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": entry.at.isoformat(),
        "guild_id": entry.guild_id,
        "channel_id": entry.channel_id,
        "actor": entry.actor.kind,
        "actor_id": entry.actor.user_id,
        "action": entry.action,
        "facts": entry.facts,
        "text": entry_text(entry, names, shown=True),
    }
