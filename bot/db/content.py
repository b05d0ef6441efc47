"""What a database holds, counted: for a look at a backup, and at the one that is in use."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from bot.database_content import DatabaseContent
from bot.db.key_values import LAST_BACKUP
from bot.db.schema import version_of

# In words that databases of every release that can be upgraded know.
COUNTS: Final = text(
    "SELECT (SELECT count(*) FROM guilds WHERE left_at IS NULL) AS guilds,"
    " (SELECT count(*) FROM (SELECT DISTINCT hooks.server_url, hooks.project_id FROM hooks"
    "  JOIN subscriptions ON subscriptions.hook_id = hooks.id) AS followed) AS projects,"
    " (SELECT count(*) FROM subscriptions) AS subscriptions,"
    " (SELECT count(*) FROM accounts) AS accounts,"
    " (SELECT count(*) FROM outbox WHERE state = 'waiting') AS waiting_cards,"
    " (SELECT count(*) FROM inbox WHERE state = 'new') AS waiting_events"
)
LAST: Final = text("SELECT value FROM facts WHERE name = :name")


def read_content(connection: Connection) -> DatabaseContent:
    """Count it."""
    row = connection.execute(COUNTS).one()
    last = connection.scalar(LAST, {"name": LAST_BACKUP})
    at = None if last is None else datetime.fromisoformat(last)
    return DatabaseContent(version_of(connection) or "", **row._mapping, last_backup_at=at)
