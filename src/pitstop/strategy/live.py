"""What the served model has lost since its release, as rules without candidates see it; and how such a rule is tuned.

A rule that looks at live losses only has a threshold. It is tuned by replaying the rule on the visible columns, so at
every decision anew and never on what is to come.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pitstop.strategy.base import History
from pitstop.strategy.matrix import LossMatrix


@dataclass(frozen=True)
class Tuned:
    """The cheapest threshold on the visible columns (infinite: never to retrain) and its cost per period."""

    threshold: float
    cost: float
    never: float


def live_losses(history: History) -> list[float]:
    """Return the served model's loss in each complete column since its fit, per period of the usual size."""
    matrix = history.matrix
    if history.served >= matrix.periods:
        return []
    live = matrix.losses[history.served] * matrix.scale()
    return [float(value) for value in live[np.isfinite(live)]]


def tuned(matrix: LossMatrix, thresholds: Sequence[float], release: float, *, cumulative: bool) -> Tuned:
    """Return the threshold that was cheapest so far; of equals the highest, which retrains least.

    What is compared with it is the rise of the last period's loss above the first one's since the release, or, if
    `cumulative`, the sum of such rises (falls count as none). Each threshold is replayed from every model of the first
    half of the columns; a release takes the freshest model of that column. Costs are averaged over starts for each
    column, then over columns, as `rolling_period` does.
    """
    never = _replayed(matrix, math.inf, release, cumulative)
    best, least = math.inf, never
    for threshold in sorted(set(thresholds), reverse=True):
        cost = _replayed(matrix, threshold, release, cumulative)
        if cost < least:
            best, least = threshold, cost
    return Tuned(best, least, never)


def _replayed(matrix: LossMatrix, threshold: float, release: float, cumulative: bool) -> float:
    scaled, periods = matrix.scaled_rows, matrix.periods
    fresh = [matrix.freshest(column) for column in range(periods)]
    total, count = [0.0] * periods, [0] * periods
    for start in range((periods + 1) // 2):
        if fresh[start] != start:
            continue
        served, first, staleness = start, math.nan, -math.inf
        for column in range(start, periods):
            newest, charge = fresh[column], 0.0
            if newest is not None and newest > served and staleness >= threshold:
                served, first, staleness, charge = newest, math.nan, -math.inf, release
            loss = scaled[served][column]
            if math.isfinite(loss):
                if math.isnan(first):
                    first, staleness = loss, 0.0
                elif cumulative:
                    staleness += max(0.0, loss - first)
                else:
                    staleness = loss - first
                total[column] += loss + charge
                count[column] += 1
    means = [amount / starts for amount, starts in zip(total, count, strict=True) if starts]
    return sum(means) / len(means) if means else 0.0
