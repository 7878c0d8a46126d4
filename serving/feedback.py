"""What people think of answers, and what operators wrote better; kept until somebody is forgotten.

In the ledger's database. Calls block on disk: use them off the event loop. One rating of each answer and
person is kept, one revision of each answer, and of each persona the newest `MOST_KEPT` of both. Who rated
and who asked is kept as a hash: enough to replace and to forget, too little to show.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from personae.feedback import BASE_ALONE, Answered, Rated, Revision, ShownPassage
from personae.feedback_wire import (
    FeedbackKept,
    FeedbackOfVersion,
    FeedbackReason,
    FeedbackReceipt,
    FeedbackRequest,
    FeedbackSummary,
    RevisionRequest,
)
from personae.wire import Surface
from serving.ledger import database_failures, make_tables, overwrite_deleted

MOST_KEPT = 10_000
_REASONS_SHOWN = 20
_QUESTION_SHOWN = 200

_metadata = sa.MetaData()


def _table(name: str, *columns: sa.Column[Any] | sa.UniqueConstraint) -> sa.Table:
    return sa.Table(
        name,
        _metadata,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("request_id", sa.String(200), nullable=False),
        sa.Column("persona", sa.String(64), nullable=False, index=True),
        sa.Column("task", sa.String(20), nullable=False),
        sa.Column("adapter_version", sa.String(200), nullable=True),
        sa.Column("base_model", sa.String(200), nullable=False),
        sa.Column("prompt_fingerprint", sa.String(200), nullable=False),
        sa.Column("strength", sa.String(20), nullable=False),
        sa.Column("quoted", sa.Boolean, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("history", sa.Text, nullable=False),
        sa.Column("passages", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("asked_by", sa.String(64), nullable=False, index=True),
        sa.Column("surface", sa.String(20), nullable=False),
        *columns,
    )


_ratings = _table(
    "feedback",
    sa.Column("rating", sa.String(10), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("rejected", sa.Text, nullable=False),
    sa.UniqueConstraint("request_id", "who"),
)
_revisions = _table(
    "feedback_revisions",
    sa.Column("revision", sa.Text, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.UniqueConstraint("request_id"),
)


class Feedback:
    """Every method raises DiskFull or LedgerUnavailable when the database fails; then nothing has changed."""

    def __init__(self, engine: sa.Engine, *, most_kept: int = MOST_KEPT) -> None:
        self._engine = engine
        self._most_kept = most_kept
        self._made = False

    def rate(self, request: FeedbackRequest, passages: Sequence[ShownPassage]) -> FeedbackReceipt:
        """Keep a rating in place of the person's earlier one; without a rating, only take that one back.

        Args:
            passages: those that the request names, in its order.
        """
        own = (_ratings.c.request_id == _storable(request.request_id)) & (
            _ratings.c.who == _hashed(request.user, request.surface)
        )
        if request.rating is None:
            return self._take_back(_ratings, own)
        values = _values(request, passages) | {
            "rating": request.rating,
            "reason": request.reason,
            "rejected": request.rejected,
        }
        return self._keep(_ratings, own, values)

    def revise(self, request: RevisionRequest, passages: Sequence[ShownPassage]) -> FeedbackReceipt:
        """Keep a revision in place of the answer's earlier one; an empty one only takes that one back."""
        its = _revisions.c.request_id == _storable(request.request_id)
        if not request.revision.strip():
            return self._take_back(_revisions, its)
        values = _values(request, passages) | {
            "revision": request.revision.strip(),
            "actor": request.actor,
        }
        return self._keep(_revisions, its, values)

    def forget(self, user: str, surface: Surface) -> tuple[int, set[str]]:
        """Delete everything of a person and on what they asked.

        Returns:
            how many ratings and revisions, and of which personas.
        """
        who, deleted, personas = _hashed(user, surface), 0, set[str]()
        with database_failures("nothing was deleted"):
            self._make()
            with self._engine.begin() as connection:
                for table in (_ratings, _revisions):
                    theirs = (table.c.who == who) | (table.c.asked_by == who)
                    personas |= set(connection.scalars(sa.select(table.c.persona).where(theirs)))
                    deleted += connection.execute(table.delete().where(theirs)).rowcount
        overwrite_deleted(self._engine)
        return deleted, personas

    def of_person(self, user: str, surface: Surface) -> list[FeedbackKept]:
        """What `forget` would delete, the oldest first; what others said of their answers is not told."""
        who, kept = _hashed(user, surface), list[FeedbackKept]()
        with database_failures("the feedback can't be read"):
            self._make()
            with self._engine.connect() as connection:
                for table in (_ratings, _revisions):
                    theirs = (table.c.who == who) | (table.c.asked_by == who)
                    for row in connection.execute(sa.select(table).where(theirs)).mappings():
                        words = dict(row) if row["who"] == who else _without_opinion(dict(row))
                        kept.append(FeedbackKept.model_validate(words))
        return sorted(kept, key=lambda one: one.at)

    def ratings(self, persona: str) -> list[Rated]:
        """The newest first."""
        return [
            Rated(**_answered(row), rating=row.rating, reason=row.reason, rejected=row.rejected)
            for row in self._newest(_ratings, persona)
        ]

    def revisions(self, persona: str) -> list[Revision]:
        """The newest first."""
        return [
            Revision(**_answered(row), revision=row.revision)
            for row in self._newest(_revisions, persona)
        ]

    def summary(self, persona: str) -> FeedbackSummary:
        """Counts of each version, the one judged last first, and the latest reasons."""
        counts: dict[tuple[str | None, str], dict[str, int]] = {}
        latest: dict[tuple[str | None, str], str] = {}
        with database_failures("the feedback can't be shown"):
            self._make()
            with self._engine.connect() as connection:
                for table, kind in (
                    (_ratings, _ratings.c.rating),
                    (_revisions, sa.literal("revision")),
                ):
                    for row in connection.execute(_counted(table, kind, persona)):
                        key = (row.adapter_version, row.base_model)
                        counts.setdefault(key, {})[row.kind] = row.number
                        latest[key] = max(latest.get(key, ""), row.latest)
                reasons = connection.execute(_reasons(persona)).all()
        return FeedbackSummary(
            persona=persona,
            versions=[
                FeedbackOfVersion(
                    adapter_version=version,
                    base_model=base_model,
                    up=its.get("up", 0),
                    down=its.get("down", 0),
                    revisions=its.get("revision", 0),
                )
                for (version, base_model), its in sorted(
                    counts.items(), key=lambda item: latest[item[0]], reverse=True
                )
            ],
            reasons=[
                FeedbackReason(
                    at=row.at,
                    adapter_version=row.adapter_version,
                    rating=row.rating,
                    reason=row.reason,
                    question=row.question[:_QUESTION_SHOWN],
                )
                for row in reasons
            ],
        )

    def _newest(self, table: sa.Table, persona: str) -> Sequence[sa.Row[Any]]:
        query = (
            sa.select(table)
            .where(table.c.persona == persona)
            .order_by(table.c.at.desc(), table.c.id.desc())
        )
        with database_failures("the feedback can't be read"):
            self._make()
            with self._engine.connect() as connection:
                return connection.execute(query).all()

    def _keep(
        self, table: sa.Table, same: sa.ColumnElement[bool], values: dict[str, Any]
    ) -> FeedbackReceipt:
        values = {name: _storable(value) for name, value in values.items()}
        with database_failures("it was not kept"):
            self._make()
            try:
                return self._replace_or_add(table, same, values)
            except sa.exc.IntegrityError:  # somebody else kept it between our two looks
                return self._replace_or_add(table, same, values)

    def _replace_or_add(
        self, table: sa.Table, same: sa.ColumnElement[bool], values: dict[str, Any]
    ) -> FeedbackReceipt:
        with self._engine.begin() as connection:
            replaced = connection.execute(table.update().where(same).values(**values)).rowcount > 0
            if not replaced:
                connection.execute(table.insert().values(**values))
                self._forget_oldest(connection, table, values["persona"])
            number = connection.execute(sa.select(table.c.id).where(same)).scalar_one()
        return FeedbackReceipt(id=str(number), replaced=replaced)

    def _take_back(self, table: sa.Table, same: sa.ColumnElement[bool]) -> FeedbackReceipt:
        with database_failures("it was not taken back"):
            self._make()
            with self._engine.begin() as connection:
                gone = connection.execute(table.delete().where(same)).rowcount
        return FeedbackReceipt(id="", replaced=gone > 0)

    def _forget_oldest(self, connection: sa.Connection, table: sa.Table, persona: str) -> None:
        beyond = (
            sa.select(table.c.id)
            .where(table.c.persona == persona)
            .order_by(table.c.id.desc())
            .offset(self._most_kept)
            .limit(1)
        )
        newest_too_many = connection.execute(beyond).scalar_one_or_none()
        if newest_too_many is not None:
            old = (table.c.persona == persona) & (table.c.id <= newest_too_many)
            connection.execute(table.delete().where(old))

    def _make(self) -> None:
        if not self._made:
            make_tables(_metadata, self._engine)
            self._made = True


