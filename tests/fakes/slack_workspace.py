"""What the fake Slack knows and has seen: one workspace, its one app, messages, calls, complaints."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.fakes import slack_rules as rules

Payload = dict[str, Any]


@dataclass
class Call:
    method: str
    arguments: Payload
    error: str | None


@dataclass
class Message:
    """A message of the bot; `history` holds every state it was in, the newest last."""

    channel: str
    ts: str
    thread_ts: str | None
    history: list[Payload]
    deleted: bool = False

    @property
    def shown(self) -> str:
        """What a person reads: the texts of all blocks, a line each."""
        return shown(self.history[-1])

    @property
    def pings(self) -> set[str]:
        """Whom any state of the message notified. Edits ping nobody on Slack; here they may not
        even look as if they could."""
        return set().union(*map(rules.pings, self.history))


@dataclass
class Private:
    """What only one person sees: `via` is "ack" or "response_url"."""

    user: str
    channel: str
    via: str
    message: Payload

    @property
    def shown(self) -> str:
        return shown(self.message)

    @property
    def pings(self) -> set[str]:
        return rules.pings(self.message)


@dataclass
class Delivery:
    """One event or command on its way to the app, over all its attempts."""

    kind: str
    payload: Payload
    attempts: int = 0
    acked: bool = False
    failed: str | None = None


@dataclass
class ResponseUrl:
    user: str
    channel: str
    until: float
    uses: int = 0


@dataclass
class Failure:
    error: str
    status: int
    retry_after: int | None


def shown(message: Payload) -> str:
    blocks = message.get("blocks") or []
    texts = [text["text"] for block in blocks for text in rules.texts_of(block)]
    return "\n".join(texts) if texts else message.get("text") or ""


class Workspace:
    """State shared by the two sides of the fake. Tests read it from their own thread: lists only
    grow, and what stands in them is not taken apart again."""

    def __init__(
        self, manifest: Mapping[str, Any], *, speed: float, extra_events: tuple[str, ...]
    ) -> None:
        self.bot_token = f"xoxb-{secrets.token_hex(12)}"
        self.app_token = f"xapp-1-{secrets.token_hex(12)}"
        self.scopes = set(manifest["oauth_config"]["scopes"]["bot"])
        self.events = set(manifest["settings"]["event_subscriptions"]["bot_events"])
        self.extra_events = set(extra_events)
        self.commands = {entry["command"] for entry in manifest["features"]["slash_commands"]}
        self.speed = speed
        self.base_url = ""
        self.violations: list[str] = []
        self.calls: list[Call] = []
        self.bot_messages: list[Message] = []
        self.private: list[Private] = []
        self.deliveries: list[Delivery] = []
        self.tickets: dict[str, float] = {}  # for one connection each, until then
        self.response_urls: dict[str, ResponseUrl] = {}
        self.failures: dict[str, list[Failure]] = {}

    def new_response_url(self, user: str, channel: str) -> str:
        secret = secrets.token_hex(8)
        until = time.monotonic() + 1800 / self.speed
        self.response_urls[secret] = ResponseUrl(user, channel, until)
        return f"{self.base_url}/commands/{secret}"

    def new_socket_url(self) -> str:
        ticket = secrets.token_hex(8)
        self.tickets[ticket] = time.monotonic() + 30.0
        return f"{self.base_url.replace('http', 'ws', 1)}/link?ticket={ticket}"

    def judge(self, message: Mapping[str, Any], keys: frozenset[str], where: str) -> str | None:
        """Slack's error for a message, or None; everything to complain of is written down."""
        verdict = rules.judge(message)
        found = list(verdict.complaints) + ([verdict.error] if verdict.error else [])
        if set(message) - keys:
            found.append(f"unknown arguments {sorted(set(message) - keys)}")
        self.violations += [f"{where}: {complaint}" for complaint in found]
        return verdict.error
