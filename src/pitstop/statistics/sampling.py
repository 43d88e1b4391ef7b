"""How far realised metrics may lie from those of endlessly many such rows: standard errors from counts."""

from __future__ import annotations

import math

import numpy as np

from pitstop.statistics import metrics
from pitstop.statistics.base import Counts, Floats
from pitstop.statistics.outcome_bins import score_values
from pitstop.statistics.outcomes import Outcomes


def standard_errors(outcomes: Outcomes) -> dict[str, float]:
    """Return the standard error of realised metrics by name, NaN where the rows do not define it.

    Shares (accuracy, precision, recall): binomial. f1 and macro_f1: the delta method on multinomial counts. roc_auc:
    DeLong, DeLong and Clarke-Pearson (1988), over score bins. Means of a loss (log_loss, brier, mae, bias): that of the
    sample. average_precision, calibration_error, rmse and r2 have none: their variance does not follow from these
    counts.
    """
    if outcomes.bins.task == "regression":
        return _losses(outcomes)
    confusion = outcomes.confusion.astype(np.float64)
    n = float(confusion.sum())
    if outcomes.bins.task == "multiclass":
        right = float(np.trace(confusion[:-1, :-1]))
        return {"accuracy": _share(right, n), "macro_f1": _macro_f1(confusion)}
    (tn, fn), (fp, tp) = confusion
    negatives, positives = outcomes.by_score
    log_losses = metrics.log_losses()
    score = score_values()
    return {
        "accuracy": _share(tp + tn, n),
        "precision": _share(tp, tp + fp),
        "recall": _share(tp, tp + fn),
        "f1": _f1(tp, fp + fn),
        "roc_auc": _roc_auc(negatives, positives),
        "log_loss": _mean(negatives, positives, *log_losses),
        "brier": _mean(negatives, positives, score**2, (1 - score) ** 2),
    }


def _share(part: float, whole: float) -> float:
    share = metrics.ratio(part, whole)
    return math.sqrt(share * (1 - share) / whole) if whole else math.nan


def _f1(hits: float, misses: float) -> float:
    """F1 is 2p / (1 + p) of the share p of hits among hits and misses, so its error follows from that share's."""
    whole = hits + misses
    if not whole:
        return math.nan
    share = hits / whole
    return 2 / (1 + share) ** 2 * math.sqrt(share * (1 - share) / whole)


def _macro_f1(confusion: Floats) -> float:
    n = float(confusion.sum())
    hits = np.diag(confusion).copy()
    hits[-1] = 0.0
    sizes = confusion.sum(axis=0) + confusion.sum(axis=1)
    present = sizes > 0
    if not present.any():
        return math.nan
    safe = np.where(present, sizes, 1.0)
    fall = np.where(present, 2 * hits / safe**2, 0.0)
    gain = np.where(present, 2 / safe, 0.0)
    gain[-1] = 0.0
    # A row in cell [j][k] makes classes j and k larger by one each, and is a hit where they are the same class.
    slope = (-fall[:, np.newaxis] - fall[np.newaxis, :] + np.diag(gain)) / present.sum()
    mean = float((confusion * slope).sum()) / n
    return math.sqrt(max(float((confusion * slope**2).sum()) - n * mean**2, 0.0))


def _roc_auc(negatives: Counts, positives: Counts) -> float:
    neg, pos = float(negatives.sum()), float(positives.sum())
    if neg < 2 or pos < 2:
        return math.nan
    wins = (np.cumsum(negatives) - negatives / 2) / neg
    losses = (pos - np.cumsum(positives) + positives / 2) / pos
    return math.sqrt(_variance(positives, wins) / pos + _variance(negatives, losses) / neg)


def _mean(negatives: Counts, positives: Counts, negative: Floats, positive: Floats) -> float:
    counts, values = np.concatenate([negatives, positives]), np.concatenate([negative, positive])
    n = float(counts.sum())
    return math.sqrt(_variance(counts, values) / n) if n > 1 else math.nan


def _variance(counts: Counts, values: Floats) -> float:
    n = float(counts.sum())
    mean = float(counts @ values) / n
    return float(counts @ (values - mean) ** 2) / (n - 1)


def _losses(outcomes: Outcomes) -> dict[str, float]:
    n, unit = outcomes.n, outcomes.bins.unit
    if n < 2:
        return {"mae": math.nan, "bias": math.nan}
    squared, absolute, error = (float(outcomes.part(name)) / n for name in ("squared", "absolute", "error"))
    return {
        "mae": math.sqrt(max(squared - absolute**2, 0.0) / (n - 1)) * unit,
        "bias": math.sqrt(max(squared - error**2, 0.0) / (n - 1)) * unit,
    }
