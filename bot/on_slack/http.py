"""HTTP mode: Slack's signed requests in, acknowledgements out; and the pages where a workspace installs.

    POST /slack/events          events, commands, clicks: bolt checks the signature (v0, ± 5 minutes)
    GET  /slack/install         to Slack's own page, where somebody allows the app
    GET  /slack/oauth_redirect  back from there: the workspace's tokens are kept
    GET  /healthz               "ok"

A reverse proxy with a certificate stands in front. It knows no listener and no token.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.oauth.async_callback_options import (
    AsyncCallbackOptions,
    AsyncFailureArgs,
    AsyncSuccessArgs,
)
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.on_slack.installs import InstalledWorkspaces, Installs
from bot.on_slack.manifest import EVENTS_PATH, INSTALL_PATH, REDIRECT_PATH, SCOPES
from bot.on_slack.paced_client import PacedClient

log = logging.getLogger(__name__)

_MOST_BYTES = 1 << 20
_STOP_SECONDS = 2.0


def install_flow(
    *,
    client: PacedClient,
    client_id: str,
    client_secret: str,
    public_url: str,
    authorize_url: str,
    installs: Installs,
    workspaces: InstalledWorkspaces,
) -> AsyncOAuthFlow:
    """Slack's OAuth, with the SDK's stores and pages of our own."""

    async def success(args: AsyncSuccessArgs) -> BoltResponse:
        team = str(args.installation.team_id)
        workspaces.refresh(team)
        log.info("workspace %s installed the app", team)
        return _page(200, "personae is installed. You may close this page and go back to Slack.")

    async def failure(args: AsyncFailureArgs) -> BoltResponse:
        log.warning("an install failed: %s", args.reason)
        return _page(
            args.suggested_status_code,
            f"personae was not installed ({args.reason}). Begin again at {INSTALL_PATH}.",
        )

    settings = AsyncOAuthSettings(
        client_id=client_id,
        client_secret=client_secret,
        scopes=sorted(SCOPES),
        redirect_uri=public_url.rstrip("/") + REDIRECT_PATH,
        install_path=INSTALL_PATH,
        install_page_rendering_enabled=False,
        redirect_uri_path=REDIRECT_PATH,
        callback_options=AsyncCallbackOptions(success=success, failure=failure),
        authorization_url=authorize_url,
        installation_store=installs.store,
        state_store=installs.states,
        logger=log,
    )
    return AsyncOAuthFlow(client=client, logger=log, settings=settings)


@contextlib.asynccontextmanager
async def serving(
    app: AsyncApp,
    *,
    host: str,
    port: int,
    takes_events: bool,
    flow: AsyncOAuthFlow | None,
) -> AsyncIterator[str]:
    """The server while it runs; gives its address.

    Args:
        port: 0 takes a free one.
        takes_events: False where Socket Mode delivers and only installs come this way.
    """

    async def events(request: web.Request) -> web.Response:
        return await to_aiohttp_response(await app.async_dispatch(await to_bolt_request(request)))

    async def health(_request: web.Request) -> web.Response:
        return web.Response(text="ok")

    server = web.Application(client_max_size=_MOST_BYTES)
    server.router.add_get("/healthz", health)
    if takes_events:
        server.router.add_post(EVENTS_PATH, events)
    if flow is not None:
        server.router.add_get(INSTALL_PATH, _through(flow.handle_installation))
        server.router.add_get(REDIRECT_PATH, _through(flow.handle_callback))
    # No access log: the addresses of the redirect hold codes.
    runner = web.AppRunner(server, access_log=None, shutdown_timeout=_STOP_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        address = runner.addresses[0]
        url = f"http://{address[0]}:{address[1]}"
        log.info("listening on %s", url)
        yield url
    finally:
        await runner.cleanup()


def _through(
    handle: Callable[[AsyncBoltRequest], Awaitable[BoltResponse]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def page(request: web.Request) -> web.Response:
        return await to_aiohttp_response(await handle(await to_bolt_request(request)))

    return page


def _page(status: int, sentence: str) -> BoltResponse:
    return BoltResponse(
        status=status, body=sentence, headers={"Content-Type": "text/plain; charset=utf-8"}
    )
