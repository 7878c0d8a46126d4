"""The people and places of the fake workspaces, and what Slack sends about them. Pure."""

from __future__ import annotations

import itertools
import time
from typing import Any

TEAM = "T0HOME"
OTHER_TEAM = "T0AWAY"
APP = "A0PERSONAE"
BOT = "U0BOT"
BOT_ID = "B0BOT"
OTHER_BOT = "U0AWAYBOT"
BOTS = {TEAM: (BOT, BOT_ID), OTHER_TEAM: (OTHER_BOT, "B0AWAYBOT")}

ADA = "U0ADA"  # a member
GRACE = "U0GRACE"  # an administrator
OLGA = "U0OLGA"  # an owner
FAYE = "U0FAYE"  # an administrator, of another workspace
FRED = "U0FRED"  # a member there
PEOPLE: dict[str, dict[str, Any]] = {
    ADA: {"id": ADA, "name": "ada", "team_id": TEAM, "is_admin": False, "is_owner": False},
    GRACE: {"id": GRACE, "name": "grace", "team_id": TEAM, "is_admin": True, "is_owner": False},
    OLGA: {"id": OLGA, "name": "olga", "team_id": TEAM, "is_admin": False, "is_owner": True},
    FAYE: {"id": FAYE, "name": "faye", "team_id": OTHER_TEAM, "is_admin": True, "is_owner": True},
    FRED: {"id": FRED, "name": "fred", "team_id": OTHER_TEAM, "is_admin": False, "is_owner": False},
}
LOCALES = {OLGA: "de-DE"}

GENERAL = "C0GENERAL"  # the bot is a member
RANDOM = "C0RANDOM"  # public, the bot is no member
SECRET = "C0SECRET"  # private, the bot can't see it
DIRECT = "D0ADA"  # ada and the bot
AWAY = "C0AWAY"  # a channel of the other workspace
REFUSALS = {RANDOM: "not_in_channel", SECRET: "channel_not_found"}
CHANNELS = {GENERAL, DIRECT, AWAY}
TEAMS = {AWAY: OTHER_TEAM}
"""The workspace of a channel where it is not TEAM."""

Payload = dict[str, Any]

_number = itertools.count(1)


def person_of(user: str) -> Payload:
    """A member; people of a crowd ("U0CROWD17") are made as they are met."""
    if user not in PEOPLE and not user.startswith("U0CROWD"):
        raise KeyError(user)
    known = PEOPLE.get(user) or {
        "id": user,
        "name": user.lower(),
        "team_id": TEAM,
        "is_admin": False,
        "is_owner": False,
    }
    profile = {"display_name": known["name"], "real_name": known["name"].title()}
    return known | {
        "deleted": False,
        "is_bot": False,
        "real_name": known["name"].title(),
        "profile": profile,
        "locale": LOCALES.get(user, "en-US"),
    }


def team_of(channel: str) -> str:
    """A channel's workspace; that of a direct conversation ("D0" + a person's id) is its person's."""
    if channel.startswith("D0"):
        person = PEOPLE.get("U0" + channel[2:])
        return person["team_id"] if person else TEAM
    return TEAMS.get(channel, TEAM)


def is_channel(channel: object) -> bool:
    return channel in CHANNELS or str(channel).startswith(("D0", "C0CROWD"))


def direct_of(user: str) -> str:
    return "D0" + user[2:]


def new_ts() -> str:
    """A message's timestamp, which is its id within a channel."""
    return f"{int(time.time())}.{next(_number):06d}"


def event_callback(event: Payload, team: str = TEAM) -> Payload:
    return {
        "token": "verification",
        "team_id": team,
        "api_app_id": APP,
        "event": event,
        "type": "event_callback",
        "event_id": f"Ev{next(_number):08d}",
        "event_time": int(time.time()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": team,
                "user_id": BOTS[team][0],
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": "4-context",
    }


def message_event(
    kind: str, *, user: str, channel: str, text: str, ts: str, team: str = TEAM
) -> Payload:
    """The event inside: `kind` is "app_mention" or "message.<channel type>"."""
    name, _, channel_type = kind.partition(".")
    event = {
        "type": name,
        "user": user,
        "text": text,
        "ts": ts,
        "channel": channel,
        "event_ts": ts,
        "team": team,
        "client_msg_id": f"client-{ts}",
        "blocks": [],
    }
    return event | ({"channel_type": channel_type} if channel_type else {})


def message_deleted(
    *, channel: str, ts: str, user: str, text: str, thread_ts: str | None, bot: bool, team: str
) -> Payload:
    """What an app that hears a channel is told of a message that was deleted there."""
    previous = {"type": "message", "user": user, "ts": ts, "text": text, "team": team}
    previous |= {"thread_ts": thread_ts} if thread_ts else {}
    previous |= {"bot_id": BOTS[team][1], "app_id": APP} if bot else {}
    at = new_ts()
    return {
        "type": "message",
        "subtype": "message_deleted",
        "hidden": True,
        "channel": channel,
        "channel_type": "im" if channel.startswith("D") else "channel",
        "ts": at,
        "event_ts": at,
        "deleted_ts": ts,
        "previous_message": previous,
    }


def slash_command(
    command: str,
    text: str,
    *,
    user: str,
    channel: str,
    response_url: str,
    trigger_id: str,
    team: str = TEAM,
) -> Payload:
    return {
        "token": "verification",
        "team_id": team,
        "team_domain": "home" if team == TEAM else "away",
        "channel_id": channel,
        "channel_name": "directmessage" if channel.startswith("D") else "somewhere",
        "user_id": user,
        "user_name": person_of(user)["name"],
        "command": command,
        "text": text,
        "api_app_id": APP,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": trigger_id,
    }


def interaction(kind: str, *, user: str, team: str, trigger_id: str | None, **more: Any) -> Payload:
    """block_actions, view_submission, view_closed, message_action, shortcut, block_suggestion."""
    person = person_of(user)
    payload: Payload = {
        "type": kind,
        "team": {"id": team, "domain": "home" if team == TEAM else "away"},
        "user": {
            "id": user,
            "username": person["name"],
            "name": person["name"],
            "team_id": person["team_id"],
        },
        "api_app_id": APP,
        "token": "verification",
        "enterprise": None,
        "is_enterprise_install": False,
    }
    return payload | ({"trigger_id": trigger_id} if trigger_id else {}) | more


def new_trigger_id() -> str:
    return f"{next(_number)}.trigger"
