"""What `personae doctor` asks Slack: tokens, scopes, Socket Mode, the HTTP address, installations.

In: the bot's settings. Out: observations with a sentence each that says what to do. It changes nothing
(apps.connections.open only gives an address), and one question that fails does not keep the next from
being asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import aiohttp
from slack_sdk.errors import SlackApiError

from bot.on_slack.errors import slack_code
from bot.on_slack.identity import SCOPES, app_token_sentence, bot_token_sentence
from bot.on_slack.installs import Clients, Installs
from bot.on_slack.manifest import EVENTS_PATH, INSTALL_PATH
from bot.on_slack.settings import SlackSettings
from bot.state.database import parsed, pooled_engine
from personae.errors import PersonaeError

_SECONDS = 10.0
_UNREACHABLE = (
    "Slack can't be reached ({reason}). Check the network, and HTTPS_PROXY if you need a proxy."
)


@dataclass(frozen=True)
class Observation:
    """One thing asked. A "note" may be as wanted; a "problem" keeps something from working."""

    verdict: Literal["ok", "note", "problem"]
    sentence: str


async def checkup(settings: SlackSettings, *, proxy: str | None = None) -> list[Observation]:
    """Ask Slack about this bot."""
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        clients = Clients(session, api_base=settings.api_base, proxy=proxy)
        found = [one async for one in _tokens(settings, clients)]
    return found + [one async for one in _delivery(settings)]


async def _tokens(settings: SlackSettings, clients: Clients) -> AsyncIterator[Observation]:
    if settings.installs:
        async for one in _installations(settings, clients):
            yield one
    elif settings.bot_token is not None:
        yield await _bot_token(clients, settings.bot_token.get_secret_value(), "")
    if settings.app_token is not None:
        token = settings.app_token.get_secret_value()
        try:
            await clients.make(None).apps_connections_open(app_token=token)
            yield Observation("ok", "Slack opens Socket Mode connections for SLACK_APP_TOKEN.")
        except SlackApiError as err:
            yield Observation("problem", app_token_sentence(slack_code(err)))
        except (aiohttp.ClientError, TimeoutError) as err:
            yield Observation("problem", _UNREACHABLE.format(reason=type(err).__name__))


async def _bot_token(clients: Clients, token: str, where: str) -> Observation:
    try:
        me = await clients.make(token).auth_test()
    except SlackApiError as err:
        return Observation("problem", where + bot_token_sentence(slack_code(err)))
    except (aiohttp.ClientError, TimeoutError) as err:
        return Observation("problem", where + _UNREACHABLE.format(reason=type(err).__name__))
    granted = {scope.strip() for scope in me.headers.get("x-oauth-scopes", "").split(",")}
    missing = sorted(SCOPES - granted)
    if missing:
        return Observation(
            "problem",
            f"{where}The Slack app lacks the scopes {', '.join(missing)}. Add them under "
            '"OAuth & Permissions", or paste deploy/slack/manifest.yaml under "App Manifest", then '
            "reinstall the app (docs/slack.md).",
        )
    return Observation(
        "ok",
        f"{where}Slack accepts the bot token: {me.get('user')} in {me['team_id']}, all "
        f"{len(SCOPES)} scopes.",
    )


async def _installations(settings: SlackSettings, clients: Clients) -> AsyncIterator[Observation]:
    try:
        engine = pooled_engine(parsed(settings.database_url.get_secret_value()))
    except PersonaeError as err:
        yield Observation("problem", str(err))
        return
    try:
        installs = Installs(engine, settings.client_id or "")
        await installs.create_tables()
        teams = await installs.teams()
        if not teams:
            url = (settings.public_url or "").rstrip("/") + INSTALL_PATH
            yield Observation("note", f"No workspace has installed the app yet. Send them to {url}")
        for team in teams:
            found = await installs.find(team)
            if found is not None and found.bot_token:
                yield await _bot_token(clients, found.bot_token, f"{team}: ")
    except Exception as err:
        # Whatever a database raises: its words may hold a password.
        yield Observation(
            "problem",
            f"The installations can't be read ({type(err).__name__}); check the database.",
        )
    finally:
        await engine.dispose()


async def _delivery(settings: SlackSettings) -> AsyncIterator[Observation]:
    """How Slack reaches the bot."""
    if settings.app_token is not None:
        yield Observation("ok", "Socket Mode: Slack needs no address of the bot.")
    elif settings.public_url is None:
        yield Observation(
            "note",
            "HTTP mode: set SLACK_PUBLIC_URL to the bot's public address, so that it can be checked.",
        )
    else:
        yield await _public_address(settings.public_url.rstrip("/"))


async def _public_address(base: str) -> Observation:
    """An unsigned request must come through to the bot and be turned away there."""
    url = base + EVENTS_PATH
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.post(url, json={}) as response,
        ):
            status = response.status
    except (aiohttp.ClientError, TimeoutError) as err:
        return Observation(
            "problem",
            f"{url} can't be reached ({type(err).__name__}). Start the bot, and pass this address on "
            "to it in the reverse proxy.",
        )
    if status == 401:
        return Observation("ok", f"{url} reaches the bot, which turns unsigned requests away.")
    return Observation(
        "problem",
        f"{url} answers an unsigned request with {status}, not 401: it leads somewhere else than to "
        "the bot. Check the reverse proxy.",
    )
