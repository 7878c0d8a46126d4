"""When the writing covers a question: pairs of nearness and shared words as real questions gave them."""

from __future__ import annotations

import pytest

from serving.retrieval.relevance import Evidence


@pytest.mark.parametrize(
    ("meaning", "coverage", "covered"),
    [
        pytest.param(0.47, 0.17, True, id="What holds a nation together? (Lincoln)"),
        pytest.param(0.60, 1.00, True, id="Can we escape history? (Lincoln)"),
        pytest.param(0.47, 0.64, True, id="What is the duty of the government to those who labor?"),
        pytest.param(0.10, 0.33, False, id="Do you like dogs? (Lincoln)"),
        pytest.param(0.18, 1.00, False, id="Who was your wife? (Roosevelt)"),
        pytest.param(0.23, 0.30, False, id="What's your opinion on artificial intelligence?"),
        pytest.param(0.00, 0.00, False, id="nothing found at all"),
    ],
)
def test_nearness_counts_more_than_shared_words(meaning, coverage, covered):
    assert Evidence(meaning, coverage).covers() == covered


def test_a_persona_s_own_floor_is_kept_to():
    evidence = Evidence(0.47, 0.17)
    assert evidence.covers(0.0) and not evidence.covers(0.99)
    assert 0.0 < evidence.relevance < 1.0


def test_small_talk_is_always_covered():
    assert Evidence(asks_something=False).covers(1.0)
