"""The Web API side of the fake Slack: tokens, scopes, rates, who may call what; OAuth; response_urls.

The methods themselves: messages and streams in `slack_message_side`, views and threads in
`slack_view_side`.
"""

from __future__ import annotations

import base64
import json
import math
import secrets
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.fakes import slack_payloads as world
from tests.fakes import slack_rules as rules
from tests.fakes.slack_message_side import MessageSide
from tests.fakes.slack_view_side import ViewSide
from tests.fakes.slack_workspace import Call, Grant, Message, Private, Workspace

Payload = dict[str, Any]
Result = tuple[str | None, Payload]

_RESPONSE_URL_USES = 5
_IN_FLIGHT_SECONDS = 0.25  # a call that was on its way when another was told to wait


class WebSide:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._buckets: dict[tuple[str, str, str], rules.TokenBucket] = {}
        self._wait_until: dict[tuple[str, str, str], tuple[float, float]] = {}
        self._methods: dict[str, Callable[[Payload, str], Result]] = {
            "auth.test": self._auth_test,
            "users.info": self._users_info,
            **MessageSide(workspace).methods,
            **ViewSide(workspace).methods,
        }

    async def api(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        arguments = await _arguments(request)
        authorization = request.headers.get("Authorization", "")
        if "token" in arguments:
            self._workspace.violations.append(f"{method}: the token belongs into the header")
        error = self._unknown(method, arguments)
        answer: Payload = {}
        grant: Grant | None = None
        if error is None and method == "oauth.v2.access":
            error, answer = self._oauth_access(arguments, authorization)
        elif error is None:
            token = authorization.removeprefix("Bearer ")
            error, grant = self._refusal(method, arguments, token)
        team = grant.team if grant else None
        headers: dict[str, str] = {}
        status = 200
        if error is None and self._workspace.failures.get(method):
            failure = self._workspace.failures[method].pop(0)
            error, status = failure.error, failure.status
            if failure.retry_after is not None:
                headers["Retry-After"] = str(failure.retry_after)
                self._told_to_wait(method, arguments, team, failure.retry_after)
        call = Call(method, arguments, error, team)
        if error is None and grant is not None:
            self._count_too_early(call)
            if wait := self._wait_seconds(method, arguments, grant.team):
                seconds = math.ceil(wait)
                error, status, headers = "ratelimited", 429, {"Retry-After": str(seconds)}
                self._told_to_wait(method, arguments, team, seconds)
        if error is None and method in self._methods and grant is not None:
            error, answer = self._methods[method](arguments, grant.team)
        elif error is None and method == "apps.connections.open":
            answer = {"url": self._workspace.new_socket_url()}
        elif error is None and method == "auth.revoke" and grant is not None:
            grant.problem, answer = "token_revoked", {"revoked": True}
        call.error = error
        self._workspace.calls.append(call)
        scopes = grant.scopes if grant else self._workspace.scopes
        headers["x-oauth-scopes"] = ",".join(sorted(scopes))
        body = {"ok": False, "error": error} if error else {"ok": True, **answer}
        return web.json_response(body, status=status, headers=headers)

    # ---- who may call

    def _unknown(self, method: str, arguments: Payload) -> str | None:
        if method not in rules.ARGUMENTS:
            self._workspace.violations.append(f"unknown method {method}")
            return "unknown_method"
        unknown = set(arguments) - rules.ARGUMENTS[method] - {"token"}
        if unknown:
            self._workspace.violations.append(f"{method}: unknown arguments {sorted(unknown)}")
        return None

    def _refusal(
        self, method: str, arguments: Payload, token: str
    ) -> tuple[str | None, Grant | None]:
        if not token:
            return "not_authed", None
        if method == "apps.connections.open":
            if token == self._workspace.app_token:
                return None, None
            known = token in self._workspace.grants
            return ("not_allowed_token_type" if known else "invalid_auth"), None
        if token == self._workspace.app_token:
            return "not_allowed_token_type", None
        grant = self._workspace.grants.get(token)
        if grant is None:
            return "invalid_auth", None
        if grant.problem is None and grant.until is not None and grant.until < time.monotonic():
            grant.problem = "token_expired"
        if grant.problem is not None:
            return grant.problem, grant
        needed = [rules.SCOPES.get(method)]
        if {"username", "icon_url", "icon_emoji"} & set(arguments):
            needed.append(rules.CUSTOMIZE)
        missing = [scope for scope in needed if scope and scope not in grant.scopes]
        return ("missing_scope" if missing else None), grant

    # ---- rates

    def _key(self, method: str, arguments: Payload, team: str | None) -> tuple[str, str, str]:
        channel = str(arguments.get("channel")) if method == "chat.postMessage" else ""
        return method, team or "", channel

    def _wait_seconds(self, method: str, arguments: Payload, team: str) -> float:
        if method not in rules.RATES:
            return 0.0
        burst, seconds = rules.RATES[method]
        fresh = rules.TokenBucket(burst, seconds / self._workspace.speed)
        bucket = self._buckets.setdefault(self._key(method, arguments, team), fresh)
        return bucket.wait_seconds(time.monotonic())

    def _told_to_wait(
        self, method: str, arguments: Payload, team: str | None, seconds: float
    ) -> None:
        now = time.monotonic()
        self._wait_until[self._key(method, arguments, team)] = (now, now + seconds)

    def _count_too_early(self, call: Call) -> None:
        told, until = self._wait_until.get(
            self._key(call.method, call.arguments, call.team), (0.0, 0.0)
        )
        now = time.monotonic()
        # The SDK's own clock may run a hair ahead: a hundredth of a second is no disobedience.
        if told + _IN_FLIGHT_SECONDS < now < until - 0.01:
            self._workspace.too_early.append(call)

    # ---- simple methods

    def _auth_test(self, arguments: Payload, team: str) -> Result:
        user, bot = world.BOTS[team]
        answer = {"user_id": user, "bot_id": bot, "team_id": team, "app_id": world.APP}
        domain = "home" if team == world.TEAM else "away"
        return None, answer | {"url": f"https://{domain}.slack.com/", "user": "personae"}

    def _users_info(self, arguments: Payload, team: str) -> Result:
        try:
            person = world.person_of(str(arguments.get("user")))
        except KeyError:
            return "user_not_found", {}
        if "include_locale" not in arguments:
            person = {key: value for key, value in person.items() if key != "locale"}
        return None, {"user": person}

    # ---- OAuth

    async def authorize(self, request: web.Request) -> web.Response:
        """The page where a person allows the app: agreed to at once, for `?team=` or TEAM."""
        team = request.query.get("team") or world.TEAM
        if request.query.get("client_id") != self._workspace.client_id:
            return web.Response(status=400, text="invalid_client_id")
        asked = set(request.query.get("scope", "").split(","))
        if asked != self._workspace.scopes:
            self._workspace.violations.append(f"authorize: scopes {sorted(asked)}")
        code = secrets.token_hex(8)
        self._workspace.codes[code] = team
        target = request.query.get("redirect_uri", "")
        state = request.query.get("state", "")
        raise web.HTTPFound(f"{target}?code={code}&state={state}")

    def _oauth_access(self, arguments: Payload, authorization: str) -> Result:
        expected = f"{self._workspace.client_id}:{self._workspace.client_secret}"
        given = f"{arguments.get('client_id')}:{arguments.get('client_secret')}"
        if authorization.startswith("Basic "):
            given = base64.b64decode(authorization[6:]).decode()
        if given != expected:
            return "bad_client_secret", {}
        rotates = self._workspace.token_seconds is not None
        if arguments.get("grant_type") == "refresh_token":
            old = [
                grant
                for grant in self._workspace.grants.values()
                if grant.refresh_token == arguments.get("refresh_token")
                and grant.problem in {None, "token_expired"}
            ]
            if not old:
                return "invalid_refresh_token", {}
            old[0].refresh_token = None  # good for one use
            return None, self._granted(old[0].team, rotates)
        team = self._workspace.codes.pop(str(arguments.get("code")), None)
        return ("invalid_code", {}) if team is None else (None, self._granted(team, rotates))

    def _granted(self, team: str, rotates: bool) -> Payload:
        token = self._workspace.new_grant(team, rotates=rotates)
        grant = self._workspace.grants[token]
        answer: Payload = {
            "app_id": world.APP,
            "access_token": token,
            "token_type": "bot",
            "scope": ",".join(sorted(grant.scopes)),
            "bot_user_id": world.BOTS[team][0],
            "team": {"id": team, "name": "Home" if team == world.TEAM else "Away"},
            "enterprise": None,
            "authed_user": {"id": world.GRACE if team == world.TEAM else world.FAYE},
            "is_enterprise_install": False,
        }
        if rotates:
            answer["refresh_token"] = grant.refresh_token
            answer["expires_in"] = max(1, int(self._workspace.token_seconds or 1))
        return answer

    # ---- response_urls

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
        original = known.original
        if message.get("delete_original"):
            if original is None:
                return web.Response(status=404, text="no_original")
            original.deleted = True
            return web.Response(text="ok")
        error = self._workspace.judge(message, rules.RESPONSE_URL_KEYS, "response_url")
        if error:
            return web.Response(status=400, text=error)
        if message.get("replace_original"):
            if original is None or original.deleted:
                return web.Response(status=404, text="no_original")
            original.history.append(message)
        elif message.get("response_type") == "in_channel":
            self._workspace.bot_messages.append(
                Message(
                    known.channel,
                    world.new_ts(),
                    message.get("thread_ts"),
                    [message],
                    team=known.team,
                )
            )
        else:
            self._workspace.private.append(
                Private(known.user, known.channel, "response_url", [message], team=known.team)
            )
        return web.Response(text="ok")


async def _arguments(request: web.Request) -> Payload:
    """JSON or a form; in a form, lists and objects are JSON inside."""
    given: Payload
    if request.content_type == "application/json":
        given = await request.json()
    else:
        given = dict(await request.post())
        for name in ("blocks", "view", "chunks", "prompts"):
            if isinstance(given.get(name), str):
                given[name] = json.loads(given[name])
    return {**request.query, **given}
