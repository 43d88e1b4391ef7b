"""The loss matrix: what every fitted model lost in every period, and the part of it that a decision may see.

Model `i` is fitted at the start of period `i` (0, 1, 2, ...) on the labels known then. Column `j` holds the rows whose
label *arrived* in period `j` (whenever they were predicted), so it is complete the moment the period closes. At the
start of period `t` columns `< t` are complete. Model `j` has seen no label of column `j`: `L[j, j]` is the honest loss
of a fresh model, and the age of model `i` in column `j` is `j - i` (0 when fresh). Methods written for prediction
periods call the fresh model of column `j` "j-1" and its age 1; here both are one less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import StrategyError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Without a setting, the first model of a replay is fitted after three periods.
DEFAULT_LEAD = 3
_LEVEL_COLUMNS = 8


@dataclass(frozen=True, eq=False)
class LossMatrix:
    """Losses of models (rows) in label-arrival periods (columns).

    `losses[i, j]`, j >= i, is the total loss in currency of model `i` on the rows of column `j`, NaN where model `i`
    was not fitted or not scored there; below the diagonal it is NaN. `rows[j]` is the number of rows of the column.
    `variances[i, j]` is the sampling variance of the total of `loss of model i - loss of the freshest model scored in
    that column`, from paired rows; NaN where `losses` is. `lead` is the number of periods of labels before the first
    model: model `i` was fitted on `lead + i` periods.
    """

    losses: Floats
    rows: Ints
    variances: Floats
    lead: int = DEFAULT_LEAD

    def __post_init__(self) -> None:
        """Check the shapes and freeze the arrays."""
        losses = np.array(self.losses, dtype=np.float64)
        rows = np.array(self.rows, dtype=np.int64)
        variances = np.array(self.variances, dtype=np.float64)
        periods = rows.size
        if losses.shape != (periods, periods) or variances.shape != (periods, periods) or rows.ndim != 1:
            msg = (
                f"got losses {losses.shape}, variances {variances.shape} and rows {rows.shape}; "
                "expected (periods, periods) twice and (periods,)"
            )
            raise StrategyError(msg)
        if np.isfinite(losses[np.tril_indices(periods, -1)]).any():
            msg = "a model has a loss in a period before its own; it would have been fitted on those labels"
            raise StrategyError(msg)
        if (variances < 0).any() or (rows < 0).any() or np.isinf(losses).any() or self.lead < 0:
            msg = "a loss matrix needs finite losses, and variances, row counts and a lead of at least 0"
            raise StrategyError(msg)
        for name, array in (("losses", losses), ("rows", rows), ("variances", variances)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @classmethod
    def empty(cls, lead: int = DEFAULT_LEAD) -> LossMatrix:
        """Return the matrix of no periods, to which columns are added."""
        return cls(np.zeros((0, 0)), np.zeros(0, dtype=np.int64), np.zeros((0, 0)), lead)

    def with_column(self, row_losses: Mapping[int, Floats]) -> LossMatrix:
        """Return the matrix with the next column added.

        `row_losses` maps each scored model to its losses in currency, one per row of the column, in one order of rows
        for all models. Models that are not named stay NaN. A column without rows is allowed and says nothing.
        """
        column = self.periods
        sizes = {array.size for array in row_losses.values()}
        unknown = [model for model in row_losses if not 0 <= model <= column]
        if len(sizes) > 1 or unknown:
            msg = (
                f"column {column} got models {sorted(row_losses)} with {sorted(sizes)} rows; "
                f"expected one number of rows and models from 0 to {column}"
            )
            raise StrategyError(msg)
        broken = [model for model, values in row_losses.items() if not np.isfinite(values).all()]
        if broken:
            msg = f"column {column}: model {broken[0]} has losses that are not finite; leave the model out instead"
            raise StrategyError(msg)
        losses = np.full((column + 1, column + 1), np.nan)
        variances = losses.copy()
        losses[:column, :column], variances[:column, :column] = self.losses, self.variances
        rows = sizes.pop() if sizes else 0
        freshest = max(row_losses, default=0)
        for model, values in row_losses.items():
            losses[model, column] = values.sum()
            gap = values - row_losses[freshest]
            variances[model, column] = rows * gap.var(ddof=1) if rows > 1 else 0.0
        return LossMatrix(losses, np.append(self.rows, rows), variances, self.lead)

    @property
    def periods(self) -> int:
        """Number of columns."""
        return int(self.rows.size)

    def visible(self, now: int) -> LossMatrix:
        """Return what is known at the start of period `now`: the columns before it."""
        size = max(0, min(now, self.periods))
        if size == self.periods:
            return self
        if size not in self._cuts:
            self._cuts[size] = LossMatrix(
                self.losses[:size, :size], self.rows[:size], self.variances[:size, :size], self.lead
            )
        return self._cuts[size]

    def freshest(self, column: int) -> int | None:
        """Return the newest model scored in a column, or None."""
        return self._freshest[column]

    def scale(self) -> Floats:
        """Return the factor for each column that makes it one period of the usual size; NaN where it has no rows.

        The usual size is the mean number of rows of the last eight columns that have any. A loss times its factor is
        the loss of a period of that size, so a busy month does not look like a bad one.
        """
        return self._scale

    def fresh_loss(self) -> float:
        """Return the mean loss of the freshest model per usual period, over the last eight columns (or 0)."""
        scale = self.scale()
        values = [
            float(self.losses[model, column] * scale[column])
            for column in range(self.periods)
            if (model := self.freshest(column)) is not None and np.isfinite(scale[column])
        ][-_LEVEL_COLUMNS:]
        return float(np.mean(values)) if values else 0.0

    @cached_property
    def scaled_rows(self) -> list[list[float]]:
        """The losses per period of the usual size as plain lists: for walks over single cells, which arrays slow."""
        rows: list[list[float]] = (self.losses * self._scale).tolist()
        return rows

    # A backtest asks the same matrix the same things for every policy. It cannot change, so the answers are kept.

    @cached_property
    def _cuts(self) -> dict[int, LossMatrix]:
        return {}

    @cached_property
    def _freshest(self) -> list[int | None]:
        scored = [np.flatnonzero(np.isfinite(self.losses[:, column])) for column in range(self.periods)]
        return [int(found[-1]) if found.size else None for found in scored]

    @cached_property
    def _scale(self) -> Floats:
        filled = self.rows[self.rows > 0][-_LEVEL_COLUMNS:]
        usual = float(filled.mean()) if filled.size else 0.0
        factors = np.full(self.periods, np.nan)
        np.divide(usual, self.rows, out=factors, where=self.rows > 0)
        factors.setflags(write=False)
        return factors

    @cached_property
    def paired_gaps(self) -> tuple[Gap, ...]:
        """The paired gaps of all models that are older than the freshest of their column, in order of columns."""
        found: list[Gap] = []
        for column in range(self.periods):
            fresh = self.freshest(column)
            if fresh is None or not np.isfinite(self._scale[column]):
                continue
            excess = ((self.losses[:fresh, column] - self.losses[fresh, column]) * self._scale[column]).tolist()
            variance = (self.variances[:fresh, column] * self._scale[column] ** 2).tolist()
            found += [
                Gap(model, column, column - model, column - fresh, excess[model], variance[model])
                for model in range(fresh)
                if math.isfinite(excess[model])
            ]
        return tuple(found)

    def to_state(self) -> dict[str, Any]:
        """Return the matrix as plain JSON types (NaN as None)."""
        return {
            "losses": _plain(self.losses),
            "rows": [int(count) for count in self.rows],
            "variances": _plain(self.variances),
            "lead": self.lead,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> LossMatrix:
        """Return the matrix that `to_state` described."""
        periods = len(state["rows"])
        losses, variances = (_square(state[name], periods) for name in ("losses", "variances"))
        return cls(losses, np.array(state["rows"], dtype=np.int64), variances, int(state["lead"]))


@dataclass(frozen=True)
class Gap:
    """How much more a model lost in one column than the freshest model there, per period of the usual size.

    `age` and `fresh_age` are the two models' ages in periods, `variance` is the sampling variance of `excess`.
    """

    model: int
    column: int
    age: int
    fresh_age: int
    excess: float
    variance: float


def gaps(matrix: LossMatrix) -> tuple[Gap, ...]:
    """Return the paired gaps of all models that are older than the freshest of their column, in order of columns."""
    return matrix.paired_gaps


def _plain(array: Floats) -> list[list[float | None]]:
    return [[None if np.isnan(value) else float(value) for value in row] for row in array]


def _square(values: Sequence[Sequence[float | None]], periods: int) -> Floats:
    plain = [[np.nan if value is None else float(value) for value in row] for row in values]
    return np.array(plain, dtype=np.float64).reshape(periods, periods)
