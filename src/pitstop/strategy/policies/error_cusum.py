"""A cumulative sum of the live loss: retrain when it has risen too far for too long (Page 1954).

S = max(0, S + (loss - mean - slack·spread)), retrain when S >= limit·spread. Mean and spread are those of fresh models
before the release, so a model that is bad from its first day on is seen as well. It knows no price.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pitstop.strategy.base import Alternative, Costs, Decision, History, conclude
from pitstop.strategy.live import live_losses

# Page's usual pair for a shift of one standard deviation: a false alarm in about 170 periods.
_SLACK = 0.5
_LIMIT = 4.0
# Fewer fresh losses than this have no spread to speak of.
_LEAST = 3


@dataclass(frozen=True)
class ErrorCusum:
    """Retrains when the cumulative rise of the live loss passes its limit."""

    name: str = "error_cusum"

    def decide(self, history: History, costs: Costs, as_of: int) -> Decision:
        """Return "retrain" where the sum, in currency per period of the usual size, has passed its limit."""
        price = costs.release + costs.fit
        mean, spread = _usual(history)
        total = 0.0
        for loss in live_losses(history):
            total = max(0.0, total + loss - mean - _SLACK * spread)
        limit = _LIMIT * spread
        retrain = limit > 0 and total >= limit and price <= history.largest_saving()
        reason = (
            f"The live loss has risen by {total:,.2f} in all above what chance explains; the limit is {limit:,.2f}."
        )
        return conclude(
            self.name,
            history,
            as_of,
            retrain=retrain,
            reason=reason,
            gain=total,
            price=price,
            alternatives=(Alternative("keep", total), Alternative("retrain", price)),
        )


def _usual(history: History) -> tuple[float, float]:
    """Return mean and spread of fresh losses up to the served model's first column; the spread is 0 where unknown."""
    matrix = history.matrix
    scale = matrix.scale()
    fresh = []
    for column in range(min(history.served + 1, matrix.periods)):
        model = matrix.freshest(column)
        if model is not None and np.isfinite(scale[column]):
            fresh.append(float(matrix.losses[model, column] * scale[column]))
    if len(fresh) < _LEAST:
        live = live_losses(history)[:_LEAST]
        fresh = live if len(live) == _LEAST else []
    return (float(np.mean(fresh)), float(np.std(fresh, ddof=1))) if fresh else (0.0, 0.0)
