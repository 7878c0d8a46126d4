"""What a rewrite kept of its text, and how far it only copied it.

In: texts and their rewrites. Out: numbers for each pair. Meaning is the cosine of two embeddings, made by
the embedder that retrieval uses; copying is ROUGE-L (Lin 2004, https://aclanthology.org/W04-1013). An empty
rewrite keeps nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from training.evaluate.text_checks import words_of

_NUMBER_WORDS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty
"""
_SMALL_NUMBERS = _NUMBER_WORDS.split()
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
# A capital after a small letter or a comma stands in the middle of a sentence.
_NAME = re.compile(r"(?<=[a-z0-9,;] )(?!I\b|I['’])([A-Z][\w’']+)")


def meanings(texts: Sequence[str], rewrites: Sequence[str], embedder: Path) -> list[float]:
    """Cosine of the embeddings of each pair; 0 where the rewrite is empty."""
    from sentence_transformers import SentenceTransformer

    from training.models.convert import quiet_transformers

    with quiet_transformers():
        model = SentenceTransformer(str(embedder), local_files_only=True)
    vectors = model.encode(
        [*texts, *rewrites], normalize_embeddings=True, show_progress_bar=False
    )  # (2 · pairs, dim) float32, L2-normalised
    return [
        float(one @ two) if rewrite.strip() else 0.0
        for one, two, rewrite in zip(
            vectors[: len(texts)], vectors[len(texts) :], rewrites, strict=True
        )
    ]


def copied_share(text: str, rewrite: str) -> float:
    """ROUGE-L F1 of the words, in any script; 1 is a copy."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], tokenizer=_Words())
    return float(scorer.score(text, rewrite)["rougeL"].fmeasure)


class _Words:
    """rouge-score's own tokenizer keeps a–z alone: a copy in another script would score 0."""

    def tokenize(self, text: str) -> list[str]:
        return words_of(text)


def length_ratio(text: str, rewrite: str) -> float:
    """Words of the rewrite over words of its text."""
    return len(words_of(rewrite)) / max(1, len(words_of(text)))


def kept_facts(text: str, rewrite: str) -> tuple[int, int]:
    """(names and numbers of the text that the rewrite has, all of them), each counted once.

    A number up to twenty may be written out. Names are told by their capitals, so scripts without capitals
    have none here.
    """
    facts = {number.replace(",", "") for number in _NUMBER.findall(text)}
    facts |= {name.lower().removesuffix("'s").removesuffix("’s") for name in _NAME.findall(text)}
    said = set(words_of(rewrite)) | {found.replace(",", "") for found in _NUMBER.findall(rewrite)}
    said |= {word.removesuffix("'s") for word in said}
    said |= {str(_SMALL_NUMBERS.index(word)) for word in said if word in _SMALL_NUMBERS}
    return len(facts & said), len(facts)
