"""Who the bot is in the workspace, and whether its two tokens are good. Asked once, at the start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.on_slack.errors import slack_code
from personae.errors import ConfigError

log = logging.getLogger(__name__)

SCOPES = frozenset({"app_mentions:read", "chat:write", "commands", "im:history", "users:read"})
"""Bot scopes: hear mentions, write, slash commands, hear direct messages, see who is an admin."""

_PASSING = frozenset(
    {"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
_LONGEST_PAUSE_SECONDS = 60.0

T = TypeVar("T")


@dataclass(frozen=True)
class Identity:
    """`user_id` is the bot's own, the one that mentions carry."""

    user_id: str
    team_id: str


async def identify(client: AsyncWebClient, app_token: str) -> tuple[Identity, str]:
    """Who the bot is, and the address of its first Socket Mode connection.

    Waits as long as Slack can't be reached.

    Raises:
        ConfigError: Slack refuses one of the tokens. The sentence says which and what to do.
    """
    me = await _patiently(client.auth_test, _bot_token_sentence)
    granted = {scope.strip() for scope in me.headers.get("x-oauth-scopes", "").split(",")}
    missing = SCOPES - granted
    if missing and granted != {""}:
        log.warning(
            "the Slack app lacks the scopes %s; add them and reinstall the app (docs/slack.md)",
            ", ".join(sorted(missing)),
        )

    opened = await _patiently(
        lambda: client.apps_connections_open(app_token=app_token), _app_token_sentence
    )
    log.info("signed in to workspace %s as %s", me["team_id"], me["user_id"])
    return Identity(user_id=me["user_id"], team_id=me["team_id"]), opened["url"]


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


def _bot_token_sentence(code: str) -> str:
    return (
        f"Slack refuses SLACK_BOT_TOKEN ({code}). Copy the Bot User OAuth Token again from "
        'api.slack.com/apps, your app, "OAuth & Permissions"; reinstall the app if there is none '
        "(docs/slack.md, step 3)."
    )


def _app_token_sentence(code: str) -> str:
    return (
        f"Slack refuses SLACK_APP_TOKEN ({code}). Make an App-Level Token with the scope "
        'connections:write at api.slack.com/apps, your app, "Basic Information", and switch '
        'Socket Mode on under "Socket Mode" (docs/slack.md, step 2).'
    )
