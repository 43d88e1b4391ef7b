"""The rolling period: every period, look up which cadence would have been cheapest so far, and follow it.

Each cadence k is replayed on the visible columns from every start in their first half; costs are averaged over starts
for each column, then over columns. Source: the strategy study, third voter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from pitstop.strategy.base import Alternative, Costs, Decision, History, conclude
from pitstop.strategy.matrix import LossMatrix

CADENCES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16)


@dataclass(frozen=True)
class RollingPeriod:
    """Retrains as soon as the served model is as old as the cadence that was cheapest so far."""

    name: str = "rolling_period"

    def decide(self, history: History, costs: Costs, as_of: int) -> Decision:
        """Return "retrain" where the model has reached the age of the cheapest cadence."""
        price = costs.release
        most = history.largest_saving()
        never = replayed_cost(history.matrix, None, price)
        costs_by_cadence = [(replayed_cost(history.matrix, every, price), -every) for every in CADENCES]
        cheapest, negative = min(costs_by_cadence, default=(never, 0))
        # On a tie the rarer retrain wins: it costs nobody's time.
        every = None if never <= cheapest else -negative
        gain = max(0.0, never - cheapest) * history.remaining
        retrain = every is not None and history.age >= every and price <= most
        if every is None:
            reason = f"So far no cadence would have been cheaper than never to retrain, at {price:,.2f} a release."
        else:
            cadence = "every period" if every == 1 else f"every {every} periods"
            reason = (
                f"So far retraining {cadence} would have been cheapest, at {cheapest:,.2f} a period "
                f"against {never:,.2f} without; the model is {history.age_text} old."
            )
        return conclude(
            self.name,
            history,
            as_of,
            retrain=retrain,
            reason=reason,
            gain=gain,
            price=price,
            alternatives=(
                Alternative("keep", never * history.remaining),
                Alternative("retrain", cheapest * history.remaining),
            ),
        )


@lru_cache(maxsize=8192)
def replayed_cost(matrix: LossMatrix, every: int | None, release: float) -> float:
    """Return the mean cost per period, in currency, of a cadence on these columns.

    `every` None is never to retrain. A start is a fitted model in the first half of the columns; a release takes the
    freshest model of that column, and happens only where that is newer than the served one. Columns that the served
    model was not scored in are left out. No columns: 0.
    """
    periods = matrix.periods
    scaled = matrix.scaled_rows
    fresh = [matrix.freshest(column) for column in range(periods)]
    total, count = [0.0] * periods, [0] * periods
    for start in range((periods + 1) // 2):
        if fresh[start] != start:
            continue
        served = start
        for column in range(start, periods):
            newest = fresh[column]
            charge = 0.0
            if every is not None and newest is not None and newest > served and column - served >= every:
                served, charge = newest, release
            if math.isfinite(scaled[served][column]):
                total[column] += scaled[served][column] + charge
                count[column] += 1
    means = [amount / starts for amount, starts in zip(total, count, strict=True) if starts]
    return sum(means) / len(means) if means else 0.0
