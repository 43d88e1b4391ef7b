"""Two-sample tests, small and without tables: is a difference between two samples more than chance?

Each returns a two-sided p-value that is valid or slightly too large for rows drawn independently. Rows that hang
together in time are less informative than they look; comparing two stretches of time is the user's choice.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def kolmogorov_smirnov(reference: NDArray[np.float64], current: NDArray[np.float64]) -> float:
    """Return the largest difference of the empirical distribution functions, 0 to 1.

    Both sides finite and not empty.
    """
    first, second = np.sort(reference), np.sort(current)
    values = np.concatenate([first, second])
    below_first = np.searchsorted(first, values, side="right") / len(first)
    below_second = np.searchsorted(second, values, side="right") / len(second)
    return float(np.max(np.abs(below_first - below_second)))


def kolmogorov_smirnov_p(distance: float, rows: int, others: int) -> float:
    """Return the p-value of a Kolmogorov-Smirnov distance (Stephens 1970; too large where values repeat)."""
    effective = math.sqrt(rows * others / (rows + others))
    scaled = (effective + 0.12 + 0.11 / effective) * distance
    if scaled < 0.2:
        return 1.0
    terms = (2.0 * (-1) ** (step - 1) * math.exp(-2.0 * (step * scaled) ** 2) for step in range(1, 101))
    return min(1.0, max(0.0, math.fsum(terms)))


def rate_p(hits: int, rows: int, other_hits: int, other_rows: int) -> float:
    """Return the p-value of "both have one rate": twice the smaller tail of Fisher's exact test (hypergeometric)."""
    marked, total = hits + other_hits, rows + other_rows
    if marked in (0, total):
        return 1.0
    low, high = max(0, marked - rows), min(marked, other_rows)
    steps = np.arange(low, high, dtype=np.float64)
    # log P(k + 1) - log P(k) of the hypergeometric distribution of hits on the other side.
    ratios = np.log((marked - steps) * (other_rows - steps)) - np.log((steps + 1.0) * (rows - marked + steps + 1.0))
    logs = np.concatenate([[0.0], np.cumsum(ratios)])
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    at = other_hits - low
    return min(1.0, 2.0 * min(float(weights[: at + 1].sum()), float(weights[at:].sum())))


def counts_p(reference: NDArray[np.int64], current: NDArray[np.int64]) -> float:
    """Return the p-value of the chi-square test of homogeneity over the same cells.

    Cells that expect fewer than five rows on a side are pooled. The tail is Wilson and Hilferty's (1931) normal
    approximation of the cube root.
    """
    first, second = int(reference.sum()), int(current.sum())
    if not first or not second:
        return 1.0
    both = reference + current
    small = both * min(first, second) / (first + second) < 5.0
    table = np.stack([reference[~small], current[~small]])
    if small.any():
        table = np.concatenate([table, [[reference[small].sum()], [current[small].sum()]]], axis=1)
    expected = np.outer([first, second], table.sum(axis=0)) / (first + second)
    used = expected.min(axis=0) >= 1.0
    freedom = int(used.sum()) - 1
    if freedom < 1:
        return 1.0
    statistic = float(((table - expected) ** 2 / np.where(expected > 0, expected, 1.0))[:, used].sum())
    if freedom == 1:
        return math.erfc(math.sqrt(statistic / 2.0))
    spread = 2.0 / (9.0 * freedom)
    return 0.5 * math.erfc(((statistic / freedom) ** (1.0 / 3.0) - (1.0 - spread)) / math.sqrt(2.0 * spread))


def one_sided_only_p(rows_there: int, share: float) -> float:
    """Return the probability that exchangeable rows all fall on the side that holds `share` of all rows."""
    return share**rows_there


def normal_p(z: float) -> float:
    """Return the two-sided p-value of a standard normal value."""
    return math.erfc(abs(z) / math.sqrt(2.0))
