"""What Alembic runs: the revisions, on the connection and in the transaction of `bot.state.schema`."""

from alembic import context

from bot.state.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
