"""Large snapshots without a text or a model behind them, to measure a search by.

In: a number of passages and a seed. Out: a snapshot like any other, of made-up words that are as frequent
as words are in a language (Zipf), and of clustered random vectors. Texts and vectors have nothing to do with
each other, so it measures time, memory and disk, and says nothing about what a search finds.
"""

from __future__ import annotations

import datetime
import functools
import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from personae.corpus import Document, Passage
from personae.files import folder_written_aside
from personae.progress import Progress, silent
from serving.retrieval.build import write_manifest
from serving.retrieval.embedder import TextEmbedder
from serving.retrieval.passage_store import PASSAGES, PassageWriter, digest_of
from serving.retrieval.snapshot import FORMAT, IndexManifest, IndexSettings, file_records
from serving.retrieval.vector_index import new_vector_file, write_vector_index
from serving.retrieval.vectors import (
    DENSE,
    PASSAGE_VECTORS,
    SENTENCE_STARTS,
    SENTENCE_VECTORS,
    VectorIndexInfo,
    normalised,
    quantized,
)
from serving.retrieval.words import stems

_VOCABULARY = 60_000
_ZIPF = 1.07
_SENTENCES = 5
_WORDS = 18
_PASSAGES_PER_DOCUMENT = 10
_BLOCK = 8192
_SPREAD = 1.2
_QUESTION_WORDS = (4, 10)
_FREQUENT = 150
_FREQUENT_SHARE = 0.6
_LANGUAGE = "en"


def write_synthetic_snapshot(
    folder: Path,
    passages: int,
    *,
    embedder: TextEmbedder,
    seed: int = 17,
    progress: Progress = silent,
) -> IndexManifest:
    """Write a snapshot that this embedder may search. Texts and vectors are made side by side."""
    dimensions = embedder.embed_queries(["dimensions"]).shape[1]
    with folder_written_aside(folder, "writing a synthetic index") as aside:
        with ThreadPoolExecutor(max_workers=1) as other:
            vectors = other.submit(_write_vectors, aside, passages, dimensions, seed)
            documents = _write_texts(aside, passages, seed, progress)
            info = vectors.result()
        manifest = IndexManifest(
            format=FORMAT,
            persona=folder.parent.name,
            settings=IndexSettings.now(embedder, _LANGUAGE),
            corpus_sha256="0" * 64,
            documents=documents,
            passages=passages,
            sentences=passages * _SENTENCES,
            dimensions=dimensions,
            vectors=info,
            files=file_records(aside),
            created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )
        write_manifest(aside, manifest)
    return manifest


def synthetic_question(chance: np.random.Generator) -> str:
    """A question in the words of the synthetic snapshots.

    As in questions people ask, some of the words are among the most frequent ones, and two at least are not.
    """
    words, _ = _vocabulary()
    number = int(chance.integers(*_QUESTION_WORDS, endpoint=True))
    frequent = int(chance.binomial(number - 2, _FREQUENT_SHARE))
    share_of_frequent = _cumulated()[_FREQUENT - 1]
    drawn = np.concatenate(
        [
            chance.random(frequent) * share_of_frequent,
            share_of_frequent + chance.random(number - frequent) * (1 - share_of_frequent),
        ]
    )
    chance.shuffle(drawn)
    places = np.minimum(np.searchsorted(_cumulated(), drawn), _VOCABULARY - 1)
    return f"{' '.join(words[place] for place in places).capitalize()}?"


@functools.cache
def _vocabulary() -> tuple[list[str], list[str]]:
    """Words and their stems, the most frequent first; the shorter, the more frequent, as in languages."""
    starts = [*"bdfghklmnprstvz", "br", "dr", "gr", "kl", "pl", "st", "tr"]
    syllables = [start + vowel for start in starts for vowel in "aeiou"]
    words = []
    for length in itertools.count(1):
        for parts in itertools.product(syllables, repeat=length):
            words.append("".join(parts))
            if len(words) == _VOCABULARY:
                return words, stems(words, _LANGUAGE)
    raise AssertionError("counting does not end")


