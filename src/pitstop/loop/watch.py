"""All detectors of a model under one budget: counts of a window in, alarms out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.baseline.baseline import Baseline
from pitstop.detection.budget import Budget
from pitstop.detection.detector import Detector
from pitstop.detection.dispersion import usual
from pitstop.detection.panel import Panel
from pitstop.detection.spread import Spreads
from pitstop.detection.streams import SPREAD, Finding, ReferenceCounts, Stream
from pitstop.detection.volume import VolumeDetector
from pitstop.monitors import MONITORS
from pitstop.monitors.base import Monitor, WindowCounts
from pitstop.monitors.groups import labelled_indicators
from pitstop.monitors.performance import error_indicators
from pitstop.records.alarms import AlarmsSection, quiet_spans
from pitstop.records.calendar import Calendar
from pitstop.records.spec import ModelSpec

# Probability with which the reference itself may mislead, shared over all streams by their weight.
REFERENCE_ERROR = 0.05

Pairs = tuple[tuple[Monitor, Stream], ...]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Table:
    """What the streams of a model count in m windows, all indicators of all streams side by side.

    `k`, `n` int64[m, I]: k of n rows. `rows` int64[m, V]: for streams that count rows. `phases` int64[m]. `spreads`
    int64[m, S]: variances, `NOTHING` where a window has none.
    """

    k: Ints
    n: Ints
    rows: Ints
    phases: Ints
    spreads: Ints

    @classmethod
    def of(cls, spec: ModelSpec, baseline: Baseline, windows: Sequence[WindowCounts]) -> Table:
        """Count the windows, in their order."""
        counted, volumes, spreads = _streams(baseline)
        pairs = [_table(monitor, stream, windows) for monitor, stream in counted]
        rows = [_table(monitor, stream, windows)[0] for monitor, stream in volumes]
        variances = [_table(monitor, stream, windows)[0] for monitor, stream in spreads]
        empty = np.zeros((len(windows), 0), dtype=np.int64)
        k, n = (np.concatenate([empty, *(pair[side] for pair in pairs)], axis=1) for side in (0, 1))
        phases = np.array([spec.calendar.phase(window.window) for window in windows], dtype=np.int64)
        measured = np.concatenate([empty, *variances], axis=1)
        return cls(k, n, np.concatenate([empty, *rows], axis=1), phases, measured)

    def __len__(self) -> int:
        return len(self.phases)

    def taken(self, order: Ints) -> Table:
        """Return the windows at the positions `order`, in that order."""
        return Table(self.k[order], self.n[order], self.rows[order], self.phases[order], self.spreads[order])


@dataclass(frozen=True)
class Watch:
    """The monitors' streams with the state of their detectors: counts in one panel, row numbers and spreads apart."""

    counted: Pairs
    panel: Panel
    volumes: tuple[tuple[Monitor, VolumeDetector], ...]
    calendar: Calendar
    ages: Mapping[str, int]
    rules: AlarmsSection = field(default_factory=AlarmsSection)
    measured: Pairs = ()
    spreads: Spreads = field(default_factory=Spreads.none)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """All streams that share the budget."""
        return (
            *self.panel.layout.streams,
            *(detector.stream for _, detector in self.volumes),
            *(stream for _, stream in self.measured),
        )

    @classmethod
    def fit(cls, spec: ModelSpec, baseline: Baseline, reference: Sequence[WindowCounts]) -> Watch:
        """Fit all detectors on the reference windows, oldest first, without those of quiet periods."""
        quiet = quiet_spans(spec.alarms.quiet)
        judged = [window for window in reference if not is_quiet(quiet, spec.calendar, window.window)]
        return cls.fit_table(spec, baseline, Table.of(spec, baseline, judged))

    @classmethod
    def fit_table(cls, spec: ModelSpec, baseline: Baseline, reference: Table) -> Watch:
        """Fit all detectors on reference windows that are counted already."""
        calendar = spec.calendar
        counted, volumes, measured = _streams(baseline)
        weights = {stream.name: stream.weight for _, stream in (*counted, *volumes, *measured)}
        budget = Budget(spec.alarms.per_month, calendar.windows_per_month)
        thresholds, levels = budget.thresholds(weights), budget.fast_levels(weights)
        total = sum(weights.values())
        reference = replace(reference, **_enough(reference.k, reference.n, spec.alarms.minimum_rows))
        elsewhere = usual(reference.k, reference.n)
        panels, start = [], 0
        for _, stream in counted:
            columns = slice(start, start := start + len(stream.indicators))
            detector = Detector.fit(
                stream,
                ReferenceCounts(reference.k[:, columns], reference.n[:, columns], reference.phases),
                thresholds[stream.name],
                calendar.phases,
                REFERENCE_ERROR * weights[stream.name] / total,
                fast_level=levels[stream.name],
                elsewhere=elsewhere,
            )
            panels.append(detector.panel)
        rows = [
            (
                monitor,
                VolumeDetector.fit(
                    stream,
                    reference.rows[:, place],
                    reference.phases,
                    thresholds[stream.name],
                    calendar.phases,
                    fast_level=levels[stream.name],
                ),
            )
            for place, (monitor, stream) in enumerate(volumes)
        ]
        own = tuple(stream for _, stream in measured)
        spreads = Spreads.fit(own, reference.spreads, np.array([levels[stream.name] for stream in own]))
        panel = Panel.joined(panels)
        return cls(counted, panel, tuple(rows), calendar, _ages(baseline), spec.alarms, measured, spreads)

    def step(self, window: WindowCounts) -> tuple[Watch, tuple[Finding, ...]]:
        """Take in one window; return the next state and what was found, in the order of streams.

        A window of a quiet period leaves everything as it was.
        """
        if is_quiet(quiet_spans(self.rules.quiet), self.calendar, window.window):
            return self, ()
        pairs = [monitor.counts(stream, window) for monitor, stream in self.counted]
        k, n = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
        rows = [int(monitor.counts(detector.stream, window)[0][0]) for monitor, detector in self.volumes]
        spreads = [int(monitor.counts(stream, window)[0][0]) for monitor, stream in self.measured]
        variances = np.array(spreads, dtype=np.int64)
        return self.step_counts(window.window, self.calendar.phase(window.window), k, n, rows, variances)

    def step_counts(
        self, window: int, phase: int, k: Ints, n: Ints, rows: Sequence[int], spreads: Ints
    ) -> tuple[Watch, tuple[Finding, ...]]:
        """Take in one window that is counted already: `k`, `n` int64[I], a number of rows for each volume stream.

        `spreads` int64[S] are variances (see `Table`).
        """
        enough = _enough(k, n, self.rules.minimum_rows)
        panel, found = self.panel.step(window, phase, enough["k"], enough["n"])
        # A cohort is counted when it has its age: the change began with the predictions that many windows before.
        findings = [replace(item, since=item.since - self.ages.get(item.indicator, 0)) for item in found]
        volumes = []
        for (monitor, detector), count in zip(self.volumes, rows, strict=True):
            stepped, finding = detector.step(window, phase, count)
            volumes.append((monitor, stepped))
            findings += [finding] if finding is not None else []
        after, collapsed = self.spreads.step(window, spreads)
        return replace(self, panel=panel, volumes=tuple(volumes), spreads=after), (*findings, *collapsed)

    def to_state(self) -> dict[str, NDArray[Any]]:
        """Return the detectors' states as arrays."""
        state = {f"panel.{name}": array for name, array in self.panel.to_state().items()}
        for place, (_, detector) in enumerate(self.volumes):
            state |= {f"volume{place}.{name}": array for name, array in detector.to_state().items()}
        return state | {f"spread.{name}": array for name, array in self.spreads.to_state().items()}

    @classmethod
    def from_state(cls, spec: ModelSpec, baseline: Baseline, state: Mapping[str, Any]) -> Watch:
        """Return the watch that `to_state` described, for the same baseline."""
        counted, volumes, measured = _streams(baseline)
        panel = Panel.from_state([stream for _, stream in counted], _part(state, "panel."))
        rows = tuple(
            (monitor, VolumeDetector.from_state(stream, _part(state, f"volume{place}.")))
            for place, (monitor, stream) in enumerate(volumes)
        )
        kept = _part(state, "spread.")
        # A state of a time before spreads has none; the next release's detectors have.
        measured = measured if kept else ()
        spreads = Spreads.from_state([stream for _, stream in measured], kept)
        return cls(counted, panel, rows, spec.calendar, _ages(baseline), spec.alarms, measured, spreads)


