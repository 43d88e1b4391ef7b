"""How well one column alone predicts the label, out of fold: the mark of a leak is "almost perfectly".

The predictor is a target mean (class counts for several classes) per quantile bin or category, fitted on every second
row and scored on the others, and the reverse. Missing values are a bin of their own, because "filled in only for
positives" is a leak as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pitstop.records.facts import ColumnFacts
from pitstop.records.spec import Task

BINS = 64
# Strength from which a column is left out of the features, and from which it is mentioned.
LEAK = 0.97
STRONG = 0.6
_PRIOR_ROWS = 5.0


def strength(facts: ColumnFacts, label: NDArray[np.float64], task: Task) -> float:
    """Return how well the column predicts `label`: 0 nothing, 1 perfectly.

    `label` float64: 0/1 (binary), class numbers from 0 (multiclass), values (regression); NaN where missing. Binary:
    the Gini coefficient 2 AUC - 1; multiclass: the share of the majority rule's errors that are avoided; regression:
    R². Never below 0.
    """
    known = ~np.isnan(label)
    if known.sum() < 40:
        return 0.0
    cells = _cells(facts)[known]
    target = label[known]
    even = np.arange(len(target)) % 2 == 0
    if task == "multiclass":
        return _avoided_errors(cells, target.astype(np.int64), even)
    predicted = np.empty(len(target))
    for fold in (even, ~even):
        predicted[fold] = _means(cells[~fold], target[~fold], int(cells.max()) + 1)[cells[fold]]
    if task == "binary":
        return max(0.0, 2.0 * _auc(predicted, target) - 1.0)
    # Scored within two folds, so that an outlier of the label cannot make up most of the variance unseen.
    # Squares of numbers beyond 1e154 are infinite: then nothing is explained.
    with np.errstate(over="ignore", invalid="ignore"):
        spread = float(np.sum((target - target.mean()) ** 2))
        left = float(np.sum((target - predicted) ** 2))
    return max(0.0, 1.0 - left / spread) if 0 < spread < np.inf else 0.0


def _cells(facts: ColumnFacts) -> NDArray[np.int64]:
    """Return the bin of each row; 0 where the value is missing."""
    if facts.kind not in ("number", "flag"):
        return facts.codes() + 1
    values = facts.numbers()
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.where(np.isnan(values), 0, 1).astype(np.int64)
    edges = np.unique(np.quantile(finite, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.where(np.isnan(values), 0, np.searchsorted(edges, values, side="right") + 1).astype(np.int64)


def _means(cells: NDArray[np.int64], target: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    counts = np.bincount(cells, minlength=size)
    sums = np.bincount(cells, weights=target, minlength=size)
    return np.asarray((sums + _PRIOR_ROWS * target.mean()) / (counts + _PRIOR_ROWS), dtype=np.float64)


def _auc(score: NDArray[np.float64], label: NDArray[np.float64]) -> float:
    """Area under the ROC curve by mid-ranks (Mann and Whitney 1947); .5 where a class is absent."""
    positives = float(label.sum())
    negatives = len(label) - positives
    if positives == 0 or negatives == 0:
        return 0.5
    _, which, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2.0
    return (float(ranks[which][label > 0].sum()) - positives * (positives + 1) / 2.0) / (positives * negatives)


def _avoided_errors(cells: NDArray[np.int64], label: NDArray[np.int64], even: NDArray[np.bool_]) -> float:
    classes, size = int(label.max()) + 1, int(cells.max()) + 1
    right = 0
    for fold in (even, ~even):
        table = np.zeros((size, classes))
        np.add.at(table, (cells[~fold], label[~fold]), 1.0)
        table += np.bincount(label[~fold], minlength=classes) / max(1, int((~fold).sum()))
        right += int(np.sum(table.argmax(axis=1)[cells[fold]] == label[fold]))
    wrong_before = len(label) - int(np.bincount(label).max())
    wrong = len(label) - right
    return max(0.0, 1.0 - wrong / wrong_before) if wrong_before else 0.0