def _values(request: FeedbackRequest, passages: Sequence[ShownPassage]) -> dict[str, Any]:
    return {
        "request_id": request.request_id,
        "persona": request.persona,
        "task": request.task,
        "adapter_version": BASE_ALONE if request.voice == "base" else request.adapter_version,
        "base_model": request.base_model,
        "prompt_fingerprint": request.prompt_fingerprint,
        "strength": request.strength,
        "quoted": request.quoted,
        "question": request.question,
        "history": json.dumps([turn.model_dump() for turn in request.history]),
        "passages": json.dumps([passage.model_dump() for passage in passages]),
        "answer": request.answer,
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        "who": _hashed(request.user, request.surface),
        "asked_by": _hashed(request.asked_by or request.user, request.surface),
        "surface": request.surface,
    }


def _without_opinion(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in row.items() if name not in ("rating", "reason", "revision")
    }


def _answered(row: sa.Row[Any]) -> dict[str, Any]:
    kept = {name: getattr(row, name) for name in Answered.model_fields}
    return kept | {"history": json.loads(row.history), "passages": json.loads(row.passages)}


def _counted(table: sa.Table, kind: sa.ColumnElement[str], persona: str) -> sa.Select[Any]:
    version = (table.c.adapter_version, table.c.base_model)
    return (
        sa.select(
            *version,
            kind.label("kind"),
            sa.func.count().label("number"),
            sa.func.max(table.c.at).label("latest"),
        )
        .where(table.c.persona == persona)
        .group_by(*version, *((kind,) if isinstance(kind, sa.Column) else ()))
    )


def _reasons(persona: str) -> sa.Select[Any]:
    return (
        sa.select(_ratings)
        .where(_ratings.c.persona == persona, _ratings.c.reason != "")
        .order_by(_ratings.c.at.desc(), _ratings.c.id.desc())
        .limit(_REASONS_SHOWN)
    )


def _hashed(user: str, surface: str) -> str:
    return hashlib.sha256(f"{surface} {user}".encode("utf-8", "replace")).hexdigest()


def _storable(value: Any) -> Any:
    """PostgreSQL keeps no NUL, and no half of a character."""
    if not isinstance(value, str):
        return value
    return value.replace("\x00", "").encode("utf-8", "replace").decode()
