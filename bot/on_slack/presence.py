"""The bot while it is connected: workspaces found, listeners wired, sockets or HTTP server open, and all of
it closed again so that nobody waits for an answer that won't come.

What it does with a delivery stands in `listeners` (talking) and `home` (App Home); who it is where, in
`installs`. The process around it is `frontend`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import aiohttp
from pydantic import SecretStr
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.core.admin import AdminDesk
from bot.core.desk import Desk
from bot.core.gateway_client import GatewayClient
from bot.core.sentences import speaker
from bot.on_slack.admin import Administration
from bot.on_slack.home import AppHome
from bot.on_slack.http import install_flow, serving
from bot.on_slack.identity import first_socket, identify
from bot.on_slack.installs import (
    Clients,
    InstalledWorkspaces,
    Installs,
    OneWorkspace,
    Workspace,
    Workspaces,
    authorize_by,
)
from bot.on_slack.listeners import Listeners
from bot.on_slack.messages import sentence_pages
from bot.on_slack.paced_client import RATES, Rates
from bot.on_slack.people import People
from bot.on_slack.settings import SlackSettings
from bot.on_slack.socket import Backoff, SocketHandler
from bot.on_slack.tasks import Tasks
from bot.on_slack.visits import Wiring
from bot.state.store import State

log = logging.getLogger(__name__)

EDIT_SECONDS = 1.7
"""Pace of the edits of one answer. Slack counts edits for the whole app (50 a minute), so with n answers
under way each is edited n times as rarely."""

_CALL_SECONDS = 30.0
_STOP_SECONDS = 5.0  # with the sockets' two: less than the ten that `personae up` gives
_RECOVER_SECONDS = 15.0


class SlackFrontend:
    """The bot, from `async with` to its end.

    Args:
        gateway, state: open; they stay the caller's.
        engine: of the installations, where several workspaces install the app; the caller's too.
        proxy: the HTTP proxy to Slack, or None for a direct connection.
        rates: how many calls Slack takes of each method.
        post_seconds: pause between the messages of one long answer.
        ping_seconds: how often each connection is tried; a dead one is noticed within four pings.
        sockets: connections to Slack. Slack renews each every few hours, and with a second one
            nothing is lost meanwhile.
    """

    def __init__(
        self,
        settings: SlackSettings,
        *,
        gateway: GatewayClient,
        state: State,
        engine: AsyncEngine | None = None,
        proxy: str | None = None,
        rates: Rates = RATES,
        edit_seconds: float = EDIT_SECONDS,
        post_seconds: float = 1.0,
        ping_seconds: float = 10.0,
        backoff_seconds: float = 1.0,
        role_seconds: float = 60.0,
        sockets: int = 2,
    ) -> None:
        self._settings = settings
        self._gateway = gateway
        self._state = state
        self._engine = engine
        self._proxy = proxy
        self._rates = rates
        self._edit_seconds = edit_seconds
        self._post_seconds = post_seconds
        self._ping_seconds = ping_seconds
        self._backoff_seconds = backoff_seconds
        self._role_seconds = role_seconds
        self._sockets = sockets
        self._closing = AsyncExitStack()
        self.http_url = ""
        """Where the HTTP server listens; "" where there is none."""
        self.listeners: Listeners
        self.home: AppHome

    async def __aenter__(self) -> Self:
        """Check the tokens, waiting for Slack as long as need be, and connect.

        Raises:
            ConfigError: Slack refuses a token.
        """
        async with AsyncExitStack() as stack:
            timeout = aiohttp.ClientTimeout(total=_CALL_SECONDS)
            session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
            clients = Clients(
                session, api_base=self._settings.api_base, proxy=self._proxy, rates=self._rates
            )
            installs, workspaces, owner = await self._find_workspaces(clients)
            if isinstance(workspaces, InstalledWorkspaces):
                stack.push_async_callback(workspaces.finish, grace_seconds=_STOP_SECONDS)
            tasks = Tasks()
            desk = Desk(
                gateway=self._gateway,
                state=self._state,
                platform="slack",
                owner=owner,
                edit_seconds=lambda: self._edit_seconds * max(1, desk.running()),
                policy=self._settings.policy,
                alert=_alert_through(workspaces),
                alone=lambda: not isinstance(workspaces, InstalledWorkspaces),
            )
            stack.push_async_callback(tasks.stop, grace_seconds=_STOP_SECONDS)
            stack.push_async_callback(desk.close, grace_seconds=_STOP_SECONDS)
            app = self._make_app(clients, workspaces)
            self._register(app, desk, workspaces, tasks)
            if isinstance(workspaces, InstalledWorkspaces):
                workspaces.register(app)
            else:
                _ignore_removal(app)
            if self._settings.serves_http:
                flow = None
                if installs is not None and isinstance(workspaces, InstalledWorkspaces):
                    flow = install_flow(
                        client=clients.make(None),
                        client_id=self._settings.client_id or "",
                        client_secret=secret(self._settings.client_secret),
                        public_url=self._settings.public_url or "",
                        authorize_url=self._settings.authorize_url,
                        installs=installs,
                        workspaces=workspaces,
                    )
                self.http_url = await stack.enter_async_context(
                    serving(
                        app,
                        host=self._settings.http_host,
                        port=self._settings.http_port,
                        takes_events=self._settings.app_token is None,
                        flow=flow,
                    )
                )
            if self._settings.app_token is not None:
                await self._connect(app, stack)
            recovering = asyncio.create_task(self._recover(), name="recover-answers")
            stack.push_async_callback(cancelled, recovering)
            self._closing = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take nothing more, end what is in flight with a true sentence, close the rest."""
        await self._closing.aclose()

    async def _find_workspaces(self, clients: Clients) -> tuple[Installs | None, Workspaces, str]:
        """The installations, if there are such, the workspaces, and what names this bot."""
        settings = self._settings
        if settings.client_id is not None:
            assert self._engine is not None, "installs need a database"
            installs = Installs(self._engine, settings.client_id)
            await installs.create_tables()
            workspaces = InstalledWorkspaces(
                installs,
                clients,
                client_id=settings.client_id,
                client_secret=secret(settings.client_secret),
            )
            log.info("installed in %d workspaces", len(await installs.teams()))
            return installs, workspaces, f"slack:{settings.client_id}"
        client = clients.make(secret(settings.bot_token))
        me = await identify(client)
        workspace = Workspace(
            client=client,
            team_id=me.team_id,
            user_id=me.user_id,
            bot_id=me.bot_id,
            owner=f"slack:{me.team_id}:{me.bot_id}",
        )
        return None, OneWorkspace(workspace), workspace.owner

    def _make_app(self, clients: Clients, workspaces: Workspaces) -> AsyncApp:
        # bolt copies this logger's level to all of its own; they would otherwise take the root's.
        app = AsyncApp(
            name="personae",
            client=clients.make(None),
            signing_secret=secret(self._settings.signing_secret),
            authorize=authorize_by(workspaces),
            user_facing_authorize_error_message=speaker("en")("slack-no-workspace"),
            logger=logging.getLogger("slack_bolt"),
            before_authorize=_with_proxy(self._proxy),
            # Ours writes to no message of its own; these would look up each conversation's thread.
            attaching_conversation_kwargs_enabled=False,
        )
        return app

    def _register(self, app: AsyncApp, desk: Desk, workspaces: Workspaces, tasks: Tasks) -> None:
        admin = AdminDesk(desk, has_key=self._settings.admin_key is not None)
        people = People(workspaces, admins=self._settings.admins, role_seconds=self._role_seconds)
        wiring = Wiring(
            desk=desk,
            state=self._state,
            workspaces=workspaces,
            people=people,
            post_seconds=self._post_seconds,
        )
        self.listeners = Listeners(wiring, tasks, administer=Administration(admin))
        self.listeners.register(app)
        self.home = AppHome(
            desk=desk,
            admin=admin,
            workspaces=workspaces,
            people=people,
            tasks=tasks,
            on_messages_tab=self.listeners.prompts,
        )
        self.home.register(app)

    async def _connect(self, app: AsyncApp, stack: AsyncExitStack) -> None:
        app_token = secret(self._settings.app_token)
        url = await first_socket(app.client, app_token)
        handlers = [
            SocketHandler(
                app,
                app_token,
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

    async def _recover(self) -> None:
        """Answers that a killed process left open are taken up, now and regularly."""
        while True:
            try:
                await self.listeners.recover()
            except Exception:
                log.exception("answers of earlier processes could not be taken up")
            await asyncio.sleep(_RECOVER_SECONDS)


def secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value is not None else ""


def _with_proxy(proxy: str | None) -> Callable[..., Awaitable[None]]:
    """bolt makes a client for each request, which takes HTTPS_PROXY where we say there is none."""

    async def set_proxy(client: AsyncWebClient, next: Callable[[], Awaitable[None]]) -> None:
        client.proxy = proxy
        await next()

    return set_proxy


def _ignore_removal(app: AsyncApp) -> None:
    """With one workspace there is nothing to forget: the operator's token has ended."""

    async def removed() -> None:
        log.error("the app was removed from the workspace, or its token revoked (docs/slack.md)")

    app.event("app_uninstalled")(removed)
    app.event("tokens_revoked")(removed)


def _alert_through(workspaces: Workspaces) -> Callable[[str, str, str], Awaitable[None]]:
    async def alert(server: str, channel: str, markdown: str) -> None:
        client = (await workspaces.of(server)).client
        for page in sentence_pages(markdown):
            await client.chat_postMessage(
                channel=channel,
                text=page.text,
                blocks=page.blocks,
                unfurl_links=False,
                unfurl_media=False,
                parse="none",
                link_names=False,
            )

    return alert


async def cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


async def _close(handlers: list[SocketHandler]) -> None:
    await asyncio.gather(*(handler.close_async() for handler in handlers))
