"""Words of a text as the lexical search counts them: lower case, without marks, and their stems.

In: any text. Out: tokens that FTS5's `unicode61` leaves as they are, because they hold letters and digits
only. Chinese, Japanese and Thai put no blanks between words: there, pairs of neighbouring characters stand
for words. Stemming and stop words know the languages of the Snowball project; for others both do nothing.
"""

from __future__ import annotations

import functools
import re
import threading
import unicodedata
from collections.abc import Callable, Sequence

import snowballstemmer

_WORD = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
_APOSTROPHE = re.compile(r"(?<=\w)['\u2019\u02bc](?=\w)")
_LANGUAGES = {
    "da": "danish", "de": "german", "en": "english", "es": "spanish", "fi": "finnish", "fr": "french",
    "hu": "hungarian", "it": "italian", "nl": "dutch", "no": "norwegian", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "sv": "swedish", "tr": "turkish",
}  # fmt: skip
_ENGLISH = """
en a about again all am an and any are arent as at be because been before being both but by can cant could
couldnt did didnt do does doesnt doing dont done down each else ever few for from further get gets got had
hadnt has hasnt have havent having he her here hers him his how hows i id if ill im in into is isnt it its
itself ive just let lets me might more most much must my myself no nor not of off on once only or other
ought our out over own re same shall she should shouldnt so some such than that thats the their them then
there theres these they theyre thing things this those through to too under until up upon us very was wasnt
we were werent weve what whats when where wheres which while who whom whos whose why will with wont would
wouldnt you youd youll your youre yours yourself youve
"""
_GREETINGS = """
hello hi hey greetings welcome good morning evening night afternoon day thanks thank bye goodbye please
ok okay yes yeah nope sorry sir name introduce doing today
"""
_SMALL_TALK = frozenset(_GREETINGS.split())
_STOP_WORDS = {"en": frozenset(_ENGLISH.split())}
_MOST_STEMS = 1 << 16


def tokens(text: str) -> list[str]:
    """The words of a text in order, repeated ones included."""
    plain = unicodedata.normalize("NFKD", _APOSTROPHE.sub("", text))
    plain = "".join(c for c in plain if not unicodedata.combining(c)).casefold()
    found: list[str] = []
    for word in _WORD.findall(plain):
        if _UNSPACED.search(word):
            found += _pairs(word)
        else:
            found.append(word)
    return found


def stems(words: Sequence[str], language: str) -> list[str]:
    """Each word's stem; the word itself in a language without a stemmer."""
    stem = _stemmer(language.lower().split("-")[0])
    return [stem(word) for word in words]


def content_words(words: Sequence[str], language: str) -> list[str]:
    """The words that say what a question is about."""
    stop = _STOP_WORDS.get(language.lower().split("-")[0], frozenset())
    return [word for word in words if word not in stop]


def asks_something(content: Sequence[str]) -> bool:
    """Whether these content words ask for anything: a greeting and a word of thanks do not."""
    return any(word not in _SMALL_TALK for word in content)


def _pairs(word: str) -> list[str]:
    if len(word) == 1:
        return [word]
    return [word[start : start + 2] for start in range(len(word) - 1)]


@functools.lru_cache(maxsize=8)
def _stemmer(language: str) -> Callable[[str], str]:
    if language not in _LANGUAGES:
        return lambda word: word
    library = snowballstemmer.stemmer(_LANGUAGES[language])
    lock = threading.Lock()  # the library's stemmers keep the word they work on

    @functools.lru_cache(maxsize=_MOST_STEMS)
    def stem(word: str) -> str:
        with lock:
            return str(library.stemWord(word))

    return stem
