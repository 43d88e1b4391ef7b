"""Retrain when the rises of the loss since the release add up to a threshold tuned on the past (cumulative CARA).

Source as for `cara_threshold`. With the threshold fixed at the price of a retrain it would be `debt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pitstop.strategy.base import Alternative, Costs, Decision, History, conclude
from pitstop.strategy.live import live_losses, tuned

# Multiples of the price that are tried as thresholds.
_MULTIPLES = (0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)


def risen(live: Sequence[float]) -> float:
    """Return the sum of what each period lost more than the first."""
    return sum(max(0.0, loss - live[0]) for loss in live)


@dataclass(frozen=True)
class CaraCumulative:
    """Retrains when the summed rise of the live loss reaches the threshold that was cheapest so far."""

    name: str = "cara_cumulative"

    def decide(self, history: History, costs: Costs, as_of: int) -> Decision:
        """Return "retrain" where the sum, in currency per period of the usual size, reaches the threshold."""
        price = costs.release + costs.fit
        live = live_losses(history)
        found = tuned(history.matrix, [share * price for share in _MULTIPLES], price, cumulative=True)
        total = risen(live) if live else 0.0
        retrain = total > 0 and total >= found.threshold and price <= history.largest_saving()
        reason = f"Since its first period the model has lost {total:,.2f} more than then; "
        reason += (
            f"the threshold that was cheapest so far is {found.threshold:,.2f}."
            if np.isfinite(found.threshold)
            else "so far no threshold was cheaper than never to retrain."
        )
        return conclude(
            self.name,
            history,
            as_of,
            retrain=retrain,
            reason=reason,
            gain=max(0.0, found.never - found.cost) * history.remaining,
            price=price,
            alternatives=(
                Alternative("keep", found.never * history.remaining),
                Alternative("retrain", found.cost * history.remaining),
            ),
        )
