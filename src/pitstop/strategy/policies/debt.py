"""Debt against cost, from live losses only: retrain when staleness has cost as much as a retrain.

The rule needs no candidates: `debt += max(0, loss of the period - loss of the first period after the release)`, retrain
when debt >= cost. It cannot tell a hard month from a stale model; where candidates are fitted, prefer `shadow_plan`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pitstop.strategy.base import Alternative, Costs, Decision, History, conclude


@dataclass(frozen=True)
class Debt:
    """Retrains when the debt since the release reaches the price of a release and its fit."""

    name: str = "debt"

    def decide(self, history: History, costs: Costs, as_of: int) -> Decision:
        """Return "retrain" where the debt, in currency per period of the usual size, has reached the price."""
        price = costs.release + costs.fit
        debt = _debt(history)
        most = history.largest_saving()
        retrain = debt > 0 and price <= min(debt, most)
        reason = (
            f"Since its first period the model has lost {debt:,.2f} more than at its start, "
            f"{'which reaches' if debt >= price else 'less than'} the {price:,.2f} that a retrain costs"
        )
        if not debt:
            reason = "The model has lost no more in any period than in its first: a retrain has nothing to win back"
        elif debt >= price > most:
            reason += f", but even a perfect model could save only {most:,.2f} within {history.remaining} periods"
        return conclude(
            self.name,
            history,
            as_of,
            retrain=retrain,
            reason=reason + ".",
            gain=debt,
            price=price,
            alternatives=(Alternative("keep", debt), Alternative("retrain", price)),
        )


def _debt(history: History) -> float:
    matrix = history.matrix
    if history.served >= matrix.periods:
        return 0.0
    live = matrix.losses[history.served] * matrix.scale()
    live = live[np.isfinite(live)]
    return float(np.maximum(0.0, live[1:] - live[0]).sum()) if live.size else 0.0
