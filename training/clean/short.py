"""Rule `short`: texts of fewer words than `min_words`; a voice can't be learned from them.

In: text and the bound. Out: the reason to drop it, or "". Headings do not count. Where words are not set
apart by blanks, eight characters count as one.
"""

from __future__ import annotations

from training.clean.blocks import size_in_words


def too_short(text: str, *, min_words: int) -> str:
    """Why the text goes: "12 words, fewer than 40"; "" if it is long enough."""
    words = size_in_words(text)
    return (
        f"{words} {'word' if words == 1 else 'words'}, fewer than {min_words}"
        if words < min_words
        else ""
    )
