"""Which requests a persona's samples need: the same ones for the same documents.

In: a persona and its training documents. Out: `Job`s in the order they are asked, kinds mixed, so that a
budget that ends early leaves some of each. What is chosen of a document depends on its own words, so a
corpus that grows by one text keeps most of its paid answers. It asks nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence, Set
from dataclasses import dataclass

from personae.corpus import Document, Passage, sentences
from personae.persona import Persona
from training.samples.conversations import outside_topics
from training.samples.pairs import MAX_TARGET_WORDS, MIN_TARGET_WORDS, SampleMaker
from training.synthesize.prompts import (
    QUESTION_TYPES,
    WORDINGS,
    Request,
    SampleKind,
    degraded_request,
    identity_request,
    outside_request,
    question_request,
    title_request,
)

SHARES: dict[SampleKind, float] = {
    "question": 0.42, "notes": 0.11, "essay": 0.11, "learner": 0.11, "title": 0.08,
    "missing": 0.06, "identity": 0.06, "outside": 0.05,
}  # fmt: skip
"""Of the samples wanted; filters take some of them away again."""


@dataclass(frozen=True)
class Stretch:
    """Whole sentences of one document that can be an answer."""

    text: str
    document_id: str
    passage: int
    """Where it begins: place in `Plan.passages`."""


@dataclass(frozen=True)
class Job:
    request: Request
    stretch: Stretch | None
    topic: str = ""


@dataclass(frozen=True)
class Plan:
    jobs: list[Job]
    passages: list[Passage]


def plan_jobs(
    persona: Persona, documents: Sequence[Document], *, samples: int, vocabulary: Set[str]
) -> Plan:
    """Requests for about `samples` samples; fewer where the documents are short.

    Args:
        vocabulary: words (lower case) of everything the author wrote; no topic of it is refused.

    Raises:
        CorpusError: no stretch of the documents is long enough.
    """
    maker = SampleMaker(persona, documents, "synthesis")
    found = _stretches(maker)
    language = persona.language
    topics = outside_topics(vocabulary)
    jobs: list[Job] = []
    seen: set[Request] = set()
    for kind, share in SHARES.items():
        # Each kind has an order of its own, so that a few samples still see many stretches.
        found.sort(key=lambda stretch: order(f"{kind} {stretch.text}"))
        wanted = round(samples * share)
        if kind in ("identity", "outside"):
            wanted = math.ceil(wanted / WORDINGS)
        made = [
            job
            for number in range(_most(kind, wanted, found, topics))
            if (job := _job(persona, kind, number, found, topics, language)).request not in seen
        ]
        seen.update(job.request for job in made)
        jobs += made
    return Plan(_mixed(jobs), maker.passages)


def _most(kind: SampleKind, wanted: int, found: list[Stretch], topics: list[str]) -> int:
    if kind == "identity":
        return wanted
    if kind == "outside":
        return min(wanted, 2 * len(topics))
    each = len(QUESTION_TYPES) if kind in ("question", "missing") else 1
    return min(wanted, each * len(found))


def _job(
    persona: Persona,
    kind: SampleKind,
    number: int,
    found: list[Stretch],
    topics: list[str],
    language: str,
) -> Job:
    if kind == "identity":
        return Job(identity_request(persona.display_name, number, language), None)
    if kind == "outside":
        topic = topics[number % len(topics)]
        return Job(outside_request(topic, number // len(topics), language), None, topic)
    stretch = found[number % len(found)]
    turn = int(order(stretch.text)[:4], 16) + number // len(found)
    asks = QUESTION_TYPES[turn % len(QUESTION_TYPES)]
    if kind in ("question", "missing"):
        request = question_request(stretch.text, kind, asks, language)
    elif kind == "title":
        request = title_request(stretch.text, language)
    else:
        request = degraded_request(stretch.text, kind, language)
    return Job(request, stretch)


def _stretches(maker: SampleMaker) -> list[Stretch]:
    """Stretches that do not overlap much, in the order of the documents."""
    found: list[Stretch] = []
    last = (-1, -10)
    for index, number in maker.starts:
        # From one passage the first start, and another well behind it.
        if last[0] == index and number < last[1] + 4:
            continue
        text = _whole_sentences(maker.passages, index, number)
        if text:
            found.append(Stretch(text, maker.passages[index].document_id, index))
            last = (index, number)
    return found


def order(text: str) -> str:
    """A random-looking place that is the same in every run."""
    return hashlib.sha256(text.encode()).hexdigest()


def _whole_sentences(passages: Sequence[Passage], index: int, start: int) -> str:
    """From one sentence on, into the document's next passage; "" if it gets too short or too long."""
    document = passages[index].document_id
    following = [p for p in passages[index : index + 2] if p.document_id == document]
    said = [sentence for passage in following for sentence in sentences(passage.text)][start:]
    opening = said[0] if said else ""
    wanted = MIN_TARGET_WORDS + int(order(opening)[:4], 16) % (
        MAX_TARGET_WORDS - 2 * MIN_TARGET_WORDS
    )
    kept: list[str] = []
    size = 0
    for sentence in said:
        length = len(sentence.split())
        if size >= MIN_TARGET_WORDS and size + length > wanted:
            break
        if size + length > MAX_TARGET_WORDS or sentence.rstrip("\"'”’)]")[-1:] not in (
            ".",
            "!",
            "?",
        ):
            break
        kept.append(sentence)
        size += length
    return " ".join(kept) if size >= MIN_TARGET_WORDS else ""


def _mixed(jobs: Sequence[Job]) -> list[Job]:
    """All kinds in step: whatever stops the run leaves the same shares of each."""
    totals: dict[str, int] = {}
    for job in jobs:
        totals[job.request.kind] = totals.get(job.request.kind, 0) + 1
    counted: dict[str, int] = {}
    places: list[tuple[float, int]] = []
    for number, job in enumerate(jobs):
        counted[job.request.kind] = counted.get(job.request.kind, 0) + 1
        places.append((counted[job.request.kind] / totals[job.request.kind], number))
    return [jobs[number] for _share, number in sorted(places)]
