"""What the real Slack accepts, as pure functions: sizes, arguments, scopes, rates, pings.

Stricter than the platform on purpose: where Slack would ignore an unknown argument or quietly show
broken markup, a complaint is returned, and the fake fails the test with it. Sources: the method and
Block Kit references at https://docs.slack.dev/reference; the 13,200 characters of all blocks are
undocumented (bolt-js issue 2509), the 4,000 of `text` are today's (ChatGPT-in-Slack issue 102).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.slack_blocks import (
    MESSAGE_BLOCKS,
    check_blocks,
    check_view,
    problem_of,
    texts_of,
)

TEXT_CHARACTERS = 4_000
ALL_BLOCKS_CHARACTERS = 13_200
BLOCKS = 50
STREAM_CHARACTERS = 12_000  # of one append; of the whole message about what a message may hold
MESSAGE_CHARACTERS = 40_000

_BODY = frozenset({"text", "blocks", "metadata"})
_AUTHOR = frozenset({"username", "icon_url", "icon_emoji"})
_MESSAGE = _BODY | {"channel", "markdown_text", "parse", "link_names", "reply_broadcast"}
_STREAM = frozenset({"channel", "markdown_text", "chunks"})

ARGUMENTS: Mapping[str, frozenset[str]] = {
    "auth.test": frozenset({"team_id"}),  # bolt sends team_id with every method
    "apps.connections.open": frozenset(),
    "users.info": frozenset({"user", "include_locale"}),
    "chat.postMessage": _MESSAGE
    | _AUTHOR
    | {"thread_ts", "mrkdwn", "unfurl_links", "unfurl_media"},
    "chat.postEphemeral": _BODY
    | _AUTHOR
    | {"channel", "user", "thread_ts", "parse", "link_names", "markdown_text"},
    "chat.update": _MESSAGE | {"ts"},
    "chat.delete": frozenset({"channel", "ts"}),
    "chat.startStream": _STREAM
    | _AUTHOR
    | {"thread_ts", "recipient_team_id", "recipient_user_id", "task_display_mode"},
    "chat.appendStream": _STREAM | {"ts"},
    "chat.stopStream": _STREAM | {"ts", "blocks", "metadata", "session_status"},
    "views.open": frozenset({"trigger_id", "view"}),
    "views.update": frozenset({"view", "view_id", "external_id", "hash"}),
    "views.publish": frozenset({"user_id", "view", "hash"}),
    "assistant.threads.setStatus": _AUTHOR
    | {"channel_id", "thread_ts", "status", "loading_messages"},
    "assistant.threads.setSuggestedPrompts": frozenset(
        {"channel_id", "thread_ts", "title", "prompts"}
    ),
    "assistant.threads.setTitle": frozenset({"channel_id", "thread_ts", "title"}),
    "agents.sessions.setStatus": _AUTHOR
    | {"channel_id", "thread_ts", "status", "title", "initiator_user_id"},
    "oauth.v2.access": frozenset(
        {"code", "redirect_uri", "grant_type", "refresh_token", "client_id", "client_secret"}
    ),
    "auth.revoke": frozenset({"test"}),
}
"""Every method the fake knows, with its arguments. Deprecated ones are left out."""

SCOPES: Mapping[str, str] = {
    "users.info": "users:read",
    "assistant.threads.setStatus": "assistant:write",
    "assistant.threads.setSuggestedPrompts": "assistant:write",
    "assistant.threads.setTitle": "assistant:write",
    "agents.sessions.setStatus": "chat:write",
} | {method: "chat:write" for method in ARGUMENTS if method.startswith("chat.")}
CUSTOMIZE = "chat:write.customize"
"""The scope to write under another name or picture."""

EVENT_SCOPES: Mapping[str, str | None] = {
    "app_mention": "app_mentions:read",
    "message.im": "im:history",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.mpim": "mpim:history",
    "app_home_opened": None,
    "agent_session_stopped": "assistant:write",
    "app_uninstalled": None,
    "tokens_revoked": None,
}

RATES: Mapping[str, tuple[float, float]] = {
    "chat.postMessage": (3, 1.0),  # per channel; Slack tolerates short bursts
    "chat.postEphemeral": (100, 60 / 100),
    "chat.update": (50, 60 / 50),
    "chat.delete": (50, 60 / 50),
    "chat.startStream": (20, 60 / 20),
    "chat.appendStream": (100, 60 / 100),
    "chat.stopStream": (20, 60 / 20),
    "views.open": (100, 60 / 100),
    "views.update": (100, 60 / 100),
    "views.publish": (100, 60 / 100),
    "users.info": (100, 60 / 100),
    "assistant.threads.setStatus": (100, 60 / 100),
    "assistant.threads.setSuggestedPrompts": (100, 60 / 100),
    "agents.sessions.setStatus": (50, 60 / 50),
}
"""Method → (calls at once, seconds until there is one more), per workspace: Slack's tiers
(https://docs.slack.dev/apis/web-api/rate-limits)."""

RESPONSE_URL_KEYS = _BODY | {"response_type", "replace_original", "delete_original"}
RESPONSE_URL_KEYS |= {"thread_ts", "unfurl_links", "unfurl_media"}

_REFERENCE = re.compile(r"<([@!#][^<>]*)>")
_LINK = re.compile(r"<(?:https?://|mailto:)[^\s<>|]+(?:\|[^<>\n]+)?>")
_ADDRESS = re.compile(r"<https?://[^\s<>|]+")
_ENTITY = re.compile(r"&(?!amp;|lt;|gt;)")
_PLAIN_BROADCAST = re.compile(r"(?<![\w.])@(here|channel|everyone|group)\b", re.IGNORECASE)


@dataclass
class Verdict:
    """`error` is what Slack answers; `complaints` are what it would put up with and we don't."""

    error: str | None = None
    complaints: list[str] = field(default_factory=list)


def judge(message: Mapping[str, Any]) -> Verdict:
    """One message as it is sent, to any of the ways of sending one."""
    verdict = Verdict()
    text, blocks = message.get("text"), message.get("blocks")
    markdown = message.get("markdown_text")
    if not text and not blocks and not markdown:
        verdict.error = "no_text"
        return verdict
    if markdown is not None and (text or blocks):
        verdict.error = "markdown_text_conflict"
        return verdict
    if markdown is not None and len(markdown) > STREAM_CHARACTERS:
        verdict.error = "msg_too_long"
        return verdict
    if text is not None and len(text) > TEXT_CHARACTERS:
        verdict.error = "msg_too_long"
        return verdict
    verdict.complaints += markup_complaints(text or "")
    if blocks is None:
        return verdict
    problem = problem_of(lambda: check_blocks(blocks, MESSAGE_BLOCKS, BLOCKS))
    if problem:
        verdict.error = "invalid_blocks"
        verdict.complaints.append(f"invalid_blocks: {problem}")
        return verdict
    texts = [part for block in blocks for part in texts_of(block)]
    if sum(len(part["text"]) for part in texts) > ALL_BLOCKS_CHARACTERS:
        verdict.error = "msg_blocks_too_long"
    for part in texts:
        if part["type"] == "mrkdwn":
            verdict.complaints += markup_complaints(part["text"])
    return verdict


def judge_view(view: Any) -> Verdict:
    """A modal or an App Home as it is opened, updated, pushed or published."""
    problem = problem_of(lambda: check_view(view))
    if problem:
        return Verdict("invalid_arguments", [f"view: {problem}"])
    texts = [part for block in view["blocks"] for part in texts_of(block)]
    complaints = [
        complaint
        for part in texts
        if part["type"] == "mrkdwn"
        for complaint in markup_complaints(part["text"])
    ]
    return Verdict(None, complaints)


def markup_complaints(text: str) -> list[str]:
    """Control sequences that are neither whole links nor escaped: cut links, stray brackets."""
    rest = _REFERENCE.sub("", _LINK.sub("", text))
    complaints = [f"stray {mark!r} in {text[:80]!r}" for mark in "<>" if mark in rest]
    if _ENTITY.search(rest):
        complaints.append(f"bare or cut & in {text[:80]!r}")
    if text.count("```") % 2:
        complaints.append(f"code fence left open in {text[:80]!r}")
    return complaints


def pings(message: Mapping[str, Any]) -> set[str]:
    """Whom a message notifies: user ids, `here`, `channel`, `everyone`, `subteam^…`.

    `parse` as Slack treats it: "client" (the default of chat.update) and "full" look for @here in
    plain text, as do mrkdwn text objects that are not verbatim; `link_names` does too.
    """
    loose = message.get("parse") in {"client", "full"} or bool(message.get("link_names"))
    found: set[str] = set()
    parts: list[tuple[str, bool]] = [(message.get("text") or "", loose)]
    parts.append((message.get("markdown_text") or "", True))
    for block in message.get("blocks") or []:
        for part in texts_of(block):
            if part["type"] in {"mrkdwn", "markdown"}:
                parts.append((part["text"], loose or not part.get("verbatim")))
    for text, parsed in parts:
        for reference in _REFERENCE.findall(text):
            target = reference.partition("|")[0]
            if target[0] in "@!" and not target.startswith("!date"):
                found.add(target[1:])
        if parsed:
            plain = _ADDRESS.sub("<", text)
            found |= {name.lower() for name in _PLAIN_BROADCAST.findall(plain)}
    return found


class TokenBucket:
    """`burst` calls at once, then one every `seconds`. The clock is given with each call."""

    def __init__(self, burst: float, seconds: float) -> None:
        self._burst, self._seconds = burst, seconds
        self._tokens, self._at = burst, 0.0

    def wait_seconds(self, now: float) -> float:
        """0 and one token taken, or the time until there is one."""
        gained = (now - self._at) / self._seconds if self._at else 0.0
        self._tokens, self._at = min(self._burst, self._tokens + gained), now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) * self._seconds
