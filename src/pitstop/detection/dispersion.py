"""How much windows differ by themselves: overdispersion, weekly pattern, autocorrelation of the reference."""

from __future__ import annotations

import math

import numpy as np

from pitstop.detection.streams import Floats, Ints

SHORT = 10
"""References of fewer windows cannot show their own dispersion; ASSUMED_RHO is blended in for what is missing."""

ASSUMED_RHO = 0.03
"""Correlation of rows within a window where nothing is known (hotel bookings: median factor 3.5 at 85 rows a day)."""

_UPPER_90 = 1.28
_BLOCKS = (2, 4, 7, 14)
_MOST = 0.97  # lag-one correlation; above it kappa is a guess


def correlation(k: Ints, n: Ints, expected: Floats, leverage: Floats, elsewhere: float = 0.0) -> tuple[Floats, Floats]:
    """Return the intraclass correlation rho of each indicator and its upper 90% limit, both in [0, 1).

    `k`, `n` are [m, I]; `expected` the fitted rate of each window, `leverage` in [0, 1) the share of its own variance
    that fitting took from it; both broadcast to [m, I]. Moments: rho = sum[(k - n p)^2 - n p q] / sum[n (n - 1) p q],
    with the sandwich standard error. Below `SHORT` windows both are at least a part of `ASSUMED_RHO`; and as far as
    fewer than `SHORT` windows hold the event as well as rows without it, at least a part of `elsewhere`, which other
    indicators of the same rows show: what was hardly ever seen may well come in bursts.
    """
    m = k.shape[0]
    mixed = ((k > 0) & (k < n)).sum(axis=0)
    assumed = np.maximum(ASSUMED_RHO * max(0.0, 1 - m / SHORT), elsewhere * np.maximum(0.0, 1 - mixed / SHORT))
    binomial = n * expected * (1 - expected)
    excess = (k - n * expected) ** 2 / (1 - leverage) - binomial
    pairs = (n - 1) * binomial
    total = pairs.sum(axis=0)
    safe = np.where(total > 0, total, 1.0)
    rho = excess.sum(axis=0) / safe
    error = np.sqrt(((excess - rho * pairs) ** 2).sum(axis=0)) / safe
    known = total > 0
    upper = np.where(known, np.maximum(rho, 0) + _UPPER_90 * error, 0.0)
    rho = np.where(known, rho, 0.0)
    return np.clip(np.maximum(rho, assumed), 0, 0.999), np.clip(np.maximum(upper, assumed), 0, 0.999)


def usual(k: Ints, n: Ints) -> float:
    """Return the median correlation of the indicators of a model that many windows hold in part; 0 without any."""
    seen = n.sum(axis=0)
    varied = ((k > 0) & (k < n)).sum(axis=0) >= SHORT
    if not bool(varied.any()):
        return 0.0
    k, n, seen = k[:, varied], n[:, varied], seen[varied]
    rho, _ = correlation(k, n, k.sum(axis=0) / seen, np.minimum(n / seen, 0.5))
    return float(np.median(rho))


def inflation(n: Ints | Floats, rho: Floats) -> Floats:
    """Return phi(n) = 1 + (n - 1) rho, at least 1: variance of a window's count over the binomial variance."""
    return np.maximum(1 + (n - 1) * rho, 1.0)


def weekly(k: Ints, n: Ints, phases: Ints, count: int) -> tuple[Floats, Floats, Floats]:
    """Return the weekly pattern: rates[count, I], and two factors of the residual variance, [count, I] each.

    Rates of phases are shrunk to the overall rate by positive-part James-Stein, so that a reference without a pattern
    gets (nearly) none. The first factor is 1 - leverage of a reference window of that phase, below 1 because its own
    count pulled the rate; the second is above 1, for a new window. Without the two, new windows would look more extreme
    than old ones and ranks would not be uniform.
    """
    total = n.sum(axis=0)
    overall = k.sum(axis=0) / np.maximum(total, 1)
    rates = np.tile(overall, (count, 1))
    ones = np.ones_like(rates)
    m = k.shape[0]
    if count < 4 or m < 2 * count:  # James-Stein needs more than three means, and each more than one window
        return rates, ones, ones
    member = (phases[np.newaxis, :] == np.arange(count)[:, np.newaxis]).astype(np.float64)
    seen = member @ n
    means = np.where(seen > 0, (member @ k) / np.maximum(seen, 1), overall)
    variance = overall * (1 - overall)
    safe = np.where(variance > 0, variance, 1.0)
    residual = (k - n * means[phases]) ** 2 / np.maximum(n, 1)
    within = np.maximum(residual.sum(axis=0) / safe / max(m - count, 1), 0.5)
    between = (seen * (means - overall) ** 2).sum(axis=0) / safe / within
    share = np.where(between > 0, np.maximum(0, 1 - (count - 3) / np.where(between > 0, between, 1)), 0)
    rates = overall + share * (means - overall)
    windows = np.maximum(member.sum(axis=1, keepdims=True), 1)
    return rates, 1 - np.minimum((2 * share - share**2) / windows, 0.9), 1 + share**2 / windows


def autocorrelation(scores: Floats) -> float:
    """Return kappa >= 1: the long-run variance of scores over that of independent windows, as far as it is sure.

    `scores` is [m, I], in time order, NaN where a window had no rows. Two estimates, the larger counts; each is a mean
    over indicators. (1 + r) / (1 - r) with the lag-one correlation r, its bias -(1 + 3 r) / m taken off (Kendall,
    Biometrika 41, 1954): what neighbours have in common. And the variance of the means of blocks of 2, 4, 7 and 14
    windows, of which the reference holds at least five, one standard deviation below its estimate: waves and trends.
    Dividing z by sqrt(kappa) keeps the promise up to a lag-one correlation of .6, and not at .9.
    """
    m = len(scores)
    if m < 5:
        return 1.0
    kept = np.where(np.isfinite(scores), scores, 0.0)
    spread = kept.std(axis=0)
    moving = spread > 0
    if not bool(moving.any()):
        return 1.0
    standard = (kept[:, moving] - kept[:, moving].mean(axis=0)) / spread[moving]
    raw = float((standard[1:] * standard[:-1]).mean())
    neighbours = min(max((raw + 1 / m) / (1 - 3 / m), 0.0), _MOST)
    worst = (1 + neighbours) / (1 - neighbours)
    for length in _BLOCKS:
        blocks = m // length
        if blocks >= 5:
            means = standard[: blocks * length].reshape(blocks, length, -1).mean(axis=1)
            ratio = float((means.var(axis=0, ddof=1) * length).mean())
            # Without this the largest of four noisy ratios is far above 1 for windows that are independent.
            worst = max(worst, ratio / (1 + math.sqrt(2 / (blocks - 1))))
    return worst
