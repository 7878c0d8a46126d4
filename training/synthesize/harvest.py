"""Answers of the model into samples, those that pass the filters.

In: jobs, their answers, the persona and its passages. Out: samples in the order of the jobs, and a report
of what went and why. The same answers give the same samples. Every prompt is rendered by
`personae.prompt`, as in serving; every target is the author's own words or a fixed line of the persona's.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from personae.corpus import Passage, first_words
from personae.persona import Persona
from personae.prompt import Message, PromptPassage, render_ask, render_rewrite
from personae.self_introduction import identity_answer
from training.samples.conversations import refusals
from training.samples.filters import (
    Embed,
    FilterReport,
    Reason,
    asked_problem,
    cleaned,
    cosines,
    overused_openings,
    question_problem,
    rewrite_problem,
    title_problem,
)
from training.samples.pairs import Kind, Sample
from training.synthesize.cache import Answer
from training.synthesize.jobs import Job, Stretch, order
from training.synthesize.prompts import WORDINGS, SampleKind

_TITLED = (
    "Write something titled “{title}”.",
    "Write a piece with the title “{title}”.",
    "Under the title “{title}”, what would you write?",
    "Begin an essay called “{title}”.",
)
_IDENTITY = re.compile(
    r"\b(?:who|name|human|person|people|machine|robot|bot|chatbot|ai|program|software|real|really|alive|made|"
    r"built|created|model|computer|artificial|imitation|actually|someone|what are you|talking to)\b|chatgpt",
    re.IGNORECASE,
)
_LINE_MARK = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
# Below these cosines a passage does not answer. A judgement, with little behind it: questions made by rules
# lie at .24 to .30 (median) from their own passage and at .27 or less (nine in ten) from others; a model's
# are more to the point.
_ANSWERS = 0.40
_SAME_MATTER = 0.60
_CANDIDATES = 6

Length = Callable[[Sample], int]


@dataclass
class _Candidate:
    """One text of the model on its way to a sample."""

    job: Job
    text: str
    reason: Reason | None

    @property
    def kind(self) -> SampleKind:
        return self.job.request.kind


class Harvest:
    """
    Args:
        embed: texts to normalised vectors.
        length: tokens of a whole sample as the base model reads it; longer than `max_tokens` goes.
    """

    def __init__(
        self,
        persona: Persona,
        passages: Sequence[Passage],
        *,
        model: str,
        embed: Embed,
        length: Length | None = None,
        max_tokens: int = 1024,
    ) -> None:
        self.persona = persona
        self.report = FilterReport()
        self._passages = passages
        self._model = model
        self._embed = embed
        self._length = length
        self._max_tokens = max_tokens
        words = persona.display_name.split()
        self._names = [persona.display_name, *([words[-1]] if len(words) > 1 else [])]

    def samples(self, jobs: Sequence[Job], answers: Mapping[Job, Answer]) -> list[Sample]:
        """Of the jobs that have an answer."""
        found = [
            candidate for job in jobs if job in answers for candidate in _texts(job, answers[job])
        ]
        self._judge(found)
        made: list[Sample] = []
        for candidate in found:
            sample = None if candidate.reason else self._sample(candidate)
            if sample and self._length and self._length(sample) > self._max_tokens:
                candidate.reason = "longer than the base model reads"
            if self.report.note(candidate.kind, candidate.text, candidate.reason) and sample:
                made.append(sample)
        return made

    def _judge(self, found: list[_Candidate]) -> None:
        """Set the reason of each that has none yet."""
        open_ = [candidate for candidate in found if candidate.reason is None]
        with_text = [candidate for candidate in open_ if candidate.job.stretch is not None]
        near = cosines(
            self._embed,
            [candidate.text for candidate in with_text],
            [candidate.job.stretch.text for candidate in with_text if candidate.job.stretch],
        )
        of = {id(candidate): value for candidate, value in zip(with_text, near, strict=True)}
        for candidate in open_:
            candidate.reason = self._problem(candidate, of.get(id(candidate), 1.0))
        self._judge_together(found)

    def _problem(self, candidate: _Candidate, cosine: float) -> Reason | None:
        language, text = self.persona.language, candidate.text
        stretch = candidate.job.stretch
        if stretch is None:
            # People who ask "who are you" may well name the persona.
            names = self._names if candidate.kind == "outside" else []
            if not self._on_topic(candidate):
                return "off its topic"
            return asked_problem(text, language=language, names=names)
        if candidate.kind in ("question", "missing"):
            return question_problem(
                text, stretch.text, cosine, language=language, names=self._names
            )
        if candidate.kind == "title":
            return title_problem(text, stretch.text, cosine, language=language)
        return rewrite_problem(
            stretch.text,
            text,
            cosine,
            language=language,
            names=self._names,
            notes=candidate.kind == "notes",
        )

    def _on_topic(self, candidate: _Candidate) -> bool:
        """Whether a wording asks what it was to ask; its answer is fixed."""
        if self.persona.language != "en":
            return True
        if candidate.kind == "identity":
            return _IDENTITY.search(candidate.text) is not None
        words = re.findall(r"[a-z]{4,}", candidate.job.topic.lower())
        return any(word.rstrip("s") in candidate.text.lower() for word in words)

    def _judge_together(self, found: list[_Candidate]) -> None:
        """What only shows among many: the same text twice, the same opening again and again."""
        seen: set[tuple[str, str]] = set()
        by_kind: dict[str, list[_Candidate]] = {}
        for candidate in found:
            if candidate.reason is None:
                said = (candidate.kind, " ".join(candidate.text.lower().split()))
                if said in seen:
                    candidate.reason = "said before"
                else:
                    by_kind.setdefault(candidate.kind, []).append(candidate)
                seen.add(said)
        for kind, own in by_kind.items():
            if kind in ("identity", "outside"):
                continue  # people do ask "who are you" in the same words
            for candidate, reason in zip(
                own, overused_openings([c.text for c in own]), strict=True
            ):
                candidate.reason = reason

    def _sample(self, candidate: _Candidate) -> Sample | None:
        """The sample; None (and a reason set) where none can be made of it."""
        kind, text, stretch = candidate.kind, candidate.text, candidate.job.stretch
        chance = random.Random(order(f"{kind} {text}"))  # noqa: S311 - samples, not secrets
        if stretch is None:
            context = self._any_passages(chance) if chance.random() < 0.5 else []
            task: Kind = "identity" if kind == "identity" else "refusal"
            answer = (
                identity_answer(self.persona)
                if kind == "identity"
                else chance.choice(refusals(self.persona, candidate.job.topic))
            )
            return self._finished(task, render_ask(self.persona, text, context), answer, "")
        if kind in ("notes", "essay", "learner"):
            prompt = render_rewrite(self.persona, text)
            return self._finished("rewrite", prompt, stretch.text, stretch.document_id)
        if kind == "missing":
            context = self._unanswering(text, stretch)
            if not context:
                candidate.reason = "passages that answer it"
                return None
            prompt = render_ask(self.persona, text, context)
            return self._finished("refusal", prompt, self.persona.refusal, stretch.document_id)
        if kind == "title":
            asked = chance.choice(_TITLED).format(title=text)
            prompt = render_ask(self.persona, asked)
        else:
            prompt = render_ask(self.persona, text, self._context(stretch, chance))
        return self._finished("ask", prompt, stretch.text, stretch.document_id)

    def _finished(self, task: Kind, messages: list[Message], target: str, document: str) -> Sample:
        return Sample(task, messages, target, document, made_by=self._model)

    def _context(self, stretch: Stretch, chance: random.Random) -> list[PromptPassage]:
        """None (1 in 5), or the stretch's own passage, beside up to two others."""
        if chance.random() < 0.2:
            return []
        chosen = {stretch.passage}
        for _ in range(chance.choice((0, 0, 1, 2))):
            chosen.add(chance.randrange(len(self._passages)))
        places = sorted(chosen)
        chance.shuffle(places)
        return [self._shown(self._passages[place]) for place in places]

    def _any_passages(self, chance: random.Random) -> list[PromptPassage]:
        size = min(chance.randint(1, 3), len(self._passages))
        return [self._shown(passage) for passage in chance.sample(self._passages, size)]

    def _unanswering(self, question: str, stretch: Stretch) -> list[PromptPassage]:
        """Up to three passages of other documents that are far from the question and its answer."""
        others = [p for p in self._passages if p.document_id != stretch.document_id]
        others = sorted(others, key=lambda passage: order(question + passage.text))[:_CANDIDATES]
        if not others:
            return []
        vectors = self._embed([question, stretch.text, *(passage.text for passage in others)])
        to_question, to_answer = vectors[2:] @ vectors[0], vectors[2:] @ vectors[1]
        far = [
            passage
            for passage, asked, told in zip(others, to_question, to_answer, strict=True)
            if asked < _ANSWERS and told < _SAME_MATTER
        ]
        return [self._shown(passage) for passage in far[:3]]

    def _shown(self, passage: Passage) -> PromptPassage:
        text = first_words(passage.text, self.persona.retrieval.passage_words)
        return PromptPassage(title=passage.title, date=passage.date, text=text)


def _texts(job: Job, answer: Answer) -> list[_Candidate]:
    """The texts in an answer: one, or the lines of a list."""
    if answer.finish == "length":
        return [_Candidate(job, answer.text, "cut off")]
    if job.stretch is not None:
        text = cleaned(answer.text)
        return [_Candidate(job, text, None if text else "empty")]
    lines = [cleaned(_LINE_MARK.sub("", line)) for line in answer.text.splitlines()]
    lines = [line for line in lines if line][:WORDINGS]
    return [_Candidate(job, line, None) for line in lines] or [_Candidate(job, "", "empty")]
