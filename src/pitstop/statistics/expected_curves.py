"""The expected metrics of a binary model under many calibrators at once: what their spread is taken from."""

from __future__ import annotations

import numpy as np

from pitstop.statistics import metrics
from pitstop.statistics.base import Floats
from pitstop.statistics.outcome_bins import STEPS, score_values

# The first score bin of each tenth; the last tenth takes the score 1 as well.
_FIRST = np.arange(10) * STEPS // 10


def binary_values(counts: Floats, curves: Floats, least: float) -> dict[str, Floats]:
    """Return each metric under each calibrator, float64[curves]; NaN where its rows do not define it.

    `counts` float64[2, 1001] rows by [predicted][score bin]; `curves` float64[curves, 1001] or float64[curves, 2, 1001]
    the probability of a positive label. Of roc_auc, `least` is the share of pairs that are not of a row with itself
    below which there are none. Formulas as in `expected.cbpe`, whose value each of them is.
    """
    rows = counts.sum(axis=0)
    plain = curves.ndim == 2
    found = curves @ counts.T if plain else np.einsum("dps,ps->dp", curves, counts)
    n, positive = float(counts.sum()), found.sum(axis=1)
    # Of every bin, whatever was predicted: a mean loss is linear in it, and a ranking knows nothing else.
    positives = curves * rows if plain else np.einsum("dps,ps->ds", curves, counts)
    negatives = rows - positives
    loss, score = metrics.log_losses(), score_values()
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "accuracy": (float(counts[0].sum()) - found[:, 0] + found[:, 1]) / n,
            "precision": found[:, 1] / float(counts[1].sum()),
            "recall": found[:, 1] / positive,
            "f1": 2 * found[:, 1] / (float(counts[1].sum()) + positive),
            "roc_auc": _roc_auc(rows, positives, negatives, least),
            "log_loss": (negatives @ loss[0] + positives @ loss[1]) / n,
            "brier": (negatives @ score**2 + positives @ (1 - score) ** 2) / n,
            "average_precision": precisions(rows, positives),
            "calibration_error": gaps(rows, positives),
        }


def _roc_auc(rows: Floats, positives: Floats, negatives: Floats, least: float) -> Floats:
    pos, neg = positives.sum(axis=1), negatives.sum(axis=1)
    itself = (positives * negatives / np.maximum(rows, 1.0)).sum(axis=1)
    pairs = pos * neg - itself
    below = np.cumsum(negatives, axis=1) - negatives / 2
    value = ((positives * below).sum(axis=1) - itself / 2) / pairs
    return np.where(pairs <= least * pos * neg, np.nan, value)


def precisions(rows: Floats, positives: Floats) -> Floats:
    """Return the average precision of each line of `positives` (float64[lines, bins]); NaN where it has none."""
    drawn = positives[:, ::-1]
    found = np.cumsum(drawn, axis=1)
    taken = np.maximum(np.cumsum(rows[::-1]), 1e-300)
    return np.asarray(np.einsum("db,db->d", found / taken, drawn) / found[:, -1])


def gaps(rows: Floats, positives: Floats) -> Floats:
    """Return the calibration error (`metrics.calibration_error`) of each line of `positives`, float64[lines, 1001]."""
    return np.asarray(np.abs(by_tenth(positives - rows * score_values())).sum(axis=1) / rows.sum())


def by_tenth(values: Floats) -> Floats:
    """Return the sums of each line (float64[lines, 1001]) over ten equal intervals of the score, float64[lines, 10]."""
    return np.asarray(np.add.reduceat(values, _FIRST, axis=1))
