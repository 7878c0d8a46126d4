"""What the fake Slack knows and has seen: its workspaces, the one app, messages, calls, complaints."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes import slack_blocks as kit
from tests.fakes import slack_payloads as world
from tests.fakes import slack_rules as rules

Payload = dict[str, Any]


@dataclass
class Call:
    method: str
    arguments: Payload
    error: str | None
    team: str | None = None


@dataclass
class Message:
    """A message of the bot; `history` holds every state it was in, the newest last.

    `streaming`: opened by chat.startStream and neither stopped nor dead; `author` holds username and
    icon_url where the bot wrote under another name.
    """

    channel: str
    ts: str
    thread_ts: str | None
    history: list[Payload]
    deleted: bool = False
    streaming: bool = False
    streamed: bool = False
    stream_until: float = 0.0
    appends_left: int | None = None
    author: Payload = field(default_factory=dict)
    team: str = world.TEAM

    @property
    def now(self) -> Payload:
        return self.history[-1]

    @property
    def shown(self) -> str:
        """What a person reads: the streamed Markdown, then the texts of all blocks, a line each."""
        return shown(self.history[-1])

    @property
    def pings(self) -> set[str]:
        """Whom any state of the message notified. Edits ping nobody on Slack; here they may not
        even look as if they could."""
        return set().union(*map(rules.pings, self.history))

    @property
    def elements(self) -> list[Payload]:
        return list(elements(self.now))


@dataclass
class Private:
    """What only one person sees: `via` is "ack", "response_url" or "ephemeral"."""

    user: str
    channel: str
    via: str
    history: list[Payload]
    ts: str = field(default_factory=world.new_ts)
    thread_ts: str | None = None
    deleted: bool = False
    team: str = world.TEAM

    @property
    def message(self) -> Payload:
        return self.history[-1]

    @property
    def now(self) -> Payload:
        return self.history[-1]

    @property
    def shown(self) -> str:
        return shown(self.message)

    @property
    def pings(self) -> set[str]:
        return set().union(*map(rules.pings, self.history))

    @property
    def elements(self) -> list[Payload]:
        return list(elements(self.now))


@dataclass
class View:
    """A modal or an App Home; `history` holds every state, the newest last."""

    id: str
    kind: str
    user: str
    team: str
    history: list[Payload]
    hash: str
    closed: bool = False

    @property
    def now(self) -> Payload:
        return self.history[-1]

    @property
    def shown(self) -> str:
        return shown(self.now)

    @property
    def elements(self) -> list[Payload]:
        return list(elements(self.now))

    def as_payload(self) -> Payload:
        """As Slack shows it to the app; without the values people have given."""
        defaults = {"private_metadata": "", "callback_id": "", "external_id": ""}
        more = {"id": self.id, "hash": self.hash, "team_id": self.team, "app_id": world.APP}
        return defaults | self.now | more | {"state": {"values": {}}}


@dataclass
class Delivery:
    """One event, command or interaction on its way to the app, over all its attempts.

    `ack_seconds`: from the first attempt to the acknowledgement, by the fake's clock.
    """

    kind: str
    payload: Payload
    attempts: int = 0
    acked: bool = False
    failed: str | None = None
    ack_payload: Any = None
    sent_at: float = 0.0
    ack_seconds: float | None = None


@dataclass
class ResponseUrl:
    user: str
    channel: str
    until: float
    uses: int = 0
    team: str = world.TEAM
    original: Message | Private | None = None


@dataclass
class Failure:
    error: str
    status: int
    retry_after: int | None


@dataclass
class Grant:
    """What a bot token may do."""

    team: str
    scopes: set[str]
    until: float | None = None  # monotonic; None: does not expire
    problem: str | None = None  # "token_expired", "token_revoked", "account_inactive"
    refresh_token: str | None = None


def shown(message: Payload) -> str:
    blocks = message.get("blocks") or []
    texts = [text["text"] for block in blocks for text in kit.texts_of(block)]
    if message.get("markdown_text"):
        texts.insert(0, message["markdown_text"])
    return "\n".join(texts) if texts else message.get("text") or ""


def elements(message: Payload) -> Iterator[Payload]:
    """The interactive elements of a message or view, each with the id of its block."""
    for number, block in enumerate(message.get("blocks") or []):
        for element in kit.elements_of(block):
            yield {**element, "block_id": block.get("block_id") or f"block-{number}"}


class Workspace:
    """State shared by the sides of the fake. Tests read it from their own thread: lists only
    grow, and what stands in them is not taken apart again."""

    def __init__(
        self, manifest: Mapping[str, Any], *, speed: float, extra_events: tuple[str, ...]
    ) -> None:
        features = manifest["features"]
        self.manifest = manifest
        self.scopes = set(manifest["oauth_config"]["scopes"]["bot"])
        self.events = set(manifest["settings"]["event_subscriptions"]["bot_events"])
        self.extra_events = set(extra_events)
        self.commands = {entry["command"] for entry in features["slash_commands"]}
        self.shortcuts = {
            entry["callback_id"]: entry["type"] for entry in features.get("shortcuts", [])
        }
        self.speed = speed
        self.base_url = ""
        self.app_token = f"xapp-1-{secrets.token_hex(12)}"
        self.signing_secret = secrets.token_hex(16)
        self.client_id = "1234.5678"
        self.client_secret = secrets.token_hex(16)
        self.grants: dict[str, Grant] = {}
        self.codes: dict[str, str] = {}  # of an OAuth redirect → the workspace
        self.token_seconds: float | None = None  # of tokens given by OAuth; None: for ever
        self.bot_token = self.new_grant(world.TEAM)
        self.stream_seconds = 300.0
        self.stream_appends: int | None = None
        self.violations: list[str] = []
        self.too_early: list[Call] = []  # sent although a Retry-After had not passed
        self.calls: list[Call] = []
        self.bot_messages: list[Message] = []
        self.private: list[Private] = []
        self.views: list[View] = []
        self.statuses: list[Payload] = []
        self.prompts: list[Payload] = []
        self.deliveries: list[Delivery] = []
        self.tickets: dict[str, float] = {}  # for one connection each, until then
        self.triggers: dict[str, tuple[float, str, str]] = {}  # → until, user, team
        self.response_urls: dict[str, ResponseUrl] = {}
        self.failures: dict[str, list[Failure]] = {}
        self.trigger_seconds = 3.0

    def new_grant(self, team: str, *, rotates: bool = False) -> str:
        """A fresh bot token for a workspace."""
        token = f"xox{'e.xoxb' if rotates else 'b'}-{secrets.token_hex(12)}"
        until = None
        if rotates and self.token_seconds is not None:
            until = time.monotonic() + self.token_seconds
        refresh = f"xoxe-1-{secrets.token_hex(12)}" if rotates else None
        self.grants[token] = Grant(team, self.scopes, until, None, refresh)
        return token

    def new_response_url(
        self,
        user: str,
        channel: str,
        team: str = world.TEAM,
        original: Message | Private | None = None,
    ) -> str:
        secret = secrets.token_hex(8)
        until = time.monotonic() + 1800 / self.speed
        known = ResponseUrl(user, channel, until, team=team, original=original)
        self.response_urls[secret] = known
        return f"{self.base_url}/commands/{secret}"

    def new_trigger(self, user: str, team: str) -> str:
        """Good for one view, for three seconds."""
        trigger = world.new_trigger_id()
        self.triggers[trigger] = (time.monotonic() + self.trigger_seconds, user, team)
        return trigger

    def new_socket_url(self) -> str:
        ticket = secrets.token_hex(8)
        self.tickets[ticket] = time.monotonic() + 30.0
        return f"{self.base_url.replace('http', 'ws', 1)}/link?ticket={ticket}"

    def judge(self, message: Mapping[str, Any], keys: frozenset[str], where: str) -> str | None:
        """Slack's error for a message, or None; everything to complain of is written down."""
        return self._noted(rules.judge(message), set(message) - keys, where)

    def judge_view(self, view: Any, where: str) -> str | None:
        return self._noted(rules.judge_view(view), set(), where)

    def _noted(self, verdict: rules.Verdict, unknown: set[str], where: str) -> str | None:
        found = list(verdict.complaints) + ([verdict.error] if verdict.error else [])
        if unknown:
            found.append(f"unknown arguments {sorted(unknown)}")
        self.violations += [f"{where}: {complaint}" for complaint in found]
        return verdict.error
