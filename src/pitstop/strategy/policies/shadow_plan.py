"""The shadow plan: release when the cheapest plan that releases now beats the cheapest plan that waits.

A candidate is fitted each period and scored beside the served model on the same rows (a shadow). The gaps give a
staleness curve g; the served model's own recent gaps give its departure λ from it, as far as it passes one standard
error. Nobody knows how long a departure lasts, so what waiting costs is the mean of two readings: λ_q = λ in each of
the q periods to come, and λ_q = λ times the share that was left of earlier departures after q periods (`fading`). With
α the price of a release and H the periods ahead, `B(h)` is the cheapest cost of h periods that start fresh,
`B(h) = min_k { Σ_{a<k} g(a) + [k<h] α + B(h-k) }`, and the plan retrains iff
`α + B(H) < mean over readings of min_k { Σ_{q<k} max(0, g(age+q) + λ_q) + [k<H] α + B(H-k) }`.
Source: the strategy study ("SP, exactly"), which has the first reading only; why it was changed stands in
`docs/decisions/0029-staleness-that-fades.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from pitstop.strategy.base import Alternative, Costs, Decision, History, conclude, in_words
from pitstop.strategy.fading import departure_paths, shares_left
from pitstop.strategy.staleness import PRIOR_MEAN, Excess, StalenessCurve, excess_of, fit_curve

# How many of its standard errors a departure has to pass before it counts; what counts is what is beyond them. Two
# were tried as the default, and what spoke against them stands in decision 0029.
ERRORS = 1.0
# The 95% point of a normal distribution: both ends of an interval of 90%.
_WIDTH = 1.645


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

    `prior_mean` is what the curve leans on before there is evidence (see `staleness.fit_curve`); a departure counts as
    far as it passes `errors` of its standard errors; without `fading` it lasts.
    """

    name: str = "shadow_plan"
    prior_mean: tuple[float, float] = PRIOR_MEAN
    errors: float = ERRORS
    fading: bool = True

    def decide(self, history: History, costs: Costs, as_of: int) -> Decision:
        """Return "retrain" where the plan that releases now is the cheaper one."""
        curve = fit_curve(history.matrix, self.prior_mean)
        excess = excess_of(history.matrix, history.served, curve)
        departure = departure_of(excess, self.errors)
        ahead = history.remaining
        shares = shares_left(history.matrix, curve, ahead) if self.fading else (1.0,) * ahead
        low, plan, high = (
            plan_ahead(curve, departure_paths(level, shares), history.age, costs.release)
            for level in (
                excess.departure - _WIDTH * excess.recent_error,
                departure,
                excess.departure + _WIDTH * excess.recent_error,
            )
        )
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
            interval=(low.keep - low.retrain, high.keep - high.retrain) if excess.columns else None,
            price=costs.release,
            alternatives=(
                Alternative("keep", plan.keep),
                Alternative("retrain", costs.release + plan.retrain),
            ),
        )


def plan_ahead(curve: StalenessCurve, paths: Sequence[Sequence[float]], age: int, release: float) -> Plan:
    """Return the costs of the best plans from a model that is `age` periods old.

    Each path is one reading of how far the served model will lie off the curve, in currency, in each of the periods to
    come; all have the length of the horizon. What keeping costs is the mean over the readings.
    """
    horizon = len(paths[0])
    fresh = list(accumulate((curve.at(age) for age in range(horizon)), initial=0.0))
    best = [0.0]
    for ahead in range(1, horizon + 1):
        best.append(min(fresh[k] + (release if k < ahead else 0.0) + best[ahead - k] for k in range(1, ahead + 1)))
    keep = 0.0
    for path in paths:
        stale = list(accumulate((max(0.0, curve.at(age + ahead) + off) for ahead, off in enumerate(path)), initial=0.0))
        keep += min(stale[k] + (release if k < horizon else 0.0) + best[horizon - k] for k in range(1, horizon + 1))
    return Plan(keep / len(paths), best[horizon])


def departure_of(excess: Excess, errors: float = ERRORS) -> float:
    """Return λ: how far the served model lies off the curve, in currency a period, less `errors` standard errors."""
    shift = max(0.0, abs(excess.departure) - errors * excess.recent_error)
    return shift if excess.departure > 0.0 else -shift
