"""Realised performance.

Shown: the rows whose labels arrived in the window. Tested: cohorts of predictions at fixed ages
(`pitstop.baseline.maturity`), because the mix of early and late labels that arrive in a window changes with traffic,
and the error with it.
"""

from __future__ import annotations

import math

import numpy as np

from pitstop.baseline.baseline import Baseline
from pitstop.detection.streams import Stream
from pitstop.monitors.base import BUDGET_SHARES, Ints, Signal, WindowCounts
from pitstop.monitors.estimated import SIGNED, UNBOUNDED
from pitstop.statistics.sampling import standard_errors

TOLERANCE = 0.01


class Performance:
    """One stream for the error: wrong predictions, or absolute errors above the reference's 50% and 80% quantiles."""

    name = "performance"

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """Return the error stream; a model without labelled reference rows has none."""
        names = tuple(name for name, _ in error_indicators(baseline))
        if not names:
            return ()
        return (
            Stream(
                name="error",
                kind="error",
                column=None,
                indicators=names,
                weight=BUDGET_SHARES["error"],
                tolerance=TOLERANCE,
                two_sided=False,
            ),
        )

    def counts(self, stream: Stream, window: WindowCounts) -> tuple[Ints, Ints]:
        """Return wrong rows (or large errors) of the labelled rows of each cohort."""
        del stream
        wrong = [count for counts, _ in window.cohorts for count in counts]
        labelled = [n for counts, n in window.cohorts for _ in counts]
        return np.array(wrong, dtype=np.int64), np.array(labelled, dtype=np.int64)

    def signals(self, baseline: Baseline, window: WindowCounts) -> tuple[Signal, ...]:
        """Return every realised metric that the window's labels define, with its 95% interval where counts tell one.

        The error rate has a Wilson interval, the others have 1.96 `standard_errors` to each side.
        """
        del baseline
        counted = window.outcomes.outcomes
        errors = standard_errors(counted)
        found = [
            Signal(f"realised_{name}", "", value, *_interval(name, value, errors.get(name, math.nan)))
            for name, value in counted.metrics().items()
            if math.isfinite(value)
        ]
        wrong, n = counted.errors
        if n and counted.bins.prediction is None:
            low, high = wilson(wrong[0], n)
            found.append(Signal("realised_error", "", wrong[0] / n, low, high))
        return tuple(found)


def error_indicators(baseline: Baseline) -> tuple[tuple[str, int], ...]:
    """Return the indicators of the error stream, each with the age in windows of the cohort that it looks at."""
    bins = baseline.layout.outcome_bins
    found = []
    for age in baseline.ages:
        late = f", labels within {age} {baseline.unit or 'window'}s" if len(baseline.ages) > 1 else ""
        if bins.prediction is None:
            found.append((f"the model's error rate{late}", age))
        found += [(f"the model's share of errors of {edge:.6g} and more{late}", age) for edge in bins.error_edges]
    return tuple(found)


def _interval(name: str, value: float, error: float) -> tuple[float, float] | tuple[None, None]:
    if not math.isfinite(error):
        return None, None
    low, high = value - 1.96 * error, value + 1.96 * error
    return low if name in SIGNED else max(0.0, low), high if name in UNBOUNDED else min(1.0, high)


def wilson(k: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's 95% interval of a rate (Wilson 1927), for k of n > 0."""
    share, square = k / n, z * z / n
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(share * (1 - share) / n + square / (4 * n))
    return max(0.0, middle - half), min(1.0, middle + half)
