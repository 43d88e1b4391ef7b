"""Which rows to decide at random, and how often, so that models can be compared where the decision hides the outcome.

Only rows that the models decide differently say which is better; of those, the ones whose label the served decision
hides have to be explored. Each such row is given a chance p_i to show its label, so that the variance of a doubly
robust comparison, the mean of s_i^2 / p_i, is the least that a budget can buy: p_i grows with s_i / sqrt(cost_i)
(Neyman 1934), between the least chance that counts in full and 1. The plan is a recommendation: whoever decides draws,
decides the other way, and logs p_i with the row ([columns] propensity).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import StrategyError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_BISECTIONS = 80


@dataclass(frozen=True)
class Exploration:
    """A plan for rows as they come. `rates[i]` is how often a row like i is decided the other way; 0: never.

    `chances[i]` is what to log for it: the chance that its label is revealed. `expected` rows are explored of as many
    as the plan was made for, for `cost` in currency. `variance` is that of one row in the comparison, in currency
    squared.
    """

    rates: Floats
    chances: Floats
    expected: float
    cost: float
    variance: float

    def rows_for(self, difference: float, alpha: float) -> int:
        """Return about how many rows prove a difference of mean losses (currency a row, not 0) at an error of alpha.

        2 ln(1/alpha) variance / difference^2, what a bettor needs who knows both: a guess for a sentence, no promise.
        """
        if not (difference != 0.0 and math.isfinite(difference) and 0.0 < alpha < 1.0):
            msg = f"got a difference of {difference} and alpha {alpha}; expected a number that is not 0, a probability"
            raise StrategyError(msg)
        return math.ceil(2.0 * -math.log(alpha) * self.variance / difference**2)


def plan_exploration(
    differing: Bools, shown: Bools, spread: Floats, cost: Floats, budget: float, least_chance: float = 0.01
) -> Exploration:
    """Return how often each of some typical rows should be decided the other way, within an expected `budget`.

    `differing` says where the models decide differently, `shown` where the decision that would be served shows the
    label by itself. `spread` is the standard deviation of a row's difference of losses before its label, and `cost`
    what deciding it the other way is expected to cost, both in currency and above 0 where it matters; `budget` is for
    all the rows together. Raises `StrategyError` for numbers that are none of that, and where the budget does not pay
    for `least_chance` on every row that has to be explored: a comparison without them would be refused.
    """
    explored = differing & ~shown
    known = (spread >= 0.0) & np.isfinite(spread)
    usable = known & (spread > 0.0) & (cost > 0.0) & np.isfinite(cost)
    if (
        not (usable | ~explored).all()
        or not (known | ~differing).all()
        or not budget >= 0.0
        or not 0.0 < least_chance <= 1.0
    ):
        msg = (
            f"got spreads from {spread.min(initial=math.inf):g}, costs from {cost.min(initial=math.inf):g}, a budget "
            f"of {budget:g} and a least chance of {least_chance:g}; expected finite spreads and costs above 0 where "
            "models differ, a budget of at least 0 and a probability"
        )
        raise StrategyError(msg)
    price, worth = cost[explored], spread[explored] / np.sqrt(np.where(explored, cost, 1.0)[explored])
    least = float(least_chance * price.sum())
    if least > budget:
        msg = (
            f"exploring {int(explored.sum()):,} rows at the least chance of {least_chance:g} costs {least:,.2f}, and "
            f"the budget is {budget:,.2f}; raise it, or compare a challenger that decides more rows like the champion"
        )
        raise StrategyError(msg)
    rates = np.zeros(len(differing))
    rates[explored] = _within(worth, price, budget, least_chance)
    chances = np.where(shown, 1.0, rates)
    errors = np.where(differing, spread**2 / np.where(differing, chances, 1.0), 0.0)
    return Exploration(
        rates,
        chances,
        float(rates.sum()),
        float(rates[explored] @ price),
        float(errors.mean()) if len(errors) else 0.0,
    )


def _within(worth: Floats, price: Floats, budget: float, least: float) -> Floats:
    """Return min(1, max(least, t worth)) for the largest t that the budget pays for."""
    if not worth.size:
        return worth
    low, high = 0.0, 1.0 / float(worth.min())
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        paid = float(np.clip(middle * worth, least, 1.0) @ price)
        low, high = (middle, high) if paid <= budget else (low, middle)
    top = np.ones(len(worth))
    return top if float(price.sum()) <= budget else np.clip(low * worth, least, 1.0)
