"""What cleaning took, and why: `cleaning.json` for programs, `cleaning.md` for people, `removed.jsonl`.

In: what the rules did, as `training.clean.book` counted it. Out: files that stand in the corpus folder
beside the documents. It knows no rule; words before = words after + words of all rules, always.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from personae.errors import CorpusError

REPORT = "cleaning.json"
REPORT_FOR_PEOPLE = "cleaning.md"
REMOVED = "removed.jsonl"
MANY = 1 / 3
"""A rule that takes more than this share of the words is worth a look."""

Rule = Literal[
    "personal_data",
    "code",
    "quotes",
    "boilerplate",
    "language",
    "lists",
    "short",
    "duplicates",
]
"""The keys of [cleaning], in the order in which the rules are applied."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RemovedSample(_Strict):
    """A piece that went, shortened; personal data is shown as the mark that stands there now."""

    document_id: str
    why: str
    text: str


class RemovedDocument(_Strict):
    """A document that went as a whole, with the words it had when the rule met it."""

    id: str
    title: str
    rule: Rule
    reason: str
    words: int


class RuleReport(_Strict):
    rule: Rule
    on: bool
    documents_removed: int
    documents_changed: int
    pieces: int
    words: int
    """Before less after. (A `<br>` that joined two words makes two of one when it goes.)"""
    why: dict[str, int]
    """How many pieces and documents went for each reason."""
    samples: list[RemovedSample]
    notes: list[str]
    """What the rule saw and left, or why it could not judge."""


class CleaningReport(_Strict):
    documents_before: int
    words_before: int
    documents_after: int
    words_after: int
    rules: list[RuleReport]
    warnings: list[str]

    @property
    def words_taken(self) -> dict[str, int]:
        """Words of each rule that took any."""
        return {rule.rule: rule.words for rule in self.rules if rule.words}

    def limited(self, *, rule: str | None, samples: int) -> CleaningReport:
        """The report on one rule (None: on all), with fewer samples. Totals stay those of the corpus."""
        rules = [
            one.model_copy(update={"samples": one.samples[:samples]})
            for one in self.rules
            if rule in (None, one.rule)
        ]
        return self.model_copy(update={"rules": rules})

    def rule(self, name: str) -> RuleReport:
        """Raises KeyError for a name that is no rule."""
        return {str(rule.rule): rule for rule in self.rules}[name]


def read_report(folder: Path, persona: str) -> CleaningReport:
    """The report in a corpus folder.

    Raises:
        CorpusError: the corpus was written before there was cleaning, or the report is damaged.
    """
    again = f"Run `personae corpus ingest {persona}`."
    try:
        return CleaningReport.model_validate_json((folder / REPORT).read_bytes())
    except FileNotFoundError as err:
        raise CorpusError(f"{folder} has no report on cleaning. {again}") from err
    except ValidationError as err:
        raise CorpusError(f"The report {folder / REPORT} is damaged. {again}") from err


def summary(rule: RuleReport) -> str:
    """One line: `short: 3 documents, 31 words`; "" for a rule that took nothing."""
    parts = [counted(rule.words, "word")]
    if rule.documents_changed:
        documents = counted(rule.documents_changed)
        parts.insert(0, f"{counted(rule.pieces, 'piece')} of {documents}")
    if rule.documents_removed:
        parts.insert(0, f"{counted(rule.documents_removed)} as a whole")
    return f"{rule.rule}: {', '.join(parts)}" if len(parts) > 1 else ""


def counted(number: int, noun: str = "document") -> str:
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def as_markdown(report: CleaningReport, removed: Sequence[RemovedDocument]) -> str:
    """The report for people, with the first hundred documents removed; all are in removed.jsonl."""
    lines = [
        "# What cleaning took",
        "",
        f"Before: {counted(report.documents_before)}, {report.words_before:,} words.",
        f"After: {counted(report.documents_after)}, {report.words_after:,} words.",
        "",
        "| rule | on | documents removed | documents changed | pieces | words |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {rule.rule} | {'yes' if rule.on else 'no'} | {rule.documents_removed:,} | "
        f"{rule.documents_changed:,} | {rule.pieces:,} | {rule.words:,} |"
        for rule in report.rules
    ]
    lines += [
        "",
        "Rules are applied from top to bottom, so text that one took is not counted again.",
    ]
    lines += [
        "A rule is switched off in persona.toml: `[cleaning]`, then for example `short = false`."
    ]
    for warning in report.warnings:
        lines += ["", f"**{warning}**"]
    for rule in report.rules:
        lines += _section(rule)
    if removed:
        lines += ["", "## Documents removed as a whole", ""]
        lines += [
            f"- {_plain(one.id)} ({_plain(one.title)}; {one.words:,} words): {one.rule}, {one.reason}"
            for one in removed[:100]
        ]
        if len(removed) > 100:
            lines.append(f"- and {len(removed) - 100:,} more: see {REMOVED}")
    return "\n".join(lines) + "\n"


def _section(rule: RuleReport) -> list[str]:
    if not (rule.why or rule.notes):
        return []
    lines = ["", f"## {rule.rule}", ""]
    lines += [f"- {count:,} × {why}" for why, count in rule.why.items()]
    lines += [f"- {_plain(note)}" for note in rule.notes]
    for sample in rule.samples:
        lines += ["", f"From {_plain(sample.document_id)}, {sample.why}:", ""]
        lines.append(f"    {sample.text}")
    return lines


def _plain(text: str) -> str:
    return " ".join(text.split())
