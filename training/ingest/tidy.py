"""What every reader of an export does to a title, a date and a text before they become a document.

In: strings as somebody's software exported them, with control characters, half characters and a dozen ways to
write a date. Out: text that any other step can store, and dates as ISO 8601. Knows no export.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u2060\ufeff\ud800-\udfff\ufffe\uffff]"
)
_ISO_DAY = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?(?![\d])")
_NO_WORDS = re.compile(r"https?://\S+|[@#]\w+|:[\w+-]{1,60}:")
_WORD = re.compile(r"[^\W\d_]{2}|[^\W\d_a-zA-Z]")
_TITLE_CHARACTERS = 200
_LONGEST_DATE = 100


def tidy(text: str) -> str:
    """Without control and half characters; lines without blanks at their ends, at most one empty line.

    >>> tidy("One. \\r\\n\\r\\n\\r\\n Two\\x00.")
    'One.\\n\\n Two.'
    """
    text = unicodedata.normalize(
        "NFC", _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    )
    text = text.replace("\u00a0", " ")
    lines = [line.rstrip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def one_line(text: str) -> str:
    """As `tidy`, on one line, of a length that a title may have."""
    return " ".join(tidy(text).split())[:_TITLE_CHARACTERS]


def has_words(text: str) -> bool:
    """Whether there is anything besides links, names, hashtags and emoji.

    >>> has_words("@ada https://x.org #tea :cup: 42 !"), has_words("茶"), has_words("Tea")
    (False, True, True)
    """
    return _WORD.search(_NO_WORDS.sub("", text)) is not None


def title_from(text: str, max_words: int = 8) -> str:
    """The first words of a text that has no title of its own.

    >>> title_from("- Tea is hot. It is also wet, and more than that.")
    'Tea is hot.'
    """
    line = re.sub(r"^(?:#{1,6}|[-*>]|\d+[.)])\s+", "", text.lstrip().split("\n", 1)[0])
    words = one_line(line).split()
    for count in range(1, min(len(words), max_words) + 1):
        if words[count - 1].endswith((".", "!", "?")) and count >= 3:
            return " ".join(words[:count])
    return " ".join(words[:max_words]) + (" …" if len(words) > max_words else "")


def iso_day(text: str) -> str:
    """The day of an ISO or an e-mail date, as much of it as is known; "" where there is none.

    >>> iso_day("2020-03-04 10:00:00"), iso_day("Wed, 04 Mar 2020 10:00:00 +0000"), iso_day("0000-00-00")
    ('2020-03-04', '2020-03-04', '')
    """
    text = text.strip()[:_LONGEST_DATE]
    match = _ISO_DAY.match(text)
    if match:
        year, month, day = (int(part or 1) for part in match.groups())
        try:
            datetime(year, month, day, tzinfo=UTC)
        except ValueError:
            return ""
        return match.group()
    try:
        return parsedate_to_datetime(text).date().isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""


def moment_of(text: str) -> float | None:
    """Seconds since 1970 of an ISO date with a time; UTC where it names no zone. None if it is none."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def day_of(moment: float) -> str:
    """The day (UTC) of a moment in seconds since 1970; "" outside of the years a calendar has."""
    try:
        return datetime.fromtimestamp(moment, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return ""
