"""Errors of the Slack frontend.

    Exception
    ├── ResponseUrlRefused    Slack took no message through a command's response_url
    └── UnknownWorkspace      the app is not installed there (`installs`)

Errors of the gateway are `personae.errors`, and the desk says them to people; those of Slack's Web API are
`SlackApiError`. Whatever nobody foresaw is told by `visits.attend`.
"""

from __future__ import annotations

from slack_sdk.errors import SlackApiError


class ResponseUrlRefused(Exception):
    """The response_url is used up (5 messages), too old (30 minutes) or wrong."""


def slack_code(error: SlackApiError) -> str:
    """Slack's name for what went wrong, for example "not_in_channel"."""
    data = getattr(error.response, "data", error.response)
    return str(data.get("error", "")) if isinstance(data, dict) else ""
