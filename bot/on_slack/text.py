"""Text between people on Slack and personae: what was typed in, what mrkdwn goes out. Pure.

In: the text of an event (`<@U1> lincoln Why &amp; how?`) or of a slash command → `Typed`.
Out: a model's Markdown-ish text → pieces of Slack mrkdwn, each whole in itself (no link, entity or
code fence is cut in two) and none of which can ping anybody.

It knows nothing of blocks, messages or connections. Sources: Slack's "Formatting message text",
https://docs.slack.dev/messaging/formatting-message-text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Task = Literal["ask", "rewrite"]

_MARKUP = re.compile(r"<([^<>]*)>")
_TASK_WORD = re.compile(r"(ask|rewrite)\s+(?=\S)", re.IGNORECASE)
_BEFORE_NAME = "@`'\"*_“‘"
_AFTER_NAME = r"[`'\"*_”’]*\s*[:,;–—-]*(?:\s+|$)"
_FIRST_WORD = re.compile(rf"(?P<name>\S+?){_AFTER_NAME}")

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_BROADCAST = re.compile(r"(?<![\w.])@(?=(?:here|channel|everyone|group)\b)", re.IGNORECASE)
_TICKS = re.compile(r"``(?=`)")  # three would turn all that follows into code
_WORD_JOINER = "\u2060"
_URL_CHARACTERS = 1_000

_INLINE = re.compile(
    r"(?<!`)(?P<ticks>`{1,3})(?!`)(?P<code>[^`\n]+)(?P=ticks)(?!`)"
    r"|\[(?P<label>[^\[\]\n]{1,300})\]\((?P<url>https?://[^\s()<>|]+(?:\([^\s()<>|]*\)[^\s()<>|]*)*)\)"
    r"|(?P<bare>https?://[^\W_][^\s<>|`\"]*)"
    r"|\*\*(?=\S)(?P<bold>[^*\n]+?)(?<=\S)\*\*"
    r"|(?<![\w*])\*(?=\S)(?P<italic>[^*\n]+?)(?<=\S)\*(?![\w*])"
    r"|~~(?=\S)(?P<strike>[^~\n]+?)(?<=\S)~~"
)
_HEADING = re.compile(r"#{1,6}[ \t]+(?P<title>.*\S)")
_BULLET = re.compile(r"(?P<indent>[ \t]*)[-*+][ \t]+")
_FENCE = re.compile(r"[ \t]*```[^`]*$")
_OPEN, _CLOSE = "```\n", "```\n"
_ATOM = re.compile(r"\[[^\[\]\n]{1,300}\]\(https?://[^\s<>|]+\)\S*\s*|\S+\s*|\s+")


@dataclass(frozen=True)
class Typed:
    """What a person wants: `persona` is an id if the name was known, else as typed."""

    task: Task
    persona: str
    text: str


def as_typed(escaped: str) -> str:
    """Event text as the person saw it while typing: references by name, entities resolved."""
    text = _MARKUP.sub(lambda found: _reference(found[1]), escaped)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _reference(inside: str) -> str:
    target, _, label = inside.partition("|")
    if target[:1] in {"@", "#"}:
        return target[0] + (label or target[1:]).lstrip("@#")
    if target.startswith("!"):
        return label or "@" + target[1:].partition("^")[0]
    return label or target.removeprefix("mailto:")


def after_mention(escaped: str, bot_user_id: str) -> str:
    """The words for the bot: those after its mention, or before it when nothing follows."""
    mention = re.compile(rf"<@{re.escape(bot_user_id)}(?:\|[^<>]*)?>")
    found = mention.search(escaped)
    if found is None:
        return as_typed(escaped).strip()
    after = as_typed(mention.sub(" ", escaped[found.end() :])).strip()
    return after or as_typed(escaped[: found.start()]).strip()


def names_of(personas: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Lower-case name → id, from (id, display name) pairs. An id wins over a display name."""
    pairs = list(personas)
    names = {display_name.lower(): persona for persona, display_name in pairs}
    return names | {persona.lower(): persona for persona, _ in pairs}


def parse(text: str, names: Mapping[str, str], task: Task | None = None) -> Typed | None:
    """`[ask|rewrite] <persona> <text>` → `Typed`; None when the persona or the text is missing.

    With `task` given (a slash command) no task word is looked for. A display name of several words
    works as well as an id; an unknown name is taken as one word, for the gateway to suggest from.
    """
    rest = text.strip().lstrip(":,; ")
    if task is None:
        word = _TASK_WORD.match(rest)
        task = "rewrite" if word and word[1].lower() == "rewrite" else "ask"
        rest = rest[word.end() :] if word else rest
    rest = rest.lstrip(_BEFORE_NAME)
    for name in sorted(names, key=len, reverse=True):
        known = re.match(re.escape(name) + _AFTER_NAME, rest, re.IGNORECASE)
        if known is not None:
            said = rest[known.end() :].strip()
            return Typed(task, names[name], said) if said else None
    first = _FIRST_WORD.match(rest)
    said = rest[first.end() :].strip() if first else ""
    return Typed(task, first["name"].lower(), said) if first and said else None


