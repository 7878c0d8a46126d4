"""What went and why: the counts of a crawl, for people and as `crawl.json`.

In: one call for each thing that happens. Out: a record to write, and a line to log.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from pydantic import BaseModel, ConfigDict

_EXAMPLES = 5


class CrawlResult(BaseModel):
    """`crawl.json`. It is written last: a round whose number it carries was finished."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    round: int
    finished_at: str
    pages_fetched: int
    pages_unchanged: int
    pages_kept: int
    """Kept from an earlier round because the site did not answer for them."""
    documents: int
    stopped_by: str | None
    """The limit that ended the crawl, where one did."""
    left_out: dict[str, int]
    """Reason to count. Addresses that were no pages to begin with count too."""
    examples: dict[str, list[str]]
    gone: list[str]
    """Pages of an earlier round that the site no longer has."""


class Outcome:
    def __init__(self) -> None:
        self.fetched = 0
        self.unchanged = 0
        self.kept = 0
        self.documents = 0
        self.stopped_by: str | None = None
        self.gone: list[str] = []
        self._left_out: Counter[str] = Counter()
        self._examples: defaultdict[str, list[str]] = defaultdict(list)

    def leave_out(self, address: str, reason: str) -> None:
        self._left_out[reason] += 1
        if len(self._examples[reason]) < _EXAMPLES:
            self._examples[reason].append(address)

    def result(self, *, source: str, round: int, finished_at: str) -> CrawlResult:
        return CrawlResult(
            source=source,
            round=round,
            finished_at=finished_at,
            pages_fetched=self.fetched,
            pages_unchanged=self.unchanged,
            pages_kept=self.kept,
            documents=self.documents,
            stopped_by=self.stopped_by,
            left_out=dict(self._left_out.most_common()),
            examples={reason: self._examples[reason] for reason, _ in self._left_out.most_common()},
            gone=sorted(self.gone),
        )

    def reasons(self) -> str:
        """ "12 too little text, 3 not a page"; "" where nothing was left out."""
        return ", ".join(f"{count} {reason}" for reason, count in self._left_out.most_common())

    def summary(self) -> str:
        parts = [
            f"{self.fetched} pages fetched, {self.unchanged} unchanged",
            f"{self.kept} kept from before" if self.kept else "",
            f"{len(self.gone)} gone" if self.gone else "",
            f"{self.documents} documents",
            f"stopped by {self.stopped_by}" if self.stopped_by else "",
            f"left out: {self.reasons()}" if self._left_out else "",
        ]
        return "; ".join(part for part in parts if part)
