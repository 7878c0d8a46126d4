"""Where each part of an answer comes from, enforced on the text while it streams.

In: the pieces of an answer, and the passages of its prompt. Out: the text as people may read it, and spans
of it: "quote" (word for word in a passage), "paraphrase" (a passage supports it) or "inference" (the
persona's own). A small model neither cites well nor quotes truly, so this decides, not the model:

    anew [9].                    → anew.                 no such passage, or it does not support the sentence
    “the moon is made of cheese” → the moon is made …    no passage holds it: it loses its marks
    “We must think anew.”        → “We must think anew.” [1]
    Labor comes before capital.  → Labor comes before capital. [2]     a passage clearly supports it

Words leave as soon as nothing can change them: held back are an open quotation, a possible marker, and a
sentence's last word until it is known to be the last. In mode "strict" a sentence leaves when it ends, and
only if a passage supports it. However the stream is cut, the result is the same. Code and links stay.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from personae.persona import RetrievalMode
from personae.prompt import PromptPassage
from personae.wire import Checks, Span, SpanKind
from serving.answer_atoms import Atom, Atoms, Kind, without_markers
from serving.retrieval.words import tokens
from serving.support import FEWEST_QUOTED_WORDS, Claim, Sources

KEPT_SUPPORT = 0.4
"""Of a marker the model wrote. On half of 300 answers of a retrieval bot a passage of another subject reaches
it for 0.5 % of the sentences, on the other half for 0.6 % (docs/decisions.md)."""
STRICT_SUPPORT = 0.5
"""Of every sentence of a strict persona: the best of four wrong passages reaches it for 0.9 %."""
ATTRIBUTED_SUPPORT = 0.6
"""Of a marker that is put here: the best of four wrong passages reaches it for 0.4 % of the sentences."""
LONGEST_SENTENCE = 400
"""Characters after which a sentence counts as ended."""

_SENTENCE_END = re.compile(r"(?:[.!?…]+[\"'”’»)\]*_]*|[。！？]+[”」』)]*)$")
_UNSPACED_END = re.compile(r"[。！？]+[”」』)]*$")
_ABBREVIATION = re.compile(
    r"(?:^|[(“\"'])(?:Mr|Mrs|Ms|Dr|Hon|Gen|Col|Capt|Gov|Sen|St|Jr|Sr|No|Nos|vs|Messrs|Rev|Maj|Lieut|cf|pp?"
    r"|[A-Z]|e\.g|i\.e|U\.S)\.$"
)
_ENUMERATION = re.compile(r"^\d{1,3}\.$")
_CLINGING = ".,;:!?)]}%…’'”»"
_WORDLY = re.compile(r"\w")


@dataclass
class _Part:
    """A piece of the sentence under way. `gap` is the white space before it."""

    kind: Kind
    text: str
    gap: str
    numbers: tuple[int, ...] = ()
    """Of a marker: passages it names. Of a quotation: passages that hold it."""
    decided: bool = True
    left_out: bool = False
    start: int = -1
    end: int = -1


@dataclass(frozen=True)
class Checked:
    """A checked text with what is known of its parts."""

    text: str
    spans: list[Span]
    checks: Checks
    cited: list[int]


class ProvenanceFilter:
    """Checks one answer as it streams: `feed` each piece, then `finish`.

    Args:
        passages: those of the prompt; numbered from 1.
        mode: "strict" drops sentences that no passage supports; the others drop none.
    """

    def __init__(
        self,
        passages: Sequence[PromptPassage],
        *,
        language: str = "en",
        mode: RetrievalMode = "adaptive",
    ) -> None:
        self._sources = Sources(passages, language)
        self._strict = mode == "strict"
        self._kept = STRICT_SUPPORT if self._strict else KEPT_SUPPORT
        self._atoms = Atoms()
        self._out: list[str] = []
        self._length = 0
        self._gap = self._debt = ""
        """White space since the last atom, and before what was dropped."""
        self._parts: list[_Part] = []
        self._emitted = 0
        self._ended = False
        self._uncited: tuple[int, ...] = ()
        """Passages that hold the quotation just before, as long as it has no marker."""
        self._characters = 0
        self._dropping_code = False
        self._counts: Counter[str] = Counter()
        self._cited: set[int] = set()
        self.words = 0
        """Words that left."""
        self.spans: list[Span] = []

    def feed(self, piece: str) -> str:
        """What may leave now, of this piece and those before it."""
        return self._drained(piece, last=False)

    def finish(self) -> str:
        """The rest."""
        return self._drained("", last=True)

    @property
    def checks(self) -> Checks:
        return Checks(**self._counts)

    @property
    def cited(self) -> list[int]:
        """Numbers of the passages whose markers are in the text."""
        return sorted(self._cited)

    # -- atoms -------------------------------------------------------------------------------------

    def _drained(self, piece: str, *, last: bool) -> str:
        for atom in self._atoms.feed(piece, last=last):
            self._take(atom)
        if last:
            self._close()
        left = "".join(self._out)
        self._out.clear()
        return left

    def _take(self, atom: Atom) -> None:
        if atom.kind is Kind.SPACE:
            self._gap += atom.text
        elif atom.kind is Kind.MARKER:
            self._marker(atom)
        elif atom.kind is Kind.QUOTE:
            self._quotation(atom)
        elif atom.kind is Kind.CUT:
            self._counts["unquoted"] += 1
        elif atom.kind is Kind.WORD:
            self._word(atom.text)
        else:
            self._code(atom)

    def _word(self, text: str) -> None:
        self._cite_quotation()
        self._close_before(text)
        first = not self._parts
        self._parts.append(_Part(Kind.WORD, text, self._gap_before(text)))
        self._ended = _ends(text) and not (first and _ENUMERATION.match(text))
        self._grow(len(text))

    def _quotation(self, atom: Atom) -> None:
        self._cite_quotation()
        self._close_before(atom.text)
        text, markers = without_markers(atom.text)
        inside = text[1:-1]
        numbers: tuple[int, ...] = ()
        if len(tokens(inside)) >= FEWEST_QUOTED_WORDS:
            numbers = tuple(self._sources.holding(inside))
            if not numbers and not self._sources.is_title(inside):
                self._counts["unquoted"] += 1
                text = inside
        kind = Kind.QUOTE if numbers else Kind.WORD
        self._parts.append(_Part(kind, text, self._gap_before(text), numbers))
        self._uncited = numbers
        self._ended = _ends(text)
        for marker in markers:
            self._gap = " "
            self._marker(marker)
        self._grow(len(text))

    def _marker(self, atom: Atom) -> None:
        if "\n" in self._gap:
            self._close()
        known = [number for number in atom.numbers if 1 <= number <= len(self._sources)]
        self._counts["dropped_markers"] += max(1, len(atom.numbers)) - len(known)
        if atom.link or not known or not self._parts:
            self._counts["dropped_markers"] += len(known)
            self._drop_gap(self._gap)
            self._gap = ""
            return
        part = _Part(Kind.MARKER, "", self._gap or " ", tuple(known), decided=False)
        self._gap = ""
        # Before its sentence has said anything ("In [1] I held that …") the rest of it has to be seen.
        claim = self._claim(self._parts)
        if self._ended or claim.says_something or self._quoted(self._parts):
            self._decide(part, claim)
            if part.left_out:
                self._drop_gap(part.gap)
                return
            if set(part.numbers) & set(self._uncited):
                self._uncited = ()
        self._parts.append(part)
        self._flush()

    def _decide(self, part: _Part, claim: Claim) -> None:
        held = self._quoted(self._parts)
        kept = [
            number
            for number in part.numbers
            if number in held or self._sources.support(number, claim) >= self._kept
        ]
        if kept and not claim.says_something and not held:
            kept = []
        self._counts["dropped_markers"] += len(part.numbers) - len(kept)
        part.numbers, part.decided, part.left_out = tuple(kept), True, not kept
        part.text = f"[{', '.join(map(str, kept))}]"

    def _code(self, atom: Atom) -> None:
        """Fences and what stands between them, untouched; a strict persona shows none."""
        if atom.kind is Kind.FENCE and self._parts:
            self._close()
        if self._strict:
            if atom.kind is Kind.FENCE:
                self._dropping_code = not self._dropping_code
                self._counts["dropped_sentences"] += self._dropping_code
                self._drop_gap(self._gap)
                self._gap = ""
            return
        self._write(self._gap_before(atom.text) if atom.kind is Kind.FENCE else "", atom.text)

    # -- sentences ---------------------------------------------------------------------------------

    def _close_before(self, text: str) -> None:
        """End the sentence if this begins another."""
        if not self._parts:
            return
        if "\n" in self._gap:
            self._close()
        elif self._ended and not text.lstrip("“\"«„('‘")[:1].islower():
            apart = self._gap or self._parts[-1].kind is Kind.MARKER
            if apart or _UNSPACED_END.search(self._parts[-1].text):
                self._close()
        self._ended = False

    def _grow(self, characters: int) -> None:
        self._characters += characters + 1
        if self._characters >= LONGEST_SENTENCE:
            self._close()
        else:
            self._flush()

    def _close(self) -> None:
        """The sentence has ended: settle its markers, cite what it leans on, let it go."""
        self._cite_quotation()
        parts = self._parts
        if parts:
            whole, quoted = self._claim(parts), self._quoted(parts)
            for part in parts:
                if not part.decided:
                    self._decide(part, whole)
            cited = {n for part in parts if part.kind is Kind.MARKER for n in part.numbers}
            cited = self._cite(whole, cited)
            if self._strict and not self._supported(parts, cited, quoted):
                self._counts["dropped_sentences"] += 1
                self._drop_gap(parts[0].gap)
            else:
                self._flush(all_of_it=True)
                self._cited.update(cited)
                self._mark(parts, cited)
        self._parts, self._emitted, self._characters, self._ended = [], 0, 0, False

    def _cite(self, whole: Claim, cited: set[int]) -> set[int]:
        """A sentence without a marker gets one if a passage supports it. Returns all its numbers."""
        number, support = (0, 0.0) if cited else self._sources.best(whole)
        if number and support >= (self._kept if self._strict else ATTRIBUTED_SUPPORT):
            self._attribute(number)
            return {number}
        return cited

    def _attribute(self, number: int) -> None:
        self._parts.append(_Part(Kind.MARKER, f"[{number}]", " ", (number,)))
        self._counts["attributed"] += 1

    def _cite_quotation(self) -> None:
        """The quotation just before has no marker of its own, so it gets one."""
        if self._uncited:
            self._attribute(self._uncited[0])
            self._uncited = ()

    def _supported(self, parts: list[_Part], cited: set[int], quoted: set[int]) -> bool:
        """Whether a strict persona may say this sentence; of a mixed one only the quotations stay."""
        if not cited:
            return False
        own = self._claim([part for part in parts if part.kind is Kind.WORD])
        if quoted and not self._leans(own, cited) and (len(own.weights) > 1 or own.required):
            for part in parts:
                part.left_out = part.left_out or part.kind is Kind.WORD
            next(part for part in parts if not part.left_out).gap = parts[0].gap or " "
        return True

    def _leans(self, claim: Claim, cited: set[int]) -> int | None:
        return next(
            (n for n in sorted(cited) if self._sources.support(n, claim) >= self._kept), None
        )

    def _mark(self, parts: list[_Part], cited: set[int]) -> None:
        """The spans of a sentence that has left: its quotations, and each stretch between them."""
        mixed = any(part.kind is Kind.QUOTE for part in parts)
        stretch: list[_Part] = []
        for part in [*(part for part in parts if not part.left_out), None]:
            if part is not None and part.kind is not Kind.QUOTE:
                stretch.append(part)
                continue
            words = [its for its in stretch if its.kind is Kind.WORD]
            first = next((word for word in words if _WORDLY.search(word.text)), None)
            if first is not None:
                number = min(cited) if cited else None
                if mixed and number is not None:
                    number = self._leans(self._claim(stretch), cited)
                kind: SpanKind = "inference" if number is None else "paraphrase"
                end = (words if number is None else stretch)[-1].end
                self.spans.append(Span(start=first.start, end=end, kind=kind, citation=number))
            stretch = []
            if part is not None:
                held = [n for n in part.numbers if n in cited] or list(part.numbers)
                self.spans.append(
                    Span(start=part.start, end=part.end, kind="quote", citation=held[0])
                )

    def _claim(self, parts: Sequence[_Part]) -> Claim:
        said = "".join(part.gap + part.text for part in parts if part.kind is not Kind.MARKER)
        return self._sources.claim(said.strip())

    def _quoted(self, parts: Sequence[_Part]) -> set[int]:
        return {number for part in parts if part.kind is Kind.QUOTE for number in part.numbers}

    # -- going out ---------------------------------------------------------------------------------

    def _gap_before(self, text: str) -> str:
        """The white space before what comes now; dropped things leave no hole and join no words."""
        gap, debt = self._gap, self._debt
        if "\n" in debt and "\n" not in gap:
            gap = debt
        gap = gap or ("" if text[:1] in _CLINGING else debt)
        self._gap = self._debt = ""
        return gap

    def _drop_gap(self, gap: str) -> None:
        if "\n" not in self._debt:
            self._debt = gap if "\n" in gap else self._debt or gap

    def _flush(self, *, all_of_it: bool = False) -> None:
        if self._strict and not all_of_it:
            return
        while self._emitted < len(self._parts):
            part = self._parts[self._emitted]
            if not part.decided:
                return
            self._emitted += 1
            if part.left_out:
                continue
            self._write(part.gap, part.text)
            part.start, part.end = self._length - len(part.text), self._length
            if part.kind is not Kind.MARKER:
                self.words += len(part.text.split())

    def _write(self, gap: str, text: str) -> None:
        said = (gap if self._length else "") + text
        self._out.append(said)
        self._length += len(said)


def check_text(
    text: str,
    passages: Sequence[PromptPassage],
    *,
    language: str = "en",
    mode: RetrievalMode = "adaptive",
) -> Checked:
    """A whole answer, checked as `ProvenanceFilter` does."""
    checking = ProvenanceFilter(passages, language=language, mode=mode)
    final = checking.feed(text) + checking.finish()
    return Checked(final, checking.spans, checking.checks, checking.cited)


def _ends(word: str) -> bool:
    return bool(_SENTENCE_END.search(word)) and not _ABBREVIATION.search(word)
