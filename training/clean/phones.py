"""Where telephone numbers stand in a text; prose is full of numbers that only look like one.

In: text and its language. Out: places. `phonenumbers` knows which numbers exist; this module knows when to
ask it: a number with a country code, one written the way only telephone numbers are, or any after a word
such as "phone" or "call".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_REGIONS = {
    "en": ("US", "GB", "AU", "IE", "IN", "NZ"),
    "de": ("DE", "AT", "CH"),
    "fr": ("FR", "BE", "CH", "CA"),
    "es": ("ES", "MX", "AR", "US"),
    "it": ("IT", "CH"),
    "nl": ("NL", "BE"),
    "pt": ("PT", "BR"),
    "pl": ("PL",),
    "sv": ("SE",),
    "da": ("DK",),
    "nb": ("NO",),
    "no": ("NO",),
    "fi": ("FI",),
    "ru": ("RU",),
    "uk": ("UA",),
    "cs": ("CZ",),
    "tr": ("TR",),
    "ja": ("JP",),
    "ko": ("KR",),
    "zh": ("CN", "TW", "HK"),
}
"""In which countries' ways a number without a country code may be written."""

_SAID = re.compile(
    r"(?:\b(?:(?:tele)?phones?|call(?: me| us)?|dial|ring(?: me| us)?|text me|tel|cell|mobile|fax|hotline"
    r"|whatsapp|signal me|telefon\w*|handy|rufnummer|téléphone|teléfono|móvil|telefono|cellulare)\b|☎|📞)"
    r"\.?[^.!?\n]{0,25}$",
    re.IGNORECASE,
)
_NOT_A_PHONE = re.compile(
    r"(?:isbn|issn|doi|arxiv|no|nos|nr|§|art|article|page|pp|[$€£#/])[.:\s-]*$", re.I
)
_MAYBE = re.compile(r"(?<![\w$€£.,])\+?[(\d][\d\s().\u2010-\u2013/-]{5,24}\d(?![\w]|[.,]\d)")
_AMERICAN = re.compile(r"(?:1[-. ])?(?:\(\d{3}\) ?\d{3}[-. ]\d{4}|\d{3}([-.])\d{3}\1\d{4})")
_LOCAL = re.compile(r"\d{3}[-. ]\d{4}")
_BEFORE_CHARACTERS = 45
_LEAST_DIGITS = 7
_MOST_DIGITS = 15


def phone_numbers(text: str, *, language: str) -> list[tuple[int, int]]:
    """Start and end of each number, in order."""
    regions = _REGIONS.get(language.split("-")[0].lower(), ())
    return list(_found(text, regions))


def _found(text: str, regions: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    for maybe in _MAYBE.finditer(text):
        digits = sum(character.isdigit() for character in maybe.group())
        if not _LEAST_DIGITS <= digits <= _MOST_DIGITS + 5 or "\n\n" in maybe.group():
            continue
        before = text[max(0, maybe.start() - _BEFORE_CHARACTERS) : maybe.start()]
        said = _SAID.search(before) is not None
        if not said and _NOT_A_PHONE.search(before):
            continue
        if not said and not _may_be_written_as_one(maybe.group()):
            continue
        for start, stop in _numbers(maybe.group(), regions, said=said):
            yield maybe.start() + start, maybe.start() + stop


def _numbers(written: str, regions: tuple[str, ...], *, said: bool) -> list[tuple[int, int]]:
    import phonenumbers

    for region in regions or (None,):
        found = [
            (match.start, match.end)
            for match in phonenumbers.PhoneNumberMatcher(written, region)
            if said or _written_as_one(match.raw_string, region)
        ]
        if found:
            return found
    # A number without its area code is valid nowhere; after "call me at" it is one all the same.
    if said and (local := _LOCAL.fullmatch(written)):
        return [local.span()]
    return []


def _may_be_written_as_one(written: str) -> bool:
    """Cheap, so that a table of figures is not looked up in six countries' numbering plans."""
    return "+" in written or _AMERICAN.search(written) is not None


def _written_as_one(raw: str, region: str | None) -> bool:
    if raw.lstrip("(").startswith("+"):
        return True
    return region == "US" and _AMERICAN.fullmatch(raw) is not None
