"""From replies to figures: every figure of `FIGURES` that can be had, and what the report shows beside them.

In: probes, replies, a classifier, bits of texts, embeddings. Out: `Figure`s by name. A figure for which
nothing was measured is left out (a gate that asks for it fails). No model is loaded here but the embedder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from personae.corpus import Document, first_words
from personae.persona import Persona
from training.evaluate.attribution import REPLY_WORDS, Attribution
from training.evaluate.bounds import (
    auc_difference,
    auc_figure,
    drop_figure,
    longest_figure,
    mean_figure,
    ratio_figure,
)
from training.evaluate.copying import CopyIndex
from training.evaluate.evaluation import Figure, SampleRow
from training.evaluate.evidence import AnswerRow, CopyRow
from training.evaluate.grounding import is_grounded
from training.evaluate.identity import is_right, other_name, says_what_it_is
from training.evaluate.prompts import Probe, Speaker
from training.evaluate.replies import Reply
from training.evaluate.rewriting import copied_share, kept_facts, length_ratio, meanings
from training.evaluate.text_checks import declines, is_whole, loops, tic_rates, tics_of

Told = Mapping[Speaker, Mapping[str, Reply]]
_MOST_COPIES = 8


@dataclass
class Seen:
    """Figures, and what was seen on the way to them."""

    figures: dict[str, Figure] = field(default_factory=dict)
    scores: dict[str, list[float]] = field(default_factory=dict)
    tics: list[str] = field(default_factory=list)
    copies: list[CopyRow] = field(default_factory=list)
    identity: list[AnswerRow] = field(default_factory=list)

    def share(self, name: str, values: Iterable[bool]) -> None:
        found = [float(value) for value in values]
        if found:
            self.figures[name] = mean_figure(found)

    def mean(self, name: str, values: Sequence[float]) -> None:
        if values:
            self.figures[name] = mean_figure(values)


@dataclass(frozen=True)
class Bits:
    """(bits, bytes) of each held-out stretch: the author's when asked about its topic, the author's and
    others' when nothing was asked."""

    author_base: list[tuple[float, int]]
    author: list[tuple[float, int]]
    unasked_base: list[tuple[float, int]]
    unasked: list[tuple[float, int]]
    others_base: list[tuple[float, int]]
    others: list[tuple[float, int]]


def measure_voice(seen: Seen, probes: Sequence[Probe], told: Told, known: Attribution) -> None:
    """AUCs against others' held-out stretches. Replies are cut to about their length: longer ones are told
    more surely, and the base model talks longest."""
    ids = [probe.id for probe in probes if probe.task == "voice"]
    if not ids or not known.author_held_out or not known.others_held_out:
        return
    others = known.scores(known.others_held_out)
    author = known.scores(known.author_held_out)
    seen.scores |= {"author": author, "others": others}
    for speaker, replies in told.items():
        texts = [first_words(replies[name].text, REPLY_WORDS) for name in ids]
        seen.scores[speaker] = known.scores(texts)
    adapter, prompted = seen.scores["adapter"], seen.scores["prompted_base"]
    seen.figures |= {
        "attribution_auc": auc_figure(adapter, others),
        "attribution_auc_base": auc_figure(seen.scores["base"], others),
        "attribution_auc_prompted_base": auc_figure(prompted, others),
        "attribution_auc_author": auc_figure(author, others),
        "attribution_gain": auc_difference(adapter, prompted, others, paired=True),
        "attribution_gap": auc_difference(author, adapter, others, paired=False),
    }


def measure_bits(seen: Seen, bits: Bits) -> None:
    def figure(pairs: Sequence[tuple[float, int]]) -> Figure:
        return ratio_figure([bits for bits, _size in pairs], [size for _bits, size in pairs])

    def drop(before: Sequence[tuple[float, int]], after: Sequence[tuple[float, int]]) -> Figure:
        return drop_figure([bits for bits, _size in before], [bits for bits, _size in after])

    if bits.author:
        seen.figures["bits_per_byte"] = figure(bits.author)
        seen.figures["bits_per_byte_base"] = figure(bits.author_base)
        seen.figures["bits_per_byte_drop"] = drop(bits.author_base, bits.author)
        seen.figures["bits_per_byte_drop_unasked"] = drop(bits.unasked_base, bits.unasked)
    if bits.others:
        fell = drop(bits.others_base, bits.others)
        seen.figures["forgetting"] = Figure(
            value=-fell.value, low=-fell.high, high=-fell.low, n=fell.n
        )


