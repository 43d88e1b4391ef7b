"""Retrain when the last period was worse than the first by a threshold, tuned on the past (after CARA, threshold).

Source: Mahadevan and Mathioudakis, "Cost-aware retraining for machine learning" (arXiv 2310.04216). Their staleness
weighs the loss by similarity of queries; here it is the realised rise of the loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pitstop.strategy.base import Alternative, Costs, Decision, History, conclude
from pitstop.strategy.live import live_losses, tuned

# Shares of all rises seen so far that are tried as thresholds.
_SHARES = (0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 0.97)


def rise(live: Sequence[float]) -> float:
    """Return how much more the last period lost than the first."""
    return live[-1] - live[0]


@dataclass(frozen=True)
class CaraThreshold:
    """Retrains when the rise of the live loss reaches the threshold that was cheapest so far."""

    name: str = "cara_threshold"

    def decide(self, history: History, costs: Costs, as_of: int) -> Decision:
        """Return "retrain" where the last rise, in currency per period of the usual size, reaches the threshold."""
        price = costs.release + costs.fit
        live = live_losses(history)
        found = tuned(history.matrix, _candidates(history), price, cumulative=False)
        last = rise(live) if live else 0.0
        retrain = len(live) > 1 and last >= found.threshold and price <= history.largest_saving()
        reason = f"The last period lost {last:,.2f} more than the model's first; "
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


def _candidates(history: History) -> list[float]:
    scaled = history.matrix.losses * history.matrix.scale()
    with np.errstate(invalid="ignore"):
        rises = scaled - np.diag(scaled)[:, None]
    rises = rises[np.isfinite(rises) & (rises > 0)]
    return [float(value) for value in np.quantile(rises, _SHARES)] if rises.size else []
