"""The first tables: claims, processes, conversations, answers, settings, people, usage."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bot_answers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("platform", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("process", sa.Text, nullable=False),
        sa.Column("server", sa.Text, nullable=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("thread", sa.Text, nullable=True),
        sa.Column("conversation", sa.Text, nullable=False),
        sa.Column("person_key", sa.Text, nullable=False),
        sa.Column("person_name", sa.Text, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("persona", sa.Text, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("strength", sa.Text, nullable=False),
        sa.Column("private", sa.Boolean, nullable=False),
        sa.Column("instead_of", sa.Text, nullable=True),
        sa.Column("history", sa.JSON, nullable=False),
        sa.Column("reference", sa.JSON, nullable=False),
        sa.Column("extra", sa.JSON, nullable=False),
        sa.Column("locale", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("adapter_version", sa.Text, nullable=True),
        sa.Column("base_model", sa.Text, nullable=False),
        sa.Column("prompt_fingerprint", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("citations", sa.JSON, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("begun_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double, nullable=True),
        sa.Column("keep", sa.Boolean, nullable=False),
    )
    op.create_index("bot_answers_begun_at", "bot_answers", ["begun_at"])
    op.create_index("bot_answers_conversation", "bot_answers", ["conversation", "begun_at"])
    op.create_index("bot_answers_person", "bot_answers", ["person_key", "begun_at"])
    op.create_index("bot_answers_state", "bot_answers", ["platform", "owner", "state"])
    op.create_table(
        "bot_claims",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_index("bot_claims_at", "bot_claims", ["at"])
    op.create_table(
        "bot_conversations",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("platform", sa.Text, nullable=False),
        sa.Column("server", sa.Text, nullable=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("persona", sa.Text, nullable=False),
        sa.Column("adapter_version", sa.Text, nullable=True),
        sa.Column("updated_at", sa.Double, nullable=False),
    )
    op.create_index("bot_conversations_updated_at", "bot_conversations", ["updated_at"])
    op.create_table(
        "bot_people",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("opted_out", sa.Boolean, nullable=False),
        sa.Column("locale", sa.Text, nullable=True),
        sa.Column("updated_at", sa.Double, nullable=False),
    )
    op.create_table(
        "bot_processes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
    )
    op.create_table(
        "bot_ratings",
        sa.Column("answer_id", sa.Text, primary_key=True),
        sa.Column("person_key", sa.Text, primary_key=True),
        sa.Column("rating", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_index("bot_ratings_person", "bot_ratings", ["person_key"])
    op.create_table(
        "bot_settings",
        sa.Column("platform", sa.Text, primary_key=True),
        sa.Column("server", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.JSON, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
    )
    op.create_table(
        "bot_turns",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("conversation", sa.Text, nullable=False),
        sa.Column("answer_id", sa.Text, nullable=False),
        sa.Column("person_key", sa.Text, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_index("bot_turns_answer", "bot_turns", ["answer_id"])
    op.create_index("bot_turns_at", "bot_turns", ["at"])
    op.create_index("bot_turns_conversation", "bot_turns", ["conversation", "id"])
    op.create_index("bot_turns_person", "bot_turns", ["person_key"])
    op.create_table(
        "bot_usage",
        sa.Column("platform", sa.Text, primary_key=True),
        sa.Column("server", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
    )
    op.create_index("bot_usage_day", "bot_usage", ["day"])
    op.create_index("bot_usage_key", "bot_usage", ["kind", "key"])
