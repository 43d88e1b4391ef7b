"""Pitstop's side of `benchmarks delay`: the shipped detectors on the counts of each run, at one scale for all monitors.

Each run is a stream, and the runs of a monitor step side by side in one panel. A stream has the share of the budget
that one of twenty has at a promise of 1 a month.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.delay_data import REFERENCE, ROWS, WATCHED
from pitstop.detection.budget import Budget
from pitstop.detection.detector import Detector
from pitstop.detection.panel import Panel
from pitstop.detection.streams import ReferenceCounts, Stream
from pitstop.loop.watch import REFERENCE_ERROR
from pitstop.monitors import drift, performance, quality
from pitstop.statistics.bins import NumericBins

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
STREAMS = 20
TOP = 20


def first_alarms(rows: dict[str, Floats], scale: float = 1.0) -> dict[str, Ints]:
    """Return the first watched window (from 1) that each run alarms in, `WATCHED` + 1 for none, by monitor.

    `scale` multiplies the threshold and divides the level of the fast path.
    """
    return {monitor: _panel(monitor, values, scale) for monitor, values in rows.items()}


def _panel(monitor: str, rows: Floats, scale: float) -> Ints:
    budget = Budget(1.0, 30)
    weights = {str(place): 1.0 for place in range(STREAMS)}
    threshold = max(1.0, budget.thresholds(weights)["0"] * scale)
    level = min(1.0, budget.fast_levels(weights)["0"] / scale)
    panels, counts = [], []
    for place, run in enumerate(rows):
        k = _counts(monitor, run)
        stream = _stream(monitor, f"{monitor}:{place}", k.shape[1])
        n = np.full(k.shape, ROWS, dtype=np.int64)
        reference = ReferenceCounts(k[:REFERENCE], n[:REFERENCE], np.zeros(REFERENCE, dtype=np.int64))
        detector = Detector.fit(stream, reference, threshold, 1, REFERENCE_ERROR / STREAMS, fast_level=level)
        panels.append(detector.panel)
        counts.append(k[REFERENCE:])
    panel, k = Panel.joined(panels), np.concatenate(counts, axis=1)
    first = np.full(len(rows), WATCHED + 1, dtype=np.int64)
    for window in range(WATCHED):
        panel, findings = panel.step(window, 0, k[window], np.full(k.shape[1], ROWS, dtype=np.int64))
        for finding in findings:
            place = int(finding.stream.name.rpartition(":")[2])
            first[place] = min(first[place], window + 1)
    return first


def _stream(monitor: str, name: str, indicators: int) -> Stream:
    base = Stream(
        name, "drift", "x", tuple(map(str, range(indicators))), tolerance=drift.TOLERANCE, autocorrelated=True
    )
    if monitor == "error":
        return replace(base, kind="error", two_sided=False, tolerance=performance.TOLERANCE, autocorrelated=False)
    if monitor == "nulls":
        return replace(base, kind="quality", two_sided=False, tolerance=quality.TOLERANCE, autocorrelated=False)
    return base


def _counts(monitor: str, run: Floats) -> Ints:
    """Return the rows with each indicator, int64[windows, indicators]; bins are fitted on the reference."""
    if monitor in ("error", "nulls"):
        return np.asarray(run.sum(axis=1)[:, np.newaxis], dtype=np.int64)
    if monitor == "number":
        edges = np.array(NumericBins.fit(pa.array(run[:REFERENCE].ravel())).edges[1:-1])
        return np.asarray((run[:, :, np.newaxis] < edges).sum(axis=1), dtype=np.int64)
    codes, sizes = np.unique(run[:REFERENCE], return_counts=True)
    top = codes[np.argsort(-sizes, kind="stable")][:TOP]
    return np.asarray((run[:, :, np.newaxis] == top).sum(axis=1), dtype=np.int64)
