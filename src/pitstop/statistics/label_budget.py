"""Which rows to have labelled when only a few can be, and what those labels say of all.

Rows are put into strata by the loss that is expected of them. A stratum gets labels in proportion to its size times the
standard deviation of its losses (Neyman 1934), rows within it are drawn at random. The estimate of the mean loss is
PPI++'s in each stratum (Angelopoulos, Duchi and Zrnic 2023): the mean expected loss of all its rows, corrected by what
the labelled ones show. It is unbiased whatever the expected losses are worth, also where the relation has changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pitstop.errors import StatisticError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_STRATA = 8
# Two labels give a variance, more a better one.
FEWEST_EACH, TYPICAL_EACH = 2, 12
# An expected chance of error of nothing or all is never quite believed: relations change.
DOUBT = 0.05


@dataclass(frozen=True)
class Plan:
    """The rows to label: `rows` are places in the population, `stratum` that of every row of the population."""

    rows: Ints
    stratum: Ints
    sizes: Ints


@dataclass(frozen=True)
class BudgetEstimate:
    """A mean loss with its 95% interval; `share` is how much of the expected losses PPI++ uses (lambda, 0 to 1)."""

    value: float
    low: float
    high: float
    labelled: int
    rows: int
    share: float


def plan_labels(expected: Floats, spread: Floats, labels: int, generator: np.random.Generator) -> Plan:
    """Draw `labels` rows from a population by the loss expected of each row and its standard deviation.

    `expected`, `spread`: float64[rows]. With as many labels as rows all are taken. Raises `StatisticError` for fewer
    than two labels or an empty population.
    """
    rows = len(expected)
    if labels < FEWEST_EACH or not rows:
        msg = f"got {labels} labels for {rows} rows; expected at least {FEWEST_EACH} labels and one row"
        raise StatisticError(msg)
    count = max(1, min(MOST_STRATA, labels // TYPICAL_EACH, rows // (2 * FEWEST_EACH)))
    edges = np.unique(np.quantile(expected, np.arange(1, count) / count))
    stratum = np.searchsorted(edges, expected, side="left")
    _, stratum = np.unique(stratum, return_inverse=True)
    sizes = np.bincount(stratum)
    weight = np.asarray(np.bincount(stratum, spread), dtype=np.float64)
    each = allocate(sizes.astype(np.int64), weight, min(labels, rows))
    chosen = [
        generator.choice(np.flatnonzero(stratum == part), number, replace=False) for part, number in enumerate(each)
    ]
    return Plan(np.sort(np.concatenate(chosen)), stratum.astype(np.int64), sizes.astype(np.int64))


def allocate(sizes: Ints, weight: Floats, labels: int) -> Ints:
    """Return the labels of each stratum: at least two where it has as many rows, never more than it has.

    Each further label goes where it lowers the variance most, which is Neyman's optimum in whole numbers (Wright 2012).
    They add up to `labels` (all rows at most), or to two a stratum where that is more.
    """
    each = np.minimum(sizes, FEWEST_EACH)
    for _ in range(min(labels, int(sizes.sum())) - int(each.sum())):
        gain = np.where(each < sizes, np.maximum(weight, 1e-12) / np.sqrt(each * (each + 1.0)), -1.0)
        each[int(np.argmax(gain))] += 1
    return each


def estimate_from_labels(
    sizes: Ints, means: Floats, stratum: Ints, expected: Floats, losses: Floats, *, rates: bool
) -> BudgetEstimate:
    """Return the mean loss of a population from the labelled rows of a plan.

    `sizes` and `means`: rows and mean expected loss of each stratum, of the whole population. `stratum`, `expected` and
    `losses`: of each labelled row. `rates` says that losses are 0 or 1. The interval is Student's, with the degrees of
    freedom of Satterthwaite (1946); where losses are rates, a stratum without errors still has the variance that
    Jeffreys' prior gives it. Raises `StatisticError` where a stratum of several rows has fewer than two labels.
    """
    counts = np.bincount(stratum, minlength=len(sizes))
    bare = np.flatnonzero(counts < np.minimum(sizes, FEWEST_EACH))
    if len(bare):
        msg = f"stratum {bare[0]} has {counts[bare[0]]} labelled rows of {sizes[bare[0]]}; label at least two of each"
        raise StatisticError(msg)
    share = _share(stratum, expected, losses, counts)
    weights = sizes / sizes.sum()
    value, variance, freedom = 0.0, 0.0, 0.0
    for part, weight in enumerate(weights):
        inside = stratum == part
        n = int(counts[part])
        corrected = losses[inside] - share * expected[inside]
        value += float(weight * (share * means[part] + corrected.mean()))
        spread = float(np.var(corrected, ddof=1)) if n > 1 else 0.0
        if rates:
            chance = (float(losses[inside].sum()) + 0.5) / (n + 1)
            spread = max(spread, chance * (1 - chance))
        term = float(weight**2 * spread / n * (1 - n / sizes[part]))
        variance += term
        freedom += term**2 / max(n - 1, 1)
    half = 0.0
    if variance > 0:
        half = float(stats.t.ppf(0.975, max(variance**2 / freedom, 1.0))) * math.sqrt(variance)
    low, high = max(0.0, value - half), value + half
    return BudgetEstimate(value, low, min(1.0, high) if rates else high, len(losses), int(sizes.sum()), share)


def _share(stratum: Ints, expected: Floats, losses: Floats, counts: Ints) -> float:
    """Return PPI++'s lambda, the slope of losses on expected ones within strata, from 0 to 1."""
    within = np.maximum(counts, 1)
    apart = expected - (np.bincount(stratum, expected, len(counts)) / within)[stratum]
    losses = losses - (np.bincount(stratum, losses, len(counts)) / within)[stratum]
    square = float(apart @ apart)
    return min(1.0, max(0.0, float(apart @ losses) / square)) if square > 0 else 0.0
