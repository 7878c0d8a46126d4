"""Feedback over HTTP: ratings by everybody, revisions and exports by the operator.

    POST /v1/feedback                       feedback_wire.FeedbackRequest → FeedbackReceipt
    POST /v1/feedback/forget                feedback_wire.ForgetRequest → FeedbackForgotten
    POST /admin/people/feedback             feedback_wire.ForgetRequest → FeedbackOfPerson
    POST /admin/revisions                   feedback_wire.RevisionRequest → FeedbackReceipt
    GET  /admin/feedback/{persona}          feedback_wire.FeedbackSummary
    GET  /admin/feedback/{persona}/export?format=kto|dpo|sft|revisions     JSON Lines

The passages that a request names are looked up at once, while they are what was shown. After every revision
the file that training reads is written anew. Keys and errors are `serving.gateway`'s business.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from aiohttp import web
from pydantic import BaseModel

from personae.errors import RequestError
from personae.feedback import BASE_ALONE, ShownPassage, write_revisions
from personae.feedback_wire import (
    FeedbackForgotten,
    FeedbackFormat,
    FeedbackOfPerson,
    FeedbackReceipt,
    FeedbackRequest,
    ForgetRequest,
    RevisionRequest,
)
from personae.persona import Cast
from personae.prompt import holds_special_tokens
from personae.registry import Registry
from personae.wire import parse_request
from serving.feedback import Feedback
from serving.feedback_export import exported
from serving.metrics import Metrics
from serving.retrieval.retriever import Retriever

Kind = Literal["up", "down", "revision", "taken_back"]


class FeedbackApi:
    """
    Args:
        folder: where revisions are laid for training; see `personae.feedback`.
    """

    def __init__(
        self,
        *,
        cast: Cast,
        registry: Registry,
        retriever: Retriever,
        feedback: Feedback,
        metrics: Metrics,
        folder: Path,
    ) -> None:
        self._cast = cast
        self._registry = registry
        self._retriever = retriever
        self._feedback = feedback
        self._metrics = metrics
        self._folder = folder
        self._one_writer = threading.Lock()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/feedback", self.rate),
            web.post("/v1/feedback/forget", self.forget),
            web.post("/admin/people/feedback", self.of_person),
            web.post("/admin/revisions", self.revise),
            web.get("/admin/feedback/{persona}", self.summary),
            web.get("/admin/feedback/{persona}/export", self.export),
        ]

    async def rate(self, request: web.Request) -> web.Response:
        rated = parse_request(FeedbackRequest, await request.read())
        passages = await self._shown(rated)
        receipt = await asyncio.to_thread(self._feedback.rate, rated, passages)
        if rated.rating or receipt.replaced:
            await self._count(rated, rated.rating or "taken_back")
        return _json(receipt)

    async def revise(self, request: web.Request) -> web.Response:
        revised = parse_request(RevisionRequest, await request.read())
        if holds_special_tokens(revised.revision):
            raise RequestError(
                "The revision holds special tokens of chat templates, such as <|im_end|>, and a voice would "
                "learn them. Take them out and send it again."
            )
        passages = await self._shown(revised)
        receipt = await asyncio.to_thread(self._revise, revised, passages)
        if receipt.id or receipt.replaced:
            await self._count(revised, "revision" if receipt.id else "taken_back")
        return _json(receipt)

    async def forget(self, request: web.Request) -> web.Response:
        whom = parse_request(ForgetRequest, await request.read())
        return _json(await asyncio.to_thread(self._forget, whom))

    async def of_person(self, request: web.Request) -> web.Response:
        whom = parse_request(ForgetRequest, await request.read())
        kept = await asyncio.to_thread(self._feedback.of_person, whom.user, whom.surface)
        return _json(FeedbackOfPerson(feedback=kept))

    async def summary(self, request: web.Request) -> web.Response:
        persona = self._cast[request.match_info["persona"]].id
        return _json(await asyncio.to_thread(self._feedback.summary, persona))

    async def export(self, request: web.Request) -> web.Response:
        persona = self._cast[request.match_info["persona"]]
        format_ = _format(request.query.get("format", ""))

        def work() -> bytes:
            kept = self._feedback
            return exported(format_, persona, kept.ratings(persona.id), kept.revisions(persona.id))

        body = await asyncio.to_thread(work)
        return web.Response(body=body, content_type="application/x-ndjson", charset="utf-8")

    async def _shown(self, request: FeedbackRequest) -> list[ShownPassage]:
        persona = self._cast[request.persona]
        found = await self._retriever.named(persona, request.passages)
        return [
            ShownPassage(name=name)
            if passage is None
            else ShownPassage(name=name, title=passage.title, date=passage.date, text=passage.text)
            for name, passage in zip(request.passages, found, strict=True)
        ]

    # -- in one thread from the database to the file, which a client that leaves can't stop in between --

    def _revise(
        self, revised: RevisionRequest, passages: Sequence[ShownPassage]
    ) -> FeedbackReceipt:
        receipt = self._feedback.revise(revised, passages)
        self._lay_down([revised.persona])
        return receipt

    def _forget(self, whom: ForgetRequest) -> FeedbackForgotten:
        deleted, personas = self._feedback.forget(whom.user, whom.surface)
        # Those of the cast always: a file that could not be written the last time is written now.
        self._lay_down(sorted({*self._cast, *personas}))
        return FeedbackForgotten(deleted=deleted)

    def _lay_down(self, personas: Sequence[str]) -> None:
        with self._one_writer:  # or an older state could be written last
            for persona in personas:
                write_revisions(self._folder, persona, self._feedback.revisions(persona))

    async def _count(self, request: FeedbackRequest, kind: Kind) -> None:
        """By version, where it is one: a label takes no word of a client's."""
        version = request.adapter_version or "none"
        if request.voice == "base":
            version = BASE_ALONE
        elif request.adapter_version is not None:
            known = await asyncio.to_thread(self._registry.versions, request.persona)
            if version not in {found.name for found in known}:
                version = "unknown"
        self._metrics.feedback.labels(request.persona, version, kind).inc()


def _format(asked: str) -> FeedbackFormat:
    """
    Raises:
        RequestError: there is none of that name; lists those there are.
    """
    for format_ in get_args(FeedbackFormat):
        if asked == format_:
            return format_
    raise RequestError(f"Say how to export: format={'|'.join(get_args(FeedbackFormat))}.")


def _json(model: BaseModel) -> web.Response:
    return web.json_response(text=model.model_dump_json())
