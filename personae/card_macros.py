"""The macros of character cards, `{{char}}` and the like, replaced once, when a card is read.

Front ends replace them in every message, some by chance. A persona's prompt is one text for good (an
adapter is bound to it), so chance takes the first it is offered. Comments go; macros that only make sense
in a chat (`{{time}}`) are taken out and named in `Macros.unknown`.
"""

from __future__ import annotations

import re

_CURLY = re.compile(r"\{\{([^{}]*)\}\}")
_CHAR_TAG = re.compile(r"<(?:BOT|CHAR)>", re.IGNORECASE)
_USER_TAG = re.compile(r"<USER>", re.IGNORECASE)
_COMMA = re.compile(r"(?<!\\),")
_MOST_NESTED = 8


class Macros:
    """
    Args:
        name: what `{{char}}` stands for.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.unknown: set[str] = set()

    def replaced(self, text: str, *, user: str, original: str) -> str:
        """
        Args:
            user: what `{{user}}` stands for.
            original: what `{{original}}` stands for, the prompt that would be taken without the card's.
        """

        def value(found: re.Match[str]) -> str:
            return self._value(found.group(1), user=user, original=original)

        for _ in range(_MOST_NESTED):  # the innermost first
            text, count = _CURLY.subn(value, text)
            if not count:
                break
        return _USER_TAG.sub(user, _CHAR_TAG.sub(self._name.replace("\\", r"\\"), text))

    def _value(self, macro: str, *, user: str, original: str) -> str:
        name, _, rest = macro.partition(":")
        name, rest = name.strip().lower(), rest.lstrip(":")
        if name.startswith("//"):
            return ""
        match name:
            case "char":
                return self._name
            case "user":
                return user
            case "original":
                return original
            case "random" | "pick":
                return _COMMA.split(rest)[0].replace("\\,", ",").strip()
            case "roll":
                return "1"
            case "reverse":
                return rest[::-1]
            case "comment" | "hidden_key":
                return ""
        self.unknown.add("{{" + name[:40] + "}}")
        return ""
