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
from scipy.special import erf

from pitstop.errors import StatisticError
from pitstop.statistics import metrics
from pitstop.statistics.base import Floats
from pitstop.statistics.expected_curves import binary_values, by_tenth, gaps
from pitstop.statistics.outcome_bins import STEPS, score_values
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
    weight of a row), by the delta method, to first order, for recall, f1, roc_auc, macro_f1 and average_precision, and
    of folded normal gaps for calibration_error. A metric without rows that define it is NaN.
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
    known = [_by_curve(estimators, counts, curves, binary=binary) for curves in (draws, without)]
    for name, estimator in estimators.items():
        value, slope = estimator(counts, calibrated)
        sampling = math.nan if math.isnan(value) else float(np.sum(spread * slope**2))
        estimates[name] = Estimate(value, sampling, _between(*(found.get(name) for found in known)))
    return estimates | _not_smooth(counts, calibrated, known, ranked=binary)


def _by_curve(
    estimators: dict[str, _Estimator], counts: Floats, curves: Floats | None, *, binary: bool
) -> dict[str, Floats]:
    """Return what each metric is under each calibrator, float64[curves]; nothing where there are none."""
    if curves is None:
        return {}
    if binary:
        return binary_values(counts, curves, _NO_PAIRS)
    found = {
        name: np.array([estimator(counts, curve)[0] for curve in curves]) for name, estimator in estimators.items()
    }
    rows = counts.sum(axis=0)
    positives = np.stack([rows * _by_bin(counts, curve) for curve in curves])
    return found | {"calibration_error": gaps(rows, positives)}


def _between(draws: Floats | None, without: Floats | None) -> float:
    """Return the variance by the calibrator: between bootstrap draws, and the jackknife's between blocks."""
    variance = 0.0 if draws is None else float(np.var(draws, ddof=1))
    return variance + (0.0 if without is None else float((len(without) - 1) * np.var(without)))


def _not_smooth(
    counts: Floats, calibrated: Floats, known: list[dict[str, Floats]], *, ranked: bool
) -> dict[str, Estimate]:
    """Return the metrics whose mean over labels is not their value at the expected counts.

    `known` is what each metric is under each draw of the calibrator, and without each block.
    """
    rows = counts.sum(axis=0)
    found = {"calibration_error": _calibration_error(rows, _by_bin(counts, calibrated))}
    if ranked:
        found["average_precision"] = _average_precision(rows, _by_bin(counts, calibrated))
    return {name: Estimate(*pair, _between(*(item.get(name) for item in known))) for name, pair in found.items()}


def _calibration_error(rows: Floats, chance: Floats) -> tuple[float, float]:
    """Return mean and variance of the calibration error: a sum of absolute values of gaps that are nearly normal."""
    n = float(rows.sum())
    if not n:
        return math.nan, math.nan
    gap = by_tenth((rows * (chance - score_values()))[np.newaxis])[0]
    variance = by_tenth((rows * chance * (1 - chance))[np.newaxis])[0]
    spread = np.sqrt(np.maximum(variance, _NO_PAIRS))
    # The folded normal distribution (Leone, Nelson and Nottingham, Technometrics 3, 1961).
    mean = spread * math.sqrt(2 / math.pi) * np.exp(-(gap**2) / (2 * spread**2)) + gap * erf(
        gap / (spread * math.sqrt(2))
    )
    return float(mean.sum()) / n, float(np.maximum(gap**2 + variance - mean**2, 0.0).sum()) / n**2


def _average_precision(rows: Floats, chance: Floats) -> tuple[float, float]:
    """Return mean (to second order in the labels) and variance (to first) of the average precision.

    It is N / P, where N sums found x new / taken over falling score bins and P is the number of positives. In N every
    bin is found together with itself, so its mean exceeds its value at the expected counts by their variances.
    """
    taken, new = np.cumsum(rows[::-1]), (rows * chance)[::-1]
    variance = (rows * chance * (1 - chance))[::-1]
    found, whole = np.cumsum(new), float(new.sum())
    if whole <= _NO_PAIRS * max(1.0, float(rows.sum())):
        return math.nan, math.nan
    share = 1 / np.maximum(taken, 1e-300)
    there = rows[::-1] > 0
    summed = float(np.where(there, (found * new + variance) * share, 0.0).sum())
    later = np.where(there, new * share, 0.0)
    slope = found * share + np.cumsum(later[::-1])[::-1]
    total = float(variance.sum())
    mean = summed / whole - float(variance @ slope) / whole**2 + summed * total / whole**3
    return min(max(mean, 0.0), 1.0), float(variance @ (slope - summed / whole) ** 2) / whole**2


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
