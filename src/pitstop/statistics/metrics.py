"""Metrics of a classifier from its counts, shared by what was realised and what is expected.

A metric that its counts do not define (no positives, no rows) is NaN, never 0.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pitstop.statistics.base import Counts, Floats
from pitstop.statistics.outcome_bins import STEPS, score_values

# The two outer score bins are half as wide: [0, 0.0005) stands for 0.00025 where 0 would make a logarithm infinite.
_EXTREME = 0.25 / STEPS


def ratio(part: float, whole: float) -> float:
    """Return part / whole, NaN where whole is 0."""
    return part / whole if whole else math.nan


def confusion_metrics(confusion: NDArray[np.int64] | Floats) -> dict[str, float]:
    """Return accuracy, precision, recall and f1 of [predicted][label] counts of a binary task (1 is positive)."""
    (tn, fn), (fp, tp) = ((float(x) for x in row) for row in confusion)
    return {
        "accuracy": ratio(tp + tn, tp + tn + fp + fn),
        "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, tp + fn),
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
    }


def roc_auc(negatives: Counts | Floats, positives: Counts | Floats) -> float:
    """Return the area under the ROC curve from counts per increasing score bin; ties within a bin count half.

    AUC = sum_b pos_b (cumneg_b + neg_b / 2) / (pos neg): exact for the binned scores. Counts may be expected ones.
    """
    before = np.cumsum(negatives) - negatives
    return ratio(float(np.sum(positives * (before + negatives / 2))), float(positives.sum()) * float(negatives.sum()))


def average_precision(negatives: Counts | Floats, positives: Counts | Floats) -> float:
    """Return the sum over falling score bins of precision x gain in recall (scikit-learn's definition, binned)."""
    found = np.cumsum(positives[::-1])
    taken = np.cumsum((positives + negatives)[::-1])
    precision = found / np.maximum(taken, 1e-300)
    return ratio(float(np.sum(precision * positives[::-1])), float(positives.sum()))


def score_metrics(negatives: Counts, positives: Counts) -> dict[str, float]:
    """Return roc_auc, average_precision, log_loss (nats), brier, calibration_error from counts, int64[1001] each."""
    n = float(negatives.sum() + positives.sum())
    score = score_values()
    negative, positive = log_losses()
    return {
        "roc_auc": roc_auc(negatives, positives),
        "average_precision": average_precision(negatives, positives),
        "log_loss": ratio(float(positives @ positive + negatives @ negative), n),
        "brier": ratio(float(positives @ (1 - score) ** 2 + negatives @ score**2), n),
        "calibration_error": calibration_error(negatives, positives),
    }


def log_losses() -> tuple[Floats, Floats]:
    """Return the log loss (nats) of a negative and of a positive row in each of the 1001 score bins."""
    safe = np.clip(score_values(), _EXTREME, 1 - _EXTREME)
    return -np.log1p(-safe), -np.log(safe)


def calibration_error(negatives: Counts | Floats, positives: Counts | Floats) -> float:
    """Return the expected calibration error over ten equal score intervals (Naeini et al. 2015), 0 to 1.

    The mean over rows of |share of positives - mean score| of the interval that a row's score lies in.
    """
    rows = negatives + positives
    tenth = np.minimum(np.arange(STEPS + 1) * 10 // STEPS, 9)
    gaps = np.bincount(tenth, positives - rows * score_values(), minlength=10)
    return ratio(float(np.abs(gaps).sum()), float(rows.sum()))


def macro_metrics(confusion: Counts) -> dict[str, float]:
    """Return accuracy and macro_f1 (over classes that occur or are predicted) of [predicted][label] counts.

    The last cell ("other") is no class: a hit there is no hit.
    """
    hits = np.diag(confusion).astype(np.float64)
    hits[-1] = 0.0
    sizes = (confusion.sum(axis=0) + confusion.sum(axis=1)).astype(np.float64)
    present = sizes > 0
    scores = 2 * hits[present] / sizes[present]
    return {
        "accuracy": ratio(float(hits.sum()), float(confusion.sum())),
        "macro_f1": float(scores.mean()) if scores.size else math.nan,
    }
