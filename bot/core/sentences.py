"""Every sentence of the bots that a person can meet, in their language.

`say = speaker("de")`, then `say("retry-in", seconds=5)`. The sentences are Fluent messages in
`locales/<language>/personae.ftl`, each platform's own below its heading. In: a locale as a platform tells
it ("de", "en-US", "pt_BR"); a language that is not there is English. Sentences of the gateway come with its
errors; `in_words` says them in the person's language where there is a translation.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

from fluent.runtime import FluentBundle, FluentResource

from personae.errors import PersonaeError

LANGUAGES = ("en", "de")
FALL_BACK = "en"

Value = str | int | float

_ENDINGS = {1: "st", 2: "nd", 3: "rd"}


class Say:
    """The sentences of one language."""

    def __init__(self, locale: str, source: str) -> None:
        self.locale = locale
        # Isolating marks would be direction marks in a chat message, and platforms take those out.
        self._bundle = FluentBundle([locale], use_isolating=False, functions=_FUNCTIONS)
        self._bundle.add_resource(FluentResource(source))

    def __call__(self, name: str, /, **values: Value) -> str:
        """The sentence of this name.

        Raises:
            LookupError: there is no such sentence, or it needs a value that was not given.
        """
        pattern = self._bundle.get_message(name).value
        if pattern is None:
            raise LookupError(f"{name} has no text in {self.locale}")
        text, problems = self._bundle.format_pattern(pattern, values)
        if problems:
            raise LookupError(f"{name} in {self.locale}: {problems[0]}")
        return str(text)

    def knows(self, name: str) -> bool:
        return self._bundle.has_message(name)

    def in_words(self, code: str, message: str, retry_after_seconds: float | None = None) -> str:
        """What went wrong, for the person: the translation of `code`, else the server's own sentence."""
        name = f"error-{code.replace('_', '-')}"
        said = self(name, message=message) if self.knows(name) else message
        if retry_after_seconds is not None:
            said += " " + self("retry-in", seconds=whole_seconds(retry_after_seconds))
        return said

    def error(self, err: PersonaeError) -> str:
        return self.in_words(err.code, err.message, err.retry_after_seconds)


def speaker(locale: str | None) -> Say:
    """The sentences in a language, English where it is not there."""
    language = (locale or FALL_BACK).replace("_", "-").split("-")[0].lower()
    return _say(language if language in LANGUAGES else FALL_BACK)


def source(language: str) -> str:
    """The Fluent file of a language, as text."""
    folder = resources.files("bot.core") / "locales" / language
    return (folder / "personae.ftl").read_text(encoding="utf-8")


def whole_seconds(seconds: float) -> int:
    return max(1, round(seconds))


@functools.cache
def _say(language: str) -> Say:
    return Say(language, source(language))


def _ordinal(number: Any) -> str:
    """1st, 2nd, 11th. (fluent.runtime has no ordinal plurals.)"""
    whole = int(number)
    ending = "th" if whole % 100 in (11, 12, 13) else _ENDINGS.get(whole % 10, "th")
    return f"{whole}{ending}"


_FUNCTIONS: dict[str, Any] = {"ORDINAL": _ordinal}
