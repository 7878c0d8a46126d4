"""Discord's REST side: the table of routes, and what all routes share: tokens, limits, refusals."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.fakes import discord_command_rules, discord_objects
from tests.fakes.discord_channel_routes import ChannelRoutes
from tests.fakes.discord_interaction_routes import InteractionRoutes
from tests.fakes.discord_limits import Verdict
from tests.fakes.discord_objects import APPLICATION_ID, snowflake
from tests.fakes.discord_refusal import Refusal
from tests.fakes.discord_requests import Form, Handler, Reply
from tests.fakes.discord_webhook_routes import WebhookRoutes

if TYPE_CHECKING:
    from tests.fakes.discord_platform import FakeDiscord

API = "/api/v10"
_GLOBAL_LIMIT = (50, 1.0)
_LIMITS: dict[tuple[str, str], tuple[int, float]] = {
    ("POST", "/channels/{channel}/messages"): (5, 5.0),
    ("DELETE", "/channels/{channel}/messages/{message}"): (5, 1.0),
    ("POST", "/channels/{channel}/typing"): (5, 5.0),
    ("POST", "/channels/{channel}/messages/{message}/threads"): (10, 10.0),
    ("PUT", "/channels/{channel}/messages/{message}/reactions/{emoji}/@me"): (1, 0.25),
    ("POST", "/webhooks/{webhook}/{token}"): (5, 5.0),
    ("PATCH", "/channels/{channel}/webhooks"): (5, 5.0),
}
"""By method and route; each for every channel or webhook token by itself. Edits: `edit_limit`."""


def routes(app: web.Application, discord: FakeDiscord) -> None:
    """Put both sides of Discord into `app`."""
    rest = _Rest(discord)
    for path in ("/gateway", "/gateway/", "/resume", "/resume/"):
        app.router.add_get(path, discord.socket.handle)
    app.router.add_get("/attachments/{id}/{name}", rest.attachment)
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/users/@me", rest.me),
        ("GET", "/users/@me/guilds", rest.guilds),
        ("GET", "/gateway/bot", rest.gateway),
        ("GET", "/oauth2/applications/@me", rest.application),
        ("GET", "/applications/@me", rest.application),
        ("GET", "/applications/{app}/commands", rest.get_commands),
        ("PUT", "/applications/{app}/commands", rest.put_commands),
        *ChannelRoutes(discord).table(),
        *WebhookRoutes(discord).table(),
    ]
    for method, path, handler in table:
        app.router.add_route(method, API + path, rest.served(handler, needs_token=True))
    for method, path, handler in InteractionRoutes(discord, WebhookRoutes(discord)).table():
        app.router.add_route(method, API + path, rest.served(handler, needs_token=False))
    app.router.add_route("*", "/{anything:.*}", rest.served(rest.unknown, needs_token=False))


class _Rest:
    def __init__(self, discord: FakeDiscord) -> None:
        self._discord = discord

    def served(
        self, handler: Handler, *, needs_token: bool
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """A handler behind what all routes share: planned failures, limits, errors, headers."""

        async def serve(request: web.Request) -> web.Response:
            discord = self._discord
            called = f"{request.method} {request.path.removeprefix(API)}"
            discord.requests.append(called)
            for planned in discord.fail_next:
                if called.startswith(planned[0]):
                    discord.fail_next.remove(planned)
                    if planned[1] == 0:
                        assert request.transport is not None
                        request.transport.abort()
                    return _json(planned[1] or 500, {"message": "planned failure", "code": 0}, {})
            if needs_token and request.headers.get("Authorization") != f"Bot {discord.token}":
                discord.invalid_requests += 1
                return _json(401, {"message": "401: Unauthorized", "code": 0}, {})
            verdict = self._limit(request, needs_token)
            if not verdict.taken:
                discord.throttled.append(called)
                discord.invalid_requests += 1
                return _json(429, _too_many(verdict), verdict.headers)
            try:
                status, body = await handler(request, await Form.of(request))
            except Refusal as refusal:
                status, body = refusal.status, refusal.body
                discord.refusals.append((called, body["code"]))
                discord.invalid_requests += status in (401, 403)
            discord.notify()
            for planned in discord.lose_next:
                if called.startswith(planned[0]):
                    discord.lose_next.remove(planned)
                    return _json(planned[1], {"message": "planned failure", "code": 0}, {})
            return _json(status, body, verdict.headers)

        return serve

    def _limit(self, request: web.Request, by_bot: bool) -> Verdict:
        """The route's own limit, or the global one where that is used up first."""
        limits, parts, method = self._discord.limits, request.match_info, request.method
        if by_bot:
            verdict = limits.take("global", *_GLOBAL_LIMIT)
            if not verdict.taken:
                verdict.headers |= {"X-RateLimit-Global": "true", "X-RateLimit-Scope": "global"}
                return verdict
        resource = request.match_info.route.resource
        route = resource.canonical.removeprefix(API) if resource else ""
        major = parts.get("token") or parts.get("channel") or ""
        limit = _LIMITS.get((method, route), _GLOBAL_LIMIT)
        if method == "PATCH" and "/messages/" in route:
            limit = self._discord.edit_limit
        return limits.take(f"{method} {route} {major}", *limit)

    async def unknown(self, request: web.Request, form: Form) -> Reply:
        self._discord.problems.append(f"unknown route: {request.method} {request.path}")
        return 404, {"message": "404: Not Found", "code": 0}

    async def me(self, request: web.Request, form: Form) -> Reply:
        return 200, discord_objects.bot_user()

    async def guilds(self, request: web.Request, form: Form) -> Reply:
        joined = [guild for guild in self._discord.world.guilds if guild.joined]
        return 200, [
            {
                "id": guild.id,
                "name": guild.name,
                "owner": False,
                "permissions": str(guild.permissions(discord_objects.BOT_ID, (), None)),
            }
            for guild in joined
        ]

    async def gateway(self, request: web.Request, form: Form) -> Reply:
        socket = self._discord.socket
        return 200, {
            "url": self._discord.gateway_url,
            "shards": socket.recommended_shards,
            "session_start_limit": {
                "total": 1000,
                "remaining": max(0, 1000 - socket.identifies),
                "reset_after": 14400000,
                "max_concurrency": 1,
            },
        }

    async def application(self, request: web.Request, form: Form) -> Reply:
        flags = self._discord.application_flags
        joined = [guild for guild in self._discord.world.guilds if guild.joined]
        told = discord_objects.application(flags, len(joined))
        return 200, told | self._discord.application_changes

    async def get_commands(self, request: web.Request, form: Form) -> Reply:
        self._check_application(request)
        return 200, self._discord.commands

    async def put_commands(self, request: web.Request, form: Form) -> Reply:
        self._check_application(request)
        body = form.body
        discord_command_rules.check_commands(body)
        self._discord.syncs += 1
        known = {
            "application_id": APPLICATION_ID,
            "description": "",
            "type": 1,
            "default_member_permissions": None,
        }
        self._discord.commands = [
            known | command | {"id": snowflake(), "version": snowflake()} for command in body
        ]
        for command in self._discord.commands:
            if command["default_member_permissions"] is not None:
                bits = str(command["default_member_permissions"])
                command["default_member_permissions"] = bits
        return 200, self._discord.commands

    async def attachment(self, request: web.Request) -> web.Response:
        """A file that somebody or the bot has sent, as the app downloads it."""
        message = self._discord.messages.get(request.match_info["id"])
        name = request.match_info["name"]
        if message is None or message.deleted or name not in message.files:
            return web.Response(status=404)
        return web.Response(body=message.files[name])

    def _check_application(self, request: web.Request) -> None:
        if request.match_info["app"] != APPLICATION_ID:
            raise Refusal(403, 20012, "You are not authorized to perform this action")


def _too_many(verdict: Verdict) -> dict[str, Any]:
    return {
        "message": "You are being rate limited.",
        "retry_after": verdict.retry_after,
        "global": "X-RateLimit-Global" in verdict.headers,
    }


def _json(status: int, body: Any, headers: dict[str, str]) -> web.Response:
    """A reply as Discord sends it.

    The content type is exactly this, without a charset: discord.py compares it. Without `Via`
    discord.py takes a 429 for a ban.
    """
    headers = {"Via": "1.1 google", **headers}
    if body is None:
        return web.Response(status=status, headers=headers)
    return web.Response(
        status=status,
        body=json.dumps(body).encode(),
        headers={**headers, "Content-Type": "application/json"},
    )
