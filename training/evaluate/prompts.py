"""What a voice is asked to be measured: questions, texts to rewrite, who-are-yous, things nobody wrote about.

In: a persona and its held-out documents. Out: `Probe`s, the same for the same input, and each as chat
messages for each speaker. No probe is in the training samples: topics and stretches come from documents
that were held out, and identity and outside questions are worded otherwise than in
`training.samples.conversations`. What is done with the replies is decided elsewhere.

Speakers:

    base            the base model under a generic system prompt, asked as anybody would
    prompted_base   the base model under the persona's own prompt, with its style anchors
    adapter         the base model with the adapter, under the persona's prompt as it is served
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from personae.corpus import Document, Passage, cut_passages, first_words
from personae.errors import CorpusError
from personae.persona import Persona, Sampling
from personae.prompt import Message, PromptPassage, render_ask, render_rewrite
from training.evaluate.wordings import IDENTITY, MODERN, OUTSIDE, OUTSIDE_QUESTIONS, QUESTIONS
from training.samples.degrade import DEGRADERS
from training.samples.thesaurus import NO_OTHER_WORDS
from training.samples.topics import topics_of

Task = Literal["voice", "rewrite", "identity", "grounded", "outside"]
Speaker = Literal["base", "prompted_base", "adapter"]

SHOWN = 3
"""Probes of each task that every speaker answers, for reading side by side."""
_MIN_WORDS, _STRETCH_WORDS = 25, 55
_GENERIC = "You are a helpful assistant."


@dataclass(frozen=True)
class Counts:
    """How many probes of each task. The whole evaluation shall take five minutes on two CPU cores."""

    voice: int = 40
    """They bound an AUC to about ±.06."""
    rewrites: int = 24
    """Held-out stretches made plain; 36 texts with the modern ones bound a cosine to about ±.03."""
    modern: int = len(MODERN)
    identity: int = len(IDENTITY)
    """Wordings, each asked alone and below passages."""
    grounded: int = 16
    outside: int = 24


@dataclass(frozen=True)
class Probe:
    """`text` is what a person typed: a question, or a text to rewrite."""

    id: str
    task: Task
    text: str
    passages: tuple[PromptPassage, ...] = ()
    shown: bool = False
    author: str = ""
    """What the author wrote there, where the probe was made of his text."""


def make_probes(
    persona: Persona,
    documents: Sequence[Document],
    held_out: Sequence[str],
    counts: Counts = Counts(),
) -> list[Probe]:
    """All probes, in a fixed order.

    Args:
        documents: the whole corpus; its words tell what lies outside it.
        held_out: ids of the documents nothing was learned from.

    Raises:
        CorpusError: a held-out document is gone, or none has a stretch of whole sentences.
    """
    known = {document.id: document for document in documents}
    if missing := [name for name in held_out if name not in known]:
        raise CorpusError(
            f"The corpus of {persona.id} has no document {missing[0]} any more, which was held out in "
            "training. Ingest the sources as they were, or train again."
        )
    draw = random.Random(f"probes {persona.id}")  # noqa: S311 - an order, no secret
    kept = [known[name] for name in held_out]
    passages = [passage for document in kept for passage in cut_passages(document)]
    stretches = [
        passage.text
        for document in kept
        for passage in cut_passages(document, target_words=_STRETCH_WORDS)
        if len(passage.text.split()) >= _MIN_WORDS and re.search(r"[.!?][\"'”’)\]]*$", passage.text)
    ]
    if not passages or not stretches:
        raise CorpusError(
            f"The held-out documents of {persona.id} hold no stretch of whole sentences with {_MIN_WORDS} "
            "words, so there is nothing to measure on. Add longer texts to the sources and train again."
        )
    vocabulary = {word for document in documents for word in _words(document.text)}
    return [
        *_voice(passages, counts.voice),
        *_rewrites(stretches, counts, draw),
        *_identity(persona, passages, counts.identity, draw),
        *_grounded(persona, passages, counts.grounded, draw),
        *_outside(persona, passages, vocabulary, counts.outside, draw),
    ]


def messages_of(persona: Persona, probe: Probe, speaker: Speaker) -> list[Message]:
    """The probe as this speaker meets it."""
    anchors = persona.style_anchors if speaker == "prompted_base" else ()
    if speaker != "base":
        if probe.task == "rewrite":
            return render_rewrite(persona, probe.text, style_passages=anchors)
        return render_ask(persona, probe.text, probe.passages, style_passages=anchors)
    if probe.task == "rewrite":
        asked = f"Rewrite this text in your own words.\n\n{probe.text}"
    elif probe.passages:
        shown = "\n\n".join(passage.text for passage in probe.passages)
        asked = f"{shown}\n\n{probe.text}"
    else:
        asked = probe.text
    return [{"role": "system", "content": _GENERIC}, {"role": "user", "content": asked}]


def sampling_of(persona: Persona, probe: Probe) -> Sampling:
    return persona.rewrite.sampling if probe.task == "rewrite" else persona.ask.sampling


def speakers_of(probe: Probe) -> tuple[Speaker, ...]:
    """Who answers it: all where the figures compare them or the report shows them, else the adapter."""
    if probe.task == "voice" or probe.shown:
        return ("base", "prompted_base", "adapter")
    return ("adapter",)


def _voice(passages: Sequence[Passage], count: int) -> list[Probe]:
    """Open questions on the best topics of the held-out documents, spread over them."""
    ranked = topics_of([passage.text for passage in passages], most=6)
    topics = list(dict.fromkeys(
        found[rank] for rank in range(6) for found in ranked if rank < len(found)
    ))[:count] or ["your work", "the times we live in", "the future"]  # fmt: skip
    probes: list[Probe] = []
    for number in range(count):
        topic = topics[number % len(topics)]
        # The second round over the topics words each question otherwise than the first.
        wording = QUESTIONS[(number + number // len(topics)) % len(QUESTIONS)]
        probes.append(
            Probe(f"voice-{number:02}", "voice", wording.format(topic=topic), shown=number < SHOWN)
        )
    return probes


def _rewrites(stretches: Sequence[str], counts: Counts, draw: random.Random) -> list[Probe]:
    chosen = draw.sample(stretches, min(counts.rewrites, len(stretches)))
    made = [
        Probe(
            f"rewrite-{number:02}",
            "rewrite",
            DEGRADERS[number % len(DEGRADERS)](text, NO_OTHER_WORDS),
            shown=number < 2,
            author=text,
        )
        for number, text in enumerate(chosen)
    ]
    modern = [
        Probe(f"modern-{number:02}", "rewrite", text, shown=number < 2)
        for number, text in enumerate(MODERN[: counts.modern])
    ]
    return made + modern


def _identity(
    persona: Persona, passages: Sequence[Passage], count: int, draw: random.Random
) -> list[Probe]:
    """Each wording alone and below passages, as serving may show them."""
    probes = []
    for number, wording in enumerate(IDENTITY[:count]):
        text = wording.format(name=persona.display_name)
        shown = tuple(_shown(persona, one) for one in draw.sample(passages, min(2, len(passages))))
        probes.append(Probe(f"identity-{number:02}", "identity", text, shown=number < 2))
        probes.append(Probe(f"identity-{number:02}p", "identity", text, shown))
    return probes


def _grounded(
    persona: Persona, passages: Sequence[Passage], count: int, draw: random.Random
) -> list[Probe]:
    """A question on a passage's topics, with that passage and a neighbour or a stranger beside it."""
    ranked = topics_of([passage.text for passage in passages], most=2)
    asked = [index for index, found in enumerate(ranked) if found]
    probes = []
    for number, index in enumerate(draw.sample(asked, min(count, len(asked)))):
        beside = (index + 1) % len(passages) if number % 2 else draw.randrange(len(passages))
        places = list(dict.fromkeys([index, beside]))
        draw.shuffle(places)
        text = QUESTIONS[number % len(QUESTIONS)].format(topic=ranked[index][0])
        shown = tuple(_shown(persona, passages[place]) for place in places)
        written = passages[index].text
        probes.append(
            Probe(f"grounded-{number:02}", "grounded", text, shown, number < SHOWN, written)
        )
    return probes


def _outside(
    persona: Persona,
    passages: Sequence[Passage],
    vocabulary: set[str],
    count: int,
    draw: random.Random,
) -> list[Probe]:
    """Things the corpus has no word for, by turns without passages and below unrelated ones."""
    topics = [topic for topic in OUTSIDE if not vocabulary & _words(topic)] or list(OUTSIDE)
    probes = []
    for number in range(count):
        topic = topics[number % len(topics)]
        text = OUTSIDE_QUESTIONS[number % len(OUTSIDE_QUESTIONS)].format(topic=topic)
        chosen = draw.sample(passages, min(2, len(passages))) if number % 2 else []
        shown = tuple(_shown(persona, one) for one in chosen)
        probes.append(Probe(f"outside-{number:02}", "outside", text, shown, number < SHOWN))
    return probes


def _shown(persona: Persona, passage: Passage) -> PromptPassage:
    text = first_words(passage.text, persona.retrieval.passage_words)
    return PromptPassage(title=passage.title, date=passage.date, text=text)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{4,}", text.lower()))