@functools.cache
def _cumulated() -> np.ndarray:
    weights = 1.0 / np.arange(1, _VOCABULARY + 1) ** _ZIPF
    bounds: np.ndarray = np.cumsum(weights / weights.sum())
    return bounds


def _write_texts(folder: Path, passages: int, seed: int, progress: Progress) -> int:
    words, roots = _vocabulary()
    capitals = [word.capitalize() for word in words]
    bounds = _cumulated()
    chance = np.random.default_rng([seed, 0])
    first_day = datetime.date(1850, 1, 1)
    with PassageWriter(folder / PASSAGES, _LANGUAGE) as writer:
        for start in range(0, passages, _BLOCK):
            size = min(_BLOCK, passages - start)
            drawn = np.searchsorted(bounds, chance.random((size, _SENTENCES * _WORDS)))
            rows = np.minimum(drawn, _VOCABULARY - 1).tolist()
            for first in range(0, size, _PASSAGES_PER_DOCUMENT):
                number = (start + first) // _PASSAGES_PER_DOCUMENT
                document = Document(
                    id=f"synthetic-{start}-{first}",
                    title=f"Text {number}",
                    date=(first_day + datetime.timedelta(days=number % 60_000)).isoformat(),
                    url=f"https://example.org/{number}",
                    text="",
                )
                made, terms = [], []
                for place, row in enumerate(rows[first : first + _PASSAGES_PER_DOCUMENT]):
                    made.append(_passage(document, place, row, words, capitals))
                    terms.append(
                        (" ".join([words[w] for w in row]), " ".join([roots[w] for w in row]))
                    )
                writer.add(document, made, [digest_of(passage) for passage in made], terms)
            progress("writing synthetic passages", start + size, passages)
        progress("writing the full-text index", passages, passages)
    return writer.documents


def _passage(
    document: Document, number: int, row: list[int], words: list[str], capitals: list[str]
) -> Passage:
    parts = []
    for start in range(0, len(row), _WORDS):
        first, *others = row[start : start + _WORDS]
        parts.append(f"{capitals[first]} {' '.join([words[w] for w in others])}.")
    return Passage.model_construct(
        document_id=document.id,
        number=number,
        title=document.title,
        section="",
        date=document.date,
        url=document.url,
        text=" ".join(parts),
    )


def _write_vectors(folder: Path, passages: int, dimensions: int, seed: int) -> VectorIndexInfo:
    chance = np.random.default_rng([seed, 1])
    centres = normalised(
        chance.standard_normal((max(16, round(passages**0.5)), dimensions), dtype=np.float32)
    )
    np.save(
        folder / SENTENCE_STARTS,
        np.arange(0, (passages + 1) * _SENTENCES, _SENTENCES, dtype=np.int64),
    )
    vectors = new_vector_file(folder / PASSAGE_VECTORS, np.float16, (passages, dimensions))
    sentences = new_vector_file(
        folder / SENTENCE_VECTORS, np.int8, (passages * _SENTENCES, dimensions)
    )
    for start in range(0, passages, _BLOCK):
        size = min(_BLOCK, passages - start)
        near = centres[chance.integers(len(centres), size=size)]
        block = _around(near, chance)
        vectors[start : start + size] = block
        of_sentences = _around(np.repeat(block, _SENTENCES, axis=0), chance)
        sentences[start * _SENTENCES : (start + size) * _SENTENCES] = quantized(of_sentences)
    vectors.flush()
    sentences.flush()
    return write_vector_index(folder / DENSE, vectors)


def _around(near: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """(n, dim) unit vectors at some distance of these."""
    noise = chance.standard_normal(near.shape, dtype=np.float32)
    return normalised(near + noise * np.float32(_SPREAD / near.shape[1] ** 0.5))
