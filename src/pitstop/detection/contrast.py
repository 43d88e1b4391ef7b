"""The half that contrasts what came since an onset with all that was before it, the reference included.

For an onset s let K, E be the effective count of windows from s on and what the reference expects of them, K', E' those
of all windows. If K is Poisson with a mean proportional to E, then given K' it is binomial, whatever the rate is, and

    L = theta^K ((E' - E + E) / (E' - E + theta E))^(K' + a)

has mean 1 (a = 0) or less (a > 0, theta > 1) under no change: the likelihood ratio of "theta times as often since s",
with the unknown rate conditioned away instead of taken from the reference. As counts grow it becomes the two-sample z
test of normal means. A count is divided by its dispersion (1 - p) phi(n), so that variance and mean agree
(quasi-likelihood, Wedderburn, Biometrika 61, 1974), and clipped at CLIP standard deviations, so that one odd window
says only so much. The sum over onsets is the Shiryaev-Roberts statistic of a change whose start is unknown.
"""

from __future__ import annotations

import numpy as np

from pitstop.detection.dispersion import inflation
from pitstop.detection.healthy import Healthy
from pitstop.detection.streams import Floats, Ints, ReferenceCounts

SHIFTS = np.array([0.25, 0.5, 1.0, 2.0])
"""Alternatives, fixed beforehand: the event becomes so much oftener or rarer, in standard deviations of a window."""

CLIP = 3.0
"""Standard deviations at which a window's count is clipped."""

KEPT = 6
"""Onsets kept of each generation: of the last 6 windows all, of the 12 before every second, then every fourth, ..."""

GENERATIONS = 6
"""So the oldest onset that is looked for lies up to 378 windows back."""

_PRIOR = 0.5
_SMALLEST = 1e-12


def effective(healthy: Healthy, phase: int, k: Ints, n: Ints) -> tuple[Floats, Floats]:
    """Return the effective count and its expectation of each indicator in one window, float64[I] each; 0 where n = 0.

    Events that hold for more than half of the rows are counted by their complement.
    """
    return standardised(
        k, n, healthy.rare[phase], healthy.flip, healthy.rho_paid, healthy.spread * healthy.new_variance[phase]
    )


def of_reference(healthy: Healthy, reference: ReferenceCounts) -> tuple[Floats, Floats]:
    """Return the effective count of the reference with its expectation, float64[2, I], and that of a usual window."""
    parts = standardised(
        reference.k, reference.n, healthy.rare[reference.phases], healthy.flip, healthy.rho_paid, healthy.spread
    )
    total = np.stack([part.sum(axis=0) for part in parts])
    windows = np.maximum((reference.n > 0).sum(axis=0), 1)
    return total, np.maximum(total[1] / windows * (1 + healthy.allowed), _SMALLEST)


def standardised(k: Ints, n: Ints, rare: Floats, flip: Floats, rho: Floats, inflated: Floats) -> tuple[Floats, Floats]:
    """Return clipped count / dispersion and expected count / dispersion; all arguments broadcast to k's shape.

    `rare` in (0, 1/2] is the expected rate of the event or (`flip`) of its complement, `inflated` >= 1 a further factor
    of the variance.
    """
    count = np.where(flip > 0, n - k, k)
    dispersion = (1 - rare) * inflation(n, rho) * inflated
    expected = n * rare / dispersion
    reach = CLIP * np.sqrt(expected)
    # One more than a normal law's: a Poisson count of a small mean is 1 or 2 often enough.
    seen = np.clip(count / dispersion, np.maximum(expected - reach, 0), expected + reach + 1)
    return np.where(n > 0, seen, 0.0), np.where(n > 0, expected, 0.0)


def log_ratios(typical: Floats) -> Floats:
    """Return log theta of each alternative, float64[4, I].

    `typical` float64[I], above 0, is the effective count that is expected of a usual window. The square root of a count
    has a standard deviation of 1/2 whatever its mean (Anscombe), so theta is (1 + shift / (2 sqrt(typical)))^2.
    """
    return np.asarray(2 * np.log1p(SHIFTS[:, np.newaxis] / (2 * np.sqrt(typical))), dtype=np.float64)


def log_evidence(since: Floats, total: Floats, allowed: Floats, ratios: Floats) -> Floats:
    """Return log L of each alternative, side (oftener, rarer) and onset, float64[4, 2, S, I].

    `since` float64[S, 2, I] holds K and E of each onset, `total` float64[2, I] those of all windows. `allowed`
    float64[I], at least 0, is the tolerance as a share of what is expected: the windows before the onset count as if
    they had held so much more (for "oftener") or less. `ratios` float64[4, I] are the log theta.
    """
    count, expected = since[:, 0], since[:, 1]
    share = expected / np.maximum(total[1], _SMALLEST)
    before = total[0] - count
    slack = allowed * np.maximum(total[1] - expected, 0)
    logs = ratios[:, np.newaxis]
    sides = []
    for sign, held in ((1.0, before + slack + _PRIOR), (-1.0, np.maximum(before - slack, 0))):
        ratio = np.exp(sign * logs) - 1
        sides.append(sign * logs * count - (count + held) * np.log(1 + ratio * share))
    return np.stack(sides, axis=1)


def kept(born: Ints, now: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which onsets, by the number of their first window, are still looked at in window `now`.

    Which ones go is fixed beforehand. Leaving an onset out only takes evidence away.
    """
    age = now - born
    keep = age < KEPT
    oldest = KEPT
    for generation in range(1, GENERATIONS):
        step = 2**generation
        youngest, oldest = oldest, oldest + KEPT * step
        keep |= (age >= youngest) & (age < oldest) & (born % step == 0)
    return keep
