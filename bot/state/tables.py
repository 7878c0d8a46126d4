"""The bots' tables. No I/O.

Every column is named in docs/privacy.md, and a test compares the two. A change here needs a revision in
migrations/versions, and a test compares those two as well.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

PREFIX = "bot_"
VERSION_TABLE = "bot_schema_version"

metadata = sa.MetaData()


class Text(sa.TypeDecorator[str]):
    """Text of people and models, without what a database can't hold: NUL and lone surrogates."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, Text, primary_key=True)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, Text, nullable=False)


def _maybe_text(name: str) -> sa.Column[str | None]:
    return sa.Column(name, Text, nullable=True)


def _time(name: str) -> sa.Column[float]:
    """UTC epoch seconds."""
    return sa.Column(name, sa.Double, nullable=False)


def _json(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON, nullable=False)


claims = sa.Table(
    "bot_claims",
    metadata,
    _key("key"),
    _time("at"),
    sa.Index("bot_claims_at", "at"),
)

processes = sa.Table(
    "bot_processes",
    metadata,
    _key("id"),
    _text("host"),
    sa.Column("pid", sa.Integer, nullable=False),
    _time("seen_at"),
)

conversations = sa.Table(
    "bot_conversations",
    metadata,
    _key("key"),
    _text("platform"),
    _maybe_text("server"),
    _text("channel"),
    _text("persona"),
    _maybe_text("adapter_version"),
    _time("updated_at"),
    sa.Index("bot_conversations_updated_at", "updated_at"),
)

turns = sa.Table(
    "bot_turns",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    _text("conversation"),
    _text("answer_id"),
    _text("person_key"),
    _text("question"),
    _text("answer"),
    _time("at"),
    sa.Index("bot_turns_conversation", "conversation", "id"),
    sa.Index("bot_turns_person", "person_key"),
    sa.Index("bot_turns_answer", "answer_id"),
    sa.Index("bot_turns_at", "at"),
)

answers = sa.Table(
    "bot_answers",
    metadata,
    _key("id"),
    _text("platform"),
    _text("owner"),
    _text("process"),
    _maybe_text("server"),
    _text("channel"),
    _maybe_text("thread"),
    _text("conversation"),
    _text("person_key"),
    _text("person_name"),
    _text("task"),
    _text("persona"),
    _text("question"),
    _text("strength"),
    sa.Column("private", sa.Boolean, nullable=False),
    _maybe_text("instead_of"),
    _json("history"),
    _json("reference"),
    _json("extra"),
    _text("locale"),
    _text("state"),
    _text("text"),
    _maybe_text("adapter_version"),
    _text("base_model"),
    _text("prompt_fingerprint"),
    _text("request_id"),
    _json("citations"),
    _json("details"),
    _time("begun_at"),
    sa.Column("ended_at", sa.Double, nullable=True),
    sa.Column("keep", sa.Boolean, nullable=False),
    sa.Index("bot_answers_person", "person_key", "begun_at"),
    sa.Index("bot_answers_conversation", "conversation", "begun_at"),
    sa.Index("bot_answers_state", "platform", "owner", "state"),
    sa.Index("bot_answers_begun_at", "begun_at"),
)

ratings = sa.Table(
    "bot_ratings",
    metadata,
    _key("answer_id"),
    _key("person_key"),
    _text("rating"),
    _time("at"),
    sa.Index("bot_ratings_person", "person_key"),
)

settings = sa.Table(
    "bot_settings",
    metadata,
    _key("platform"),
    _key("server"),
    _key("channel"),
    _key("name"),
    _json("value"),
    _time("updated_at"),
)

people = sa.Table(
    "bot_people",
    metadata,
    _key("key"),
    sa.Column("opted_out", sa.Boolean, nullable=False),
    _maybe_text("locale"),
    _time("updated_at"),
)

usage = sa.Table(
    "bot_usage",
    metadata,
    _key("platform"),
    _key("server"),
    _key("kind"),
    _key("key"),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("requests", sa.BigInteger, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Index("bot_usage_day", "day"),
    sa.Index("bot_usage_key", "kind", "key"),
)
