"""Realised performance, on the rows whose labels arrived in the window.

A label-arrival cohort is complete when its window closes, and in a steady state it holds early and late labels in their
true proportion; a cohort by prediction time holds only early ones at first, which are not a fair sample.
"""

from __future__ import annotations

import math

from pitstop.baseline.baseline import Baseline
from pitstop.detection.streams import Stream
from pitstop.monitors.base import BUDGET_SHARES, Ints, Signal, WindowCounts, constant

TOLERANCE = 0.02


class Performance:
    """One stream for the error: wrong predictions, or absolute errors above the reference's 50% and 80% quantiles."""

    name = "performance"

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """Return the error stream; a model without labelled reference rows has none."""
        if baseline.outcomes.labelled == 0:
            return ()
        bins = baseline.layout.outcome_bins
        if bins.prediction is None:
            names: tuple[str, ...] = ("the model's error rate",)
        else:
            names = tuple(f"the model's share of errors of {edge:.6g} and more" for edge in bins.error_edges)
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
        """Return wrong rows (or large errors) of labelled rows."""
        del stream
        wrong, n = window.outcomes.outcomes.errors
        return constant(list(wrong), n)

    def signals(self, baseline: Baseline, window: WindowCounts) -> tuple[Signal, ...]:
        """Return every realised metric that the window's labels define; the error rate has a Wilson interval."""
        del baseline
        counted = window.outcomes.outcomes
        found = [
            Signal(f"realised_{name}", "", value) for name, value in counted.metrics().items() if math.isfinite(value)
        ]
        wrong, n = counted.errors
        if n and counted.bins.prediction is None:
            low, high = wilson(wrong[0], n)
            found.append(Signal("realised_error", "", wrong[0] / n, low, high))
        return tuple(found)


def wilson(k: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's 95% interval of a rate (Wilson 1927), for k of n > 0."""
    share, square = k / n, z * z / n
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(share * (1 - share) / n + square / (4 * n))
    return max(0.0, middle - half), min(1.0, middle + half)
