"""A corpus on disk, and how a document is cut into passages.

`corpora/<persona>/documents.jsonl` holds one document a line; `manifest.json`, written last, names
the sources and the sha256 of the documents. Training (pairs) and serving (the index) both read it
and both cut it with `cut_passages`; the index cuts further what its embedder could not read whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from personae.cutting import Stretch, stretches
from personae.cutting import sentences as sentences
from personae.errors import CorpusError
from personae.files import folder_written_aside, sha256_of

DOCUMENTS = "documents.jsonl"
MANIFEST = "manifest.json"
CHUNKER_VERSION = 2
"""Goes up whenever `cut_passages` would cut the same text differently."""
_CONTEXT_CHARACTERS = 200


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
    section: str = ""
    """The headings it stands under, outermost first: "Taxes › Land"; "" without any."""
    date: str
    url: str
    text: str

    @property
    def name(self) -> str:
        """Names it and its text: "union-1862#3.1f0a99c2". Cut anew or changed, it has another name."""
        digest = hashlib.sha256(self.text.encode("utf-8", "replace")).hexdigest()
        return f"{self.document_id}#{self.number}.{digest[:8]}"


def document_of(passage_name: str) -> str:
    """Id of the document that a passage of this name is of; "" for what is no such name."""
    return passage_name.rpartition("#")[0]


class CorpusManifest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    persona: str
    documents: int
    words: int
    documents_sha256: str
    sources: list[str]
    created_at: str
    cleaning: dict[str, int] = {}
    """Words that each rule of cleaning took; rules that took none are not named."""


TokenCounter = Callable[[Sequence[str]], Sequence[int]]
"""Tokens of each text as an embedder counts them."""


def searchable_text(passage: Passage) -> str:
    """What is embedded and searched: title and headings give a passage the subject that its sentences
    may not name."""
    context = [part[:_CONTEXT_CHARACTERS] for part in (passage.title, passage.section) if part]
    return "\n".join([*context, passage.text])


def cut_passages(
    document: Document,
    *,
    target_words: int = 110,
    max_tokens: int | None = None,
    count_tokens: TokenCounter | None = None,
) -> list[Passage]:
    """Cut a document into passages of whole sentences, about `target_words` each.

    None crosses a heading; headings are not text but the passage's `section`. With a token counter,
    a passage that an embedder would cut off at `max_tokens`, title and section included, is halved
    until it fits. (Training has no embedder and cuts without one.)
    """

    def passage(number: int, stretch: Stretch) -> Passage:
        return Passage(
            document_id=document.id,
            number=number,
            title=document.title,
            section=stretch.section,
            date=document.date,
            url=document.url,
            text=stretch.text,
        )

    found = stretches(document.text, title=document.title, target_words=target_words)
    if count_tokens is not None and max_tokens is not None:
        found = _halved(
            found, lambda stretch: searchable_text(passage(0, stretch)), max_tokens, count_tokens
        )
    return [passage(number, stretch) for number, stretch in enumerate(found)]


def _halved(
    found: list[Stretch],
    searchable: Callable[[Stretch], str],
    max_tokens: int,
    count_tokens: TokenCounter,
) -> list[Stretch]:
    """Halve what is too long, until nothing is or nothing can be cut."""
    unsure = set(range(len(found)))
    while unsure:
        asked = sorted(unsure)
        counts = count_tokens([searchable(found[place]) for place in asked])
        long = {place for place, tokens in zip(asked, counts, strict=True) if tokens > max_tokens}
        after: list[Stretch] = []
        unsure = set()
        for place, stretch in enumerate(found):
            halves = stretch.halves() if place in long else [stretch]
            if len(halves) > 1:
                unsure |= set(range(len(after), len(after) + len(halves)))
            after += halves
        found = after
    return found


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
    cleaning: Mapping[str, int] | None = None,
    further: Mapping[str, str] | None = None,
) -> CorpusManifest:
    """Write a corpus folder at once; the one before it stays until the new one is complete.

    Args:
        cleaning: words that each rule took from the sources.
        further: files that appear together with the documents, by name.

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
            cleaning=dict(cleaning or {}),
        )
        for name, content in (further or {}).items():
            (aside / name).write_text(content, encoding="utf-8")
        (aside / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return manifest


def read_corpus(folder: Path) -> tuple[CorpusManifest, list[Document]]:
    """A corpus folder's manifest and documents, checked against each other.

    Raises:
        CorpusError: missing, unfinished or changed since it was written.
    """
    manifest, documents = stream_corpus(folder)
    return manifest, list(documents)


def stream_corpus(folder: Path) -> tuple[CorpusManifest, Iterator[Document]]:
    """As `read_corpus`, with one document in memory at a time.

    Raises:
        CorpusError: also while the documents are read.
    """
    again = "Run `personae corpus ingest` for this persona again."
    try:
        manifest = CorpusManifest.model_validate_json((folder / MANIFEST).read_bytes())
        if sha256_of(folder / DOCUMENTS) != manifest.documents_sha256:
            raise CorpusError(f"{folder / DOCUMENTS} was changed since it was ingested. {again}")
    except FileNotFoundError as err:
        raise CorpusError(f"There is no complete corpus in {folder}. {again}") from err
    except (ValidationError, json.JSONDecodeError, UnicodeDecodeError) as err:
        raise CorpusError(f"The corpus in {folder} is damaged: {err}. {again}") from err
    return manifest, _documents(folder, again)


def _documents(folder: Path, again: str) -> Iterator[Document]:
    try:
        with (folder / DOCUMENTS).open(encoding="utf-8") as file:
            for line in file:
                yield Document.model_validate_json(line)
    except (OSError, ValidationError, UnicodeDecodeError) as err:
        raise CorpusError(f"The corpus in {folder} is damaged: {err}. {again}") from err
