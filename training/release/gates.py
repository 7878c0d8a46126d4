"""Gates: what a version must have reached before people hear it, as a pure judgement of its evaluation.

In: an evaluation, the persona's thresholds, the live version's evaluation if there is one. Out: one row
for each gate, with a sentence that explains a failure and what to try. It reads no file and knows nothing
of publishing.

Two comparisons, both of the measured value, never of a hope:

    threshold   the value itself against the persona's [gates]; reaching it exactly is enough
    live        the value against the live version's 95 % bound on the bad side: its lower one where more
                is better, its upper one where less is. So a new version may be worse only by as much as
                the live one may be itself. Only if both were measured on the same held-out documents,
                against the same other authors and on the same base model; else it is left out, and a row
                says so.

A figure that is missing or not finite fails.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from personae.persona import Gates
from personae.verdict import LIVE, GateRow
from training.evaluate.evaluation import Evaluation, Figure

_DIGITS = 9
"""Differences are rounded to them: .95 - .65 is .29999999999999993, and no version should fail on that."""


@dataclass(frozen=True)
class _Gate:
    """What a field of `Gates` is about: `figure`, less `minus` if that is named."""

    at_least: bool
    figure: str
    what: str
    """Subject and verb of a sentence that goes on with the value."""
    advice: str
    minus: str | None = None


GATES: Mapping[str, _Gate] = {
    "attribution_gain": _Gate(
        True,
        "attribution_gain",
        "the voice is told from other authors better than the prompted base model by an AUC of",
        "train for more steps, or give it more of the author's text",
    ),
    "attribution_gap": _Gate(
        False,
        "attribution_gap",
        "the voice is told from other authors worse than the author's own text by an AUC of",
        "train for more steps, or give it more of the author's text",
    ),
    "bits_per_byte_drop": _Gate(
        True,
        "bits_per_byte_drop",
        "bits per byte on the author's held-out text fell by a share of",
        "train for more steps or at a higher rank, and look at the corpus report for what is not "
        "the author's",
    ),
    "whole_sentences": _Gate(
        True,
        "whole_sentences",
        "the share of replies that begin and end like a sentence is",
        "look at the run's preview.txt for samples cut in mid-sentence, and raise the persona's "
        "max_tokens if replies are cut off",
    ),
    "rewrite_meaning": _Gate(
        True,
        "rewrite_meaning",
        "the likeness in meaning of a text and its rewrite is",
        "use more rewriting samples, fewer steps, or a larger base model",
    ),
    "rewrite_copy": _Gate(
        False,
        "rewrite_copy",
        "rewrites copy their text: the ROUGE-L between them is",
        "make the degraded sides of rewriting samples differ more (synthesis does), or train longer",
    ),
    "loops_above_base": _Gate(
        False,
        "loops",
        "the share of replies that loop is above the base model's by",
        "train for fewer steps or at a lower rate, or raise the persona's repetition_penalty",
        minus="loops_base",
    ),
    "identity": _Gate(
        True,
        "identity",
        "the share of identity questions answered rightly is",
        "use more identity samples, and look for other names in the corpus",
    ),
    "copied_words": _Gate(
        False,
        "copied_words",
        "replies copy the training text: the longest stretch in words is",
        "train for fewer steps, or give it more text",
    ),
    "forgetting": _Gate(
        False,
        "forgetting",
        "bits per byte on other authors' text rose by a share of",
        "train for fewer steps, at a lower rate or at a lower rank",
    ),
    "other_names": _Gate(
        False,
        "other_names",
        "the share of identity answers that claim another name is",
        "use more identity samples, and look for signatures and letters of others in the corpus",
    ),
}


def judge(evaluation: Evaluation, gates: Gates, *, live: Evaluation | None) -> list[GateRow]:
    """One row a field of `gates`, then one a figure that the live version has as well.

    Args:
        live: the evaluation of the version that speaks now; None leaves that comparison out.
    """
    rows = [
        _against_threshold(name, gate, evaluation, float(getattr(gates, name)))
        for name, gate in GATES.items()
    ]
    return rows if live is None else rows + _against_live(evaluation, live)


def failed(rows: Sequence[GateRow]) -> list[GateRow]:
    return [row for row in rows if not row.passed]


def _against_threshold(name: str, gate: _Gate, evaluation: Evaluation, threshold: float) -> GateRow:
    figure = _measured(gate, evaluation)
    passed = figure is not None and _reaches(figure.value, threshold, gate.at_least)
    if figure is None:
        sentence = (
            f"{name}: {_lacking(gate, evaluation)}, so nothing can be said of it. "
            "Run `personae train evaluate` again and look at what it says."
        )
    elif passed:
        sentence = f"{name}: {gate.what} {_shown(figure.value)}."
    else:
        sentence = (
            f"{name}: {gate.what} {_shown(figure.value)}; {_wanted(threshold, gate.at_least)}. "
            f"Try this: {gate.advice}."
        )
    return GateRow(
        name=name,
        against="threshold",
        value=None if figure is None else figure.value,
        low=None if figure is None else finite(figure.low),
        high=None if figure is None else finite(figure.high),
        threshold=threshold,
        at_least=gate.at_least,
        passed=passed,
        sentence=sentence,
    )


def _against_live(evaluation: Evaluation, live: Evaluation) -> list[GateRow]:
    if problem := _not_comparable(evaluation, live):
        return [_left_out(f"The comparison with the live version was left out: {problem}.")]
    rows, lacking = [], []
    for name, gate in GATES.items():
        figure, before = _measured(gate, evaluation), _measured(gate, live)
        bound = None if before is None else finite(before.low if gate.at_least else before.high)
        if bound is None:
            lacking.append(name)
            continue
        value = None if figure is None else figure.value
        passed = value is not None and _reaches(value, bound, gate.at_least)
        said = "not measured" if value is None else _shown(value)
        sentence = f"{name}: {said}, the live version's {_bound(gate)} is {_shown(bound)}."
        if not passed:
            sentence += (
                f" It is worse than what speaks now. Try this: {gate.advice}; or stay with the live "
                "version."
            )
        rows.append(
            GateRow(
                name=name,
                against="live",
                value=value,
                low=None if figure is None else finite(figure.low),
                high=None if figure is None else finite(figure.high),
                threshold=bound,
                at_least=gate.at_least,
                passed=passed,
                sentence=sentence,
            )
        )
    if lacking:
        rows.append(
            _left_out(
                f"Not compared, because the live version has no figure: {', '.join(lacking)}."
            )
        )
    return rows


def _left_out(sentence: str) -> GateRow:
    return GateRow(name=LIVE, against="live", value=None, passed=True, sentence=sentence)


def _not_comparable(evaluation: Evaluation, live: Evaluation) -> str | None:
    if evaluation.base_model != live.base_model:
        return f"it speaks on {live.base_model}, this one on {evaluation.base_model}"
    if set(evaluation.held_out_documents) != set(live.held_out_documents):
        return "it was measured on other held-out documents"
    if set(evaluation.others) != set(live.others):
        return "it was told from other authors"
    return None


def _measured(gate: _Gate, evaluation: Evaluation) -> Figure | None:
    """The gated figure; None if it, or what it is above, is missing or not finite.

    Bounds of a difference are the widest the two allow.
    """
    figure = evaluation.figures.get(gate.figure)
    if figure is None or not math.isfinite(figure.value):
        return None
    if gate.minus is None:
        return figure
    other = evaluation.figures.get(gate.minus)
    if other is None or not math.isfinite(other.value):
        return None
    return Figure(
        value=round(figure.value - other.value, _DIGITS),
        low=round(figure.low - other.high, _DIGITS),
        high=round(figure.high - other.low, _DIGITS),
        n=min(figure.n, other.n),
    )


def _lacking(gate: _Gate, evaluation: Evaluation) -> str:
    names = [name for name in (gate.figure, gate.minus) if name is not None]
    missing = [name for name in names if name not in evaluation.figures]
    if missing:
        return f"{' and '.join(missing)} was not measured"
    return f"{' or '.join(names)} is no finite number"


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _reaches(value: float, bound: float, at_least: bool) -> bool:
    value, bound = round(value, _DIGITS), round(bound, _DIGITS)
    return value >= bound if at_least else value <= bound


def _bound(gate: _Gate) -> str:
    return "lower bound" if gate.at_least else "upper bound"


def _wanted(threshold: float, at_least: bool) -> str:
    return f"{'at least' if at_least else 'at most'} {_shown(threshold)} is wanted"


def _shown(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") if abs(value) < 1000 else f"{value:.0f}"
