"""A measured value with its 95 % bounds, by the bootstrap.

In: what was measured on each reply, text or question. Out: a `Figure`. Bounds are percentiles of the value
over resamples (Efron 1979, https://doi.org/10.1214/aos/1176344552), always from the same seed. Knows
nothing of what the numbers mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.evaluate.evaluation import Figure

RESAMPLES = 2000
"""Bounds move by less than .005 between seeds; more only costs time."""
_SEED = 17
_EDGES = (2.5, 97.5)


def mean_figure(values: Sequence[float]) -> Figure:
    """The mean; of shares too, as 0 and 1 (their bounds collapse where all agree: see `n`).

    Raises:
        ValueError: nothing was measured.
    """
    return ratio_figure(values, [1.0] * len(values))


def ratio_figure(parts: Sequence[float], wholes: Sequence[float]) -> Figure:
    """Sum of the parts over the sum of the wholes, resampled by pair.

    Raises:
        ValueError: nothing was measured, or the wholes sum to 0.
    """
    import numpy as np

    if not parts or sum(wholes) <= 0:
        raise ValueError("nothing was measured")
    above, below = np.asarray(parts, float), np.asarray(wholes, float)
    counts = _counts(len(parts))
    sums = counts @ below
    drawn = (counts @ above)[sums > 0] / sums[sums > 0]
    return _figure(float(above.sum() / below.sum()), drawn, len(parts))


def longest_figure(values: Sequence[float]) -> Figure:
    """The largest. Resamples can't exceed it, so `high` is the value itself."""
    import numpy as np

    if not values:
        raise ValueError("nothing was measured")
    measured = np.asarray(values, float)
    drawn = [float(measured[row > 0].max()) for row in _counts(len(values))]
    figure = _figure(float(measured.max()), np.asarray(drawn), len(values))
    return figure.model_copy(update={"high": figure.value})


def auc_figure(positives: Sequence[float], negatives: Sequence[float]) -> Figure:
    """Area under the ROC curve: how often a positive scores above a negative, ties counting half."""
    wins = _wins(positives, negatives)
    above, below = _counts(len(positives)), _counts(len(negatives), salt=1)
    return _figure(float(wins.mean()), _drawn_auc(wins, above, below), len(positives))


def auc_difference(
    positives: Sequence[float],
    others: Sequence[float],
    negatives: Sequence[float],
    *,
    paired: bool,
) -> Figure:
    """AUC of `positives` less that of `others`, both against the same negatives.

    Args:
        paired: the two answer the same prompts, in the same order; then prompts are resampled.
    """
    if paired and len(positives) != len(others):
        raise ValueError("paired scores must be of the same prompts")
    one, two = _wins(positives, negatives), _wins(others, negatives)
    first = _counts(len(positives))
    second = first if paired else _counts(len(others), salt=2)
    below = _counts(len(negatives), salt=1)
    drawn = _drawn_auc(one, first, below) - _drawn_auc(two, second, below)
    return _figure(float(one.mean() - two.mean()), drawn, len(positives))


def drop_figure(before: Sequence[float], after: Sequence[float]) -> Figure:
    """Share by which a sum fell, from measures before and after of the same texts in the same order."""
    import numpy as np

    if len(before) != len(after) or sum(before) <= 0:
        raise ValueError("nothing was measured, or not on the same texts")
    one, two = np.asarray(before, float), np.asarray(after, float)
    counts = _counts(len(before))
    sums = counts @ one
    drawn = 1 - (counts @ two)[sums > 0] / sums[sums > 0]
    return _figure(float(1 - two.sum() / one.sum()), drawn, len(before))


def _counts(size: int, *, salt: int = 0) -> Any:
    """(RESAMPLES, size): how often each value is drawn in each resample."""
    import numpy as np

    random = np.random.default_rng([_SEED, salt])
    return random.multinomial(size, [1 / size] * size, size=RESAMPLES).astype(float)


def _wins(positives: Sequence[float], negatives: Sequence[float]) -> Any:
    """(positives, negatives): 1 where the positive scores above, ½ at a tie."""
    import numpy as np

    if not positives or not negatives:
        raise ValueError("AUC needs scores on both sides")
    one, two = np.asarray(positives, float)[:, None], np.asarray(negatives, float)[None, :]
    return (one > two) + 0.5 * (one == two)


def _drawn_auc(wins: Any, above: Any, below: Any) -> Any:
    return ((above @ wins) * below).sum(axis=1) / (above.sum(axis=1) * below.sum(axis=1))


def _figure(value: float, drawn: Any, size: int) -> Figure:
    import numpy as np

    low, high = np.percentile(drawn, _EDGES)
    return Figure(
        value=round(value, 4),
        low=round(min(float(low), value), 4),
        high=round(max(float(high), value), 4),
        n=size,
    )
