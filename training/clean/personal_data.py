"""Rule `personal_data`: what lets a stranger reach or rob somebody is replaced by a mark.

In: text. Out: text with `[e-mail]`, `[phone]`, `[address]`, `[account]`, `[card]`, `[id-number]` and
`[secret]` in those places, and what was found, shown by its mark only. It is the first rule, so that no
sample of another one can show what this one would have hidden.

Numbers are the difficulty: prose is full of years, sums of money and article numbers. So a number counts
only where its own form (a check digit, a country code, the brackets of an area code) or a word before it
("phone", "P.O. Box") says what it is. Names are not looked for: an author's text is about people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from training.clean.blocks import Taken
from training.clean.phones import phone_numbers

_CONTEXT_CHARACTERS = 70
_BEFORE_CHARACTERS = 40


@dataclass(frozen=True)
class _Kind:
    mark: str
    why: str
    pattern: re.Pattern[str]
    fits: Callable[[re.Match[str]], bool]


def _always(found: re.Match[str]) -> bool:
    return True


def luhn(digits: str) -> bool:
    """The check digit of card numbers (ISO/IEC 7812-1).

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def iban(text: str) -> bool:
    """The check digits of account numbers (ISO 13616: mod 97).

    >>> iban("GB82 WEST 1234 5698 7654 32"), iban("GB83 WEST 1234 5698 7654 32")
    (True, False)
    """
    compact = text.replace(" ", "")
    if not 15 <= len(compact) <= 34:
        return False
    turned = compact[4:] + compact[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _is_card(found: re.Match[str]) -> bool:
    digits = re.sub(r"\D", "", found.group())
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and luhn(digits)


def _is_secret(found: re.Match[str]) -> bool:
    """A word after "password:" that no language has: letters and digits, or several kinds of signs."""
    value = found.group("value")
    kinds = (r"[a-z]", r"[A-Z]", r"\d", r"[^\w\s]")
    return bool(re.search(r"\d", value)) and sum(bool(re.search(k, value)) for k in kinds) >= 2


def _after(words: str) -> Callable[[re.Match[str]], bool]:
    """Whether one of the words stands shortly before."""
    pattern = re.compile(rf"\b(?:{words})\b", re.IGNORECASE)

    def fits(found: re.Match[str]) -> bool:
        start = found.start()
        return bool(pattern.search(found.string, max(0, start - _BEFORE_CHARACTERS), start))

    return fits


_STREET = (
    r"\d{1,5}[A-Za-z]?,? (?:(?:[NSEW]|North|South|East|West)\.? )?"
    r"(?:(?:[A-Z][\w'.-]{0,24}|\d{1,3}(?:st|nd|rd|th)) ){1,3}"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Square|Sq|Terrace|Way"
    r"|Close|Crescent|Highway|Hwy|Parkway|Pkwy)\b\.?"
    r"(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Floor|Fl|No|#)\.? ?#?[\w-]{1,6})?"
)
_US_STATE_AND_ZIP = (
    r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT"
    r"|V[AT]|W[AIVY]|[A-Z][a-z]{3,12}) \d{5}(?:-\d{4})?"
)
_UK_POSTCODE = r"[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}"
_CITY = r"(?:[A-Z][\w'.-]{1,24}(?: (?=[A-Z])|)){1,3}"
_EUROPEAN_STREET = (
    r"(?:[A-ZÄÖÜ][\w'-]{1,30}(?:straße|strasse|str\.|weg|platz|allee|gasse|ufer|damm|straat|laan|gatan)"
    r"|(?:[A-ZÄÖÜ][\w-]{1,20} ){1,2}(?:Straße|Strasse|Str\.|Weg|Platz|Allee|Gasse)"
    r"|(?:Calle|Via|Avenida|Rua|Piazza) (?:[\w'-]{1,20} ?){1,3}?),? \d{1,4} ?[a-z]?"
    r"|\d{1,4}(?: bis| ter)?,? (?:rue|avenue|boulevard|place|chemin|quai|impasse|allée) "
    r"(?:[\w'’-]{1,20} ?){1,5}?"
)
_LINE = r",?[ \n]{1,2}"

_KINDS = [
    _Kind(
        "[secret]",
        "a private key",
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]{0,8000}?-----END [A-Z ]{0,40}PRIVATE KEY-----"
        ),
        _always,
    ),
    _Kind(
        "[secret]",
        "an API key or token",
        re.compile(
            r"(?<![\w-])(?:sk-[A-Za-z0-9_-]{20,200}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,200}"
            r"|gh[opsur]_[A-Za-z0-9]{30,255}|github_pat_\w{30,255}|glpat-[\w-]{20,64}|xox[abeprs]-[\w-]{10,255}"
            r"|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{35}|hf_[A-Za-z0-9]{30,64}|npm_[A-Za-z0-9]{36}|pypi-[\w-]{50,255}"
            r"|eyJ[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{10,2000})(?![\w-])"
        ),
        _always,
    ),
    _Kind(
        "[secret]",
        "a password",
        re.compile(
            r"\b(?:password|passwd|passphrase|passwort|kennwort|mot de passe|contraseña|api[ _-]?key"
            r"|secret[ _-]?key|access[ _-]?token|auth[ _-]?token)\b['\"]?\s{0,3}(?:[:=]|is)\s{0,3}['\"]?"
            r"(?P<value>[^\s'\"<>]{8,200})",
            re.IGNORECASE,
        ),
        _is_secret,
    ),
    _Kind(
        "[e-mail]",
        "an e-mail address",
        re.compile(
            r"(?<![\w.+@/-])[\w.+-]{1,64}(?:@|\s?[\[({]\s?at\s?[\])}]\s?)"
            r"(?:[\w-]{1,63}(?:\.|\s?[\[({]\s?dot\s?[\])}]\s?)){1,4}[A-Za-z]{2,24}(?![\w@])",
            re.IGNORECASE,
        ),
        _always,
    ),
    _Kind(
        "[account]",
        "a bank account (IBAN)",
        re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"),
        lambda found: iban(found.group()),
    ),
    _Kind(
        "[card]",
        "a card number",
        re.compile(
            r"(?<![\w.,$€£+-])"
            r"(?:(?:4\d{3}|5[1-5]\d{2}|2[2-7]\d{2}|6(?:011|5\d{2})|35\d{2})([ -]?)\d{4}\1\d{4}\1\d{4}"
            r"|3[47]\d{2}([ -]?)\d{6}\2\d{5})(?![\w-]|[.,]\d)"
        ),
        _is_card,
    ),
    _Kind(
        "[id-number]",
        "a social security number",
        re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"),
        _after("ssn|social security(?: number| no)?"),
    ),
    _Kind(
        "[address]",
        "a postal address",
        re.compile(
            rf"\b{_STREET}{_LINE}{_CITY}(?:{_LINE}{_US_STATE_AND_ZIP}|{_LINE}{_UK_POSTCODE})\b"
            rf"|\b(?:{_EUROPEAN_STREET}){_LINE}(?:[A-Z]{{1,3}}-)?\d{{4,5}} {_CITY}",
        ),
        _always,
    ),
    _Kind(
        "[address]",
        "a postal address",
        re.compile(
            rf"\b(?:{_STREET}(?:{_LINE}{_CITY})?|(?:{_EUROPEAN_STREET})(?![\w-]))",
        ),
        _after(
            "address(?: is)?|write to (?:me|us) at|mail (?:it |them )?to|ship to|i live at|we live at"
            "|anschrift|adresse|dirección"
        ),
    ),
    _Kind(
        "[address]",
        "a post office box",
        re.compile(
            rf"\b(?:P\. ?O\.|PO|Post Office) Box \d{{1,7}}(?:{_LINE}{_CITY}{_LINE}{_US_STATE_AND_ZIP})?"
            r"|\bPostfach \d[\d ]{1,8}\d\b"
        ),
        _always,
    ),
]


