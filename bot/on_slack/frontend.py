"""Slack: mentions, direct messages and slash commands in; growing, cited, disclosed answers out.

Run as: python -m bot.on_slack        (settings: bot/on_slack/settings.py, guide: docs/slack.md)

`SlackFrontend` is the life of the bot in one workspace: it checks its tokens, keeps its connections
and at the end lets nobody wait for an answer that won't come. What it does with a delivery stands in
`listeners`: parsed by `text`, answered by `answers`, shown by `replies`.

Deliberately not here yet: native streaming, agent container, modals, App Home, feedback buttons,
thread memory, HTTP mode.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncRateLimitErrorRetryHandler,
    AsyncServerErrorRetryHandler,
)
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.gateway_client import GatewayClient
from bot.on_slack.admin import AdminDesk
from bot.on_slack.answers import Answers, Names, Tasks
from bot.on_slack.identity import identify
from bot.on_slack.listeners import Listeners
from bot.on_slack.settings import SlackSettings, settings_from
from bot.on_slack.socket import Backoff, SocketHandler
from personae.errors import ConfigError

log = logging.getLogger(__name__)

_CALL_SECONDS = 30.0
_STOP_SECONDS = 5.0  # with the sockets' two: less than the ten that `personae up` gives


class SlackFrontend:
    """The bot in one Slack workspace, from `async with` to its end.

    Args:
        gateway: an open client; it stays the caller's.
        admins: user ids that may use /personae besides the workspace's administrators.
        can_administer: whether the gateway client was given an admin key.
        proxy: the HTTP proxy to Slack, or None for a direct connection.
        edit_seconds: pace of the edits of one answer (see `Answers`).
        post_seconds: pause between the messages of one long answer.
        ping_seconds: how often each connection is tried; a dead one is noticed within four pings.
        sockets: connections to Slack. Slack renews each every few hours, and with a second one
            nothing is lost meanwhile.
    """

    def __init__(
        self,
        *,
        bot_token: str,
        app_token: str,
        gateway: GatewayClient,
        admins: frozenset[str] = frozenset(),
        can_administer: bool = True,
        api_base: str = "https://slack.com/api/",
        proxy: str | None = None,
        edit_seconds: float = 1.5,
        post_seconds: float = 1.0,
        ping_seconds: float = 10.0,
        backoff_seconds: float = 1.0,
        sockets: int = 2,
    ) -> None:
        self._app_token = app_token
        self._gateway = gateway
        self._admins = admins
        self._can_administer = can_administer
        self._edit_seconds = edit_seconds
        self._post_seconds = post_seconds
        self._ping_seconds = ping_seconds
        self._backoff_seconds = backoff_seconds
        self._sockets = sockets
        self._closing = AsyncExitStack()
        # bolt copies this logger's level to all of its own; they would otherwise take the root's.
        # And bolt makes the client itself: given one of ours, it would warn at each start that
        # the SLACK_BOT_TOKEN it finds in the environment goes unused.
        self._app = AsyncApp(
            name="personae",
            token=bot_token,
            logger=logging.getLogger("slack_bolt"),
            before_authorize=_with_proxy(proxy),
        )
        client = self._app.client
        client.base_url = api_base.rstrip("/") + "/"
        client.proxy = proxy
        client.retry_handlers += [
            AsyncRateLimitErrorRetryHandler(max_retry_count=5),
            AsyncServerErrorRetryHandler(max_retry_count=2),
        ]

    async def __aenter__(self) -> Self:
        """Check the tokens, waiting for Slack as long as need be, and connect.

        Raises:
            ConfigError: Slack refuses a token.
        """
        client = self._app.client
        async with AsyncExitStack() as stack:
            timeout = aiohttp.ClientTimeout(total=_CALL_SECONDS)
            client.session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
            identity, url = await identify(client, self._app_token)
            tasks = Tasks()
            stack.push_async_callback(tasks.stop, grace_seconds=_STOP_SECONDS)
            Listeners(
                client=client,
                identity=identity,
                answers=Answers(self._gateway, edit_seconds=self._edit_seconds),
                names=Names(self._gateway),
                desk=AdminDesk(
                    self._gateway,
                    client,
                    team_id=identity.team_id,
                    admins=self._admins,
                    has_key=self._can_administer,
                ),
                tasks=tasks,
                post_seconds=self._post_seconds,
            ).register(self._app)
            handlers = [
                SocketHandler(
                    self._app,
                    self._app_token,
                    ping_seconds=self._ping_seconds,
                    backoff=Backoff(first_seconds=self._backoff_seconds),
                )
                for _ in range(self._sockets)
            ]
            stack.push_async_callback(_close, handlers)
            handlers[0].client.wss_uri = url
            for handler in handlers:
                await handler.connect_async()
            log.info("listening on %d connections", self._sockets)
            self._closing = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the sockets, end what is in flight with a true sentence, close the rest."""
        await self._closing.aclose()


def _with_proxy(proxy: str | None) -> Callable[..., Awaitable[None]]:
    """bolt makes a client for each request, which takes HTTPS_PROXY where we say there is none."""

    async def set_proxy(client: AsyncWebClient, next: Callable[[], Awaitable[None]]) -> None:
        client.proxy = proxy
        await next()

    return set_proxy


async def _close(handlers: list[SocketHandler]) -> None:
    await asyncio.gather(*(handler.close_async() for handler in handlers))


async def serve(settings: SlackSettings) -> None:
    """Run until SIGTERM or SIGINT, which arrive here as cancellation."""
    me = asyncio.current_task()
    assert me is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, me.cancel)
    gateway = GatewayClient(
        settings.gateway_url, api_key=settings.api_key, admin_key=settings.admin_key
    )
    async with (
        gateway,
        SlackFrontend(
            bot_token=settings.bot_token,
            app_token=settings.app_token,
            gateway=gateway,
            admins=settings.admins,
            can_administer=settings.admin_key is not None,
            api_base=settings.api_base,
            proxy=_proxy_to(settings.api_base),
        ),
    ):
        await asyncio.Event().wait()


def _proxy_to(url: str) -> str | None:
    """The proxy of the environment. The Slack SDK reads HTTPS_PROXY but not NO_PROXY."""
    address = urlsplit(url)
    if proxy_bypass(address.hostname or ""):
        return None
    return getproxies().get(address.scheme)


def main() -> int:
    """0 after a stop by signal, 2 when a setting is missing or wrong."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # Below warnings these two write whole messages and responses into the log.
    for name in ("slack_bolt", "slack_sdk"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        asyncio.run(serve(settings_from(os.environ)))
    except ConfigError as err:
        sys.stderr.write(f"{err}\n")
        return 2
    except (asyncio.CancelledError, KeyboardInterrupt):
        log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
