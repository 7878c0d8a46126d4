"""One view → the messages that show it: contents, where they go, which of them carries buttons. Pure.

A short answer is one message. A longer one is some; what is longer than `Room` allows goes on in a thread
or lies whole in a file, and the last message here says so. Small print is never cut off: it ends the
last message, wherever that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from discord import ui

from bot.core.sentences import speaker
from bot.core.surface import Control, View
from bot.on_discord import markdown
from bot.on_discord.pages import PAGE_CHARACTERS, closed, pages

Beyond = Literal["thread", "file"]

FILE_NAME = "answer.md"
_NOTE_CHARACTERS = 160
"""Kept free on every page for lines about where an answer goes on, or came from."""
_PAGE = PAGE_CHARACTERS - _NOTE_CHARACTERS
_MOST_IN_THREAD = 25


@dataclass(frozen=True)
class Room:
    """How much of an answer may stand where it was asked for, and where the rest goes."""

    most_pages: int = 3
    beyond: Beyond = "file"


@dataclass(frozen=True)
class Part:
    """One message of an answer.

    Attributes:
        in_thread: it goes on in a thread under the first message.
        file: text of an attached Markdown file; "" for none.
        controls: buttons, of the answer `answer_id`.
    """

    content: str
    answer_id: str = ""
    locale: str = "en"
    controls: tuple[Control, ...] = ()
    in_thread: bool = False
    file: str = ""
    file_name: str = FILE_NAME
    components: ui.View | None = None
    """Something else than the buttons of `controls`."""


def parts(view: View, room: Room) -> list[Part]:
    """The messages, in order; at least one."""
    contents = pages(markdown.whole(view), limit=_PAGE)
    if not contents:
        contents = [speaker(view.locale)("thinking")]
    here, file = contents, ""
    beyond: list[str] = []
    if len(contents) > room.most_pages:
        if room.beyond == "thread" and len(contents) <= room.most_pages + _MOST_IN_THREAD:
            here, beyond = contents[: room.most_pages], contents[room.most_pages :]
            here[-1] += f"\n-# {speaker(view.locale)('discord-goes-on-in-thread')}"
        else:
            here, file = _with_file(view, contents, room.most_pages)
    built = [Part(content, view.answer_id, view.locale) for content in here]
    built += [Part(content, view.answer_id, view.locale, in_thread=True) for content in beyond]
    last = built[-1]
    built[-1] = Part(last.content, view.answer_id, view.locale, view.controls, last.in_thread, file)
    return built


def _with_file(view: View, contents: list[str], most: int) -> tuple[list[str], str]:
    """What stands here while the whole lies in a file, and the file."""
    if not view.ended:
        return contents[:most], ""
    note = f"-# {speaker(view.locale)('discord-whole-in-file', file=FILE_NAME)}"
    end = f"{note}\n{markdown.small_print(view)}"
    if len(pages(end, limit=_PAGE)) > 1:
        end = f"{note}\n{markdown.footnotes(view)}"
    room = PAGE_CHARACTERS - len(end.encode("utf-16-le", "surrogatepass")) // 2 - 8
    head = pages(markdown.said(view), limit=_PAGE)[: most - 1]
    if most > 1 and room > _NOTE_CHARACTERS:
        return [*head, end], markdown.whole(view)
    first = pages(markdown.said(view), limit=max(room, _NOTE_CHARACTERS))[0]
    return [f"{closed(first)}\n{end}"], markdown.whole(view)