def without_personal_data(text: str, *, language: str) -> tuple[str, list[Taken]]:
    """The text with marks in place of personal data.

    Args:
        language: says in which countries' ways telephone numbers may be written.
    """
    found: list[tuple[str, str]] = []
    for kind in _KINDS:
        text = kind.pattern.sub(partial(_mark, kind=kind, found=found), text)
    for start, stop in reversed(phone_numbers(text, language=language)):
        text = f"{text[:start]}[phone]{text[stop:]}"
        found.append(("[phone]", "a telephone number"))
    return text, list(_shown(text, found)) if found else []


def _mark(match: re.Match[str], kind: _Kind, found: list[tuple[str, str]]) -> str:
    if not kind.fits(match):
        return match.group()
    found.append((kind.mark, kind.why))
    if "value" in match.re.groupindex:
        return match.group()[: match.start("value") - match.start()] + kind.mark
    return kind.mark


def _shown(text: str, found: list[tuple[str, str]]) -> Iterator[Taken]:
    """Each find by the words around its mark, in the text that has all the marks in it."""
    place: dict[str, int] = {}
    for mark, why in found:
        start = text.find(mark, place.get(mark, 0))
        place[mark] = start + 1
        around = text[max(0, start - _CONTEXT_CHARACTERS) : start + _CONTEXT_CHARACTERS]
        yield Taken(f"…{around}…", why)
