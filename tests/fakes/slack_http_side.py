"""HTTP mode of the fake Slack: signed requests to the app's address, acknowledgements, retries."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
import urllib.parse
from typing import Any

import aiohttp

from tests.fakes.slack_acks import take_ack_payload
from tests.fakes.slack_workspace import Delivery, Workspace


class HttpSide:
    """Delivers to `request_url`; `skew_seconds` moves the clock that stamps the signatures, and
    `secret` may be set to a wrong one. `statuses` holds what the app answered."""

    def __init__(self, workspace: Workspace, *, ack_seconds: float) -> None:
        self.request_url = ""
        self.skew_seconds = 0.0
        self.secret: str | None = None
        self.lose = 0
        self.statuses: list[int] = []
        self._workspace = workspace
        self._ack_seconds = ack_seconds
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def deliver(self, delivery: Delivery) -> None:
        """As Socket Mode's: events are tried four times, commands and clicks once."""
        retried = delivery.kind == "events_api"
        reason = ""
        for number, pause in enumerate((0.0, 0.0, 60.0, 300.0) if retried else (0.0,)):
            await asyncio.sleep(pause / self._workspace.speed)
            headers = {}
            if number:
                headers = {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": reason}
            reason = await self._attempt(delivery, headers)
            if not reason:
                return
        delivery.failed = reason if retried else "operation_timeout"
        self._workspace.violations.append(
            f"{delivery.kind} was not acknowledged: {delivery.failed}"
        )

    async def verify_url(self) -> str:
        """Slack's question before it takes an address: the answer must be the challenge."""
        body = json.dumps({"type": "url_verification", "token": "t", "challenge": "open sesame"})
        _, text = await self._post(body, "application/json", {})
        try:
            return str(json.loads(text)["challenge"])
        except ValueError:
            return text

    async def _attempt(self, delivery: Delivery, headers: dict[str, str]) -> str:
        """Slack's name for what went wrong, or ""."""
        if delivery.kind == "events_api":
            body, kind = json.dumps(delivery.payload), "application/json"
        else:
            form = delivery.payload
            if delivery.kind == "interactive":
                form = {"payload": json.dumps(delivery.payload)}
            body, kind = urllib.parse.urlencode(form), "application/x-www-form-urlencoded"
        delivery.attempts += 1
        delivery.sent_at = delivery.sent_at or time.monotonic()
        try:
            async with asyncio.timeout(self._ack_seconds):
                status, text = await self._post(body, kind, headers)
        except TimeoutError:
            return "http_timeout"
        except aiohttp.ClientError:
            return "connection_failed"
        self.statuses.append(status)
        if status != 200:
            return "http_error"
        if self.lose:
            self.lose -= 1
            return "http_timeout"
        if text and delivery.kind != "events_api":
            take_ack_payload(self._workspace, delivery, _parsed(text))
        delivery.acked = True
        if delivery.ack_seconds is None:
            delivery.ack_seconds = time.monotonic() - delivery.sent_at
        return ""

    async def _post(self, body: str, kind: str, headers: dict[str, str]) -> tuple[int, str]:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        stamp = str(int(time.time() + self.skew_seconds))
        secret = self._workspace.signing_secret if self.secret is None else self.secret
        base = f"v0:{stamp}:{body}".encode()
        signature = "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
        headers = headers | {
            "Content-Type": kind,
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": signature,
        }
        async with self._session.post(self.request_url, data=body, headers=headers) as response:
            return response.status, await response.text()


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