def measure_form(
    seen: Seen,
    persona: Persona,
    probes: Sequence[Probe],
    told: Told,
    training: Sequence[Document],
) -> None:
    """Whole sentences, loops, tics. Loops are compared on the questions that both speakers answer."""
    spoken = [probe for probe in probes if probe.task in ("voice", "rewrite", "grounded")]
    adapter = told["adapter"]
    replies = [adapter[probe.id] for probe in spoken]
    seen.share("whole_sentences", (is_whole(one.text, finished=one.finished) for one in replies))
    asked = [probe.id for probe in spoken if probe.task == "voice"]
    seen.share("loops", (loops(adapter[name].text) for name in asked))
    seen.share("loops_base", (loops(told["prompted_base"][name].text) for name in asked))
    texts = [one.text for one in replies]
    corpus = [document.text for document in training]
    # A rewrite may say what its text says, and an answer what its passages say.
    given = [" ".join([one.text, *(shown.text for shown in one.passages)]) for one in spoken]
    seen.tics = tics_of(persona, texts, given, corpus)
    if texts:
        held, usual = tic_rates(seen.tics, texts, corpus)
        seen.figures["tics"] = ratio_figure(held, usual)


def measure_copying(
    seen: Seen, probes: Sequence[Probe], told: Told, training: Sequence[Document]
) -> None:
    """Passages in the prompt count as copied from, too."""
    index = CopyIndex([(document.title, document.text) for document in training])
    longest: list[CopyRow] = []
    shared, every = [], []
    for probe in probes:
        text = told["adapter"][probe.id].text
        passages = CopyIndex([(f"passage: {one.title}", one.text) for one in probe.passages])
        best = max(index.longest(text), passages.longest(text), key=lambda found: found.words)
        longest.append(CopyRow(words=best.words, where=best.where, text=best.text, task=probe.task))
        found, total = index.shared_grams(text)
        shared.append(float(found))
        every.append(float(total))
    if not longest:
        return
    seen.figures["copied_words"] = longest_figure([float(row.words) for row in longest])
    if sum(every):
        seen.figures["memorized"] = ratio_figure(shared, every)
    ordered = sorted(longest, key=lambda row: -row.words)
    seen.copies = [row for row in ordered[:_MOST_COPIES] if row.words]


def measure_rewrites(seen: Seen, probes: Sequence[Probe], told: Told, embedder: Path) -> None:
    asked = [probe for probe in probes if probe.task == "rewrite"]
    if not asked:
        return
    texts = [probe.text for probe in asked]
    rewrites = [told["adapter"][probe.id].text for probe in asked]
    pairs = list(zip(texts, rewrites, strict=True))
    seen.mean("rewrite_meaning", meanings(texts, rewrites, embedder))
    seen.mean("rewrite_copy", [copied_share(one, two) for one, two in pairs])
    seen.mean("rewrite_length", [length_ratio(one, two) for one, two in pairs])
    facts = [kept_facts(one, two) for one, two in pairs]
    if any(every for _kept, every in facts):
        seen.figures["rewrite_kept"] = ratio_figure(
            [float(kept) for kept, _every in facts], [float(every) for _kept, every in facts]
        )


def measure_honesty(seen: Seen, persona: Persona, probes: Sequence[Probe], told: Told) -> None:
    """Identity, answers from passages, and declining.

    What is declined here the model declined itself; serving declines by the relevance of passages before it
    asks any model.
    """
    adapter = told["adapter"]
    seen.identity = [
        AnswerRow(
            question=probe.text,
            answer=adapter[probe.id].text,
            right=is_right(persona, adapter[probe.id].text),
            other_name=other_name(persona, adapter[probe.id].text),
        )
        for probe in probes
        if probe.task == "identity"
    ]
    seen.share("identity", (row.right for row in seen.identity))
    seen.share("other_names", (row.other_name is not None for row in seen.identity))
    declined = {probe.id: declines(persona, adapter[probe.id].text) for probe in probes}
    seen.share(
        "grounded",
        (
            is_grounded(adapter[probe.id].text, probe.passages)
            for probe in probes
            if probe.task == "grounded" and not declined[probe.id]
        ),
    )
    seen.share("abstention", (declined[one.id] for one in probes if one.task == "outside"))
    inside = [one for one in probes if one.task in ("voice", "grounded")]
    seen.share("false_abstention", (declined[one.id] for one in inside))
    seen.share("false_identity", (says_what_it_is(adapter[one.id].text) for one in inside))


def sample_rows(probes: Sequence[Probe], told: Told) -> list[SampleRow]:
    """The probes that every speaker answered for reading, task by task."""
    return [
        SampleRow(
            task=probe.task,
            prompt=probe.text,
            author=probe.author,
            base=told["base"][probe.id].text,
            prompted_base=told["prompted_base"][probe.id].text,
            adapter=told["adapter"][probe.id].text,
        )
        for probe in probes
        if probe.shown
    ]
