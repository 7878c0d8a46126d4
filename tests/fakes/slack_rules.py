"""What the real Slack accepts, as pure functions: sizes, block shapes, arguments, scopes, rates, pings.

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

TEXT_CHARACTERS = 4_000
SECTION_CHARACTERS = 3_000
MARKDOWN_CHARACTERS = 12_000
ALL_BLOCKS_CHARACTERS = 13_200
BLOCKS = 50
CONTEXT_ELEMENTS = 10

_BODY = frozenset({"text", "blocks", "metadata"})
_MESSAGE = _BODY | {"channel", "markdown_text", "parse", "link_names", "reply_broadcast"}

ARGUMENTS: Mapping[str, frozenset[str]] = {
    "auth.test": frozenset({"team_id"}),  # bolt sends team_id with every method
    "apps.connections.open": frozenset(),
    "users.info": frozenset({"user", "include_locale"}),
    "chat.postMessage": _MESSAGE | {"thread_ts", "mrkdwn", "unfurl_links", "unfurl_media"},
    "chat.update": _MESSAGE | {"ts"},
}
"""Every method the fake knows, with its arguments. Deprecated ones are left out."""

SCOPES: Mapping[str, str] = {
    "users.info": "users:read",
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
}
EVENT_SCOPES: Mapping[str, str] = {"app_mention": "app_mentions:read", "message.im": "im:history"}

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
    if not text and not blocks:
        verdict.error = "no_text"
        return verdict
    if text is not None and len(text) > TEXT_CHARACTERS:
        verdict.error = "msg_too_long"
        return verdict
    verdict.complaints += markup_complaints(text or "")
    if blocks is None:
        return verdict
    if not isinstance(blocks, list) or len(blocks) > BLOCKS:
        verdict.error = "invalid_blocks"
        return verdict
    for block in blocks:
        problem = _block_problem(block)
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


def texts_of(block: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The text objects of a block."""
    if block["type"] == "section":
        return [block["text"]]
    if block["type"] == "context":
        return list(block["elements"])
    return []


def _block_problem(block: Any) -> str | None:
    if not isinstance(block, dict):
        return "a block is no object"
    kind = block.get("type")
    allowed = {"section": {"text"}, "context": {"elements"}, "divider": set()}
    if kind not in allowed:
        return f"block type {kind!r}"
    extra = set(block) - allowed[kind] - {"type", "block_id"}
    if extra:
        return f"{kind} has unknown keys {sorted(extra)}"
    if kind == "section":
        return _text_problem(block.get("text"))
    if kind == "context":
        elements = block.get("elements")
        if not isinstance(elements, list) or not 1 <= len(elements) <= CONTEXT_ELEMENTS:
            return "context needs 1 to 10 elements"
        return next(filter(None, map(_text_problem, elements)), None)
    return None


def _text_problem(text: Any) -> str | None:
    if not isinstance(text, dict) or text.get("type") not in {"mrkdwn", "plain_text"}:
        return "no text object"
    extra = set(text) - {"type", "text", "verbatim" if text["type"] == "mrkdwn" else "emoji"}
    if extra:
        return f"text object has unknown keys {sorted(extra)}"
    if not isinstance(text.get("text"), str) or not text["text"].strip():
        return "text object is empty"
    if len(text["text"]) > SECTION_CHARACTERS:
        return f"text object of {len(text['text'])} characters"
    return None


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
    for block in message.get("blocks") or []:
        for part in texts_of(block):
            if part["type"] == "mrkdwn":
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
