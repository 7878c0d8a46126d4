"""Errors of the Slack frontend, and the one place where a failure becomes a sentence.

    Exception
    └── ResponseUrlRefused    Slack took no message through a command's response_url

Errors of the gateway are `personae.errors`; those of Slack's Web API are `SlackApiError`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from slack_sdk.errors import SlackApiError

from bot.core import sentences
from personae.errors import InternalError, PersonaeError
from personae.wire import ErrorEvent

log = logging.getLogger(__name__)

_TELL_SECONDS = 4.0

Tell = Callable[[ErrorEvent], Awaitable[None]]


class ResponseUrlRefused(Exception):
    """The response_url is used up (5 messages), too old (30 minutes) or wrong."""


def slack_code(error: SlackApiError) -> str:
    """Slack's name for what went wrong, for example "not_in_channel"."""
    data = getattr(error.response, "data", error.response)
    return str(data.get("error", "")) if isinstance(data, dict) else ""


def explain(error: Exception) -> ErrorEvent:
    """What a person is told about a failure. One that nobody foresaw is logged here."""
    if isinstance(error, PersonaeError):
        return ErrorEvent(**error.to_wire())
    if isinstance(error, SlackApiError):
        log.error(
            "slack refused a call: %s", slack_code(error) or "no reason given", exc_info=error
        )
    else:
        log.error("unexpected failure", exc_info=error)
    return ErrorEvent(**InternalError(sentences.UNEXPECTED).to_wire())


async def guarded(work: Awaitable[None], tell: Tell) -> None:
    """Do the work; whatever stops it, the person is told. Only cancellation passes on."""
    try:
        await work
    except asyncio.CancelledError:
        await _try_to_tell(tell, ErrorEvent(code="restarting", message=sentences.RESTARTING))
        raise
    except Exception as err:
        await _try_to_tell(tell, explain(err))


async def _try_to_tell(tell: Tell, event: ErrorEvent) -> None:
    # A refusal by Slack may itself last as long as its rate limit; a stopping bot can't wait.
    limit = _TELL_SECONDS if event.code == "restarting" else None
    try:
        async with asyncio.timeout(limit):
            await tell(event)
    except Exception:
        log.exception("the person could not be told: %s", event.code)
