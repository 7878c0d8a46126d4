"""Training samples from a corpus: what the persona is asked, and the author's own words as the answer.

In: a persona and its documents. Out: `Sample`s, the same ones for the same corpus and seed, without any
model. Every prompt comes from `personae.prompt`, as in serving. Six kinds:

    open      a question about a stretch's topics, nothing beside it → the stretch
    ask       the same with 1-3 passages as retrieval would show them → whole sentences of the author that
              begin in or near one of those passages and soon leave it
    continue  "Write … as you did in <title>" → a longer stretch
    rewrite   a stretch of the author made plain (`training.samples.degrade`) → the stretch itself
    identity  "Who are you?", "Are you an AI?" in many wordings → an imitation of …, a program
    refusal   a question on something the corpus never mentions → the persona's refusal

Which documents are trained on and how many samples of each kind there are is decided in
`training.samples.dataset`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from personae.corpus import Document, Passage, cut_passages, first_words, sentences
from personae.errors import CorpusError
from personae.persona import Persona
from personae.prompt import Message, PromptPassage, render_ask, render_rewrite
from personae.self_introduction import identity_answer
from training.samples.conversations import identity_questions, refusals
from training.samples.degrade import DEGRADERS
from training.samples.thesaurus import NO_OTHER_WORDS, Thesaurus
from training.samples.topics import topics_of

Kind = Literal["open", "ask", "continue", "rewrite", "identity", "refusal"]

MIN_TARGET_WORDS, MAX_TARGET_WORDS = 40, 130
LONG_TARGET_WORDS = 210
"""Of `continue`: long stretches teach most of the language for the prompt they cost."""
QUOTED_WORDS = 25
"""An `ask` target holds at most so many words of a passage beside it: longer ones teach to copy."""

_QUESTIONS = (
    "What do you think about {a}?",
    "What do you think of {a}?",
    "What is your view of {a}?",
    "What is your opinion of {a} and {b}?",
    "How should the country deal with {a}?",
    "How should we deal with {a} and {b}?",
    "Tell me about {a}.",
    "Tell me about {a} and {b}.",
    "What should be done about {a}?",
    "What have you said about {a}?",
    "What have you written on {a} and {b}?",
    "What holds for {a}?",
    "Why should we care about {a}?",
    "How do you see {a}?",
    "What about {a}?",
    "What would you say to somebody who asks about {a}?",
    "Can you explain {a}?",
    "What do we owe to {a}?",
)
_ASK_ATTEMPTS = 3
_OPEN_QUESTIONS = (
    "What should we know?",
    "What do you make of this?",
    "What would you tell us?",
    "What do you see before us?",
)
_WRITINGS = (
    "Write something on {a}.",
    "Write at length about {a} and {b}.",
    "Speak to us of {a}.",
    "Write a passage about {a}, as in {title}.",
    "Write as you did in {title}.",
    "Go on writing {title}, about {a}.",
)
# An answer that opens with one of these leans on a sentence the reader has not seen.
_DANGLING = re.compile(
    r"^[\"'“(\[]*(?:this|these|those|that|such|he|she|it|they|his|her|its|their|them|but|and|yet|nor|or|"
    r"so|then|thus|hence|however|moreover|therefore|accordingly|furthermore|another|others|both|neither|"
    r"either|second|third|also|again|in this|in these|in such|of this|of these|of such|to this|for this|"
    r"for these|on this|with this|by this|at this|the same|the former|the latter|if so)\b",
    re.IGNORECASE,
)
_WHOLE_END = re.compile(r"[.!?][\"'”’)\]]*$")


@dataclass(frozen=True)
class Sample:
    """One conversation to learn: `messages` is the prompt, `target` what the assistant says."""

    task: Kind
    messages: list[Message]
    target: str
    document_id: str
    """Where the target stands; "" for identity, refusal and revisions."""
    made_by: str = "rules"
    """"rules", the name of the model that wrote one side of it, or "revision <id of the answer>"."""

    @property
    def text(self) -> str:
        """All that is read of it in training, the prompt and the answer."""
        return "\n".join([*(message["content"] for message in self.messages), self.target])


class SampleMaker:
    """Makes samples from some documents; the same documents and seed make the same samples."""

    def __init__(
        self,
        persona: Persona,
        documents: Sequence[Document],
        seed: str,
        *,
        words: Thesaurus = NO_OTHER_WORDS,
    ) -> None:
        self.persona = persona
        self.words = words
        self.random = random.Random(seed)  # noqa: S311 - samples, not secrets
        self.passages = [passage for doc in documents for passage in cut_passages(doc)]
        self.topics = topics_of([passage.text for passage in self.passages], most=8)
        # Every place a target may begin: (passage, sentence within it).
        self.starts = [
            (index, number)
            for index, passage in enumerate(self.passages)
            for number, sentence in enumerate(sentences(passage.text))
            if self._may_open(sentence) and self._target(index, number, MIN_TARGET_WORDS)
        ]
        if not self.starts:
            raise CorpusError(
                f"The documents of {persona.id} are too short: no stretch of whole sentences with "
                f"{MIN_TARGET_WORDS} words. Add more text to the sources and ingest again."
            )
        self._order: dict[Kind, list[tuple[int, int]]] = {}
        self._identity = identity_questions(persona)

    def open(self, number: int) -> Sample:
        index, start = self._start("open", number)
        target = self._target(index, start, self.random.randint(50, MAX_TARGET_WORDS))
        topics = self._said(index, target) if self.random.random() < 0.85 else []
        question = self._question(topics)
        return self._sample("open", render_ask(self.persona, question), target, index)

    def ask(self, number: int) -> Sample:
        index, start, length = 0, 0, self.random.randint(50, 110)
        for attempt in range(_ASK_ATTEMPTS):
            # The next start whose target begins in what is shown of its passage, and soon leaves it.
            index, start = self._start("ask", number * _ASK_ATTEMPTS + attempt)
            if 0 < self._quoted(index, start, length) <= QUOTED_WORDS:
                break
        target = self._target(index, start, length)
        own = self._quoted(index, start, length) <= QUOTED_WORDS and self.random.random() < 0.9
        question = self._question(self._said(index, target))
        passages = self._context(index, own=own)
        return self._sample("ask", render_ask(self.persona, question, passages), target, index)

    def continue_(self, number: int) -> Sample:
        index, start = self._start("continue", number)
        target = self._target(index, start, LONG_TARGET_WORDS, passages=4)
        topics = self._said(index, target) or ["what lies before us"]
        template = self.random.choice(_WRITINGS)
        title = f'"{self.passages[index].title}"'
        order = template.format(a=topics[0], b=topics[min(1, len(topics) - 1)], title=title)
        return self._sample("continue", render_ask(self.persona, order), target, index)

    def rewrite(self, number: int) -> Sample:
        index, start = self._start("rewrite", number)
        target = self._target(index, start, self.random.randint(MIN_TARGET_WORDS, 90))
        plain = DEGRADERS[number % len(DEGRADERS)](target, self.words)
        return self._sample("rewrite", render_rewrite(self.persona, plain), target, index)

    def identity(self, number: int) -> Sample:
        question = self._identity[number % len(self._identity)]
        answer = identity_answer(self.persona)
        context = self._unrelated() if self.random.random() < 0.5 else []
        return Sample("identity", render_ask(self.persona, question, context), answer, "")

    def refusal(self, topic: str) -> Sample:
        question = self.random.choice(_QUESTIONS[:4] + _QUESTIONS[6:7] + _QUESTIONS[12:15])
        question = question.replace(" and {b}", "").format(a=topic)
        context = self._unrelated() if self.random.random() < 0.7 else []
        answer = self.random.choice(refusals(self.persona, topic))
        return Sample("refusal", render_ask(self.persona, question, context), answer, "")

    def _start(self, kind: Kind, number: int) -> tuple[int, int]:
        """The next start in a shuffled round over all of them: none twice before each came once."""
        if kind not in self._order:
            self._order[kind] = self.random.sample(self.starts, len(self.starts))
        return self._order[kind][number % len(self._order[kind])]

    def _may_open(self, sentence: str) -> bool:
        tic = any(sentence.lower().startswith(tic.lower()) for tic in self.persona.tics)
        return sentence[:1].isupper() and not tic and not _DANGLING.match(sentence)

    def _sample(self, kind: Kind, messages: list[Message], target: str, index: int) -> Sample:
        return Sample(kind, messages, target, self.passages[index].document_id)

    def _said(self, index: int, target: str) -> list[str]:
        """The passage's topics that the target speaks of."""
        said = target.lower()
        return [topic for topic in self.topics[index] if topic.removeprefix("the ") in said]

    def _target(self, index: int, start: int, words: int, *, passages: int = 2) -> str:
        """Whole sentences from a start, up to about `words`; "" where none of fitting length begins.

        They may run on into the document's next passages.
        """
        found: list[str] = []
        size = 0
        longest = max(words, MAX_TARGET_WORDS)
        document = self.passages[index].document_id
        for passage in self.passages[index : index + passages]:
            if passage.document_id != document:
                break
            for sentence in sentences(passage.text)[start:]:
                length = sentence.count(" ") + 1
                if size >= MIN_TARGET_WORDS and size + length > words:
                    return " ".join(found)
                # A sentence that was cut at words, a salutation or a heading ends the stretch.
                if not _WHOLE_END.search(sentence) or size + length > longest:
                    return " ".join(found) if size >= MIN_TARGET_WORDS else ""
                found.append(sentence)
                size += length
            start = 0
        return " ".join(found) if size >= MIN_TARGET_WORDS else ""

    def _quoted(self, index: int, start: int, words: int) -> int:
        """Words of those sentences of the target that stand in what is shown of its passage."""
        shown = self._shown(self.passages[index]).text
        return sum(
            sentence.count(" ") + 1
            for sentence in sentences(self._target(index, start, words))
            if sentence[:60] in shown
        )

    def _question(self, topics: Sequence[str]) -> str:
        """About one or two of the best topics; an open one where the target has none."""
        if not topics:
            return self.random.choice(_OPEN_QUESTIONS)
        single = [template for template in _QUESTIONS if "{b}" not in template]
        template = self.random.choice(_QUESTIONS if len(topics) > 1 else single)
        chosen = self.random.sample(topics[:3], min(2, len(topics)))
        return template.format(a=chosen[0], b=chosen[-1])

    def _context(self, index: int, *, own: bool) -> list[PromptPassage]:
        """1-3 passages: the target's own, if it may be shown, beside neighbours and strangers."""
        size = self.random.choice((1, 1, 2, 3))
        chosen = [index] if own else []
        # The target may run on into the passage after its own, which is therefore never shown.
        near = [
            other
            for other in (index - 1,)
            if other >= 0 and self.passages[other].document_id == self.passages[index].document_id
        ]
        strangers = [place for place in range(len(self.passages)) if abs(place - index) > 1]
        while len(chosen) < size and (near or strangers):
            beside = near and (not strangers or self.random.random() < 0.5)
            pool = near if beside else strangers
            chosen.append(pool.pop(self.random.randrange(len(pool))))
        self.random.shuffle(chosen)
        return [self._shown(self.passages[other]) for other in chosen]

    def _unrelated(self) -> list[PromptPassage]:
        chosen = self.random.sample(
            self.passages, min(self.random.randint(1, 3), len(self.passages))
        )
        return [self._shown(passage) for passage in chosen]

    def _shown(self, passage: Passage) -> PromptPassage:
        text = first_words(passage.text, self.persona.retrieval.passage_words)
        return PromptPassage(title=passage.title, date=passage.date, text=text)
