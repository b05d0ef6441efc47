"""Names of Discord servers and channels; the events of one project in their order."""

import sqlalchemy as sa
from alembic import op

revision = "1002"
down_revision = "1001"


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "discord_names",
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column(
            "guild_id",
            sa.BigInteger(),
            sa.ForeignKey("guilds.guild_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("name", sa.String(), nullable=False),
    )
    op.create_index("ix_discord_names_guild_id", "discord_names", ["guild_id"])
    op.create_index("ix_inbox_lane_id", "inbox", ["lane", "id"])
