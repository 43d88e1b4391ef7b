"""The estimate of a period: what performance was thought to be before its labels came, kept when the period closes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from pitstop.baseline.baseline import Baseline
from pitstop.monitors.base import WindowCounts
from pitstop.monitors.estimated import Estimate, believable, estimates
from pitstop.profile import OutcomeProfile, Profile

Stint = tuple[Baseline, tuple[WindowCounts, ...]]


def extended(stints: tuple[Stint, ...], baseline: Baseline, window: WindowCounts) -> tuple[Stint, ...]:
    """Add a window to the stint of the model that served it; another baseline begins another stint."""
    if stints and stints[-1][0].id == baseline.id:
        return (*stints[:-1], (baseline, (*stints[-1][1], window)))
    return (*stints, (baseline, (window,)))


def estimate_period(stints: Sequence[Stint]) -> Mapping[str, Estimate]:
    """Return the estimates of a period by metric; of several models that served in it, for the one that served longest.

    Each carries the reason why it is withdrawn, where labels that arrived in the same windows contradict it.
    """
    if not stints:
        return {}
    baseline, windows = max(stints, key=lambda stint: len(stint[1]))
    layout = baseline.layout
    profile = reduce(Profile.merged, (window.profile for window in windows), Profile.empty(layout))
    outcomes = reduce(OutcomeProfile.merged, (window.outcomes for window in windows), OutcomeProfile.empty(layout))
    why = believable(baseline, outcomes)
    return {
        found.metric: Estimate(found.metric, found.value, found.low, found.high, why)
        for found in estimates(baseline, profile)
    }
