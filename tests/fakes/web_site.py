"""An author's site on loopback: real HTTP, with everything that sites do to crawlers.

`with FakeSite() as site: site.page("/tea", html)`. It answers conditional requests as RFC 9110 wants, packs
nothing unless told, and keeps every request with its headers. Two requests at once are written down as
`at_once`: a polite crawler never makes them.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Asked:
    path: str
    """With the query."""
    headers: dict[str, str]
    at: float


@dataclass
class Answer:
    body: bytes
    status: int = 200
    content_type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    last_modified: str = ""
    """Instead of an ETag."""


class FakeSite:
    def __init__(self) -> None:
        self.answers: dict[str, Answer | Handler] = {}
        self.traps: list[tuple[str, Handler]] = []
        """(beginning of the path, handler) for pages without number."""
        self.asked: list[Asked] = []
        self.at_once: list[str] = []
        self.held: str | None = None
        """A path whose answer never comes; `reached` is set when it is asked for."""
        self.reached = threading.Event()
        self.bytes_sent = 0
        self._open = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    @property
    def times_asked(self) -> Counter[str]:
        return Counter(self.paths)

    def page(self, path: str, html: str, **more: object) -> None:
        self.answers[path] = Answer(html.encode(), **more)  # type: ignore[arg-type]

    def text(self, path: str, text: str, content_type: str = "text/plain") -> None:
        self.answers[path] = Answer(text.encode(), content_type=content_type)

    def redirect(self, path: str, to: str, status: int = 301) -> None:
        self.answers[path] = Answer(b"", status, headers={"Location": to})

    def status(self, path: str, status: int, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = Answer(b"no", status, headers=named)

    def status_first(self, path: str, times: int, status: int, **headers: str) -> None:
        """Answer so a number of times, then as before."""
        later = self.answers[path]
        assert isinstance(later, Answer)
        left = times

        async def handler(request: web.Request) -> web.StreamResponse:
            nonlocal left
            if left == 0:
                return self._answered(request, later)
            left -= 1
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return web.Response(status=status, headers=named)

        self.answers[path] = handler

    def huge(self, path: str, megabytes: int) -> None:
        async def handler(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "text/html"})
            await response.prepare(request)
            for _ in range(megabytes * 16):
                await response.write(b"<p>more" * 9362)
                self.bytes_sent += 7 * 9362
            return response

        self.answers[path] = handler

    def bomb(self, path: str, megabytes: int) -> None:
        packed = gzip.compress(b"\0" * (megabytes << 20), mtime=0)
        self.answers[path] = Answer(packed, headers={"Content-Encoding": "gzip"})

    def slow(self, path: str) -> None:
        async def handler(request: web.Request) -> web.StreamResponse:
            await asyncio.sleep(60)
            return web.Response(text="late")

        self.answers[path] = handler

    def calendar(self, path: str) -> None:
        """Every month links the next one, for ever."""

        async def handler(request: web.Request) -> web.StreamResponse:
            month = int(request.path.removeprefix(path).strip("/") or 0)
            html = f"<p>Month {month}</p><a href='{path}{month + 1}'>next</a>"
            return web.Response(text=html, content_type="text/html")

        self.traps.append((path, handler))

    def __enter__(self) -> FakeSite:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())
        self._loop.close()

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._port = runner.addresses[0][1]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.raw_path
        self._open += 1
        if self._open > 1:
            self.at_once.append(path)
        try:
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.asked.append(Asked(path, headers, time.monotonic()))
            if path == self.held:
                self.reached.set()
                await asyncio.sleep(60)
            if request.method != "GET" or "user-agent" not in headers:
                return web.Response(status=405)
            found = self.answers.get(path)
            if found is None:
                for beginning, handler in self.traps:
                    if path.startswith(beginning):
                        return await handler(request)
                return web.Response(status=404, text="nothing here")
            return (
                self._answered(request, found)
                if isinstance(found, Answer)
                else await found(request)
            )
        finally:
            self._open -= 1

    def _answered(self, request: web.Request, answer: Answer) -> web.Response:
        headers = {"Content-Type": answer.content_type, **answer.headers}
        if answer.status != 200:
            return web.Response(status=answer.status, body=answer.body, headers=headers)
        if answer.last_modified:
            headers["Last-Modified"] = answer.last_modified
            fresh = request.headers.get("If-Modified-Since") == answer.last_modified
        else:
            headers["ETag"] = f'"{hashlib.sha1(answer.body).hexdigest()}"'
            fresh = request.headers.get("If-None-Match") == headers["ETag"]
        if fresh:
            return web.Response(status=304, headers=headers)
        return web.Response(body=answer.body, headers=headers)


class Pace:
    """A clock that only `sleep` moves, and that keeps what was slept."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def essay(topic: str, *, head: str = "", links: str = "", author: str = "Ann Example") -> str:
    """A page with an article of about 130 words on the topic, and the furniture of a site around it."""
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>On {topic} | Ann's pages</title><meta name="author" content="{author}">
<meta property="article:published_time" content="2021-03-04T10:00:00Z">{head}</head>
<body><nav><a href="/">Home</a> <a href="/about">About</a></nav>
<article><h1>On {topic}</h1>
<p>I have thought about {topic} for eleven years, and in all that time {topic} has not once asked for my
opinion. That seems fair to me. Whoever writes about {topic} should first look at it on a wet Monday, when
nobody is there to admire it, and then decide whether there is anything to say.</p>
<h2>In winter</h2>
<p>In winter the matter of {topic} is simpler, because half of the people who talk about it stay at home. My
neighbour keeps a notebook, and it has one line a year.</p>
<ul><li>Look at {topic} before you speak of it</li><li>Ask who pays for {topic} and who only watches</li></ul>
<blockquote><p>You will learn {topic} the day you stop explaining it, my grandmother used to say.</p>
</blockquote>
<p>She was right about most things, and about {topic} she was right every single time. {links}</p>
</article><footer>All rights reserved</footer></body></html>"""


def listing(links: list[str], title: str = "Essays", head: str = "") -> str:
    items = "".join(f"<li><a href='{link}'>An essay called {link}</a></li>" for link in links)
    top = f"<html><head><title>{title}</title>{head}</head>"
    return f"{top}<body><h1>{title}</h1><ul>{items}</ul></body></html>"
