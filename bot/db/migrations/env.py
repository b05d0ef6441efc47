"""Runs the migrations on the connection that bot/db/schema.py hands over."""

from alembic import context

from bot.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite does it too, as our driver settings leave BEGIN to us
    render_as_batch=True,  # SQLite changes most of a table only by copying it
)
with context.begin_transaction():
    context.run_migrations()
