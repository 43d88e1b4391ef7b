"""The shadow plan: release when the cheapest plan that releases now beats the cheapest plan that waits.

A candidate is fitted each period and scored beside the served model on the same rows (a shadow). The gaps give a
staleness curve g; the served model's own recent gaps give its departure λ from it, shrunk by one standard error. Then,
with α the price of a release and H the periods ahead, `B(h)` is the cheapest cost of h periods that start fresh:
`B(h) = min_k { Σ_{a<k} g(a) + [k<h] α + B(h-k) }`, and the plan retrains iff
`α + B(H) < min_k { Σ_{q<k} max(0, g(age+q) + λ) + [k<H] α + B(H-k) }`.
Source: the strategy study ("SP, exactly"); its forms and constants were fixed there.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from pitstop.strategy.base import Alternative, Costs, Decision, History, conclude, in_words
from pitstop.strategy.staleness import PRIOR_MEAN, Excess, StalenessCurve, excess_of, fit_curve


@dataclass(frozen=True)
class Plan:
    """Expected costs in currency over the horizon: of the best plan that keeps now, and of the best that releases now.

    `retrain` is without the price of that first release.
    """

    keep: float
    retrain: float


@dataclass(frozen=True)
class ShadowPlan:
    """Plans over the horizon with a curve learnt from shadows. Fits are sunk, so only the release is weighed.

    `prior_mean` is what the curve leans on before there is evidence (see `staleness.fit_curve`).
    """

    name: str = "shadow_plan"
    prior_mean: tuple[float, float] = PRIOR_MEAN

    def decide(self, history: History, costs: Costs, as_of: int) -> Decision:
        """Return "retrain" where the plan that releases now is the cheaper one."""
        curve = fit_curve(history.matrix, self.prior_mean)
        excess = excess_of(history.matrix, history.served, curve)
        plan = plan_ahead(curve, excess, history.age, history.remaining, costs.release)
        retrain = costs.release + plan.retrain < plan.keep
        if excess.columns:
            more = in_words(excess.recent)
            seen = f"lately lost {more} ± {in_words(excess.recent_error)} a period more than a fresh one"
        else:
            seen = "has not been compared with a newer one yet"
        reason = (
            f"A stop {'pays' if retrain else 'does not pay yet'}: over the next {history.remaining} periods waiting is "
            f"expected to cost {in_words(plan.keep)}, stopping now {in_words(costs.release + plan.retrain)}, the "
            f"release included. The model is {history.age_text} old and {seen}."
        )
        return conclude(
            self.name,
            history,
            as_of,
            retrain=retrain,
            reason=reason,
            gain=plan.keep - plan.retrain,
            price=costs.release,
            alternatives=(
                Alternative("keep", plan.keep),
                Alternative("retrain", costs.release + plan.retrain),
            ),
        )


def plan_ahead(curve: StalenessCurve, excess: Excess, age: int, horizon: int, release: float) -> Plan:
    """Return the costs of the best plans for `horizon` periods from a model that is `age` periods old."""
    departure = departure_of(excess)
    fresh = list(accumulate((curve.at(age) for age in range(horizon)), initial=0.0))
    best = [0.0]
    for ahead in range(1, horizon + 1):
        best.append(min(fresh[k] + (release if k < ahead else 0.0) + best[ahead - k] for k in range(1, ahead + 1)))
    stale = list(
        accumulate((max(0.0, curve.at(age + ahead) + departure) for ahead in range(horizon)), initial=0.0),
    )
    keep = min(stale[k] + (release if k < horizon else 0.0) + best[horizon - k] for k in range(1, horizon + 1))
    return Plan(keep, best[horizon])


def departure_of(excess: Excess) -> float:
    """Return λ: how far the served model lies off the curve, in currency a period, shrunk by one standard error."""
    shift = max(0.0, abs(excess.departure) - excess.recent_error)
    return shift if excess.departure > 0 else -shift
