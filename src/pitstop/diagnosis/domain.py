"""Multivariate drift: can a classifier tell new rows from the reference's?

It is cross-fitted, so it is judged on rows that it has not seen. The area under its ROC curve is the chance that it
gives a new row the higher probability of being new: 0.5 where nothing changed, in one column or in several together.
Days differ by themselves, so the figure stands beside that of the reference's own newest part against the rest of it.
Source: the classifier two-sample test (Lopez-Paz and Oquab 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int32]
Floats = NDArray[np.float64]

# Rows of each side, evenly spaced; and the fewest that say something.
MOST_ROWS, FEWEST_ROWS = 2_000, 100
FOLDS = 2
# The newest part of the reference that is compared with the rest of it.
NEWEST = 0.3
NAMED = 5
_ROUNDS, _LEAVES, _FEWEST_IN_LEAF = 20, 8, 20
_Z = 1.96


@dataclass(frozen=True)
class Domain:
    """How well new rows are told from the reference's: the area under the curve with its 95% interval.

    `usual` is the same of the reference's own newest part (None where it is too short). `columns`: the features by how
    much the area falls when their values are shuffled, the greatest first, only those above 0.
    """

    auc: float
    low: float
    high: float
    usual: float | None
    columns: tuple[tuple[str, float], ...]

    @property
    def moved(self) -> bool:
        """Whether new rows differ by more than chance and by more than the reference does in itself."""
        return self.low > max(0.5, self.usual or 0.5)


def domain_drift(names: Sequence[str], reference: Codes, current: Codes) -> Domain | None:
    """Return how well `current` rows are told from `reference` rows; None with fewer than 100 of either.

    Both are cell codes, int32[rows, features] in order of time, -1 where missing; at most 2,000 evenly spaced rows of
    each are used. Cells make it blind to what moves within one.
    """
    before, after = _spread(reference), _spread(current)
    if min(len(before), len(after)) < FEWEST_ROWS or not names:
        return None
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - as scikit-learn below

    with threadpool_limits(1):
        auc, fits = _told_apart(before, after)
        cut = round(len(before) * (1 - NEWEST))
        usual = _told_apart(before[:cut], before[cut:])[0] if len(before) - cut >= FEWEST_ROWS else None
        columns = _importances(names, fits) if auc > 0.5 else ()
    half = _Z * _error(auc, len(before), len(after))
    return Domain(auc, max(0.0, auc - half), min(1.0, auc + half), usual, columns)


Fits = list[tuple[Any, NDArray[np.float64], NDArray[np.int64]]]


def _told_apart(before: Codes, after: Codes) -> tuple[float, Fits]:
    """Return the mean area of the folds, and each fold's classifier with the rows that it had not seen."""
    # A second of imports, which a comparison without vectors does not need.
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415

    rows = np.vstack([before, after]).astype(np.float64)
    which = np.repeat([0, 1], [len(before), len(after)])
    # Blocks of neighbours, in turn: rows of one day resemble each other, and one of them must not give away the others.
    fold = np.concatenate([np.arange(len(side)) * 10 // len(side) % FOLDS for side in (before, after)])
    fits: Fits = []
    for part in range(FOLDS):
        model = HistGradientBoostingClassifier(
            max_iter=_ROUNDS,
            max_leaf_nodes=_LEAVES,
            min_samples_leaf=_FEWEST_IN_LEAF,
            class_weight="balanced",
            early_stopping=False,
            random_state=0,
        )
        model.fit(rows[fold != part], which[fold != part])
        fits.append((model, rows[fold == part], which[fold == part]))
    return float(np.mean([_area(model.decision_function(unseen), side) for model, unseen, side in fits])), fits


def _area(score: Floats, which: NDArray[np.int64]) -> float:
    from scipy.stats import rankdata  # noqa: PLC0415 - as scikit-learn above

    positives = int(which.sum())
    ranks = float(rankdata(score)[which == 1].sum())
    return (ranks - positives * (positives + 1) / 2) / (positives * (len(which) - positives))


def _error(auc: float, before: int, after: int) -> float:
    """Return the standard error of the area (Hanley and McNeil 1982)."""
    one, two = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (after - 1) * (one - auc**2) + (before - 1) * (two - auc**2)
    return float(np.sqrt(max(variance, 0.0) / (before * after)))


def _importances(names: Sequence[str], fits: Fits) -> tuple[tuple[str, float], ...]:
    draw = np.random.default_rng(0)
    falls = np.zeros(len(names))
    for model, unseen, side in fits:
        whole, order = _area(model.decision_function(unseen), side), draw.permutation(len(unseen))
        for at in range(len(names)):
            shuffled = unseen.copy()
            shuffled[:, at] = unseen[order, at]
            falls[at] += (whole - _area(model.decision_function(shuffled), side)) / len(fits)
    ranked = np.argsort(-falls, kind="stable")[:NAMED]
    return tuple((names[at], float(falls[at])) for at in ranked if falls[at] > 0)


def _spread(codes: Codes) -> Codes:
    size = min(len(codes), MOST_ROWS)
    return codes[np.linspace(0, len(codes) - 1, size).astype(np.int64)] if size else codes
