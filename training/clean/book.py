"""The account of cleaning: every word a rule takes is written down here, and nowhere else.

In: a document before and after a rule, with the pieces that went. Out: a `CleaningReport` and the list of
documents removed as a whole. It knows the rules by name only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

from personae.corpus import Document
from personae.persona import Cleaning
from training.clean.blocks import Taken, count_words, shortened
from training.clean.report import (
    MANY,
    CleaningReport,
    RemovedDocument,
    RemovedSample,
    Rule,
    RuleReport,
)

_SAMPLES = 5
_SAMPLES_OF_ONE_DOCUMENT = 2
_REASONS = 30
_OTHER_REASONS = "other reasons"


@dataclass
class _Account:
    documents_removed: int = 0
    documents_changed: int = 0
    pieces: int = 0
    words: int = 0
    why: Counter[str] = field(default_factory=Counter)
    samples: list[RemovedSample] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def because(self, why: str) -> None:
        self.why[why if why in self.why or len(self.why) < _REASONS else _OTHER_REASONS] += 1

    def show(self, document_id: str, taken: Taken) -> None:
        of_this = sum(sample.document_id == document_id for sample in self.samples)
        text = shortened(taken.text)
        if (
            len(self.samples) < _SAMPLES
            and of_this < _SAMPLES_OF_ONE_DOCUMENT
            and not any(sample.text == text for sample in self.samples)
        ):
            self.samples.append(RemovedSample(document_id=document_id, why=taken.why, text=text))


class Book:
    """Counts as the documents pass. `on` says which rules are switched on."""

    def __init__(self, rules: Cleaning) -> None:
        self.on: dict[Rule, bool] = {rule: bool(getattr(rules, rule)) for rule in get_args(Rule)}
        self.removed: list[RemovedDocument] = []
        self._accounts = {rule: _Account() for rule in self.on}
        self._before = [0, 0]
        self._after = [0, 0]

    def came(self, document: Document) -> None:
        self._before[0] += 1
        self._before[1] += count_words(document.text)

    def stayed(self, document: Document) -> None:
        self._after[0] += 1
        self._after[1] += count_words(document.text)

    def note(self, rule: Rule, text: str) -> None:
        self._accounts[rule].notes.append(text)

    def changed(self, rule: Rule, before: Document, after: str, pieces: Sequence[Taken]) -> None:
        """A rule took pieces; the rest of the document goes on."""
        account = self._accounts[rule]
        account.documents_changed += 1
        account.pieces += len(pieces)
        account.words += count_words(before.text) - count_words(after)
        for taken in pieces:
            account.because(taken.why)
            account.show(before.id, taken)

    def dropped(self, rule: Rule, document: Document, reason: str, *, why: str) -> None:
        """A rule took the whole document.

        Args:
            reason: with names and figures, for the list of removed documents.
            why: the same without them, to be counted.
        """
        account = self._accounts[rule]
        words = count_words(document.text)
        account.documents_removed += 1
        account.words += words
        account.because(why)
        account.show(document.id, Taken(document.text, reason))
        self.removed.append(
            RemovedDocument(
                id=document.id, title=document.title, rule=rule, reason=reason, words=words
            )
        )

    def report(self) -> CleaningReport:
        rules = [
            RuleReport(
                rule=rule,
                on=self.on[rule],
                documents_removed=account.documents_removed,
                documents_changed=account.documents_changed,
                pieces=account.pieces,
                words=account.words,
                why=dict(account.why.most_common()),
                samples=account.samples,
                notes=account.notes,
            )
            for rule, account in self._accounts.items()
        ]
        return CleaningReport(
            documents_before=self._before[0],
            words_before=self._before[1],
            documents_after=self._after[0],
            words_after=self._after[1],
            rules=rules,
            warnings=[
                f"The rule {rule.rule} took {rule.words / self._before[1]:.0%} of all words. Look at its "
                f"samples; if it is wrong here, write `{rule.rule} = false` below [cleaning] in persona.toml."
                for rule in rules
                if self._before[1] and rule.words > MANY * self._before[1]
            ],
        )
