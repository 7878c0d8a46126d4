"""What the tests of the desk share: people, places, a surface that writes down what it shows, a script of a
gateway.

Where it matters the gateway is the real one over a fake engine (the fixture `gateway`); where a test needs a
stream that dies or hangs at a certain word, `scripted_gateway` serves one over HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from bot.core.desk import Desk
from bot.core.gateway_client import GatewayClient
from bot.core.order import Order
from bot.core.people import Person, Place
from bot.core.policy import PolicySettings
from bot.core.surface import View
from bot.state.store import State
from personae.wire import (
    Citation,
    Delta,
    Done,
    Event,
    Meta,
    PersonaCard,
    PersonaList,
    Span,
    Timings,
    Usage,
    encode_event,
)

SERVER = "guild"
ALICE = Person("discord", "alice", "Alice", SERVER, roles=frozenset({"patrons"}))
BOB = Person("discord", "bob", "Bob", SERVER)
MOD = Person("discord", "mod", "Mo", SERVER, manages=True)
CHANNEL = Place("discord", SERVER, "general")
THREAD = Place("discord", SERVER, "general", thread="thread-1")
DIRECT = Place("discord", None, "dm-alice", direct=True)
DISCLOSURE = "An imitation of Abraham Lincoln, not the person"

_events = itertools.count(1)


def event() -> str:
    """Another event of the platform."""
    return f"event-{next(_events)}"


def ask(text: str = "How is the Union kept whole?", **changes: object) -> Order:
    order = Order(event(), "ask", ALICE, CHANNEL, text, persona="lincoln")
    return order.of(**changes)


def rewrite(text: str = "Big firms must follow the rules.", **changes: object) -> Order:
    order = Order(event(), "rewrite", ALICE, CHANNEL, text, persona="roosevelt", private=True)
    return order.of(**changes)


@dataclass
class RecordedSurface:
    """A place to answer in that a test can look at.

    Attributes that a test sets:
        failures: as many of the next `show`s raise.
        refuses_ends: every `show` of an ended view raises.
        holds: `show` waits for it.
        seconds: how long an edit takes.
    """

    gone: bool = False
    shown: list[View] = field(default_factory=list)
    reference: dict[str, str] = field(default_factory=dict)
    waits: int = 0
    closes: int = 0
    failures: int = 0
    refuses_ends: bool = False
    seconds: float = 0.0
    at_once: int = 0
    name: str = "message-1"

    async def wait(self) -> None:
        self.waits += 1

    async def show(self, view: View) -> None:
        assert not self.closes, "shown after the surface was closed"
        self.at_once += 1
        assert self.at_once == 1, "two shows at once"
        try:
            await asyncio.sleep(self.seconds)
            if self.failures or (self.refuses_ends and view.ended):
                self.failures -= 1
                raise ConnectionError("the platform does not take it")
            self.shown.append(view)
            self.reference = {"messages": self.name}
        finally:
            self.at_once -= 1

    async def close(self) -> None:
        self.closes += 1

    @property
    def last(self) -> View:
        return self.shown[-1]

    @property
    def text(self) -> str:
        return self.last.text if self.shown else ""

    async def until(self, seen: Callable[[View], bool]) -> View:
        """The first view that is so."""
        while True:
            for view in self.shown:
                if seen(view):
                    return view
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def running_desk(url: str, state: State, **settings: object) -> AsyncIterator[Desk]:
    """A desk over a gateway, closed at the end."""
    policy = settings.pop("policy", None) or PolicySettings(answers_at_once=500)
    values: dict[str, object] = {"edit_seconds": 0.01, "owner": "app"} | settings
    async with GatewayClient(url, admin_key="test-admin-key") as client:
        desk = Desk(
            gateway=client,
            state=state,
            platform="discord",
            policy=policy,
            **values,  # type: ignore[arg-type]
        )
        try:
            yield desk
        finally:
            await desk.close(grace_seconds=5)


META = Meta(
    request_id="request-1",
    persona="lincoln",
    display_name="Abraham Lincoln",
    disclosure=DISCLOSURE,
    adapter_version="v1",
    base_model="smollm2-135m",
    prompt_fingerprint="fingerprint",
    citations=[
        Citation(
            number=number,
            title=f"Message {number}",
            date="1862-12-01",
            url="https://example.org",
            excerpt="…",
            passage=f"passage-{number}",
        )
        for number in (1, 2)
    ],
)
DONE = Done(
    finish_reason="stop",
    usage=Usage(prompt_tokens=10, completion_tokens=5),
    timings=Timings(retrieval_seconds=0, first_token_seconds=0, total_seconds=0),
    provenance=[
        Span(start=0, end=8, kind="quote", citation=1),
        Span(start=8, end=19, kind="inference"),
    ],
    used_citations=[1],
)
CARD = PersonaCard(
    id="lincoln",
    display_name="Abraham Lincoln",
    description="16th president",
    disclosure=DISCLOSURE,
    base_model="smollm2-135m",
    adapter_version="v1",
    passages=1,
    notice=None,
    max_question_characters=200,
    max_text_characters=400,
    picture="https://example.org/lincoln.png",
)

Step = Event | Callable[[], Awaitable[None]]


def said(*words: str, done: Done = DONE) -> list[Event]:
    return [META, *(Delta(text=word) for word in words), done]


@dataclass
class ScriptedGateway:
    """What it plays, what it was asked, and how many streams were dropped on it.

    Attributes:
        script: of every stream: events, and things to wait for. Without a last event the connection drops.
        fed: bodies of POST /v1/feedback and /admin/revisions, /v1/feedback/forget.
        kept: what POST /admin/people/feedback tells.
    """

    url: str = ""
    script: Sequence[Step] = ()
    asked: list[dict[str, object]] = field(default_factory=list)
    fed: list[dict[str, object]] = field(default_factory=list)
    kept: list[dict[str, object]] = field(default_factory=list)
    slow: list[float] = field(default_factory=list)
    """How long each of the next feedbacks takes, in seconds."""
    dropped: int = 0
    open: int = 0
    cards: list[PersonaCard] = field(default_factory=lambda: [CARD])
    waiting: int = 0
    silent: bool = False
    """Whether the list of personas never comes."""

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.open += 1
        try:
            for step in self.script:
                if callable(step):
                    await step()
                else:
                    await response.write(encode_event(step))
            if not isinstance(self.script[-1], Done):
                assert request.transport is not None
                request.transport.abort()
        except (asyncio.CancelledError, ConnectionResetError):
            self.dropped += 1
            raise
        finally:
            self.open -= 1
        return response

    async def _cards(self, _request: web.Request) -> web.Response:
        if self.silent:
            self.waiting += 1
            await asyncio.Event().wait()
        return web.Response(
            body=PersonaList(personas=self.cards).model_dump_json(), content_type="application/json"
        )

    async def _feedback(self, request: web.Request) -> web.Response:
        if request.path == "/admin/people/feedback":
            return web.json_response({"feedback": self.kept})
        body = await request.json()
        await asyncio.sleep(self.slow.pop(0) if self.slow else 0)
        self.fed.append(body | {"path": request.path})
        if request.path.endswith("forget"):
            return web.json_response({"deleted": len(self.fed) - 1})
        return web.json_response({"id": "1", "replaced": False})


async def _ready(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ready"})


@contextlib.asynccontextmanager
async def scripted_gateway(script: Sequence[Step] = ()) -> AsyncIterator[ScriptedGateway]:
    gateway = ScriptedGateway(script=script)
    app = web.Application()
    app.add_routes(
        [
            web.post("/v1/ask", gateway._stream),
            web.post("/v1/rewrite", gateway._stream),
            web.get("/v1/personas", gateway._cards),
            web.get("/readyz", _ready),
            web.post("/v1/feedback", gateway._feedback),
            web.post("/v1/feedback/forget", gateway._feedback),
            web.post("/admin/people/feedback", gateway._feedback),
            web.post("/admin/revisions", gateway._feedback),
        ]
    )
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    gateway.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield gateway
    finally:
        await runner.cleanup()


class FakeClock:
    """UTC epoch seconds that a test moves."""

    def __init__(self, now: float = 1_800_014_400.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
