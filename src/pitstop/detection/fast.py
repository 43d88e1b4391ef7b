"""The fast path: one window is enough when an upstream system breaks.

It promises, for every stream, that a window of a healthy stream pages with a probability of at most its level, over the
draws of reference and window together, **if** counts follow a Beta-Binomial law with a correlation of at most the
reference's upper 90% limit, or, for an event that the reference never (or always) saw, if rows are independent: what
never happened shows no bursts. There are two cases.

- Never seen in N rows: k of n new rows have all of the k events of both with a probability of
  n (n - 1) ... / (N + n) (N + n - 1) ... whatever the rate is (hypergeometric, exact).
- Seen: the Beta-Binomial tail at the Clopper-Pearson limit of the rate. Predictive tails at the rate itself gave up to
  twelve times their level in simulations where an event comes in rare bursts, and found no more breaks elsewhere.

No one-window test can promise more without a law: among m exchangeable windows the newest is the most extreme with
probability 1 / m, whatever it measures.

A break is a jump of a quality rate (nulls, unseen values), the appearance of what the reference never had, or the
near disappearance of a cell that held at least 10% (which is also how a changed unit or a stuck value shows). A
cell that merely grew is a busy day: on real bookings and flights, counting those too gave five times the promise.

Three guards only leave alarms out, which is free, and cover laws with heavier tails than the Beta-Binomial: the change
must be of a practical size, it must leave the worst reference window behind (by a half; a lost cell by a quarter), and
it must be worse than every window since (`Panel.worst`). What has happened before is not a break but a rate, and the
slow path's business. If windows are exchangeable, the last two guards bound the false fast alarms of an indicator and
side in T windows by log(1 + T / m), whatever their law.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from pitstop.detection.beta_binomial import tail_bound
from pitstop.detection.healthy import Healthy
from pitstop.detection.streams import Floats, Ints

SMALLEST_BREAK = 0.02
"""A break changes at least this share of the rows (or the stream's tolerance, where that is more)."""

SMALLEST_CELL = 0.10
"""A cell that may be missed within one window holds at least this share of the reference."""

_REST = 0.10  # what may remain of the expected count of a cell that disappeared
_BEYOND_WORST = 1.5
_BEYOND_WORST_GONE = 1.25  # a count cannot fall below 0, so the shortfall of a lost cell is a few deviations at most
_FEWEST_DEVIATIONS = 2.0


def evidence(
    healthy: Healthy,
    phase: int,
    k: Ints,
    n: Ints,
    *,
    excess: Floats,
    appears: Floats,
    tolerance: Floats,
    level: Floats,
) -> Floats:
    """Return level / p-value of each side (up, down) and indicator, float64[2, I]; 0 where a guard says no.

    `excess` float64[I] is the standardised excess of this window.
    `appears` float64[I] is above 0 where any jump counts and not only disappearance, `tolerance` float64[I].
    `level` is float64[2, I], each stream's level shared equally by its indicators and sides (Bonferroni); 0 switches
    off. Rates are those of the weekday. A break is where the result is at least 1.
    """
    rate = healthy.phase_rate[phase]
    change = k / np.maximum(n, 1) - rate
    cell = np.stack([1 - rate, rate])
    gone = (cell >= SMALLEST_CELL) & (np.stack([n - k, k]) <= _REST * n * cell)
    jump = (appears > 0) | (healthy.rate == 0)
    sign = np.array([[1.0], [-1.0]])
    guard = np.where(gone, _BEYOND_WORST_GONE, _BEYOND_WORST) * np.maximum(healthy.extreme, _FEWEST_DEVIATIONS)
    smallest = np.maximum(tolerance, SMALLEST_BREAK)
    suspect = (
        (n > 0)
        & (level > 0)
        & (healthy.effective > 0)
        & (gone | jump)
        & (sign * change >= smallest)
        & (sign * excess > guard)
    )
    result = np.zeros(suspect.shape)
    if bool(suspect.any()):
        side, at = np.nonzero(suspect)
        up = side == 0
        hit = np.where(up, k[at], n[at] - k[at])
        offset = rate[at] - healthy.rate[at]
        limit = np.where(up, healthy.upper[at] + np.maximum(offset, 0), 1 - healthy.lower[at] + np.maximum(-offset, 0))
        p_value = np.where(
            np.where(up, healthy.rate[at], 1 - healthy.rate[at]) > 0,
            tail_bound(hit, n[at], limit, healthy.rho_upper[at]),
            never_seen(hit, n[at], healthy.effective[at]),
        )
        result[side, at] = level[side, at] / np.maximum(p_value, 1e-300)
    return result


def never_seen(k: Ints, n: Ints, before: Floats) -> Floats:
    """Return the probability that k of n rows have an event, given that k of them and of `before` rows have it.

    Fisher's exact test where no row had it before: C(n, k) / C(before + n, k), for 0 <= k <= n; `before` may be a
    fraction, 0 gives 1.
    """
    rest = gammaln(n + 1) - gammaln(n - k + 1) - gammaln(before + n + 1) + gammaln(before + n - k + 1)
    return np.asarray(np.exp(np.minimum(rest, 0.0)), dtype=np.float64)
