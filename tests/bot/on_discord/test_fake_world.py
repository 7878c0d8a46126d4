"""The fake Discord's channels, threads, webhooks, intents and shards hold a bot to what Discord does."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.fakes import discord_objects as objects
from tests.fakes.discord_component_rules import check_modal
from tests.fakes.discord_message import Message
from tests.fakes.discord_objects import (
    APPLICATION_ID,
    CHANNEL_ID,
    DM_CHANNEL_ID,
    EVERYTHING,
    INVITED,
    MENTION,
    MESSAGE_CONTENT,
    PRIVATE_CHANNEL_ID,
)
from tests.fakes.discord_platform import FakeDiscord
from tests.fakes.discord_refusal import Refusal
from tests.fakes.discord_world import ALICE, BOB, CAROL, LIBRARIANS

QUIET = {"allowed_mentions": {"parse": []}}
INTENTS = 1 | 1 << 9 | 1 << 12
BUTTON = {"type": 2, "style": 1, "label": "Again", "custom_id": "again"}


class RawBot:
    """A bot of bare frames and requests."""

    def __init__(self, platform: FakeDiscord, session: aiohttp.ClientSession) -> None:
        self._platform = platform
        self._session = session
        self.ws: aiohttp.ClientWebSocketResponse | None = None

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bot {self._platform.token}"}
        url = self._platform.api_base + path
        async with self._session.request(method, url, json=body, headers=headers) as reply:
            return reply.status, await reply.json() if reply.status != 204 else None

    async def code(self, method: str, path: str, body: Any = None) -> int:
        """Discord's error code; 0 where it took the request."""
        status, told = await self.call(method, path, body)
        return told["code"] if status >= 400 else 0

    async def identify(self, intents: int, shard: list[int] | None = None) -> int:
        """The code with which Discord closes the connection; 0 where it sends READY."""
        self.ws = await self._session.ws_connect(f"{self._platform.gateway_url}?v=10&encoding=json")
        await self.ws.receive_json()
        data = {"token": self._platform.token, "intents": intents, "properties": {}}
        await self.ws.send_json({"op": 2, "d": data | ({"shard": shard} if shard else {})})
        first = await self.ws.receive()
        return 0 if first.type is aiohttp.WSMsgType.TEXT else int(self.ws.close_code or 0)

    async def event(self, name: str) -> dict[str, Any]:
        """The next event of this name; those before it are passed over."""
        assert self.ws is not None
        while True:
            payload = json.loads((await self.ws.receive(timeout=30)).data)
            if payload["t"] == name:
                data: dict[str, Any] = payload["d"]
                return data


@contextlib.asynccontextmanager
async def raw_bot(**options: Any) -> AsyncIterator[tuple[FakeDiscord, RawBot]]:
    async with (
        FakeDiscord(identify_seconds=0.0, **options) as platform,
        aiohttp.ClientSession() as session,
    ):
        yield platform, RawBot(platform, session)


def messages(channel: str = CHANNEL_ID) -> str:
    return f"/channels/{channel}/messages"


# --- what a bot is told ---------------------------------------------------------------------------


@pytest.mark.parametrize(("on", "intents"), [(0, INTENTS), (MESSAGE_CONTENT, INTENTS)])
async def test_without_the_intent_content_is_empty_but_for_mentions_and_direct_messages(
    on: int, intents: int
) -> None:
    async with raw_bot(intents_on=on) as (platform, bot):
        assert await bot.identify(intents) == 0
        for text, channel, seen in (
            ("hello all", CHANNEL_ID, ""),
            (f"{MENTION} hello", CHANNEL_ID, f"{MENTION} hello"),
            ("hello bot", DM_CHANNEL_ID, "hello bot"),
        ):
            await platform.say(text, channel=channel)
            assert (await bot.event("MESSAGE_CREATE"))["content"] == seen
        _, own = await bot.call("POST", messages(), {"content": "mine", **QUIET})
        assert (await bot.event("MESSAGE_CREATE"))["content"] == "mine"
        mine = platform.messages[own["id"]]
        reply = await platform.say("tell more", reply_to=mine)
        assert (await bot.event("MESSAGE_CREATE"))["content"] == "tell more", "a reply pings"
        await platform.say("quietly", reply_to=mine, ping=False)
        silent = await bot.event("MESSAGE_CREATE")
        assert silent["content"] == "" and silent["referenced_message"]["content"] == "mine"
        await platform.remove(reply)
        assert (await bot.event("MESSAGE_DELETE"))["id"] == reply.id


