"""Rule `duplicates`: documents, and long paragraphs, that say the same again in nearly the same words.

In: texts, one after another. Out: which documents go, for which one that stays; which paragraphs go.
Likeness is the Jaccard measure of the sets of three neighbouring words, estimated by MinHash and found by
locality-sensitive hashing (Broder 1997; `datasketch`).

Of documents that are nearly the same the newest stays, or the longest where dates do not tell. Of
paragraphs the one in the longest document stays, so that an excerpt goes and not the text it was taken
from. Whatever goes is nearly the same as something that stays: never by way of a third.

A paragraph goes if it stands in three documents, or if a fifth of its document is repeated. Else it stays:
who takes up a paragraph of his own once more, as Roosevelt did in eight places of his messages, wrote it in
both, and without it the second text has a hole.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zlib import crc32

from personae.corpus import Document
from training.clean.blocks import blocks_of, is_heading, words_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Hashes = npt.NDArray[np.uint32]

_SAME = 0.7
"""With sets of three words: about six words in a hundred are others."""
_WORDS_TOGETHER = 3
_DOCUMENT_HASHES = 128
_PARAGRAPH_HASHES = 64
_OFTEN = 3
_MUCH = 0.2
_SHOWN = 5
_PARAGRAPH_WORDS = 25
"""Shorter ones may be alike by chance, or be a formula of the author's."""
MOST_PARAGRAPHS = 200_000
"""So many are compared, about 800 MB; of a larger corpus the rest are left."""


@dataclass(frozen=True)
class Same:
    """A document goes, because this one stays."""

    document: int
    likeness: float
    preferred: str


@dataclass(frozen=True)
class _Seen:
    date: str
    words: int


@dataclass(frozen=True)
class _Signature:
    document: int
    paragraph: int
    words: int
    hashes: Hashes


class Duplicates:
    """Takes documents in, then decides for all of them. Documents are numbered as they come, from 0."""

    def __init__(self, most_paragraphs: int = MOST_PARAGRAPHS) -> None:
        self._left_out = 0
        self._left: list[tuple[_Signature, _Signature]] = []
        self._most_paragraphs = most_paragraphs
        self._of_documents = _MinHashes(_DOCUMENT_HASHES)
        self._of_paragraphs = _MinHashes(_PARAGRAPH_HASHES)
        self._seen: list[_Seen] = []
        self._documents: list[_Signature] = []
        self._paragraphs: list[_Signature] = []

    def add(self, document: Document) -> None:
        number = len(self._seen)
        words = words_of(document.text)
        self._seen.append(_Seen(document.date, len(words)))
        if not words:
            return
        self._documents.append(
            _Signature(number, -1, len(words), self._of_documents.of_words(words))
        )
        for place, block in enumerate(blocks_of(document.text)):
            own = [] if is_heading(block) else words_of(block)
            if len(own) < _PARAGRAPH_WORDS:
                continue
            if len(self._paragraphs) >= self._most_paragraphs:
                self._left_out += 1
                continue
            hashes = self._of_paragraphs.of_words(own)
            self._paragraphs.append(_Signature(number, place, len(own), hashes))

    def documents(self) -> dict[int, Same]:
        """Documents that go, each with the one that stays."""
        # Newest first, then longest; of equals the first that came.
        newest = sorted(
            self._documents,
            key=lambda one: (self._seen[one.document].date, self._seen[one.document].words),
            reverse=True,
        )
        found = {}
        for gone, kept, likeness in _alike(newest, self._of_documents):
            newer = self._seen[kept.document].date > self._seen[gone.document].date
            found[gone.document] = Same(
                kept.document, likeness, "newer" if newer else "at least as long"
            )
        return found

    def paragraphs(self, without: set[int]) -> dict[int, dict[int, int]]:
        """Paragraphs that go: document → number of its block → document in which one like it stays.

        Args:
            without: documents that are gone already, and keep nothing.
        """
        longest = sorted(
            (one for one in self._paragraphs if one.document not in without),
            key=lambda one: (-self._seen[one.document].words, one.document, one.paragraph),
        )
        pairs = [(gone, kept) for gone, kept, _ in _alike(longest, self._of_paragraphs)]
        stands: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
        repeated: Counter[int] = Counter()
        for gone, kept in pairs:
            stands[kept.document, kept.paragraph] |= {gone.document, kept.document}
            repeated[gone.document] += gone.words
        found: dict[int, dict[int, int]] = {}
        for gone, kept in pairs:
            often = len(stands[kept.document, kept.paragraph]) >= _OFTEN
            much = repeated[gone.document] >= _MUCH * self._seen[gone.document].words
            if often or much:
                found.setdefault(gone.document, {})[gone.paragraph] = kept.document
            else:
                self._left.append((gone, kept))
        return found

    def notes(self, names: list[str]) -> list[str]:
        """What was seen and left, after `paragraphs`; `names` are the documents' ids."""
        found = []
        if self._left:
            words = sum(each.words for each, _ in self._left)
            shown = "; ".join(
                f"{names[here.document]} and {names[there.document]} ({here.words} words)"
                for here, there in self._left[:_SHOWN]
            )
            found.append(
                f"repeated paragraphs left as the author's own, since each stands in two documents only: "
                f"{len(self._left):,} ({words:,} words), such as {shown}"
            )
        if self._left_out:
            found.append(
                f"compared the first {self._most_paragraphs:,} paragraphs with each other and not the "
                f"{self._left_out:,} after them; documents were all compared"
            )
        return found


class _MinHashes:
    """MinHashes of one length; they share their permutations, which are costly to make."""

    def __init__(self, length: int) -> None:
        from datasketch import MinHash

        self.length = length
        self._empty: Any = MinHash(num_perm=length, seed=1, hashfunc=crc32, scheme="affine32")

    def of_words(self, words: list[str]) -> Hashes:
        together = {
            " ".join(words[place : place + _WORDS_TOGETHER]).encode("utf-8", "surrogatepass")
            for place in range(max(1, len(words) - _WORDS_TOGETHER + 1))
        }
        minhash = self._empty.copy()
        minhash.update_batch(together)
        hashes: Hashes = minhash.hashvalues
        return hashes

    def of_hashes(self, hashes: Hashes) -> Any:
        """As `datasketch`'s index takes them."""
        minhash = self._empty.copy()
        minhash.hashvalues = hashes
        return minhash


def _alike(
    signatures: list[_Signature], minhashes: _MinHashes
) -> Iterator[tuple[_Signature, _Signature, float]]:
    """Each signature that is like an earlier one of another document which stays, with that one and their
    likeness."""
    from datasketch import MinHashLSH

    # What is found is compared again, so finding too much costs time only, and too little is a miss.
    index: Any = MinHashLSH(threshold=_SAME, num_perm=minhashes.length, weights=(0.1, 0.9))
    for number, signature in enumerate(signatures):
        minhash = minhashes.of_hashes(signature.hashes)
        best: tuple[float, int] | None = None
        for other in sorted(index.query(minhash)):
            if signatures[other].document == signature.document:
                continue
            likeness = float((signatures[other].hashes == signature.hashes).mean())
            if likeness >= _SAME and (best is None or likeness > best[0]):
                best = (likeness, other)
        if best is not None:
            yield signature, signatures[best[1]], best[0]
        else:
            index.insert(number, minhash, check_duplication=False)
