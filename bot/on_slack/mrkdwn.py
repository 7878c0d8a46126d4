"""A model's Markdown → Slack mrkdwn that says the same and can do no harm. Pure.

The conversion is `slackify_markdown`'s, a renderer for markdown-it's tokens. Around it stands what a
bot has to see to and the library does not: every character that Slack reads as a command is escaped
(also in code and in labels, where the library lets them through), addresses are whole and true,
invisible characters and direction marks are gone, and a long text is cut into pieces each of which
is whole in itself: no link, entity, code span or fence is cut in two.

In: text as the model wrote it. Out: pieces of mrkdwn, none of which can ping anybody. `for_stream`
makes text harmless that Slack itself is to read as Markdown (`chat.appendStream`).

It knows nothing of blocks or messages. Source: Slack's "Formatting message text",
https://docs.slack.dev/messaging/formatting-message-text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from slackify_markdown.slackify import SlackifyMarkdown  # type: ignore[import-untyped]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_LINE_ENDS = re.compile(r"\r\n?|\u2028|\u2029|\x85|\x0b|\x0c")
_KEPT_FORMATS = "\u200c\u200d"  # joiners: Persian spelling, and emoji made of several
_BROADCAST = re.compile(r"(?<![\w.])@(?=(?:here|channel|everyone|group)\b)", re.IGNORECASE)
_STREAM_MENTION = re.compile(r"(?<=<)(?=[@!#])|(?<=@)(?<![\w.]@)(?=\w)")
_TICKS = re.compile(r"``(?=`)")  # three would turn all that follows into code
_WORD_JOINER = "\u2060"
_URL_CHARACTERS = 1_000

_BARE = re.compile(r"https?://[^\W_][^\s<>|`\"]*")
_ADDRESS = re.compile(r"https?://[^\W_][^\s<>|]*")
_LOOKS_LIKE_ADDRESS = re.compile(r"(?:https?:|www\.)|^[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}(?:/|$)", re.I)
_OPEN, _CLOSE = "```\n", "\n```"
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)
_ATOM = re.compile(r"<[^<>\n]*>\s*|`[^`\n]+`\s*|(?:[^\s<`&]|&(?:amp|lt|gt);)+\s*|\s+|.", re.DOTALL)
_CODE_ATOM = re.compile(r"(?:[^\s&]|&(?:amp|lt|gt);)+\s*|\s+|&")
_SIGN = re.compile(r"&(?:amp|lt|gt);|.", re.DOTALL)
_QUOTE_OPEN, _QUOTE_CLOSE = "\x03", "\x04"  # never in a text: `visible` drops them


def visible(text: str) -> str:
    """The text without what nobody sees but a screen obeys: control characters, direction marks,
    zero-width characters, tags. Line ends become "\\n"."""
    text = _CONTROL.sub("", _LINE_ENDS.sub("\n", text))
    if text.isascii():
        return text
    return "".join(
        c for c in text if c in _KEPT_FORMATS or unicodedata.category(c) not in {"Cf", "Cs", "Co"}
    )


def escape(text: str) -> str:
    """Plain text for any mrkdwn field: shown as it is, and nobody is pinged."""
    text = _BROADCAST.sub("@" + _WORD_JOINER, _entities(text))
    return _TICKS.sub("``" + _WORD_JOINER, text)


def _entities(text: str) -> str:
    return visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def link(url: str, label: str) -> str:
    """A link in mrkdwn, or the plain label when the address is none that Slack would link.

    A label that is itself an address is not shown over another one.
    """
    label = " ".join(visible(label).replace("|", "/").split())
    if not _ADDRESS.fullmatch(url) or len(_entities(url)) > _URL_CHARACTERS:
        return escape(label or url[:80])
    target = _entities(url)
    if not label or (_LOOKS_LIKE_ADDRESS.search(label) and label != url):
        return f"<{target}>"
    return f"<{target}|{escape(label)}>"


def for_stream(text: str) -> str:
    """Markdown that Slack itself is to render, with every mention in it broken.

    A longer text begins with what a shorter one gave, so that a stream can send the rest alone.
    """
    return _STREAM_MENTION.sub(_WORD_JOINER, visible(text))


def closed(text: str) -> str:
    """The end that a Markdown text needs so that no code fence stays open: "" or a fence."""
    return "" if len(_FENCE.findall(text)) % 2 == 0 else "\n```"


def sections(text: str, limit: int) -> list[str]:
    """Markdown → mrkdwn pieces of at most `limit` characters (60 at least), cut between blocks,
    else at lines, else between words."""
    pieces: list[str] = []
    held = ""
    for block, code in _blocks(visible(text)):
        whole = f"{_OPEN}{block}{_CLOSE}" if code else block
        if len(held) + len(whole) <= limit and whole.strip():
            held += whole
        else:
            if held.strip():
                pieces.append(held)
            *full, held = list(_cut(block, code, limit)) or [""]
            pieces += full
        held = f"{held.rstrip()}\n\n" if held.strip() else ""
        if len(held) >= limit:
            pieces.append(held)
            held = ""
    pieces.append(held)
    found = [piece.strip("\n").rstrip() for piece in pieces if piece.strip()]
    # Markdown that comes to nothing (a fence alone, quotes in quotes in quotes) is shown as it is.
    return found or [part.strip() for part in _cut(escape(text), False, limit) if part.strip()]


class _Harmless(SlackifyMarkdown):
    """The library's renderer with everything escaped. What it does well stays its own: emphasis,
    headings, lists, the space between blocks. `env["quotes"]` counts the quotes one is inside of."""

    def __init__(self, parser: MarkdownIt | None = None) -> None:
        super().__init__("")

    def renderInline(self, tokens: Sequence[Token], options: Any, env: Any) -> str:
        out: list[str] = []
        at = 0
        while at < len(tokens):
            if tokens[at].type == "link_open":
                end = next(n for n in range(at, len(tokens)) if tokens[n].type == "link_close")
                label = "".join(token.content for token in tokens[at:end])
                out.append(link(str(tokens[at].attrs.get("href", "")), _short(label)))
                at = end + 1
            else:
                out.append(super().renderInline(tokens[at : at + 1], options, env))
                at += 1
        return _TICKS.sub("``" + _WORD_JOINER, "".join(out))

    def text(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        said, out, at = tokens[idx].content, "", 0
        for found in _BARE.finditer(said):
            url = _without_punctuation(found[0])
            out += escape(said[at : found.start()]) + link(url, "")
            at = found.start() + len(url)
        return out + escape(said[at:])

    def code_inline(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return f"`{escape(tokens[idx].content.replace('`', 'ˋ'))}`"

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return link(str(tokens[idx].attrs.get("src", "")), _short(tokens[idx].content))

    def blockquote_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        env["quotes"] = env.get("quotes", 0) + 1
        return _QUOTE_OPEN

    def blockquote_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        env["quotes"] -= 1
        return _QUOTE_CLOSE

    def fence(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        code = escape(tokens[idx].content.rstrip())
        return code + "\n" if env.get("quotes") else f"{_OPEN}{code}{_CLOSE}\n"

    code_block = fence

    def hr(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return "———" + self.NEW_LINE * 2

    SUPPORTED_TOKENS: ClassVar[list[str]] = [*SlackifyMarkdown.SUPPORTED_TOKENS, "hr"]


def _parser(*left_out: str) -> MarkdownIt:
    """Without what would swallow words (definitions of references), bring in hidden characters
    (entities), or change what stands there already while the text grows (underlined headings)."""
    return MarkdownIt(
        "gfm-like",
        renderer_cls=_Harmless,
        options_update={"html": False, "linkify": False, "breaks": False},
    ).disable(["table", "reference", "lheading", "entity", *left_out])


_MARKDOWN = _parser()
_NO_LINKS = _parser("link", "image")
_MOST_BRACKETS = 300
"""Unpaired brackets cost the parser their square: ten thousand of them hold it for a second."""


def _blocks(text: str) -> Iterator[tuple[str, bool]]:
    """(mrkdwn, is it code) for each block at the top of the text and for each code block in one."""
    markdown = _MARKDOWN if text.count("[") <= _MOST_BRACKETS else _NO_LINKS
    group: list[Token] = []
    for token in markdown.parse(text):
        group.append(token)
        if token.level or token.nesting == 1:
            continue
        rendered = markdown.renderer.render(group, markdown.options, {})
        group = []
        # Every fence in it is ours: all others lost their third tick.
        for number, part in enumerate(_quoted(rendered).split("```")):
            if part.strip():
                yield part.strip("\n"), number % 2 == 1


def _quoted(rendered: str) -> str:
    """Puts "&gt; ", Slack's sign for it, before each line between the marks of a quote (one depth)."""
    if _QUOTE_OPEN not in rendered:
        return rendered
    out, depth = [], 0
    for part in re.split(f"([{_QUOTE_OPEN}{_QUOTE_CLOSE}])", rendered):
        if part in (_QUOTE_OPEN, _QUOTE_CLOSE):
            depth += 1 if part == _QUOTE_OPEN else -1
        elif depth:
            lines = re.sub(r"\n{2,}", "\n", part.strip("\n")).split("\n")
            out.append("".join(f"&gt; {line}\n" for line in lines if line.strip()))
        else:
            out.append(part)
    return "".join(out)


