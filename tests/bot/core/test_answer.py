"""What a person should see of an answer, event by event."""

from __future__ import annotations

import pytest

from bot.core import sentences
from bot.core.answer import Answer
from personae.wire import Citation, Delta, Done, ErrorEvent, Meta, Queued, Timings, Usage

META = Meta(
    request_id="1",
    persona="lincoln",
    display_name="Abraham Lincoln",
    disclosure="An imitation of Abraham Lincoln, not the person",
    adapter_version="v1",
    base_model="smollm2-135m",
)


@pytest.mark.parametrize(
    ("position", "seconds", "said"),
    [
        (1, 0.2, "In line: 1st, about 1 s."),
        (2, 7.4, "In line: 2nd, about 7 s."),
        (3, 20, "In line: 3rd, about 20 s."),
        (11, 20, "In line: 11th, about 20 s."),
        (22, 90, "In line: 22nd, about 90 s."),
        (113, 90, "In line: 113th, about 90 s."),
    ],
)
def test_a_place_in_line_reads_well(position, seconds, said):
    assert sentences.in_line(position, seconds) == said


def test_a_place_in_line_gives_way_to_the_words():
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


def test_a_refusal_after_the_wait_stands_alone():
    answer = Answer()
    answer.add(Queued(position=2, eta_seconds=7))
    answer.add(ErrorEvent(code="busy", message="Too many.", retry_after_seconds=20))
    assert answer.text() == "Too many. (Try again in about 20 s.)"


def test_sources_are_those_the_text_names_or_else_those_of_the_prompt():
    """While it grows nobody knows which; at the end the markers that are left decide."""
    usage = Usage(prompt_tokens=1, completion_tokens=1)
    timings = Timings(retrieval_seconds=0, first_token_seconds=0, total_seconds=0)
    citations = [
        Citation(number=number, title="T", date="", url="", excerpt="") for number in (1, 2, 3)
    ]
    for used, shown in (([2], [2]), ([], [1, 2, 3])):
        answer = Answer()
        answer.add(META.model_copy(update={"citations": citations}))
        answer.add(Delta(text="We must [2]"))
        assert [its.number for its in answer.citations] == [1, 2, 3]
        answer.add(Done(finish_reason="stop", usage=usage, timings=timings, used_citations=used))
        assert [its.number for its in answer.citations] == shown
