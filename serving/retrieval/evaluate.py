"""How well the search finds what it should: recall, rank and time over questions with known passages.

In: two JSON-lines files, passages `{"id", "text"}` (and `title`, `date`, `url` if known) and questions
`{"question", "passage_id"}`; perhaps a text file of questions that the passages do not answer, one a line.
Out: numbers. The passages go through the very pipeline a corpus goes through, in a temporary folder, and each
question through the search with the settings as shipped.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personae.corpus import Document, write_corpus
from personae.errors import CorpusError
from personae.progress import Progress, silent
from serving.retrieval.build import build_index
from serving.retrieval.embedder import TextEmbedder
from serving.retrieval.relevance import FLOOR
from serving.retrieval.search import LEXICAL_WEIGHT, Reranker, rank, spread
from serving.retrieval.snapshot import Snapshot, current_snapshot, open_snapshot

CUT_OFFS = (1, 4, 10)
_PERSONA = "evaluated"


@dataclass(frozen=True)
class Question:
    text: str
    passage_id: str


def read_questions(path: Path) -> list[Question]:
    """Raises CorpusError: a line that is no question with its passage, and which."""
    return [
        Question(_text(line, "question", where), _text(line, "passage_id", where))
        for line, where in _json_lines(path)
    ]


def read_passages(path: Path) -> list[Document]:
    """Each passage as a document of its own. Raises CorpusError: a line is no passage, and which."""
    return [
        Document(
            id=_text(line, "id", where),
            title=str(line.get("title", "")),
            date=str(line.get("date", "")),
            url=str(line.get("url", "")),
            text=_text(line, "text", where),
        )
        for line, where in _json_lines(path)
    ]


def read_outside_questions(path: Path) -> list[str]:
    """One question a line; lines that begin with # are remarks."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


class TemporarySnapshot:
    """A snapshot of these documents for as long as a `with` block lasts."""

    def __init__(
        self, documents: Sequence[Document], embedder: TextEmbedder, progress: Progress = silent
    ) -> None:
        self._documents, self._embedder, self._progress = documents, embedder, progress
        self._folder = tempfile.TemporaryDirectory(prefix="personae-eval-")
        self._snapshot: Snapshot | None = None

    def __enter__(self) -> Snapshot:
        home = Path(self._folder.name)
        corpus = home / "corpora" / _PERSONA
        write_corpus(
            corpus, _PERSONA, self._documents, sources=["evaluation"], created_at="evaluation"
        )
        build_index(_PERSONA, corpus, home / "indexes", self._embedder, progress=self._progress)
        folder = current_snapshot(home / "indexes", _PERSONA)
        assert folder is not None
        self._snapshot = open_snapshot(folder, self._embedder)
        return self._snapshot

    def __exit__(self, *_error: object) -> None:
        if self._snapshot is not None:
            self._snapshot.close()
        self._folder.cleanup()


def evaluate(
    snapshot: Snapshot,
    questions: Sequence[Question],
    embedder: TextEmbedder,
    *,
    outside: Sequence[str] = (),
    reranker: Reranker | None = None,
    lexical_weight: float = LEXICAL_WEIGHT,
    by_sentence: bool = True,
    language: str = "en",
    progress: Progress = silent,
) -> dict[str, Any]:
    """`{"recall": {"1": …}, "mrr": …, "p50_ms": …}`; `recall` may go on to any place in the list for `mrr`.

    With `outside` also `{"abstained_outside": …, "abstained_inside": …}`: shares of the questions on which a
    persona would say that it has not written about it.
    """
    ranks: list[int | None] = []
    times: list[float] = []
    abstained = 0
    embedder.embed_queries(["warm up"])
    for number, question in enumerate(questions, start=1):
        began = time.perf_counter()
        vector = embedder.embed_queries([question.text])[0]
        ranked = rank(
            snapshot,
            question.text,
            vector,
            language,
            reranker=reranker,
            lexical_weight=lexical_weight,
            by_sentence=by_sentence,
        )
        best = spread(snapshot, ranked, max(CUT_OFFS))
        times.append(time.perf_counter() - began)
        abstained += not ranked.evidence.covers(FLOOR)
        found = list(dict.fromkeys(passage.document_id for _, passage in best))
        if question.passage_id not in found:
            rows = [int(row) for row in ranked.rows]
            found = list(dict.fromkeys(p.document_id for p in snapshot.passages(rows)))
            place = found.index(question.passage_id) + 1 if question.passage_id in found else None
            ranks.append(None if place is None else max(place, max(CUT_OFFS) + 1))
        else:
            ranks.append(found.index(question.passage_id) + 1)
        progress("searching", number, len(questions))
    total = len(questions)
    result: dict[str, Any] = {
        "recall": {
            str(cut): round(sum(r is not None and r <= cut for r in ranks) / total, 4)
            for cut in CUT_OFFS
        },
        "mrr": round(sum(1 / r for r in ranks if r is not None) / total, 4),
        "p50_ms": round(statistics.median(times) * 1000, 2),
        "questions": total,
        "passages": len(snapshot),
    }
    if outside:
        refused = 0
        for text in outside:
            vector = embedder.embed_queries([text])[0]
            refused += not rank(snapshot, text, vector, language).evidence.covers(FLOOR)
        result["abstained_outside"] = round(refused / len(outside), 4)
        result["abstained_inside"] = round(abstained / total, 4)
    return result


def _json_lines(path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise CorpusError(f"{path} can't be read ({err}).") from err
    empty = True
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        empty = False
        where = f"{path}, line {number}"
        try:
            line = json.loads(text)
        except ValueError as err:
            raise CorpusError(f"{where} is not JSON ({err}).") from err
        if not isinstance(line, dict):
            raise CorpusError(f"{where} is not a JSON object.")
        yield line, where
    if empty:
        raise CorpusError(f"{path} holds no line at all.")


def _text(line: dict[str, Any], key: str, where: str) -> str:
    value = line.get(key)
    if not isinstance(value, str) or not value.strip():
        raise CorpusError(f'{where} has no "{key}".')
    return value
