"""What a person reads on Discord: a `View` as Discord Markdown, with nothing in it that harms. Pure.

Out comes one string of any length; `layout` cuts it into messages. A finished answer looks like this
(`-#` is Discord's small print, `<…>` keeps preview cards away):

    -# Alice asked Abraham Lincoln: What holds a nation together?

    A house divided against itself cannot stand.

    -# Sources
    -# 1. [Second Annual Message](<https://example.org/2>), 1862-12-01
    -# — An imitation of Abraham Lincoln, not the person
"""

from __future__ import annotations

import re

from discord.utils import escape_markdown

from bot.core.sentences import speaker
from bot.core.surface import View
from bot.on_discord.harmless import quiet
from bot.on_discord.pages import URL_PATTERN, closed
from personae.wire import Citation, PersonaCard

_TITLE_CHARACTERS = 150
_URL_CHARACTERS = 500
_HEADING_CHARACTERS = 350
_DESCRIPTION_CHARACTERS = 300


def whole(view: View) -> str:
    """Everything that is to be seen of an answer."""
    small = small_print(view)
    words = said(view)
    return f"{closed(words)}\n\n{small}" if small else words


def said(view: View) -> str:
    """The heading, the words, and of a rewrite what changed."""
    parts = [heading(view), quiet(view.text)]
    if view.difference:
        title = speaker(view.locale)("discord-changes")
        parts[-1] = closed(parts[-1])
        parts.append(f"-# {title}\n{quiet(view.difference)}")
    return "\n\n".join(part for part in parts if part)


def heading(view: View) -> str:
    """The line above an answer: Discord shows others who asked, but not what."""
    if not view.heading:
        return ""
    # A code block that the question opens would swallow the answer, so there is none.
    line = shortened(view.heading, _HEADING_CHARACTERS).replace("`", "'")
    return f"-# {quiet(escape_markdown(line))}"


def small_print(view: View) -> str:
    """Sources and footnotes, a line each; "" while there are none."""
    lines = [_citation(citation) for citation in view.sources]
    if lines:
        lines.insert(0, speaker(view.locale)("sources"))
    lines += [quiet(" ".join(line.split())) for line in view.footnotes]
    return "\n".join(f"-# {line}" for line in lines)


def footnotes(view: View) -> str:
    """The part of the small print that no answer goes without."""
    return "\n".join(f"-# {quiet(' '.join(line.split()))}" for line in view.footnotes)


def card_line(card: PersonaCard) -> str:
    """One persona of a list."""
    line = f"**{escape_markdown(card.display_name)}** (`{card.id}`)"
    if card.adapter_version:
        line += f" {card.adapter_version}"
    if card.description:
        line += f": {quiet(shortened(card.description, _DESCRIPTION_CHARACTERS))}"
    return f"{line}\n-# {quiet(shortened(card.notice, 300))}" if card.notice else line


def shortened(text: str, most: int) -> str:
    """`text` on one line of at most `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def _citation(citation: Citation) -> str:
    title = shortened(citation.title, _TITLE_CHARACTERS) or "Untitled"
    # Brackets would end a link's label, and Discord shows no link under a label that has one.
    label = quiet(escape_markdown(title)).replace("[", "(").replace("]", ")")
    url = citation.url.replace("(", "%28").replace(")", "%29")
    if re.fullmatch(URL_PATTERN, url) and len(url) <= _URL_CHARACTERS and "://" not in label:
        label = f"[{label}](<{url}>)"
    line = f"{citation.number}. {label}"
    return f"{line}, {citation.date}" if citation.date else line
