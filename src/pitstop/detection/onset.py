"""Since when, and by how much: the change point and the size of a change, from recent counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pitstop.detection.clopper_pearson import lower_bound, upper_bound
from pitstop.detection.streams import Direction, Floats, Ints


@dataclass(frozen=True)
class Onset:
    """The most likely first window of a change, the rates since then, and a 95% interval of observed - expected."""

    since: int
    observed: float
    expected: float
    low: float
    high: float


def estimate(
    windows: Ints,
    k: Ints,
    n: Ints,
    *,
    expected: Floats,
    inflated: Floats,
    reference_rows: float,
    direction: Direction,
) -> Onset:
    """Return the onset of a change in `direction` of one indicator.

    `windows`, `k`, `n`, `expected` (rate of the reference for each window's phase) and `inflated` (phi(n) of each
    window) are [t], oldest first, with t >= 1 and n > 0 in the last. The start s maximises the tempered binomial
    log-likelihood ratio of one rate for all windows from s on, against the expected one, among starts with a change in
    that direction; the last window if there is none. The interval is Newcombe's (Statistics in Medicine 17, 1998,
    method 10) from Clopper-Pearson limits of effective counts; `reference_rows` is what the expected rate is worth.
    """
    count, size = _from(k.astype(np.float64)), _from(n.astype(np.float64))
    usual = _from(n * expected) / np.maximum(size, 1)
    factor = np.maximum(_from(n * inflated) / np.maximum(size, 1), 1)
    rate = count / np.maximum(size, 1)
    gain = (_log_likelihood(count, size, rate) - _log_likelihood(count, size, usual)) / factor
    right_way = rate > usual if direction == "up" else rate < usual
    start = int(np.argmax(np.where(right_way & (n > 0), gain, -1.0)))
    if not right_way[start]:
        start = len(windows) - 1
    observed, healthy = float(rate[start]), float(usual[start])
    worth = np.array(float(size[start] / factor[start]))
    k_now, k_then, then = observed * worth, np.array(healthy * reference_rows), np.array(reference_rows)
    below = observed - float(lower_bound(k_now, worth, 0.025))
    above = float(upper_bound(k_now, worth, 0.025)) - observed
    then_below = healthy - float(lower_bound(k_then, then, 0.025))
    then_above = float(upper_bound(k_then, then, 0.025)) - healthy
    difference = observed - healthy
    return Onset(
        since=int(windows[start]),
        observed=observed,
        expected=healthy,
        low=difference - float(np.hypot(below, then_above)),
        high=difference + float(np.hypot(above, then_below)),
    )


def _from(values: Floats) -> Floats:
    """Return the sum of each window and all later ones."""
    return np.cumsum(values[::-1])[::-1]


def _log_likelihood(k: Floats, n: Floats, p: Floats) -> Floats:
    inside = np.clip(p, 1e-9, 1 - 1e-9)
    return np.asarray(k * np.log(inside) + (n - k) * np.log1p(-inside), dtype=np.float64)