def _cut(block: str, code: bool, limit: int) -> Iterator[str]:
    """A block in as many pieces as the limit asks for; each of code has its own fence."""
    room = limit - len(_OPEN) - len(_CLOSE) if code else limit
    held = ""
    for line in block.splitlines(keepends=True):
        for part in _parts(line, code, room):
            if len(held) + len(part) > room:
                if held.strip():
                    yield f"{_OPEN}{held.rstrip()}{_CLOSE}" if code else held
                held = ""
            held += part
    if held.strip():
        yield f"{_OPEN}{held.rstrip()}{_CLOSE}" if code else held


def _parts(line: str, code: bool, room: int) -> Iterator[str]:
    """A line of mrkdwn, whole if it fits, else word by word; a word that is too long, in pieces."""
    if len(line) <= room:
        yield line
        return
    for atom in _CODE_ATOM.findall(line) if code else _ATOM.findall(line):
        if len(atom) <= room:
            yield atom
            continue
        if not code and atom[0] in "<`":  # a link or a code span that no message can hold whole
            atom = atom.strip("<>` \n").rpartition("|")[2]
        piece = ""
        for sign in _SIGN.findall(atom):
            if len(piece) + len(sign) > room:
                yield piece
                piece = ""
            piece += sign
        yield piece


def _short(label: str) -> str:
    return label if len(label) <= 300 else label[:299] + "…"


def _without_punctuation(url: str) -> str:
    """A bare address without the sentence's own punctuation; balanced brackets stay."""
    while url[-1] in ".,;:!?'*_~]}" or (url[-1] == ")" and url.count(")") > url.count("(")):
        url = url[:-1]
    return url
