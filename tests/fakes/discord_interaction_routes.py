"""The routes of interactions: the first response, follow-ups, and edits by the token."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.fakes import discord_rules as rules
from tests.fakes.discord_interaction import Interaction
from tests.fakes.discord_message import Message
from tests.fakes.discord_objects import APPLICATION_ID
from tests.fakes.discord_refusal import Refusal
from tests.fakes.discord_requests import Form, Handler, Reply
from tests.fakes.discord_webhook_routes import WebhookRoutes

if TYPE_CHECKING:
    from tests.fakes.discord_platform import FakeDiscord

_MOST_FOLLOW_UPS = 5
"""Where only a person has installed the app, not the server."""


class InteractionRoutes:
    def __init__(self, discord: FakeDiscord, webhooks: WebhookRoutes) -> None:
        self._discord = discord
        self._webhooks = webhooks

    def table(self) -> list[tuple[str, str, Handler]]:
        """A webhook's routes and an interaction's look alike; the id tells them apart."""
        webhook = "/webhooks/{webhook}/{token}"
        message = webhook + "/messages/{message}"
        return [
            ("POST", "/interactions/{id}/{token}/callback", self.callback),
            ("POST", webhook, self._either(self.follow_up, self._webhooks.execute)),
            ("GET", message, self._either(self.get, self._webhooks.get_message)),
            ("PATCH", message, self._either(self.edit, self._webhooks.edit_message)),
            ("DELETE", message, self._either(self.delete, self._webhooks.delete_message)),
        ]

    def _either(self, by_token: Handler, by_webhook: Handler) -> Handler:
        async def serve(request: web.Request, form: Form) -> Reply:
            if request.match_info["webhook"] == APPLICATION_ID:
                return await by_token(request, form)
            return await by_webhook(request, form)

        return serve

    async def callback(self, request: web.Request, form: Form) -> Reply:
        interaction = self._discord.interactions.get(request.match_info["token"])
        if interaction is None or interaction.id != request.match_info["id"]:
            raise Refusal(404, 10062, "Unknown interaction")
        late = time.monotonic() - interaction.began > self._discord.ack_seconds
        if interaction.acknowledged_with is None and late:
            raise Refusal(404, 10062, "Unknown interaction")
        if interaction.acknowledged_with is not None:
            interaction.doubly_answered += 1
            raise Refusal(400, 40060, "Interaction has already been acknowledged.")
        body, source = form.json, interaction.source
        on_v2 = source is not None and bool(source.flags & rules.COMPONENTS_V2)
        rules.check_callback(interaction.kind, body, on_v2=on_v2, own_files=bool(form.files))
        callback, data = body["type"], body.get("data") or {}
        if callback in rules.UPDATES and source is None:
            raise Refusal(400, 50035, "There is no message to update.")
        interaction.acknowledged_with = callback
        interaction.acknowledged_after = time.monotonic() - interaction.began
        interaction.calls.append(f"callback {callback}")
        reply = self._respond(interaction, callback, data, form)
        if request.query.get("with_response") in ("1", "true"):
            return 200, reply
        return 204, None

    def _respond(
        self, interaction: Interaction, callback: int, data: dict[str, Any], form: Form
    ) -> dict[str, Any]:
        receipt: dict[str, Any] = {"id": interaction.id, "type": interaction.kind}
        reply: dict[str, Any] = {"interaction": receipt}
        if callback == rules.AUTOCOMPLETE_CALLBACK:
            interaction.choices = data.get("choices") or []
        elif callback == rules.MODAL_CALLBACK:
            interaction.modal = data
        elif callback in rules.UPDATES:
            interaction.original = interaction.source
            if callback == rules.UPDATE_CALLBACK and interaction.source is not None:
                self._discord.wrote(interaction.source, data, form.files)
                message = interaction.source.as_json()
                reply["resource"] = {"type": callback, "message": message}
        else:
            message = self._message(interaction, data)
            message.loading = callback == rules.DEFER_CALLBACK
            interaction.original = message
            receipt |= {
                "response_message_id": message.id,
                "response_message_loading": message.loading,
                "response_message_ephemeral": message.ephemeral,
            }
            if callback == rules.MESSAGE_CALLBACK:
                self._discord.wrote(message, data, form.files)
                reply["resource"] = {"type": callback, "message": message.as_json()}
            else:
                self._discord.appeared(message)
        return reply

    def _message(self, interaction: Interaction, data: dict[str, Any]) -> Message:
        private = bool((data.get("flags") or 0) & rules.EPHEMERAL)
        return Message(
            interaction.channel,
            interaction.token,
            private,
            person=interaction.person if private else None,
        )

    async def follow_up(self, request: web.Request, form: Form) -> Reply:
        interaction = self._by_token(request)
        rules.check_message(form.json, new=True, webhook=True, own_files=bool(form.files))
        if interaction.user_install:
            if interaction.follow_ups >= _MOST_FOLLOW_UPS:
                raise Refusal(
                    400, 40094, "This interaction has reached its maximum of follow-up messages."
                )
            interaction.follow_ups += 1
        interaction.calls.append("POST follow-up")
        original = interaction.original
        if original is not None and original.loading and not original.deleted:
            # Deprecated, and never what a bot means: this edits the original, and a private
            # follow-up becomes as public as the original was.
            self._discord.problems.append("a follow-up was sent while the bot was thinking")
            message = original
        else:
            message = self._message(interaction, form.json)
        self._discord.wrote(message, form.json, form.files)
        if request.query.get("wait") in ("1", "true"):
            return 200, message.as_json()
        return 204, None

    async def get(self, request: web.Request, form: Form) -> Reply:
        interaction = self._by_token(request)
        return 200, self._message_of(interaction, request.match_info["message"]).as_json()

    async def edit(self, request: web.Request, form: Form) -> Reply:
        interaction = self._by_token(request)
        message = self._message_of(interaction, request.match_info["message"])
        v2 = bool(message.flags & rules.COMPONENTS_V2)
        rules.check_message(form.json, new=False, was_v2=v2, own_files=bool(form.files))
        interaction.calls.append(f"PATCH {request.match_info['message']}")
        self._discord.wrote(message, form.json, form.files)
        return 200, message.as_json()

    async def delete(self, request: web.Request, form: Form) -> Reply:
        interaction = self._by_token(request)
        message = self._message_of(interaction, request.match_info["message"])
        interaction.calls.append(f"DELETE {request.match_info['message']}")
        self._discord.vanished([message])
        return 204, None

    def _by_token(self, request: web.Request) -> Interaction:
        interaction = self._discord.interactions.get(request.match_info["token"])
        if interaction is None:
            raise Refusal(404, 10015, "Unknown Webhook")
        age = time.monotonic() - interaction.began
        if interaction.expired or age > self._discord.token_seconds:
            raise Refusal(401, 50027, "Invalid Webhook Token")
        if interaction.acknowledged_with is None:
            raise Refusal(404, 10015, "Unknown Webhook")
        return interaction

    def _message_of(self, interaction: Interaction, message_id: str) -> Message:
        if message_id == "@original":
            message = interaction.original
        else:
            message = self._discord.messages.get(message_id)
        if message is None or message.deleted:
            raise Refusal(404, 10008, "Unknown Message")
        if message is not interaction.original and message.token != interaction.token:
            raise Refusal(404, 10008, "Unknown Message")
        return message
