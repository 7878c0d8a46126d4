"""Alembic's revisions of the bots' tables; `bot.state.schema` runs them."""
