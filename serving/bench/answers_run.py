"""How right the answers are: `personae bench answers`.

In: passages, questions with the passage each was written from, and questions the passages do not answer. Out:
how near the answers come to their passages (ROUGE F1), whether they cite them, how long they are, and how
often the persona says that it has not written about it, rightly and wrongly. Everything is the product's own:
index, search, prompt, a real engine, and the checks of the final text; only transport is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personae.config import Config, load_config
from personae.corpus import write_corpus
from personae.errors import PersonaeError
from personae.persona import Cast, Persona
from personae.progress import Progress, silent
from personae.weights import model_folder
from personae.wire import AskRequest, Delta, Done, ErrorEvent, Meta
from serving.bench.rouge import KINDS, rouge
from serving.retrieval.build import build_index
from serving.retrieval.embedder import Embedder
from serving.retrieval.evaluate import Question, read_passages
from serving.service import Service, running_service

_PERSONA = "evaluated"
_AT_ONCE = 4
_ANSWER_TOKENS = 130
_MOST_WORDS = 100


@dataclass(frozen=True)
class _Answer:
    text: str
    meta: Meta
    done: Done

    @property
    def abstained(self) -> bool:
        return self.done.finish_reason == "abstained"


async def answer_quality(
    config: Config,
    passages: Path,
    questions: Sequence[Question],
    outside: Sequence[str],
    *,
    mode: str,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Ask everything once, greedily.

    Args:
        mode: of the persona: strict, adaptive or creative.

    Raises:
        PersonaeError: an answer failed, or the engine could not be started.
    """
    documents = {document.id: document for document in read_passages(passages)}
    persona = _persona(mode)
    async with _service(config, persona, passages, progress) as service:
        done = 0

        async def ask(text: str) -> _Answer:
            nonlocal done
            async with room:
                answer = await _ask(service, text)
            done += 1
            progress("asking", done, len(questions) + len(outside))
            return answer

        room = asyncio.Semaphore(_AT_ONCE)
        inside = await asyncio.gather(*(ask(question.text) for question in questions))
        beyond = await asyncio.gather(*(ask(text) for text in outside))
    scores = [
        rouge(answer.text, documents[question.passage_id].text)
        for question, answer in zip(questions, inside, strict=True)
    ]
    words = [len(answer.text.split()) for answer in inside]
    cited = [
        any(
            documents[question.passage_id].text.startswith(citation.excerpt.removesuffix(" …"))
            for citation in answer.meta.citations
            if citation.number in answer.done.used_citations
        )
        for question, answer in zip(questions, inside, strict=True)
    ]
    return {
        "rouge": {kind: round(statistics.mean(s[kind] for s in scores), 4) for kind in KINDS},
        "words_mean": round(statistics.mean(words), 1),
        "words_max": max(words),
        "within_100_words": round(sum(count <= _MOST_WORDS for count in words) / len(words), 4),
        "cites_its_passage": round(sum(cited) / len(cited), 4),
        "abstained_inside": round(sum(a.abstained for a in inside) / len(inside), 4),
        "abstained_outside": round(sum(a.abstained for a in beyond) / len(beyond), 4),
        "questions": len(inside),
        "questions_outside": len(beyond),
        "samples": [
            {"question": question.text, "answer": answer.text}
            for question, answer in list(zip(questions, inside, strict=True))[:5]
        ],
    }


@contextlib.asynccontextmanager
async def _service(
    config: Config, persona: Persona, passages: Path, progress: Progress
) -> AsyncIterator[Service]:
    """A gateway's parts over a real engine, in a scratch home that knows this one persona."""
    with tempfile.TemporaryDirectory(prefix="personae-bench-") as scratch:
        home = Path(scratch)
        (home / "models").symlink_to(config.models.absolute())
        (home / "personae.toml").write_text(
            '[personae]\nhome = "."\n[gateway]\nport = 0\nmax_answers_per_user = 100\n'
            "quote_when_busy = false\n[deadlines]\nfirst_token_seconds = 600\n"
            "between_tokens_seconds = 120\n"
        )
        ours = load_config({}, folder=home, profile=config.profile)
        corpus = ours.corpora / _PERSONA
        await asyncio.to_thread(
            write_corpus,
            corpus,
            _PERSONA,
            read_passages(passages),
            sources=["evaluation"],
            created_at="evaluation",
        )
        embedder = Embedder(model_folder(config.models, config.retrieval.embedder))
        await asyncio.to_thread(
            build_index, _PERSONA, corpus, ours.indexes, embedder, progress=progress
        )
        async with running_service(ours, Cast([(persona, home)])) as service:
            progress("starting the engine", 0, 1)
            await service.wait_ready()
            yield service


async def _ask(service: Service, question: str) -> _Answer:
    request = AskRequest(
        persona=_PERSONA, question=question, temperature=0, max_tokens=_ANSWER_TOKENS
    )
    meta: Meta | None = None
    text: list[str] = []
    async for event in service.answerer.answer(request):
        match event:
            case Meta():
                meta = event
            case Delta():
                text.append(event.text)
            case ErrorEvent():
                raise PersonaeError(event.message)
            case Done():
                assert meta is not None
                return _Answer("".join(text), meta, event)
    raise PersonaeError(f'The answer to "{question}" did not end.')


def _persona(mode: str) -> Persona:
    return Persona.model_validate(
        {
            "id": _PERSONA,
            "display_name": "The author",
            "description": "Answers from the passages given",
            "disclosure": "An imitation of the author, not the person.",
            "refusal": "I have not written about that.",
            "ask": {
                "system": "You are the author of these passages. Answer in the first person, from the "
                "passages of your writings.",
                "sampling": {"repetition_penalty": 1.05},
            },
            "rewrite": {"system": "You rewrite."},
            "retrieval": {"passages": 3, "passage_words": 120, "mode": mode},
            "sources": [{"kind": "folder", "path": "."}],
            "rights": {"owner": "the author", "licence": "none", "statement": "Measured only."},
        }
    )
