"""A strict Slack on loopback: Socket Mode, HTTP mode and Web API, in a thread and loop of its own.

It runs apart from the bot's loop, so that a bot which blocks its loop misses its deadlines here as
it would on the real platform; `tests.bot.bot_process` puts the bot into another process. What the platform
punishes is punished (late acknowledgements are delivered again, sizes and rates refused, response_urls
and trigger_ids used up, tokens expired); what it would put up with but we don't want is written into
`violations`, which a test's fixture must find empty.

Control, from the test (what people do: `slack_people.People`):

    with FakeSlack(manifest) as slack:
        slack.api_base                                  where the bot goes
        delivery = slack.mention("lincoln Why?")        a person writes; returns at once
        slack.direct(...), slack.command("/ask", ...), slack.message_action("ask_about", delivery)
        slack.press(slack.bot_messages[0], "stop:"), slack.submit(slack.views[-1], {"question": "Why?"})
        slack.redeliver(delivery)                       the same event once more
        await slack.until(lambda: slack.bot_messages, "an answer")
        slack.bot_messages[0].shown, .history, .pings   what stands there, stood there, who is pinged
        slack.private                                   ephemeral messages and answers to commands
        slack.views, slack.home(user)                   modals and App Homes
        slack.too_early                                 requests inside a Retry-After, which is none
        slack.fail_next("chat.update", "ratelimited", retry_after=1)
        slack.refresh(), slack.drop_sockets(), slack.refuse_sockets(2), slack.lose_acks(1)
        slack.kill_streams(), slack.expire_tokens(), slack.uninstall(team)
        slack.deliver_to("http://…/slack/events")       HTTP mode from now on
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Self, TypeVar

from aiohttp import web

from tests.fakes import slack_payloads as world
from tests.fakes.slack_http_side import HttpSide
from tests.fakes.slack_people import People
from tests.fakes.slack_socket_side import SocketSide
from tests.fakes.slack_web_side import WebSide
from tests.fakes.slack_workspace import Call, Delivery, Failure

T = TypeVar("T")
Payload = dict[str, Any]


class FakeSlack(People):
    """Workspaces with one app, which is what its manifest says.

    Args:
        speed: how many times faster the platform's own clocks run (rates, retries, expiries), so
            that a minute of Slack need not be a minute of the test. Retry-After stays in seconds.
        ack_seconds: the deadline of an acknowledgement; real, as the bot's loop is real. So is
            `trigger_seconds`, in which a trigger_id must be used.
        extra_events: subscriptions an operator added to the manifest's.
        stream_seconds: how long Slack lets a native stream live, before `speed`.
        stream_appends: how many appends it takes; None: as many as the rates allow.
        token_seconds: life of tokens given by OAuth, real seconds; None: they don't expire.
    """

    def __init__(
        self,
        manifest: Mapping[str, Any],
        *,
        speed: float = 20.0,
        ack_seconds: float = 3.0,
        trigger_seconds: float = 3.0,
        extra_events: tuple[str, ...] = (),
        stream_seconds: float = 300.0,
        stream_appends: int | None = None,
        token_seconds: float | None = None,
    ) -> None:
        super().__init__(manifest, speed=speed, extra_events=extra_events)
        self.stream_seconds, self.stream_appends = stream_seconds, stream_appends
        self.token_seconds, self.trigger_seconds = token_seconds, trigger_seconds
        self._socket_side = SocketSide(self, ack_seconds=ack_seconds)
        self.http = HttpSide(self, ack_seconds=ack_seconds)
        self._web_side = WebSide(self)
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="fake-slack", daemon=True)

    @property
    def api_base(self) -> str:
        return f"{self.base_url}/api/"

    @property
    def authorize_url(self) -> str:
        """Where a browser goes to allow the app, in the place of slack.com/oauth/v2/authorize."""
        return f"{self.base_url}/oauth/v2/authorize"

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the fake Slack did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

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
        self._socket_side.lose = self.http.lose = times

    def kill_streams(self) -> None:
        """Slack ends every native stream, as it does to those that live too long."""
        for message in self.bot_messages:
            message.streaming = False

    def expire_tokens(
        self, error: str = "token_expired", *, team: str | None = None, except_newest: bool = False
    ) -> None:
        """The bot tokens there are now are refused from now on."""
        grants = [grant for grant in self.grants.values() if team in {None, grant.team}]
        for grant in grants[: -1 if except_newest else None]:
            grant.problem = grant.problem or error

    def uninstall(self, team: str = world.TEAM) -> Delivery:
        """A workspace removes the app: its tokens die and the app is told."""
        event = {
            "type": "tokens_revoked",
            "tokens": {"oauth": [], "bot": [world.BOTS[team][0]]},
            "event_ts": world.new_ts(),
        }
        self.expire_tokens("account_inactive", team=team)
        self._event("tokens_revoked", event, team)
        event = {"type": "app_uninstalled", "event_ts": world.new_ts()}
        return self._event("app_uninstalled", event, team)

    def deliver_to(self, request_url: str) -> None:
        """From now on everything is delivered over HTTP to this address."""
        self.http.request_url = request_url

    async def verify_url(self) -> str:
        """Ask the app's address for the challenge, as Slack does when one sets it."""
        future = asyncio.run_coroutine_threadsafe(self.http.verify_url(), self._loop)
        return await asyncio.wrap_future(future)

    def calls_of(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    @property
    def open_sockets(self) -> int:
        return self._socket_side.open

    @property
    def connections(self) -> int:
        """Connections asked for so far, refused ones too."""
        return self._socket_side.connections

    async def until(self, condition: Callable[[], T], what: str, seconds: float = 60.0) -> T:
        """Wait in the test's loop; the limit only turns a hang into a message."""
        deadline = time.monotonic() + seconds
        while not (met := condition()):
            if time.monotonic() > deadline:
                raise AssertionError(f"no {what} within {seconds} s; violations: {self.violations}")
            await asyncio.sleep(0.01)
        return met

    # ---- deliveries

    def _deliver(self, delivery: Delivery) -> Delivery:
        self.deliveries.append(delivery)
        side = self.http if self.http.request_url else self._socket_side
        self._do(side.deliver(delivery))
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
        app.router.add_get("/oauth/v2/authorize", self._web_side.authorize)
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
        await self.http.close()
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
