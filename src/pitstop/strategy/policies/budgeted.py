"""At most B retrains: the shadow plan with a budget that runs out, so that the best stops get it.

The budget is a state of the plan: B(h, b) = min_k { Σ_{a<k} g(a) + [k<h and b>0] α + B(h-k, b-1) },
and B(h, 0) without a stop.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from pitstop.errors import SpecError
from pitstop.strategy.base import Alternative, Costs, Decision, History, conclude
from pitstop.strategy.policies.shadow_plan import Plan, departure_of
from pitstop.strategy.staleness import Excess, StalenessCurve, excess_of, fit_curve


@dataclass(frozen=True)
class Budgeted:
    """Releases as the shadow plan does, but at most `retrains` times in all."""

    retrains: int

    def __post_init__(self) -> None:
        """Refuse a budget of nothing."""
        if self.retrains < 1:
            msg = f"got a budget of {self.retrains} retrains; expected at least 1, or the policy never"
            raise SpecError(msg)

    @property
    def name(self) -> str:
        """`at_most_3_retrains`."""
        return f"at_most_{self.retrains}_retrains"

    def decide(self, history: History, costs: Costs, as_of: int) -> Decision:
        """Return "retrain" where the plan that spends one of the budget now is the cheaper one."""
        left = max(0, self.retrains - len(history.releases))
        curve = fit_curve(history.matrix)
        excess = excess_of(history.matrix, history.served, curve)
        plan = plan_within(curve, excess, history.age, history.remaining, costs.release, left)
        retrain = left > 0 and plan.stops(costs.release, excess)
        reason = (
            f"{left} of {self.retrains} retrains are left; waiting is expected to cost {plan.keep:,.2f} within "
            f"{history.remaining} periods, spending one now {costs.release + plan.retrain:,.2f}."
        )
        return conclude(
            self.name,
            history,
            as_of,
            retrain=retrain,
            reason=reason,
            gain=plan.keep - plan.retrain,
            price=costs.release,
            alternatives=(Alternative("keep", plan.keep), Alternative("retrain", costs.release + plan.retrain)),
        )


def plan_within(curve: StalenessCurve, excess: Excess, age: int, horizon: int, release: float, budget: int) -> Plan:
    """Return the costs of the best plans with at most `budget` releases; `retrain` has spent one of them already."""
    departure = departure_of(excess)
    fresh = list(accumulate((curve.at(age) for age in range(horizon)), initial=0.0))
    stale = list(accumulate((max(0.0, curve.at(age + ahead) + departure) for ahead in range(horizon)), initial=0.0))

    def best_of(costs: list[float], ahead: int, left: int) -> float:
        if left <= 0:
            return costs[ahead]
        stops = (costs[k] + release + best(ahead - k, left - 1) for k in range(1, ahead))
        return min([costs[ahead], *stops])

    @cache
    def best(ahead: int, left: int) -> float:
        return best_of(fresh, ahead, left)

    return Plan(best_of(stale, horizon, budget), best(horizon, budget - 1))
