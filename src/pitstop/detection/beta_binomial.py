"""The Beta-Binomial law of a count whose rate varies between windows: randomised PIT and tail bound.

Mean n p, variance n p q (1 + (n - 1) rho): a = p (1 - rho) / rho, b = q (1 - rho) / rho. rho = 0 is the binomial law.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betainc, betaln, gammaln, ndtri

from pitstop.detection.streams import Floats, Ints

CLIP = 8.0
"""Normal scores end here; further out the order of two windows is drawn."""

# Counts up to here (from either end) are summed exactly; above, a Beta law with the same mean and variance stands in.
_TERMS = 48
# A smaller rho loses the difference of two log-Beta functions in rounding; it adds 1 part in a million per row.
_SMALLEST_RHO = 1e-6
_TINY = 1e-300


def normal_scores(k: Ints, n: Ints, p: Floats, rho: Floats, draw: Floats) -> Floats:
    """Return z = Phi^-1(F(k - 1) + draw P(k)) under Beta-Binomial(n, p, rho), in [-CLIP, CLIP]; NaN where n = 0.

    The randomised probability integral transform: standard normal if the law is right, and for equal n increasing in
    k whatever p and rho are, so that ranks of z need no correct law then. All arguments broadcast; `p` in (0, 1),
    `rho` in [0, 1), `draw` in (0, 1).
    """
    mirrored = k > n - k
    few = np.where(mirrored, n - k, k).astype(np.float64)
    rate = np.where(mirrored, 1 - p, p)
    size = n.astype(np.float64)
    wide = np.clip(rho, _SMALLEST_RHO, 1 - _SMALLEST_RHO)
    a, b = rate * (1 / wide - 1), (1 - rate) * (1 / wide - 1)
    below, at = _summed(few, size, a, b)
    many = few > _TERMS
    if bool(many.any()):
        factor = 1 + (size - 1) * rho
        spread = np.maximum(size / factor - 1, 1e-3)
        top = betainc(rate * spread, (1 - rate) * spread, np.clip((few + 0.5) / np.maximum(size, 1), 0, 1))
        bottom = betainc(rate * spread, (1 - rate) * spread, np.clip((few - 0.5) / np.maximum(size, 1), 0, 1))
        below = np.where(many, bottom, below)
        at = np.where(many, top - bottom, at)
    tail = below + np.where(mirrored, 1 - draw, draw) * at
    z = np.clip(ndtri(np.clip(tail, _TINY, 1.0)), -CLIP, CLIP)
    # The jitter orders windows that were clipped to the same score; it is far below any real difference.
    z = np.where(mirrored, -z, z) + 1e-9 * (draw - 0.5)
    return np.asarray(np.where(n > 0, z, np.nan), dtype=np.float64)


def _summed(few: Floats, size: Floats, a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Return P(K < few) and P(K = few) by the recurrence of the probabilities, for few <= _TERMS."""
    last = int(np.minimum(few, _TERMS).max(initial=0))
    j = np.arange(last, dtype=np.float64).reshape((-1,) + (1,) * few.ndim)
    ratio = (size - j) * (j + a) / ((j + 1) * np.maximum(size - j - 1 + b, _TINY))
    first = np.exp(betaln(a, b + size) - betaln(a, b))
    probability = first * np.concatenate([np.ones((1, *few.shape)), np.cumprod(np.maximum(ratio, 0), axis=0)])
    index = np.arange(last + 1, dtype=np.float64).reshape((-1,) + (1,) * few.ndim)
    below = np.where(index < few, probability, 0).sum(axis=0)
    at = np.where(index == few, probability, 0).sum(axis=0)
    return np.minimum(below, 1), at


def tail_bound(k: Ints, n: Ints, p: Floats, rho: Floats) -> Floats:
    """Return an upper bound of P(K >= k) under Beta-Binomial(n, p, rho), in [0, 1].

    From k on the ratio of neighbouring probabilities is at most r = max(1, (k + a) / (k + 1)) (n - k) / (n - k - 1 + b)
    if b >= 1, so the tail is at most P(k) / (1 - r) where r < 1; otherwise 1 is returned. Exact for k = n.
    """
    size, count = n.astype(np.float64), k.astype(np.float64)
    wide = np.clip(rho, _SMALLEST_RHO, 1 - _SMALLEST_RHO)
    rate = np.clip(p, 1e-12, 1 - 1e-12)
    a, b = rate * (1 / wide - 1), (1 - rate) * (1 / wide - 1)
    log_at = (
        gammaln(size + 1) - gammaln(count + 1) - gammaln(size - count + 1)
        + betaln(count + a, size - count + b) - betaln(a, b)
    )  # fmt: skip
    rest = size - count
    ratio = np.maximum(1, (count + a) / (count + 1)) * rest / np.maximum(rest - 1 + b, _TINY)
    usable = (rest == 0) | ((b >= 1) & (ratio < 1))
    bound = np.exp(log_at) / np.where(usable, np.maximum(1 - ratio, _TINY), 1)
    return np.asarray(np.where(usable & (count > 0), np.minimum(bound, 1), 1.0), dtype=np.float64)
