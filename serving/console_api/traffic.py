"""GET /console/api/traffic?minutes=60: console_wire.Traffic.

In: what this process remembers of its answers, and what everybody's database knows of feedback. Another
replica remembers its own answers; all of them together are Prometheus's business.
"""

from __future__ import annotations

import asyncio
import json
import time

from aiohttp import web

from personae.console_wire import FeedbackCount, Traffic
from personae.errors import RequestError
from personae.persona import Cast
from serving.bases import Bases
from serving.feedback import Feedback
from serving.traffic import MOST_MINUTES, iso
from serving.traffic import Traffic as Remembered

_MINUTES = 60


class TrafficApi:
    def __init__(
        self, *, cast: Cast, bases: Bases, remembered: Remembered, feedback: Feedback
    ) -> None:
        self._cast = cast
        self._bases = bases
        self._remembered = remembered
        self._feedback = feedback

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/console/api/traffic", self._show)]

    async def _show(self, request: web.Request) -> web.Response:
        minutes = _minutes(request.query.get("minutes", str(_MINUTES)))
        feedback = await asyncio.to_thread(self._counts)
        remembered = self._remembered
        traffic = Traffic(
            now=iso(time.time()),
            minutes=minutes,
            since=iso(remembered.since),
            buckets=remembered.buckets(minutes),
            by_persona=remembered.by_persona(minutes),
            totals=remembered.totals(
                minutes,
                waiting=sum(base.admission.waiting for base in self._bases),
                in_engine=sum(base.admission.running for base in self._bases),
            ),
            feedback=feedback,
        )
        return web.json_response(text=json.dumps(traffic.model_dump(mode="json")))

    def _counts(self) -> list[FeedbackCount]:
        return [
            FeedbackCount(persona=persona, **version.model_dump())
            for persona in self._cast
            for version in self._feedback.summary(persona).versions
        ]


def _minutes(asked: str) -> int:
    """
    Raises:
        RequestError: not a number of minutes that is remembered.
    """
    if asked.isascii() and asked.isdigit() and len(asked) < 10 and 0 < int(asked) <= MOST_MINUTES:
        return int(asked)
    raise RequestError(f"Say of how many minutes: minutes=1 to minutes={MOST_MINUTES}.")
