"""What Slack delivers → who did it, where, and how to answer. Pure.

In: the bodies of events, commands and interactions. Out: `Arrival`, the same for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bot.on_slack.spot import Spot

Payload = dict[str, Any]


@dataclass(frozen=True)
class Arrival:
    """Something a person did.

    Attributes:
        key: names it; what Slack delivers twice has it twice.
        name: of the person, as far as the payload tells.
        thread: of the message they wrote or whose button they pressed; None at the top of a channel.
        response_url: lets whoever has it answer for half an hour: never stored or logged.
        trigger_id: opens one modal, within three seconds.
        private: the message whose button they pressed is for them alone.
        message: timestamp of the message whose button they pressed.
    """

    key: str
    team: str
    user: str
    channel: str
    enterprise: str | None = None
    name: str = ""
    thread: str | None = None
    response_url: str | None = None
    trigger_id: str | None = None
    private: bool = False
    message: str | None = None

    def spot(self) -> Spot:
        return Spot(self.team, self.channel, self.user, self.thread)


def from_message(event: Payload, body: Payload) -> Arrival:
    """A message or mention; its own thread is the one that an answer begins below it."""
    team = str(body.get("team_id") or event.get("team") or "")
    return Arrival(
        key=f"message:{team}:{event['channel']}:{event['ts']}",
        team=team,
        user=str(event["user"]),
        channel=str(event["channel"]),
        enterprise=body.get("enterprise_id"),
        thread=str(event.get("thread_ts") or event["ts"]),
    )


def from_command(command: Payload) -> Arrival:
    return Arrival(
        key=f"command:{command.get('trigger_id')}",
        team=str(command["team_id"]),
        user=str(command["user_id"]),
        channel=str(command["channel_id"]),
        enterprise=command.get("enterprise_id"),
        name=str(command.get("user_name") or ""),
        response_url=command.get("response_url"),
        trigger_id=command.get("trigger_id"),
    )


def from_interaction(body: Payload) -> Arrival:
    """A pressed button, a used shortcut, a modal that was sent."""
    team = body.get("team") or {}
    user = body.get("user") or {}
    container = body.get("container") or {}
    message = body.get("message") or {}
    channel = (body.get("channel") or {}).get("id") or container.get("channel_id") or ""
    at = message.get("ts") or container.get("message_ts")
    private = bool(container.get("is_ephemeral"))
    thread = message.get("thread_ts") or container.get("thread_ts") or (None if private else at)
    return Arrival(
        key=f"interaction:{body.get('trigger_id') or body.get('action_ts')}",
        team=str(team.get("id") or user.get("team_id") or ""),
        user=str(user.get("id") or ""),
        channel=str(channel),
        enterprise=(body.get("enterprise") or {}).get("id"),
        name=str(user.get("username") or user.get("name") or ""),
        thread=str(thread) if thread else None,
        response_url=body.get("response_url"),
        trigger_id=body.get("trigger_id"),
        private=private,
        message=str(at) if at else None,
    )
