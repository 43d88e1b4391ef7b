"""The columns of the loss matrix: which candidates may judge a period, and what they lost on the labels of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pitstop.loop.cohorts import as_all_rows
from pitstop.loop.contesting import Contesting
from pitstop.loop.duels import row_losses
from pitstop.loop.kept import Kept
from pitstop.loop.models import Predictions
from pitstop.strategy.matrix import LossMatrix

Ints = NDArray[np.int64]


class Columns(Contesting):
    """The loss matrix of the candidates, one for each period."""

    matrix: LossMatrix

    def _fitted_by(self, start: int) -> list[int]:
        """Return the candidates that can judge a period which starts at `start`, oldest first.

        One that was fitted within the period, because a person asked for it, was trained on some of its labels.
        """
        column = self.calendar.period_at(start) - self.first_period
        return sorted(number for number, item in self.candidates.items() if number <= column and item.at <= start)

    def _labelled_between(self, start: int, end: int) -> Ints:
        """Return the rows labelled in a span in the order of arrival: the tests bet on one row after the other."""
        late = np.flatnonzero((self.log.first_label_at >= start) & (self.log.first_label_at < end))
        return late[np.argsort(self.log.first_label_at[late], kind="stable")]

    def _lost_by(
        self, start: int, as_of: int, late: Ints, kept: list[Kept]
    ) -> tuple[dict[int, Predictions], dict[int, NDArray[np.float64]]]:
        """Return what the candidates that can judge a period say of the rows labelled in it, and what they lost."""
        found = self._hear(self._fitted_by(start), self.log.features(late), as_of, kept)
        by_row = {number: row_losses(self.spec, self.log, late, said.decided) for number, said in found.items()}
        if self.spec.columns.propensity is not None:
            by_row = {number: as_all_rows(lost, self.log.chance.values[late]) for number, lost in by_row.items()}
        return found, by_row

    def _recount(self, as_of: int, kept: list[Kept]) -> None:
        """Count the columns again in which a candidate has since taken another one's place.

        It was fitted at the same instant, so it has seen none of their labels.
        """
        first, self.reseated = self.reseated, None
        if first is None:
            return
        columns, self.matrix = self.matrix.periods, self.matrix.visible(first)
        for column in range(first, columns):
            begin = self.calendar.period_start(self.first_period + column)
            late = self._labelled_between(begin, self.calendar.period_start(self.first_period + column + 1))
            _, by_row = self._lost_by(begin, as_of, late, kept)
            self.matrix = self.matrix.with_column(by_row if len(late) else {})
