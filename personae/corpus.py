"""A corpus on disk, and how a document is cut into passages.

`corpora/<persona>/documents.jsonl` holds one document a line; `manifest.json`, written last, names
the sources and the sha256 of the documents. Training (pairs) and serving (the index) both read it
and both cut it with `cut_passages`, so that a citation and a training sample mean the same text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from personae.errors import CorpusError
from personae.files import folder_written_aside, sha256_of

DOCUMENTS = "documents.jsonl"
MANIFEST = "manifest.json"
CHUNKER_VERSION = 1
"""Goes up whenever `cut_passages` would cut the same text differently."""

# A sentence ends at . ! or ? (with a closing quote or bracket), before a capital, a digit, a quote
# or a bracket. Abbreviations that are followed by names would end sentences too early.
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[A-Z0-9])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Hon|Gen|Col|Capt|Gov|Sen|St|Jr|Sr|No|Nos|vs|etc|Messrs|Rev|Maj|Lieut)"
    r"|\b[A-Z]|\b(?:e\.g|i\.e|U\.S))\.[\"'”’)\]]*$"
)


class Document(BaseModel):
    """One text of the author: an essay, a post, a speech."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    title: str
    date: str
    """ISO date, or as much of one as is known ("1862-12-01", "1862"); "" when unknown."""
    url: str
    text: str


class Passage(BaseModel):
    """A stretch of whole sentences of one document. `number` counts within the document, from 0."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    document_id: str
    number: int
    title: str
    date: str
    url: str
    text: str


class CorpusManifest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    persona: str
    documents: int
    words: int
    documents_sha256: str
    sources: list[str]
    created_at: str


def sentences(text: str) -> list[str]:
    """The sentences of one paragraph, whitespace flattened."""
    flat = " ".join(text.split())
    found: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(flat):
        candidate = flat[start : end.end()].strip()
        if _ABBREVIATION.search(candidate):
            continue
        found.append(candidate)
        start = end.end()
    if flat[start:].strip():
        found.append(flat[start:].strip())
    return found


def _pieces(sentence: str, max_words: int) -> Iterator[str]:
    """A sentence, or stretches of it when it alone is longer than a passage may be."""
    words = sentence.split(" ")
    for start in range(0, len(words), max_words):
        yield " ".join(words[start : start + max_words])


def cut_passages(document: Document, *, target_words: int = 110) -> list[Passage]:
    """Cut a document into passages of whole sentences, about `target_words` each.

    A passage never spans a heading's blank line into the next paragraph unless the paragraph is
    short; a sentence longer than twice the target is cut at words (a wall of text has to end).
    """
    texts: list[str] = []
    current: list[str] = []
    size = 0
    for paragraph in re.split(r"\n\s*\n", document.text.replace("\x00", "")):
        for sentence in sentences(paragraph):
            for piece in _pieces(sentence, 2 * target_words):
                words = piece.count(" ") + 1
                if current and size + words > target_words * 1.25:
                    texts.append(" ".join(current))
                    current, size = [], 0
                current.append(piece)
                size += words
        if size >= target_words * 0.6:
            texts.append(" ".join(current))
            current, size = [], 0
    if current:
        # A short tail reads better with its neighbour than alone.
        if texts and size < target_words * 0.25:
            texts[-1] = f"{texts[-1]} {' '.join(current)}"
        else:
            texts.append(" ".join(current))
    return [
        Passage(
            document_id=document.id,
            number=number,
            title=document.title,
            date=document.date,
            url=document.url,
            text=text,
        )
        for number, text in enumerate(texts)
    ]


def first_words(text: str, max_words: int) -> str:
    """The text up to `max_words`, cut at a sentence end where one is near, else with an ellipsis."""
    words = text.split()
    if len(words) <= max_words:
        return " ".join(words)
    kept: list[str] = []
    size = 0
    for sentence in sentences(text):
        words_here = sentence.count(" ") + 1
        if size + words_here > max_words:
            break
        kept.append(sentence)
        size += words_here
    if size >= max_words * 0.5:
        return " ".join(kept)
    return " ".join(words[:max_words]) + " …"


def write_corpus(
    folder: Path,
    persona: str,
    documents: Iterable[Document],
    *,
    sources: list[str],
    created_at: str,
) -> CorpusManifest:
    """Write a corpus folder at once; the one before it stays until the new one is complete.

    Raises:
        CorpusError: there is no document, or two share an id.
    """
    seen: set[str] = set()
    words = 0
    with folder_written_aside(folder, f"writing the corpus of {persona}") as aside:
        with (aside / DOCUMENTS).open("w", encoding="utf-8") as file:
            for document in documents:
                if document.id in seen:
                    raise CorpusError(f"Two documents of {persona} have the id {document.id}.")
                seen.add(document.id)
                words += len(document.text.split())
                file.write(document.model_dump_json() + "\n")
        if not seen:
            raise CorpusError(
                f"The sources of {persona} gave no document at all. "
                "Check the [[sources]] of its persona.toml."
            )
        manifest = CorpusManifest(
            persona=persona,
            documents=len(seen),
            words=words,
            documents_sha256=sha256_of(aside / DOCUMENTS),
            sources=sources,
            created_at=created_at,
        )
        (aside / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return manifest


def read_corpus(folder: Path) -> tuple[CorpusManifest, list[Document]]:
    """A corpus folder's manifest and documents, checked against each other.

    Raises:
        CorpusError: missing, unfinished or changed since it was written.
    """
    again = "Run `personae corpus ingest` for this persona again."
    try:
        manifest = CorpusManifest.model_validate_json((folder / MANIFEST).read_bytes())
        if sha256_of(folder / DOCUMENTS) != manifest.documents_sha256:
            raise CorpusError(f"{folder / DOCUMENTS} was changed since it was ingested. {again}")
        with (folder / DOCUMENTS).open(encoding="utf-8") as file:
            documents = [Document.model_validate_json(line) for line in file]
    except FileNotFoundError as err:
        raise CorpusError(f"There is no complete corpus in {folder}. {again}") from err
    except (ValidationError, json.JSONDecodeError, UnicodeDecodeError) as err:
        raise CorpusError(f"The corpus in {folder} is damaged: {err}. {again}") from err
    return manifest, documents
