"""The Slack frontend: settings in, a bot that stays connected until it is told to stop.

Run as: python -m bot.on_slack        (settings: bot/on_slack/settings.py, guide: docs/slack.md)

This is the process: signals, logging, the gateway's client and the state around a `SlackFrontend`, which
is the bot while it is connected (`presence`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from sqlalchemy.ext.asyncio import AsyncEngine

from bot.core.garbage import spare_what_is_loaded
from bot.core.gateway_client import RESTART_SECONDS, GatewayClient
from bot.on_slack.paced_client import RATES, Rates
from bot.on_slack.presence import EDIT_SECONDS, SlackFrontend, cancelled, secret
from bot.on_slack.settings import SlackSettings, settings_from
from bot.state.database import parsed, pooled_engine
from bot.state.retention import ANSWERS_SECONDS, USAGE_DAYS, keep_pruned
from bot.state.store import State
from personae.errors import PersonaeError
from personae.secret_files import take_up_secret_files

log = logging.getLogger(__name__)


async def run(
    settings: SlackSettings,
    *,
    stop: asyncio.Event,
    rates: Rates = RATES,
    edit_seconds: float = EDIT_SECONDS,
    post_seconds: float = 1.0,
) -> None:
    """Be the bot until `stop` is set.

    Raises:
        ConfigError: Slack refuses a token; the sentence says what to do.
    """
    # bolt reads these by itself and would set up more than was asked for.
    for name in [name for name in os.environ if name.startswith("SLACK_")]:
        del os.environ[name]
    url = parsed(settings.database_url.get_secret_value())
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    stopping = asyncio.create_task(stop.wait(), name="wait-for-stop")
    living = asyncio.create_task(
        _live(settings, rates, edit_seconds, post_seconds), name="slack-frontend"
    )
    try:
        await asyncio.wait({living, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if living.done():
            living.result()
        elif stop.is_set():
            await _stopped(living)
    finally:
        for task in (living, stopping):
            task.cancel()
        await asyncio.gather(living, stopping, return_exceptions=True)


async def _stopped(living: asyncio.Task[None]) -> None:
    """A bot that waits for Slack is cancelled; one that is connected ends by itself."""
    living.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await living


async def _live(
    settings: SlackSettings, rates: Rates, edit_seconds: float, post_seconds: float
) -> None:
    database = settings.database_url.get_secret_value()
    async with (
        State.open(database) as state,
        _engine_of(settings, database) as engine,
        GatewayClient(
            settings.gateway_url,
            api_key=secret(settings.api_key) or None,
            admin_key=secret(settings.admin_key) or None,
            restart_seconds=RESTART_SECONDS,
        ) as gateway,
        _pruning(state, settings),
        SlackFrontend(
            settings,
            gateway=gateway,
            state=state,
            engine=engine,
            proxy=proxy_to(settings.api_base),
            rates=rates,
            edit_seconds=edit_seconds,
            post_seconds=post_seconds,
        ),
    ):
        await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def _engine_of(settings: SlackSettings, database: str) -> AsyncIterator[AsyncEngine | None]:
    if not settings.installs:
        yield None
        return
    engine = pooled_engine(parsed(database))
    try:
        yield engine
    finally:
        await engine.dispose()


@contextlib.asynccontextmanager
async def _pruning(state: State, settings: SlackSettings) -> AsyncIterator[None]:
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
        await cancelled(task)


def proxy_to(url: str) -> str | None:
    """The proxy of the environment. The Slack SDK reads HTTPS_PROXY but not NO_PROXY."""
    address = urlsplit(url)
    if proxy_bypass(address.hostname or ""):
        return None
    return getproxies().get(address.scheme)


def configure_logging() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # Below warnings these two write whole messages and responses into the log.
    for name in ("slack_bolt", "slack_sdk"):
        logging.getLogger(name).setLevel(logging.WARNING)


async def _run_until_signalled(settings: SlackSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run(settings, stop=stop)


def main() -> int:
    """0 after a stop by signal, 2 when a setting is missing or wrong."""
    configure_logging()
    spare_what_is_loaded()
    try:
        take_up_secret_files(os.environ)
        asyncio.run(_run_until_signalled(settings_from(os.environ)))
    except PersonaeError as err:
        sys.stderr.write(f"{err}\n")
        return 2
    log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
