"""The routes of webhooks: another name and picture for a message. They need Manage Webhooks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.fakes import discord_objects as objects
from tests.fakes import discord_rules as rules
from tests.fakes.discord_message import Message
from tests.fakes.discord_objects import snowflake
from tests.fakes.discord_refusal import Refusal, invalid, known_fields, length, names
from tests.fakes.discord_requests import Form, Handler, Reply
from tests.fakes.discord_world import Channel

if TYPE_CHECKING:
    from tests.fakes.discord_platform import FakeDiscord

_MOST_WEBHOOKS = 15


@dataclass
class Webhook:
    channel: Channel
    name: str
    id: str = field(default_factory=snowflake)
    token: str = field(default_factory=lambda: f"webhook-{snowflake()}")
    application_id: str | None = objects.APPLICATION_ID
    """None: a person made it, so that the bot does not learn its token."""

    def as_json(self) -> dict[str, Any]:
        data = {
            "id": self.id,
            "type": 1,
            "name": self.name,
            "avatar": None,
            "channel_id": self.channel.id,
            "guild_id": self.channel.guild_id,
            "application_id": self.application_id,
            "user": objects.bot_user(),
        }
        return data | ({"token": self.token} if self.application_id else {})


class WebhookRoutes:
    def __init__(self, discord: FakeDiscord) -> None:
        self._discord = discord

    def table(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", "/channels/{channel}/webhooks", self.list_in_channel),
            ("POST", "/channels/{channel}/webhooks", self.create),
            ("DELETE", "/webhooks/{webhook}", self.remove),
        ]

    def _channel(self, request: web.Request) -> Channel:
        channel = self._discord.world.channel(request.match_info["channel"])
        if channel is None:
            raise Refusal(404, 10003, "Unknown Channel")
        if not self._discord.world.bot_may(channel) & objects.MANAGE_WEBHOOKS:
            raise Refusal(403, 50013, "Missing Permissions")
        if channel.guild is None or channel.is_thread:
            raise Refusal(400, 50024, "Cannot execute action on this channel type")
        return channel

    async def list_in_channel(self, request: web.Request, form: Form) -> Reply:
        channel = self._channel(request)
        return 200, [w.as_json() for w in self._discord.webhooks.values() if w.channel is channel]

    async def create(self, request: web.Request, form: Form) -> Reply:
        channel = self._channel(request)
        known_fields(form.json, names("name avatar"), "")
        length(form.json.get("name"), "name", 1, 80)
        if any(word in form.json["name"].casefold() for word in ("clyde", "discord")):
            raise invalid("name", "Username cannot contain it.")
        there = [w for w in self._discord.webhooks.values() if w.channel is channel]
        if len(there) >= _MOST_WEBHOOKS:
            raise Refusal(400, 30007, "Maximum number of webhooks reached (15)")
        webhook = Webhook(channel, form.json["name"])
        self._discord.webhooks[webhook.id] = webhook
        return 200, webhook.as_json()

    async def remove(self, request: web.Request, form: Form) -> Reply:
        webhook = self._discord.webhooks.pop(request.match_info["webhook"], None)
        if webhook is None:
            raise Refusal(404, 10015, "Unknown Webhook")
        return 204, None

    # --- by id and token, without the bot's own token ---------------------------------------------

    def _by_token(self, request: web.Request) -> tuple[Webhook, Channel]:
        """The webhook and where its message is: its channel, or a thread of that."""
        webhook = self._discord.webhooks.get(request.match_info["webhook"])
        if webhook is None:
            raise Refusal(404, 10015, "Unknown Webhook")
        if webhook.token != request.match_info["token"]:
            raise Refusal(401, 50027, "Invalid Webhook Token")
        thread_id = request.query.get("thread_id")
        if thread_id is None:
            return webhook, webhook.channel
        thread = self._discord.world.channel(thread_id)
        if thread is None or thread.parent is not webhook.channel:
            raise Refusal(404, 10003, "Unknown Channel")
        return webhook, thread

    async def execute(self, request: web.Request, form: Form) -> Reply:
        webhook, channel = self._by_token(request)
        rules.check_message(form.json, new=True, webhook=True, own_files=bool(form.files))
        controls = [c for c in objects.forms(form.json.get("components")) if "custom_id" in c]
        if controls and webhook.application_id is None:
            raise invalid("components", "Only a webhook of the application may send buttons.")
        message = Message(channel, webhook_id=webhook.id)
        message.author_name = form.json.get("username") or webhook.name
        message.avatar_url = form.json.get("avatar_url")
        self._discord.wrote(message, form.json, form.files)
        if request.query.get("wait") in ("1", "true"):
            return 200, message.as_json()
        return 204, None

    async def get_message(self, request: web.Request, form: Form) -> Reply:
        return 200, self._message(request).as_json()

    async def edit_message(self, request: web.Request, form: Form) -> Reply:
        message = self._message(request)
        v2 = bool(message.flags & rules.COMPONENTS_V2)
        rules.check_message(form.json, new=False, was_v2=v2, own_files=bool(form.files))
        self._discord.wrote(message, form.json, form.files)
        return 200, message.as_json()

    async def delete_message(self, request: web.Request, form: Form) -> Reply:
        self._discord.vanished([self._message(request)])
        return 204, None

    def _message(self, request: web.Request) -> Message:
        webhook, channel = self._by_token(request)
        message = self._discord.messages.get(request.match_info["message"])
        if message is None or message.deleted or message.webhook_id != webhook.id:
            raise Refusal(404, 10008, "Unknown Message")
        if message.channel is not channel:
            raise Refusal(404, 10008, "Unknown Message")
        return message