async def test_with_the_intent_everything_is_readable() -> None:
    async with raw_bot(intents_on=MESSAGE_CONTENT) as (platform, bot):
        assert await bot.identify(INTENTS | MESSAGE_CONTENT) == 0
        await platform.say("hello all", person=CAROL)
        heard = await bot.event("MESSAGE_CREATE")
        assert heard["content"] == "hello all" and heard["member"]["roles"] == [LIBRARIANS]


async def test_intents_that_are_off_and_shards_that_are_too_few_are_refused() -> None:
    async with raw_bot(guilds=2, guilds_per_shard=1, shards=2) as (platform, bot):
        assert await bot.identify(INTENTS | MESSAGE_CONTENT) == 4014
        assert await bot.identify(INTENTS) == 4011
        assert await bot.identify(INTENTS, [2, 2]) == 4010
        assert await bot.identify(INTENTS, [0, 2]) == 0
        _, told = await bot.call("GET", "/gateway/bot")
        assert told["shards"] == 2 and told["session_start_limit"]["remaining"] == 999
        assert not platform.socket.connected, "one of two shards is missing"


async def test_guilds_only_intents_hear_no_messages_and_events_can_come_twice() -> None:
    async with raw_bot() as (platform, bot):
        assert await bot.identify(1) == 0
        await platform.say(f"{MENTION} nobody hears this")
        platform.socket.repeat_next = 1
        thread = await platform.open_thread()
        for _ in range(2):
            assert (await bot.event("THREAD_CREATE"))["id"] == thread
        assert "MESSAGE_CREATE" not in platform.socket.events


# --- what a bot may do ----------------------------------------------------------------------------


async def test_every_right_can_be_taken_in_a_channel() -> None:
    async with raw_bot() as (platform, bot):
        said = await platform.say("hello")
        thread = f"{messages()}/{said.id}/threads"
        for right, path, body in (
            (objects.SEND_MESSAGES, messages(), {"content": "x", **QUIET}),
            (objects.CREATE_PUBLIC_THREADS, thread, {"name": "n"}),
        ):
            await platform.forbid(CHANNEL_ID, right)
            assert await bot.code("POST", path, body) == 50013
            await platform.allow(CHANNEL_ID, right)
            assert await bot.code("POST", path, body) == 0
        assert await bot.code("POST", thread, {"name": "n"}) == 160004
        await platform.forbid(CHANNEL_ID, objects.VIEW_CHANNEL)
        assert await bot.code("GET", messages()) == 50001
        assert await bot.code("GET", messages(PRIVATE_CHANNEL_ID)) == 50001
        assert await bot.code("GET", messages("1")) == 10003


async def test_others_messages_are_neither_edited_nor_deleted_without_a_right() -> None:
    async with raw_bot() as (platform, bot):
        said = await platform.say("hello")
        path = f"{messages()}/{said.id}"
        assert await bot.code("PATCH", path, {"content": "x", **QUIET}) == 50005
        assert await bot.code("DELETE", path) == 50013
        await platform.allow(CHANNEL_ID, objects.MANAGE_MESSAGES)
        assert await bot.code("DELETE", path) == 0


async def test_replies_threads_and_archives() -> None:
    async with raw_bot() as (platform, bot):
        said = await platform.say("hello")
        reference = {"message_id": said.id, "channel_id": CHANNEL_ID}
        body = {"content": "yes", "message_reference": reference, **QUIET}
        _, reply = await bot.call("POST", messages(), body)
        assert reply["referenced_message"]["id"] == said.id
        await platform.remove(said)
        assert await bot.code("POST", messages(), body) == 50035
        thread = await platform.open_thread(name="Talk")
        assert await bot.code("POST", messages(thread), {"content": "in it", **QUIET}) == 0
        await platform.archive(thread, locked=True)
        assert await bot.code("POST", messages(thread), {"content": "late", **QUIET}) == 50083
        await platform.delete_channel(thread)
        assert await bot.code("POST", messages(thread), {"content": "gone", **QUIET}) == 10003


