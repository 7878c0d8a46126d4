"""The routes of channels: messages, typing, threads, reactions. Everything asks for permissions first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.fakes import discord_objects as objects
from tests.fakes import discord_rules as rules
from tests.fakes.discord_message import Message
from tests.fakes.discord_objects import VIEW_CHANNEL
from tests.fakes.discord_refusal import Refusal, invalid, known_fields, length, names
from tests.fakes.discord_requests import Form, Handler, Reply
from tests.fakes.discord_world import DIRECT, Channel

if TYPE_CHECKING:
    from tests.fakes.discord_platform import FakeDiscord

_THREAD_FIELDS = names("name auto_archive_duration rate_limit_per_user type invitable")
_REFERENCE_FIELDS = names("type message_id channel_id guild_id fail_if_not_exists")


class ChannelRoutes:
    def __init__(self, discord: FakeDiscord) -> None:
        self._discord = discord

    def table(self) -> list[tuple[str, str, Handler]]:
        channel = "/channels/{channel}"
        message = channel + "/messages/{message}"
        return [
            ("GET", channel, self.get_channel),
            ("PATCH", channel, self.edit_channel),
            ("POST", channel + "/typing", self.typing),
            ("GET", channel + "/messages", self.list_messages),
            ("POST", channel + "/messages", self.post),
            ("GET", message, self.get),
            ("PATCH", message, self.edit),
            ("DELETE", message, self.delete),
            ("POST", message + "/threads", self.thread_from_message),
            ("POST", channel + "/threads", self.thread),
            ("PUT", message + "/reactions/{emoji}/@me", self.react),
            ("DELETE", message + "/reactions/{emoji}/@me", self.unreact),
            ("POST", "/users/@me/channels", self.open_direct),
            ("GET", "/guilds/{guild}/members/{user}", self.get_member),
        ]

    def _channel(self, request: web.Request, *needed: int) -> Channel:
        """The channel, if the bot is in it and may do what is `needed`."""
        channel = self._discord.world.channel(request.match_info["channel"])
        if channel is None:
            raise Refusal(404, 10003, "Unknown Channel")
        granted = self._discord.world.bot_may(channel)
        if not granted & VIEW_CHANNEL:
            raise Refusal(403, 50001, "Missing Access")
        if any(not granted & bit for bit in needed):
            raise Refusal(403, 50013, "Missing Permissions")
        return channel

    def _writable(self, request: web.Request, files: bool) -> Channel:
        channel = self._channel(request)
        send = objects.SEND_MESSAGES_IN_THREADS if channel.is_thread else objects.SEND_MESSAGES
        self._channel(request, send, *([objects.ATTACH_FILES] if files else []))
        if channel.locked:
            raise Refusal(400, 50083, "Thread is archived")
        return channel

    def _message(self, request: web.Request, channel: Channel) -> Message:
        message = self._discord.messages.get(request.match_info["message"])
        if message is None or message.deleted or message.ephemeral:
            raise Refusal(404, 10008, "Unknown Message")
        if message.channel is not channel:
            raise Refusal(404, 10008, "Unknown Message")
        return message

    def _seen(self, message: Message) -> dict[str, Any]:
        return message.as_json(readable=self._discord.content_open)

    async def get_channel(self, request: web.Request, form: Form) -> Reply:
        return 200, self._channel(request).as_json()

    async def edit_channel(self, request: web.Request, form: Form) -> Reply:
        """Threads only: their creator may rename and archive them."""
        channel = self._channel(request)
        if not channel.is_thread or channel.owner_id != objects.BOT_ID:
            raise Refusal(403, 50013, "Missing Permissions")
        known_fields(form.json, names("name archived locked auto_archive_duration"), "")
        if "name" in form.json:
            length(form.json["name"], "name", 1, 100)
            channel.name = form.json["name"]
        channel.archived = bool(form.json.get("archived", channel.archived))
        return 200, channel.as_json()

    async def typing(self, request: web.Request, form: Form) -> Reply:
        self._channel(request, objects.SEND_MESSAGES).typing += 1
        return 204, None

    async def list_messages(self, request: web.Request, form: Form) -> Reply:
        channel = self._channel(request)
        if not self._discord.world.bot_may(channel) & objects.READ_MESSAGE_HISTORY:
            return 200, []
        limit = int(request.query.get("limit", "50"))
        if not 1 <= limit <= 100:
            raise invalid("limit", "Must be between 1 and 100.")
        there = [m for m in self._discord.messages.values() if m.channel is channel]
        there = [m for m in there if not m.deleted and not m.ephemeral]
        if "before" in request.query:
            there = [m for m in there if int(m.id) < int(request.query["before"])]
        if "after" in request.query:
            there = [m for m in there if int(m.id) > int(request.query["after"])][:limit]
        return 200, [self._seen(message) for message in reversed(there[-limit:])]

    async def post(self, request: web.Request, form: Form) -> Reply:
        channel = self._writable(request, bool(form.files))
        body = form.json
        rules.check_message(body, new=True, own_files=bool(form.files))
        message = Message(
            channel, reference=self._reference(body.get("message_reference"), channel)
        )
        channel.message_count += 1
        channel.archived = False
        self._discord.wrote(message, body, form.files)
        return 200, message.as_json()

    def _reference(self, reference: Any, channel: Channel) -> Message | None:
        if reference is None:
            return None
        known_fields(reference, _REFERENCE_FIELDS, "message_reference")
        found = self._discord.messages.get(str(reference.get("message_id")))
        if found is None or found.deleted or found.channel is not channel or found.ephemeral:
            if reference.get("fail_if_not_exists", True):
                raise invalid("message_reference", "Unknown message")
            return None
        if not self._discord.world.bot_may(channel) & objects.READ_MESSAGE_HISTORY:
            raise Refusal(400, 160002, "Cannot reply without permission to read message history")
        return found

    async def get(self, request: web.Request, form: Form) -> Reply:
        channel = self._channel(request, objects.READ_MESSAGE_HISTORY)
        return 200, self._seen(self._message(request, channel))

    async def edit(self, request: web.Request, form: Form) -> Reply:
        channel = self._channel(request)
        message = self._message(request, channel)
        if not message.of_bot or message.webhook_id is not None:
            raise Refusal(403, 50005, "Cannot edit a message authored by another user")
        v2 = bool(message.flags & rules.COMPONENTS_V2)
        rules.check_message(form.json, new=False, was_v2=v2, own_files=bool(form.files))
        self._discord.wrote(message, form.json, form.files)
        return 200, message.as_json()

    async def delete(self, request: web.Request, form: Form) -> Reply:
        channel = self._channel(request)
        message = self._message(request, channel)
        own = message.of_bot and message.webhook_id is None
        if not own and not self._discord.world.bot_may(channel) & objects.MANAGE_MESSAGES:
            raise Refusal(403, 50013, "Missing Permissions")
        self._discord.vanished([message])
        return 204, None

    async def thread_from_message(self, request: web.Request, form: Form) -> Reply:
        channel = self._channel(request, objects.CREATE_PUBLIC_THREADS)
        message = self._message(request, channel)
        if channel.type == DIRECT or channel.is_thread:
            raise Refusal(400, 50024, "Cannot execute action on this channel type")
        if message.thread_id is not None:
            raise Refusal(400, 160004, "A thread has already been created for this message")
        return 201, self._open(channel, form.json, message).as_json()

    async def thread(self, request: web.Request, form: Form) -> Reply:
        channel = self._channel(request, objects.CREATE_PUBLIC_THREADS)
        if channel.type == DIRECT or channel.is_thread:
            raise Refusal(400, 50024, "Cannot execute action on this channel type")
        return 201, self._open(channel, form.json, None).as_json()

    def _open(self, channel: Channel, body: dict[str, Any], message: Message | None) -> Channel:
        known_fields(body, _THREAD_FIELDS, "")
        length(body.get("name"), "name", 1, 100)
        if body.get("auto_archive_duration", 1440) not in (60, 1440, 4320, 10080):
            raise invalid("auto_archive_duration", "Must be one of 60, 1440, 4320, 10080.")
        return self._discord.opened(channel, body["name"], message, objects.BOT_ID)

    async def react(self, request: web.Request, form: Form) -> Reply:
        channel = self._channel(request, objects.READ_MESSAGE_HISTORY)
        message, emoji = self._message(request, channel), request.match_info["emoji"]
        first = emoji not in message.reactions
        if first and not self._discord.world.bot_may(channel) & objects.ADD_REACTIONS:
            raise Refusal(403, 50013, "Missing Permissions")
        message.reactions.add(emoji)
        return 204, None

    async def unreact(self, request: web.Request, form: Form) -> Reply:
        channel = self._channel(request)
        self._message(request, channel).reactions.discard(request.match_info["emoji"])
        return 204, None

    async def open_direct(self, request: web.Request, form: Form) -> Reply:
        if str(form.json.get("recipient_id")) != objects.PERSON_ID:
            raise Refusal(403, 50007, "Cannot send messages to this user")
        return 200, self._discord.world.place(objects.DM_CHANNEL_ID).as_json()

    async def get_member(self, request: web.Request, form: Form) -> Reply:
        guild, user = request.match_info["guild"], request.match_info["user"]
        if guild not in {one.id for one in self._discord.world.guilds if one.joined}:
            raise Refusal(404, 10004, "Unknown Guild")
        member = self._discord.member(user)
        if member is None:
            raise Refusal(404, 10007, "Unknown Member")
        return 200, member
