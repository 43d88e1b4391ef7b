"""What a decision looks at where recipes are chosen again at each period: the recipe chosen now, and the served model.

The candidates that a rule would have entered make one matrix, by which a schedule is charged (`row_losses.composed`).
To decide on it is slow after a switch: its columns compare the served model with candidates of the recipe before. So a
decision at a period looks at all candidates of the recipe that is chosen then, in all columns that are known, and at
the served model on the same rows, whatever recipe that is of.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pitstop.strategy.matrix import LossMatrix
from pitstop.strategy.row_losses import RowLosses

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class ChosenNow:
    """The matrices of all recipes, and which is chosen at each period; `at` says what a decision sees.

    `seen` are the recipes' own matrices, `chosen[i]` the place of the recipe of period `i`, `entered` the losses of
    the candidates that would have been entered (`composed`).
    """

    def __init__(
        self, by_recipe: Sequence[RowLosses], seen: Sequence[LossMatrix], chosen: Sequence[int], entered: RowLosses
    ) -> None:
        self._by_recipe = tuple(by_recipe)
        self._seen = tuple(seen)
        self._chosen = tuple(chosen)
        self._entered = entered
        # Every policy of a backtest asks for the same ones.
        self._kept: dict[tuple[int, int], LossMatrix] = {}

    def at(self, now: int, served: int) -> LossMatrix:
        """Return the columns before `now` with the candidates of the recipe chosen for it, and model `served`."""
        place = self._chosen[min(now, len(self._chosen) - 1)]
        matrix = self._seen[place].visible(now)
        if served >= now or self._entered.losses.get(served) is self._by_recipe[place].losses.get(served):
            return matrix
        if (now, served) not in self._kept:
            self._kept[now, served] = self._beside(matrix, place, now, served)
        return self._kept[now, served]

    def _beside(self, matrix: LossMatrix, place: int, now: int, served: int) -> LossMatrix:
        own, others = self._entered.losses[served], self._by_recipe[place].losses
        losses, variances = matrix.losses.copy(), matrix.variances.copy()
        for column in range(served, now):
            rows = self._rows[column]
            fresh = max((model for model in others if model <= column), default=None)
            if not rows.size or fresh is None:
                continue
            losses[served, column] = own[rows].sum()
            gap = own[rows] - others[fresh][rows]
            variances[served, column] = rows.size * gap.var(ddof=1) if rows.size > 1 and fresh != served else 0.0
        return LossMatrix(losses, matrix.rows, variances, matrix.lead)

    @cached_property
    def _rows(self) -> tuple[Ints, ...]:
        """The rows of each column, in the order of arrival."""
        times = self._entered.times
        order = np.argsort(times.arrived, kind="stable")
        ends = np.searchsorted(times.arrived[order], np.arange(times.periods + 1))
        return tuple(order[ends[column] : ends[column + 1]] for column in range(times.periods))
