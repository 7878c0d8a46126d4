"""What people type on Slack → what they want. Pure.

In: the text of an event (`<@U1> lincoln Why &amp; how?`) or of a slash command. Out: `Typed`. A persona is
found where the words begin with one's name, or with what is nearly one (so that the desk can suggest);
else nobody is named, and the conversation or the channel knows who answers.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bot.core.order import Strength, Task

_MARKUP = re.compile(r"<([^<>]*)>")
_MENTION = re.compile(r"<@([A-Z0-9]+)(?:\|[^<>]*)?>")
_TASK_WORD = re.compile(r"(ask|rewrite)\s+(?=\S)", re.IGNORECASE)
_BEFORE_NAME = "@`'\"*_“‘„"
_AFTER_NAME = r"[`'\"*_”’“]*\s*[:,;–—-]*(?:\s+|$)"
_FIRST_WORD = re.compile(rf"(?P<name>\S+?){_AFTER_NAME}")
_FLAG = re.compile(r"(?P<dashes>--|—|–)?(?P<word>[a-z]+)(?:\s+|$)", re.IGNORECASE)
_NEARLY = 0.8

_PRIVATE = frozenset({"private", "privately", "privat"})
_PRIVATE_WORD = re.compile(r"(?:--)?priv(?:ate(?:ly)?|at)\s+", re.IGNORECASE)
_STRENGTHS: Mapping[str, Strength] = {
    **dict.fromkeys(("light", "lighter", "leicht"), "light"),
    **dict.fromkeys(("strong", "stronger", "stark"), "strong"),
    "normal": "normal",
}


@dataclass(frozen=True)
class Typed:
    """What a person wants: `persona` is an id, what is nearly one, or None; `text` may be empty."""

    task: Task
    persona: str | None
    text: str
    private: bool = False
    strength: Strength = "normal"


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


def mentions(escaped: str) -> set[str]:
    """Ids of the people a message mentions."""
    return set(_MENTION.findall(escaped))


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


def parse(text: str, names: Mapping[str, str], task: Task | None = None) -> Typed:
    """`[ask|rewrite] [private] [light|strong] [persona] <text>` → `Typed`.

    With `task` given (a slash command) no task word is looked for. A strength without dashes counts
    only where a persona follows: "strong coffee" is a text.
    """
    rest = text.strip().lstrip(":,; ")
    if task is None:
        word = _TASK_WORD.match(rest)
        task = "rewrite" if word and word[1].lower() == "rewrite" else "ask"
        rest = rest[word.end() :] if word else rest
    private = False
    strength: Strength = "normal"
    while found := _FLAG.match(rest):
        word_, after = found["word"].lower(), rest[found.end() :]
        if word_ in _PRIVATE:
            private = True
        elif (
            task == "rewrite"
            and word_ in _STRENGTHS
            and (found["dashes"] or _named(_PRIVATE_WORD.sub("", after), names) is not None)
        ):
            strength = _STRENGTHS[word_]
        else:
            break
        rest = after
    named = _named(rest, names)
    persona, said = named if named is not None else (None, rest)
    return Typed(task, persona, said.strip(), private, strength)


def _named(text: str, names: Mapping[str, str]) -> tuple[str, str] | None:
    """(persona, the words after it) where the text begins with a persona's name."""
    rest = text.lstrip(_BEFORE_NAME)
    for name in sorted(names, key=len, reverse=True):
        known = re.match(re.escape(name) + _AFTER_NAME, rest, re.IGNORECASE)
        if known is not None:
            return names[name], rest[known.end() :]
    first = _FIRST_WORD.match(rest)
    if first is None or not (word := first["name"].lower()):
        return None
    if len(word) > 3 and difflib.get_close_matches(word, names, n=1, cutoff=_NEARLY):
        return word, rest[first.end() :]
    return None
