"""Several gateways, or one that restarts: each question gets its answer, and people are told the truth."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from bot.core.answer import Answer
from bot.core.answer_stream import Anew
from bot.core.gateway_client import GatewayClient
from bot.core.gateways import Gateways, addresses, are_addresses
from bot.core.people import Person
from bot.core.sentences import speaker
from bot.state.store import State
from personae.errors import Busy, EngineUnavailable, GatewayUnreachable, UnknownPersona
from personae.wire import (
    AdapterChange,
    AskRequest,
    Delta,
    Done,
    ErrorEvent,
    Event,
    Queued,
    RewriteRequest,
    encode_event,
)
from tests.bot.core.bench import (
    DONE,
    META,
    SERVER,
    RecordedSurface,
    ScriptedGateway,
    Step,
    ask,
    running_desk,
    said,
    scripted_gateway,
)

NOBODY = "http://127.0.0.1:9"
say = speaker("en")
RESTARTING = ErrorEvent(code="gateway_restarting", message="Restarting.", retry_after_seconds=30)
ENGINE_GONE = ErrorEvent(code="engine_unavailable", message="No engine.", retry_after_seconds=30)


def question(first: str, other: str) -> AskRequest:
    """Of somebody whom the first of two gateways answers."""
    return AskRequest(persona="lincoln", question="Why?", user=asks_first(first, other).key)


async def events_of(client: GatewayClient, request: AskRequest | RewriteRequest) -> list[object]:
    return [event async for event in client.stream(request)]


def words(events: list[object]) -> str:
    """What stands there at the end."""
    answer = Answer(say=say)
    for event in events:
        answer.add(event)  # type: ignore[arg-type]
    return answer.words


# -- which one -----------------------------------------------------------------------------------------


def test_addresses_are_parted_by_commas() -> None:
    assert addresses(" http://a:1/ ,http://b:2") == ["http://a:1", "http://b:2"]
    assert are_addresses("http://a:1,https://b") and not are_addresses("http://a:1, b:2")
    assert not are_addresses(" , ")


def test_each_person_has_a_gateway_of_their_own_and_all_share_the_people() -> None:
    gateways = Gateways(["http://a", "http://b", "http://c"])
    first = {person: gateways.in_order(person)[0] for person in map(str, range(300))}
    assert all(gateways.in_order(person)[0] == its for person, its in first.items())
    counts = [list(first.values()).count(address) for address in gateways.addresses]
    assert min(counts) > 60
    gateways.failed("http://a")
    moved = {person for person, its in first.items() if gateways.in_order(person)[0] != its}
    assert moved == {person for person, its in first.items() if its == "http://a"}
    gateways.answered("http://a")
    assert all(gateways.in_order(person)[0] == its for person, its in first.items())


def test_without_a_person_they_take_turns() -> None:
    gateways = Gateways(["http://a", "http://b"])
    assert [gateways.in_order()[0] for _ in range(4)] == ["http://a", "http://b"] * 2


async def test_one_that_is_not_ready_is_asked_last_until_it_is() -> None:
    async with (
        scripted_gateway(said("Here.")) as gateway,
        GatewayClient(f"{NOBODY},{gateway.url}") as client,
    ):
        gateways = client._gateways
        async with asyncio.timeout(30):
            while {gateways.in_order()[0], gateways.in_order()[0]} != {gateway.url}:
                await asyncio.sleep(0.01)


# -- a question ----------------------------------------------------------------------------------------


async def test_one_that_can_t_be_reached_is_passed_over() -> None:
    async with (
        scripted_gateway(said("Here.")) as gateway,
        GatewayClient(f"{NOBODY},{gateway.url}") as client,
    ):
        got = await events_of(client, question(NOBODY, gateway.url))
        assert got == said("Here."), "nothing had been said: nobody is told of it"
        assert [card.id for card in (await client.personas()).personas] == ["lincoln"]


async def test_one_whose_machine_is_gone_is_passed_over() -> None:
    """Nothing refuses the connection there: nobody says anything at all."""
    async with (
        deaf() as first,
        scripted_gateway(said("Here.")) as gateway,
        GatewayClient(f"{first},{gateway.url}") as client,
    ):
        assert await events_of(client, question(first, gateway.url)) == said("Here.")


@pytest.mark.parametrize("refusal", [ENGINE_GONE, RESTARTING])
async def test_one_that_can_t_answer_is_passed_over(refusal: ErrorEvent) -> None:
    """Also amid the answer: its engine died, or it is being stopped."""
    async with two(
        [Queued(position=1, eta_seconds=1.0), META, Delta(text="We mu"), refusal], said("We must.")
    ) as (one, other, client):
        got = await events_of(client, question(one.url, other.url))
    assert got[2:4] == [Delta(text="We mu"), Anew()]
    assert words(got) == "We must." and isinstance(got[-1], Done)
    assert len(one.asked) == len(other.asked) == 1 and one.asked == other.asked


async def test_one_that_dies_amid_the_answer_is_passed_over() -> None:
    async with two([META, Delta(text="We mu")], said("We must.")) as (one, other, client):
        got = await events_of(client, question(one.url, other.url))
    assert got == [META, Delta(text="We mu"), Anew(), *said("We must.")]


async def test_each_may_die_once_and_then_it_is_told() -> None:
    async with two([META, Delta(text="A")], [META, Delta(text="B")]) as (one, other, client):
        got = await events_of(client, question(one.url, other.url))
    assert [type(event) for event in got].count(Anew) == 1
    assert isinstance(got[-1], ErrorEvent) and "broke off" in got[-1].message
    assert len(one.asked) == len(other.asked) == 1


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (ErrorEvent(code="busy", message="Too many."), Busy),
        (ErrorEvent(code="unknown_persona", message="Who?"), UnknownPersona),
    ],
)
async def test_what_all_would_say_is_asked_of_one(refusal: ErrorEvent, kind: type) -> None:
    async with (
        refusing(refusal) as first,
        scripted_gateway(said("No.")) as other,
        GatewayClient(f"{first},{other.url}") as client,
    ):
        with pytest.raises(kind):
            await events_of(client, question(first, other.url))
    assert other.asked == []


async def test_nobody_there_is_told_at_once() -> None:
    async with GatewayClient(f"{NOBODY},http://127.0.0.1:10", restart_seconds=60) as client:
        with pytest.raises(GatewayUnreachable):
            await events_of(client, AskRequest(persona="lincoln", question="Why?"))


# -- the only one --------------------------------------------------------------------------------------


async def test_the_only_one_restarts_and_the_answer_begins_anew() -> None:
    async with (
        scripted_gateway([META, Delta(text="We mu")]) as gateway,
        GatewayClient(gateway.url, restart_seconds=30) as client,
    ):
        got: list[object] = []
        async for event in client.stream(AskRequest(persona="lincoln", question="Why?")):
            got.append(event)
            if isinstance(event, Anew):
                gateway.script = said("We must.")
    assert got == [META, Delta(text="We mu"), Anew(), *said("We must.")]


async def test_it_is_waited_for_while_its_door_is_shut() -> None:
    """It said that it restarts, then nobody is there, then its engine starts, then it answers."""
    restarts = [
        [Queued(position=1, eta_seconds=1.0), RESTARTING],
        [ENGINE_GONE],
        said("We must."),
    ]
    door = Door(restarts)
    async with door.open(), GatewayClient(door.url, restart_seconds=30) as client:
        got = await events_of(client, AskRequest(persona="lincoln", question="Why?"))
    assert words(got) == "We must." and got.count(Anew()) == 1
    assert door.refused == 1


async def test_nobody_waits_for_ever() -> None:
    async with (
        scripted_gateway([META, Delta(text="We mu")]) as gateway,
        GatewayClient(gateway.url, restart_seconds=0.2) as client,
    ):
        got = await events_of(client, AskRequest(persona="lincoln", question="Why?"))
    assert isinstance(got[-1], ErrorEvent) and len(gateway.asked) == 2
    assert words(got) == "We mu", "what was said stays"


async def test_without_patience_a_broken_answer_ends_at_once() -> None:
    async with (
        scripted_gateway([META, Delta(text="We mu")]) as gateway,
        GatewayClient(gateway.url) as client,
    ):
        got = await events_of(client, AskRequest(persona="lincoln", question="Why?"))
    assert [type(event) for event in got[:2]] == [type(META), Delta]
    assert isinstance(got[2], ErrorEvent) and len(got) == 3


async def test_a_proxy_whose_gateway_is_away_is_no_answer() -> None:
    async def bad_gateway(_request: web.Request) -> web.Response:
        return web.Response(status=502, text="<h1>Bad Gateway</h1>")

    async with serving(bad_gateway) as url, GatewayClient(url) as client:
        with pytest.raises(GatewayUnreachable):
            await client.personas()
        with pytest.raises(GatewayUnreachable):
            await events_of(client, AskRequest(persona="lincoln", question="Why?"))


# -- what is no question -------------------------------------------------------------------------------


async def test_a_rollback_is_never_asked_twice_of_those_who_may_have_done_it() -> None:
    asked: list[str] = []

    async def dies(request: web.Request) -> web.Response:
        asked.append(request.path)
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with (
        serving(dies) as one,
        serving(dies) as other,
        GatewayClient(f"{one},{other}", admin_key="k") as client,
    ):
        asked.clear()
        with pytest.raises(EngineUnavailable):
            await client.rollback("lincoln", AdapterChange())
    assert [path for path in asked if "rollback" in path] == ["/admin/adapters/lincoln/rollback"]


async def test_a_rollback_goes_to_one_that_is_there() -> None:
    async def rolls(_request: web.Request) -> web.Response:
        body = {"persona": "l", "live": "v1", "previous": "v2", "changed": True, "message": ""}
        return web.json_response(body)

    async with serving(rolls) as there, GatewayClient(f"{NOBODY},{there}") as client:
        for _ in range(2):
            assert (await client.rollback("lincoln", AdapterChange())).live == "v1"


# -- what people see -----------------------------------------------------------------------------------


async def test_words_stand_until_new_ones_take_their_place(state: State) -> None:
    surface = RecordedSurface()

    async def seen(part: str) -> None:
        await surface.until(lambda view: part in view.text)

    async with scripted_gateway([META, Delta(text="We mu"), lambda: seen("We mu")]) as first:
        second: list[Step] = [lambda: seen("asked again"), META, Delta(text="No"), DONE]
        async with scripted_gateway(second) as other:
            order = ask(person=asks_first(first.url, other.url))
            async with running_desk(f"{first.url},{other.url}", state) as desk:
                result = await desk.answer(order, surface)
    assert result.outcome == "finished"
    again = await surface.until(lambda view: "asked again" in view.text)
    assert again.text == f"We mu\n\n{say('asking-again')}" and again.phase == "growing"
    assert surface.text == "No" and surface.last.beginning == 1 and again.beginning == 0
    assert say("begun-anew") in surface.last.footnotes
    record = await state.answer(result.id)
    assert record is not None and (record.state, record.text) == ("finished", "No")
    assert len(first.asked) == len(other.asked) == 1


async def test_stopped_while_it_waits_it_keeps_what_was_said(state: State) -> None:
    surface = RecordedSurface()

    async def waits() -> None:
        await surface.until(lambda view: "asked again" in view.text)
        await asyncio.Event().wait()

    async def seen() -> None:
        await surface.until(lambda view: "We mu" in view.text)

    async with two([META, Delta(text="We mu"), seen], [waits]) as (one, other, _client):
        order = ask(person=asks_first(one.url, other.url))
        async with running_desk(f"{one.url},{other.url}", state) as desk:
            answering = asyncio.create_task(desk.answer(order, surface))
            view = await surface.until(lambda view: "asked again" in view.text)
            await desk.stop(view.answer_id, order.person)
            assert (await answering).outcome == "stopped"
    assert surface.text == f"We mu\n\n{say('stopped')}" and surface.last.footnotes


# -- the stage -----------------------------------------------------------------------------------------


def asks_first(first: str, other: str) -> Person:
    """Somebody whom the first of two gateways answers."""
    people = (Person("discord", f"person{n}", "Ann", SERVER) for n in range(100))
    return next(one for one in people if Gateways([first, other]).in_order(one.key)[0] == first)


@contextlib.asynccontextmanager
async def two(
    first: list[Step], then: list[Step]
) -> AsyncIterator[tuple[ScriptedGateway, ScriptedGateway, GatewayClient]]:
    async with (
        scripted_gateway(first) as one,
        scripted_gateway(then) as other,
        GatewayClient(f"{one.url},{other.url}") as client,
    ):
        yield one, other, client


@contextlib.asynccontextmanager
async def serving(handler) -> AsyncIterator[str]:  # type: ignore[no-untyped-def]
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def deaf() -> AsyncIterator[str]:
    """An address where no connection is made and none refused: its line is full."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextlib.asynccontextmanager
async def refusing(error: ErrorEvent) -> AsyncIterator[str]:
    """A gateway that refuses every question before a stream begins."""

    async def refuse(_request: web.Request) -> web.Response:
        return web.json_response({"error": error.model_dump()}, status=400)

    async with serving(refuse) as url:
        yield url


class Door:
    """A gateway that plays one script after the other; between the first two its port is shut for a while."""

    def __init__(self, scripts: list[list[Event]]) -> None:
        self._scripts = scripts
        self.refused = 0
        self.url = ""
        self._port = 0
        self._runner: web.AppRunner | None = None

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        await self._start()
        try:
            yield
        finally:
            assert self._runner is not None
            await self._runner.cleanup()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/ask", self._play)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def _play(self, request: web.Request) -> web.StreamResponse:
        script = self._scripts.pop(0)
        [first, *_] = script
        if isinstance(first, ErrorEvent):
            self.refused += 1
            return web.json_response({"error": first.model_dump()}, status=503)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in script:
            await response.write(encode_event(event))
        if script[-1] == RESTARTING:
            asyncio.get_running_loop().create_task(self._restart())
        return response

    async def _restart(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
        await asyncio.sleep(1.0)
        await self._start()
