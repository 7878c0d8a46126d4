"""What goes wrong while an answer is under way, with the bot in a process of its own.

Whatever happens, people end with a true sentence, and nothing of the answer stays behind.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from bot.core.gateway_client import RESTART_SECONDS
from personae.wire import Delta, Meta, PersonaCard, PersonaList, encode_event
from tests.bot.bot_process import BotProcess, bot_process
from tests.bot.on_discord.bench import PATIENT_EDITS, bot_environment, scripted_gateway
from tests.conftest import RunningGateway
from tests.fakes.discord_interaction import Interaction
from tests.fakes.discord_objects import BOT_ID, CHANNEL_ID, DM_CHANNEL_ID, MENTION
from tests.fakes.discord_platform import FakeDiscord

LINCOLN = "An imitation of Abraham Lincoln"
ANEW = "because a server went away, and was begun anew"
META = Meta(
    request_id="1",
    persona="lincoln",
    display_name="Abraham Lincoln",
    disclosure="An imitation of Abraham Lincoln, not the person",
    adapter_version="v1",
    base_model="smollm2-135m",
)
PERSONAS = PersonaList(
    personas=[
        PersonaCard(
            id="lincoln",
            display_name="Abraham Lincoln",
            description="A president",
            disclosure=META.disclosure,
            base_model=META.base_model,
            adapter_version="v1",
            passages=1,
            notice=None,
            max_question_characters=2000,
            max_text_characters=6000,
        )
    ]
).model_dump_json()
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
async def platform() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord(
        edit_limit=PATIENT_EDITS, identify_seconds=0.0, ack_seconds=60.0
    ) as platform:
        yield platform


@contextlib.asynccontextmanager
async def a_bot(
    platform: FakeDiscord, gateway_url: str, home: Path, **more: str
) -> AsyncIterator[BotProcess]:
    environment = bot_environment(platform, gateway_url, home) | more
    before = platform.socket.identifies
    async with bot_process("discord", environment) as bot:
        await platform.until(lambda: platform.socket.identifies > before, "a connected bot")
        yield bot


def slowly(gateway: RunningGateway, words: int = 200) -> None:
    gateway.engine.words = [f"word{number} " for number in range(words)]
    gateway.engine.seconds_between = 0.1


async def under_way(platform: FakeDiscord) -> Interaction:
    ask = await platform.slash("ask", persona="lincoln", question="Why?")
    await ask.shows("word1")
    return ask


async def test_a_killed_bot_gives_its_answers_after_the_restart(
    platform: FakeDiscord, gateway: RunningGateway, tmp_path: Path
) -> None:
    slowly(gateway)
    async with a_bot(platform, gateway.url, tmp_path) as bot:
        ask = await under_way(platform)
        asked = await platform.say(f"{MENTION} lincoln: And why here?", channel=CHANNEL_ID)
        direct = await platform.say("lincoln: And why there?", channel=DM_CHANNEL_ID)
        await platform.until(
            lambda: sum("word1" in m.text for m in platform.messages.values()) >= 3,
            "three growing answers",
        )
        await bot.kill()
    gateway.engine.seconds_between = 0.0
    async with a_bot(platform, gateway.url, tmp_path):
        for shown in (ask.shows, platform.channel(DM_CHANNEL_ID).shows):
            await shown(ANEW)
        await platform.until(
            lambda: (
                sum(ANEW in m.text and "word199" in m.text for m in platform.messages.values()) == 3
            ),
            "three whole answers",
        )
        assert asked.deleted is False and direct.deleted is False


async def test_a_stopped_bot_says_so(
    platform: FakeDiscord, gateway: RunningGateway, tmp_path: Path
) -> None:
    slowly(gateway)
    async with a_bot(platform, gateway.url, tmp_path) as bot:
        ask = await under_way(platform)
        assert await bot.stop() == 0, bot.told()
        assert "is being stopped" in ask.text and LINCOLN in ask.text
        assert "Task was destroyed" not in bot.told() and "Traceback" not in bot.told()
    await _let_go(gateway)


@pytest.mark.timeout(240)
async def test_a_gateway_that_dies_in_mid_stream_and_comes_no_more(
    platform: FakeDiscord, tmp_path: Path
) -> None:
    dies = asyncio.Event()

    async def mortal(request: web.Request) -> web.StreamResponse:
        if dies.is_set() or not request.path.startswith("/v1/"):
            raise web.HTTPServiceUnavailable
        if request.path != "/v1/ask":
            return web.Response(text=PERSONAS, content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(encode_event(META) + encode_event(Delta(text="We must word1 ")))
        await dies.wait()
        assert request.transport is not None
        request.transport.abort()
        return response

    async with (
        scripted_gateway(mortal) as url,
        a_bot(platform, url, tmp_path) as bot,
    ):
        ask = await under_way(platform)
        dies.set()
        await ask.shows("We must word1", "is being asked again")
        async with asyncio.timeout(RESTART_SECONDS + 60):
            while LINCOLN not in ask.text:
                await asyncio.sleep(0.2)
        assert "We must word1" in ask.text and "asked again" not in ask.text
        after = await platform.slash("ask", persona="lincoln", question="Still there?")
        await platform.until(lambda: bool(after.text), "a sentence", after)
        await _nothing_left(bot)


async def test_a_bot_frozen_longer_than_its_heartbeat_goes_on(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    slowly(gateway, 40)
    async with FakeDiscord(
        edit_limit=PATIENT_EDITS, heartbeat_seconds=1.0, identify_seconds=0.0, ack_seconds=60.0
    ) as platform:
        async with a_bot(platform, gateway.url, tmp_path) as bot:
            ask = await under_way(platform)
            await bot.freeze()
            await platform.until(lambda: not platform.socket.connected, "a closed connection")
            gateway.engine.seconds_between = 0.0
            await bot.thaw()
            await ask.shows(LINCOLN)
            await platform.connected()
            after = await platform.slash("ask", persona="lincoln", question="Still there?")
            await after.shows(LINCOLN)
        if platform.problems:
            platform.forgive("the bot's heartbeat stopped")


async def test_deleted_questions_and_answers_leave_nothing_running(
    platform: FakeDiscord, gateway: RunningGateway, tmp_path: Path
) -> None:
    slowly(gateway)
    async with a_bot(platform, gateway.url, tmp_path) as bot:
        ask = await under_way(platform)
        await ask.delete()
        await _let_go(gateway, 1)
        question = await platform.say(f"{MENTION} lincoln: Why?")
        await platform.channel(CHANNEL_ID).shows("word1")
        await platform.remove(question)
        await _let_go(gateway, 2)
        await _nothing_left(bot)


async def test_an_expired_token_moves_the_answer_on(
    platform: FakeDiscord, gateway: RunningGateway, tmp_path: Path
) -> None:
    slowly(gateway, 30)
    async with a_bot(platform, gateway.url, tmp_path) as bot:
        ask = await under_way(platform)
        await ask.expire()
        gateway.engine.seconds_between = 0.0
        await platform.channel(CHANNEL_ID).shows("word29", LINCOLN)
        await _nothing_left(bot)


async def test_every_event_delivered_twice_is_answered_once(
    platform: FakeDiscord, gateway: RunningGateway, tmp_path: Path
) -> None:
    async with a_bot(platform, gateway.url, tmp_path) as bot:
        platform.socket.repeat_next = 4
        ask = await platform.slash("ask", persona="lincoln", question="Why?")
        await ask.shows(LINCOLN)
        await platform.say(f"{MENTION} lincoln: Why?")
        await platform.until(
            lambda: sum(LINCOLN in m.text for m in platform.messages.values()) == 2, "two answers"
        )
        await _nothing_left(bot)
        said = [m for m in platform.messages.values() if LINCOLN in m.text and not m.deleted]
        assert len(said) == 2
        assert all(m.as_json()["author"]["id"] == BOT_ID for m in said)


async def _let_go(gateway: RunningGateway, aborted: int = 1) -> None:
    async with asyncio.timeout(60):
        while gateway.engine.aborted < aborted:
            await asyncio.sleep(0.02)


async def _nothing_left(bot: BotProcess) -> None:
    """The tasks of answers end; what is left are those of the bot's own life."""
    async with asyncio.timeout(60):
        while True:
            names = (await bot.look())["task_names"]
            if not [name for name in names if _of_an_answer(name)]:
                return
            await asyncio.sleep(0.2)


def _of_an_answer(name: str) -> bool:
    return name.startswith(("Delivery", "CoalescedEdits", "Desk.", "Client._run_event", "Command"))
