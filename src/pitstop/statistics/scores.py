"""What a model said: counts of its scores and predicted classes, or of its predicted numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.statistics.arrays import as_floats
from pitstop.statistics.base import Counts, Floats, Tally
from pitstop.statistics.histogram import Histogram
from pitstop.statistics.kernels import Windows, count_scores
from pitstop.statistics.outcome_bins import STEPS, OutcomeBins, score_values


@dataclass(frozen=True, eq=False)
class Scores(Tally[OutcomeBins]):
    """Predicted class x score bin (multiclass: the score of the predicted class), or a histogram of predicted numbers.

    Rows with a predicted class but no score are kept apart (`unscored`); rows without a predicted class count as
    `nulls`.
    """

    name: ClassVar[str] = "scores"

    @classmethod
    def parts(cls, bins: OutcomeBins) -> dict[str, tuple[int, ...]]:
        """Return the shape of each part; the last score bin holds the rows without a score."""
        if bins.prediction is not None:
            return Histogram.parts(bins.prediction)
        return {"counts": (bins.groups, STEPS + 2), "nulls": ()}

    @classmethod
    def count_into(
        cls, counts: Counts, bins: OutcomeBins, scores: Any, predicted: Any, windows: Windows = None
    ) -> None:
        """Add a batch to `counts`, one vector or, with a window for each row, a matrix of one for each window.

        Arguments and errors as in `updated`.
        """
        if bins.prediction is not None:
            Histogram.count_into(counts, bins.prediction, as_floats(predicted), windows)
            return
        groups = bins.groups_of(predicted)
        count_scores(score_array(scores, groups.size), groups, bins.groups, STEPS, counts, windows)

    def updated(self, scores: Any, predicted: Any) -> Self:
        """Return it with a batch more.

        `scores`: probabilities, NaN or null where there is none, or None for a model without scores. `predicted`:
        classes (see `OutcomeBins.groups_of`) or, for a regression, numbers. Raises `StatisticError` for a score
        outside [0, 1].
        """
        vector = self.vector.copy()
        self.count_into(vector, self.bins, scores, predicted)
        return type(self)(self.bins, vector)

    @property
    def histogram(self) -> Histogram:
        """Predicted numbers over the reference labels' bins. Raises `StatisticError` unless a regression."""
        if self.bins.prediction is None:
            msg = f"the scores of a {self.bins.task} model are no histogram of numbers; use by_score and by_class"
            raise StatisticError(msg)
        return Histogram(self.bins.prediction, self.vector)

    @property
    def counts(self) -> Counts:
        """Scored rows, int64[classes, 1001]."""
        return self._classes[:, :-1]

    @property
    def unscored(self) -> Counts:
        """Rows with a predicted class and without a score, int64[classes]."""
        return self._classes[:, -1]

    @property
    def by_score(self) -> Counts:
        """Scored rows per score bin, int64[1001]."""
        return np.asarray(self.counts.sum(axis=0))

    @property
    def by_class(self) -> Counts:
        """Rows per predicted class, scored or not, int64[classes]."""
        return np.asarray(self._classes.sum(axis=1))

    @property
    def nulls(self) -> int:
        """Number of rows without a prediction."""
        return self.histogram.nulls if self.bins.prediction is not None else int(self.vector[-1])

    @property
    def n(self) -> int:
        """Number of rows with a prediction."""
        return self.histogram.n if self.bins.prediction is not None else int(self._classes.sum())

    @property
    def mean(self) -> float:
        """Mean score, to half a bin, or mean prediction of a regression. NaN without any."""
        if self.bins.prediction is not None:
            return self.histogram.mean
        total = int(self.by_score.sum())
        return float(self.by_score @ score_values() / total) if total else float("nan")

    @property
    def _classes(self) -> Counts:
        if self.bins.prediction is not None:
            msg = "a regression has no scores by class; use histogram"
            raise StatisticError(msg)
        return self.vector[:-1].reshape(self.bins.groups, STEPS + 2)


def score_array(scores: Any, rows: int) -> NDArray[np.float64]:
    """Return scores as contiguous float64, NaN where there is none (for every row where `scores` is None)."""
    values: Floats = np.full(rows, np.nan) if scores is None else np.ascontiguousarray(as_floats(scores))
    return values
