"""What became of predictions: counts of score x prediction x label, from which every realised metric follows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from pitstop.errors import StatisticError
from pitstop.statistics import metrics
from pitstop.statistics.arrays import as_floats
from pitstop.statistics.base import Counts, Tally
from pitstop.statistics.kernels import count_scores
from pitstop.statistics.outcome_bins import LARGEST_ERROR, STEPS, OutcomeBins
from pitstop.statistics.scores import score_array


@dataclass(frozen=True, eq=False)
class Outcomes(Tally[OutcomeBins]):
    """Counts of labelled rows. Rows without a prediction or without a label count as `nulls` only.

    Binary: predicted (0, 1) x label (0, 1) x score bin. Multiclass: predicted x label, and wrong or right x score
    bin. Regression: exact sums of |e|, e, e^2 (e = prediction - label), label and label^2 in whole `unit`s (rounded
    half to even, clipped at 16 label ranges, the clips counted), and counts of |e| between the error edges.
    """

    name: ClassVar[str] = "outcomes"
    signed: ClassVar[frozenset[str]] = frozenset({"error", "label"})

    @classmethod
    def parts(cls, bins: OutcomeBins) -> dict[str, tuple[int, ...]]:
        """Return the shape of each part; the last score bin holds the rows without a score."""
        if bins.task == "binary":
            return {"counts": (2, 2, STEPS + 2), "nulls": ()}
        if bins.task == "multiclass":
            return {"hits": (2, STEPS + 2), "nulls": (), "confusion": (bins.groups, bins.groups)}
        sums = dict.fromkeys(("absolute", "error", "squared", "label", "label_squared", "clipped", "nulls"), ())
        return {"errors": (len(bins.error_edges) + 1,), **sums}

    def updated(self, scores: Any, predicted: Any, labels: Any) -> Self:
        """Return it with a batch of labelled rows more; arguments as in `Scores.updated`, labels like predictions."""
        vector = self.vector.copy()
        if self.bins.task == "regression":
            self._add_numbers(as_floats(predicted), as_floats(labels), vector)
            return type(self)(self.bins, vector)
        guess, truth = self.bins.groups_of(predicted), self.bins.groups_of(labels)
        if guess.shape != truth.shape:
            msg = f"got {guess.size} predictions and {truth.size} labels; expected one label for each prediction"
            raise StatisticError(msg)
        known = (guess >= 0) & (truth >= 0)
        binary = self.bins.task == "binary"
        # The cell of unknown classes is no class, so two unknown classes are not the same one.
        right = (guess == truth) & (truth < len(self.bins.classes))
        group = np.where(known, 2 * guess + truth if binary else right, -1).astype(np.int32)
        count_scores(score_array(scores, guess.size), group, 4 if binary else 2, STEPS, vector)
        if not binary:
            size = self.bins.groups
            pairs = np.bincount(guess[known].astype(np.int64) * size + truth[known], minlength=size * size)
            vector[-size * size :] += pairs
        return type(self)(self.bins, vector)

    def _add_numbers(self, predicted: Any, labels: Any, vector: Counts) -> None:
        if predicted.shape != labels.shape:
            msg = f"got {predicted.size} predictions and {labels.size} labels; expected one label for each prediction"
            raise StatisticError(msg)
        known = np.isfinite(predicted) & np.isfinite(labels)
        with np.errstate(over="ignore"):
            error = predicted[known] - labels[known]
            units = error / self.bins.unit
            label_units = (labels[known] - self.bins.origin) / self.bins.unit
        clipped = (np.abs(units) > LARGEST_ERROR) | (np.abs(label_units) > LARGEST_ERROR)
        whole = np.rint(np.clip(units, -LARGEST_ERROR, LARGEST_ERROR)).astype(np.int64)
        label = np.rint(np.clip(label_units, -LARGEST_ERROR, LARGEST_ERROR)).astype(np.int64)
        cell = np.searchsorted(np.array(self.bins.error_edges), np.abs(error), side="right")
        cells = len(self.bins.error_edges) + 1
        vector[:cells] += np.bincount(cell, minlength=cells)
        vector[cells:] += [
            np.abs(whole).sum(),
            whole.sum(),
            (whole * whole).sum(),
            label.sum(),
            (label * label).sum(),
            clipped.sum(),
            (~known).sum(),
        ]

    @property
    def confusion(self) -> Counts:
        """Rows by [predicted][label], int64[classes, classes]. Raises `StatisticError` for a regression."""
        if self.bins.task == "regression":
            msg = "a regression has no confusion matrix; use metrics()"
            raise StatisticError(msg)
        return np.asarray(self.part("counts").sum(axis=2)) if self.bins.task == "binary" else self.part("confusion")

    @property
    def by_score(self) -> Counts:
        """Scored rows by [label][score bin] (binary) or [wrong, right][score bin] (multiclass), int64[2, 1001].

        This is what a calibrator is fitted on. Raises `StatisticError` for a regression.
        """
        if self.bins.task == "regression":
            msg = "a regression has no scores; use metrics()"
            raise StatisticError(msg)
        by_score = self.part("counts").sum(axis=0) if self.bins.task == "binary" else self.part("hits")
        return np.asarray(by_score[:, :-1])

    @property
    def n(self) -> int:
        """Number of rows with a prediction and a label."""
        return int(self.part("errors").sum() if self.bins.task == "regression" else self.confusion.sum())

    @property
    def nulls(self) -> int:
        """Number of rows without a prediction or without a label."""
        return int(self.part("nulls"))

    @property
    def positives(self) -> int:
        """Number of rows whose label is positive (binary)."""
        return int(self.confusion[:, 1].sum())

    @property
    def errors(self) -> tuple[tuple[int, ...], int]:
        """Indicator counts for alarms: (k, ...) and n.

        For classes one k, the wrong rows; for a regression one k for each error edge, the rows whose |e| is at or
        above it.
        """
        if self.bins.task == "regression":
            below = np.cumsum(self.part("errors"))[:-1]
            return tuple(int(k) for k in self.n - below), self.n
        hits = int(np.trace(self.confusion))
        if self.bins.task == "multiclass":
            hits -= int(self.confusion[-1, -1])
        return (self.n - hits,), self.n

    def metrics(self) -> dict[str, float]:
        """Return every realised metric of the task by name; NaN where the rows do not define it.

        Binary: accuracy, precision, recall, f1, roc_auc, average_precision, log_loss, brier, calibration_error (scores
        to half a bin, 0.0005). Multiclass: accuracy, macro_f1, calibration_error (of the predicted class). Regression,
        in the label's unit: mae, rmse, r2, bias (mean of prediction - label).
        """
        if self.bins.task == "binary":
            return metrics.confusion_metrics(self.confusion) | metrics.score_metrics(*self.by_score)
        if self.bins.task == "multiclass":
            return metrics.macro_metrics(self.confusion) | {
                "calibration_error": metrics.calibration_error(*self.by_score)
            }
        n, unit = self.n, self.bins.unit
        state = {name: float(part) for name, part in self.to_state().items() if name != "errors"}
        # In whole numbers: the difference of two large floats would leave a constant label a spread.
        label, label_squared = int(self.part("label")), int(self.part("label_squared"))
        spread = metrics.ratio(n * label_squared - label**2, n)
        return {
            "mae": metrics.ratio(state["absolute"], n) * unit,
            "rmse": math.sqrt(metrics.ratio(state["squared"], n)) * unit,
            "r2": 1 - metrics.ratio(state["squared"], spread),
            "bias": metrics.ratio(state["error"], n) * unit,
        }
