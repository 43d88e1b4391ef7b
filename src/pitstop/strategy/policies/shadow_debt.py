"""Shadow debt: retrain when the served model has provably lost the price of a release to fresher ones, and still does.

Retrain iff `Σ (L[r,j] - L[fresh,j]) - √ΣV >= α` since the release and `remaining · ρ >= α`, ρ = max(0, mean of the last
three gaps - its standard error). Source: the strategy study, second voter. Its term for undecided periods is 0 here,
because columns of arrived labels are complete when they close.
"""

from __future__ import annotations

from dataclasses import dataclass

from pitstop.strategy.base import Alternative, Costs, Decision, History, conclude
from pitstop.strategy.staleness import excess_of, fit_curve


@dataclass(frozen=True)
class ShadowDebt:
    """Retrains when paired debt and expected saving both reach the price of a release."""

    name: str = "shadow_debt"

    def decide(self, history: History, costs: Costs, as_of: int) -> Decision:
        """Return "retrain" where both amounts, in currency, reach the price."""
        excess = excess_of(history.matrix, history.served, fit_curve(history.matrix))
        debt = excess.total - excess.total_error
        saving = history.remaining * max(0.0, excess.recent - excess.recent_error)
        price = costs.release
        reason = (
            f"Since its release the model has surely lost {max(0.0, debt):,.2f} to fresher ones in "
            f"{excess.columns} periods and is expected to lose {saving:,.2f} more within {history.remaining}; "
            f"a release costs {price:,.2f}."
        )
        return conclude(
            self.name,
            history,
            as_of,
            retrain=excess.columns > 0 and saving > 0 and min(debt, saving) >= price,
            reason=reason,
            gain=saving,
            price=price,
            alternatives=(Alternative("keep", saving), Alternative("retrain", price)),
        )
