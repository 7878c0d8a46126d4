"""The gateway's HTTP surface: routes, keys, errors, streams. aiohttp, one process.

    GET  /, /console/…                   the web console (serving.console, serving.console_api)
    POST /v1/ask, /v1/rewrite            wire.AskRequest, RewriteRequest → events or one Completion
    GET  /v1/personas                    wire.PersonaList
    GET  /v1/models, POST /v1/chat/completions   OpenAI-compatible (serving.openai_api)
    GET  /admin/adapters, /admin/adapters/{persona}/history                 behind the admin key,
    POST /admin/adapters/{persona}/reload|rollback                          as these
    GET, DELETE /admin/unanswered/{persona}      questions it has not written about
    /v1/feedback, /admin/revisions, /admin/feedback     what people think of answers (serving.feedback_api)
    GET  /healthz, /readyz, /metrics     this process lives; it can answer; its numbers

It turns HTTP into calls and results into HTTP, and decides nothing else; who may call is `serving.access`'s
business, ids and errors are `serving.middleware`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

from aiohttp import web
from pydantic import BaseModel, SecretStr

from personae.config import GatewayConfig
from personae.errors import InternalError, PersonaeError, from_wire
from personae.persona import Cast
from personae.wire import (
    AdapterChange,
    AdapterOutcome,
    AskRequest,
    Completion,
    Delta,
    Done,
    ErrorEvent,
    Event,
    Meta,
    PersonaList,
    RewriteRequest,
    UnansweredCleared,
    UnansweredList,
    UnansweredQuestion,
    encode_event,
    parse_request,
)
from serving.access import keys
from serving.adapter_report import AdapterReport
from serving.answers import Answerer
from serving.bases import Bases
from serving.console_api.sessions import Sessions
from serving.feedback_api import FeedbackApi
from serving.metrics import Metrics
from serving.middleware import errors, named, origin_of, tell_request_id
from serving.openai_api import OpenAIApi
from serving.persona_cards import PersonaCards
from serving.retrieval.retriever import Retriever
from serving.streams import SSE_HEADERS, kept_alive
from serving.unanswered import UnansweredNotes


def make_app(
    config: GatewayConfig,
    *,
    cast: Cast,
    answerer: Answerer,
    bases: Bases,
    report: AdapterReport,
    retriever: Retriever,
    metrics: Metrics,
    unanswered: UnansweredNotes,
    feedback: FeedbackApi,
    cards: PersonaCards,
    sessions: Sessions,
    console: Iterable[web.RouteDef],
    admin_key: SecretStr | None,
    api_key: SecretStr | None,
) -> web.Application:
    """The gateway over its parts. Without an `admin_key` every admin request is refused.

    Args:
        console: routes of the web console, but its sign-in.
    """
    routes = _Routes(cast, cards, answerer, bases, report, retriever, metrics, unanswered)
    openai = OpenAIApi(cast=cast, answerer=answerer, origin_of=origin_of)
    app = web.Application(
        client_max_size=config.max_request_bytes,
        middlewares=[
            named,
            errors,
            keys(admin_key=admin_key, api_key=api_key, sessions=sessions, hosts=config.hosts),
        ],
    )
    app.on_response_prepare.append(tell_request_id)
    app.add_routes(
        [
            web.post("/v1/ask", routes.ask),
            web.post("/v1/rewrite", routes.rewrite),
            web.get("/v1/personas", routes.personas),
            web.get("/v1/models", openai.models),
            web.post("/v1/chat/completions", openai.chat_completions),
            web.get("/admin/adapters", routes.adapter_list),
            web.get("/admin/adapters/{persona}/history", routes.adapter_history),
            web.post("/admin/adapters/{persona}/reload", routes.reload),
            web.post("/admin/adapters/{persona}/rollback", routes.rollback),
            web.post("/admin/indexes/reload", routes.indexes_reload),
            web.get("/admin/unanswered/{persona}", routes.unanswered),
            web.delete("/admin/unanswered/{persona}", routes.clear_unanswered),
            *feedback.routes(),
            *sessions.routes(),
            *console,
            web.get("/healthz", routes.healthz),
            web.get("/readyz", routes.readyz),
            web.get("/metrics", routes.metrics),
        ]
    )
    return app


class _Routes:
    def __init__(
        self,
        cast: Cast,
        cards: PersonaCards,
        answerer: Answerer,
        bases: Bases,
        report: AdapterReport,
        retriever: Retriever,
        metrics: Metrics,
        unanswered: UnansweredNotes,
    ) -> None:
        self._cast = cast
        self._cards = cards
        self._answerer = answerer
        self._bases = bases
        self._report = report
        self._retriever = retriever
        self._metrics = metrics
        self._unanswered = unanswered

    async def ask(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, parse_request(AskRequest, await request.read()))

    async def rewrite(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, parse_request(RewriteRequest, await request.read()))

    async def personas(self, request: web.Request) -> web.Response:
        return _json(PersonaList(personas=self._cards.all()))

    async def adapter_list(self, request: web.Request) -> web.Response:
        return _json(await asyncio.to_thread(self._report.versions))

    async def adapter_history(self, request: web.Request) -> web.Response:
        persona = request.match_info["persona"]
        return _json(await asyncio.to_thread(self._report.history, persona))

    async def reload(self, request: web.Request) -> web.Response:
        change = parse_request(AdapterChange, await request.read())
        persona = request.match_info["persona"]
        base = self._bases.of(persona)
        base.engine.require_ready()
        return await self._change("reload", base.adapters.reload(persona, change))

    async def rollback(self, request: web.Request) -> web.Response:
        change = parse_request(AdapterChange, await request.read())
        persona = request.match_info["persona"]
        base = self._bases.of(persona)
        base.engine.require_ready()
        return await self._change("rollback", base.adapters.rollback(persona, change))

    async def indexes_reload(self, request: web.Request) -> web.Response:
        """Take up new index snapshots now instead of within seconds."""
        changed = await self._retriever.refresh()
        problems = {name: self._retriever.problem(name) for name in self._cast}
        return web.json_response(
            {
                "changed": changed,
                "passages": {name: self._retriever.passages(name) for name in self._cast},
                "problems": {name: text for name, text in problems.items() if text},
            }
        )

    async def unanswered(self, request: web.Request) -> web.Response:
        persona = self._cast[request.match_info["persona"]].id
        questions = await self._unanswered.newest(persona)
        listed = [UnansweredQuestion(**dataclasses.asdict(question)) for question in questions]
        return _json(UnansweredList(persona=persona, questions=listed))

    async def clear_unanswered(self, request: web.Request) -> web.Response:
        persona = self._cast[request.match_info["persona"]].id
        deleted = await self._unanswered.clear(persona)
        return _json(UnansweredCleared(persona=persona, deleted=deleted))

    async def _change(self, action: str, work: Awaitable[AdapterOutcome]) -> web.Response:
        began, outcome = time.monotonic(), "failed"
        try:
            change = await work
            outcome = "done" if change.changed else "unchanged"
            return _json(change)
        except PersonaeError as err:
            outcome = err.code
            raise
        finally:
            seconds = time.monotonic() - began
            self._metrics.adapter_change.labels(action, outcome).observe(seconds)

    async def healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def readyz(self, request: web.Request) -> web.Response:
        self._answerer.require_open()
        self._bases.require_ready()
        return web.json_response({"status": "ready"})

    async def metrics(self, request: web.Request) -> web.Response:
        for base in self._bases:
            model, child = base.model.id, base.engine.child
            self._metrics.engine_ready.labels(model).set(base.engine.ready)
            self._metrics.engine_restarts.labels(model).set(child.restarts if child else 0)
            self._metrics.safe.labels(model).set(base.admission.slots)
            self._metrics.in_engine.labels(model).set(base.admission.running)
        for persona in self._cast:
            waiting = self._bases.of(persona).admission.waiting_for(persona)
            self._metrics.waiting.labels(persona).set(waiting)
        return web.Response(
            body=self._metrics.render(),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    async def _answer(
        self, request: web.Request, order: AskRequest | RewriteRequest
    ) -> web.StreamResponse:
        events = self._answerer.answer(order, origin=origin_of(request))
        async with contextlib.aclosing(events):
            if order.stream:
                return await stream_events(request, events, encode_event)
            return _json(await whole(events))


async def stream_events(
    request: web.Request,
    events: AsyncGenerator[Event, None],
    encode: Callable[[Event], bytes],
) -> web.StreamResponse:
    """Send events as they come. The status is decided by the first: an error before it is HTTP's."""
    first = await anext(events)
    response = web.StreamResponse(headers=SSE_HEADERS)
    await response.prepare(request)
    # A client that left makes write() raise; the generator is closed and the engine's work ends.
    with contextlib.suppress(ConnectionResetError):
        async with kept_alive(response):
            await response.write(encode(first))
            async for event in events:
                await response.write(encode(event))
        await response.write_eof()
    return response


async def whole(events: AsyncGenerator[Event, None]) -> Completion:
    """All the events of an answer in one piece.

    Raises:
        PersonaeError: the answer ended with an error.
    """
    meta: Meta | None = None
    pieces: list[str] = []
    async for event in events:
        if isinstance(event, Meta):
            meta = event
        elif isinstance(event, Delta):
            pieces.append(event.text)
        elif isinstance(event, ErrorEvent):
            raise from_wire(event.model_dump())
        elif isinstance(event, Done) and meta is not None:
            return Completion(text="".join(pieces).strip(), meta=meta, done=event)
    raise InternalError("The answer ended without an end. Please ask again.")


def _json(model: BaseModel) -> web.Response:
    return web.json_response(text=json.dumps(model.model_dump(mode="json")))
