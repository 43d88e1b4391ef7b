"""CBPE from counts: against its formulas over rows, and its intervals against simulated labels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.statistics import metrics
from pitstop.statistics.bins import NumericBins
from pitstop.statistics.expected import cbpe, expected_confusion
from pitstop.statistics.expected_curves import binary_values, gaps, precisions
from pitstop.statistics.outcome_bins import OutcomeBins
from pitstop.statistics.outcomes import Outcomes
from pitstop.statistics.scores import Scores

BINARY = OutcomeBins("binary", ("0", "1"))
GRID = np.arange(1001) / 1000
CALIBRATED = 0.05 + 0.8 * GRID**1.5


def rows(n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.bool_], Scores]:
    scores = np.random.default_rng(seed).integers(0, 1001, n) / 1000
    return scores, scores >= 0.6, Scores.empty(BINARY).updated(scores, scores >= 0.6)


def test_estimates_are_the_formulas_over_rows() -> None:
    scores, positive, counted = rows(3_000, 1)
    c = CALIBRATED[np.rint(scores * 1000).astype(int)]
    got = cbpe(counted, CALIBRATED)
    tp, fp, fn = c[positive].sum(), (1 - c)[positive].sum(), c[~positive].sum()
    assert got["accuracy"].value == pytest.approx(np.where(positive, c, 1 - c).mean())
    assert got["precision"].value == pytest.approx(tp / (tp + fp))
    assert got["recall"].value == pytest.approx(tp / (tp + fn))
    assert got["f1"].value == pytest.approx(2 * tp / (2 * tp + fp + fn))
    wins = (scores[:, None] > scores) + 0.5 * (scores[:, None] == scores)
    # No row is a pair with itself.
    pairs = np.where(np.eye(3_000, dtype=bool), 0.0, c[:, None] * (1 - c))
    assert got["roc_auc"].value == pytest.approx((pairs * wins).sum() / pairs.sum())
    assert got["accuracy"].sampling_variance == pytest.approx((c * (1 - c)).sum() / 3_000**2)
    assert expected_confusion(counted, CALIBRATED)[1].tolist() == pytest.approx([fp, tp])


def test_intervals_cover_what_is_realised_when_the_assumption_holds() -> None:
    rng = np.random.default_rng(2)
    scores, positive, counted = rows(800, 3)
    estimates = cbpe(counted, CALIBRATED)
    c = CALIBRATED[np.rint(scores * 1000).astype(int)]
    repeats, covered, narrow = 400, dict.fromkeys(estimates, 0), dict.fromkeys(estimates, 0)
    for _ in range(repeats):
        realised = Outcomes.empty(BINARY).updated(scores, positive, (rng.random(800) < c).astype(np.int64)).metrics()
        for name, estimate in estimates.items():
            distance = abs(realised[name] - estimate.value) / math.sqrt(estimate.variance)
            covered[name] += distance < 1.96
            narrow[name] += distance < 0.6745
    # 95% and 50% intervals; four standard errors of 400 repeats are 4 and 10 points.
    assert all(0.91 <= count / repeats <= 0.99 for count in covered.values()), covered
    assert all(0.40 <= count / repeats <= 0.60 for count in narrow.values()), narrow


def test_a_small_window_is_not_pulled_towards_one_half() -> None:
    rng = np.random.default_rng(11)
    scores, _, counted = rows(12, 5)
    c = CALIBRATED[np.rint(scores * 1000).astype(int)]
    wins = pairs = 0.0
    for _ in range(4_000):
        labels = rng.random(12) < c
        below = (scores[labels, None] > scores[~labels]) + 0.5 * (scores[labels, None] == scores[~labels])
        wins, pairs = wins + float(below.sum()), pairs + below.size
    # With self-pairs the estimate would be 0.02 lower; the simulation errs by about 0.002.
    assert cbpe(counted, CALIBRATED)["roc_auc"].value == pytest.approx(wins / pairs, abs=0.01)


def test_one_row_has_no_auc() -> None:
    counted = Scores.empty(BINARY).updated(np.array([0.7]), np.array([True]))
    assert math.isnan(cbpe(counted, CALIBRATED)["roc_auc"].value)


def test_the_calibration_variance_is_that_between_draws() -> None:
    _, _, counted = rows(500, 4)
    draws = np.clip(CALIBRATED + np.array([[-0.02], [0.0], [0.02]]), 0, 1)
    values = [cbpe(counted, draw)["accuracy"].value for draw in draws]
    got = cbpe(counted, CALIBRATED, draws)["accuracy"]
    assert got.calibration_variance == pytest.approx(np.var(values, ddof=1))
    assert got.variance == got.sampling_variance + got.calibration_variance


def test_multiclass_accuracy_is_the_mean_chance_of_being_right() -> None:
    bins = OutcomeBins("multiclass", ("a", "b"))
    counted = Scores.empty(bins).updated(np.array([0.5, 1.0]), np.array(["a", "b"]))
    assert set(cbpe(counted, GRID)) == {"accuracy", "calibration_error"}
    assert cbpe(counted, GRID)["accuracy"].value == pytest.approx(0.75)


def test_without_rows_every_estimate_is_nan() -> None:
    for estimate in cbpe(Scores.empty(BINARY), CALIBRATED, np.stack([CALIBRATED, GRID])).values():
        assert math.isnan(estimate.value)
        assert math.isnan(estimate.variance)


@pytest.mark.parametrize(
    ("calibrated", "draws"),
    [
        (np.zeros(1000), None),
        (np.full(1001, 1.5), None),
        (np.full(1001, np.nan), None),
        (GRID, np.zeros((1, 1001))),
        (GRID, np.zeros(1001)),
    ],
)
def test_probabilities_of_another_shape_or_range_are_refused(calibrated: Any, draws: Any) -> None:
    with pytest.raises(StatisticError, match="1001"):
        cbpe(Scores.empty(BINARY), calibrated, draws)


def test_a_regression_has_no_cbpe() -> None:
    with pytest.raises(StatisticError, match="regression"):
        cbpe(Scores.empty(OutcomeBins("regression", (), NumericBins((0.0,)))), GRID)


def test_a_curve_for_each_prediction_gives_what_one_curve_for_all_gives() -> None:
    _, _, counted = rows(700, 9)
    draws = np.clip(CALIBRATED + np.array([[-0.02], [0.03]]), 0, 1)
    plain = cbpe(counted, CALIBRATED, draws)
    wide = cbpe(counted, np.stack([CALIBRATED] * 2), np.repeat(draws[:, None], 2, axis=1))
    for name, item in plain.items():
        assert wide[name].value == pytest.approx(item.value)
        assert wide[name].variance == pytest.approx(item.variance)


def test_the_variance_between_blocks_is_the_jackknifes() -> None:
    _, _, counted = rows(500, 4)
    blocks = np.clip(CALIBRATED + np.array([[-0.02], [0.0], [0.02]]), 0, 1)
    values = np.array([cbpe(counted, block)["accuracy"].value for block in blocks])
    got = cbpe(counted, CALIBRATED, without=blocks)["accuracy"]
    assert got.calibration_variance == pytest.approx(2 / 3 * ((values - values.mean()) ** 2).sum())


def test_macro_f1_is_what_it_will_be_on_average_and_its_variance_too() -> None:
    rng = np.random.default_rng(12)
    bins = OutcomeBins("multiclass", ("a", "b", "c"))
    names = np.array(["a", "b", "c"])
    n = 3000
    guess, score = rng.integers(0, 3, n), rng.uniform(0.4, 0.95, n)
    # Wrong rows of a class go to the next one twice as often as to the one after it.
    step = np.where(rng.random(n) < 2 / 3, 1, 2)

    def labels() -> np.ndarray:
        return np.where(rng.random(n) < score, guess, (guess + step) % 3)

    confusion = Outcomes.empty(bins).updated(score, names[guess], names[labels()]).confusion
    found = cbpe(Scores.empty(bins).updated(score, names[guess]), GRID, confusion=confusion)["macro_f1"]
    values = [
        Outcomes.empty(bins).updated(score, names[guess], names[labels()]).metrics()["macro_f1"] for _ in range(300)
    ]
    assert found.value == pytest.approx(np.mean(values), abs=0.004)
    assert np.sqrt(found.sampling_variance) == pytest.approx(np.std(values), rel=0.2)


@pytest.mark.parametrize("n", [40, 300, 3_000])
def test_what_is_not_smooth_has_the_mean_and_the_spread_of_simulated_labels(n: int) -> None:
    rng = np.random.default_rng(n)
    counted = rows(n, n)[2]
    count = counted.counts.sum(axis=0)
    drawn = rng.binomial(count, CALIBRATED, size=(4_000, 1001)).astype(np.float64)
    drawn = drawn[drawn.sum(axis=1) > 0]
    found = {"average_precision": precisions(count.astype(float), drawn), "calibration_error": gaps(count, drawn)}
    got = cbpe(counted, CALIBRATED)
    for name, values in found.items():
        assert got[name].value == pytest.approx(values.mean(), abs=0.12 * values.std())
        assert math.sqrt(got[name].sampling_variance) == pytest.approx(values.std(), rel=0.15 if n < 100 else 0.1)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 400), st.booleans())
def test_many_calibrators_at_once_say_what_each_says_alone(seed: int, n: int, apart: bool) -> None:
    rng = np.random.default_rng(seed)
    counted = rows(n, seed)[2]
    counts = counted.counts.astype(np.float64)
    curves = np.sort(rng.random((3, 2, 1001) if apart else (3, 1001)), axis=-1)
    together = binary_values(counts, curves, 1e-12)
    for place, curve in enumerate(curves):
        alone = {name: item.value for name, item in cbpe(counted, curve).items()}
        positives = (counts * curve).sum(axis=0)
        negatives = counts.sum(axis=0) - positives
        alone["average_precision"] = metrics.average_precision(negatives, positives)
        alone["calibration_error"] = metrics.calibration_error(negatives, positives)
        assert {name: values[place] for name, values in together.items()} == pytest.approx(alone, nan_ok=True)
