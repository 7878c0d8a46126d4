"""The samples of one training, and those it is measured on.

In: a persona and its documents. Out: a `Dataset`, the same for the same corpus and seed. Documents are split
before anything is cut: no sentence of a held-out document is in a training sample, as target or as
context.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from personae.corpus import Document
from personae.errors import CorpusError
from personae.persona import Persona
from training.samples.conversations import outside_topics
from training.samples.pairs import Kind, Sample, SampleMaker
from training.samples.thesaurus import NO_OTHER_WORDS, Thesaurus
from training.tune.leakage import HeldOutText

SHARES: dict[Kind, float] = {
    "open": 0.29,
    "ask": 0.20,
    "continue": 0.11,
    "rewrite": 0.24,
    "identity": 0.11,
    "refusal": 0.05,
}
MEASURED: tuple[Kind, ...] = ("open", "ask", "rewrite")
"""What held-out loss is measured on, in equal parts."""
SYNTHESIZED_SHARE = 0.6
"""At most so many samples are ones a model wrote; the rest is made by rules, in `SHARES`."""
REVISED_SHARE = 0.25
"""At most so many are answers that operators wrote better, the newest."""
CHANCE_LEAKS = 0.02
"""At most so many samples hold words of held-out documents by chance: an author with refrains says the same
sentences in another order. They are drawn anew. More are no chance, and the preflight refuses them."""
HELD_OUT_WORDS = 0.1
"""The newest documents are held out until they make up this share of the words."""
_TRIES = 20

log = logging.getLogger(__name__)


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
    persona: Persona,
    documents: Sequence[Document],
    *,
    count: int,
    held_out_count: int,
    seed: int,
    words: Thesaurus = NO_OTHER_WORDS,
    synthesized: Sequence[Sample] = (),
    revised: Sequence[Sample] = (),
) -> Dataset:
    """`count` training samples in `SHARES`, and `held_out_count` samples to measure on.

    Args:
        words: other words for the author's (`training.samples.thesaurus`), for the plain side of rewrites.
        synthesized: samples a model wrote of the training documents; of held-out ones none is taken.
        revised: answers that operators wrote better (`training.samples.revisions`), the newest first.

    Raises:
        CorpusError: the corpus is too small to cut targets from.
    """
    training, held_out = split_documents(documents)
    maker = SampleMaker(persona, training, f"{persona.id} train {seed}", words=words)
    away = {document.id for document in held_out}
    written = [sample for sample in synthesized if sample.document_id not in away]
    maker.random.shuffle(written)
    made = [*revised[: round(count * REVISED_SHARE)], *written[: round(count * SYNTHESIZED_SHARE)]]
    topics = outside_topics(_vocabulary(documents))
    made += _by_rules(maker, count - len(made), topics)
    made = _without_chance_leaks(made, maker, topics, HeldOutText(training, held_out))
    maker.random.shuffle(made)
    measure = SampleMaker(persona, held_out, f"{persona.id} held out {seed}", words=words)
    measured = [
        _sample(measure, MEASURED[number % len(MEASURED)], number // len(MEASURED), [])
        for number in range(held_out_count)
    ]
    return Dataset(made, measured, [document.id for document in held_out])


def _by_rules(maker: SampleMaker, count: int, topics: Sequence[str]) -> list[Sample]:
    counts = {kind: round(count * share) for kind, share in SHARES.items()}
    counts["open"] += count - sum(counts.values())  # what rounding left or took
    return [
        _sample(maker, kind, number, topics)
        for kind, wanted in counts.items()
        for number in range(wanted)
    ]


def _without_chance_leaks(
    made: list[Sample], maker: SampleMaker, topics: Sequence[str], known: HeldOutText
) -> list[Sample]:
    """The same samples where none leaks; else with others of their kind instead."""
    leaking = {place for place, sample in enumerate(made) if known.documents_in(sample.text)}
    if not leaking or len(leaking) > max(1, CHANCE_LEAKS * len(made)):
        return made
    log.info("%d samples held words of held-out documents by chance; drawn anew", len(leaking))
    numbers = itertools.count(len(made))
    sound = []
    for place, sample in enumerate(made):
        if place not in leaking:
            sound.append(sample)
            continue
        others = (_sample(maker, sample.task, next(numbers), topics) for _ in range(_TRIES))
        sound += itertools.islice((one for one in others if not known.documents_in(one.text)), 1)
    return sound


def _sample(maker: SampleMaker, kind: Kind, number: int, topics: Sequence[str]) -> Sample:
    match kind:
        case "open":
            return maker.open(number)
        case "ask":
            return maker.ask(number)
        case "continue":
            return maker.continue_(number)
        case "rewrite":
            return maker.rewrite(number)
        case "identity":
            return maker.identity(number)
        case "refusal":
            return maker.refusal(topics[number % len(topics)])


def _vocabulary(documents: Sequence[Document]) -> set[str]:
    return {word for doc in documents for word in re.findall(r"[a-z]+", doc.text.lower())}
