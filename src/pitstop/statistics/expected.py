"""Expected performance before labels come: CBPE from counts (methods: statistics.md, section 1).

Everything here assumes that the relation of outcome and score is the one the calibrator was fitted on (P(Y|X)
unchanged). Who shows an estimate says so, and withdraws it when the labels that arrive contradict it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.statistics import metrics
from pitstop.statistics.base import Floats
from pitstop.statistics.outcome_bins import STEPS, score_values
from pitstop.statistics.scores import Scores

# (value, derivative of the value by the expected label of one row in each [predicted][bin])
_Estimator = Callable[[Floats, Floats], tuple[float, Floats]]

# One row has no pair; rounding leaves this share of one at most.
_NO_PAIRS = 1e-12
# Enough for a standard error to a twentieth of itself.
_SIMULATED = 200


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
    scores: Scores,
    calibrated: NDArray[np.float64],
    draws: NDArray[np.float64] | None = None,
    *,
    without: NDArray[np.float64] | None = None,
    confusion: NDArray[np.int64] | None = None,
) -> dict[str, Estimate]:
    """Return the expected metrics of the scored rows in `scores`.

    `calibrated`: for each score bin the probability of a positive label (binary: accuracy, precision, recall, f1,
    roc_auc, average_precision, log_loss, brier, calibration_error) or of a right prediction (multiclass: accuracy,
    calibration_error, and macro_f1 where `confusion`, the reference's rows by [predicted][label], says where wrong ones
    go); float64[1001], or float64[classes, 1001] where it differs by predicted class. `draws`: the same fitted on
    bootstrap samples, one more axis in front; `without`: the same with one block of the reference left out at a time.
    The variance of the estimates between draws, and the jackknife's between blocks, are the calibration variance (0
    without either).

    The sampling variance is exact for accuracy, precision, log_loss and brier (sum of c (1 - c) times the squared
    weight of a row), by the delta method, to first order, for recall, f1, roc_auc and macro_f1, and from `_SIMULATED`
    draws of the labels for average_precision and calibration_error. A metric without rows that define it is NaN.
    Raises `StatisticError` for a regression and for probabilities of another shape or outside [0, 1].
    """
    if scores.bins.task == "regression":
        msg = "CBPE needs scores; a regression has none"
        raise StatisticError(msg)
    counts = scores.counts.astype(np.float64)
    binary = scores.bins.task == "binary"
    for curves, axes in ((calibrated, 0), (draws, 1), (without, 1)):
        _refuse_bad(curves, axes, counts.shape)
    estimators: dict[str, _Estimator] = dict(_BINARY) if binary else {"accuracy": _share_right}
    if not binary and confusion is not None:
        estimators["macro_f1"] = partial(_macro_f1, _misses(confusion))
    estimates = {}
    spread = counts * calibrated * (1 - calibrated)
    for name, estimator in estimators.items():
        value, slope = estimator(counts, calibrated)
        sampling = math.nan if math.isnan(value) else float(np.sum(spread * slope**2))
        estimates[name] = Estimate(value, sampling, _between(partial(_value, estimator, counts), draws, without))
    return estimates | _simulated(counts, calibrated, draws, without, ranked=binary)


def _value(estimator: _Estimator, counts: Floats, calibrated: Floats) -> float:
    return estimator(counts, calibrated)[0]


def _between(
    estimate: Callable[[Floats], float], draws: NDArray[np.float64] | None, without: NDArray[np.float64] | None
) -> float:
    """Return the variance by the calibrator: between bootstrap draws, and the jackknife's between blocks."""
    variance = 0.0
    if draws is not None:
        variance += float(np.var([estimate(draw) for draw in draws], ddof=1))
    if without is not None:
        found = np.array([estimate(block) for block in without])
        variance += float((len(found) - 1) * np.var(found))
    return variance


def _simulated(
    counts: Floats,
    calibrated: NDArray[np.float64],
    draws: NDArray[np.float64] | None,
    without: NDArray[np.float64] | None,
    *,
    ranked: bool,
) -> dict[str, Estimate]:
    """Return the metrics that are no smooth function of the expected counts; the seed is the number of rows."""
    rows = counts.sum(axis=0)
    names = ("average_precision", "calibration_error") if ranked else ("calibration_error",)
    if not rows.sum():
        return {name: Estimate(math.nan, math.nan, 0.0) for name in names}
    seen = np.flatnonzero(rows)
    chance = _by_bin(counts, calibrated)[seen]
    generator = np.random.default_rng(int(rows.sum()))
    found = generator.binomial(rows[seen].astype(np.int64), chance, size=(_SIMULATED, seen.size)).astype(np.float64)

    def at(metric: Callable[[Floats, Floats], float], curve: Floats) -> float:
        positives = rows * _by_bin(counts, curve)
        return metric(rows - positives, positives)

    # Neither is linear in the labels, so their mean over draws is taken, not their value at the expected counts.
    gap = _between(partial(at, metrics.calibration_error), draws, without)
    estimates = {"calibration_error": _from_draws(_gaps(rows[seen], found, seen), gap)}
    if ranked:
        between = _between(partial(at, metrics.average_precision), draws, without)
        estimates["average_precision"] = _from_draws(_precisions(rows[seen], found), between)
    return estimates


