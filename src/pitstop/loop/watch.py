"""All detectors of a model under one budget: counts of a window in, alarms out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.baseline.baseline import Baseline
from pitstop.detection.budget import Budget
from pitstop.detection.detector import Detector
from pitstop.detection.panel import Panel
from pitstop.detection.streams import Finding, ReferenceCounts, Stream
from pitstop.detection.volume import VolumeDetector
from pitstop.monitors import MONITORS
from pitstop.monitors.base import Monitor, WindowCounts
from pitstop.monitors.performance import error_indicators
from pitstop.records.calendar import Calendar
from pitstop.records.spec import ModelSpec

# Probability with which the reference itself may mislead, shared over all streams by their weight.
REFERENCE_ERROR = 0.05

Pairs = tuple[tuple[Monitor, Stream], ...]


@dataclass(frozen=True)
class Watch:
    """The monitors' streams with the state of their detectors: all counts in one panel, row numbers apart."""

    counted: Pairs
    panel: Panel
    volumes: tuple[tuple[Monitor, VolumeDetector], ...]
    calendar: Calendar
    ages: Mapping[str, int]

    @classmethod
    def fit(cls, spec: ModelSpec, baseline: Baseline, reference: Sequence[WindowCounts]) -> Watch:
        """Fit all detectors on the reference windows, oldest first."""
        calendar = spec.calendar
        counted, volumes = _streams(baseline)
        weights = {stream.name: stream.weight for _, stream in (*counted, *volumes)}
        budget = Budget(spec.alarms.per_month, calendar.windows_per_month)
        thresholds, levels = budget.thresholds(weights), budget.fast_levels(weights)
        total = sum(weights.values())
        phases = np.array([calendar.phase(window.window) for window in reference], dtype=np.int64)
        panels = []
        for monitor, stream in counted:
            k, n = _table(monitor, stream, reference)
            share = REFERENCE_ERROR * weights[stream.name] / total
            detector = Detector.fit(
                stream,
                ReferenceCounts(k, n, phases),
                thresholds[stream.name],
                calendar.phases,
                share,
                fast_level=levels[stream.name],
            )
            panels.append(detector.panel)
        rows = []
        for monitor, stream in volumes:
            k, _ = _table(monitor, stream, reference)
            fitted = VolumeDetector.fit(
                stream,
                k[:, 0],
                phases,
                thresholds[stream.name],
                calendar.phases,
                fast_level=levels[stream.name],
            )
            rows.append((monitor, fitted))
        return cls(counted, Panel.joined(panels), tuple(rows), calendar, dict(error_indicators(baseline)))

    def step(self, window: WindowCounts) -> tuple[Watch, tuple[Finding, ...]]:
        """Take in one window; return the next state and what was found, in the order of streams."""
        phase = self.calendar.phase(window.window)
        pairs = [monitor.counts(stream, window) for monitor, stream in self.counted]
        k, n = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
        panel, found = self.panel.step(window.window, phase, k, n)
        # A cohort is counted when it has its age: the change began with the predictions that many windows before.
        findings = [replace(item, since=item.since - self.ages.get(item.indicator, 0)) for item in found]
        volumes = []
        for monitor, detector in self.volumes:
            rows, _ = monitor.counts(detector.stream, window)
            stepped, finding = detector.step(window.window, phase, int(rows[0]))
            volumes.append((monitor, stepped))
            findings += [finding] if finding is not None else []
        return replace(self, panel=panel, volumes=tuple(volumes)), tuple(findings)

    def to_state(self) -> dict[str, NDArray[Any]]:
        """Return the detectors' states as arrays."""
        state = {f"panel.{name}": array for name, array in self.panel.to_state().items()}
        for place, (_, detector) in enumerate(self.volumes):
            state |= {f"volume{place}.{name}": array for name, array in detector.to_state().items()}
        return state

    @classmethod
    def from_state(cls, spec: ModelSpec, baseline: Baseline, state: Mapping[str, Any]) -> Watch:
        """Return the watch that `to_state` described, for the same baseline."""
        counted, volumes = _streams(baseline)
        panel = Panel.from_state([stream for _, stream in counted], _part(state, "panel."))
        rows = tuple(
            (monitor, VolumeDetector.from_state(stream, _part(state, f"volume{place}.")))
            for place, (monitor, stream) in enumerate(volumes)
        )
        return cls(counted, panel, rows, spec.calendar, dict(error_indicators(baseline)))


def _streams(baseline: Baseline) -> tuple[Pairs, Pairs]:
    """Return the streams that count k of n rows, and those that count rows."""
    pairs = [(monitor, stream) for monitor in MONITORS for stream in monitor.streams(baseline)]
    counted = tuple(pair for pair in pairs if pair[1].kind != "volume")
    return counted, tuple(pair for pair in pairs if pair[1].kind == "volume")


def _table(
    monitor: Monitor, stream: Stream, reference: Sequence[WindowCounts]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    counts = [monitor.counts(stream, window) for window in reference]
    shape = (len(counts), len(stream.indicators))
    k, n = (np.array([pair[side] for pair in counts], dtype=np.int64).reshape(shape) for side in (0, 1))
    return k, n


def _part(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
