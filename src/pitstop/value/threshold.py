"""Threshold advice for binary models: the profit curve of labelled rows, and what today's threshold costs.

EV(t) is what the rows would have earned had every score of at least `t` been acted on. Scores need no calibration, and
amounts may differ from row to row. The best threshold of a sample always looks better on that sample than it is, so the
regret is measured across: chosen on the even windows, charged on the odd ones, and the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pitstop.errors import ColumnValueError, SpecError
from pitstop.records.spec import ModelSpec
from pitstop.value.function import Amounts, outcome_values
from pitstop.value.money import money
from pitstop.value.returns import Gain, gain_of

STEPS = 1000
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Advice:
    """The profit curve and what follows from it.

    `thresholds` float64[1002] ascending, the last one above every score (never act); `profit` int64 of the same shape,
    in ticks; `today` and `best` are thresholds; `regret` is what the rows would have earned more, measured across.
    """

    thresholds: Floats
    profit: Ints
    today: float
    today_profit: Decimal
    best: float
    regret: Gain

    @property
    def worth_changing(self) -> bool:
        """Whether another threshold is better beyond what chance explains."""
        return self.regret.low is not None and self.regret.low > 0

    @property
    def best_profit(self) -> Decimal:
        """What the best threshold would have earned on these very rows: the top of the curve, and flattering."""
        return money(int(self.profit.max()))


def advise(spec: ModelSpec, scores: ArrayLike, labels: ArrayLike, amounts: Amounts, windows: Ints) -> Advice:
    """Return threshold advice from labelled rows; `windows` are those of their predictions.

    Raises `SpecError` for tasks other than binary, and `ColumnValueError` without rows or for scores outside [0, 1].
    """
    if spec.model.task != "binary":
        msg = f"a threshold is a matter of binary tasks, got {spec.model.task!r}"
        raise SpecError(msg)
    score = np.asarray(scores, dtype=np.float64)
    if not len(score) or not ((score >= 0) & (score <= 1)).all():
        msg = f"threshold advice needs labelled rows with scores from 0 to 1, got {len(score)} rows"
        raise ColumnValueError(msg)
    acting = np.ones(len(score), dtype=bool)
    act, leave = (outcome_values(spec, choice, labels, amounts) for choice in (acting, ~acting))
    grid = np.append(np.arange(STEPS + 1) / STEPS, np.nextafter(1.0, 2.0))
    # Row i is acted on at every threshold up to the last one that its score reaches.
    reach = np.searchsorted(grid, score, side="right") - 1
    days, place = np.unique(windows, return_inverse=True)
    gained = np.zeros((len(days), len(grid)), dtype=np.int64)
    np.add.at(gained, (place, reach), act - leave)
    base = np.zeros(len(days), dtype=np.int64)
    np.add.at(base, place, leave)
    curves = base[:, None] + np.cumsum(gained[:, ::-1], axis=1)[:, ::-1]
    now = np.where(score >= spec.decision.threshold, act, leave)
    today = np.zeros(len(days), dtype=np.int64)
    np.add.at(today, place, now)
    counts = np.bincount(place, minlength=len(days))
    even = np.arange(len(days)) % 2 == 0
    chosen = np.where(even, _best(curves[~even]), _best(curves[even]))
    better = curves[np.arange(len(days)), chosen] - today
    blocks = [(int(day), int(count), int(gain)) for day, count, gain in zip(days, counts, better, strict=True)]
    profit = curves.sum(axis=0)
    return Advice(
        thresholds=grid,
        profit=profit,
        today=spec.decision.threshold,
        today_profit=money(int(today.sum())),
        best=float(grid[_best(curves)]),
        regret=gain_of(blocks if len(days) > 1 else []),
    )


def _best(curves: Ints) -> int:
    """Return the place of the best threshold, the middle one of equals: a plateau's edge is the least safe place."""
    profit = curves.sum(axis=0)
    top = np.flatnonzero(profit == profit.max())
    return int(top[len(top) // 2])