def _from_draws(values: Floats, between: float) -> Estimate:
    if len(values) < 2:
        return Estimate(math.nan, math.nan, between)
    return Estimate(float(values.mean()), float(values.var(ddof=1)), between)


def _precisions(rows: Floats, positives: Floats) -> Floats:
    """Return the average precision of each draw that has a positive (as `metrics.average_precision`)."""
    drawn = positives[positives.sum(axis=1) > 0, ::-1]
    found, taken = np.cumsum(drawn, axis=1), np.cumsum(rows[::-1])
    summed: Floats = np.asarray(found / taken * drawn, dtype=np.float64).sum(axis=1)
    return np.asarray(summed / found[:, -1], dtype=np.float64)


def _gaps(rows: Floats, positives: Floats, bins: NDArray[np.int64]) -> Floats:
    """Return the calibration error of each draw (`metrics.calibration_error`)."""
    tenth = np.minimum(bins * 10 // STEPS, 9)
    inside = (tenth[:, np.newaxis] == np.arange(10)).astype(np.float64)
    return np.asarray(np.abs((positives - rows * bins / STEPS) @ inside).sum(axis=1) / rows.sum())


def _by_bin(counts: Floats, calibrated: Floats) -> Floats:
    """Return the probability of each score bin, over the predicted classes of its rows; float64[1001]."""
    if calibrated.ndim == 1:
        return calibrated
    rows = counts.sum(axis=0)
    mixed = (counts * calibrated).sum(axis=0) / np.maximum(rows, 1.0)
    return np.asarray(np.clip(mixed, 0.0, 1.0), dtype=np.float64)


def expected_confusion(scores: Scores, calibrated: NDArray[np.float64]) -> Floats:
    """Return the expected rows by [predicted][label] of the scored rows, float64[2, 2]. Raises as `cbpe` does."""
    if scores.bins.task != "binary":
        msg = f"an expected confusion matrix needs a binary model, got a {scores.bins.task} one"
        raise StatisticError(msg)
    _refuse_bad(calibrated, 0, scores.counts.shape)
    return np.stack([_sums(scores.counts, 1 - calibrated), _sums(scores.counts, calibrated)], axis=1)


def _refuse_bad(curves: Floats | None, axes: int, shape: tuple[int, ...]) -> None:
    if curves is None:
        return
    if curves.shape[axes:] not in {(STEPS + 1,), shape} or not ((curves >= 0) & (curves <= 1)).all():
        msg = (
            f"calibrated probabilities are float64[{STEPS + 1}] or float64{list(shape)} from 0 to 1, "
            f"got an array of shape {curves.shape[axes:]}"
        )
        raise StatisticError(msg)
    if axes and curves.shape[0] < 2:
        msg = f"calibrators of samples or blocks are at least 2 of float64[{STEPS + 1}], got {curves.shape[0]}"
        raise StatisticError(msg)


def _sums(counts: Floats | NDArray[np.int64], calibrated: Floats) -> Floats:
    """Return the expected positives of each predicted class."""
    return np.asarray((counts * calibrated).sum(axis=1))


def _divide(numerator: Floats, whole: float) -> Floats:
    return numerator / whole if whole else np.full(numerator.shape, np.nan)


def _accuracy(counts: Floats, calibrated: Floats) -> tuple[float, Floats]:
    n = float(counts.sum())
    right = float(_sums(counts, 1 - calibrated)[0] + _sums(counts, calibrated)[1])
    return metrics.ratio(right, n), _divide(_by_prediction(counts, -1.0, 1.0), n)


def _share_right(counts: Floats, calibrated: Floats) -> tuple[float, Floats]:
    n = float(counts.sum())
    return metrics.ratio(float(_sums(counts, calibrated).sum()), n), _divide(np.ones_like(counts), n)


def _misses(confusion: NDArray[np.int64]) -> Floats:
    """Return where the wrong predictions of each class go: shares by [predicted][label], evenly where none is known."""
    wrong = confusion.astype(np.float64)
    np.fill_diagonal(wrong, 0.0)
    even = (1.0 - np.eye(len(wrong))) / max(len(wrong) - 1, 1)
    whole = wrong.sum(axis=1, keepdims=True)
    return np.where(whole > 0, wrong / np.maximum(whole, 1.0), even)


def _macro_f1(misses: Floats, counts: Floats, calibrated: Floats) -> tuple[float, Floats]:
    """Return the mean F1 over classes that are predicted or expected in the rows; the last cell is no class."""
    taken, right = counts.sum(axis=1), _sums(counts, calibrated)
    right[-1] = 0.0
    there = right + (taken - right) @ misses
    size = taken + there
    # Half a row of a class is as good as none.
    present = size >= 0.5
    if not present.any():
        return math.nan, np.full(counts.shape, np.nan)
    safe = np.where(present, size, 1.0)
    value = float((2 * right / safe)[present].mean())
    # A row of class j that turns right adds a hit to j and takes a label from the classes that it would have been.
    fall = np.where(present, 2 * right / safe**2, 0.0)
    slope = np.where(present, 2.0 / safe, 0.0) - fall + misses @ fall
    return value, np.repeat(slope[:, np.newaxis] / present.sum(), counts.shape[1], axis=1)


def _precision(counts: Floats, calibrated: Floats) -> tuple[float, Floats]:
    taken = float(counts[1].sum())
    return metrics.ratio(float(_sums(counts, calibrated)[1]), taken), _divide(_by_prediction(counts, 0.0, 1.0), taken)


def _recall(counts: Floats, calibrated: Floats) -> tuple[float, Floats]:
    found = _sums(counts, calibrated)
    value = metrics.ratio(float(found[1]), float(found.sum()))
    return value, _divide(_by_prediction(counts, 0.0, 1.0) - value, float(found.sum()))


def _f1(counts: Floats, calibrated: Floats) -> tuple[float, Floats]:
    # f1 = 2 TP / (predicted positives + positives), of which only TP and the positives are random.
    found = _sums(counts, calibrated)
    whole = float(counts[1].sum() + found.sum())
    value = metrics.ratio(2 * float(found[1]), whole)
    return value, _divide(2 * _by_prediction(counts, 0.0, 1.0) - value, whole)


def _roc_auc(counts: Floats, calibrated: Floats) -> tuple[float, Floats]:
    chance = _by_bin(counts, calibrated)
    rows = counts.sum(axis=0)
    positives, negatives = rows * chance, rows * (1 - chance)
    pos, neg = float(positives.sum()), float(negatives.sum())
    # Expected labels pair every row with itself, which pulls small windows towards 1/2: those pairs are taken out.
    itself = float(np.sum(rows * chance * (1 - chance)))
    pairs = pos * neg - itself
    if pairs <= _NO_PAIRS * pos * neg:
        return math.nan, np.full(counts.shape, np.nan)
    below = np.cumsum(negatives) - negatives / 2
    value = (float(positives @ below) - itself / 2) / pairs
    # A label that turns positive adds the negatives below it and takes away its wins over the positives above it.
    above = pos - np.cumsum(positives) + positives / 2
    return value, np.broadcast_to((below - above - value * (neg - pos)) / pairs, counts.shape)


def _log_loss(counts: Floats, calibrated: Floats) -> tuple[float, Floats]:
    negative, positive = metrics.log_losses()
    return _mean_loss(counts, calibrated, negative, positive)


def _brier(counts: Floats, calibrated: Floats) -> tuple[float, Floats]:
    score = score_values()
    return _mean_loss(counts, calibrated, score**2, (1 - score) ** 2)


def _mean_loss(counts: Floats, calibrated: Floats, negative: Floats, positive: Floats) -> tuple[float, Floats]:
    """Return the mean of a loss that is `negative` or `positive` by the label of a row in each bin."""
    n = float(counts.sum())
    whole = float((counts * (calibrated * positive + (1 - calibrated) * negative)).sum())
    return metrics.ratio(whole, n), _divide(np.broadcast_to(positive - negative, counts.shape), n)


def _by_prediction(counts: Floats, negative: float, positive: float) -> Floats:
    return np.repeat([[negative], [positive]], counts.shape[1], axis=1)


_BINARY: dict[str, _Estimator] = {
    "accuracy": _accuracy,
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "roc_auc": _roc_auc,
    "log_loss": _log_loss,
    "brier": _brier,
}
