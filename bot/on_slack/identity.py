"""Who the bot is in a workspace, and whether its tokens are good. Asked once, at the start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.on_slack import manifest
from bot.on_slack.errors import slack_code
from personae.errors import ConfigError

log = logging.getLogger(__name__)

SCOPES = frozenset(manifest.SCOPES)
"""Bot scopes, each with its reason in `manifest`."""

_PASSING = frozenset(
    {"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
_LONGEST_PAUSE_SECONDS = 60.0

T = TypeVar("T")


@dataclass(frozen=True)
class Identity:
    """`user_id` is the bot's own, the one that mentions carry; `missing` are scopes it was not given."""

    user_id: str
    bot_id: str
    team_id: str
    app_id: str
    missing: frozenset[str]


async def identify(client: AsyncWebClient) -> Identity:
    """Who the bot is. Waits as long as Slack can't be reached.

    Raises:
        ConfigError: Slack refuses the bot token. The sentence says what to do.
    """
    me = await _patiently(client.auth_test, bot_token_sentence)
    granted = {scope.strip() for scope in me.headers.get("x-oauth-scopes", "").split(",")} - {""}
    missing = SCOPES - granted if granted else frozenset()
    if missing:
        log.warning(
            "the Slack app lacks the scopes %s; add them and reinstall the app (docs/slack.md)",
            ", ".join(sorted(missing)),
        )
    log.info("signed in to workspace %s as %s", me["team_id"], me["user_id"])
    return Identity(
        user_id=str(me["user_id"]),
        bot_id=str(me.get("bot_id") or ""),
        team_id=str(me["team_id"]),
        app_id=str(me.get("app_id") or ""),
        missing=frozenset(missing),
    )


async def first_socket(client: AsyncWebClient, app_token: str) -> str:
    """The address of the first Socket Mode connection. Waits as long as Slack can't be reached.

    Raises:
        ConfigError: Slack refuses the app-level token.
    """
    opened = await _patiently(
        lambda: client.apps_connections_open(app_token=app_token), app_token_sentence
    )
    return str(opened["url"])


async def _patiently(call: Callable[[], Awaitable[T]], sentence: Callable[[str], str]) -> T:
    pause = 1.0
    while True:
        try:
            return await call()
        except SlackApiError as err:
            code = slack_code(err)
            if code and code not in _PASSING:
                raise ConfigError(sentence(code)) from err
            log.warning("Slack answers %s; again in %.0f s", code or "nonsense", pause)
        except (aiohttp.ClientError, TimeoutError) as err:
            log.warning("Slack can't be reached (%s); again in %.0f s", type(err).__name__, pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def bot_token_sentence(code: str) -> str:
    return (
        f"Slack refuses SLACK_BOT_TOKEN ({code}). Copy the Bot User OAuth Token again from "
        'api.slack.com/apps, your app, "OAuth & Permissions"; reinstall the app if there is none '
        "(docs/slack.md, step 3)."
    )


def app_token_sentence(code: str) -> str:
    return (
        f"Slack refuses SLACK_APP_TOKEN ({code}). Make an App-Level Token with the scope "
        'connections:write at api.slack.com/apps, your app, "Basic Information", and switch '
        'Socket Mode on under "Socket Mode" (docs/slack.md, step 2).'
    )
