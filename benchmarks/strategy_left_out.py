"""The default policy's free numbers, chosen for each stream on the others: what choosing in sight of them was worth.

The shipped numbers were found with the scored streams in sight. Here each stream gets those of a small grid that were
best elsewhere: how many standard errors a departure has to pass before it counts for a release and for waiting, and the
staleness that a curve begins from, in multiples of the study's. "Best" was fixed before anything was run: the mean
excess over both delays, and a quarter of that on the worst stream. So was what may change a shipped number: another
point of the grid that is chosen for all but two streams or more.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np

from benchmarks.strategy_cases import LEVELS, Case
from pitstop.strategy.policies.shadow_plan import ERRORS_BETTER, ERRORS_WORSE, ShadowPlan
from pitstop.strategy.staleness import PRIOR_MEAN

Key = tuple[str, int]
Point = tuple[float, float, float]
"""Errors for a release, errors for waiting, multiple of the shipped prior."""

WORSE = (1.0, ERRORS_WORSE, 2.326)
BETTER = (0.0, ERRORS_BETTER, 1.645)
PRIOR = (0.5, 1.0, 2.0)
SHIPPED: Point = (ERRORS_WORSE, ERRORS_BETTER, 1.0)


def policy_at(point: Point) -> ShadowPlan:
    """Return the shadow plan with the numbers of a point."""
    worse, better, times = point
    return ShadowPlan(prior_mean=(times * PRIOR_MEAN[0], times * PRIOR_MEAN[1]), worse=worse, better=better)


def chosen_elsewhere(cases: Mapping[Key, Case], bests: Mapping[Key, list[float]]) -> dict[str, Point]:
    """Return for each stream the point of the grid that was best on all other streams; the shipped one on a tie."""
    points: list[Point] = [SHIPPED, *(point for point in product(WORSE, BETTER, PRIOR) if point != SHIPPED)]
    names = list(dict.fromkeys(name for name, _ in cases))
    excess = np.array([[_excess(cases, bests, name, policy_at(point)) for name in names] for point in points])
    found = {}
    for place, name in enumerate(names):
        others = np.delete(excess, place, axis=1)
        score = others.mean(axis=1) + others.max(axis=1) / 4.0
        found[name] = points[int(np.argmin(score))]
    return found


def _excess(cases: Mapping[Key, Case], bests: Mapping[Key, list[float]], name: str, policy: ShadowPlan) -> float:
    """Return a stream's excess over the hindsight optimum in percent, mean over prices and delays."""
    found = [
        100 * (case.cost(case.walked(policy, level), level) / best - 1)
        for key, case in cases.items()
        if key[0] == name
        for level, best in zip(LEVELS, bests[key], strict=True)
    ]
    return float(np.mean(found))
