"""What a rewrite changed, word by word, as Markdown: ~~old~~ **new**.

Code in fences and between backticks, and links, are compared as one piece each, and shown new without
marks: marks inside code would be read as code. What is removed or added keeps its paragraphs: a mark
never spans a line break, because Markdown would not close it. Pure; bounded in size.

    difference("We should try.", "We must strive.") == "We ~~should try.~~ **must strive.**"
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

MOST_WORDS = 1_500
"""Of either text: what is longer is compared by nobody, and takes too long."""

# A fence, a code span or a link in one piece; a line break; other words; the blanks between.
_TOKENS = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]+`|\[[^\[\]\n]*\]\([^()\s]*\)|\n+|[^\S\n]+|[^\s`]+|`", re.DOTALL
)
_MARKS = re.compile(r"([*_~\\|])")


def difference(old: str, new: str, *, most_words: int = MOST_WORDS) -> str:
    """Markdown that marks what changed; "" where nothing did, or where the texts are too long."""
    before, after = _tokens(old), _tokens(new)
    if before == after or max(len(before), len(after)) > 2 * most_words:
        return ""
    # Blanks are no anchors: they are everywhere. They go with the word before them.
    left, right = _with_blanks(before), _with_blanks(after)
    matcher = difflib.SequenceMatcher(
        None, [word.strip() or word for word in left], [word.strip() or word for word in right],
        autojunk=False,
    )  # fmt: skip
    parts: list[str] = []
    for kind, i, j, k, n in matcher.get_opcodes():
        if kind == "equal":
            parts.extend(right[k:n])
            continue
        gone = _marked(left[i:j], "~~", drops_code=True)
        come = _marked(right[k:n], "**", drops_code=False)
        gap = " " if gone and come and not gone[-1].isspace() else ""
        parts.append(gone + gap + come)
    return "".join(parts).strip()


def _tokens(text: str) -> list[str]:
    return _TOKENS.findall(text.strip())


def _with_blanks(tokens: Sequence[str]) -> list[str]:
    """Words with the blanks that follow them; line breaks stay by themselves."""
    words: list[str] = []
    for token in tokens:
        if token.isspace() and "\n" not in token and words and not words[-1].endswith("\n"):
            words[-1] += token
        else:
            words.append(token)
    return words


def _marked(words: Sequence[str], mark: str, *, drops_code: bool) -> str:
    """The words between marks, stretch by stretch; code and line breaks stand outside of marks.

    Args:
        drops_code: old code and old line breaks are not shown: only what is new is.
    """
    shown: list[str] = []
    stretch: list[str] = []

    def close() -> None:
        joined = "".join(stretch)
        stretch.clear()
        inner = joined.strip()
        if inner:
            blank = joined[len(joined.rstrip()) :]
            safe = _MARKS.sub(r"\\\1", inner)
            shown.append(f"{mark}{safe}{mark}{blank}")

    for word in words:
        if word.startswith(("`", "[")) or "\n" in word:
            close()
            if not drops_code:
                shown.append(word)
        else:
            stretch.append(word)
    close()
    return "".join(shown)
