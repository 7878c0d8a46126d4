"""How good and how quick the search is: `personae bench retrieval`.

In: an embedder, perhaps files of passages and questions. Out: a dictionary: recall and rank of each way of
looking (words, meaning, both, both with sentences, reranked), and the time of a search over small and large
synthetic snapshots, through the very `Retriever` the gateway uses, with how long the event loop was held.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from personae.files import write_atomic
from personae.persona import Cast, Persona
from personae.progress import Progress, silent
from serving.retrieval.embedder import TextEmbedder
from serving.retrieval.evaluate import (
    Question,
    TemporarySnapshot,
    evaluate,
    read_outside_questions,
    read_passages,
    read_questions,
)
from serving.retrieval.retriever import Retriever
from serving.retrieval.search import LEXICAL_WEIGHT, Reranker
from serving.retrieval.snapshot import CURRENT
from serving.retrieval.synthetic import synthetic_question, write_synthetic_snapshot

OUTSIDE_QUESTIONS = Path(__file__).parent / "outside_questions.txt"
_PERSONA = "bench"
_SEARCHES = 200
_WARM = 20
_BEAT_SECONDS = 0.002
_SEED = 17


def ablation(
    passages: Path,
    questions: Path,
    embedder: TextEmbedder,
    *,
    reranker: Reranker | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Way of looking → recall, rank and time over the same questions."""
    asked: Sequence[Question] = read_questions(questions)
    outside = read_outside_questions(OUTSIDE_QUESTIONS)[1::2]
    ways: dict[str, dict[str, Any]] = {
        "words": {"lexical_weight": 1.0},
        "meaning": {"lexical_weight": 0.0, "by_sentence": False},
        "meaning, with sentences": {"lexical_weight": 0.0},
        "both": {"lexical_weight": LEXICAL_WEIGHT, "by_sentence": False},
        "both, with sentences (shipped)": {"outside": outside},
    }
    if reranker is not None:
        ways["reranked"] = {"reranker": reranker}
    with TemporarySnapshot(read_passages(passages), embedder, progress) as snapshot:
        return {
            way: evaluate(snapshot, asked, embedder, progress=progress, **settings)
            for way, settings in ways.items()
        }


async def search_speed(
    sizes: Sequence[int], embedder: TextEmbedder, *, progress: Progress = silent
) -> dict[str, Any]:
    """Number of passages → times of a search, the question's vector included, and holds of the loop."""
    return {str(size): await _speed_over(size, embedder, progress) for size in sizes}


async def _speed_over(size: int, embedder: TextEmbedder, progress: Progress) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="personae-bench-") as scratch:
        indexes = Path(scratch)
        began = time.perf_counter()
        await asyncio.to_thread(
            write_synthetic_snapshot,
            indexes / _PERSONA / "synthetic",
            size,
            embedder=embedder,
            seed=_SEED,
            progress=progress,
        )
        made = time.perf_counter() - began
        write_atomic(indexes / _PERSONA / CURRENT, "synthetic\n")
        on_disk = sum(path.stat().st_size for path in indexes.rglob("*") if path.is_file())
        persona = _persona()
        retriever = Retriever(cast=Cast([(persona, indexes)]), indexes=indexes, embedder=embedder)
        try:
            await retriever.open()
            if problem := retriever.problem(_PERSONA):
                raise RuntimeError(problem)
            chance = np.random.default_rng(_SEED)
            times: list[float] = []
            holds: list[float] = []
            beating = asyncio.create_task(_beat(holds))
            for number in range(_WARM + _SEARCHES):
                question = synthetic_question(chance)
                before = time.perf_counter()
                await retriever.search(persona, question)
                if number >= _WARM:
                    times.append(time.perf_counter() - before)
                else:
                    holds.clear()
                progress(f"searching {size:,} passages", number + 1, _WARM + _SEARCHES)
            beating.cancel()
        finally:
            retriever.close()
    times.sort()
    return {
        "p50_ms": round(statistics.median(times) * 1000, 2),
        "p95_ms": round(times[int(len(times) * 0.95)] * 1000, 2),
        "loop_held_ms_max": round(max(holds) * 1000, 2),
        "searches": len(times),
        "made_seconds": round(made, 1),
        "mib_on_disk": round(on_disk / (1 << 20)),
    }


async def _beat(holds: list[float]) -> None:
    """Notes by how much each short sleep was overslept: somebody held the loop."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(_BEAT_SECONDS)
        holds.append(time.perf_counter() - before - _BEAT_SECONDS)


def _persona() -> Persona:
    task = {"system": "You answer."}
    return Persona.model_validate(
        {
            "id": _PERSONA,
            "display_name": "Bench",
            "description": "Searches synthetic passages",
            "disclosure": "An imitation of nobody.",
            "refusal": "Nothing is written about that.",
            "ask": task,
            "rewrite": task,
            "sources": [{"kind": "folder", "path": "."}],
            "rights": {"owner": "nobody", "licence": "none", "statement": "Synthetic."},
        }
    )
