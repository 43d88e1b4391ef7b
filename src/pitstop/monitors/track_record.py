"""How estimates did: each is scored against the labels that came, and what they missed by widens the next, or ends it.

An interval rests on the assumption that the relation of inputs to outcome is unchanged. The labels of earlier windows
say by how much that has failed lately; the same is to be expected of the next window. So the interval is widened by
it. Once it is `USELESS` times as wide as chance alone would make it, it says little, and the estimate is withdrawn
until estimates are near again. No estimate is withdrawn because a single sharp test on many rows says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Chosen on sets that the benchmark does not score (docs/decisions/0025).
REMEMBERED = 4
FADING = 0.6
# What moves has moved on since: twice the recent misses is expected of the next.
MOVING = 2.0
USELESS = 5.0
# An interval of at most so many points to each side (of the value, for a regression) is never called useless.
NARROW = 0.03
Z = 1.96


@dataclass(frozen=True)
class Miss:
    """What one estimate missed by once its labels had come: realised - estimated, and the variance that chance has."""

    metric: str
    miss: float
    sampling: float


@dataclass(frozen=True)
class Band:
    """A 95% interval's half width, and why the estimate is withdrawn, if it is."""

    half: float
    withdrawn: str | None = None


def band(
    metric: str, value: float, variances: tuple[float, float], misses: Sequence[Miss], *, unit: bool = True
) -> Band:
    """Return the interval of an estimate after its predecessors' misses (oldest first; of any metric).

    `variances`: what chance has in this window, and what else was known at the reference (calibrator, spread). `unit`
    says that the metric lies between 0 and 1.
    """
    sampling, known = variances
    recent = [item for item in misses if item.metric == metric and math.isfinite(item.miss)][-REMEMBERED:]
    weights = [FADING**age for age in range(len(recent))][::-1]
    excess = 0.0
    if recent:
        beyond = (w * (item.miss**2 - item.sampling) for w, item in zip(weights, recent, strict=True))
        excess = max(0.0, MOVING * sum(beyond) / sum(weights))
    half = Z * math.sqrt(sampling + max(known, excess))
    if (
        not recent
        or half <= max(USELESS * Z * math.sqrt(sampling), NARROW * (1.0 if unit else abs(value)))
        or excess <= known
    ):
        return Band(half)
    # Where nothing is left to chance, any miss is endlessly larger.
    times = min(half / (Z * math.sqrt(max(sampling, 1e-12))), 99.0)
    off = sum(w * item.miss for w, item in zip(weights, recent, strict=True)) / sum(weights)
    way = "above" if off > 0 else "below"
    return Band(
        half,
        f"labels contradict it: {metric} came out {abs(off):.3g} {way} the last {len(recent)} estimates on average; "
        f"such misses make its 95% interval {times:.0f} times as wide as chance does; "
        "the relation of inputs to outcome has changed",
    )


def misses_of(realised: dict[str, float], estimated: Iterable[tuple[str, float, float]]) -> tuple[Miss, ...]:
    """Return the misses of estimates (metric, value, sampling variance) that have a realised value."""
    return tuple(
        Miss(metric, realised[metric] - value, sampling)
        for metric, value, sampling in estimated
        if metric in realised and math.isfinite(realised[metric]) and math.isfinite(value)
    )
