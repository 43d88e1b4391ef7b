"""Performance estimated before the labels come, with an interval, for any number of windows added up.

Classes: CBPE from counts (confidence-based estimation as in NannyML, on 1001 score bins with our own calibrator).
Regression: the reference's mean absolute error of each leaf, weighted by the window's leaves. Both assume that the
relation of inputs to outcome is as it was in the baseline; `believable` says when labels contradict that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pitstop.baseline.baseline import Baseline
from pitstop.detection.streams import Stream
from pitstop.monitors.base import Ints, Signal, WindowCounts
from pitstop.profile import OutcomeProfile, Profile
from pitstop.statistics.expected import cbpe

Z = 1.96
# Realised and expected error of the same labelled rows may differ by this many standard errors (two-sided 0.27%).
CONTRADICTION = 3.0
# And a difference of fewer points of error than this does not make an estimate useless.
SMALLEST_CONTRADICTION = 0.03
MIN_LABELLED = 30


@dataclass(frozen=True)
class Estimate:
    """An estimated metric with its 95% interval; `withdrawn` says why it is not to be believed."""

    metric: str
    value: float
    low: float
    high: float
    withdrawn: str | None = None


class EstimatedPerformance:
    """Shows estimates; it tests nothing, because the score's own stream already tests all that an estimate can see."""

    name = "estimated"

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """Return no stream."""
        del baseline
        return ()

    def counts(self, stream: Stream, window: WindowCounts) -> tuple[Ints, Ints]:
        """Return nothing: there is no stream."""
        del stream, window
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)

    def signals(self, baseline: Baseline, window: WindowCounts) -> tuple[Signal, ...]:
        """Return the estimated metrics of one window."""
        return tuple(
            Signal(f"estimated_{estimate.metric}", "", estimate.value, estimate.low, estimate.high)
            for estimate in estimates(baseline, window.profile)
        )


def estimates(baseline: Baseline, profile: Profile) -> tuple[Estimate, ...]:
    """Return the estimated metrics of the rows in `profile`; none where it has no rows or no scores.

    Binary: accuracy, precision, recall, f1, roc_auc. Multiclass: accuracy. Regression: mae.
    """
    if profile.scores.n == 0:
        return ()
    if baseline.calibrated is None:
        found = _leaf_mae(baseline, profile)
        return () if found is None else (found,)
    if int(profile.scores.by_score.sum()) == 0:
        return ()
    expected = cbpe(profile.scores, baseline.calibrated, baseline.calibrator_draws)
    return tuple(
        _clipped(name, found.value, math.sqrt(found.variance))
        for name, found in expected.items()
        if math.isfinite(found.value) and math.isfinite(found.variance)
    )


def believable(baseline: Baseline, outcomes: OutcomeProfile) -> str | None:
    """Return None, or why estimates are withdrawn: labelled rows contradict the calibrator.

    The error that the calibrator expects of labelled rows is compared with their realised error, in standard
    errors.
    """
    counted = outcomes.outcomes
    if baseline.calibrated is None or counted.n < MIN_LABELLED:
        return None
    if counted.bins.task == "binary":
        by_class = counted.part("counts").sum(axis=1)[:, :-1].astype(np.float64)
        right = np.stack([1 - baseline.calibrated, baseline.calibrated])
        chance, rows = (by_class * right).sum(), by_class.sum()
        spread = (by_class * right * (1 - right)).sum()
    else:
        by_score = counted.by_score.sum(axis=0).astype(np.float64)
        chance, rows = (by_score * baseline.calibrated).sum(), by_score.sum()
        spread = (by_score * baseline.calibrated * (1 - baseline.calibrated)).sum()
    if rows == 0 or spread <= 0:
        return None
    wrong = counted.errors[0][0]
    expected = rows - chance
    # The calibrator's own uncertainty counts as much again as that of the reference it was fitted on.
    reference = max(baseline.outcomes.labelled, 1)
    error = math.sqrt(spread * (1 + rows / reference))
    if abs(wrong - expected) <= max(CONTRADICTION * error, SMALLEST_CONTRADICTION * rows):
        return None
    return (
        f"labels contradict it: {wrong / rows:.1%} of {rows:.0f} labelled rows were wrong, "
        f"{expected / rows:.1%} expected; "
        "the relation of inputs to outcome has changed"
    )


def _leaf_mae(baseline: Baseline, profile: Profile) -> Estimate | None:
    labelled = baseline.cells.labelled.astype(np.float64)
    if labelled.sum() == 0:
        return None
    seen = labelled > 0
    overall = baseline.cells.total_loss / labelled.sum()
    mean = np.where(seen, np.nan_to_num(baseline.cells.mean_loss), overall)
    variance = np.nan_to_num(baseline.cells.variance)
    n = profile.leaves.sum()
    share = profile.leaves / n
    value = float(share @ mean)
    error = float((share * variance).sum() / n + (share**2 * variance / np.maximum(labelled, 1)).sum())
    half = Z * math.sqrt(error)
    return Estimate("mae", value, max(0.0, value - half), value + half)


def _clipped(name: str, value: float, error: float) -> Estimate:
    return Estimate(name, value, max(0.0, value - Z * error), min(1.0, value + Z * error))
