"""The shadow plan: release when the cheapest plan that releases now beats the cheapest plan that waits.

A candidate is fitted each period and scored beside the served model on the same rows (a shadow). The gaps give a
staleness curve g; the served model's own recent gaps give its departure λ from it. A release cannot be taken back and
waiting can, so a departure that speaks for a release counts as far as it is sure (beyond 1.645 of its standard errors),
one that speaks for waiting beyond one. Nobody knows how long a departure lasts, so what waiting costs is the mean of
two readings: λ_q = λ in each of the q periods to come, and λ_q = λ times the share that was left of earlier departures
after q periods (`fading`). With α the price of a release and H the periods ahead, `B(h)` is the cheapest cost of h
periods that start fresh, `B(h) = min_k { Σ_{a<k} g(a) + [k<h] α + B(h-k) }`, and the plan retrains iff
`α + B(H) < mean over readings of min_k { Σ_{q<k} max(0, g(age+q) + λ_q) + [k<H] α + B(H-k) }`.
Where a departure does not count, both sides are often equal to the last bit; then its sign decides.
Source: the strategy study ("SP, exactly"), which has the first reading only and one error on both sides; why it was
changed stands in `docs/decisions/0029-staleness-that-fades.md` and `0045-what-counts-as-evidence.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from pitstop.strategy.base import Alternative, Costs, Decision, History, conclude, in_words
from pitstop.strategy.fading import departure_paths, shares_left
from pitstop.strategy.staleness import (
    PRIOR_MEAN,
    Excess,
    StalenessCurve,
    cheapest_from_fresh,
    excess_of,
    fit_curve,
)

# The 95% point of a normal distribution: both ends of an interval of 90%.
_WIDTH = 1.645
# How many of its standard errors a departure has to pass before it counts; what counts is what is beyond them. Worse
# than the curve says, and better than it: decision 0045.
ERRORS_WORSE = _WIDTH
ERRORS_BETTER = 1.0
# Costs closer than this share of them are equal: the same sums in another order.
_EQUAL = 1e-9


@dataclass(frozen=True)
class Plan:
    """Expected costs in currency over the horizon: of the best plan that keeps now, and of the best that releases now.

    `retrain` is without the price of that first release.
    """

    keep: float
    retrain: float

    def stops(self, release: float, excess: Excess) -> bool:
        """Return whether to release now; where both cost the same, whether the model is worse than its age says."""
        saving = self.keep - self.retrain - release
        if abs(saving) <= _EQUAL * max(self.keep, release):
            return excess.departure > 0.0
        return saving > 0.0


@dataclass(frozen=True)
class ShadowPlan:
    """Plans over the horizon with a curve learnt from shadows. Fits are sunk, so only the release is weighed.

    `prior_mean` is what the curve leans on before there is evidence (see `staleness.fit_curve`); a departure counts as
    far as it passes `worse` of its standard errors where the model lost more than the curve says, `better` of them
    where it lost less; without `fading` it lasts.
    """

    name: str = "shadow_plan"
    prior_mean: tuple[float, float] = PRIOR_MEAN
    worse: float = ERRORS_WORSE
    better: float = ERRORS_BETTER
    fading: bool = True

    def decide(self, history: History, costs: Costs, as_of: int) -> Decision:
        """Return "retrain" where the plan that releases now is the cheaper one."""
        curve = fit_curve(history.matrix, self.prior_mean)
        excess = excess_of(history.matrix, history.served, curve)
        departure = departure_of(excess, self.worse, self.better)
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
        retrain = plan.stops(costs.release, excess)
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
    best = cheapest_from_fresh(curve, horizon, release)
    keep = 0.0
    for path in paths:
        stale = list(accumulate((max(0.0, curve.at(age + ahead) + off) for ahead, off in enumerate(path)), initial=0.0))
        keep += min(stale[k] + (release if k < horizon else 0.0) + best[horizon - k] for k in range(1, horizon + 1))
    return Plan(keep / len(paths), best[horizon])


def departure_of(excess: Excess, worse: float = ERRORS_WORSE, better: float = ERRORS_BETTER) -> float:
    """Return λ: how far the served model lies off the curve, in currency a period, as far as it counts.

    Less `worse` standard errors where it is positive, towards 0 by `better` of them where it is negative.
    """
    if excess.departure > 0.0:
        return max(0.0, excess.departure - worse * excess.recent_error)
    return min(0.0, excess.departure + better * excess.recent_error)
