"""Looks for a fault of the pipeline behind an incident: bounded samples of the newest rows and of the reference's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.baseline.baseline import Baseline
from pitstop.checks.breaks import breaks_in, time_shifts
from pitstop.checks.comparison import ALPHA
from pitstop.checks.pairs import FEWEST_ROWS, Pair
from pitstop.diagnosis.breaks import Break, ranked
from pitstop.diagnosis.segments import Segment
from pitstop.loop.rowlog import RowLog
from pitstop.loop.surveying import risen_segments
from pitstop.records.facts import facts_of
from pitstop.records.spec import ModelSpec

# Rows of each side that are looked at, evenly spaced in time.
REFERENCE_ROWS, CURRENT_ROWS = 5_000, 2_000
# With so many rows in the newest windows they are looked at alone: a fault that began today is not all of the week.
ENOUGH = 500
# Faults that an incident names; one upstream break seldom touches more columns than a person wants to read.
NAMED = 5
_KINDS = 4
# What can break about a measure of a text or an embedding: it has no unit, and no values of its own.
_LOST = frozenset({"new_nulls", "all_null", "stuck_value"})

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Look:
    """The rows behind an incident, where counts cannot tell."""

    spec: ModelSpec
    log: RowLog
    baseline: Baseline

    def breaks(self, columns: Iterable[str], windows: tuple[int, int]) -> tuple[Break, ...]:
        """Return faults of the pipeline among the rows of (first window, last window); see `trace`."""
        return trace(self.spec, self.log, self.baseline, columns, windows)

    def risen(self, windows: tuple[int, int]) -> tuple[Segment, ...]:
        """Return where the error rose most since the first window; see `risen_segments`."""
        return risen_segments(self.spec, self.log, self.baseline, windows)


def trace(
    spec: ModelSpec, log: RowLog, baseline: Baseline, columns: Iterable[str], windows: tuple[int, int]
) -> tuple[Break, ...]:
    """Return the faults in `columns` and in the hours of prediction, the most certain first, at most five.

    `windows`: the first and the last window to explain. The newest rows are looked at first, then all since the first
    window. Few columns are asked for, those that moved; each test still pays for every feature.
    """
    calendar = spec.calendar
    first, last = windows
    end = calendar.window_start(last + 1)
    start, until = (calendar.window_start(window) for window in (baseline.windows[0], baseline.windows[1] + 1))
    # A reference ends where its model began to serve; what came later is not healthy because a model was refitted.
    reference = log.predicted_between(start, min(until, calendar.window_start(first)))
    since = log.predicted_between(calendar.window_start(first), end)
    newest = _newest(log, spec, first, last)
    used = [name for name in dict.fromkeys(columns) if name in spec.columns.features]
    for rows in (newest, since) if newest.size < since.size else (since,):
        if min(rows.size, reference.size) < FEWEST_ROWS:
            continue
        found = _breaks(spec, log, reference, rows, used)
        if found:
            return found[:NAMED]
    return ()


def _newest(log: RowLog, spec: ModelSpec, first: int, last: int) -> Ints:
    """Return the rows of as many of the last windows as hold enough rows."""
    calendar = spec.calendar
    end = calendar.window_start(last + 1)
    rows = log.predicted_between(end, end)
    for window in range(last, first - 1, -1):
        rows = log.predicted_between(calendar.window_start(window), end)
        if rows.size >= ENOUGH:
            break
    return rows


def _breaks(spec: ModelSpec, log: RowLog, reference: Ints, current: Ints, names: list[str]) -> tuple[Break, ...]:
    alpha = ALPHA / (_KINDS * max(1, len(spec.columns.features)))
    before, after = _spread(reference, REFERENCE_ROWS), _spread(current, CURRENT_ROWS)
    sides = [facts_of(_table(spec, log, rows)) for rows in (before, after)]
    pairs = {name: Pair(name, sides[0][name], sides[1][name], alpha) for name in sides[0]}
    measures = set(spec.columns.measures)
    found = [
        item
        for name in names
        for item in [item for item in breaks_in(pairs[name]) if name not in measures or item.kind in _LOST][:1]
    ]
    return ranked([*found, *time_shifts(list(pairs.values()))])


def _table(spec: ModelSpec, log: RowLog, rows: Ints) -> pa.Table:
    table = log.features(rows)
    if spec.calendar.by_rows or spec.columns.time in table.column_names:
        return table
    return table.append_column(spec.columns.time, pa.array(log.at[rows], pa.timestamp("us")))


def _spread(rows: Ints, size: int) -> Ints:
    return rows if rows.size <= size else rows[np.linspace(0, rows.size - 1, size).astype(np.int64)]
