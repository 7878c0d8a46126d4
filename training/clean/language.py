"""Rule `language`: texts, and long paragraphs of a text, that are not in the persona's language.

In: text. Out: the language of the whole, or the paragraphs in another one. Judged by `py3langid`, whose
probabilities mean something for long texts; short ones are never judged. Measured: of 1,129 paragraphs of
20 words and more in presidents' messages of 1861–1908, it takes none for anything but English.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from training.clean.blocks import Taken, blocks_of, is_heading, joined, size_in_words

_DOCUMENT_WORDS = 20
_PARAGRAPH_WORDS = 30
_SURE = 0.95
_READ_CHARACTERS = 8000
"""The beginning of a document tells its language; reading on would only cost time."""


@dataclass(frozen=True)
class Judged:
    """What is left of a text, or the `other` language that all of it is in."""

    text: str
    other: str
    taken: list[Taken]


@functools.cache
def _identifier() -> Any:
    """Read once: it is unpacked for a third of a second, and never changes."""
    from py3langid import langid

    return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)


class Languages:
    """Tells a persona's language from others.

    Args:
        language: as in persona.toml ("en", "pt-BR").
    """

    def __init__(self, language: str) -> None:
        self._wanted = language.split("-")[0].split("_")[0].lower()
        self._identifier = _identifier()

    @property
    def known(self) -> bool:
        """Whether the wanted language can be told at all."""
        return self._wanted in self._identifier.labels

    def judged(self, text: str) -> Judged:
        other = self._other(text[:_READ_CHARACTERS], _DOCUMENT_WORDS)
        if other and not any(self._is_wanted(block) for block in blocks_of(text)):
            return Judged("", other, [])
        return self._paragraphs(text)

    def _paragraphs(self, text: str) -> Judged:
        taken: list[Taken] = []
        kept: list[str] = []
        for block in blocks_of(text):
            other = "" if is_heading(block) else self._other(block, _PARAGRAPH_WORDS)
            if other:
                taken.append(Taken(block, f"a paragraph in another language ({other})"))
            else:
                kept.append(block)
        return Judged(joined(kept), "", taken) if taken else Judged(text, "", [])

    def _is_wanted(self, block: str) -> bool:
        if size_in_words(block) < _DOCUMENT_WORDS:
            return False
        language, probability = self._identifier.classify(block)
        return bool(language == self._wanted and probability >= _SURE)

    def _other(self, text: str, least_words: int) -> str:
        """The language a text is surely in, if that is another one; "" otherwise."""
        if size_in_words(text) < least_words:
            return ""
        language, probability = self._identifier.classify(" ".join(text.split()))
        return str(language) if language != self._wanted and probability >= _SURE else ""
