"""An `Answer` as Slack messages: pages of Block Kit blocks inside Slack's size limits. Pure.

A page is one message. While an answer grows its pages grow; when it is finished the sources and the
disclosure stand below it, on the last page. Limits: text object 3,000 characters and block 50 a
message (https://docs.slack.dev/reference/block-kit/blocks), and about 13,200 characters in all
blocks of a message, which Slack enforces without documenting it (bolt-js issue 2509).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bot.core import sentences
from bot.core.answer import Answer
from bot.on_slack.text import escape, link, sections
from personae.wire import Citation, ErrorEvent

SECTION_CHARACTERS = 2_900
PAGE_CHARACTERS = 12_000
PAGE_BLOCKS = 45
_PREVIEW_CHARACTERS = 300
_LINE_CHARACTERS = 500  # escaping makes it five times as long at worst: 2,500
_TITLE_CHARACTERS = 200

Block = dict[str, Any]


@dataclass(frozen=True)
class Page:
    """One message: `text` is what notifications show, `blocks` what the channel shows."""

    text: str
    blocks: list[Block]


def pages(answer: Answer, heading: str = "") -> list[Page]:
    """The messages of an answer, at least one; before its first word, a placeholder.

    Args:
        heading: a plain line above the answer, for example who asked what.
    """
    said = answer.text() or sentences.THINKING
    body = sections(said, SECTION_CHARACTERS) or [sentences.THINKING]
    groups = [_context([heading]), *([_section(piece)] for piece in body)]
    if answer.finished:
        tail = _sources(answer.citations) + _context(answer.footnotes())
        groups += [tail] if _fits(tail) else [[block] for block in tail]
    filled: list[list[Block]] = [[]]
    for group in groups:
        if not _fits(filled[-1] + group):
            filled.append([])
        filled[-1] += group
    previews = [_preview(said)] + [sentences.CONTINUED] * (len(filled) - 1)
    return [Page(text, blocks) for text, blocks in zip(previews, filled, strict=True)]


def sentence_pages(text: str) -> list[Page]:
    """One of our own sentences, as messages."""
    return pages(Answer(error=ErrorEvent(code="sentence", message=text)))


def _section(mrkdwn: str) -> Block:
    return {"type": "section", "text": _text(mrkdwn)}


def _context(lines: list[str]) -> list[Block]:
    """Small grey text, one element a line that is not blank; Slack allows ten. No lines, no block."""
    shown = [escape(_cut(line, _LINE_CHARACTERS)) for line in lines]
    elements = [_text(line) for line in shown if line.strip()]
    return [{"type": "context", "elements": elements[:10]}] if elements else []


def _text(mrkdwn: str) -> Block:
    # verbatim: otherwise Slack itself looks for @here, #channel and addresses in the plain text.
    return {"type": "mrkdwn", "text": mrkdwn, "verbatim": True}


def _sources(citations: list[Citation]) -> list[Block]:
    """Sections listing the sources, as many as are needed."""
    blocks: list[Block] = []
    held = f"*{sentences.SOURCES}*"
    for citation in citations:
        line = f"{citation.number}. {link(citation.url, _cut(citation.title, _TITLE_CHARACTERS))}"
        if citation.date:
            line += f", {escape(_cut(citation.date, 40))}"
        if len(held) + 1 + len(line) > SECTION_CHARACTERS:
            blocks.append(_section(held))
            held = line
        else:
            held += "\n" + line
    return [*blocks, _section(held)] if citations else []


def _fits(blocks: list[Block]) -> bool:
    return len(blocks) <= PAGE_BLOCKS and sum(map(_characters, blocks)) <= PAGE_CHARACTERS


def _characters(block: Block) -> int:
    texts = block["elements"] if block["type"] == "context" else [block["text"]]
    return sum(len(text["text"]) for text in texts)


def _preview(said: str) -> str:
    return escape(_cut(said, _PREVIEW_CHARACTERS)) or sentences.THINKING


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "…"
