"""How estimates did: what they missed by, once their labels came, corrects the next one, and widens or ends it.

An estimate rests on the assumption that the relation of inputs to outcome is unchanged. Labels of earlier periods say
by how much that has failed: an estimate's miss is its bias and chance. The bias is taken to follow a first-order
autoregression around 0 whose persistence and size are not known, each of a few values alike (`PERSISTENCE`, `SIZES`);
for each of them a Kalman filter (Kalman 1960) says what bias and variance are to be expected of the next period, and
they are averaged by how well they foretold the misses so far (Bayesian model averaging; Harrison and Stevens 1976).
Misses that are no more than chance correct hardly anything, biases that come and go widen the interval, and one that
stays is taken off. Only labels of periods that are over and mature count, so nothing is known before it arrived.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pitstop.statistics.base import Floats

# Chosen on sets that the benchmark does not score (docs/decisions/0057).
REMEMBERED = 12
PERSISTENCE = np.array([0.0, 0.5, 0.8, 0.95])
"""How much of the bias is left one period later."""

SIZES = np.array([0.0, 0.25, 1.0, 4.0, 16.0, 64.0, 256.0])
"""Variance of the bias beyond what was known at the reference, in variances of chance."""

SCEPTICISM = 0.25
"""A priori a size s counts (1 + s) to the power of minus this."""

USELESS = 5.0
# An interval of at most so many points to each side (of the value, for a regression) is never called useless.
NARROW = 0.03
Z = 1.96
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Miss:
    """What an estimate missed by before any correction, once its labels had come: realised - estimated.

    `sampling` is the variance that chance has in it, `period` the number of its period, `model` the baseline it was
    made with.
    """

    metric: str
    miss: float
    sampling: float
    period: int
    model: str = ""


@dataclass(frozen=True)
class Corrected:
    """What is to be added to an estimate, its 95% interval's half width then, and why it is withdrawn, if it is."""

    correction: float
    half: float
    withdrawn: str | None = None


def corrected(
    metric: str,
    value: float,
    variances: tuple[float, float],
    misses: Sequence[Miss],
    *,
    period: int,
    model: str = "",
    unit: bool = True,
) -> Corrected:
    """Return the correction and the interval of an estimate of `period` after its predecessors' misses.

    `variances`: what chance has in this period, and what else was known at the reference (calibrator, spread). `misses`
    are of earlier periods, oldest first, of any metric and model; those of another model say nothing of this one's bias
    and do not count. `unit` says that the metric lies between 0 and 1.
    """
    sampling, known = variances
    recent = [item for item in misses if (item.metric, item.model) == (metric, model) and math.isfinite(item.miss)]
    recent = recent[-REMEMBERED:]
    if not recent or not math.isfinite(sampling + known):
        return Corrected(0.0, Z * math.sqrt(sampling + known))
    correction, variance = _foretold(recent, known, period)
    half = Z * math.sqrt(sampling + variance)
    wide = max(USELESS * Z * math.sqrt(sampling), NARROW * (1.0 if unit else abs(value + correction)))
    beyond = sum(item.miss**2 - item.sampling for item in recent) / len(recent)
    if half <= wide or beyond <= known:
        return Corrected(correction, half)
    # Where nothing is left to chance, any miss is endlessly larger.
    times = min(half / (Z * math.sqrt(max(sampling, _SMALLEST))), 99.0)
    off = sum(abs(item.miss) for item in recent) / len(recent)
    return Corrected(
        correction,
        half,
        f"labels contradict it: {metric} came out {off:.3g} away from the last {len(recent)} estimates on average; "
        f"such misses make its 95% interval {times:.0f} times as wide as chance does; "
        "the relation of inputs to outcome has changed",
    )


def _foretold(misses: Sequence[Miss], known: float, period: int) -> tuple[float, float]:
    """Return mean and variance of the bias that is to be expected of an estimate of `period`, after some misses."""
    chance = float(np.median([item.sampling for item in misses]))
    size, persistence = (part.ravel() for part in np.meshgrid(SIZES, PERSISTENCE))
    sizes, odds = known + chance * size, -SCEPTICISM * np.log1p(size)
    bias, variance = np.zeros_like(sizes), sizes.copy()
    before = misses[0].period
    for item in misses:
        bias, variance = _later(bias, variance, sizes, persistence ** (item.period - before))
        total = variance + item.sampling + _SMALLEST
        odds -= 0.5 * (np.log(total) + (item.miss - bias) ** 2 / total)
        gain = variance / total
        bias, variance = bias + gain * (item.miss - bias), (1 - gain) * variance
        before = item.period
    bias, variance = _later(bias, variance, sizes, persistence ** (period - before))
    weights = np.exp(odds - odds.max())
    weights /= weights.sum()
    mean = float(weights @ bias)
    return mean, float(weights @ (variance + (bias - mean) ** 2))


def _later(bias: Floats, variance: Floats, sizes: Floats, left: Floats) -> tuple[Floats, Floats]:
    """Return mean and variance of the bias when so much of it is left."""
    return left * bias, left**2 * variance + (1 - left**2) * sizes


def misses_of(
    realised: dict[str, float], estimated: Iterable[tuple[str, float, float]], *, period: int, model: str = ""
) -> tuple[Miss, ...]:
    """Return the misses of a period's estimates (metric, value before correction, sampling) with a realised value."""
    return tuple(
        Miss(metric, realised[metric] - value, sampling, period, model)
        for metric, value, sampling in estimated
        if metric in realised and math.isfinite(realised[metric]) and math.isfinite(value)
    )
