"""Expected performance before labels come: CBPE from counts (methods: statistics.md, section 1).

Everything here assumes that the relation of outcome and score is the one the calibrator was fitted on (P(Y|X)
unchanged). Who shows an estimate says so, and withdraws it when the labels that arrive contradict it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.statistics import metrics
from pitstop.statistics.base import Floats
from pitstop.statistics.outcome_bins import STEPS
from pitstop.statistics.scores import Scores

# (value, derivative of the value by the expected label of one row in each [predicted][bin])
_Estimator = Callable[[Floats, Floats], tuple[float, Floats]]

# One row has no pair; rounding leaves this share of one at most.
_NO_PAIRS = 1e-12


@dataclass(frozen=True)
class Estimate:
    """An expected metric. `sampling_variance`: of the labels yet to come; `calibration_variance`: of the calibrator."""

    value: float
    sampling_variance: float
    calibration_variance: float

    @property
    def variance(self) -> float:
        """Total variance."""
        return self.sampling_variance + self.calibration_variance


def cbpe(
    scores: Scores, calibrated: NDArray[np.float64], draws: NDArray[np.float64] | None = None
) -> dict[str, Estimate]:
    """Return the expected metrics of the scored rows in `scores`.

    `calibrated`: float64[1001], for each score bin the probability of a positive label (binary: accuracy, precision,
    recall, f1, roc_auc) or of a right prediction (multiclass: accuracy). `draws`: float64[draws, 1001], the
    calibrator fitted on bootstrap samples; the variance of their estimates is the calibration variance (0 without
    draws).

    The sampling variance is exact for accuracy and precision (sum of c (1 - c) times the squared weight of a row),
    and by the delta method, to first order, for recall, f1 and roc_auc. A metric without rows that define it is NaN.
    Raises `StatisticError` for a regression and for probabilities of another shape or outside [0, 1].
    """
    if scores.bins.task == "regression":
        msg = "CBPE needs scores; a regression has none"
        raise StatisticError(msg)
    _refuse_bad(calibrated, draws)
    binary = scores.bins.task == "binary"
    counts = (scores.counts if binary else scores.by_score[np.newaxis]).astype(np.float64)
    estimators: dict[str, _Estimator] = _BINARY if binary else {"accuracy": _share_right}
    estimates = {}
    for name, estimator in estimators.items():
        value, slope = estimator(counts, calibrated)
        sampling = float(np.sum(counts * calibrated * (1 - calibrated) * slope**2))
        between = 0.0
        if draws is not None and not math.isnan(value):
            between = float(np.var([estimator(counts, draw)[0] for draw in draws], ddof=1))
        estimates[name] = Estimate(value, math.nan if math.isnan(value) else sampling, between)
    return estimates


def expected_confusion(scores: Scores, calibrated: NDArray[np.float64]) -> Floats:
    """Return the expected rows by [predicted][label] of the scored rows, float64[2, 2]. Raises as `cbpe` does."""
    if scores.bins.task != "binary":
        msg = f"an expected confusion matrix needs a binary model, got a {scores.bins.task} one"
        raise StatisticError(msg)
    _refuse_bad(calibrated, None)
    return np.stack([scores.counts @ (1 - calibrated), scores.counts @ calibrated], axis=1)


def _refuse_bad(calibrated: Floats, draws: Floats | None) -> None:
    if calibrated.shape != (STEPS + 1,) or not ((calibrated >= 0) & (calibrated <= 1)).all():
        msg = f"calibrated probabilities are float64[{STEPS + 1}] from 0 to 1, got an array of shape {calibrated.shape}"
        raise StatisticError(msg)
    if draws is not None and (draws.ndim != 2 or draws.shape[0] < 2 or draws.shape[1] != STEPS + 1):
        msg = f"bootstrap draws are float64[at least 2, {STEPS + 1}], got an array of shape {draws.shape}"
        raise StatisticError(msg)


def _divide(numerator: Floats, whole: float) -> Floats:
    return numerator / whole if whole else np.full(numerator.shape, np.nan)


def _accuracy(counts: Floats, calibrated: Floats) -> tuple[float, Floats]:
    n = float(counts.sum())
    right = float(counts[0] @ (1 - calibrated) + counts[1] @ calibrated)
    return metrics.ratio(right, n), _divide(_by_prediction(counts, -1.0, 1.0), n)


def _share_right(counts: Floats, calibrated: Floats) -> tuple[float, Floats]:
    n = float(counts.sum())
    return metrics.ratio(float(counts[0] @ calibrated), n), _divide(np.ones_like(counts), n)


def _precision(counts: Floats, calibrated: Floats) -> tuple[float, Floats]:
    taken = float(counts[1].sum())
    return metrics.ratio(float(counts[1] @ calibrated), taken), _divide(_by_prediction(counts, 0.0, 1.0), taken)


def _recall(counts: Floats, calibrated: Floats) -> tuple[float, Floats]:
    positives = float(counts.sum(axis=0) @ calibrated)
    value = metrics.ratio(float(counts[1] @ calibrated), positives)
    return value, _divide(_by_prediction(counts, 0.0, 1.0) - value, positives)


def _f1(counts: Floats, calibrated: Floats) -> tuple[float, Floats]:
    # f1 = 2 TP / (predicted positives + positives), of which only TP and the positives are random.
    whole = float(counts[1].sum()) + float(counts.sum(axis=0) @ calibrated)
    value = metrics.ratio(2 * float(counts[1] @ calibrated), whole)
    return value, _divide(2 * _by_prediction(counts, 0.0, 1.0) - value, whole)


def _roc_auc(counts: Floats, calibrated: Floats) -> tuple[float, Floats]:
    rows = counts.sum(axis=0)
    positives, negatives = rows * calibrated, rows * (1 - calibrated)
    pos, neg = float(positives.sum()), float(negatives.sum())
    # Expected labels pair every row with itself, which pulls small windows towards 1/2: those pairs are taken out.
    itself = float(np.sum(rows * calibrated * (1 - calibrated)))
    pairs = pos * neg - itself
    if pairs <= _NO_PAIRS * pos * neg:
        return math.nan, np.full(counts.shape, np.nan)
    below = np.cumsum(negatives) - negatives / 2
    value = (float(positives @ below) - itself / 2) / pairs
    # A label that turns positive adds the negatives below it and takes away its wins over the positives above it.
    above = pos - np.cumsum(positives) + positives / 2
    return value, np.broadcast_to((below - above - value * (neg - pos)) / pairs, counts.shape)


def _by_prediction(counts: Floats, negative: float, positive: float) -> Floats:
    return np.repeat([[negative], [positive]], counts.shape[1], axis=1)


_BINARY: dict[str, _Estimator] = {
    "accuracy": _accuracy,
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "roc_auc": _roc_auc,
}
