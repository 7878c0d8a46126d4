"""Which voice a request would like, and what is said when it gets another one.

In: what a request asks for, and what stood in the way. Out: the voices to try, best first, and a sentence
for the person. It knows neither the engine nor the registry.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from personae.errors import UnknownVersion
from personae.registry import parse_version
from personae.wire import Strength
from serving.variants import Voice

Missing = Literal["unknown", "unusable", "full", "later"]
"""Why a voice can't speak: it is not in the registry, it does not fit or failed, too many others are in
use, or it is not loaded yet."""


@dataclass(frozen=True)
class Wish:
    """What a request would like to speak with.

    Attributes:
        version: the one its conversation began with, as it was sent: "v2"; None takes the live one.
        adapter: False wants the base model without any.
    """

    version: str | None = None
    strength: Strength = "normal"
    adapter: bool = True

    @property
    def number(self) -> int | None:
        """The version's number; None where none was asked for, or where it is no version at all."""
        try:
            return None if self.version is None else parse_version(self.version)
        except UnknownVersion:
            return None


@dataclass
class Choice:
    """The voices a wish can be met with, best first, and why those were not to be had that were tried.

    Where it comes to none of them, the live version speaks.
    """

    wish: Wish = Wish()
    voices: list[Voice] = field(default_factory=list)
    missing: dict[Voice, Missing] = field(default_factory=dict)

    @classmethod
    def of(cls, wish: Wish, persona: str, live: int | None) -> Choice:
        """The wished version at the wished strength, then as it is, then the live one at that strength."""
        if not wish.adapter:
            return cls(wish)
        wished = [version for version in (wish.number, live) if version is not None]
        voices = [
            Voice(persona, version, strength)
            for version in wished
            for strength in (wish.strength, "normal")
        ]
        live_as_it_is = Voice(persona, live) if live is not None else None
        pinned = wish.number is not None
        kept = [voice for voice in dict.fromkeys(voices) if pinned or voice != live_as_it_is]
        return cls(wish, kept)

    def notice(self, version: int | None, strength: Strength) -> str | None:
        """What to tell somebody who hears this version (None: the base model) at this strength."""
        sentences = [self._of_version(version), self._of_strength(version, strength)]
        return " ".join(sentence for sentence in sentences if sentence) or None

    def _of_version(self, version: int | None) -> str | None:
        if self.wish.version is None or (version is not None and version == self.wish.number):
            return None
        now = "the model answers by prompt only" if version is None else f"v{version} answers"
        if self.wish.number is None:
            return f"This conversation began with a version that is not known here, so {now}."
        began = f"This conversation began with v{self.wish.number}"
        why = next(
            (why for v, why in self.missing.items() if v.version == self.wish.number), "later"
        )
        return {
            "unknown": f"{began}, which is not there any more, so {now}.",
            "unusable": f"{began}, which can't be used any more, so {now}.",
            "full": f"{began}. Too many other versions are in use just now, so {now} this time.",
            "later": f"{began}, which is not loaded yet, so {now} this time.",
        }[why]

    def _of_strength(self, version: int | None, strength: Strength) -> str | None:
        wished = self.wish.strength
        if wished == strength or version is None:  # by prompt only, the prompt says it
            return None
        why = next((why for v, why in self.missing.items() if v.strength == wished), "later")
        when = " just now" if why in ("full", "later") else ""
        return f"v{version} can't be had {_ADVERBS[wished]}{when}, so this is its usual strength."


_ADVERBS: dict[Strength, str] = {"light": "lighter", "normal": "as it is", "strong": "stronger"}
