"""Performance estimated before the labels come, with an interval, for any number of windows added up.

Classes: CBPE from counts (confidence-based estimation as in NannyML, on 1001 score bins with our own calibrator), which
the features correct where the rows are at hand. Regression: direct loss estimation where they are, else the reference's
mean absolute error of each leaf, weighted by the window's leaves. All assume that the relation of inputs to outcome is
as it was in the baseline; `pitstop.monitors.track_record` corrects, widens and withdraws them by what labels say of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pitstop.baseline.baseline import Baseline
from pitstop.baseline.expectation import Said
from pitstop.detection.streams import Stream
from pitstop.monitors.base import Ints, Signal, WindowCounts
from pitstop.monitors.track_record import Miss, corrected
from pitstop.profile import Profile
from pitstop.statistics import expected
from pitstop.statistics.base import Floats

# Metrics without an upper limit, and those that may be below 0.
UNBOUNDED = frozenset({"mae", "rmse", "bias", "r2", "log_loss"})
SIGNED = frozenset({"bias", "r2"})


@dataclass(frozen=True)
class Estimate:
    """An estimated metric with its 95% interval; `withdrawn` says why it is not to be believed.

    `sampling` is the part of its variance that is chance in the labels yet to come. `correction` is the part of the
    value that labels of earlier estimates added, `model` the baseline that it was made with.
    """

    metric: str
    value: float
    low: float
    high: float
    withdrawn: str | None = None
    sampling: float = 0.0
    correction: float = 0.0
    model: str = ""


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


def estimates(
    baseline: Baseline, profile: Profile, said: Said | None = None, misses: Sequence[Miss] = (), *, period: int = 0
) -> tuple[Estimate, ...]:
    """Return the estimated metrics of the rows in `profile`; none where it has no rows or no scores.

    Binary: accuracy, precision, recall, f1, roc_auc, average_precision, log_loss, brier, calibration_error. Multiclass:
    accuracy, macro_f1. Regression: mae, and with `said` rmse, bias and r2. `said` are the same rows, where they are at
    hand; `misses` are those of estimates of periods before `period`, oldest first.
    """
    if profile.scores.n == 0:
        return ()
    known = {} if baseline.expectation is None else baseline.expectation.spreads
    found = _losses(baseline, profile, said) if baseline.calibrated is None else _classes(baseline, profile, said)
    return tuple(
        _banded(name, item, known.get(name, 0.0), misses, period, baseline.id)
        for name, item in found.items()
        if math.isfinite(item.value) and math.isfinite(item.variance)
    )


def _classes(baseline: Baseline, profile: Profile, said: Said | None) -> dict[str, expected.Estimate]:
    scores, calibrated = profile.scores, baseline.calibrated
    if calibrated is None or int(scores.by_score.sum()) == 0:
        return {}
    curve: Floats = calibrated
    without, draws = None, baseline.calibrator_draws
    if said is not None and baseline.expectation is not None:
        curve, without = baseline.expectation.curves(scores.bins, calibrated, said)
        if draws is not None:
            draws = np.clip(curve + (draws - calibrated)[:, np.newaxis], 0.0, 1.0)
    confusion = baseline.outcomes.outcomes.confusion if scores.bins.task == "multiclass" else None
    return expected.cbpe(scores, curve, draws, without=without, confusion=confusion)


def _losses(baseline: Baseline, profile: Profile, said: Said | None) -> dict[str, expected.Estimate]:
    if said is not None and baseline.expectation is not None:
        return baseline.expectation.losses(said)
    labelled = baseline.cells.labelled.astype(np.float64)
    n = float(profile.leaves.sum())
    if labelled.sum() == 0 or n == 0:
        return {}
    seen = labelled > 0
    overall = baseline.cells.total_loss / labelled.sum()
    mean = np.where(seen, np.nan_to_num(baseline.cells.mean_loss), overall)
    variance = np.nan_to_num(baseline.cells.variance)
    share = profile.leaves / n
    chance = float((share * variance).sum() / n)
    return {
        "mae": expected.Estimate(
            float(share @ mean), chance, float((share**2 * variance / np.maximum(labelled, 1)).sum())
        )
    }


def _banded(
    name: str, item: expected.Estimate, spread: float, misses: Sequence[Miss], period: int, model: str
) -> Estimate:
    known = item.calibration_variance + spread
    unit = name not in UNBOUNDED
    found = corrected(name, item.value, (item.sampling_variance, known), misses, period=period, model=model, unit=unit)
    value = _within(name, item.value + found.correction)
    low, high = (_within(name, value + side * found.half) for side in (-1, 1))
    return Estimate(name, value, low, high, found.withdrawn, item.sampling_variance, value - item.value, model)


def _within(name: str, value: float) -> float:
    """Return the value, or the end of the metric's range where it lies beyond."""
    lowest = -math.inf if name in SIGNED else 0.0
    highest = math.inf if name in UNBOUNDED else 1.0
    return min(max(value, lowest), highest)
