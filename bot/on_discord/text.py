"""What a person reads on Discord: answers, sources and adapter lists as Discord Markdown. Pure.

In: an `Answer` or a wire object. Out: one string of any length; `pages` cuts it up. A
finished answer looks like this (`-#` is Discord's small print, `<…>` keeps preview cards away):

    -# Alice asked Abraham Lincoln: What holds a nation together?

    A house divided against itself cannot stand.

    -# Sources
    -# 1. [Second Annual Message](<https://example.org/2>), 1862-12-01
    -# — An imitation of Abraham Lincoln, not the person
"""

from __future__ import annotations

import re

from discord.utils import escape_markdown, escape_mentions

from bot.core import sentences
from bot.core.answer import Answer
from bot.on_discord.pages import URL_PATTERN, closed
from personae.wire import AdapterList, Citation, PersonaAdapters

_TITLE_CHARACTERS = 150
_URL_CHARACTERS = 500
_QUESTION_CHARACTERS = 300

# In this order: what stands first is not looked into for what stands later.
_QUIET = re.compile(
    rf"(?P<code>```.*?(?:```|\Z)|`[^`\n]+`)"
    rf"|\[(?P<label>[^\[\]\n]*)\]\(<?(?P<target>{URL_PATTERN})>?\)"
    rf"|(?P<angled><{URL_PATTERN}>)"
    rf"|(?P<bare>{URL_PATTERN})"
    rf"|(?P<mention>@(?:everyone|here|[!&]?[0-9]+))",
    re.DOTALL,
)
_AFTER_URL = ".,;:!?'\"*_~|`]}”’"


def question_line(who: str, persona: str, question: str) -> str:
    """The line above an answer: Discord shows others who asked, but not what."""
    # A code block that the question opens would swallow the answer, so there is none.
    asked = _shortened(question, _QUESTION_CHARACTERS).replace("`", "'")
    return f"-# {quiet(escape_markdown(sentences.asked(who, persona, asked)))}\n\n"


def growing(answer: Answer) -> str:
    """An answer that is still being written."""
    return quiet(answer.text())


def finished(answer: Answer) -> str:
    """An answer that has ended: its words, its sources, what it is."""
    small = [_citation(citation) for citation in answer.citations]
    if small:
        small.insert(0, sentences.SOURCES)
    small += [quiet(" ".join(line.split())) for line in answer.footnotes()]
    words = quiet(answer.text())
    if not small:
        return words
    return closed(words) + "\n\n" + "\n".join(f"-# {line}" for line in small)


def quiet(text: str) -> str:
    """The model's words with nothing that pings and nothing that unfolds a preview card.

    `AllowedMentions.none()` already keeps Discord from pinging; the zero-width space keeps the
    words from pinging when another bot or a person repeats them. Code and addresses stay as they are.
    """
    return _QUIET.sub(_quiet_token, text)


def _quiet_token(token: re.Match[str]) -> str:
    if token["target"]:
        return f"[{escape_mentions(token['label'])}](<{token['target']}>)"
    if token["bare"]:
        url = token["bare"].rstrip(_AFTER_URL)
        return f"<{url}>{token['bare'][len(url) :]}"
    if token["mention"]:
        return f"@\u200b{token['mention'][1:]}"
    return token.group()


def _citation(citation: Citation) -> str:
    title = _shortened(citation.title, _TITLE_CHARACTERS) or "Untitled"
    # Brackets would end a link's label, and Discord shows no link under a label that has one.
    label = escape_markdown(escape_mentions(title)).replace("[", "(").replace("]", ")")
    url = citation.url.replace("(", "%28").replace(")", "%29")
    if re.fullmatch(URL_PATTERN, url) and len(url) <= _URL_CHARACTERS and "://" not in label:
        label = f"[{label}](<{url}>)"
    line = f"{citation.number}. {label}"
    return f"{line}, {citation.date}" if citation.date else line


def _shortened(text: str, most: int) -> str:
    """`text` on one line of at most `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def adapter_list(adapters: AdapterList) -> str:
    """One paragraph for each persona: what is live, what else there is, what is wrong with it."""
    if not adapters.personas:
        return sentences.NO_PERSONAS
    return "\n".join(_adapters_of(persona) for persona in adapters.personas)


def _adapters_of(persona: PersonaAdapters) -> str:
    head = f"**{escape_markdown(persona.persona)}**: "
    if persona.live is None:
        head += "no adapter is live, it speaks by prompt only."
    elif persona.previous is None:
        head += f"{persona.live} is live."
    else:
        head += f"{persona.live} is live, {persona.previous} was before it."
    others = [info.version for info in persona.versions if info.state == "available"]
    if others:
        head += f" Also in the registry: {', '.join(others)}."
    broken = [
        f"-# {info.version} can't be used: {quiet(info.problem or 'no reason is given')}"
        for info in persona.versions
        if info.state == "unusable"
    ]
    return "\n".join([head, *broken])
