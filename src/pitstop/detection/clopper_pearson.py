"""The half that remembers the reference: odds-ratio evidence against a Clopper-Pearson bound."""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv

from pitstop.detection.streams import Floats, Ints

LOG_ODDS_RATIOS = np.array([0.1, 0.2, 0.4, 0.8, 1.6, 3.2])
"""Alternatives, fixed beforehand: the odds of the event are multiplied (or divided) by the exponentials of these."""


def upper_bound(k: Floats, n: Floats, alpha: float) -> Floats:
    """Return the one-sided Clopper-Pearson upper limit of a rate; 1 where n = 0 or k = n. `k`, `n` may be fractions."""
    full = k >= n
    return np.asarray(np.where(full, 1.0, betaincinv(k + 1, np.where(full, 1.0, n - k), 1 - alpha)), dtype=np.float64)


def lower_bound(k: Floats, n: Floats, alpha: float) -> Floats:
    """Return the one-sided Clopper-Pearson lower limit of a rate; 0 where k = 0. `k` and `n` may be fractions."""
    none = k <= 0
    return np.asarray(np.where(none, 0.0, betaincinv(np.where(none, 1.0, k), n - k + 1, alpha)), dtype=np.float64)


def log_evidence(k: Ints, n: Ints, rate: Floats) -> Floats:
    """Return log L of each alternative, shape [alternatives, *k.shape], against the null "the rate is at most `rate`".

    L = (1 - p + theta p)^-n theta^k is the likelihood ratio of odds theta times those of p, so E[L] <= 1 for every
    binomial count with a rate of at most p. -inf (no evidence, ever) where p >= 1: nothing can exceed it.
    """
    theta = np.exp(LOG_ODDS_RATIOS).reshape((-1,) + (1,) * k.ndim)
    impossible = rate >= 1
    p = np.where(impossible, 0.5, np.maximum(rate, 0))
    value = k * np.log(theta) - n * np.log1p(p * (theta - 1))
    return np.asarray(np.where(impossible, -np.inf, value), dtype=np.float64)