async def test_webhooks_need_their_right_and_their_token() -> None:
    async with raw_bot() as (platform, bot):
        path = f"/channels/{CHANNEL_ID}/webhooks"
        assert await bot.code("POST", path, {"name": "personae"}) == 50013
        await platform.allow(CHANNEL_ID, objects.MANAGE_WEBHOOKS)
        assert await bot.code("POST", path, {"name": "discord fan"}) == 50035
        _, hook = await bot.call("POST", path, {"name": "personae"})
        url = f"/webhooks/{hook['id']}/{hook['token']}"
        body = {"content": "x", "username": "Abraham (imitation)", **QUIET}
        _, said = await bot.call("POST", f"{url}?wait=1", body)
        assert platform.messages[said["id"]].author_name == "Abraham (imitation)"
        assert said["author"]["id"] == hook["id"] != objects.BOT_ID
        assert await bot.code("POST", f"/webhooks/{hook['id']}/wrong", body) == 50027
        assert await bot.code("PATCH", f"{messages()}/{said['id']}", {"content": "y"}) == 50005
        changed = f"{url}/messages/{said['id']}"
        assert await bot.code("PATCH", changed, {"content": "y", **QUIET}) == 0


async def test_unknown_fields_sizes_and_files_are_checked() -> None:
    async with raw_bot() as (platform, bot):
        row = {"type": 1, "components": [BUTTON]}
        for body in (
            {"content": "x", "ephemeral": True},
            {"content": "x" * 2001},
            {"content": "x", "components": [{"type": 1, "components": [BUTTON, BUTTON]}]},
            {"content": "x", "components": [row | {"colour": 1}]},
            {"content": "x", "components": [{"type": 1, "components": [BUTTON | {"url": "u"}]}]},
            {"flags": 1 << 15, "components": [{"type": 10, "content": "x" * 2001}] * 2},
            {"content": "x", "flags": 1 << 15, "components": [{"type": 10, "content": "x"}]},
        ):
            platform.limits = type(platform.limits)()
            assert await bot.code("POST", messages(), {**body, **QUIET}) == 50035, body
        platform.limits = type(platform.limits)()
        form = aiohttp.FormData()
        told = {"attachments": [{"id": 0, "filename": "whole.md"}], **QUIET}
        form.add_field("payload_json", json.dumps(told))
        form.add_field("files[0]", b"# All of it", filename="whole.md")
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                platform.api_base + messages(),
                data=form,
                headers={"Authorization": f"Bot {platform.token}"},
            ) as reply,
        ):
            said = platform.messages[(await reply.json())["id"]]
        assert said.files == {"whole.md": b"# All of it"} and said.attachments[0]["size"] == 11


async def test_requests_sent_too_early_after_a_429_are_counted() -> None:
    async with raw_bot() as (platform, bot):
        platform.limits.UNDERWAY_SECONDS = 0.0  # nothing is on its way here
        statuses = [
            (await bot.call("POST", messages(), {"content": "x", **QUIET}))[0] for _ in range(7)
        ]
        assert statuses == [200] * 5 + [429] * 2
        assert len(platform.throttled) == 2 and len(platform.ignored_429) == 1


# --- what people can do ---------------------------------------------------------------------------


async def _said_with(platform: FakeDiscord, components: list[Any], **more: Any) -> Message:
    async def put() -> Message:
        message = Message(platform.world.place(CHANNEL_ID), **more)
        message.write({"content": "x", "components": components})
        platform.messages[message.id] = message
        return message

    return await platform.do(put())


