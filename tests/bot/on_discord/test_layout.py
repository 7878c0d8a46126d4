"""Views of any length become messages that Discord takes, with the small print always there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.core.surface import View
from bot.on_discord.layout import Beyond, Room, parts

DISCLOSURE = "— An imitation, not the person"
PIECES = st.sampled_from(
    ["word ", "A sentence ends. ", "\n\n", "```py\n", "```\n", "x" * 90, "\U0001f600", "-# "]
)


def view(text: str, **changed: object) -> View:
    plain: dict[str, object] = {
        "answer_id": "a1",
        "phase": "finished",
        "text": text,
        "footnotes": [DISCLOSURE],
        "controls": ("up", "down"),
    }
    return View(**(plain | changed))  # type: ignore[arg-type]


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@given(
    st.lists(PIECES, max_size=30).map(lambda some: "".join(some) * 30),
    st.integers(1, 4),
    st.sampled_from(["thread", "file"]),
    st.booleans(),
)
def test_every_message_fits_and_the_last_one_says_what_it_is(
    text: str, most: int, beyond: Beyond, ended: bool
) -> None:
    shown = parts(view(text, phase="finished" if ended else "growing"), Room(most, beyond))
    assert all(0 < units(part.content) <= 2000 for part in shown)
    assert sum(not part.in_thread for part in shown) <= most
    assert [bool(part.controls) for part in shown] == [False] * (len(shown) - 1) + [True]
    if ended:
        assert shown[-1].content.endswith(f"-# {DISCLOSURE}")


def test_a_short_answer_is_one_message() -> None:
    (only,) = parts(view("Words."), Room())
    assert only.content == f"Words.\n\n-# {DISCLOSURE}" and only.controls == ("up", "down")


def test_what_is_too_long_goes_on_in_a_thread() -> None:
    shown = parts(view("A sentence ends. " * 600), Room(2, "thread"))
    here = [part for part in shown if not part.in_thread]
    assert len(here) == 2 and len(shown) > 3
    assert here[-1].content.endswith("-# Goes on in the thread below.")


def test_the_file_comes_at_the_end_only_and_holds_all() -> None:
    text = "A sentence ends. " * 600
    growing = parts(view(text, phase="growing", footnotes=[]), Room(2, "file"))
    assert [part.file for part in growing] == ["", ""]
    ended = parts(view(text), Room(2, "file"))
    assert ended[-1].file.count("A sentence ends.") == 600 and DISCLOSURE in ended[-1].file


def test_nothing_at_all_is_still_a_message() -> None:
    (only,) = parts(view("", footnotes=[], controls=(), phase="waiting"), Room())
    assert only.content == "…"
