"""Losses of candidates by row: what both views of a backtest are summed from.

A decision sees columns of labels by the period in which they *arrived*; a schedule is charged for the rows that were
*predicted* while it served. With labels that come late these are different sums of the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import StrategyError
from pitstop.strategy.matrix import DEFAULT_LEAD, LossMatrix

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class RowTimes:
    """When each labelled row was predicted and when its label arrived, in periods from the first candidate on.

    `predicted` may be below 0 (before the first candidate) and `arrived` may be `periods` or more (after the end).
    `blocks` numbers the window of each prediction from 0 on: rows of one block are resampled together.
    """

    periods: int
    predicted: Ints
    arrived: Ints
    blocks: Ints
    lead: int = DEFAULT_LEAD

    def __post_init__(self) -> None:
        """Refuse arrays of different lengths, and labels that arrive before their prediction."""
        sizes = {self.predicted.size, self.arrived.size, self.blocks.size}
        if len(sizes) > 1 or (self.arrived < self.predicted).any():
            msg = f"got times of {sorted(sizes)} rows; expected one length, and no label before its prediction"
            raise StrategyError(msg)

    def due(self, model: int) -> NDArray[np.bool_]:
        """Return which rows a model can be judged on: those whose label had not arrived when it was fitted."""
        return np.asarray(self.arrived >= model, dtype=np.bool_)


@dataclass(frozen=True)
class RowLosses:
    """What each candidate lost on each row, in currency: `losses[model]` has one number for each row of `times`.

    It is NaN where the label had arrived before the model was fitted. A model that could not be fitted is not there.
    """

    times: RowTimes
    losses: Mapping[int, Floats]

    def seen(self) -> LossMatrix:
        """Return the matrix by arrival of the labels: what decisions may look at."""
        matrix = LossMatrix.empty(self.times.lead)
        order = np.argsort(self.times.arrived, kind="stable")
        ends = np.searchsorted(self.times.arrived[order], np.arange(self.times.periods + 1))
        for column in range(self.times.periods):
            rows = order[ends[column] : ends[column + 1]]
            found = {model: values[rows] for model, values in self.losses.items() if model <= column and rows.size}
            matrix = matrix.with_column(found)
        return matrix

    def charged(self) -> Floats:
        """Return the losses by period of prediction, shape (periods, periods): what a schedule pays; NaN below."""
        return self._summed(self.times.predicted, self.times.periods, self.times.predicted >= 0)

    def by_block(self) -> Floats:
        """Return the losses by block, shape (periods, blocks), of the rows predicted from each model's period on."""
        count = int(self.times.blocks.max(initial=-1)) + 1
        return self._summed(self.times.blocks, count, self.times.predicted >= 0)

    def _summed(self, groups: Ints, count: int, use: NDArray[np.bool_]) -> Floats:
        sums = np.full((self.times.periods, count), np.nan)
        for model, values in self.losses.items():
            rows = use & (self.times.predicted >= model)
            first = int(groups[rows].min(initial=count))
            counted = np.bincount(groups[rows], weights=values[rows], minlength=count)
            sums[model, first:] = counted[first:]
        if groups is self.times.predicted:
            # A period without rows costs nothing, also where it is the model's own first one.
            for model in self.losses:
                sums[model, model:] = np.nan_to_num(sums[model, model:])
        return sums


def composed(by_recipe: Sequence[RowLosses], chosen: Sequence[int]) -> RowLosses:
    """Return the losses of the candidates that a rule would have entered: at period `i` that of recipe `chosen[i]`.

    Where the chosen recipe has no model of a period, the first recipe that has one takes its place.
    """
    times = by_recipe[0].times
    losses: dict[int, Floats] = {}
    for model in range(times.periods):
        order = [by_recipe[chosen[model]], *by_recipe]
        found = next((recipe.losses[model] for recipe in order if model in recipe.losses), None)
        if found is not None:
            losses[model] = found
    return RowLosses(times, losses)
