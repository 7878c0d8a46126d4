"""The samples of one training, and those it is measured on.

In: a persona and its documents. Out: a `Dataset`, the same for the same corpus and seed. Documents are split
before anything is cut: no sentence of a held-out document is in a training sample, as target or as
context.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from personae.corpus import Document
from personae.errors import CorpusError
from personae.persona import Persona
from training.samples.conversations import outside_topics
from training.samples.pairs import Kind, Sample, SampleMaker

SHARES: dict[Kind, float] = {"ask": 0.56, "rewrite": 0.3, "identity": 0.09, "refusal": 0.05}
HELD_OUT_WORDS = 0.1
"""The newest documents are held out until they make up this share of the words."""


@dataclass(frozen=True)
class Dataset:
    train: list[Sample]
    held_out: list[Sample]
    held_out_documents: list[str]

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) over every sample, in order."""
        rows = [[asdict(sample) for sample in part] for part in (self.train, self.held_out)]
        return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def split_documents(documents: Sequence[Document]) -> tuple[list[Document], list[Document]]:
    """(training, held out): whole documents, the newest held out, at least one on each side.

    Raises:
        CorpusError: fewer than two documents.
    """
    if len(documents) < 2:
        raise CorpusError(
            "Training needs at least two documents: one is held out to measure on. "
            "Add another text to the sources and ingest again."
        )
    ordered = sorted(documents, key=lambda document: (document.date, document.id))
    words = [len(document.text.split()) for document in ordered]
    cut = len(ordered) - 1
    while cut > 1 and sum(words[cut:]) < HELD_OUT_WORDS * sum(words):
        cut -= 1
    return ordered[:cut], ordered[cut:]


def make_dataset(
    persona: Persona, documents: Sequence[Document], *, count: int, held_out_count: int, seed: int
) -> Dataset:
    """`count` training samples in `SHARES`, and `held_out_count` ask and rewrite samples to measure on.

    Raises:
        CorpusError: the corpus is too small to cut targets from.
    """
    training, held_out = split_documents(documents)
    vocabulary = {word for doc in documents for word in re.findall(r"[a-z]+", doc.text.lower())}
    maker = SampleMaker(persona, training, f"{persona.id} train {seed}")
    topics = outside_topics(vocabulary)
    made: list[Sample] = []
    for kind, share in SHARES.items():
        for number in range(round(count * share)):
            match kind:
                case "ask":
                    made.append(maker.ask(number))
                case "rewrite":
                    made.append(maker.rewrite(number))
                case "identity":
                    made.append(maker.identity(number))
                case "refusal":
                    made.append(maker.refusal(topics[number % len(topics)]))
    maker.random.shuffle(made)
    measure = SampleMaker(persona, held_out, f"{persona.id} held out {seed}")
    half = held_out_count // 2
    measured = [measure.ask(number) for number in range(held_out_count - half)]
    measured += [measure.rewrite(number) for number in range(half)]
    return Dataset(made, measured, [document.id for document in held_out])
