"""A `View` as Slack messages: pages of Block Kit blocks inside Slack's size limits. Pure.

A page is one message. While an answer grows its pages grow; when it is finished the difference to the
original, the sources, the disclosure and the buttons stand below it, on the last page. A button's
action id is `p:<control>` and its value the answer's id, so a button works after any restart.

Limits: text object 3,000 characters and block 50 a message
(https://docs.slack.dev/reference/block-kit/blocks), and about 13,200 characters in all blocks of a
message, which Slack enforces without documenting it (bolt-js issue 2509).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.core.sentences import Say, speaker
from bot.core.surface import Control, View
from bot.on_slack.mrkdwn import escape, link, sections
from personae.wire import Citation

SECTION_CHARACTERS = 2_900
PAGE_CHARACTERS = 12_000
PAGE_BLOCKS = 45
_PREVIEW_CHARACTERS = 300
_LINE_CHARACTERS = 500  # escaping makes it five times as long at worst: 2,500
_TITLE_CHARACTERS = 200
_BUTTON_CHARACTERS = 75
_LONG_CHARACTERS = 800

PREFIX = "p:"
RATE = PREFIX + "rate"
"""The native pair of feedback buttons; its values are `up:<answer id>` and `down:<answer id>`."""

Block = dict[str, Any]


@dataclass(frozen=True)
class Page:
    """One message: `text` is what notifications show, `blocks` what the channel shows."""

    text: str
    blocks: list[Block]


def pages(view: View) -> list[Page]:
    """The messages of an answer, at least one; before its first word, a placeholder."""
    say = speaker(view.locale)
    said = view.text if view.text.strip() else say("thinking")
    body = sections(said, SECTION_CHARACTERS) or [say("thinking")]
    groups = [context([view.heading]), *([section(piece)] for piece in body)]
    if view.difference.strip() and view.ended:
        groups.append([section(f"*{escape(say('slack-difference'))}*")])
        groups += [[section(piece)] for piece in sections(view.difference, SECTION_CHARACTERS)]
    tail = tail_blocks(view)
    groups += [tail] if fit_one_message(tail) else [[block] for block in tail]
    filled: list[list[Block]] = [[]]
    for group in groups:
        if not fit_one_message(filled[-1] + group):
            filled.append([])
        filled[-1] += group
    previews = [preview(said)] + [escape(say("slack-continued"))] * (len(filled) - 1)
    return [Page(text, blocks) for text, blocks in zip(previews, filled, strict=True)]


async def pages_of(view: View) -> list[Page]:
    """The same. A long answer is made in a thread, so that it holds up nobody else."""
    if len(view.text) + len(view.difference) < _LONG_CHARACTERS:
        return pages(view)
    return await asyncio.to_thread(pages, view)


def tail_blocks(view: View) -> list[Block]:
    """What stands below the words: sources, notices and disclosure, buttons."""
    say = speaker(view.locale)
    blocks = _sources(view.sources, say) if view.ended else []
    if view.ended:
        blocks += context(view.footnotes)
    return blocks + buttons(view.controls, view.answer_id, say, private=view.private)


def sentence_pages(text: str, locale: str = "en") -> list[Page]:
    """One of our own sentences (Markdown), as messages."""
    return pages(View(answer_id="", phase="failed", text=text, locale=locale))


def buttons(
    controls: Sequence[Control], answer_id: str, say: Say, *, private: bool = False
) -> list[Block]:
    """The controls of an answer: the native feedback pair in public messages, buttons for the rest."""
    blocks: list[Block] = []
    rest = list(controls)
    if not private and "up" in rest and "down" in rest:
        rest = [control for control in rest if control not in ("up", "down")]
        good, bad = say("slack-good"), say("slack-bad")
        pair = {
            "type": "feedback_buttons",
            "action_id": RATE,
            "positive_button": {"text": plain(good), "value": f"up:{answer_id}"},
            "negative_button": {"text": plain(bad), "value": f"down:{answer_id}"},
        }
        blocks.append({"type": "context_actions", "elements": [pair]})
    if rest:
        elements = [button(control, answer_id, say) for control in rest]
        blocks.append({"type": "actions", "elements": elements})
    return blocks


def button(control: Control, answer_id: str, say: Say) -> Block:
    element = {
        "type": "button",
        "action_id": PREFIX + control,
        "text": plain(say(f"slack-button-{control}")),
        "value": answer_id,
    }
    if control == "share":
        element["style"] = "primary"
    if control == "delete":
        element["style"] = "danger"
    return element


def section(mrkdwn: str) -> Block:
    return {"type": "section", "text": _text(mrkdwn)}


def context(lines: list[str]) -> list[Block]:
    """Small grey text, one element a line that is not blank; Slack allows ten. No lines, no block."""
    shown = [escape(cut(line, _LINE_CHARACTERS)) for line in lines]
    elements = [_text(line) for line in shown if line.strip()]
    # The disclosure is the last line: of too many, it stays.
    return [{"type": "context", "elements": elements[:9] + elements[9:][-1:]}] if elements else []


def plain(text: str, characters: int = _BUTTON_CHARACTERS) -> Block:
    """A plain text object: Slack reads no markup in it."""
    return {"type": "plain_text", "text": cut(text, characters), "emoji": True}


def preview(said: str) -> str:
    return escape(cut(" ".join(said.split()), _PREVIEW_CHARACTERS))


def cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "…"


def _text(mrkdwn: str) -> Block:
    # verbatim: otherwise Slack itself looks for @here, #channel and addresses in the plain text.
    return {"type": "mrkdwn", "text": mrkdwn, "verbatim": True}


def _sources(citations: list[Citation], say: Say) -> list[Block]:
    """Sections listing the sources, as many as are needed."""
    blocks: list[Block] = []
    held = f"*{escape(say('sources'))}*"
    for citation in citations:
        line = f"{citation.number}. {link(citation.url, cut(citation.title, _TITLE_CHARACTERS))}"
        if citation.date:
            line += f", {escape(cut(citation.date, 40))}"
        if len(held) + 1 + len(line) > SECTION_CHARACTERS:
            blocks.append(section(held))
            held = line
        else:
            held += "\n" + line
    return [*blocks, section(held)] if citations else []


def fit_one_message(blocks: list[Block]) -> bool:
    return len(blocks) <= PAGE_BLOCKS and sum(map(_characters, blocks)) <= PAGE_CHARACTERS


def _characters(block: Block) -> int:
    if block["type"] == "section":
        return len(block["text"]["text"])
    if block["type"] == "context":
        return sum(len(text["text"]) for text in block["elements"])
    return 0
