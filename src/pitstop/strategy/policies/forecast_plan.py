"""Forecast all periods to come from the matrix, and plan releases over them by dynamic programming.

As `forecast`, but over the horizon and not one period ahead. Unlike `shadow_plan` it takes losses as they are,
unpaired, and neither leans on a prior nor looks at the served model's own gaps.
"""

from __future__ import annotations

from dataclasses import dataclass

from pitstop.strategy.base import Alternative, Costs, Decision, History, conclude
from pitstop.strategy.policies.forecast import fit_forecast
from pitstop.strategy.policies.shadow_plan import Plan, plan_ahead
from pitstop.strategy.staleness import StalenessCurve


@dataclass(frozen=True)
class ForecastPlan:
    """Retrains where the cheapest plan on the forecast begins with a retrain."""

    name: str = "forecast_plan"

    def decide(self, history: History, costs: Costs, as_of: int) -> Decision:
        """Return "retrain" where the plan that releases now is the cheaper one."""
        price = costs.release + costs.fit
        found = fit_forecast(history.matrix)
        plan = Plan(0.0, 0.0)
        if found is not None:
            # The level and its trend are the same for all plans; only what age costs tells them apart.
            curve = StalenessCurve(max(0.0, found.coefficients[1]), max(0.0, found.coefficients[2]))
            plan = plan_ahead(curve, [[0.0] * history.remaining], history.age, price)
        retrain = price + plan.retrain < plan.keep and price <= history.largest_saving()
        reason = (
            f"Ageing is forecast to cost {plan.keep:,.2f} within {history.remaining} periods as it is, and "
            f"{price + plan.retrain:,.2f} with a retrain now."
        )
        return conclude(
            self.name,
            history,
            as_of,
            retrain=retrain,
            reason=reason,
            gain=plan.keep - plan.retrain,
            price=price,
            alternatives=(Alternative("keep", plan.keep), Alternative("retrain", price + plan.retrain)),
        )
