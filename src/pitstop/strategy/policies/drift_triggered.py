"""Retrain when the inputs have moved. For comparison only: not every shift hurts, and not everything that hurts shifts.

The distance of two periods is the mean absolute difference of their mean inputs, each in units of its spread. Retrain
when the newest period lies further from the one in which the model was fitted than 90% of all earlier pairs do. In the
study this cost about 20% more than the hindsight optimum: a drift alarm is a reason to look.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pitstop.strategy.base import Alternative, Costs, Decision, History, conclude

_QUANTILE = 0.9
_LEAST_PERIODS = 4


@dataclass(frozen=True)
class DriftTriggered:
    """Retrains on a shift of the inputs; without counted inputs it keeps."""

    name: str = "drift_triggered"

    def decide(self, history: History, costs: Costs, as_of: int) -> Decision:
        """Return "retrain" where the inputs lie unusually far from those at the model's fit."""
        price = costs.release + costs.fit
        inputs, fitted = history.inputs, max(0, history.served - 1)
        moved, usual = 0.0, float("inf")
        if inputs is not None and len(inputs) >= _LEAST_PERIODS and history.age > 0:
            distances = np.abs(inputs[:-1, None] - inputs[None, :-1]).mean(axis=2)
            pairs = distances[np.triu_indices(len(distances), 1)]
            usual = float(np.quantile(pairs, _QUANTILE))
            moved = float(np.abs(inputs[-1] - inputs[fitted]).mean())
        retrain = usual < float("inf") and moved > usual and price <= history.largest_saving()
        if inputs is None:
            reason = "Nobody counts the inputs, so no shift can be seen."
        elif usual == float("inf"):
            reason = "There are too few periods yet to tell a shift from the usual."
        else:
            reason = (
                f"The inputs lie {moved:.2f} spreads from those at the model's fit; "
                f"90% of earlier pairs of periods lie within {usual:.2f}."
            )
        return conclude(
            self.name,
            history,
            as_of,
            retrain=retrain,
            reason=reason,
            gain=0.0,
            price=price,
            alternatives=(Alternative("keep", 0.0), Alternative("retrain", price)),
        )
