"""The Discord frontend between a fake Discord and a gateway, for the tests beside this file."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import web

from bot.on_discord.frontend import run
from bot.on_discord.settings import DiscordSettings, settings_from
from personae.wire import PersonaCard, PersonaList
from tests.fakes.discord_platform import FakeDiscord

PATIENT_EDITS = (50, 1.0)
"""An edit limit that no test meets: Discord's own makes discord.py wait for seconds."""


def bot_environment(
    platform: FakeDiscord, gateway_url: str, home: Path, *, admin_key: str = "", token: str = ""
) -> dict[str, str]:
    return {
        "DISCORD_TOKEN": token or platform.token,
        "PERSONAE_GATEWAY_URL": gateway_url,
        "PERSONAE_ADMIN_KEY": admin_key,
        "PERSONAE_HOME": str(home),
        "DISCORD_API_BASE": platform.api_base,
        "DISCORD_GATEWAY_URL": platform.gateway_url,
    }


def bot_settings(
    platform: FakeDiscord, gateway_url: str, home: Path, *, admin_key: str = "", token: str = ""
) -> DiscordSettings:
    environment = bot_environment(platform, gateway_url, home, admin_key=admin_key, token=token)
    return settings_from(environment)


@contextlib.asynccontextmanager
async def running_bot(settings: DiscordSettings, platform: FakeDiscord) -> AsyncIterator[None]:
    """The bot in this event loop, connected, and stopped as SIGTERM would stop it."""
    stop = asyncio.Event()
    before = platform.socket.identifies
    bot = asyncio.create_task(
        run(settings, stop=stop, retry_seconds=(0.05,), edit_interval_seconds=0.02)
    )
    try:
        connected = asyncio.create_task(
            platform.until(lambda: platform.socket.identifies > before, "a connected bot")
        )
        await asyncio.wait({bot, connected}, return_when=asyncio.FIRST_COMPLETED)
        if bot.done():
            connected.cancel()
            bot.result()
        await connected
        yield
    finally:
        stop.set()
        await bot


async def _personas(_: web.Request) -> web.Response:
    lincoln = PersonaCard(
        id="lincoln",
        display_name="Abraham Lincoln",
        description="",
        disclosure="An imitation of Abraham Lincoln, not the person",
        base_model="smollm2-135m",
        adapter_version="v1",
        passages=1,
        notice=None,
        max_question_characters=2000,
        max_text_characters=8000,
    )
    return web.json_response(text=PersonaList(personas=[lincoln]).model_dump_json())


@contextlib.asynccontextmanager
async def scripted_gateway(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]], *, personas: bool = True
) -> AsyncIterator[str]:
    """A server that is no gateway of ours: it answers every request as told. Gives its URL.

    Args:
        personas: whether it has one persona, "lincoln".
    """
    app = web.Application()
    if personas:
        app.router.add_get("/v1/personas", _personas)
    app.router.add_route("*", "/{anything:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
