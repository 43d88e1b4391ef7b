"""What a policy meets in the strategy benchmark: one stream under one label delay, and what a schedule costs there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from benchmarks.strategy_matrices import Measured
from pitstop.strategy.backtest import walk
from pitstop.strategy.base import Costs, Policy
from pitstop.strategy.choosing import Rule, chosen_by
from pitstop.strategy.matrix import LossMatrix
from pitstop.strategy.oracle import oracle, schedule_cost
from pitstop.strategy.row_losses import RowLosses, RowTimes, composed
from pitstop.strategy.switching import ChosenNow

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Prices of a release, relative to the mean loss of a fresh model in a period.
LEVELS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
HISTORY = 0.3


@dataclass(frozen=True, eq=False)
class Case:
    """A stream under a delay. `seen` is what decisions look at, `charged` what schedules pay, by period of prediction.

    `rows` are the row losses by arrival (for rivals that look at rows); `fresh` is the mean loss of a fresh model in a
    judged period; policies are judged from period `first` on.
    """

    name: str
    kind: str
    delay: int
    control: bool
    seen: LossMatrix
    charged: Floats
    rows: RowLosses
    inputs: Floats
    first: int
    chosen: ChosenNow | None = None

    @property
    def fresh(self) -> float:
        """The mean loss of a fresh model in a judged period."""
        return float(np.diag(self.charged)[self.first :].mean())

    def cost(self, releases: tuple[int, ...], level: float) -> float:
        """Return what a schedule costs at a price level."""
        return schedule_cost(self.charged, releases, level * self.fresh, self.first).cost

    def best(self, level: float) -> float:
        """Return what the hindsight optimum costs under the same delay."""
        return oracle(self.charged, level * self.fresh, self.first).cost

    def walked(self, policy: Policy, level: float, *, fit_every: int = 1, fit: float = 0.0) -> tuple[int, ...]:
        """Return the releases of a policy that knows no horizon."""
        return walk(
            policy,
            self.seen,
            Costs(level * self.fresh, fit * level * self.fresh),
            self.first,
            horizon_known=False,
            truth=self.charged,
            inputs=self.inputs,
            fit_every=fit_every,
            chosen=self.chosen,
        ).schedule.releases


def case_of(measured: Measured, delay: int, recipe: str = "all") -> Case:
    """Return a stream under a label delay of 0 or 1 periods on top of its own label times."""
    return _case(measured, delay, delayed(measured.by_recipe[recipe], delay))


@dataclass(frozen=True, eq=False)
class Choices:
    """A stream whose candidates may be of any recipe, under a delay."""

    measured: Measured
    delay: int
    losses: tuple[RowLosses, ...]
    seen: tuple[LossMatrix, ...]

    @classmethod
    def of(cls, measured: Measured, delay: int, recipes: tuple[str, ...]) -> Self:
        """Return the choices among recipes."""
        losses = tuple(delayed(measured.by_recipe[recipe], delay) for recipe in recipes)
        return cls(measured, delay, losses, tuple(item.seen() for item in losses))

    def by(self, rule: Rule, release: float) -> Case:
        """Return the stream on which the recipe of each candidate is chosen by a rule, at a price in currency."""
        chosen = chosen_by(rule, self.seen, release)
        entered = composed(self.losses, chosen)
        case = _case(self.measured, self.delay, entered)
        return replace(case, chosen=ChosenNow(self.losses, self.seen, chosen, entered))


def delayed(losses: RowLosses, delay: int) -> RowLosses:
    """Return the row losses as they are when every label comes `delay` periods later.

    A candidate then learns from labels that are `delay` periods older: the one of period i is the one of i - delay.
    Period numbers are shifted so that the first candidate is that of period 0 again.
    """
    if not delay:
        return losses
    times = losses.times
    periods = times.periods - delay
    # Labels of period j are known at the end of period j + delay, whose new number is j.
    shifted = RowTimes(periods, times.predicted - delay, times.arrived, times.blocks, times.lead)
    return RowLosses(shifted, {model: values for model, values in losses.losses.items() if model < periods})


def _case(measured: Measured, delay: int, losses: RowLosses) -> Case:
    stream, seen = measured.stream, losses.seen()
    return Case(
        stream.name,
        stream.kind,
        delay,
        stream.control,
        seen,
        losses.charged(),
        losses,
        measured.inputs[delay:],
        max(2, round(seen.periods * HISTORY)),
    )