def escape(text: str) -> str:
    """Plain text for any Slack text field: shown as it is, and nobody is pinged."""
    text = _BROADCAST.sub("@" + _WORD_JOINER, _entities(text))
    return _TICKS.sub("``" + _WORD_JOINER, text)


def _entities(text: str) -> str:
    text = _CONTROL.sub("", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def link(url: str, label: str) -> str:
    """A link in mrkdwn, or the plain label when the address is none that Slack would link."""
    label = escape(" ".join(label.replace("|", "/").split()) or url[:80])
    if not re.fullmatch(r"https?://[^\W_][^\s<>|]*", url) or len(_entities(url)) > _URL_CHARACTERS:
        return label
    return f"<{_entities(url)}|{label}>"


def sections(text: str, limit: int) -> list[str]:
    """Markdown-ish text → mrkdwn pieces of at most `limit` characters, cut at lines, then words."""
    pieces: list[str] = []
    current, in_code = "", False

    def close() -> None:
        nonlocal current, in_code
        whole = (current + _CLOSE if in_code else current).strip("\n")
        if whole.strip():
            pieces.append(whole)
        current, in_code = "", False

    for raw, code in _lines(_CONTROL.sub("", text)):
        parts = list(_parts(raw, code, limit - len(_OPEN) - len(_CLOSE) - 1))
        for number, part in enumerate(parts, start=1):
            shown = escape(part) if code else _line(part)
            # A code line must bring its own newline: the closing fence stands on its own line.
            shown += "" if shown.endswith("\n") or not code else "\n"
            switch = (_OPEN if code else _CLOSE) if code != in_code else ""
            if len(current) + len(switch) + len(shown) + len(_CLOSE) * code > limit:
                close()
                switch = _OPEN if code else ""
            current += switch + shown
            in_code = code
            if number < len(parts) and not part[-1].isspace():
                close()  # cut inside a word: side by side "@" and "here" would be a ping again
    close()
    return pieces


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """(line with its newline, is it code) for every line that is not itself a fence."""
    in_code = False
    for line in text.splitlines(keepends=True):
        if _FENCE.match(line.rstrip("\n")):
            in_code = not in_code
        else:
            yield line, in_code


def _parts(line: str, code: bool, limit: int) -> Iterator[str]:
    """A line, whole if it fits when rendered, else cut between words, else between characters."""
    if len(escape(line)) + 2 * line.count("http") <= limit:
        yield line
        return
    held, size = "", 0
    for atom in _ATOM.findall(line):
        cost = len(escape(atom) if code else _line(atom)) + 2
        if cost > limit:
            if held:
                yield held
            *full, held = _hard_cut(atom, limit)
            yield from full
            size = len(escape(held))
            continue
        if size + cost > limit:
            yield held
            held, size = "", 0
        held, size = held + atom, size + cost
    if held:
        yield held


def _hard_cut(atom: str, limit: int) -> list[str]:
    parts, size = [""], 0
    for character in atom:
        cost = len(escape(character)) + (character in "@`")
        if size + cost > limit - 2:
            parts.append("")
            size = 0
        parts[-1] += character
        size += cost
    return parts


def _line(line: str) -> str:
    """One line of Markdown that is not code → mrkdwn."""
    heading = _HEADING.match(line)
    if heading is not None:
        title = heading["title"].replace("*", "").rstrip("# ")
        return f"*{_inline(title)}*\n" if title else ""
    bullet = _BULLET.match(line)
    if bullet is not None and line[bullet.end() :].strip():
        return f"{bullet['indent']}• {_inline(line[bullet.end() :])}"
    return _inline(line)


def _inline(text: str) -> str:
    out, at = "", 0
    for found in _INLINE.finditer(text):
        out += escape(text[at : found.start()])
        at = found.end()
        if found["code"] is not None:
            out += found["ticks"] + escape(found["code"]) + found["ticks"]
        elif found["url"] is not None:
            out += link(found["url"], found["label"])
        elif found["bare"] is not None:
            url = _without_punctuation(found["bare"])
            out += f"<{_entities(url)}>"
            at = found.start() + len(url)
        elif found["bold"] is not None:
            out += f"*{_inline(found['bold'])}*"
        elif found["italic"] is not None:
            out += f"_{_inline(found['italic'])}_"
        else:
            out += f"~{_inline(found['strike'])}~"
    return out + escape(text[at:])


def _without_punctuation(url: str) -> str:
    """A bare address without the sentence's own punctuation; balanced brackets stay."""
    while url[-1] in ".,;:!?'*_~]}" or (url[-1] == ")" and url.count(")") > url.count("(")):
        url = url[:-1]
    return url
