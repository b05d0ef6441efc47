"""What of a database no key decrypts, so that a host knows what a lost key costs."""

from typing import Final

from sqlalchemy import Connection, inspect, text

from bot.database_content import Unopenable, UnopenableAccount, UnopenableWebhook
from bot.errors import SealError
from bot.vault import Vault

# In words that databases of every release that can be upgraded know.
ACCOUNTS: Final = text(
    "SELECT discord_user_id, server_url, tokens_sealed AS sealed FROM accounts"
    " ORDER BY server_url, discord_user_id"
)
WEBHOOKS: Final = text(
    "SELECT guild_id, coalesce(project_name, project_id) AS project, secret_sealed AS sealed,"
    " webhook_sealed IS NOT NULL AS made_by_bot FROM hooks"
    " WHERE secret_sealed IS NOT NULL AND state <> 'closed' ORDER BY guild_id, id"
)


def read_unopenable(connection: Connection, vault: Vault | None) -> Unopenable:
    """All that these keys do not decrypt; without keys that is everything."""
    if not {"accounts", "hooks"} <= set(inspect(connection).get_table_names()):
        return Unopenable()
    return Unopenable(
        tuple(
            UnopenableAccount(int(row.discord_user_id), row.server_url)
            for row in connection.execute(ACCOUNTS)
            if not _opens(vault, row.sealed)
        ),
        tuple(
            UnopenableWebhook(int(row.guild_id), row.project, bool(row.made_by_bot))
            for row in connection.execute(WEBHOOKS)
            if not _opens(vault, row.sealed)
        ),
    )


def _opens(vault: Vault | None, sealed: str) -> bool:
    if vault is None:
        return False
    try:
        vault.reseal(sealed)
    except SealError:
        return False
    return True
