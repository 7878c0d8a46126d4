"""Discord's REST side: every route the bot may call, with its refusals and its rate limits."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.fakes import discord_objects as objects
from tests.fakes import discord_rules as rules
from tests.fakes.discord_objects import Message, snowflake
from tests.fakes.discord_rules import Refusal

if TYPE_CHECKING:
    from tests.fakes.discord_interaction import Interaction
    from tests.fakes.discord_platform import FakeDiscord

API = "/api/v10"
_GLOBAL_LIMIT = (50, 1.0)
_CHANNEL_LIMIT = (5, 5.0)

Reply = tuple[int, Any]
Handler = Callable[[web.Request, Any], Awaitable[Reply]]


def routes(app: web.Application, discord: FakeDiscord) -> None:
    """Put both sides of Discord into `app`."""
    rest = _Rest(discord)
    for path in ("/gateway", "/gateway/", "/resume", "/resume/"):
        app.router.add_get(path, discord.socket.handle)
    webhook = "/webhooks/{app}/{token}"
    table: list[tuple[str, str, Handler, bool]] = [
        ("GET", "/users/@me", rest.me, True),
        ("GET", "/oauth2/applications/@me", rest.application, True),
        ("PUT", "/applications/{app}/commands", rest.put_commands, True),
        ("POST", "/channels/{channel}/messages", rest.post_message, True),
        ("PATCH", "/channels/{channel}/messages/{message}", rest.edit_message, True),
        ("POST", "/interactions/{id}/{token}/callback", rest.callback, False),
        ("POST", webhook, rest.follow_up, False),
        ("PATCH", webhook + "/messages/{message}", rest.edit_by_token, False),
        ("DELETE", webhook + "/messages/{message}", rest.delete_by_token, False),
    ]
    for method, path, handler, needs_token in table:
        app.router.add_route(method, API + path, rest.served(handler, needs_token=needs_token))
    app.router.add_route("*", "/{anything:.*}", rest.served(rest.unknown, needs_token=False))


class _Rest:
    def __init__(self, discord: FakeDiscord) -> None:
        self._discord = discord

    def served(
        self, handler: Handler, *, needs_token: bool
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """A handler behind what all routes share: planned failures, limits, errors, headers."""

        async def serve(request: web.Request) -> web.Response:
            called = f"{request.method} {request.path.removeprefix(API)}"
            self._discord.requests.append(called)
            for planned in self._discord.fail_next:
                if called.startswith(planned[0]):
                    self._discord.fail_next.remove(planned)
                    if planned[1] == 0:
                        assert request.transport is not None
                        request.transport.abort()
                    return _json(planned[1] or 500, {"message": "planned failure", "code": 0}, {})
            authorized = request.headers.get("Authorization") == f"Bot {self._discord.token}"
            if needs_token and not authorized:
                return _json(401, {"message": "401: Unauthorized", "code": 0}, {})
            verdict = self._limit(request, needs_token)
            if not verdict.taken:
                self._discord.throttled.append(called)
                is_global = "X-RateLimit-Global" in verdict.headers
                return _json(
                    429,
                    {
                        "message": "You are being rate limited.",
                        "retry_after": verdict.retry_after,
                        "global": is_global,
                    },
                    verdict.headers,
                )
            try:
                status, body = await handler(request, await _body_of(request))
            except Refusal as refusal:
                status, body = refusal.status, refusal.body
            self._discord.notify()
            return _json(status, body, verdict.headers)

        return serve

    def _limit(self, request: web.Request, by_bot: bool) -> rules.Verdict:
        """The route's own limit, or the global one where that is used up first."""
        parts, method = request.match_info, request.method
        if by_bot:
            verdict = self._discord.limits.take("global", *_GLOBAL_LIMIT)
            if not verdict.taken:
                verdict.headers |= {"X-RateLimit-Global": "true", "X-RateLimit-Scope": "global"}
                return verdict
        limit, seconds = _GLOBAL_LIMIT
        major = parts.get("token") or parts.get("channel") or ""
        if "messages" in request.path and method in ("POST", "PATCH"):
            limit, seconds = self._discord.edit_limit if method == "PATCH" else _CHANNEL_LIMIT
        elif method == "POST" and request.path.startswith(f"{API}/webhooks"):
            limit, seconds = _CHANNEL_LIMIT
        route = str(request.match_info.route.resource)
        return self._discord.limits.take(f"{method} {route} {major}", limit, seconds)

    async def unknown(self, request: web.Request, body: Any) -> Reply:
        self._discord.problems.append(f"unknown route: {request.method} {request.path}")
        return 404, {"message": "404: Not Found", "code": 0}

    async def me(self, request: web.Request, body: Any) -> Reply:
        return 200, objects.bot_user()

    async def application(self, request: web.Request, body: Any) -> Reply:
        return 200, objects.application()

    async def put_commands(self, request: web.Request, body: Any) -> Reply:
        if request.match_info["app"] != objects.APPLICATION_ID:
            raise Refusal(403, 20012, "You are not authorized to perform this action")
        rules.check_commands(body)
        self._discord.syncs += 1
        known = {
            "application_id": objects.APPLICATION_ID,
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

    # --- interactions -----------------------------------------------------------------------------

    async def callback(self, request: web.Request, body: Any) -> Reply:
        interaction = self._discord.interactions.get(request.match_info["token"])
        now = time.monotonic()
        if (
            interaction is None
            or interaction.id != request.match_info["id"]
            or (
                interaction.acknowledged_with is None
                and now - interaction.began > self._discord.ack_seconds
            )
        ):
            raise Refusal(404, 10062, "Unknown interaction")
        if interaction.acknowledged_with is not None:
            raise Refusal(400, 40060, "Interaction has already been acknowledged.")
        rules.check_callback(interaction.kind, body)
        callback, data = body["type"], body.get("data") or {}
        interaction.acknowledged_with = callback
        interaction.calls.append(f"callback {callback}")
        ephemeral = bool(data.get("flags", 0) & rules.EPHEMERAL)
        receipt: dict[str, Any] = {"id": interaction.id, "type": interaction.kind}
        reply: dict[str, Any] = {"interaction": receipt}
        if callback == rules.AUTOCOMPLETE_CALLBACK:
            interaction.choices = data.get("choices") or []
        elif callback in (rules.MESSAGE_CALLBACK, rules.DEFER_CALLBACK):
            message = Message(interaction.channel_id, interaction.token, ephemeral)
            message.loading = callback == rules.DEFER_CALLBACK
            interaction.original = message
            self._discord.messages[message.id] = message
            receipt |= {
                "response_message_id": message.id,
                "response_message_loading": message.loading,
                "response_message_ephemeral": ephemeral,
            }
            if callback == rules.MESSAGE_CALLBACK:
                self._discord.wrote(message, data)
                reply["resource"] = {"type": callback, "message": message.as_json()}
        if request.query.get("with_response") in ("1", "true"):
            return 200, reply
        return 204, None

    async def follow_up(self, request: web.Request, body: Any) -> Reply:
        interaction = self._by_token(request)
        rules.check_message(body, new=True)
        interaction.calls.append("POST follow-up")
        original = interaction.original
        if original is not None and original.loading and not original.deleted:
            # Deprecated, and never what a bot means: this edits the original, and a private
            # follow-up becomes as public as the original was.
            self._discord.problems.append("a follow-up was sent while the bot was thinking")
            message = original
        else:
            private = bool((body.get("flags") or 0) & rules.EPHEMERAL)
            message = Message(interaction.channel_id, interaction.token, private)
        self._discord.wrote(message, body)
        if request.query.get("wait") in ("1", "true"):
            return 200, message.as_json()
        return 204, None

    async def edit_by_token(self, request: web.Request, body: Any) -> Reply:
        interaction = self._by_token(request)
        message = self._message_of(interaction, request.match_info["message"])
        rules.check_message(body, new=False)
        interaction.calls.append(f"PATCH {request.match_info['message']}")
        self._discord.wrote(message, body)
        return 200, message.as_json()

    async def delete_by_token(self, request: web.Request, body: Any) -> Reply:
        interaction = self._by_token(request)
        message = self._message_of(interaction, request.match_info["message"])
        interaction.calls.append(f"DELETE {request.match_info['message']}")
        message.deleted = True
        return 204, None

    def _by_token(self, request: web.Request) -> Interaction:
        interaction = self._discord.interactions.get(request.match_info["token"])
        if interaction is None or request.match_info["app"] != objects.APPLICATION_ID:
            raise Refusal(404, 10015, "Unknown Webhook")
        if (
            interaction.expired
            or time.monotonic() - interaction.began > self._discord.token_seconds
        ):
            raise Refusal(401, 50027, "Invalid Webhook Token")
        if interaction.acknowledged_with is None:
            raise Refusal(404, 10015, "Unknown Webhook")
        return interaction

    def _message_of(self, interaction: Interaction, message_id: str) -> Message:
        if message_id == "@original":
            message = interaction.original
        else:
            message = self._discord.messages.get(message_id)
        if message is None or message.deleted or message.token != interaction.token:
            raise Refusal(404, 10008, "Unknown Message")
        return message

    # --- ordinary messages ------------------------------------------------------------------------

    async def post_message(self, request: web.Request, body: Any) -> Reply:
        channel_id = self._channel(request)
        if not self._discord.may_post:
            raise Refusal(403, 50013, "Missing Permissions")
        rules.check_message(body, new=True)
        message = Message(channel_id)
        self._discord.wrote(message, body)
        return 200, message.as_json()

    async def edit_message(self, request: web.Request, body: Any) -> Reply:
        channel_id = self._channel(request)
        message = self._discord.messages.get(request.match_info["message"])
        if (
            message is None
            or message.deleted
            or message.ephemeral
            or message.channel_id != channel_id
        ):
            raise Refusal(404, 10008, "Unknown Message")
        rules.check_message(body, new=False)
        self._discord.wrote(message, body)
        return 200, message.as_json()

    def _channel(self, request: web.Request) -> str:
        channel_id = request.match_info["channel"]
        if channel_id not in (objects.CHANNEL_ID, objects.DM_CHANNEL_ID):
            raise Refusal(404, 10003, "Unknown Channel")
        return channel_id


async def _body_of(request: web.Request) -> Any:
    if request.content_type.startswith("multipart/"):
        return json.loads(str((await request.post())["payload_json"]))
    return await request.json() if request.can_read_body else None


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
