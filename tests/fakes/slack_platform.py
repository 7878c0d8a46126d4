"""A strict Slack on loopback: Socket Mode and Web API, in a thread and event loop of its own.

It runs apart from the bot's loop, so that a bot which blocks its loop misses its deadlines here as
it would on the real platform. What the platform punishes is punished (late acknowledgements are
delivered again, sizes and rates refused, response_urls used up); what it would put up with but we
don't want is written into `violations`, which a test's fixture must find empty.

Control, from the test:

    with FakeSlack(manifest) as slack:
        slack.api_base                                  where the bot goes
        delivery = slack.mention("lincoln Why?")        a person writes; returns at once
        slack.direct(...), slack.command("/ask", ...)
        slack.redeliver(delivery)                       the same event once more
        await slack.until(lambda: slack.bot_messages, "an answer")
        slack.bot_messages[0].shown, .history, .pings   what stands there, stood there, who is pinged
        slack.private                                   ephemeral messages and answers to commands
        slack.fail_next("chat.update", "ratelimited", retry_after=1)
        slack.refresh(), slack.drop_sockets(), slack.refuse_sockets(2), slack.lose_acks(1)
        slack.delete(message)
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Self, TypeVar

from aiohttp import web

from tests.fakes import slack_payloads as world
from tests.fakes import slack_rules as rules
from tests.fakes.slack_socket_side import SocketSide
from tests.fakes.slack_web_side import WebSide
from tests.fakes.slack_workspace import Call, Delivery, Failure, Message, Workspace

T = TypeVar("T")
Payload = dict[str, Any]


class FakeSlack(Workspace):
    """One workspace with one app, which is what its manifest says.

    Args:
        speed: how many times faster the platform's own clocks run (rates, retries, expiries), so
            that a minute of Slack need not be a minute of the test. Retry-After stays in seconds.
        ack_seconds: the deadline of an acknowledgement; real, as the bot's loop is real.
        extra_events: subscriptions an operator added to the manifest's.
    """

    def __init__(
        self,
        manifest: Mapping[str, Any],
        *,
        speed: float = 20.0,
        ack_seconds: float = 3.0,
        extra_events: tuple[str, ...] = (),
    ) -> None:
        super().__init__(manifest, speed=speed, extra_events=extra_events)
        self._socket_side = SocketSide(self, ack_seconds=ack_seconds)
        self._web_side = WebSide(self)
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="fake-slack", daemon=True)

    @property
    def api_base(self) -> str:
        return f"{self.base_url}/api/"

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the fake Slack did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    # ---- control: people

    def mention(
        self,
        text: str,
        *,
        channel: str = world.GENERAL,
        user: str = world.ADA,
        thread_ts: str | None = None,
        without: tuple[str, ...] = (),
        **more: Any,
    ) -> Delivery:
        """Somebody writes `@personae <text>`; `more` are further keys of the event, those of
        `without` are left out."""
        ts = world.new_ts()
        event = world.message_event(
            "app_mention", user=user, channel=channel, text=f"<@{world.BOT}> {text}", ts=ts
        )
        event |= _thread(thread_ts) | more
        return self._event("app_mention", {k: v for k, v in event.items() if k not in without})

    def twin(self, delivery: Delivery, kind: str) -> Delivery:
        """The same message as another kind of event, as apps get it that subscribe to both."""
        name, _, channel_type = kind.partition(".")
        event = {**delivery.payload["event"], "type": name}
        return self._event(kind, event | ({"channel_type": channel_type} if channel_type else {}))

    def direct(self, text: str, *, thread_ts: str | None = None, **more: Any) -> Delivery:
        """Ada writes to the bot alone."""
        event = world.message_event(
            "message.im", user=world.ADA, channel=world.DIRECT, text=text, ts=world.new_ts()
        )
        return self._event("message.im", event | _thread(thread_ts) | more)

    def command(
        self, command: str, text: str, *, user: str = world.ADA, channel: str = world.GENERAL
    ) -> Delivery:
        """Somebody uses a slash command."""
        assert command in self.commands, f"the manifest has no command {command}"
        payload = world.slash_command(
            command,
            text,
            user=user,
            channel=channel,
            response_url=self.new_response_url(user, channel),
        )
        return self._deliver(Delivery("slash_commands", payload))

    def redeliver(self, delivery: Delivery) -> Delivery:
        """The same event under the same event_id, as if the acknowledgement had been lost."""
        return self._deliver(Delivery(delivery.kind, delivery.payload))

    def delete(self, message: Message) -> None:
        message.deleted = True

    # ---- control: the platform

    def fail_next(
        self,
        method: str,
        error: str,
        *,
        times: int = 1,
        status: int = 200,
        retry_after: int | None = None,
    ) -> None:
        """The next calls of a method fail; `ratelimited` is a 429."""
        failure = Failure(error, 429 if error == "ratelimited" else status, retry_after)
        self.failures.setdefault(method, []).extend([failure] * times)

    def refresh(self, reason: str = "refresh_requested") -> None:
        """Slack renews every connection: says so, and closes it shortly after."""
        self._do(self._socket_side.refresh(self._socket_side.leave(), reason))

    def drop_sockets(self) -> None:
        """Every connection dies without a word."""
        self._do(self._socket_side.drop(self._socket_side.leave()))

    def refuse_sockets(self, times: int, *, linger_seconds: float = 0.0) -> None:
        """The next connections are turned away with `too_many_websockets`, and closed at once or
        a little later."""
        self._socket_side.refuse = times
        self._socket_side.linger_seconds = linger_seconds

    def break_handshakes(self, times: int) -> None:
        """The next connections fail half-way; their URLs are spent."""
        self._socket_side.break_off = times

    def lose_acks(self, times: int) -> None:
        self._socket_side.lose = times

    def calls_of(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    @property
    def open_sockets(self) -> int:
        return self._socket_side.open

    @property
    def connections(self) -> int:
        """Connections asked for so far, refused ones too."""
        return self._socket_side.connections

    async def until(self, condition: Callable[[], T], what: str, seconds: float = 15.0) -> T:
        """Wait in the test's loop; the limit only turns a hang into a message."""
        deadline = time.monotonic() + seconds
        while not (met := condition()):
            if time.monotonic() > deadline:
                raise AssertionError(f"no {what} within {seconds} s; violations: {self.violations}")
            await asyncio.sleep(0.01)
        return met

    # ---- deliveries

    def _event(self, kind: str, event: Payload) -> Delivery:
        assert kind in self.events | self.extra_events, f"the app is not subscribed to {kind}"
        if kind in self.events:
            assert rules.EVENT_SCOPES[kind] in self.scopes, f"{kind} needs a scope it lacks"
        return self._deliver(Delivery("events_api", world.event_callback(event)))

    def _deliver(self, delivery: Delivery) -> Delivery:
        self.deliveries.append(delivery)
        self._do(self._socket_side.deliver(delivery))
        return delivery

    # ---- the server

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._web_side.api)
        app.router.add_get("/link", self._socket_side.link)
        app.router.add_post("/commands/{secret}", self._web_side.respond)
        runner = web.AppRunner(app, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}"
        self._ready.set()
        await self._stop.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._socket_side.drop(self._socket_side.leave())
        await runner.cleanup()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        """Start work in the fake's own loop, from whatever thread."""

        def start() -> None:
            task = self._loop.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._done)

        self._loop.call_soon_threadsafe(start)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.violations.append(f"the fake itself failed: {task.exception()!r}")


def _thread(thread_ts: str | None) -> Payload:
    return {"thread_ts": thread_ts} if thread_ts else {}
