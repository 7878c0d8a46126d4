"""What can be seen wrong with a reply by looking at it alone, or beside the corpus.

In: replies as text. Out: yes or no for each, or a rate. Any script, an empty reply and one word are all
fine. No model is asked, and nothing here knows what is good enough.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence

from personae.corpus import sentences
from personae.persona import Persona

_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+(?:['’][^\W_{_UNSPACED}]+)*")
_OPENS = re.compile(r"[\"'“”‘«»„(\[¿¡—]*\s?(\w)")
_ENDS = re.compile(r"(?:[.!?…؟۔।][\"'”’»)\]]*|[。！？][”’」』）]*)$")

LOOP_SHARE = 0.2
"""A reply of which more 4-word sequences than this are repeats loops."""
_LOOP_WORDS = 4
_LONGEST_CYCLE = 3


def words_of(text: str) -> list[str]:
    """Words in lower case; a character each where a script puts no blanks.

    >>> words_of("Don't — 4 new ships, 自由!")
    ["don't", '4', 'new', 'ships', '自', '由']
    """
    return _WORD.findall(text.lower().replace("’", "'"))


def is_whole(text: str, *, finished: bool) -> bool:
    """It begins and ends like a sentence, and was not cut at the most tokens.

    Scripts without capitals begin anyhow.
    """
    text = text.strip()
    opening = _OPENS.match(text)
    return (
        finished
        and opening is not None
        and not opening.group(1).islower()
        and _ENDS.search(text) is not None
    )


def repeated_share(text: str, size: int = _LOOP_WORDS) -> float:
    """rep-n: 1 − different / all sequences of `size` words; 0 of a text too short to have two."""
    grams = list(ngrams(words_of(text), size))
    return 1 - len(set(grams)) / len(grams) if len(grams) > 1 else 0.0


def loops(text: str) -> bool:
    """Many repeated 4-word sequences, a sentence said twice, or a few words over and over."""
    said = Counter(
        " ".join(words)
        for sentence in sentences(text)
        if len(words := words_of(sentence)) >= _LOOP_WORDS
    )
    if any(times > 1 for times in said.values()):
        return True
    words = words_of(text)
    if any(_cycles(words, size) for size in range(1, _LONGEST_CYCLE + 1)):
        return True
    return len(words) >= 2 * _LOOP_WORDS and repeated_share(text) > LOOP_SHARE


def _cycles(words: Sequence[str], size: int) -> bool:
    """The same `size` words four times in a row."""
    run = 0
    for place in range(size, len(words)):
        run = run + 1 if words[place] == words[place - size] else 0
        if run >= 3 * size:
            return True
    return False


def ngrams(words: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[place : place + size]) for place in range(len(words) - size + 1)]


def tics_of(
    persona: Persona, replies: Sequence[str], asked: Sequence[str], corpus: Sequence[str]
) -> list[str]:
    """The persona's listed tics that the replies hold, and phrases that the replies are full of and the
    corpus is not.

    A phrase of 1–4 words counts as found where it stands in a quarter of the replies (in five at least) and
    at least eight times as often, by the word, as in the corpus. What the question said, the refusal and
    what the persona says of itself are no tics.
    """
    found = [
        tic for tic in persona.tics if any(_times(words_of(tic), words_of(r)) for r in replies)
    ]
    texts = [words_of(reply) for reply in replies]
    corpus_words = [words_of(text) for text in corpus]
    size = max(1, sum(map(len, corpus_words)))
    least = max(5, len(replies) // 4)
    own_words = " ".join(words_of(persona.refusal) + words_of(persona.display_name))
    kept: list[str] = []
    for length in (4, 3, 2, 1):
        in_corpus = Counter(gram for words in corpus_words for gram in ngrams(words, length))
        held = Counter(
            gram
            for words, question in zip(texts, asked, strict=True)
            for gram in set(ngrams(words, length)) - set(ngrams(words_of(question), length))
        )
        said = Counter(gram for words in texts for gram in ngrams(words, length))
        spoken = max(1, sum(map(len, texts)))
        for gram, replies_with in held.most_common():
            phrase = " ".join(gram)
            if replies_with < least or f" {phrase} " in f" {own_words} ":
                continue
            rate, usual = said[gram] / spoken, (in_corpus[gram] + 0.5) / size
            if rate > 8 * usual and not any(f" {phrase} " in f" {longer} " for longer in kept):
                kept.append(phrase)
    return list(dict.fromkeys([*found, *kept]))


def tic_rates(
    tics: Sequence[str], replies: Sequence[str], corpus: Sequence[str]
) -> tuple[list[float], list[float]]:
    """(tics in each reply, as many as the corpus's own rate would bring into it): their sums' ratio is the
    figure.

    A tic the corpus has never or seldom counts as one in ten thousand words there.
    """
    wanted = [words_of(tic) for tic in tics]
    corpus_words = [words_of(text) for text in corpus]
    size = max(1, sum(map(len, corpus_words)))
    own = sum(_times(tic, words) for tic in wanted for words in corpus_words)
    rate = max(own / size, 1 / 10_000)
    texts = [words_of(reply) for reply in replies]
    held = [float(sum(_times(tic, words) for tic in wanted)) for words in texts]
    return held, [max(1, len(words)) * rate for words in texts]


def _times(wanted: Sequence[str], words: Sequence[str]) -> int:
    if not wanted:
        return 0
    first, size = wanted[0], len(wanted)
    return sum(
        1
        for place, word in enumerate(words)
        if word == first and list(words[place : place + size]) == list(wanted)
    )


def declines(persona: Persona, reply: str) -> bool:
    """The model's own refusal: one of the first two sentences is the persona's refusal, or nearly.

    (Serving declines by the relevance of passages before any model is asked; that is measured there.)
    """
    wanted = " ".join(words_of(persona.refusal))
    said = [" ".join(words_of(sentence)) for sentence in sentences(reply)[:2]]
    candidates = [*said, " ".join(said)]
    return any(
        difflib.SequenceMatcher(None, wanted, one, autojunk=False).ratio() >= 0.7
        or (len(one.split()) >= 5 and wanted.startswith(one))
        for one in candidates
    )
