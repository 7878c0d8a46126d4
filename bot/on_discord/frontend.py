"""The Discord frontend: settings in, a bot that stays connected until it is told to stop.

Run as: DISCORD_TOKEN=… python -m bot.on_discord   (settings: bot/on_discord/settings.py)

Ends with 0 after SIGTERM or Ctrl-C and with 2 when a person has to change something first; the
last line of its log then says what.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence

import aiohttp
import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.core.garbage import spare_what_is_loaded
from bot.core.gateway_client import RESTART_SECONDS, GatewayClient
from bot.on_discord.client import DiscordFrontend, ShardedFrontend
from bot.on_discord.settings import WRONG_TOKEN, DiscordSettings, settings_from
from bot.state.retention import ANSWERS_SECONDS, USAGE_DAYS, keep_pruned
from bot.state.store import State
from personae.errors import ConfigError, PersonaeError
from personae.secret_files import take_up_secret_files

log = logging.getLogger(__name__)

SYNCED_FILE = "discord-commands.json"
DATABASE_FILE = "bots.db"
RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
EDIT_INTERVAL_SECONDS = 1.2

_AUTHENTICATION_FAILED = 4004
_SHARDING_REQUIRED = 4011
_CLOSED_FOR_GOOD = {
    4010: "it was given a wrong shard; report this as a defect of personae",
    4011: "the bot is in more servers than DISCORD_SHARDS allows; unset it",
    4012: "this version of discord.py is too old for it; update personae",
    4013: "it does not know the intents asked for; report this as a defect of personae",
    4014: "the message content intent is off. Unset DISCORD_MESSAGE_CONTENT, or switch the intent on at "
    'discord.com/developers/applications, your application, "Bot", "Message Content Intent"',
}


async def run(
    settings: DiscordSettings,
    *,
    stop: asyncio.Event,
    retry_seconds: Sequence[float] = RETRY_SECONDS,
    edit_interval_seconds: float = EDIT_INTERVAL_SECONDS,
    settled: Callable[[], None] | None = None,
) -> None:
    """Stay connected until `stop` is set; `settled` is called when the bot is there.

    Each try is a client of its own. Once connected, discord.py reconnects by itself, so only a
    Discord that can't be reached at the start ends a try.

    Raises:
        ConfigError: trying again would not help; the sentence says what would.
    """
    point_discord_at(settings.discord_api_base, settings.discord_gateway_url)
    pauses = itertools.chain(retry_seconds, itertools.repeat(retry_seconds[-1]))
    database = f"sqlite:///{settings.home / DATABASE_FILE}"
    if settings.database_url is not None:
        database = settings.database_url.get_secret_value()
    else:
        settings.home.mkdir(parents=True, exist_ok=True)
    async with (
        State.open(database) as state,
        GatewayClient(
            settings.gateway_url,
            api_key=settings.api_key.get_secret_value() if settings.api_key else None,
            admin_key=settings.admin_key.get_secret_value() if settings.admin_key else None,
            restart_seconds=RESTART_SECONDS,
        ) as gateway,
        _pruning(state, settings),
    ):
        sharded = (settings.shards or 1) > 1
        while not stop.is_set():
            client = (ShardedFrontend if sharded else DiscordFrontend)(
                gateway=gateway,
                state=state,
                synced_file=settings.home / SYNCED_FILE,
                has_admin_key=settings.admin_key is not None,
                policy=settings.policy,
                reads_everything=settings.message_content,
                edit_interval_seconds=edit_interval_seconds,
                shards=settings.shards,
                settled=settled,
            )
            try:
                await _live(client, settings.token.get_secret_value(), stop)
                return
            except Exception as err:
                if settings.shards is None and _needs_shards(err):
                    log.info("the bot is in more servers than its connections may serve: sharding")
                    if not sharded:
                        sharded = True
                        continue
                    pause = next(pauses)  # then Discord is asked anew how many it should be
                else:
                    _raise_if_hopeless(client, err)
                    pause = next(pauses)
                    kind = type(err).__name__
                    log.warning("Discord can't be reached (%s); next try in %.0f s", kind, pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)


@contextlib.asynccontextmanager
async def _pruning(state: State, settings: DiscordSettings) -> AsyncIterator[None]:
    """Meanwhile, what is older than it may be is deleted."""
    task = asyncio.create_task(
        keep_pruned(
            state,
            memory_seconds=settings.policy.memory_seconds,
            answers_seconds=ANSWERS_SECONDS,
            usage_days=USAGE_DAYS,
        ),
        name="prune-state",
    )
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def point_discord_at(api_base: str | None, gateway_url: str | None) -> None:
    """Use another server than discord.com, for the whole process: discord.py keeps this in classes."""
    if api_base is not None:
        Route.BASE = api_base.rstrip("/")
    if gateway_url is not None:
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway_url)


async def _live(client: DiscordFrontend, token: str, stop: asyncio.Event) -> None:
    """One client's life, until `stop` is set or Discord ends it."""
    async with client:
        life = asyncio.create_task(client.start(token), name="discord-client")
        stopping = asyncio.create_task(stop.wait(), name="wait-for-stop")
        try:
            await asyncio.wait({life, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if life.done():
                life.result()
        finally:
            await client.close()
            for task in (life, stopping):
                task.cancel()
            await asyncio.gather(life, stopping, return_exceptions=True)


def _needs_shards(err: Exception) -> bool:
    return isinstance(err, discord.ConnectionClosed) and err.code == _SHARDING_REQUIRED


def _raise_if_hopeless(client: DiscordFrontend, err: Exception) -> None:
    """Return if another try may help.

    Raises:
        ConfigError: somebody has to change something first.
        Exception: `err` itself, which nobody foresaw.
    """
    if isinstance(err, discord.LoginFailure):
        raise ConfigError(WRONG_TOKEN) from err
    if isinstance(err, discord.PrivilegedIntentsRequired):
        raise ConfigError(f"Discord closed the connection: {_CLOSED_FOR_GOOD[4014]}.") from err
    if isinstance(err, discord.ConnectionClosed):
        if err.code == _AUTHENTICATION_FAILED:
            raise ConfigError(WRONG_TOKEN) from err
        why = _CLOSED_FOR_GOOD.get(err.code, f"code {err.code}")
        raise ConfigError(f"Discord closed the connection: {why}.") from err
    if isinstance(err, discord.HTTPException) and err.status < 500 and err.status != 429:
        raise ConfigError(
            f"Discord answered the login with HTTP status {err.status} at {Route.BASE}. If this is "
            "not Discord's own address, check DISCORD_API_BASE; if it is, check that the "
            "application still exists at discord.com/developers/applications."
        ) from err
    if isinstance(
        err,
        aiohttp.ClientError
        | OSError
        | TimeoutError
        | discord.HTTPException
        | discord.RateLimited
        | discord.GatewayNotFound,
    ):
        return
    # discord.py 2.7 means to reconnect here, and stumbles over a websocket that never was.
    if isinstance(err, AttributeError) and client.ws is None:
        return
    raise err


def configure_logging() -> None:
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # At DEBUG discord.py logs whole events and requests: messages, the bot's token, interaction tokens.
    logging.getLogger("discord").setLevel(logging.INFO)
    # It warns that voice will not work; this bot has nothing to do with voice.
    discord.VoiceClient.warn_nacl = False
    discord.VoiceClient.warn_dave = False


async def _run_until_signalled(settings: DiscordSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await run(settings, stop=stop, settled=spare_what_is_loaded)


def main() -> int:
    configure_logging()
    spare_what_is_loaded()
    try:
        take_up_secret_files(os.environ)
        asyncio.run(_run_until_signalled(settings_from(os.environ)))
    except PersonaeError as err:
        sys.stderr.write(f"{err}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
