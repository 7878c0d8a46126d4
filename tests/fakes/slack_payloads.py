"""The people and places of the fake workspace, and what Slack sends about them. Pure."""

from __future__ import annotations

import itertools
import time
from typing import Any

TEAM = "T0HOME"
OTHER_TEAM = "T0AWAY"
APP = "A0PERSONAE"
BOT = "U0BOT"
BOT_ID = "B0BOT"

ADA = "U0ADA"  # a member
GRACE = "U0GRACE"  # an administrator
OLGA = "U0OLGA"  # an owner
FAYE = "U0FAYE"  # an administrator, of another workspace
PEOPLE: dict[str, dict[str, Any]] = {
    ADA: {"id": ADA, "name": "ada", "team_id": TEAM, "is_admin": False, "is_owner": False},
    GRACE: {"id": GRACE, "name": "grace", "team_id": TEAM, "is_admin": True, "is_owner": False},
    OLGA: {"id": OLGA, "name": "olga", "team_id": TEAM, "is_admin": False, "is_owner": True},
    FAYE: {"id": FAYE, "name": "faye", "team_id": OTHER_TEAM, "is_admin": True, "is_owner": True},
}

GENERAL = "C0GENERAL"  # the bot is a member
RANDOM = "C0RANDOM"  # public, the bot is no member
SECRET = "C0SECRET"  # private, the bot can't see it
DIRECT = "D0ADA"  # ada and the bot
REFUSALS = {RANDOM: "not_in_channel", SECRET: "channel_not_found"}
CHANNELS = {GENERAL, DIRECT}

Payload = dict[str, Any]

_number = itertools.count(1)


def new_ts() -> str:
    """A message's timestamp, which is its id within a channel."""
    return f"{int(time.time())}.{next(_number):06d}"


def event_callback(event: Payload) -> Payload:
    return {
        "token": "verification",
        "team_id": TEAM,
        "api_app_id": APP,
        "event": event,
        "type": "event_callback",
        "event_id": f"Ev{next(_number):08d}",
        "event_time": int(time.time()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": TEAM,
                "user_id": BOT,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": "4-context",
    }


def message_event(kind: str, *, user: str, channel: str, text: str, ts: str) -> Payload:
    """The event inside: `kind` is "app_mention" or "message.<channel type>"."""
    name, _, channel_type = kind.partition(".")
    event = {
        "type": name,
        "user": user,
        "text": text,
        "ts": ts,
        "channel": channel,
        "event_ts": ts,
        "team": TEAM,
        "client_msg_id": f"client-{ts}",
        "blocks": [],
    }
    return event | ({"channel_type": channel_type} if channel_type else {})


def slash_command(
    command: str, text: str, *, user: str, channel: str, response_url: str
) -> Payload:
    return {
        "token": "verification",
        "team_id": TEAM,
        "team_domain": "home",
        "channel_id": channel,
        "channel_name": "somewhere",
        "user_id": user,
        "user_name": PEOPLE[user]["name"],
        "command": command,
        "text": text,
        "api_app_id": APP,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": f"{next(_number)}.trigger",
    }