async def test_only_buttons_that_are_there_and_enabled_can_be_pressed() -> None:
    async with raw_bot() as (platform, bot):
        assert await bot.identify(INTENTS) == 0
        disabled = BUTTON | {"custom_id": "off", "label": "Off", "disabled": True}
        row = [{"type": 1, "components": [BUTTON, disabled]}]
        public = await _said_with(platform, row)
        private = await _said_with(platform, row, ephemeral=True, person=ALICE)
        assert public.buttons == ["Again"]
        for message, control, person in (
            (public, "Nothing", ALICE),
            (public, "Off", ALICE),
            (private, "Again", BOB),
        ):
            with pytest.raises(AssertionError):
                await platform.press(message, control, person=person)
        assert private in platform.visible(CHANNEL_ID, ALICE)
        assert private not in platform.visible(CHANNEL_ID, BOB)
        assert await bot.code("GET", f"{messages()}/{private.id}") == 10008
        pressed = await platform.press(public, "Again")
        event = await bot.event("INTERACTION_CREATE")
        assert event["type"] == 3 and event["data"]["custom_id"] == "again"
        url = f"/interactions/{pressed.id}/{pressed.token}/callback"
        update = {"type": 7, "data": {"content": "y", "components": [], **QUIET}}
        assert await bot.code("POST", url, update) == 0
        assert pressed.updated and public.content == "y" and public.buttons == []


async def test_a_modal_is_asked_for_filled_in_and_sent() -> None:
    modal = {
        "custom_id": "m",
        "title": "Tell",
        "components": [
            {
                "type": 18,
                "label": "Why?",
                "component": {"type": 4, "custom_id": "why", "style": 2, "max_length": 10},
            }
        ],
    }
    check_modal(modal)
    with pytest.raises(Refusal):
        check_modal(modal | {"title": "t" * 46})
    async with raw_bot() as (platform, bot):
        assert await bot.identify(INTENTS) == 0
        message = await _said_with(platform, [{"type": 1, "components": [BUTTON]}])
        pressed = await platform.press(message, "Again")
        url = f"/interactions/{pressed.id}/{pressed.token}/callback"
        assert await bot.code("POST", url, {"type": 9, "data": modal}) == 0
        with pytest.raises(AssertionError):
            await platform.submit(pressed, {"Why?": "far too long a reason"})
        await bot.event("INTERACTION_CREATE")
        sent = await platform.submit(pressed, {"Why?": "because"})
        event = await bot.event("INTERACTION_CREATE")
        assert event["data"]["components"][0]["component"]["value"] == "because"
        callback = f"/interactions/{sent.id}/{sent.token}/callback"
        assert await bot.code("POST", callback, {"type": 6}) == 0


async def test_an_app_that_only_a_person_installed_sends_five_follow_ups() -> None:
    async with raw_bot() as (platform, bot):
        assert await bot.identify(INTENTS) == 0
        command = {"name": "ask", "description": "d", "contexts": [0, 2], "integration_types": [1]}
        assert await bot.code("PUT", f"/applications/{APPLICATION_ID}/commands", [command]) == 0
        with pytest.raises(AssertionError, match="kind of installation"):
            await platform.slash("ask", channel=PRIVATE_CHANNEL_ID)
        ask = await platform.slash("ask", channel=PRIVATE_CHANNEL_ID, user_install=True)
        event = await bot.event("INTERACTION_CREATE")
        assert event["context"] == 2 and event["authorizing_integration_owners"] == {"1": ALICE.id}
        start = {"type": 4, "data": {"content": "x", **QUIET}}
        url = f"/interactions/{ask.id}/{ask.token}/callback"
        assert await bot.code("POST", url, start) == 0
        follow_up = f"/webhooks/{APPLICATION_ID}/{ask.token}"
        codes = []
        for _ in range(6):
            platform.limits = type(platform.limits)()
            codes.append(await bot.code("POST", follow_up, {"content": "x", **QUIET}))
        assert codes == [0] * 5 + [40094]
        assert await bot.code("POST", messages(PRIVATE_CHANNEL_ID), {"content": "x"}) == 50001


def test_the_fake_is_invited_as_a_modest_bot() -> None:
    assert not INVITED & (objects.ADMINISTRATOR | objects.MANAGE_WEBHOOKS) and INVITED != EVERYTHING
