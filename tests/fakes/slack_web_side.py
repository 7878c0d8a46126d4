"""The Web API side of the fake Slack: tokens, scopes, rates, messages, response_urls."""

from __future__ import annotations

import math
import time
from typing import Any

from aiohttp import web

from tests.fakes import slack_payloads as world
from tests.fakes import slack_rules as rules
from tests.fakes.slack_workspace import Call, Message, Private, Workspace

Payload = dict[str, Any]

_RESPONSE_URL_USES = 5


class WebSide:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._buckets: dict[tuple[str, str], rules.TokenBucket] = {}

    async def api(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        if request.content_type == "application/json":
            arguments = await request.json()
        else:
            arguments = dict(await request.post())
        arguments = {**request.query, **arguments}
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if "token" in arguments:
            self._workspace.violations.append(f"{method}: the token belongs into the header")
        error = self._refusal(method, arguments, token)
        answer: Payload = {}
        headers: dict[str, str] = {}
        status = 200
        if error is None and self._workspace.failures.get(method):
            failure = self._workspace.failures[method].pop(0)
            error, status = failure.error, failure.status
            if failure.retry_after is not None:
                headers["Retry-After"] = str(failure.retry_after)
        if error is None and (wait := self._wait_seconds(method, arguments)):
            error, status, headers = "ratelimited", 429, {"Retry-After": str(math.ceil(wait))}
        if error is None:
            error, answer = self._perform(method, arguments)
        self._workspace.calls.append(Call(method, arguments, error))
        headers["x-oauth-scopes"] = ",".join(sorted(self._workspace.scopes))
        body = {"ok": False, "error": error} if error else {"ok": True, **answer}
        return web.json_response(body, status=status, headers=headers)

    def _refusal(self, method: str, arguments: Payload, token: str) -> str | None:
        if method not in rules.ARGUMENTS:
            self._workspace.violations.append(f"unknown method {method}")
            return "unknown_method"
        unknown = set(arguments) - rules.ARGUMENTS[method] - {"token"}
        if unknown:
            self._workspace.violations.append(f"{method}: unknown arguments {sorted(unknown)}")
        if not token:
            return "not_authed"
        wants_app = method == "apps.connections.open"
        if token not in {self._workspace.bot_token, self._workspace.app_token}:
            return "invalid_auth"
        if (token == self._workspace.app_token) != wants_app:
            return "not_allowed_token_type"
        scope = rules.SCOPES.get(method)
        return "missing_scope" if scope and scope not in self._workspace.scopes else None

    def _wait_seconds(self, method: str, arguments: Payload) -> float:
        """Tier 3 is 50 a minute for the app; posts are one a second and channel, short bursts
        tolerated; users.info is tier 4."""
        rates = {
            "chat.postMessage": (str(arguments.get("channel")), 3, 1.0),
            "chat.update": ("", 50, 60 / 50),
            "users.info": ("", 100, 60 / 100),
        }
        if method not in rates:
            return 0.0
        key, burst, seconds = rates[method]
        fresh = rules.TokenBucket(burst, seconds / self._workspace.speed)
        return self._buckets.setdefault((method, key), fresh).wait_seconds(time.monotonic())

    def _perform(self, method: str, arguments: Payload) -> tuple[str | None, Payload]:
        if method == "auth.test":
            answer = {"user_id": world.BOT, "bot_id": world.BOT_ID, "team_id": world.TEAM}
            return None, answer | {"url": "https://home.slack.com/", "user": "personae"}
        if method == "apps.connections.open":
            return None, {"url": self._workspace.new_socket_url()}
        if method == "users.info":
            person = world.PEOPLE.get(str(arguments.get("user")))
            return (None, {"user": person}) if person else ("user_not_found", {})
        return self._write(method, arguments)

    def _write(self, method: str, arguments: Payload) -> tuple[str | None, Payload]:
        channel = arguments.get("channel")
        if channel in world.REFUSALS:
            return world.REFUSALS[channel], {}
        if channel not in world.CHANNELS:
            return "channel_not_found", {}
        error = self._workspace.judge(arguments, rules.ARGUMENTS[method], method)
        if error:
            return error, {}
        if method == "chat.update":
            return self._edit(arguments)
        state = {"parse": "none", **arguments}
        thread_ts = arguments.get("thread_ts")
        message = Message(channel, world.new_ts(), thread_ts, [state])
        self._workspace.bot_messages.append(message)
        return None, {"channel": channel, "ts": message.ts, "message": {"text": state.get("text")}}

    def _edit(self, arguments: Payload) -> tuple[str | None, Payload]:
        place = (arguments.get("channel"), arguments.get("ts"))
        found = [
            m for m in self._workspace.bot_messages if (m.channel, m.ts) == place and not m.deleted
        ]
        if not found:
            return "message_not_found", {}
        state = {"parse": "client", **arguments}
        if "blocks" not in arguments and "text" not in arguments:
            state["blocks"] = found[0].history[-1].get("blocks")
        found[0].history.append(state)
        return None, {"channel": place[0], "ts": place[1], "text": state.get("text")}

    async def respond(self, request: web.Request) -> web.Response:
        known = self._workspace.response_urls.get(request.match_info["secret"])
        if known is None or known.until < time.monotonic():
            return web.Response(status=404, text="expired_url")
        if known.uses >= _RESPONSE_URL_USES:
            self._workspace.violations.append("a response_url was used more than five times")
            return web.Response(status=404, text="used_url")
        if request.content_type != "application/json":
            self._workspace.violations.append(f"response_url: {request.content_type}")
            return web.Response(status=400, text="invalid_payload")
        known.uses += 1
        message = await request.json()
        error = self._workspace.judge(message, rules.RESPONSE_URL_KEYS, "response_url")
        if error:
            return web.Response(status=400, text=error)
        self._workspace.private.append(Private(known.user, known.channel, "response_url", message))
        return web.Response(text="ok")
