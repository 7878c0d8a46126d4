"""Take out of documents what is not the author's writing, and keep account of every word taken.

In: documents as the sources gave them, and the [cleaning] of a persona. Out: the documents that stay, a
report, and the list of those that went. Each rule has a file beside this one and knows no other. The order:

1. personal_data  first, so that no sample of another rule can show what this one hides
2. code           markup, before anything judges lines and sentences
3. quotes         others' words, before language and likeness are judged
4. boilerplate    counted over all documents; before the length of a text is judged and texts are compared,
                  because two pages with the same menus are not the same
5. language, lists, short
                  of what the author wrote himself
6. duplicates     last, since it costs most and what went needs no comparing; whatever it shortens is
                  judged by `short` once more

Counting needs all documents before the first can be judged, so there are three passes; between them the
documents are on disk. In memory stay about 100 bytes a line, 5 kB a document and 4 kB a long paragraph (of
200,000 at most). Measured: 1.4 million words in 3,000 documents took 28 s of CPU time and 310 MB. The same
documents and rules always give the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from personae.corpus import Document
from personae.errors import CorpusError
from personae.persona import Cleaning
from personae.progress import Progress, silent
from training.clean.blocks import Taken, blocks_of, has_prose, joined
from training.clean.boilerplate import Boilerplate
from training.clean.book import Book
from training.clean.code import without_code
from training.clean.duplicates import Duplicates, Same
from training.clean.language import Languages
from training.clean.lists import list_like
from training.clean.personal_data import without_personal_data
from training.clean.quotes import without_quotes
from training.clean.report import (
    REMOVED,
    REPORT,
    REPORT_FOR_PEOPLE,
    CleaningReport,
    RemovedDocument,
    Rule,
    as_markdown,
)
from training.clean.short import too_short
from training.clean.spool import Spool

_Rewrite = Callable[[str], tuple[str, list[Taken]]]


@dataclass(frozen=True)
class Cleaned:
    """What stays, and the account of what does not."""

    documents: Iterable[Document]
    report: CleaningReport
    removed: list[RemovedDocument]

    def files(self) -> dict[str, str]:
        """What stands beside the documents in the corpus folder, by file name."""
        return {
            REPORT: self.report.model_dump_json(indent=2) + "\n",
            REPORT_FOR_PEOPLE: as_markdown(self.report, self.removed),
            REMOVED: "".join(one.model_dump_json() + "\n" for one in self.removed),
        }


def clean(
    documents: Iterable[Document],
    rules: Cleaning,
    *,
    language: str,
    progress: Progress = silent,
    scratch: Path | None = None,
) -> Cleaned:
    """Apply the rules that are on.

    Args:
        language: the persona's.
        scratch: a folder for the documents between two passes; None takes the system's.

    Raises:
        CorpusError: no document is left. (None coming in is not an error here.)
    """
    return _Cleaning(rules, language, progress, scratch).run(documents)


class _Cleaning:
    """The three passes. A document that goes on is returned, one that goes is None."""

    def __init__(
        self, rules: Cleaning, language: str, progress: Progress, scratch: Path | None
    ) -> None:
        self._rules = rules
        self._language = language
        self._progress = progress
        self._scratch = scratch
        self._book = Book(rules)
        self._boilerplate = Boilerplate()
        self._duplicates = Duplicates()
        self._languages = Languages(language) if rules.language else None
        if self._languages is not None and not self._languages.known:
            self._book.note(
                "language", f'not applied: "{language}" is no language that can be told'
            )
            self._languages = None

    def run(self, documents: Iterable[Document]) -> Cleaned:
        first, second, kept = (Spool(self._scratch) for _ in range(3))
        for document in documents:
            self._book.came(document)
            if (clean := self._alone(document)) is not None:
                first.add(clean)
        for number, document in enumerate(first):
            if (clean := self._among_others(document)) is not None:
                second.add(clean)
            self._progress("cleaning", number + 1, len(first))
        self._without_duplicates(second, kept)
        if self._rules.boilerplate:
            for note in self._boilerplate.notes():
                self._book.note("boilerplate", note)
        report = self._book.report()
        if report.documents_before and not report.documents_after:
            raise CorpusError(_nothing_left(report, self._rules))
        return Cleaned(kept, report, self._book.removed)

    def _alone(self, document: Document) -> Document | None:
        """The rules that need no other document; then it is counted for the one that does."""
        left: Document | None = document
        if self._rules.personal_data:
            left = self._without_personal_data(document)
        if left is not None and self._rules.code:
            left = self._rewritten("code", left, without_code)
        if left is not None and self._rules.quotes:
            left = self._rewritten("quotes", left, without_quotes)
        if left is not None and self._rules.boilerplate:
            self._boilerplate.count(left.text)
        return left

    def _among_others(self, document: Document) -> Document | None:
        left: Document | None = document
        if self._rules.boilerplate:
            left = self._rewritten("boilerplate", document, self._boilerplate.without)
        if left is not None and self._languages is not None:
            left = self._in_language(left, self._languages)
        if left is not None and self._rules.lists and (reason := list_like(left.text)):
            self._book.dropped("lists", left, reason, why=reason)
            left = None
        if left is not None:
            left = self._long_enough(left)
        if left is not None and self._rules.duplicates:
            self._duplicates.add(left)
        return left

    def _without_duplicates(self, documents: Spool, kept: Spool) -> None:
        alike: dict[int, Same] = {}
        twice: dict[int, dict[int, int]] = {}
        names: list[str] = []
        if self._rules.duplicates:
            names = [document.id for document in documents]
            alike = self._duplicates.documents()
            twice = self._duplicates.paragraphs(set(alike))
            for note in self._duplicates.notes(names):
                self._book.note("duplicates", note)
        for number, document in enumerate(documents):
            if (same := alike.get(number)) is not None:
                reason = (
                    f"nearly the same as {names[same.document]} ({same.likeness:.0%} alike), "
                    f"which is {same.preferred}"
                )
                why = f"nearly the same as a document that is {same.preferred}"
                self._book.dropped("duplicates", document, reason, why=why)
                continue
            left = self._without_paragraphs(document, twice.get(number, {}), names)
            if left is not None:
                self._book.stayed(left)
                kept.add(left)

    def _without_paragraphs(
        self, document: Document, gone: dict[int, int], names: list[str]
    ) -> Document | None:
        if not gone:
            return document
        blocks = blocks_of(document.text)
        text = joined([block for place, block in enumerate(blocks) if place not in gone])
        taken = [
            Taken(f"{blocks[place]} [stays in {names[other]}]", "a paragraph of another document")
            for place, other in gone.items()
        ]
        left = self._rewritten("duplicates", document, lambda _: (text, taken))
        return self._long_enough(left) if left is not None else None

    def _without_personal_data(self, document: Document) -> Document | None:
        def hidden(text: str) -> tuple[str, list[Taken]]:
            return without_personal_data(text, language=self._language)

        title, _ = hidden(document.title)
        return self._rewritten(
            "personal_data", document.model_copy(update={"title": title}), hidden
        )

    def _in_language(self, document: Document, languages: Languages) -> Document | None:
        judged = languages.judged(document.text)
        if judged.other:
            reason = f"in another language ({judged.other})"
            self._book.dropped("language", document, reason, why=reason)
            return None
        return self._rewritten("language", document, lambda _: (judged.text, judged.taken))

    def _long_enough(self, document: Document) -> Document | None:
        if not self._rules.short:
            return document
        least = self._rules.min_words
        if reason := too_short(document.text, min_words=least):
            self._book.dropped("short", document, reason, why=f"fewer than {least} words")
            return None
        return document

    def _rewritten(self, rule: Rule, document: Document, rewrite: _Rewrite) -> Document | None:
        text, taken = rewrite(document.text)
        if not taken:
            return document
        if not has_prose(text):
            reason = f"nothing but {taken[0].why}"
            self._book.dropped(rule, document, reason, why=reason)
            return None
        self._book.changed(rule, document, text, taken)
        return document.model_copy(update={"text": text})


def _nothing_left(report: CleaningReport, rules: Cleaning) -> str:
    most = max(report.rules, key=lambda rule: (rule.words, rule.documents_removed))
    less = f", or lower `min_words` (now {rules.min_words})" if most.rule == "short" else ""
    return (
        f"Cleaning left none of {report.documents_before:,} documents. The rule {most.rule} took most: "
        f"{most.words:,} of {report.words_before:,} words. Switch it off in persona.toml, below [cleaning]: "
        f"`{most.rule} = false`{less}."
    )
