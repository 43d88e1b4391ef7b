"""Intervals for the cost of schedules, and whether one surely costs less than another.

Intervals are a paired block bootstrap: the losses of a window are resampled for all schedules at once, so what was hard
for all cancels in differences. Runs of neighbouring windows are drawn together and wrap round at the end (circular
block bootstrap, Politis and Romano 1992), because days resemble their neighbours. Schedules are held fixed: the
intervals say what chance in the rows does to the bill, not what it would have done to the decisions.

"Surely" is a randomisation test: the history is cut into six stretches, and were two schedules equal, the difference in
each stretch could as well have had the other sign (Canay, Romano and Shaikh, "Randomization tests under an approximate
symmetry assumption", Econometrica 2017). A bootstrap takes the spread that it estimates for known, and a model that is
lucky for a whole period makes windows resemble each other for longer than its blocks: both call too much sure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRAWS = 1000
LEVEL = 0.9
# Stretches of the history: few, so that each is long against whatever ties neighbouring windows together; and enough
# for their signs (64 patterns) to tell a level of 10% with something to spare.
GROUPS = 6


@dataclass(frozen=True)
class Saving:
    """What a schedule saves against the incumbent, in currency, with an interval.

    `sure` is the lower end of the saving at the same level when all schedules are compared at once: the best of many
    looks good by chance, and this says how much is left of it.
    """

    mean: float
    low: float
    high: float
    sure: float


def block_length(count: int, least: int = 1) -> int:
    """Return how many neighbouring windows are drawn together: the cube root of their number, `least` at least."""
    return min(count, max(1, least, round(math.cbrt(count))))


def resampled(windows: Floats, seed: int, draws: int = DRAWS, least: int = 1) -> Floats:
    """Return totals of resampled windows, shape (draws, schedules), for losses of shape (schedules, windows).

    `least` windows are drawn together at least: those of a period, which one model serves.
    """
    count = windows.shape[1]
    length = block_length(count, least)
    pieces = -(-count // length)
    draw = np.random.default_rng(seed)
    starts = draw.integers(0, count, (draws, pieces))
    # The sum of each run of `length` windows that begins at a window, wrapping round.
    around = np.concatenate([windows, windows[:, : length - 1]], axis=1) if length > 1 else windows
    sums = np.concatenate([np.zeros((len(windows), 1)), np.cumsum(around, axis=1)], axis=1)
    runs = sums[:, length:] - sums[:, :-length]
    # The last run is longer than needed where the windows are no multiple of its length.
    return np.asarray((runs[:, starts].sum(axis=2) * (count / (pieces * length))).T)


def interval(totals: Floats) -> tuple[float, float]:
    """Return the interval that holds `LEVEL` of resampled totals."""
    low, high = np.quantile(totals, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def savings(
    windows: Floats, fixed: Floats, incumbent: int, seed: int, draws: int = DRAWS, least: int = 1
) -> tuple[Saving, ...]:
    """Return what each schedule saves against the one at place `incumbent`.

    `windows` are losses of shape (schedules, windows), `fixed` what each pays besides (releases, fits); `least` as in
    `resampled`.
    """
    costs = windows.sum(axis=1) + fixed
    means = costs[incumbent] - costs
    totals = resampled(windows, seed, draws, least) + fixed
    drawn = totals[:, [incumbent]] - totals
    sure = sure_savings(windows[[incumbent]] - windows, fixed[incumbent] - fixed, least)
    return tuple(
        Saving(mean, *interval(drawn[:, place]), min(mean, float(sure[place])))
        for place, mean in enumerate(means.tolist())
    )


def sure_savings(differences: Floats, fixed: Floats, least: int = 1) -> Floats:
    """Return the lower end of each saving when all are compared at once; -inf where the history is too short to tell.

    `differences`, shape (schedules, windows), is what each saves in each window, `fixed` what it saves besides; no
    stretch begins within `least` windows that belong together. If all were equal, one would be above 0 in at most one
    of ten histories (1 - `LEVEL`).
    """
    count = differences.shape[1]
    pieces = -(-count // least)
    groups = min(GROUPS, pieces)
    cuts = np.linspace(0, pieces, groups + 1).round().astype(np.int64)[:-1] * least
    saved = np.add.reduceat(differences, cuts, axis=1) + fixed[:, None] / groups
    totals = saved.sum(axis=1)
    deviations = saved.std(axis=1, ddof=1) if groups > 1 else np.zeros(len(saved))
    spreads = np.ptp(differences, axis=1) if count > 1 else np.abs(differences[:, 0])
    wide = spreads > 1e-12 * max(1.0, float(np.abs(differences).max()))
    # Without spread nothing is taken off, however few the windows.
    found = np.where(wide, -np.inf, totals)
    if groups > 1 and wide.any():
        signs = 1.0 - 2.0 * ((np.arange(2**groups)[:, None] >> np.arange(groups)) & 1)
        means = signs @ saved[wide].T / groups
        spread = np.maximum((saved[wide] ** 2).mean(axis=1) - means**2, 0.0) * groups / (groups - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = means / np.sqrt(spread / groups)
        # A mean of 0 has no sign, also where a schedule saves 0 in each stretch and has no spread (0 / 0).
        largest = np.where(means == 0.0, 0.0, ratios).max(axis=1)
        # A hair more, because the history's own signs are one of the patterns and are to be passed by none.
        critical = float(np.quantile(largest, LEVEL, method="higher")) * (1 + 1e-9)
        if math.isfinite(critical):
            found[wide] = totals[wide] - critical * deviations[wide] * math.sqrt(groups)
    return found
