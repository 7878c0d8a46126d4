"""What a person should see of an answer, event by event."""

from __future__ import annotations

from bot.core.answer import Answer
from bot.core.sentences import speaker
from personae.wire import Delta, ErrorEvent, Queued
from tests.bot.core.bench import DISCLOSURE, DONE, META


def test_a_place_in_line_gives_way_to_the_words() -> None:
    answer = Answer()
    assert answer.text() == ""
    answer.add(Queued(position=2, eta_seconds=7))
    answer.add(Queued(position=1, eta_seconds=3))
    assert answer.text() == "In line: 1st, about 3 s."
    assert not answer.finished
    answer.add(META)
    assert answer.text() == ""
    answer.add(Delta(text="We must"))
    assert answer.text() == "We must"


def test_a_refusal_after_the_wait_stands_alone() -> None:
    answer = Answer(say=speaker("de"))
    answer.add(Queued(position=2, eta_seconds=7))
    answer.add(ErrorEvent(code="unheard_of", message="Too many.", retry_after_seconds=20))
    assert answer.text() == "Too many. (Versuch es in etwa 20 s noch einmal.)"
    assert answer.footnotes() == []


def test_an_ending_of_ours_stands_below_the_words_with_the_disclosure() -> None:
    answer = Answer()
    answer.add(META.model_copy(update={"notice": "By prompt only."}))
    answer.add(Delta(text="We must"))
    assert answer.footnotes() == []
    answer.ending = "(Stopped.)"
    assert answer.text() == "We must\n\n(Stopped.)"
    assert answer.footnotes() == ["By prompt only.", f"— {DISCLOSURE}"]


def test_sources_are_those_the_text_names_or_else_those_of_the_prompt() -> None:
    """While it grows nobody knows which; at the end the markers that are left decide."""
    for used, shown in (([2], [2]), ([], [1, 2])):
        answer = Answer()
        answer.add(META)
        answer.add(Delta(text="We must [2]"))
        assert [its.number for its in answer.citations] == [1, 2]
        answer.add(DONE.model_copy(update={"used_citations": used}))
        assert [its.number for its in answer.citations] == shown
