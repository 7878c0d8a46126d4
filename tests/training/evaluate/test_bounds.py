"""Values agree with scikit-learn; bounds hold the truth about as often as they say."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from training.evaluate.bounds import (
    auc_difference,
    auc_figure,
    drop_figure,
    longest_figure,
    mean_figure,
    ratio_figure,
)

scores = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), min_size=1, max_size=20)


@given(scores, scores)
@settings(max_examples=60)
def test_auc_is_scikit_learns_with_ties(positives: list[float], negatives: list[float]) -> None:
    from sklearn.metrics import roc_auc_score

    expected = roc_auc_score([1] * len(positives) + [0] * len(negatives), [*positives, *negatives])
    figure = auc_figure(positives, negatives)
    assert figure.value == pytest.approx(expected, abs=1e-4)
    assert 0 <= figure.low <= figure.value <= figure.high <= 1


def test_bounds_of_a_mean_hold_the_truth_about_nineteen_times_in_twenty() -> None:
    random = np.random.default_rng(4)
    held = 0
    for _ in range(200):
        figure = mean_figure(list(random.normal(3.0, 1.0, size=40)))
        held += figure.low <= 3.0 <= figure.high
    assert 175 <= held <= 199


def test_more_replies_make_narrower_bounds() -> None:
    few, many = mean_figure([0, 1] * 5), mean_figure([0, 1] * 50)
    assert few.value == many.value == 0.5
    assert many.high - many.low < few.high - few.low
    assert (few.n, many.n) == (10, 100)


def test_a_paired_gain_is_surer_than_an_unpaired_one() -> None:
    random = np.random.default_rng(1)
    hard = random.uniform(0, 0.6, size=40)
    one, two = list(hard + 0.3), list(hard)
    negatives = list(random.uniform(0, 1, size=80))
    paired = auc_difference(one, two, negatives, paired=True)
    loose = auc_difference(one, two, negatives, paired=False)
    assert paired.value == loose.value
    assert paired.value == pytest.approx(
        auc_figure(one, negatives).value - auc_figure(two, negatives).value, abs=2e-4
    )
    assert paired.low > loose.low
    assert paired.high < loose.high


def test_nothing_gained_is_nothing_with_no_doubt() -> None:
    figure = auc_difference([0.2, 0.7], [0.2, 0.7], [0.1, 0.5], paired=True)
    assert (figure.value, figure.low, figure.high) == (0, 0, 0)


def test_a_ratio_is_of_sums_and_not_a_mean_of_ratios() -> None:
    assert ratio_figure([1, 8], [1, 16]).value == pytest.approx(9 / 17, abs=1e-4)


def test_a_drop_is_a_share_of_what_was() -> None:
    figure = drop_figure([10, 20], [8, 16])
    assert (figure.value, figure.low, figure.high) == (0.2, 0.2, 0.2)


def test_the_longest_has_no_bound_above_it() -> None:
    figure = longest_figure([3, 1, 12, 4])
    assert figure.value == figure.high == 12
    assert figure.low < 12


@pytest.mark.parametrize(
    "measure",
    [
        lambda: mean_figure([]),
        lambda: ratio_figure([0.0], [0.0]),
        lambda: longest_figure([]),
        lambda: auc_figure([], [0.5]),
        lambda: auc_figure([0.5], []),
        lambda: drop_figure([], []),
        lambda: drop_figure([1.0], [1.0, 2.0]),
        lambda: auc_difference([0.5], [0.5, 0.6], [0.1], paired=True),
    ],
)
def test_nothing_measured_is_an_error_and_no_figure(measure) -> None:
    with pytest.raises(ValueError, match=r"measured|scores|prompts"):
        measure()


def test_the_same_numbers_have_the_same_bounds() -> None:
    assert mean_figure([0, 1, 1]) == mean_figure([0, 1, 1])
