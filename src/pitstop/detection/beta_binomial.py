"""The Beta-Binomial law of a count whose rate varies between windows: a bound of its tail.

Mean n p, variance n p q (1 + (n - 1) rho): a = p (1 - rho) / rho, b = q (1 - rho) / rho. rho = 0 is the binomial law.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaln, gammaln

from pitstop.detection.streams import Floats, Ints

# A smaller rho loses the difference of two log-Beta functions in rounding; it adds 1 part in a million per row.
_SMALLEST_RHO = 1e-6
_TINY = 1e-300


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
