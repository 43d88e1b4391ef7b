"""Whether windows could stand in any order: realised alarm rates, correlation of neighbours, and waves.

The promise holds for windows that are exchangeable around their weekly pattern. These are the figures that say how far
a reference is from that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv

from pitstop.detection.streams import Floats, Ints

_NORMAL_95 = 1.645
_MOST = 0.999


@dataclass(frozen=True)
class Rate:
    """Alarms a month: the mean, and a 95% interval `low`..`high`."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Lag:
    """Correlation of neighbouring windows' scores: `value` in [-1, 1], and its lower one-sided 95% limit."""

    value: float
    low: float


@dataclass(frozen=True)
class Wave:
    """The strongest wave of a reference: its length in windows, and the probability of one as strong by chance."""

    windows: float
    p_value: float


def rate(counts: Floats, months: float) -> Rate:
    """Return the mean rate of runs of `months` each (above 0) with these counts of alarms, float64[runs], runs >= 1.

    Garwood's interval for a Poisson mean (Biometrika 28, 1936), with counts and months divided by the dispersion of the
    runs where that is above 1: alarms come in bursts.
    """
    total, spent = float(counts.sum()), months * len(counts)
    mean = float(counts.mean())
    dispersion = max(1.0, float(counts.var(ddof=1)) / mean) if mean > 0 and len(counts) > 1 else 1.0
    seen, time = total / dispersion, spent / dispersion
    low = float(gammaincinv(seen, 0.025)) / time if seen > 0 else 0.0
    return Rate(total / spent, low, float(gammaincinv(seen + 1, 0.975)) / time)


def lag_one(streams: Sequence[Floats], weights: Floats) -> Lag:
    """Return the weighted mean over streams of the correlation of neighbouring windows.

    `streams` are scores float64[m, I], oldest first, of the same windows; NaN stands for a window without rows, and
    pairs that lack one are left out. `weights` float64[streams]. The bias -(1 + 3 r) / m is taken off (Kendall,
    Biometrika 41, 1954). Columns of one stream say nearly the same and count once. Streams count as often as they
    differ: two estimates of r correlate like the square of the series' own correlation (Bartlett's formula).
    """
    found = [(_lag(scores), _series(scores), weight) for scores, weight in zip(streams, weights, strict=True)]
    known = [(lag, series, weight) for lag, series, weight in found if lag is not None]
    if not known:
        return Lag(0.0, -1.0)
    share = np.array([weight for _, _, weight in known]) / sum(weight for _, _, weight in known)
    value = float(np.clip(share @ np.array([lag[0] for lag, _, _ in known]), -_MOST, _MOST))
    size = float(share @ np.array([lag[1] for lag, _, _ in known]))
    alike = np.atleast_2d(np.corrcoef(np.stack([series for _, series, _ in known]))) ** 2
    # The variance (1 - r^2) / m of r is 1 / (m (1 - r^2)) for artanh r, whose law is less skew.
    error = math.sqrt(float(share @ alike @ share) / (max(size, 1.0) * (1 - value**2)))
    return Lag(value, math.tanh(math.atanh(value) - _NORMAL_95 * error))


def _lag(scores: Floats) -> tuple[float, float] | None:
    """Return the correlation of neighbours, mean over the columns that move, and how many pairs it is from."""
    columns = scores[:, np.nanstd(scores, axis=0) > 0] if len(scores) > 2 else scores[:, :0]
    if columns.shape[1] == 0:
        return None
    centred = columns - np.nanmean(columns, axis=0)
    both = np.isfinite(centred[1:]) & np.isfinite(centred[:-1])
    products = np.where(both, centred[1:] * centred[:-1], 0.0).sum(axis=0)
    pairs = both.sum(axis=0)
    raw = products / np.maximum(pairs, 1) / np.nanvar(columns, axis=0)
    size = float(pairs.mean())
    return float((raw.mean() + 1 / max(size, 1.0)) / (1 - 3 / max(size, 4.0))), size


def _series(scores: Floats) -> Floats:
    """Return the scores of the column that moves most, 0 where there are none: what a stream is compared by."""
    filled = np.nan_to_num(scores)
    return np.asarray(filled[:, int(np.argmax(filled.std(axis=0)))] if filled.shape[1] else np.zeros(len(filled)))


def wave(scores: Floats, weights: Floats, seed: int = 0, draws: int = 499) -> Wave:
    """Return the strongest wave in `scores` float64[m, I], columns weighted by `weights` float64[I]; m >= 8.

    The periodogram of each column, as shares, averaged; its highest ordinate against those of `draws` random orders of
    the windows. Waves of fewer than two turns cannot be told from a trend and do not count.
    """
    rng = np.random.default_rng(seed)
    spread = np.nanstd(scores, axis=0)
    moving = spread > 0
    m = scores.shape[0]
    if m < 8 or not bool(moving.any()):
        return Wave(float(m), 1.0)
    standard = np.nan_to_num((scores[:, moving] - np.nanmean(scores[:, moving], axis=0)) / spread[moving])
    share = weights[moving] / weights[moving].sum()

    def spectrum(order: Ints) -> Floats:
        power = np.abs(np.fft.rfft(standard[order], axis=0)) ** 2
        return np.asarray((power / power[1:].sum(axis=0)) @ share, dtype=np.float64)

    found = spectrum(np.arange(m))
    turns = 2 + int(np.argmax(found[2:]))
    as_high = sum(spectrum(rng.permutation(m))[2:].max() >= found[turns] for _ in range(draws))
    return Wave(m / turns, (1 + as_high) / (1 + draws))
