"""Gates: every bound, missing and broken figures, and the comparison with the live version."""

from __future__ import annotations

import math

import pytest

from personae.persona import Gates
from training.evaluate.evaluation import FIGURES, Evaluation, Figure
from training.release.gates import GATES, failed, judge

DEFAULTS = Gates()


def evaluation(**changes) -> Evaluation:
    """One that passes all gates by a hair: every figure exactly at its default threshold."""
    figures = {name: figure(getattr(DEFAULTS, name)) for name in GATES if name in FIGURES}
    figures |= {"loops": figure(0.05), "loops_base": figure(0.05)}
    figures |= {name: figure(value) for name, value in changes.pop("figures", {}).items()}
    settings = {
        "persona": "lincoln",
        "base_model": "tiny",
        "adapter_sha256": "ab" * 32,
        "prompt_fingerprint": "cd" * 32,
        "held_out_documents": ["a", "b"],
        "others": ["x", "y"],
        "seed": 17,
        "figures": {name: found for name, found in figures.items() if found is not None},
        "samples": [],
        "seconds": 1.0,
        "created_at": "2026-01-01T00:00:00+00:00",
    }
    return Evaluation(**(settings | changes))


def figure(value) -> Figure | None:
    if value is None or isinstance(value, Figure):
        return value
    return Figure(value=value, low=value - 0.02, high=value + 0.02, n=30)


def row(rows, name, against="threshold"):
    (found,) = [row for row in rows if (row.name, row.against) == (name, against)]
    return found


def test_there_is_a_gate_for_each_threshold_and_each_asks_for_a_figure_that_exists():
    assert set(GATES) == set(Gates.model_fields)
    assert {gate.figure for gate in GATES.values()} <= set(FIGURES)
    assert {gate.minus for gate in GATES.values()} - {None} == {"loops_base"}


def test_reaching_every_threshold_exactly_is_enough():
    rows = judge(evaluation(), DEFAULTS, live=None)
    assert [row.name for row in rows] == list(GATES)
    assert failed(rows) == []


WORSE = {
    "attribution_gain": 0.299,
    "attribution_gap": 0.031,
    "bits_per_byte_drop": 0.119,
    "whole_sentences": 0.899,
    "rewrite_meaning": 0.699,
    "rewrite_copy": 0.601,
    "loops": 0.051,
    "identity": 0.89,
    "copied_words": 41,
    "forgetting": 0.101,
    "other_names": 0.01,
}


@pytest.mark.parametrize("name", WORSE)
def test_a_hair_past_a_threshold_fails_that_gate_alone_and_says_what_to_try(name):
    rows = judge(evaluation(figures={name: WORSE[name]}), DEFAULTS, live=None)
    (only,) = failed(rows)
    assert only.name == ("loops_above_base" if name == "loops" else name)
    assert "is wanted" in only.sentence and "Try this: " in only.sentence
    assert only.value == pytest.approx(WORSE[name] - (0.05 if name == "loops" else 0))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", [*WORSE, "loops_base"])
def test_a_figure_that_is_no_number_fails_even_where_infinity_would_be_good(name, value):
    broken = Figure(value=value, low=value, high=value, n=1)
    (only,) = failed(judge(evaluation(figures={name: broken}), DEFAULTS, live=None))
    assert only.value is None and "no finite number" in only.sentence
    assert "nan" not in only.model_dump_json().lower()


@pytest.mark.parametrize("name", [*WORSE, "loops_base"])
def test_a_figure_that_was_not_measured_fails(name):
    (only,) = failed(judge(evaluation(figures={name: None}), DEFAULTS, live=None))
    assert only.value is None and f"{name} was not measured" in only.sentence


def test_rounding_of_a_difference_fails_nobody():
    assert 0.95 - 0.65 < 0.3
    assert (
        failed(judge(evaluation(figures={"attribution_gain": 0.95 - 0.65}), DEFAULTS, live=None))
        == []
    )


def test_thresholds_are_the_persona_s_own():
    gates = Gates(identity=0.5, copied_words=10)
    rows = judge(evaluation(figures={"identity": 0.6}), gates, live=None)
    assert row(rows, "identity").passed
    assert [row.name for row in failed(rows)] == ["copied_words"]


@pytest.mark.parametrize(
    ("name", "live", "new", "passed"),
    [
        ("identity", Figure(value=1.0, low=0.95, high=1.0, n=10), 0.95, True),
        ("identity", Figure(value=1.0, low=0.95, high=1.0, n=10), 0.94, False),
        ("copied_words", Figure(value=8, low=6, high=12, n=30), 12, True),
        ("copied_words", Figure(value=8, low=6, high=12, n=30), 13, False),
        ("attribution_gain", Figure(value=0.5, low=0.4, high=0.6, n=30), 0.39, False),
        ("attribution_gain", Figure(value=0.5, low=0.4, high=0.6, n=30), 0.41, True),
    ],
)
def test_no_figure_may_be_worse_than_the_bad_bound_of_the_live_version_s(name, live, new, passed):
    rows = judge(evaluation(figures={name: new}), DEFAULTS, live=evaluation(figures={name: live}))
    assert row(rows, name).passed, "all of these reach their threshold"
    compared = row(rows, name, "live")
    assert compared.passed is passed
    assert compared.threshold == (live.low if GATES[name].at_least else live.high)
    assert ("worse than what speaks now" in compared.sentence) is not passed
    assert [row.title for row in failed(rows)] == ([] if passed else [f"{name} v live"])


def test_the_loops_of_two_versions_are_compared_above_their_bases():
    """Widest bounds of a difference: the live one's is at most .07 - .01 above its base."""
    live = evaluation(figures={"loops": figure(0.05), "loops_base": figure(0.03)})
    rows = judge(evaluation(figures={"loops": 0.11}), Gates(loops_above_base=1.0), live=live)
    compared = row(rows, "loops_above_base", "live")
    assert compared.threshold == pytest.approx(0.06) and compared.passed


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"held_out_documents": ["a", "c"]}, "other held-out documents"),
        ({"others": ["x"]}, "told from other authors"),
        ({"base_model": "larger"}, "speaks on larger"),
    ],
)
def test_versions_measured_otherwise_are_not_compared_and_a_row_says_so(change, why):
    better = evaluation(figures={"identity": 1.0}, **change)
    rows = judge(evaluation(figures={"identity": 0.9}), DEFAULTS, live=better)
    (only,) = [row for row in rows if row.against == "live"]
    assert only.passed and why in only.sentence


def test_the_order_of_held_out_documents_does_not_matter():
    rows = judge(evaluation(), DEFAULTS, live=evaluation(held_out_documents=["b", "a"]))
    assert len(rows) == 2 * len(GATES)


def test_what_the_live_version_has_no_figure_for_is_named():
    broken = Figure(value=0.9, low=math.nan, high=1.0, n=1)
    live = evaluation(figures={"forgetting": None, "identity": broken})
    rows = judge(evaluation(), DEFAULTS, live=live)
    assert failed(rows) == []
    assert row(rows, "live", "live").sentence.endswith("no figure: identity, forgetting.")


def test_a_figure_that_only_the_live_version_has_fails_twice():
    rows = judge(evaluation(figures={"identity": None}), DEFAULTS, live=evaluation())
    assert [row.title for row in failed(rows)] == ["identity", "identity v live"]