def _ages(baseline: Baseline) -> dict[str, int]:
    """Return the age in windows of the rows that an indicator counts; 0 where it is not there."""
    return dict((*error_indicators(baseline), *labelled_indicators(baseline)))


def _streams(baseline: Baseline) -> tuple[Pairs, Pairs, Pairs]:
    """Return the streams that count k of n rows, those that count rows, and those that measure a variance."""
    pairs = [(monitor, stream) for monitor in MONITORS for stream in monitor.streams(baseline)]
    volumes = tuple(pair for pair in pairs if pair[1].kind == "volume")
    spreads = tuple(pair for pair in pairs if pair[1].family == SPREAD)
    counted = tuple(pair for pair in pairs if pair not in volumes and pair not in spreads)
    return counted, volumes, spreads


def _table(monitor: Monitor, stream: Stream, reference: Sequence[WindowCounts]) -> tuple[Ints, Ints]:
    counts = [monitor.counts(stream, window) for window in reference]
    shape = (len(counts), len(stream.indicators))
    k, n = (np.array([pair[side] for pair in counts], dtype=np.int64).reshape(shape) for side in (0, 1))
    return k, n


def _enough(k: Ints, n: Ints, minimum: int) -> dict[str, Ints]:
    """Return `k` and `n`, both 0 where fewer rows than `minimum` were counted."""
    enough = n >= minimum
    return {"k": np.where(enough, k, 0), "n": np.where(enough, n, 0)}


def is_quiet(spans: tuple[tuple[int, int], ...], calendar: Calendar, window: int) -> bool:
    """Whether a window begins in a quiet period."""
    return any(first <= calendar.window_start(window) < end for first, end in spans)


def _part(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
